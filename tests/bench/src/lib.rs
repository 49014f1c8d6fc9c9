//! What benchmarks and tests of the sandbox share: fleets of any size, the policy in the box called natively, and
//! components that misbehave.

pub mod components;
pub mod fleet;
pub mod native;
