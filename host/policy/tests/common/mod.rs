//! What the tests of the sandbox share.

#![allow(dead_code, unreachable_pub, reason = "every test file uses its own part of it")]

use std::{
    path::Path,
    sync::{Arc, LazyLock},
};

use mcsdns_policy::{Budget, DecideError, Decided, Engine, EngineLimits, LoadError, LoadRequest, Policy, PolicySet};
use mcsdns_toolchain::{Build, Profile, Toolchain};

/// One engine for all tests of a file, as in the controller.
pub static ENGINE: LazyLock<Engine> = LazyLock::new(|| Engine::new(EngineLimits::default()).unwrap());

/// The policy in the box.
pub static DEFAULT: LazyLock<PolicySet> = LazyLock::new(|| {
    let policy = ENGINE.load(&LoadRequest::new("default", mcsdns_policy::default_policy_bytes())).unwrap();
    PolicySet::all(&policy).unwrap()
});

/// The policy that misbehaves on request.
pub static MISBEHAVING: LazyLock<Vec<u8>> = LazyLock::new(|| build_misbehaving(&[]));

/// The same for one question only.
pub static TTL_ONLY: LazyLock<Vec<u8>> = LazyLock::new(|| {
    // Both builds write the same file, so one comes after the other.
    LazyLock::force(&MISBEHAVING);
    build_misbehaving(&["ttl-only"])
});

fn build_misbehaving(features: &[&str]) -> Vec<u8> {
    let manifest_dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../plugins/misbehaving").canonicalize().unwrap();
    let target_dir = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap().join("components");
    let build = Build::new(&manifest_dir, target_dir)
        .profile(Profile::Named("component".to_owned()))
        .features(features.iter().copied());
    Toolchain::find(&manifest_dir).unwrap().build(&build).unwrap_or_else(|error| panic!("{error}"))
}

/// A component written by hand.
pub fn component(text: &str) -> Vec<u8> {
    wat::parse_str(text).unwrap_or_else(|error| panic!("{error}"))
}

/// Loads bytes with the usual budget.
pub fn load(bytes: &[u8]) -> Result<Arc<Policy>, LoadError> {
    ENGINE.load(&LoadRequest::new("test", bytes))
}

/// Loads the policy that misbehaves, and says how.
pub fn misbehaving(deed: &str, budget: Budget) -> Result<Arc<Policy>, LoadError> {
    let config = format!("{deed:?}");
    ENGINE.load(&LoadRequest { config: Some(&config), budget, ..LoadRequest::new("misbehaving", &MISBEHAVING) })
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
