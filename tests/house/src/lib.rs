//! Nothing but tests; see `tests/rules.rs`.
