//! What is counted of policies.
//!
//! Policies are called what they call themselves, in a few letters and digits, so their names are labels only up to a bound;
//! all that come after it are `other`.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use mcsdns_core::{
    decision::{PolicyFailure, PolicyRef},
    reason::Reason,
};
use mcsdns_policy::Cost;
use mcsdns_runtime::Health;
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::{Registry, Unit},
};

use super::{Buckets, Durations, ResultLabels, microseconds, requests};

/// Policies, or sets of them, that are told apart.
const POLICIES: usize = 32;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PolicyLabels {
    policy: Arc<str>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct AnswerLabels {
    policy: Arc<str>,
    result: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReadyLabels {
    reason: &'static str,
}

fn fuel() -> Histogram {
    Histogram::new([1e3, 3e3, 1e4, 3e4, 1e5, 3e5, 1e6, 3e6, 1e7, 3e7, 1e8, 1e9])
}

fn memory() -> Histogram {
    Histogram::new([1.25e5, 1e6, 2e6, 4e6, 8e6, 1.6e7, 3.2e7, 6.4e7])
}

/// Counters of policies.
pub(crate) struct PolicyMetrics {
    answers: Family<AnswerLabels, Counter>,
    time: Durations<PolicyLabels>,
    fuel: Durations<PolicyLabels>,
    memory: Durations<PolicyLabels>,
    skipped: Family<PolicyLabels, Counter>,
    replaced: Family<PolicyLabels, Counter>,
    failing: Family<PolicyLabels, Gauge>,
    /// Ids of the policies that fail, by their label: several may have the same name.
    failing_ids: Mutex<BTreeMap<Arc<str>, BTreeSet<Arc<str>>>>,
    loads: Family<ResultLabels, Counter>,
    load_time: Histogram,
    trials: Family<ResultLabels, Counter>,
    trial_records: Counter,
    trial_time: Histogram,
    domains: Family<ReadyLabels, Gauge>,
    known: Mutex<BTreeSet<Arc<str>>>,
    ready: Mutex<BTreeMap<Arc<str>, Reason>>,
}

impl PolicyMetrics {
    pub(super) fn new(registry: &mut Registry) -> Self {
        let answers = Family::default();
        let help = "Decisions asked of each policy, by what came of them";
        registry.register("policy_decisions", help, answers.clone());
        let time = Durations::new_with_constructor(microseconds as Buckets);
        let help = "Time that one decision of a policy takes, sandbox included";
        registry.register_with_unit("policy_decision_duration", help, Unit::Seconds, time.clone());
        let used = Durations::new_with_constructor(fuel as Buckets);
        registry.register("policy_decision_fuel", "Instructions, roughly, of one decision of a policy", used.clone());
        let held = Durations::new_with_constructor(memory as Buckets);
        let help = "Memory of the instances of one decision of a policy";
        registry.register_with_unit("policy_decision_memory", help, Unit::Bytes, held.clone());
        let skipped = Family::default();
        let help = "Decisions not asked of a policy because it keeps failing";
        registry.register("policy_skipped", help, skipped.clone());
        let replaced = Family::default();
        let help = "Decisions answered by the policy in the box because a policy failed";
        registry.register("policy_replaced", help, replaced.clone());
        let failing = Family::default();
        registry.register("policy_failing", "1 while a policy that decides keeps failing", failing.clone());

        let loads = Family::default();
        registry.register("policy_loads", "ConfigMaps of policies that were loaded, by result", loads.clone());
        let load_time = requests();
        let help = "Time that checking, compiling, configuring and trying the cases of a policy takes";
        registry.register_with_unit("policy_load_duration", help, Unit::Seconds, load_time.clone());
        let trials = Family::default();
        let help = "Trials of policies on the records of a Domain, by result";
        registry.register("policy_trials", help, trials.clone());
        let trial_records = Counter::default();
        registry.register("policy_trial_records", "Records in trials of policies", trial_records.clone());
        let trial_time = requests();
        let help = "Time that a trial of policies on the records of a Domain takes";
        registry.register_with_unit("policy_trial_duration", help, Unit::Seconds, trial_time.clone());
        let domains = Family::default();
        let help = "Domains with policies of their own, by the reason of PoliciesReady";
        registry.register("policy_domains", help, domains.clone());
        Self {
            answers,
            time,
            fuel: used,
            memory: held,
            skipped,
            replaced,
            failing,
            failing_ids: Mutex::default(),
            loads,
            load_time,
            trials,
            trial_records,
            trial_time,
            domains,
            known: Mutex::default(),
            ready: Mutex::default(),
        }
    }

    fn label(&self, policies: &PolicyRef) -> PolicyLabels {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let policy = if known.contains(&policies.title) || known.len() < POLICIES {
            known.insert(Arc::clone(&policies.title));
            Arc::clone(&policies.title)
        } else {
            "other".into()
        };
        PolicyLabels { policy }
    }

    pub(super) fn decided(&self, policies: &PolicyRef, took: Duration, failure: Option<&PolicyFailure>) {
        let label = self.label(policies);
        let result = failure.map_or("ok", |failure| failure.reason);
        self.answers.get_or_create(&AnswerLabels { policy: Arc::clone(&label.policy), result }).inc();
        self.time.get_or_create(&label).observe(took.as_secs_f64());
    }

    /// What a decision cost.
    #[allow(clippy::cast_precision_loss, reason = "a histogram has no use for the last digits")]
    pub(crate) fn cost(&self, policies: &PolicyRef, cost: &Cost) {
        let label = self.label(policies);
        self.fuel.get_or_create(&label).observe(cost.fuel as f64);
        self.memory.get_or_create(&label).observe(cost.memory_bytes as f64);
    }

    pub(crate) fn health(&self, policies: &PolicyRef, health: &Health) {
        let label = self.label(policies);
        match health {
            Health::Failing(_) => self.note_failing(&label, &policies.id, true),
            Health::Well => self.note_failing(&label, &policies.id, false),
            Health::Skipped => {
                self.skipped.get_or_create(&label).inc();
            }
            Health::Replaced => {
                self.replaced.get_or_create(&label).inc();
            }
        }
    }

    fn note_failing(&self, label: &PolicyLabels, id: &Arc<str>, failing: bool) {
        let mut by_label = self.failing_ids.lock().unwrap_or_else(PoisonError::into_inner);
        let ids = by_label.entry(Arc::clone(&label.policy)).or_default();
        if failing {
            ids.insert(Arc::clone(id));
        } else {
            ids.remove(id);
        }
        self.failing.get_or_create(label).set(i64::from(!ids.is_empty()));
    }

    /// A ConfigMap was loaded; `result` is `ok` or the reason of a refusal.
    pub(crate) fn loaded(&self, result: &'static str, took: Duration) {
        self.loads.get_or_create(&ResultLabels { result }).inc();
        self.load_time.observe(took.as_secs_f64());
    }

    pub(crate) fn tried(&self, records: usize, passed: bool, took: Duration) {
        let result = if passed { "ok" } else { "failed" };
        self.trials.get_or_create(&ResultLabels { result }).inc();
        self.trial_records.inc_by(u64::try_from(records).unwrap_or(u64::MAX));
        self.trial_time.observe(took.as_secs_f64());
    }

    /// How far the policies of a Domain are; `None`: it has none of its own, or is gone.
    pub(crate) fn told(&self, domain: &str, reason: Option<Reason>) {
        let mut ready = self.ready.lock().unwrap_or_else(PoisonError::into_inner);
        let before = match reason {
            Some(reason) => ready.insert(domain.into(), reason),
            None => ready.remove(domain),
        };
        if let Some(before) = before {
            self.domains.get_or_create(&ReadyLabels { reason: before.as_str() }).dec();
        }
        if let Some(reason) = reason {
            self.domains.get_or_create(&ReadyLabels { reason: reason.as_str() }).inc();
        }
    }
}

#[cfg(test)]
mod tests {
    use prometheus_client::encoding::text::encode;

    use super::*;

    #[test]
    fn a_policy_fails_as_long_as_any_of_its_name_does() {
        let mut registry = Registry::default();
        let metrics = PolicyMetrics::new(&mut registry);
        let failure = PolicyFailure { policy: "p".into(), reason: "Trap", message: String::new() };
        let tell = |id: &str, health| {
            let policies = PolicyRef { id: id.into(), title: "short 1.0".into(), needs: Default::default() };
            metrics.health(&policies, &health);
            let mut text = String::new();
            encode(&mut text, &registry).unwrap();
            text.lines().find(|line| line.starts_with("policy_failing{")).map(str::to_owned)
        };
        let is = |value: u8| Some(format!("policy_failing{{policy=\"short 1.0\"}} {value}"));
        assert_eq!(tell("configured", Health::Failing(failure.clone())), is(1));
        assert_eq!(tell("configured otherwise", Health::Failing(failure)), is(1));
        assert_eq!(tell("configured", Health::Well), is(1));
        assert_eq!(tell("configured otherwise", Health::Well), is(0));
    }

    #[test]
    fn policies_are_labels_up_to_a_bound() {
        let mut registry = Registry::default();
        let metrics = PolicyMetrics::new(&mut registry);
        for i in 0..40 {
            let title = format!("policy-{i} 1.0");
            let policies = PolicyRef { id: "x".into(), title: title.into(), needs: Default::default() };
            metrics.decided(&policies, Duration::from_micros(20), None);
        }
        metrics.told("a", Some(Reason::PoliciesActive));
        metrics.told("b", Some(Reason::PoliciesActive));
        metrics.told("a", Some(Reason::CandidateRefused));
        metrics.told("b", None);
        let mut text = String::new();
        encode(&mut text, &registry).unwrap();
        assert_eq!(text.matches("policy_decisions_total{").count(), 33);
        for line in [
            "policy_decisions_total{policy=\"other\",result=\"ok\"} 8",
            "policy_domains{reason=\"CandidateRefused\"} 1",
            "policy_domains{reason=\"PoliciesActive\"} 0",
        ] {
            assert!(text.contains(line), "{line}\n{text}");
        }
    }
}
