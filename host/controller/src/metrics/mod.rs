//! What is counted. Labels come from enums and constants only, never from text of users or servers.

mod policies;

use std::time::Duration;

use mcsdns_core::{
    decision::{PolicyFailure, PolicyRef},
    effect::Effect,
};
use mcsdns_runtime::Observer;
use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram, info::Info},
    registry::{Registry, Unit},
};

pub(crate) use self::policies::PolicyMetrics;
use crate::{tally::Tally, trouble::Kind};

/// Whose API server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Side {
    Host,
    Member,
}

impl Side {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Host => "host",
            Self::Member => "member",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct WatchLabels {
    side: &'static str,
    resource: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct WatchErrorLabels {
    side: &'static str,
    resource: &'static str,
    reason: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct WriteLabels {
    kind: &'static str,
    result: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct KindLabels {
    kind: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ResultLabels {
    result: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StateLabels {
    state: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ConditionLabels {
    condition: &'static str,
    status: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReasonLabels {
    reason: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct EffectLabels {
    effect: &'static str,
}

type Buckets = fn() -> Histogram;
type Durations<L> = Family<L, Histogram, Buckets>;

/// From what a decision without a sandbox takes to the largest budget.
fn microseconds() -> Histogram {
    Histogram::new([
        5e-6, 1e-5, 2e-5, 5e-5, 1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3, 1e-2, 2e-2, 5e-2, 1e-1, 2e-1, 5e-1, 1.0,
    ])
}

/// From a request on an idle machine to its timeout.
fn requests() -> Histogram {
    Histogram::new([1e-3, 2e-3, 5e-3, 1e-2, 2e-2, 5e-2, 1e-1, 2e-1, 5e-1, 1.0, 2.0, 5.0, 10.0, 30.0])
}

/// All counters of one controller.
pub(crate) struct Metrics {
    registry: Registry,
    decisions: Family<ResultLabels, Counter>,
    decision_time: Histogram,
    decision_wait: Histogram,
    index_time: Histogram,
    facts: Counter,
    effects: Family<EffectLabels, Counter>,
    watch_starts: Family<WatchLabels, Counter>,
    watch_errors: Family<WatchErrorLabels, Counter>,
    writes: Family<WriteLabels, Counter>,
    write_time: Durations<KindLabels>,
    queue: Family<StateLabels, Gauge>,
    events: Family<ResultLabels, Counter>,
    members: Family<StateLabels, Gauge>,
    leader: Gauge,
    records: Family<ConditionLabels, Gauge>,
    withheld: Family<ReasonLabels, Gauge>,
    lookups: Family<ResultLabels, Counter>,
    lookup_time: Histogram,
    /// Those of policies.
    pub(crate) policies: PolicyMetrics,
}

impl Metrics {
    /// Registers everything; `policy` and `digest` name the policy in the box.
    pub(crate) fn new(policy: &str, digest: &str) -> Self {
        let mut registry = Registry::with_prefix("mcsdns");
        let decisions = Family::default();
        registry.register("decisions", "Decisions asked of policies, by what came of them", decisions.clone());
        let decision_time = microseconds();
        let help = "Time that one decision takes, sandbox included";
        registry.register_with_unit("decision_duration", help, Unit::Seconds, decision_time.clone());
        let decision_wait = microseconds();
        let help = "Time that a decision waits for a free thread";
        registry.register_with_unit("decision_wait", help, Unit::Seconds, decision_wait.clone());
        let index_time = microseconds();
        let help = "Time for which the Index is busy with one batch of facts";
        registry.register_with_unit("index_busy", help, Unit::Seconds, index_time.clone());
        let facts = Counter::default();
        registry.register("facts", "Changes that the Index was told", facts.clone());
        let effects = Family::default();
        registry.register("effects", "Things that the Index wanted done, by kind", effects.clone());

        let watch_starts = Family::default();
        registry.register("watch_starts", "Lists and watches begun from the beginning", watch_starts.clone());
        let watch_errors = Family::default();
        registry.register("watch_errors", "Lists and watches that failed or broke, by reason", watch_errors.clone());

        let writes = Family::default();
        registry.register("writes", "Writes to the host cluster, by kind and result", writes.clone());
        let write_time = Durations::new_with_constructor(requests as Buckets);
        let help = "Time that a write takes at the API server";
        registry.register_with_unit("write_duration", help, Unit::Seconds, write_time.clone());
        let queue = Family::default();
        registry.register("write_queue", "Writes that wait, are under way or are to be retried", queue.clone());
        let events = Family::default();
        registry.register("events", "Kubernetes Events, by what became of them", events.clone());

        let members = Family::default();
        registry.register("members", "Member clusters, by state", members.clone());
        let leader = Gauge::default();
        registry.register("leader", "1 while this process may write", leader.clone());
        let records = Family::default();
        registry.register("records", "Records, by condition and its status", records.clone());
        let withheld = Family::default();
        registry.register("withheld_names", "Names that are wanted but not published, by reason", withheld.clone());
        let lookups = Family::default();
        registry.register("lookups", "Host names looked up, by result", lookups.clone());
        let lookup_time = requests();
        let help = "Time that the lookup of a host name takes";
        registry.register_with_unit("lookup_duration", help, Unit::Seconds, lookup_time.clone());
        let policies = PolicyMetrics::new(&mut registry);
        let build = [
            ("version", env!("CARGO_PKG_VERSION").to_owned()),
            ("policy", policy.to_owned()),
            ("policy_digest", digest.to_owned()),
        ];
        registry.register("build", "Version of the controller and the policy in the box", Info::new(build.to_vec()));

        Self {
            registry,
            decisions,
            decision_time,
            decision_wait,
            index_time,
            facts,
            effects,
            watch_starts,
            watch_errors,
            writes,
            write_time,
            queue,
            events,
            members,
            leader,
            records,
            withheld,
            lookups,
            lookup_time,
            policies,
        }
    }

    /// The text that `/metrics` answers.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        // Writing to a String cannot fail.
        let _ = encode(&mut text, &self.registry);
        text
    }

    pub(crate) fn watch_started(&self, side: Side, resource: &'static str) {
        self.watch_starts.get_or_create(&WatchLabels { side: side.as_str(), resource }).inc();
    }

    pub(crate) fn watch_failed(&self, side: Side, resource: &'static str, kind: Kind) {
        let labels = WatchErrorLabels { side: side.as_str(), resource, reason: kind.as_str() };
        self.watch_errors.get_or_create(&labels).inc();
    }

    /// A write ended; `result` is `ok`, `gone` or the reason of a failure.
    pub(crate) fn wrote(&self, kind: &'static str, result: &'static str, took: Duration) {
        self.writes.get_or_create(&WriteLabels { kind, result }).inc();
        self.write_time.get_or_create(&KindLabels { kind }).observe(took.as_secs_f64());
    }

    pub(crate) fn queue_is(&self, ready: usize, busy: usize, retrying: usize) {
        for (state, count) in [("ready", ready), ("busy", busy), ("retrying", retrying)] {
            self.queue.get_or_create(&StateLabels { state }).set(i64::try_from(count).unwrap_or(i64::MAX));
        }
    }

    pub(crate) fn event(&self, result: &'static str) {
        self.events.get_or_create(&ResultLabels { result }).inc();
    }

    /// A member is in another state than before; `None`: it was not there, or is not there any more.
    pub(crate) fn member_moved(&self, from: Option<&'static str>, to: Option<&'static str>) {
        if let Some(state) = from {
            self.members.get_or_create(&StateLabels { state }).dec();
        }
        if let Some(state) = to {
            self.members.get_or_create(&StateLabels { state }).inc();
        }
    }

    pub(crate) fn records(&self, tally: &Tally) {
        self.records.clear();
        for (&(condition, status), count) in &tally.conditions {
            self.records.get_or_create(&ConditionLabels { condition, status }).set(*count);
        }
        self.withheld.clear();
        for (&reason, count) in &tally.withheld {
            self.withheld.get_or_create(&ReasonLabels { reason }).set(*count);
        }
    }

    pub(crate) fn leading(&self, leading: bool) {
        self.leader.set(i64::from(leading));
    }
}

impl Observer for Metrics {
    fn decided(&self, policies: &PolicyRef, took: Duration, failure: Option<&PolicyFailure>) {
        let result = failure.map_or("ok", |failure| failure.reason);
        self.decisions.get_or_create(&ResultLabels { result }).inc();
        self.decision_time.observe(took.as_secs_f64());
        self.policies.decided(policies, took, failure);
    }

    fn waited(&self, wait: Duration) {
        self.decision_wait.observe(wait.as_secs_f64());
    }

    fn applied(&self, facts: usize, _effects: usize, took: Duration) {
        self.facts.inc_by(u64::try_from(facts).unwrap_or(u64::MAX));
        self.index_time.observe(took.as_secs_f64());
    }

    fn effect(&self, effect: &Effect) {
        let effect = match effect {
            Effect::Decide { .. } => "decide",
            Effect::ApplyEndpoints { .. } => "apply-endpoints",
            Effect::DeleteEndpoints { .. } => "delete-endpoints",
            Effect::RecordStatus { .. } => "record-status",
            Effect::DomainStatus { .. } => "domain-status",
            Effect::MemberStatus { .. } => "member-status",
            Effect::Resolve(_) => "resolve",
            Effect::Forget(_) => "forget",
            Effect::WakeAt(_) => "wake",
            Effect::Notice { .. } => "notice",
        };
        self.effects.get_or_create(&EffectLabels { effect }).inc();
    }

    fn resolved(&self, took: Duration, answered: bool) {
        let result = if answered { "ok" } else { "failed" };
        self.lookups.get_or_create(&ResultLabels { result }).inc();
        self.lookup_time.observe(took.as_secs_f64());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_is_what_prometheus_reads() {
        let metrics = Metrics::new("default 0.1.0", "sha256:abc");
        metrics.wrote("endpoints", "ok", Duration::from_millis(3));
        metrics.watch_failed(Side::Member, "services", Kind::Forbidden);
        metrics.member_moved(None, Some("reachable"));
        metrics.member_moved(Some("reachable"), Some("unreachable"));
        metrics.leading(true);
        metrics.decided(
            &PolicyRef { id: "x".into(), title: "x".into(), needs: Default::default() },
            Duration::from_micros(12),
            None,
        );
        let text = metrics.text();
        for line in [
            "mcsdns_writes_total{kind=\"endpoints\",result=\"ok\"} 1",
            "mcsdns_watch_errors_total{side=\"member\",resource=\"services\",reason=\"Forbidden\"} 1",
            "mcsdns_members{state=\"reachable\"} 0",
            "mcsdns_members{state=\"unreachable\"} 1",
            "mcsdns_leader 1",
            "mcsdns_decisions_total{result=\"ok\"} 1",
            "mcsdns_decision_duration_seconds_bucket{le=\"0.00002\"} 1",
            "mcsdns_build_info{",
        ] {
            assert!(text.contains(line), "{line}\n{text}");
        }
        assert!(text.ends_with("# EOF\n"));
    }
}
