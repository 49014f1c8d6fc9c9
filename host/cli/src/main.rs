//! The `mcsdns` command.
fn main() {}
