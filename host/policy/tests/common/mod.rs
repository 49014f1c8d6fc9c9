//! What the tests of the sandbox share.

#![allow(dead_code, unused_imports, unreachable_pub, reason = "every test file uses its own part of it")]

use std::sync::{Arc, LazyLock};

pub use mcsdns_bench::components::{MISBEHAVING, TTL_ONLY};
use mcsdns_policy::{Budget, DecideError, Decided, Engine, EngineLimits, LoadError, LoadRequest, Policy, PolicySet};

/// One engine for all tests of a file, as in the controller.
pub static ENGINE: LazyLock<Engine> = LazyLock::new(|| Engine::new(EngineLimits::default()).unwrap());

/// The policy in the box.
pub static DEFAULT: LazyLock<PolicySet> = LazyLock::new(|| {
    let policy = ENGINE.load(&LoadRequest::new("default", mcsdns_policy::default_policy_bytes())).unwrap();
    PolicySet::all(&policy).unwrap()
});

/// A component written by hand.
pub fn component(text: &str) -> Vec<u8> {
    wat::parse_str(text).unwrap_or_else(|error| panic!("{error}"))
}

/// The usual budget with all the time there is, for what must end by something else on the busiest machine.
pub fn unhurried() -> Budget {
    let mut budget = Budget::default();
    budget.wall_millis = Budget::ceiling().wall_millis;
    budget.configure_millis = Budget::ceiling().configure_millis;
    budget
}

/// Loads bytes with the usual budget.
pub fn load(bytes: &[u8]) -> Result<Arc<Policy>, LoadError> {
    ENGINE.load(&LoadRequest { budget: unhurried(), ..LoadRequest::new("test", bytes) })
}

/// Loads the policy that misbehaves, and says how.
pub fn misbehaving(deed: &str, budget: Budget) -> Result<Arc<Policy>, LoadError> {
    let config = format!("{deed:?}");
    ENGINE.load(&LoadRequest { config: Some(&config), budget, ..LoadRequest::new("misbehaving", MISBEHAVING) })
}

/// Lets the policy that misbehaves decide about a small fleet.
pub fn decide(deed: &str, budget: Budget) -> Result<Decided, DecideError> {
    let policy = misbehaving(deed, budget).unwrap_or_else(|error| panic!("{deed}: {error}"));
    PolicySet::all(&policy).unwrap().decide(&mcsdns_bench::fleet::fleet(3))
}

/// The policy in the box still decides, whatever happened before.
pub fn assert_alive() {
    let input = mcsdns_bench::fleet::fleet(3);
    let decided = DEFAULT.decide(&input).unwrap();
    assert_eq!(decided.output, mcsdns_bench::native::decide(&input));
}
