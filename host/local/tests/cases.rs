//! Every case of tests/cases, through the Index: with the policy in the box in the sandbox, and called natively.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may fail by panicking"
)]

use std::{path::PathBuf, sync::Arc};

use mcsdns_core::decision::{DecisionInput, Needs, PolicyRef};
use mcsdns_local::cases::{self, Mode};
use mcsdns_runtime::Decider;

fn dir() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/cases")
}

fn all<D: Decider>(policies: &PolicyRef, decider: &D, mode: Mode) {
    let found = cases::discover(&dir()).unwrap();
    assert!(found.len() >= 50, "only {} cases in {}", found.len(), dir().display());
    let mut failures = Vec::new();
    for case in &found {
        match cases::run(case, policies, decider, mode) {
            Ok(outcome) if outcome.passed() => {}
            Ok(outcome) => {
                failures.push(format!(
                    "=== {}: {}\n{}",
                    outcome.name,
                    outcome.description,
                    outcome.failures.join("\n")
                ));
            }
            Err(error) => failures.push(format!("=== {}: {error}", case.display())),
        }
    }
    assert!(failures.is_empty(), "{} of {} cases:\n{}", failures.len(), found.len(), failures.join("\n"));
}

#[test]
fn in_the_sandbox() {
    let policy = mcsdns_local::policy::load(None, None).unwrap();
    all(&policy.reference, &*policy.decider, Mode::from_env());
}

#[test]
fn natively() {
    let policies = PolicyRef { id: Arc::from("native"), title: Arc::from("native"), needs: Needs::default() };
    let decider = |_: &str, _: &PolicyRef, input: &DecisionInput| Ok(mcsdns_bench::native::decide(input));
    all(&policies, &decider, Mode::Check);
}
