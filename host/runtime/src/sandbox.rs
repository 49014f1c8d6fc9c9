//! Decisions by policies in the sandbox.

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
};

use mcsdns_core::{
    decision::{DecisionInput, DecisionOutput, PolicyFailure, PolicyRef},
    guard::{self, Limits},
};
use mcsdns_policy::{Cost, LogLevel, LogLine, PolicySet, RunError};

use crate::{
    breaker::{Breaker, BreakerLimits, Change},
    clock::{Clock, SystemClock},
    decider::Decider,
};

/// Hears what decisions cost; called on the decision threads.
pub type CostObserver = dyn Fn(&PolicyRef, &Cost) + Send + Sync;
/// Hears how policies are; called on the decision threads.
pub type HealthObserver = dyn Fn(&PolicyRef, Health) + Send + Sync;

/// How the policies in force are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Health {
    /// They failed too often in a row and are left alone for a while.
    Failing(PolicyFailure),
    /// They answer again.
    Well,
    /// They were not asked, because they are left alone.
    Skipped,
    /// Others answered in their place.
    Replaced,
}

/// Who answers in the place of policies that fail.
#[derive(Clone)]
pub struct Substitute {
    /// The policies that answer instead.
    pub policies: Arc<PolicySet>,
    /// What an answer is held to; one that breaks a rule counts as a failure. The zone is that of each record.
    pub limits: Limits<'static>,
}

/// Policies in force.
struct Seat {
    reference: PolicyRef,
    set: Arc<PolicySet>,
    substitute: Option<Substitute>,
    breaker: Breaker,
}

/// Holds the policies in force, by [`PolicyRef::id`]. A question finds the very policies it was asked of, also while
/// others are being put in their place.
pub struct SandboxDecider {
    seats: RwLock<HashMap<Arc<str>, Arc<Seat>>>,
    costs: Option<Box<CostObserver>>,
    health: Option<Box<HealthObserver>>,
    breaker: BreakerLimits,
    clock: Arc<dyn Clock>,
}

impl Default for SandboxDecider {
    fn default() -> Self {
        Self {
            seats: RwLock::default(),
            costs: None,
            health: None,
            breaker: BreakerLimits::default(),
            clock: Arc::new(SystemClock),
        }
    }
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

    /// Reports how the policies are.
    #[must_use]
    pub fn watched(mut self, health: Box<HealthObserver>) -> Self {
        self.health = Some(health);
        self
    }

    /// When policies that keep failing are left alone, by which clock.
    #[must_use]
    pub fn limited(mut self, breaker: BreakerLimits, clock: Arc<dyn Clock>) -> Self {
        self.breaker = breaker;
        self.clock = clock;
        self
    }

    /// Puts policies into force; tell the Index about the [`PolicyRef`] afterwards.
    pub fn put(&self, set: PolicySet) -> PolicyRef {
        self.put_with(Arc::new(set), None)
    }

    /// As [`Self::put`], with policies that answer when these fail. Both together are another decision, so they have an id of
    /// their own. What was put in before stays as it is, its failures included.
    pub fn put_with(&self, set: Arc<PolicySet>, substitute: Option<Substitute>) -> PolicyRef {
        let mut reference = set.policy_ref();
        if let Some(substitute) = &substitute {
            reference.id = format!("{}, else {}", reference.id, substitute.policies.policy_ref().id).into();
        }
        let mut seats = self.seats.write().unwrap_or_else(PoisonError::into_inner);
        let seat = || {
            let breaker = Breaker::new(self.breaker);
            Arc::new(Seat { reference: reference.clone(), set, substitute, breaker })
        };
        seats.entry(Arc::clone(&reference.id)).or_insert_with(seat);
        reference
    }

    /// The policies with that id, if they are in force.
    #[must_use]
    pub fn get(&self, id: &str) -> Option<Arc<PolicySet>> {
        let seats = self.seats.read().unwrap_or_else(PoisonError::into_inner);
        seats.get(id).map(|seat| Arc::clone(&seat.set))
    }

    /// Drops the policies whose id is not wanted; questions that are still under way for them fail and are asked again
    /// of those in force.
    pub fn retain(&self, wanted: impl Fn(&str) -> bool) {
        self.seats.write().unwrap_or_else(PoisonError::into_inner).retain(|id, _| wanted(id));
    }

    fn tell(&self, seat: &Seat, health: Health) {
        if let Some(observer) = &self.health {
            observer(&seat.reference, health);
        }
    }

    /// Asks one set of policies, and passes on what they say.
    fn ask(&self, domain: &str, seat: &Seat, set: &PolicySet, input: &DecisionInput) -> Result<DecisionOutput, Failed> {
        let title = &seat.reference.title;
        match set.decide(input) {
            Ok(decided) => {
                say(domain, title, input, &decided.log);
                if let Some(costs) = &self.costs {
                    costs(&seat.reference, &decided.cost);
                }
                Ok(decided.output)
            }
            Err(error) => {
                say(domain, title, input, &error.log);
                // A policy that says no is well, and what the sandbox does wrong is not its fault.
                let counts = !matches!(error.error, RunError::Refused { .. } | RunError::Sandbox(_));
                Err(Failed { counts, failure: error.into() })
            }
        }
    }

    /// Asks the policies unless they are left alone.
    fn ask_carefully(&self, domain: &str, seat: &Seat, input: &DecisionInput) -> Result<DecisionOutput, PolicyFailure> {
        if let Err(last) = seat.breaker.admit(self.clock.now()) {
            self.tell(seat, Health::Skipped);
            return Err(last);
        }
        let answer = self.ask(domain, seat, &seat.set, input).and_then(|output| seat.check(input, output));
        let change = match &answer {
            Ok(_) => seat.breaker.note(Ok(()), self.clock.now()),
            Err(failed) if failed.counts => seat.breaker.note(Err(&failed.failure), self.clock.now()),
            Err(_) => seat.breaker.note(Ok(()), self.clock.now()),
        };
        match change {
            Some(Change::Opened(failure)) => self.tell(seat, Health::Failing(failure)),
            Some(Change::Closed) => self.tell(seat, Health::Well),
            None => {}
        }
        answer.map_err(|failed| failed.failure)
    }
}

struct Failed {
    failure: PolicyFailure,
    /// It is the policy's fault.
    counts: bool,
}

impl Seat {
    /// Where somebody else can answer, an answer that breaks a rule is none.
    fn check(&self, input: &DecisionInput, output: DecisionOutput) -> Result<DecisionOutput, Failed> {
        let Some(substitute) = &self.substitute else { return Ok(output) };
        let limits = Limits { zone: &input.subject.domain, ..substitute.limits.clone() };
        match guard::check(input, &output, &limits) {
            Ok(_) => Ok(output),
            Err(violation) => Err(Failed {
                counts: true,
                failure: PolicyFailure {
                    policy: Arc::clone(&self.reference.title),
                    reason: "PolicyViolation",
                    message: format!("it broke the rule {}: {violation}", violation.rule),
                },
            }),
        }
    }
}

impl std::fmt::Debug for SandboxDecider {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let seats = self.seats.read().unwrap_or_else(PoisonError::into_inner);
        f.debug_struct("SandboxDecider").field("policies", &seats.keys()).finish_non_exhaustive()
    }
}

impl Decider for SandboxDecider {
    fn decide(
        &self,
        domain: &str,
        policies: &PolicyRef,
        input: &DecisionInput,
    ) -> Result<DecisionOutput, PolicyFailure> {
        let seat = self.seats.read().unwrap_or_else(PoisonError::into_inner).get(&policies.id).cloned();
        let seat = seat.ok_or_else(|| PolicyFailure {
            policy: Arc::clone(&policies.title),
            reason: "PolicyReplaced",
            message: "it is no longer in force".to_owned(),
        })?;
        let answer = self.ask_carefully(domain, &seat, input);
        match (answer, &seat.substitute) {
            (Err(failure), Some(substitute)) => {
                tracing::debug!(domain, policy = %policies.title, "the substitute answers: {failure}");
                self.tell(&seat, Health::Replaced);
                self.ask(domain, &seat, &substitute.policies, input).map_err(|failed| failed.failure)
            }
            (answer, _) => answer,
        }
    }
}

/// Passes on what policies logged, with the record they logged it about.
fn say(domain: &str, policy: &str, input: &DecisionInput, lines: &[LogLine]) {
    for line in lines {
        let (namespace, service) = (&*input.subject.namespace, &*input.subject.service);
        match line.level {
            LogLevel::Debug => tracing::debug!(policy, domain, namespace, service, "{}", line.message),
            LogLevel::Info => tracing::info!(policy, domain, namespace, service, "{}", line.message),
            LogLevel::Warn => tracing::warn!(policy, domain, namespace, service, "{}", line.message),
        }
    }
}
