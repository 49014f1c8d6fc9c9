//! What benchmarks and tests of the sandbox share: fleets of any size, and the policy in the box called natively.

pub mod fleet;
pub mod native;
