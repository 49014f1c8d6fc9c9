//! Who answers the question of a record.

use mcsdns_core::decision::{DecisionInput, DecisionOutput, PolicyFailure, PolicyRef};

/// Answers decisions. Called from worker threads, several at a time, never under the lock of the Index.
pub trait Decider: Send + Sync + 'static {
    /// Asks the policies `policies` of the Domain `domain`.
    ///
    /// # Errors
    /// Why there is no decision; what is published then stays.
    fn decide(
        &self,
        domain: &str,
        policies: &PolicyRef,
        input: &DecisionInput,
    ) -> Result<DecisionOutput, PolicyFailure>;
}

impl<F> Decider for F
where
    F: Fn(&str, &PolicyRef, &DecisionInput) -> Result<DecisionOutput, PolicyFailure> + Send + Sync + 'static,
{
    fn decide(
        &self,
        domain: &str,
        policies: &PolicyRef,
        input: &DecisionInput,
    ) -> Result<DecisionOutput, PolicyFailure> {
        self(domain, policies, input)
    }
}
