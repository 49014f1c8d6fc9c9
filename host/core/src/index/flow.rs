//! From news to a look at the clusters and a question to the policies; then to the plan ([`super::replan`]).

use std::{collections::BTreeSet, sync::Arc};

use jiff::Timestamp;

use super::{
    Depth, Index,
    fleet::Cluster,
    observe::{self, Observation, View},
    record::{DomainView, Entry, Question, Standing, check_spec, object_key},
};
use crate::{
    decision::{self, ClusterState, DecisionInput, InputHash, Needs, PolicyRef, Subject},
    effect::Effect,
    facts::{Ingress, Owner, RecordSpec},
    ids::{ClusterName, ObjectKey},
    plan::{Endpoint, Targets},
    planner,
    reason::Reason,
};

impl Index {
    /// Looks at every touched record; planning one may touch others that want the same names.
    pub(super) fn flush(&mut self, out: &mut Vec<Effect>) {
        if !self.host_synced() {
            return;
        }
        while let Some((key, depth)) = self.dirty.pop_first() {
            match depth {
                Depth::Observe => self.observe(&key, None, out),
                Depth::ObserveOne(cluster) => self.observe(&key, Some(&cluster), out),
                Depth::Plan => {}
            }
            self.replan(&key, out);
        }
        // After everything that came at once: what is true only halfway through is not worth a write.
        while let Some(member) = self.unreported.pop_first() {
            self.report_member(&member, out);
        }
        self.wake(out);
    }

    /// What counts as published: what we want published, or else what was found. Whoever does not lead wants nothing:
    /// the leader may see what we cannot.
    pub(super) fn base(&self, key: &ObjectKey, entry: &Entry) -> Arc<[Endpoint]> {
        if let Some(desired) = entry.desired.as_ref().filter(|_| self.leading) {
            return Arc::clone(desired);
        }
        match self.published.get(&object_key(key)) {
            Some(published) if !matches!(published.owner, Owner::Foreign(_)) => understood(&published.endpoints),
            _ => Arc::new([]),
        }
    }

    /// Looks at the clusters, or at the one about which there is news, and asks the policies if anything they are told has
    /// changed.
    fn observe(&mut self, key: &ObjectKey, only: Option<&ClusterName>, out: &mut Vec<Effect>) {
        let Some(entry) = self.records.get_mut(key) else {
            return;
        };
        let last = std::mem::take(&mut entry.observations);
        let Some(entry) = self.records.get(key) else {
            return;
        };
        let (spec, domain) = match self.usable(entry) {
            Ok(usable) => usable,
            Err((reason, message)) => {
                if let Some(entry) = self.records.get_mut(key) {
                    entry.standing = Standing::Held(reason, message);
                    entry.asked = None;
                    // What is said now must be the same after a restart, when nothing has been observed: `observations`
                    // stays empty.
                    entry.plan = planner::Plan::default();
                }
                return;
            }
        };
        let view = View {
            record: key,
            spec,
            hosts: &self.hosts,
            now: self.now,
            grace_seconds: domain.grace_seconds.unwrap_or(self.settings.grace_seconds),
            starting_seconds: self.settings.starting_seconds,
        };
        let base = self.base(key, entry);
        let observe = |name: &ClusterName, cluster: &Cluster| {
            let before = entry.memory.binary_search_by(|before| before.cluster.cmp(name)).ok();
            let before = before.and_then(|i| entry.memory.get(i));
            let mut observation = observe::observe(&view, name, cluster, before);
            let seen = last.binary_search_by(|seen| seen.cluster.cmp(name)).ok().and_then(|i| last.get(i));
            if let Some(seen) = seen {
                observation.go_on_accounting(seen, &base);
            }
            observation
        };
        let one = only.filter(|_| last.len() == self.clusters.len()).and_then(|name| {
            let at = last.binary_search_by(|observation| observation.cluster.cmp(name)).ok()?;
            Some((at, name, self.clusters.get(name)?))
        });
        let observations: Vec<Observation> = match one {
            Some((at, name, cluster)) => {
                let new = observe(name, cluster);
                let mut observations = last;
                if let Some(observation) = observations.get_mut(at) {
                    *observation = new;
                }
                observations
            }
            None => self.clusters.iter().map(|(name, cluster)| observe(name, cluster)).collect(),
        };
        let hosts: BTreeSet<Arc<str>> = observations
            .iter()
            .flat_map(|observation| observation.ingress.iter())
            .filter_map(|ingress| match ingress {
                Ingress::HostName(name) => Some(Arc::clone(name)),
                Ingress::Ip(_) => None,
            })
            .collect();
        let frozen = observations.iter().all(|observation| observation.state == ClusterState::Unreachable);
        let policies = self.in_force(&spec.domain_ref);
        let domain_ref = Arc::clone(&spec.domain_ref);
        let question = match policies {
            Err(held) => Err(Some(held)),
            Ok(_) if frozen => Err(None),
            Ok(policies) => {
                let input = self.question(key, entry, spec, &domain, &observations, &policies.needs);
                Ok((policies, input))
            }
        };

        let now = self.now;
        let Some(entry) = self.records.get_mut(key) else {
            return;
        };
        let old_hosts = std::mem::replace(&mut entry.hosts, hosts);
        let new_hosts = entry.hosts.clone();
        // The status has the same list, so it is kept as long as it says the same.
        let same = entry.memory.len() == observations.len()
            && observations.iter().zip(&*entry.memory).all(|(observation, status)| observation.is_as(status));
        if !same {
            entry.memory = observations.iter().map(Observation::to_status).collect();
        }
        entry.observations = observations;
        if question.is_err() && entry.edited {
            // Nobody will say soon what it wants now, and what it wanted before is no claim against others.
            entry.answered = None;
        }
        match question {
            Err(Some((reason, message))) => {
                entry.asked = None;
                entry.standing = Standing::Held(reason, message);
            }
            Err(None) => {
                entry.asked = None;
                entry.standing = Standing::Held(
                    if entry.observations.is_empty() { Reason::Kept } else { Reason::Frozen },
                    if entry.observations.is_empty() {
                        "there are no member clusters".to_owned()
                    } else {
                        "no member cluster can be seen".to_owned()
                    },
                );
            }
            Ok((policies, input)) => {
                if matches!(entry.standing, Standing::Held(..)) {
                    entry.standing = Standing::Pending;
                }
                let due = entry.ask_again.is_some_and(|at| at <= now);
                let is_same = |question: &Question| question.policies == policies && *question.input == input;
                if entry.asked.as_ref().is_some_and(is_same) {
                    // On its way.
                } else if !due && entry.answered.as_ref().is_some_and(|(question, _)| is_same(question)) {
                    entry.asked = None;
                    entry.edited = false;
                } else {
                    entry.ask_again = None;
                    ask(key, entry, input, policies, domain_ref, now, out);
                }
            }
        }
        self.hosts.set_users(key, &old_hosts, &new_hosts, out);
    }

    /// The specification and Domain of a record, or what stands in the way.
    pub(super) fn usable<'a>(&'a self, entry: &'a Entry) -> Result<(&'a RecordSpec, DomainView), (Reason, String)> {
        if let Err(malformed) = &entry.record.spec {
            return Err((Reason::Malformed, malformed.message.clone()));
        }
        let spec = entry.spec.as_ref().ok_or_else(|| (Reason::Malformed, "the record could not be read".to_owned()))?;
        check_spec(spec).map_err(|message| (Reason::InvalidSpec, message))?;
        let Some(domain) = self.domains.get(&spec.domain_ref) else {
            let message = format!(
                "Domain {} does not exist; create it in the namespace of the controller or change spec.domainRef",
                spec.domain_ref
            );
            return Err((Reason::DomainNotFound, message));
        };
        match (&domain.view, &domain.problem) {
            (Some(view), _) => Ok((spec, view.clone())),
            (None, Some((_, message))) => Err((Reason::DomainInvalid, message.clone())),
            (None, None) => Err((Reason::DomainInvalid, format!("Domain {} is not usable", spec.domain_ref))),
        }
    }

    pub(super) fn question(
        &self,
        key: &ObjectKey,
        entry: &Entry,
        spec: &RecordSpec,
        domain: &DomainView,
        observations: &[Observation],
        needs: &Needs,
    ) -> DecisionInput {
        let lower = |text: &Option<Arc<str>>| {
            text.as_ref().filter(|text| !text.is_empty()).map(|text| {
                if text.bytes().any(|b| b.is_ascii_uppercase()) {
                    text.to_ascii_lowercase().into()
                } else {
                    Arc::clone(text)
                }
            })
        };
        let annotations = needs
            .annotations
            .iter()
            .filter_map(|key| entry.record.annotations.iter().find(|(known, _)| **known == **key).cloned())
            .collect();
        let clusters = self
            .clusters
            .values()
            .zip(observations)
            .map(|(cluster, observation)| decision::Cluster {
                name: Arc::clone(&observation.cluster.0),
                region: cluster.region_index,
                zones: Arc::clone(&cluster.zone_indexes),
                labels: needs
                    .cluster_labels
                    .iter()
                    .zip(0..)
                    .filter_map(|(key, i)| {
                        let (_, value) = cluster.member.labels.iter().find(|(known, _)| **known == **key)?;
                        Some((i, Arc::clone(value)))
                    })
                    .collect(),
                state: observation.state,
                state_for_seconds: None,
                // The number itself is nobody's business unless it decides something: rollouts change it all the time.
                ready_endpoints: if needs.ready_endpoints { observation.ready } else { observation.ready.min(1) },
                addresses: Arc::clone(&observation.addresses),
            })
            .collect();
        DecisionInput {
            subject: Subject {
                service: Arc::clone(&key.name),
                namespace: Arc::clone(&key.namespace),
                federation: Arc::clone(&spec.domain_ref),
                domain: Arc::clone(&domain.zone),
                external_name: lower(&spec.external_name),
                dns_prefix: lower(&spec.dns_prefix),
                record_ttl: spec.record_ttl.and_then(|ttl| u32::try_from(ttl).ok()).filter(|ttl| *ttl > 0),
                annotations,
            },
            places: Arc::clone(&self.places),
            clusters,
        }
    }

    /// Notes when to look at the record again without news.
    pub(super) fn schedule(&mut self, key: &ObjectKey) {
        let starting = self
            .clusters
            .values()
            .filter_map(|cluster| cluster.starting_until(self.settings.starting_seconds))
            .filter(|until| *until > self.now)
            .min();
        let Some(entry) = self.records.get_mut(key) else {
            return;
        };
        let expiry = entry.observations.iter().filter_map(|observation| observation.expires).min();
        let next: Option<Timestamp> =
            [expiry, entry.ask_again, starting].into_iter().flatten().filter(|at| *at > self.now).min();
        if next == entry.wake {
            return;
        }
        if let Some(old) = std::mem::replace(&mut entry.wake, next) {
            self.wakes.remove(&(old, key.clone()));
        }
        if let Some(next) = next {
            self.wakes.insert((next, key.clone()));
        }
    }

    fn wake(&mut self, out: &mut Vec<Effect>) {
        let next = [self.wakes.first().map(|(at, _)| *at), self.member_wake].into_iter().flatten().min();
        if next.is_some() && next != self.wake_sent {
            out.extend(next.map(Effect::WakeAt));
        }
        self.wake_sent = next;
    }
}

/// Without what is none of ours and was never planned (another type, targets that are no addresses): it is not written
/// again.
pub(super) fn understood(found: &Arc<[Endpoint]>) -> Arc<[Endpoint]> {
    let foreign = |endpoint: &Endpoint| matches!(endpoint.targets, Targets::Other(_));
    if found.iter().any(foreign) {
        return found.iter().filter(|endpoint| !foreign(endpoint)).cloned().collect();
    }
    Arc::clone(found)
}

fn ask(
    key: &ObjectKey,
    entry: &mut Entry,
    input: DecisionInput,
    policies: PolicyRef,
    domain: Arc<str>,
    now: Timestamp,
    out: &mut Vec<Effect>,
) {
    let hash: InputHash = input.hash(&policies.id);
    let bare = Arc::new(input);
    let mut asked = Arc::clone(&bare);
    if policies.needs.state_age {
        add_ages(Arc::make_mut(&mut asked), &entry.observations, now);
    }
    entry.asked = Some(Question { hash, input: bare, policies: policies.clone() });
    out.push(Effect::Decide { record: key.clone(), hash, policies, domain, input: asked });
}

/// How long the states of the clusters have lasted.
pub(super) fn add_ages(input: &mut DecisionInput, observations: &[Observation], now: Timestamp) {
    for (cluster, observation) in input.clusters.iter_mut().zip(observations) {
        let age = now.as_second().saturating_sub(observation.since.as_second()).max(0);
        cluster.state_for_seconds = Some(u32::try_from(age).unwrap_or(u32::MAX));
    }
}
