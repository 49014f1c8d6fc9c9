//! Statuses: what was published, what was not, and why.

use std::{collections::BTreeSet, sync::Arc};

use jiff::Timestamp;

use super::{
    Index,
    observe::Observation,
    policies::activations,
    record::{Entry, Standing, Verdict, object_key},
    replan::NOTHING_PUBLISHED,
};
use crate::{
    decision::ClusterState,
    effect::{About, Effect},
    facts::{Owner, Published, Reach},
    ids::{ClusterName, ObjectKey},
    plan::Endpoint,
    planner::NameOutcome,
    reason::Reason,
    status::{Condition, ConditionStatus, DomainStatus, MemberStatus, PublishedSummary, RecordStatus, Withheld},
};

/// Longest message of a condition that we write; Kubernetes allows 32,768.
const MAX_MESSAGE: usize = 1500;
/// Most withheld names that a status lists.
const MAX_WITHHELD: usize = 50;

impl Index {
    /// Works out the status of a record and sends it if it differs from what is observed.
    pub(super) fn report(&mut self, key: &ObjectKey, out: &mut Vec<Effect>) {
        let Some(entry) = self.records.get(key) else {
            return;
        };
        let base = self.base(key, entry);
        let object = self.published.get(&object_key(key));
        let status = self.record_status(key, entry, &base, object);
        let in_order = object.is_some_and(|object| object.endpoints == base) || (object.is_none() && base.is_empty());
        // A write that is on its way will be observed in a moment; one status then says it all.
        let in_flight = !in_order && entry.sent.is_some() && entry.write_failed.is_none();
        let unsettled = entry.record.status.is_some() && self.is_unsettled();
        let unread = matches!(entry.standing, Standing::Held(Reason::PolicyPending, _));
        let hold = entry.asked.is_some() || entry.waiting || unsettled || in_flight || unread;

        let leading = self.leading;
        let Some(entry) = self.records.get_mut(key) else {
            return;
        };
        let observed = entry.record.status.as_ref();
        let status = match observed {
            Some(observed) if **observed == status => Arc::clone(observed),
            _ => match &entry.status {
                Some(known) if **known == status => Arc::clone(known),
                _ => Arc::new(status),
            },
        };
        entry.status = Some(Arc::clone(&status));
        if !leading || hold || entry.record.meta.deleting {
            return;
        }
        if observed == Some(&status) {
            entry.status_sent = None;
            return;
        }
        if entry.status_sent.as_ref() == Some(&status) {
            return;
        }
        let before = entry.status_sent.as_ref().or(observed).map(|before| before.conditions.clone());
        entry.status_sent = Some(Arc::clone(&status));
        let about = About::Record(key.clone(), Arc::clone(&entry.record.meta.uid));
        notices(&about, before.as_deref().unwrap_or_default(), &status.conditions, out);
        out.push(Effect::RecordStatus { record: key.clone(), status });
    }

    /// Some cluster was added a moment ago and is still being read: nothing is said about it yet.
    pub(super) fn is_unsettled(&self) -> bool {
        self.clusters.values().any(|cluster| cluster.starting(self.now, self.settings.starting_seconds))
    }

    fn record_status(
        &self,
        key: &ObjectKey,
        entry: &Entry,
        base: &Arc<[Endpoint]>,
        object: Option<&Published>,
    ) -> RecordStatus {
        let observed = entry.record.status.as_deref();
        let domain = entry
            .spec
            .as_ref()
            .and_then(|spec| self.domains.get(&spec.domain_ref))
            .and_then(|domain| domain.view.as_ref())
            .map(|view| Arc::clone(&view.zone))
            .or_else(|| observed.and_then(|observed| observed.domain.clone()));
        let accepted = accepted(entry);
        let programmed = programmed(key, entry, base, object);
        let degraded = self.degraded(entry);
        let generation = entry.record.meta.generation;
        // Times count from what was said before, not from what was merely thought (while a write is held back).
        let known =
            entry.status_sent.as_deref().or(observed).map(|known| known.conditions.as_slice()).unwrap_or_default();
        let conditions = [accepted, programmed, degraded]
            .into_iter()
            .map(|condition| settle(condition, known, generation, self.now))
            .collect();
        let names: BTreeSet<&str> = base.iter().map(|endpoint| &*endpoint.dns_name).collect();
        let ours = !object.is_some_and(|object| matches!(object.owner, Owner::Foreign(_)));
        let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let mut withheld = entry.plan.withheld.clone();
        if withheld.len() > MAX_WITHHELD {
            let more = withheld.len() - MAX_WITHHELD;
            withheld.truncate(MAX_WITHHELD);
            if let Some(last) = withheld.last_mut() {
                last.message = format!("{} (and {more} more names)", last.message).into();
            }
        }
        RecordStatus {
            domain,
            dns: Arc::clone(&entry.memory),
            observed_generation: generation,
            conditions,
            published: PublishedSummary {
                dns_endpoint: (ours && !base.is_empty()).then(|| object_key(key).name),
                names: if ours { count(names.len()) } else { 0 },
                endpoints: if ours { count(base.len()) } else { 0 },
                policy: match &entry.answered {
                    Some((question, _)) => Some(Arc::clone(&question.policies.title)),
                    None => observed.and_then(|observed| observed.published.policy.clone()),
                },
            },
            withheld,
        }
    }

    /// Everything that is not as it should be, worst first.
    fn degraded(&self, entry: &Entry) -> Condition {
        let mut problems: Vec<(Reason, String)> = Vec::new();
        let answered = entry.answered.as_ref().filter(|_| !matches!(entry.standing, Standing::Held(..)));
        match answered {
            Some((question, Verdict::Failed(failure))) => problems.push((
                Reason::PolicyFailed,
                format!(
                    "policy {} gave no answer ({}: {}); what is published stays",
                    question.policies.title, failure.reason, failure.message
                ),
            )),
            Some((question, Verdict::Violated(violation))) => problems.push((
                Reason::PolicyViolation,
                format!(
                    "policy {} broke the rule {}: {violation}; what is published stays",
                    question.policies.title, violation.rule
                ),
            )),
            Some((_, Verdict::Answer(_))) | None => {}
        }
        if let Standing::Held(reason @ (Reason::PolicyUnavailable | Reason::PolicyPending), why) = &entry.standing {
            problems.push((*reason, format!("{why}; what is published stays")));
        }
        problems.extend(entry.plan.withheld.iter().map(|w: &Withheld| (reason_of(w), w.message.to_string())));
        problems.extend(entry.plan.tight.iter().map(|refusal| (refusal.reason, refusal.message.to_string())));
        for observation in &entry.observations {
            problems.extend(observation.problem.as_deref().cloned().map(|(reason, message)| {
                let frozen = matches!(entry.standing, Standing::Held(Reason::Frozen, _));
                let message = match (observation.state, observation.expired, observation.addresses.is_empty()) {
                    // "Its last known state counts" has been said already.
                    (ClusterState::Unreachable, ..) if reason != Reason::ClusterUnreachable => message,
                    (ClusterState::Unreachable, ..) if frozen => format!("{message}; what is published stays"),
                    (ClusterState::Unreachable, true, _) => {
                        format!("{message}; its grace period is over and it counts as having nothing")
                    }
                    (ClusterState::Unreachable, false, false) => {
                        let until = observation.expires.map_or_else(String::new, |at| format!(" until {}", whole(at)));
                        format!("{message}; its last known addresses count{until}")
                    }
                    _ => message,
                };
                (reason, message)
            }));
        }
        for observation in &entry.observations {
            if observation.region.is_none() && !observation.ingress.is_empty() {
                problems.push((
                    Reason::RegionUnknown,
                    format!(
                        "cluster {} has no region: it counts for the global name only; label its Nodes with topology.kubernetes.io/region or set spec.region of its MemberCluster",
                        observation.cluster
                    ),
                ));
            }
        }
        if entry.plan.preserved {
            problems.push((
                Reason::Kept,
                "published addresses that may belong to a cluster that is not known yet were kept".to_owned(),
            ));
        }
        if let Some(domain) = entry.spec.as_ref().and_then(|spec| self.domains.get(&spec.domain_ref))
            && let (Some(_), Some((reason, message))) = (&domain.view, &domain.problem)
        {
            problems.push((*reason, format!("{message}; its last good content counts")));
        }
        match problems.first() {
            None => Condition::new("Degraded", ConditionStatus::False, Reason::AsExpected, "nothing is wrong"),
            Some((reason, _)) => {
                let message = join(problems.iter().map(|(_, message)| message.as_str()));
                Condition::new("Degraded", ConditionStatus::True, *reason, message)
            }
        }
    }

    pub(super) fn report_domain(&mut self, name: &Arc<str>, out: &mut Vec<Effect>) {
        // One status says all, so it waits for what is to be said about policies.
        let leading = self.leading && self.host_synced() && !self.awaits_policies(name);
        let now = self.now;
        let Some(entry) = self.domains.get(name) else {
            return;
        };
        let (policies_ready, policies) = self.policies_of(name, entry);
        let Some(entry) = self.domains.get_mut(name) else {
            return;
        };
        let generation = entry.domain.meta.generation;
        let condition = match (&entry.problem, &entry.view) {
            (None, Some(view)) => Condition::new(
                "Accepted",
                ConditionStatus::True,
                Reason::Accepted,
                format!("names end with {}", view.zone),
            ),
            (Some((reason, message)), view) => {
                let tail = if view.is_some() { "; its last good content counts" } else { "" };
                Condition::new("Accepted", ConditionStatus::False, *reason, format!("{message}{tail}"))
            }
            (None, None) => Condition::new("Accepted", ConditionStatus::Unknown, Reason::Pending, ""),
        };
        let observed = entry.domain.status.as_ref();
        let known = observed.map(|observed| observed.conditions.clone()).unwrap_or_default();
        let status = Arc::new(DomainStatus {
            observed_generation: generation,
            conditions: [Some(condition), policies_ready]
                .into_iter()
                .flatten()
                .map(|condition| settle(condition, &known, generation, now))
                .collect(),
            policies,
        });
        if !leading || observed == Some(&status) || entry.status_sent.as_ref() == Some(&status) {
            return;
        }
        entry.status_sent = Some(Arc::clone(&status));
        let about = About::Domain(Arc::clone(name), Arc::clone(&entry.domain.meta.uid));
        notices(&about, &known, &status.conditions, out);
        let active = entry.domain.status.as_ref().map(|status| status.policies.as_slice()).unwrap_or_default();
        activations(&about, active, &status.policies, out);
        out.push(Effect::DomainStatus { domain: Arc::clone(name), status });
    }

    pub(super) fn report_member(&mut self, name: &ClusterName, out: &mut Vec<Effect>) {
        let leading = self.leading && self.host_synced();
        let (now, window) = (self.now, self.settings.starting_seconds);
        let Some(cluster) = self.clusters.get_mut(name) else {
            return;
        };
        if let Some(until) = cluster.starting_until(window).filter(|until| now < *until) {
            // Say nothing before there is something to say.
            self.member_wake = [self.member_wake, Some(until)].into_iter().flatten().min();
            return;
        }
        let failures = || join(cluster.watch_failures.values().map(String::as_str));
        let ready = if let Some(malformed) = &cluster.member.malformed {
            Condition::new("Ready", ConditionStatus::False, Reason::Malformed, malformed.message.as_str())
        } else if let Reach::Unreachable { reason, message, .. } = &cluster.reach
            && (cluster.returning.is_none() || cluster.watch_failures.is_empty())
        {
            let mut condition = Condition::new("Ready", ConditionStatus::False, Reason::Unreachable, message.as_str());
            condition.reason = (*reason).into();
            condition
        } else if !cluster.watch_failures.is_empty() {
            Condition::new("Ready", ConditionStatus::False, Reason::ClusterForbidden, failures())
        } else if cluster.synced() {
            Condition::new(
                "Ready",
                ConditionStatus::True,
                Reason::Connected,
                "its Services, EndpointSlices and Nodes are watched",
            )
        } else {
            Condition::new("Ready", ConditionStatus::Unknown, Reason::Syncing, "it has not been read yet")
        };
        let location = &cluster.location;
        let places = if let Some(invalid) = location.invalid.first() {
            let words = format!("`{invalid}` is not a DNS label and gets no names; set spec.region and spec.zones");
            Condition::new("PlacesKnown", ConditionStatus::False, Reason::PlaceInvalid, words)
        } else if location.region.is_none() {
            let words = "no region: the cluster counts for the global name only; label its Nodes with topology.kubernetes.io/region or set spec.region";
            Condition::new("PlacesKnown", ConditionStatus::False, Reason::RegionUnknown, words)
        } else if location.remembered {
            let words = format!(
                "none of its Nodes names a region any more, the last known one ({}) counts; label them with topology.kubernetes.io/region or set spec.region",
                location.region.as_deref().unwrap_or_default()
            );
            Condition::new("PlacesKnown", ConditionStatus::False, Reason::RegionUnknown, words)
        } else if location.surplus > 0 {
            let words = format!(
                "its Nodes name {} zones, of which the first {} get names; set spec.zones",
                location.zones.len() + location.surplus,
                location.zones.len()
            );
            Condition::new("PlacesKnown", ConditionStatus::False, Reason::TooManyZones, words)
        } else if !location.mixed.is_empty() {
            let words = format!(
                "its Nodes name several regions ({}); that of most Nodes counts; set spec.region",
                location.mixed.join(", ")
            );
            Condition::new("PlacesKnown", ConditionStatus::False, Reason::RegionsMixed, words)
        } else {
            Condition::new("PlacesKnown", ConditionStatus::True, Reason::PlacesKnown, "region and zones are known")
        };
        let generation = cluster.member.meta.generation;
        let observed = cluster.member.status.as_ref();
        let known = observed.map(|observed| observed.conditions.clone()).unwrap_or_default();
        let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let status = Arc::new(MemberStatus {
            observed_generation: generation,
            conditions: [ready, places].into_iter().map(|c| settle(c, &known, generation, now)).collect(),
            region: location.region.clone(),
            zones: location.zones.to_vec(),
            version: match &cluster.reach {
                Reach::Reachable { version: Some(version) } => Some(Arc::clone(version)),
                _ => observed.and_then(|observed| observed.version.clone()),
            },
            nodes: cluster.nodes.as_ref().map_or_else(|| observed.map_or(0, |o| o.nodes), |nodes| count(nodes.len())),
            services: match (&cluster.services, observed) {
                (Some(_), _) => cluster.load_balancers,
                (None, Some(observed)) => observed.services,
                (None, None) => 0,
            },
        });
        if !leading || observed == Some(&status) || cluster.status_sent.as_ref() == Some(&status) {
            return;
        }
        cluster.status_sent = Some(Arc::clone(&status));
        let about = About::Member(name.clone(), Arc::clone(&cluster.member.meta.uid));
        notices(&about, &known, &status.conditions, out);
        out.push(Effect::MemberStatus { member: name.clone(), status });
    }
}

fn accepted(entry: &Entry) -> Condition {
    if let Standing::Held(reason, message) = &entry.standing
        && matches!(reason, Reason::Malformed | Reason::InvalidSpec | Reason::DomainNotFound | Reason::DomainInvalid)
    {
        return Condition::new(
            "Accepted",
            ConditionStatus::False,
            *reason,
            format!("{message}; what is published stays"),
        );
    }
    let refused = |outcome: &NameOutcome| matches!(outcome, NameOutcome::Withheld(_));
    if let Some(first) = entry.plan.names.first()
        && entry.plan.names.iter().all(|name| refused(&name.outcome))
        && let NameOutcome::Withheld(refusal) = &first.outcome
    {
        return Condition::new("Accepted", ConditionStatus::False, refusal.reason, Arc::clone(&refusal.message));
    }
    Condition::new("Accepted", ConditionStatus::True, Reason::Accepted, "the record is acted on")
}

fn programmed(key: &ObjectKey, entry: &Entry, base: &Arc<[Endpoint]>, object: Option<&Published>) -> Condition {
    let condition = |status, reason, message: String| Condition::new("Programmed", status, reason, message);
    let name = object_key(key);
    if let Some(Published { owner: Owner::Foreign(owner), .. }) = object {
        let message = format!(
            "DNSEndpoint {name} was made by {owner} and is not touched; delete it, or hand it over with the annotation {}=true, and its endpoints are replaced",
            crate::effect::ADOPT_ANNOTATION
        );
        return condition(ConditionStatus::False, Reason::ForeignObject, message);
    }
    if let Some(message) = &entry.write_failed {
        return condition(ConditionStatus::False, Reason::WriteFailed, format!("{message}; it is tried again"));
    }
    let observed = object.map(|object| Arc::clone(&object.endpoints)).unwrap_or_default();
    if observed != *base {
        return condition(
            ConditionStatus::False,
            Reason::Pending,
            format!("DNSEndpoint {name} is about to be written"),
        );
    }
    if base.is_empty() {
        let (reason, why) = match &entry.standing {
            Standing::Withdrawn(why) => (Reason::Withdrawn, why.clone()),
            Standing::Held(_, why) => (Reason::NothingToPublish, why.clone()),
            Standing::Pending => match &entry.answered {
                Some((_, Verdict::Failed(_))) => (Reason::PolicyFailed, "the policy gave no answer".to_owned()),
                Some((_, Verdict::Violated(_))) => (Reason::PolicyViolation, "the policy broke a rule".to_owned()),
                Some((_, Verdict::Answer(_))) | None => {
                    (Reason::PolicyPending, "the policy has not answered yet".to_owned())
                }
            },
            Standing::Planned | Standing::Kept(_) => match entry.plan.withheld.first() {
                Some(withheld) if entry.plan.names.iter().all(|name| !publishes(&name.outcome)) => {
                    (Reason::NothingToPublish, withheld.message.to_string())
                }
                _ => (Reason::NothingToPublish, summary(&entry.observations)),
            },
        };
        return condition(ConditionStatus::False, reason, format!("{NOTHING_PUBLISHED}{why}"));
    }
    let names: BTreeSet<&str> = base.iter().map(|endpoint| &*endpoint.dns_name).collect();
    let what = format!("{} endpoints for {} names in DNSEndpoint {name}", base.len(), names.len());
    match &entry.standing {
        Standing::Held(Reason::Frozen, why) => {
            condition(ConditionStatus::True, Reason::Frozen, format!("{what}; frozen because {why}"))
        }
        Standing::Held(_, why) | Standing::Kept(why) => {
            condition(ConditionStatus::True, Reason::Kept, format!("{what}; kept as last published because {why}"))
        }
        Standing::Planned | Standing::Pending | Standing::Withdrawn(_) => {
            let clamped = entry.plan.clamped.map_or_else(String::new, |clamped| {
                format!("; TTL {} instead of {} by minTTL or maxTTL of the Domain", clamped.published, clamped.wanted)
            });
            condition(ConditionStatus::True, Reason::Programmed, format!("{what}{clamped}"))
        }
    }
}

const fn publishes(outcome: &NameOutcome) -> bool {
    matches!(outcome, NameOutcome::Addresses | NameOutcome::Alias(_) | NameOutcome::Kept)
}

/// Why nothing is there, cluster by cluster.
pub(super) fn summary(observations: &[Observation]) -> String {
    let words = observations.iter().map(|observation| match (observation.problem.as_deref(), observation.state) {
        (Some((_, message)), _) => message.clone(),
        (None, ClusterState::NoService) => {
            format!("cluster {} has no Service of that name and type LoadBalancer", observation.cluster)
        }
        (None, ClusterState::Serving) => format!("cluster {} serves", observation.cluster),
        (None, _) => format!("cluster {} is not known yet", observation.cluster),
    });
    let words: Vec<String> = words.collect();
    if words.is_empty() {
        "there are no member clusters".to_owned()
    } else {
        join(words.iter().map(String::as_str)).to_string()
    }
}

/// Joins messages without repetition, up to a bound.
fn join<'a>(messages: impl Iterator<Item = &'a str>) -> Arc<str> {
    let mut seen = BTreeSet::new();
    let (mut text, mut left) = (String::new(), 0);
    for message in messages.filter(|message| seen.insert(*message)) {
        if text.len() + message.len() > MAX_MESSAGE && !text.is_empty() {
            left += 1;
        } else {
            if !text.is_empty() {
                text.push_str("; ");
            }
            text.extend(message.chars().take(MAX_MESSAGE));
        }
    }
    if left > 0 {
        text.push_str(&format!("; and {left} more"));
    }
    text.into()
}

/// Keeps the time of a condition whose status has not changed.
fn settle(mut condition: Condition, known: &[Condition], generation: i64, now: Timestamp) -> Condition {
    condition.observed_generation = generation;
    let before = known.iter().find(|before| before.kind == condition.kind && before.status == condition.status);
    condition.since = before.map_or_else(|| whole(now), |before| before.since);
    condition
}

/// Kubernetes keeps whole seconds.
pub(super) fn whole(time: Timestamp) -> Timestamp {
    Timestamp::from_second(time.as_second()).unwrap_or(time)
}

fn reason_of(withheld: &Withheld) -> Reason {
    [Reason::NameConflict, Reason::NameTooLong, Reason::NameInvalid]
        .into_iter()
        .find(|reason| reason.as_str() == &*withheld.reason)
        .unwrap_or(Reason::NameInvalid)
}

/// One notice per condition whose status or reason changed.
fn notices(about: &About, before: &[Condition], after: &[Condition], out: &mut Vec<Effect>) {
    for condition in after {
        let known = before.iter().find(|before| before.kind == condition.kind);
        if known.is_some_and(|known| known.status == condition.status && known.reason == condition.reason) {
            continue;
        }
        let good = (&*condition.kind == "Degraded") == (condition.status == ConditionStatus::False);
        if known.is_none() && good {
            // A new object that is all right: one notice (Programmed) is enough.
            if &*condition.kind != "Programmed" {
                continue;
            }
        }
        out.push(Effect::Notice {
            about: about.clone(),
            warning: !good,
            reason: Arc::clone(&condition.reason),
            note: condition.message.to_string(),
        });
    }
}
