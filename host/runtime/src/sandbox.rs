//! Decisions by policies in the sandbox.

use std::{
    collections::HashMap,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicBool, Ordering},
    },
};

use mcsdns_core::{
    decision::{DecisionInput, DecisionOutput, PolicyFailure, PolicyRef},
    guard::{self, Limits},
    ids::ObjectKey,
};
use mcsdns_policy::{Cost, LogLevel, LogLine, PolicySet, RunError};

use crate::{
    breaker::{Breaker, BreakerLimits, Change, Outcome},
    clock::{Clock, SystemClock},
    decider::Decider,
};

/// Hears what decisions cost; called on the decision threads.
pub type CostObserver = dyn Fn(&PolicyRef, &Cost) + Send + Sync;
/// Hears how policies are, in the order in which it changes; called on the decision threads. Must return at once and ask
/// nothing of the decider.
pub type HealthObserver = dyn Fn(&PolicyRef, Health) + Send + Sync;

/// How the policies in force are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Health {
    /// They keep failing: for several records, and are left alone for a while, or again and again for one.
    Failing(PolicyFailure),
    /// They do so no more, or decide no more.
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
    /// Whether anybody cares how they are.
    decides: AtomicBool,
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
            Arc::new(Seat { reference: reference.clone(), set, substitute, breaker, decides: AtomicBool::new(true) })
        };
        let seat = seats.entry(Arc::clone(&reference.id)).or_insert_with(seat);
        if !seat.decides.swap(true, Ordering::SeqCst) {
            seat.breaker.reset(drop);
        }
        reference
    }

    /// Only the policies with these ids decide from now on. Of others nothing more is told, and their failures are forgotten;
    /// they still answer questions that are under way.
    pub fn stand_down(&self, decides: impl Fn(&str) -> bool) {
        let seats = self.seats.read().unwrap_or_else(PoisonError::into_inner);
        seats.iter().filter(|(id, _)| !decides(id)).for_each(|(_, seat)| self.retire(seat));
    }

    fn retire(&self, seat: &Seat) {
        if seat.decides.swap(false, Ordering::SeqCst) {
            seat.breaker.reset(|_| self.tell(seat, Health::Well));
        }
    }

    /// Why the policies with that id count as failing, if they do.
    #[must_use]
    pub fn failing(&self, id: &str) -> Option<PolicyFailure> {
        let seats = self.seats.read().unwrap_or_else(PoisonError::into_inner);
        seats.get(id).and_then(|seat| seat.breaker.failing())
    }

    /// Forgets failures about records that do not ask any more, such as those that were deleted. To be called now and then
    /// while policies fail: where nobody asks, nothing else would end it.
    pub fn forget_unheard(&self) {
        let seats: Vec<Arc<Seat>> =
            self.seats.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect();
        for seat in seats {
            seat.breaker.forget(self.clock.now(), |change| self.changed(&seat, change));
        }
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
        self.seats.write().unwrap_or_else(PoisonError::into_inner).retain(|id, seat| {
            let wanted = wanted(id);
            if !wanted {
                self.retire(seat);
            }
            wanted
        });
    }

    fn tell(&self, seat: &Seat, health: Health) {
        if let Some(observer) = &self.health {
            observer(&seat.reference, health);
        }
    }

    fn changed(&self, seat: &Seat, change: Change) {
        if seat.decides.load(Ordering::SeqCst) {
            self.tell(
                seat,
                match change {
                    Change::Failing(failure) => Health::Failing(failure),
                    Change::Well => Health::Well,
                },
            );
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
                let fault = match error.error {
                    RunError::Refused { .. } => Fault::Nobody,
                    RunError::Sandbox(_) => Fault::Sandbox,
                    _ => Fault::Policy,
                };
                Err(Failed { fault, failure: error.into() })
            }
        }
    }

    /// Asks the policies unless they are left alone.
    fn ask_carefully(
        &self,
        domain: &str,
        seat: &Seat,
        record: &ObjectKey,
        input: &DecisionInput,
    ) -> Result<DecisionOutput, PolicyFailure> {
        if let Err(last) = seat.breaker.admit(record, self.clock.now()) {
            self.tell(seat, Health::Skipped);
            return Err(last);
        }
        let answer = self.ask(domain, seat, &seat.set, input).and_then(|output| seat.check(input, output));
        let outcome = match &answer {
            Ok(_) => Outcome::Answered,
            Err(Failed { fault: Fault::Nobody, .. }) => Outcome::Refused,
            Err(Failed { fault: Fault::Sandbox, .. }) => Outcome::Lost,
            Err(Failed { fault: Fault::Policy, failure }) => Outcome::Failed(failure),
        };
        seat.breaker.note(record, outcome, self.clock.now(), |change| self.changed(seat, change));
        answer.map_err(|failed| failed.failure)
    }
}

struct Failed {
    failure: PolicyFailure,
    fault: Fault,
}

/// Whose fault it is that there is no answer.
enum Fault {
    Policy,
    /// A policy that says no is well.
    Nobody,
    /// What the sandbox does wrong says nothing about the policy.
    Sandbox,
}

impl Seat {
    /// Where somebody else can answer, an answer that breaks a rule is none.
    fn check(&self, input: &DecisionInput, output: DecisionOutput) -> Result<DecisionOutput, Failed> {
        let Some(substitute) = &self.substitute else { return Ok(output) };
        let limits = Limits { zone: &input.subject.domain, ..substitute.limits.clone() };
        match guard::check(input, &output, &limits) {
            Ok(_) => Ok(output),
            Err(violation) => Err(Failed {
                fault: Fault::Policy,
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
        let record = ObjectKey::new(Arc::clone(&input.subject.namespace), Arc::clone(&input.subject.service));
        let answer = self.ask_carefully(domain, &seat, &record, input);
        match (answer, &seat.substitute) {
            (Err(failure), Some(substitute)) => {
                tracing::debug!(domain, policy = %policies.title, "the substitute answers: {failure}");
                self.tell(&seat, Health::Replaced);
                let answer = self.ask(domain, &seat, &substitute.policies, input);
                let mut output = answer.map_err(|failed| failed.failure)?;
                // Or nobody would ask the policies themselves again before something changes.
                let again = seat.breaker.recheck(&record);
                output.recheck_after_seconds = Some(output.recheck_after_seconds.map_or(again, |own| own.min(again)));
                Ok(output)
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
