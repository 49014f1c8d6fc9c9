//! Decides, and remembers every decision with what it was asked and what it cost.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, RwLock},
};

use mcsdns_core::decision::{DecisionInput, DecisionOutput, PolicyFailure, PolicyRef};
use mcsdns_policy::{DecideError, Decided, PolicySet};
use mcsdns_runtime::Decider;

/// One decision.
#[derive(Clone, Debug)]
pub struct Made {
    /// Name of the Domain it was made for.
    pub domain: Arc<str>,
    /// Id of the policies that made it.
    pub policies: Arc<str>,
    /// The question.
    pub input: Arc<DecisionInput>,
    /// The answer, or why there is none.
    pub result: Result<Decided, DecideError>,
}

impl Made {
    /// `namespace/name` of the record it was made for.
    #[must_use]
    pub fn record(&self) -> String {
        format!("{}/{}", self.input.subject.namespace, self.input.subject.service)
    }
}

/// What another decider was asked last about each record, by which policies, and what came of it.
pub struct Overheard<D> {
    decider: Arc<D>,
    last: Mutex<HashMap<String, Heard>>,
}

/// A question to another decider.
#[derive(Clone, Debug)]
pub struct Heard {
    /// Name of the Domain.
    pub domain: Arc<str>,
    /// Who was asked.
    pub policies: PolicyRef,
    /// The question.
    pub input: Arc<DecisionInput>,
    /// The answer.
    pub result: Result<DecisionOutput, PolicyFailure>,
}

impl<D> Overheard<D> {
    /// Listens to this one.
    pub fn new(decider: Arc<D>) -> Self {
        Self { decider, last: Mutex::default() }
    }

    /// What was asked last about a record, `namespace/name`.
    #[must_use]
    pub fn last(&self, record: &str) -> Option<Heard> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).get(record).cloned()
    }
}

impl<D: Decider> Decider for Overheard<D> {
    fn decide(
        &self,
        domain: &str,
        policies: &PolicyRef,
        input: &DecisionInput,
    ) -> Result<DecisionOutput, PolicyFailure> {
        let result = self.decider.decide(domain, policies, input);
        let record = format!("{}/{}", input.subject.namespace, input.subject.service);
        let heard = Heard {
            domain: domain.into(),
            policies: policies.clone(),
            input: Arc::new(input.clone()),
            result: result.clone(),
        };
        self.last.lock().unwrap_or_else(PoisonError::into_inner).insert(record, heard);
        result
    }
}

/// A decider that remembers.
#[derive(Debug, Default)]
pub struct Recorder {
    sets: RwLock<HashMap<Arc<str>, Arc<PolicySet>>>,
    made: Mutex<Vec<Made>>,
}

impl Recorder {
    /// One that knows these policies.
    #[must_use]
    pub fn with(set: &Arc<PolicySet>) -> Self {
        let recorder = Self::default();
        recorder.put(set);
        recorder
    }

    /// Makes policies known; questions find them by the id in what is returned.
    pub fn put(&self, set: &Arc<PolicySet>) -> PolicyRef {
        let reference = set.policy_ref();
        let mut sets = self.sets.write().unwrap_or_else(PoisonError::into_inner);
        sets.insert(Arc::clone(&reference.id), Arc::clone(set));
        reference
    }

    /// The decisions since the last call, in order.
    #[must_use]
    pub fn take(&self) -> Vec<Made> {
        std::mem::take(&mut *self.made.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Decider for Recorder {
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
            message: "it is not known here".to_owned(),
        })?;
        let result = set.decide(input);
        let answer = match &result {
            Ok(decided) => Ok(decided.output.clone()),
            Err(error) => Err(error.clone().into()),
        };
        self.made.lock().unwrap_or_else(PoisonError::into_inner).push(Made {
            domain: domain.into(),
            policies: Arc::clone(&policies.id),
            input: Arc::new(input.clone()),
            result,
        });
        answer
    }
}
