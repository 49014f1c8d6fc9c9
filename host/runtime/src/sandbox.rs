//! Decisions by policies in the sandbox.

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
};

use mcsdns_core::decision::{DecisionInput, DecisionOutput, PolicyFailure, PolicyRef};
use mcsdns_policy::{Cost, LogLevel, LogLine, PolicySet};

use crate::decider::Decider;

/// Hears what decisions cost; called on the decision threads.
pub type CostObserver = dyn Fn(&PolicyRef, &Cost) + Send + Sync;

/// Holds the policies in force, by [`PolicyRef::id`]. A question finds the very policies it was asked of, also while
/// others are being put in their place.
#[derive(Default)]
pub struct SandboxDecider {
    sets: RwLock<HashMap<Arc<str>, Arc<PolicySet>>>,
    costs: Option<Box<CostObserver>>,
}

impl SandboxDecider {
    /// Without policies.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// With one set of policies.
    #[must_use]
    pub fn with(set: PolicySet) -> Self {
        let decider = Self::new();
        decider.put(set);
        decider
    }

    /// Reports what each decision cost.
    #[must_use]
    pub fn observed(mut self, costs: Box<CostObserver>) -> Self {
        self.costs = Some(costs);
        self
    }

    /// Puts policies into force; tell the Index about the [`PolicyRef`] afterwards.
    pub fn put(&self, set: PolicySet) -> PolicyRef {
        let reference = set.policy_ref();
        let mut sets = self.sets.write().unwrap_or_else(PoisonError::into_inner);
        sets.insert(Arc::clone(&reference.id), Arc::new(set));
        reference
    }

    /// Drops the policies whose id is not wanted; questions that are still under way for them fail and are asked again
    /// of those in force.
    pub fn retain(&self, wanted: impl Fn(&str) -> bool) {
        self.sets.write().unwrap_or_else(PoisonError::into_inner).retain(|id, _| wanted(id));
    }
}

impl std::fmt::Debug for SandboxDecider {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let sets = self.sets.read().unwrap_or_else(PoisonError::into_inner);
        f.debug_struct("SandboxDecider").field("policies", &sets.keys()).finish_non_exhaustive()
    }
}

impl Decider for SandboxDecider {
    fn decide(
        &self,
        domain: &str,
        policies: &PolicyRef,
        input: &DecisionInput,
    ) -> Result<DecisionOutput, PolicyFailure> {
        let set = self.sets.read().unwrap_or_else(PoisonError::into_inner).get(&policies.id).cloned();
        let set = set.ok_or_else(|| PolicyFailure {
            policy: Arc::clone(&policies.title),
            reason: "PolicyReplaced",
            message: "it is no longer in force".to_owned(),
        })?;
        let subject = &input.subject;
        match set.decide(input) {
            Ok(decided) => {
                say(domain, policies, subject, &decided.log);
                if let Some(costs) = &self.costs {
                    costs(policies, &decided.cost);
                }
                Ok(decided.output)
            }
            Err(error) => {
                say(domain, policies, subject, &error.log);
                Err(error.into())
            }
        }
    }
}

/// Passes on what policies logged, with the record they logged it about.
fn say(domain: &str, policies: &PolicyRef, subject: &mcsdns_core::decision::Subject, lines: &[LogLine]) {
    for line in lines {
        let (policy, namespace, service) = (&*policies.title, &*subject.namespace, &*subject.service);
        match line.level {
            LogLevel::Debug => tracing::debug!(policy, domain, namespace, service, "{}", line.message),
            LogLevel::Info => tracing::info!(policy, domain, namespace, service, "{}", line.message),
            LogLevel::Warn => tracing::warn!(policy, domain, namespace, service, "{}", line.message),
        }
    }
}
