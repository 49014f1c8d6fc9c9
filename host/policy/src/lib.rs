//! The sandbox: loads policy components, checks them, and calls them within a budget.
//!
//! ```
//! use mcsdns_policy::{Engine, EngineLimits, LoadRequest, PolicySet};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let engine = Engine::new(EngineLimits::default())?;
//! let policy = engine.load(&LoadRequest::new("default", mcsdns_policy::default_policy_bytes()))?;
//! let policies = PolicySet::all(&policy)?;
//! assert_eq!(&*policies.policy_ref().title, "default 0.1.0");
//! # Ok(())
//! # }
//! ```
//!
//! What holds for every policy, the one in the box included:
//!
//! - It can log, within bounds, and nothing else: no clock, no randomness, no files, no network. The same input gives
//!   the same output on any machine.
//! - Every decision has instances of its own, thrown away afterwards. Nothing passes from one record to another, and an
//!   instance that crashed is never used again.
//! - It is configured once. Every decision starts from the state that `configure` left, so the cost of a decision does
//!   not grow with the configuration.
//! - Whatever it does ends within its [`Budget`], in an error of its own kind.
//!
//! All of wasmtime is behind this crate. It knows neither Kubernetes nor an async runtime.

mod anatomy;
mod budget;
mod compiled;
mod config;
mod engine;
mod error;
mod load;
mod outcome;
mod permits;
mod policy;
mod session;
mod set;
mod snapshot;
mod state;
mod versions;

pub use anatomy::Anatomy;
pub use budget::{Budget, EngineLimits};
pub use compiled::Digest;
pub use engine::Engine;
pub use error::{Aspect, DecideError, EngineError, LoadError, RunError};
pub use load::LoadRequest;
pub use outcome::outcomes;
pub use policy::{Configured, Description, Policy};
pub use set::{Cost, Decided, PolicySet};
pub use state::{LogLevel, LogLine};
pub use versions::SUPPORTED as SUPPORTED_VERSIONS;

/// The policy in the box, as a component built from the source beside this crate.
#[must_use]
pub fn default_policy_bytes() -> &'static [u8] {
    include_bytes!(concat!(env!("OUT_DIR"), "/default-policy.wasm"))
}
