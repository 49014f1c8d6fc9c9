//! Cases that come with a policy, out of its ConfigMap.

use mcsdns_policy::PolicySet;
use mcsdns_rollout::{CaseCheck, CaseFailure, package::Case};
use mcsdns_runtime::SandboxDecider;

use super::run::{Mode, run};

/// Longest text of what differs; it goes into a status.
const DIFFERENCE: usize = 600;

/// Carries out packed cases with the same runner as cases in folders. They are unfolded into a temporary folder for that.
#[derive(Clone, Copy, Debug, Default)]
pub struct PackedCases;

impl CaseCheck for PackedCases {
    fn check(&self, cases: &[Case], policies: &PolicySet) -> Result<(), CaseFailure> {
        let failed = |case: &Case, problem: String| CaseFailure { case: case.name.clone(), problem };
        let reference = policies.policy_ref();
        let decider = SandboxDecider::with(policies.clone());
        for case in cases {
            let folder = tempfile::tempdir()
                .map_err(|error| failed(case, format!("there is no room for a temporary folder: {error}")))?;
            case.unfold(folder.path()).map_err(|error| failed(case, format!("cannot be unfolded: {error}")))?;
            let dir = folder.path().join(&case.name);
            let outcome = run(&dir, &reference, &decider, Mode::Check).map_err(|error| {
                // Where it stood for a moment is of no interest to anybody.
                let text = error.to_string().replace(&format!("{}/", dir.display()), "");
                failed(case, text)
            })?;
            if let Some(failure) = outcome.failures.first() {
                let mut text: String = failure.chars().take(DIFFERENCE).collect();
                if text.len() < failure.len() {
                    text.push_str(" ...");
                }
                return Err(failed(case, text));
            }
        }
        Ok(())
    }
}
