//! From what is known of a record to what should be done about it.

use std::{
    collections::{BTreeSet, HashSet},
    net::IpAddr,
    sync::Arc,
};

use jiff::{SignedDuration, Timestamp};

use super::{
    Depth, Index,
    claims::Rank,
    fleet::Cluster,
    observe::{self, Observation, View},
    record::{DomainView, Entry, Question, Standing, Verdict, check_spec, names_of, object_key},
};
use crate::{
    decision::{self, ClusterState, DecisionInput, InputHash, Needs, PolicyRef, Subject},
    effect::Effect,
    facts::{Ingress, Owner, RecordSpec, WhenEmpty},
    ids::{ClusterName, ObjectKey},
    plan::{Endpoint, Targets},
    planner::{self, Context},
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

    /// What counts as published: what we want published, or else what was found.
    pub(super) fn base(&self, key: &ObjectKey, entry: &Entry) -> Arc<[Endpoint]> {
        if let Some(desired) = &entry.desired {
            return Arc::clone(desired);
        }
        match self.published.get(&object_key(key)) {
            Some(published) if !matches!(published.owner, Owner::Foreign(_)) => Arc::clone(&published.endpoints),
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
        let observe = |name: &ClusterName, cluster: &Cluster| {
            let before = entry.memory.binary_search_by(|before| before.cluster.cmp(name)).ok();
            let before = before.and_then(|i| entry.memory.get(i));
            observe::observe(&view, name, cluster, before)
        };
        let one = only.filter(|_| last.len() == self.clusters.len()).and_then(|name| {
            let at = last.binary_search_by(|observation| observation.cluster.cmp(name)).ok()?;
            Some((at, name, self.clusters.get(name)?))
        });
        let observations: Vec<Observation> = match one {
            Some((at, name, cluster)) => {
                let mut observations = last;
                if let Some(observation) = observations.get_mut(at) {
                    *observation = observe(name, cluster);
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

    /// Works out what should be published and sends what differs from what is.
    fn replan(&mut self, key: &ObjectKey, out: &mut Vec<Effect>) {
        let Some(entry) = self.records.get(key) else {
            return;
        };
        let base = self.base(key, entry);
        let decided = match (&entry.standing, &entry.answered) {
            (Standing::Held(..), _) => None,
            (_, Some((question, Verdict::Answer(checked)))) if entry.asked.is_none() => {
                let rank = &entry.rank;
                let taken_by = |name: &str| self.older_owner(name, rank);
                let accounted = accounted(&entry.observations);
                let mut bounded = Arc::clone(checked);
                self.clamp(&mut bounded, &question.input.subject.federation);
                let context = Context {
                    published: &base,
                    affix: self.settings.txt_affix,
                    taken_by: &taken_by,
                    accounted: accounted.as_ref(),
                    unplaced: entry.observations.iter().any(|o| o.blind && o.region.is_none()),
                    unseen: entry.observations.iter().any(|o| o.state == ClusterState::Unreachable && !o.gone),
                };
                let mut plan = planner::plan(&bounded, &context);
                if *plan.endpoints == *base {
                    // Equal content is kept once.
                    plan.endpoints = Arc::clone(&base);
                }
                let standing = self.standing(entry, &plan, &base);
                Some((plan, standing))
            }
            _ => None,
        };
        let Some(entry) = self.records.get_mut(key) else {
            return;
        };
        let entry_rank = Arc::clone(&entry.rank);
        // Policies that have not been read yet may want names.
        let unread = matches!(entry.standing, Standing::Held(Reason::PolicyPending, _));
        let heard = !unread && (entry.asked.is_none() || entry.answered.is_some());
        let decided = decided.filter(|(plan, _)| !self.must_wait(&entry_rank, plan, &base));
        let waiting = self.postponed.contains(&entry_rank);
        self.note_heard(&entry_rank, heard);
        let found = self.published.get(&object_key(key)).filter(|found| matches!(found.owner, Owner::Record { .. }));
        let Some(entry) = self.records.get_mut(key) else { return };
        entry.waiting = waiting;
        if entry.desired.is_none() {
            // What an earlier process published is what we want until we know better; it is repaired like our own.
            entry.desired = found.map(|found| Arc::clone(&found.endpoints));
        }
        if let Some((plan, standing)) = decided {
            let stays = matches!(standing, Standing::Kept(_)) || *plan.endpoints == *base;
            entry.desired = Some(if stays { base } else { Arc::clone(&plan.endpoints) });
            entry.plan = plan;
            entry.standing = standing;
        }
        self.give_up_taken(key);
        self.claim(key);
        self.send(key, out);
        self.report(key, out);
        self.schedule(key);
    }

    /// A record may not publish a new name while an older one, that may want it, has not been heard yet. Otherwise a
    /// restart would publish it for a moment, depending on who is answered first.
    fn must_wait(&mut self, rank: &Arc<Rank>, plan: &planner::Plan, base: &[Endpoint]) -> bool {
        self.postponed.remove(rank);
        if self.unheard.first().is_none_or(|oldest| oldest >= rank) {
            return false;
        }
        let known: HashSet<&str> = base.iter().map(|endpoint| &*endpoint.dns_name).collect();
        let wait = plan.endpoints.iter().any(|endpoint| !known.contains(&*endpoint.dns_name));
        if wait {
            self.postponed.insert(Arc::clone(rank));
        }
        wait
    }

    /// Keeps account of who has not been heard; whoever waited for the last of them is looked at again.
    pub(super) fn note_heard(&mut self, rank: &Arc<Rank>, heard: bool) {
        if !heard {
            if !self.unheard.contains(rank) {
                self.unheard.insert(Arc::clone(rank));
            }
            return;
        }
        if !self.unheard.remove(rank) {
            return;
        }
        while let Some(next) = self.postponed.first() {
            if self.unheard.first().is_some_and(|oldest| oldest < next) {
                break;
            }
            if let Some(next) = self.postponed.pop_first() {
                self.touch(&next.record, Depth::Plan);
            }
        }
    }

    /// The older record that has a name, if any.
    fn older_owner(&self, name: &str, rank: &Rank) -> Option<ObjectKey> {
        let owner = self.claims.owner(name)?;
        if *owner == rank.record {
            return None;
        }
        let other = self.records.get(owner)?;
        (*other.rank < *rank).then(|| owner.clone())
    }

    /// Whatever else keeps a name published, an older record that wants it gets it, and the aliases to it go too.
    fn give_up_taken(&mut self, key: &ObjectKey) {
        let Some(entry) = self.records.get(key) else { return };
        let Some(desired) = &entry.desired else { return };
        let answer = match &entry.answered {
            Some((_, Verdict::Answer(checked))) => Some(checked),
            _ => None,
        };
        // Nearly always: the names are claimed already, and nobody else wants any of them.
        if entry.is_claimed_for(desired, answer) && !self.claims.shares(key) {
            return;
        }
        let is_taken = |endpoint: &Endpoint| self.older_owner(&endpoint.dns_name, &entry.rank).is_some();
        if !desired.iter().any(is_taken) {
            return;
        }
        let mut left: Vec<Endpoint> = desired.iter().filter(|endpoint| !is_taken(endpoint)).cloned().collect();
        loop {
            let names: HashSet<Arc<str>> = left.iter().map(|endpoint| Arc::clone(&endpoint.dns_name)).collect();
            let before = left.len();
            left.retain(|endpoint| !matches!(&endpoint.targets, Targets::Name(target) if !names.contains(target)));
            if left.len() == before {
                break;
            }
        }
        if let Some(entry) = self.records.get_mut(key) {
            entry.desired = Some(left.into());
        }
    }

    /// Brings TTLs within the bounds of the Domain.
    fn clamp(&self, checked: &mut Arc<crate::guard::Checked>, domain: &str) {
        let Some(view) = self.domains.get(domain).and_then(|domain| domain.view.as_ref()) else {
            return;
        };
        let (min, max) = view.ttl_bounds();
        if checked.names.iter().all(|name| (min..=max).contains(&name.ttl)) {
            return;
        }
        Arc::make_mut(checked).clamp(min, max);
    }

    /// An empty plan needs a reason, or what is published stays.
    fn standing(&self, entry: &Entry, plan: &planner::Plan, base: &[Endpoint]) -> Standing {
        let all = &entry.observations;
        let nothing_serves = all.iter().all(|observation| observation.addresses.is_empty());
        if nothing_serves && !base.is_empty() && all.iter().any(|observation| observation.blind) {
            return Standing::Kept(
                "nothing serves in the clusters that can be seen, and others are unknown".to_owned(),
            );
        }
        if plan.wanted {
            return Standing::Planned;
        }
        match self.standing_of_nothing(entry, plan, base, nothing_serves) {
            // What stays for the sake of clusters that are unknown is not everything.
            Standing::Withdrawn(_) if !plan.endpoints.is_empty() => Standing::Planned,
            standing => standing,
        }
    }

    /// Nothing is planned beyond what stays for the sake of clusters that are unknown.
    fn standing_of_nothing(
        &self,
        entry: &Entry,
        plan: &planner::Plan,
        base: &[Endpoint],
        nothing_serves: bool,
    ) -> Standing {
        let all = &entry.observations;
        if base.is_empty() {
            return withdrawn_before(entry).map_or(Standing::Planned, Standing::Withdrawn);
        }
        let rule = plan.withheld.iter().find(|withheld| &*withheld.reason != Reason::NameConflict.as_str());
        if let Some(withheld) = rule {
            return Standing::Kept(format!("the names that are wanted now are refused: {}", withheld.message));
        }
        let withheld = |name: &planner::PlannedName| matches!(name.outcome, planner::NameOutcome::Withheld(_));
        if !plan.names.is_empty() && plan.names.iter().all(withheld) {
            return Standing::Withdrawn("an older record has the names".to_owned());
        }
        if !nothing_serves {
            return Standing::Withdrawn("the policy publishes nothing although clusters serve".to_owned());
        }
        if all.iter().any(|observation| observation.blind) {
            return Standing::Kept(
                "nothing serves in the clusters that can be seen, and others are unknown".to_owned(),
            );
        }
        let when_empty = entry
            .spec
            .as_ref()
            .and_then(|spec| self.domains.get(&spec.domain_ref))
            .and_then(|domain| domain.view.as_ref())
            .map(|view| view.when_empty)
            .unwrap_or_default();
        if when_empty == WhenEmpty::Withdraw {
            return Standing::Withdrawn("nothing serves anywhere, and the Domain says whenEmpty: withdraw".to_owned());
        }
        if all.iter().all(|observation| observation.gone) {
            return Standing::Withdrawn("no cluster has the Service any more".to_owned());
        }
        // A cluster that cannot be seen may be the only one that still serves, however long its grace period is over.
        if let Some(lost) = all.iter().find(|o| o.state == ClusterState::Unreachable && !o.gone) {
            return Standing::Kept(format!("nothing else serves, and cluster {} cannot be seen", lost.cluster));
        }
        Standing::Kept("no cluster has ready endpoints with an address (whenEmpty: keep)".to_owned())
    }

    /// Claims the names that are wanted and those that are published.
    fn claim(&mut self, key: &ObjectKey) {
        let Some(entry) = self.records.get(key) else {
            return;
        };
        let base = self.base(key, entry);
        let answer = match &entry.answered {
            Some((_, Verdict::Answer(checked))) => Some(checked),
            _ => None,
        };
        let same_rank = entry.rank.created == entry.record.meta.created;
        if same_rank && entry.is_claimed_for(&base, answer) {
            return;
        }
        let claimed_for = (base, answer.map(Arc::clone));
        let names = names_of(&claimed_for);
        let old = entry.claims();
        let rank = if same_rank {
            Arc::clone(&entry.rank)
        } else {
            Arc::new(Rank { created: entry.record.meta.created, record: key.clone() })
        };
        let Some(entry) = self.records.get_mut(key) else {
            return;
        };
        entry.claimed_for = Some(claimed_for);
        if names == old && same_rank {
            return;
        }
        let old_rank = std::mem::replace(&mut entry.rank, Arc::clone(&rank));
        let mut affected = BTreeSet::new();
        for name in old.iter().filter(|name| old_rank != rank || names.binary_search(name).is_err()) {
            self.claims.remove(name, &old_rank, &mut affected);
        }
        for name in names.iter().filter(|name| old_rank != rank || old.binary_search(name).is_err()) {
            self.claims.add(name, &rank, &mut affected);
        }
        for other in affected {
            if other != *key {
                self.touch(&other, Depth::Plan);
            }
        }
    }

    /// Sends what differs from what is observed, once.
    fn send(&mut self, key: &ObjectKey, out: &mut Vec<Effect>) {
        let object = object_key(key);
        let published = self.published.get(&object);
        let Some(entry) = self.records.get_mut(key) else {
            return;
        };
        let Some(desired) = entry.desired.clone() else {
            return;
        };
        if !self.leading {
            return;
        }
        if let Some(published) = published {
            if matches!(published.owner, Owner::Foreign(_)) {
                return;
            }
            if desired.is_empty() || entry.record.meta.deleting {
                if matches!(published.owner, Owner::Record { .. }) {
                    let uid = Arc::clone(&published.uid);
                    if self.deleting.insert((object.clone(), Arc::clone(&uid))) {
                        entry.sent = None;
                        out.push(Effect::DeleteEndpoints { object, uid });
                    }
                }
                return;
            }
            let owner_in_order = matches!(&published.owner, Owner::Record { uid, .. } if *uid == entry.record.meta.uid);
            if published.endpoints == desired && published.metadata_in_order && owner_in_order {
                entry.sent = None;
                return;
            }
        } else if desired.is_empty() || entry.record.meta.deleting {
            return;
        }
        if entry.sent.as_ref() == Some(&desired) {
            return;
        }
        entry.sent = Some(Arc::clone(&desired));
        if let Some(published) = published {
            // A deletion that is still under way would take the new object with it.
            self.deleting.remove(&(object, Arc::clone(&published.uid)));
        }
        let uid = Arc::clone(&entry.record.meta.uid);
        out.push(Effect::ApplyEndpoints { record: key.clone(), uid, endpoints: desired });
    }

    /// Notes when to look at the record again without news.
    fn schedule(&mut self, key: &ObjectKey) {
        let starting = self
            .clusters
            .values()
            .filter(|cluster| cluster.starting(self.now, self.settings.starting_seconds))
            .filter_map(|c| c.added.checked_add(SignedDuration::from_secs(self.settings.starting_seconds)).ok())
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

/// Why everything was withdrawn, if that is how the record came to have nothing; the status remembers it.
fn withdrawn_before(entry: &Entry) -> Option<String> {
    if let Standing::Withdrawn(why) = &entry.standing {
        return Some(why.clone());
    }
    let status = entry.record.status.as_ref().filter(|_| entry.standing == Standing::Pending)?;
    let programmed = status.conditions.iter().find(|condition| &*condition.kind == "Programmed")?;
    (*programmed.reason == *Reason::Withdrawn.as_str())
        .then(|| programmed.message.strip_prefix(NOTHING_PUBLISHED).unwrap_or(&programmed.message).to_owned())
}

/// Begins the message of a condition that tells why nothing is published.
pub(super) const NOTHING_PUBLISHED: &str = "nothing is published: ";

/// While a cluster is unknown: every address that the others have or had.
fn accounted(observations: &[Observation]) -> Option<HashSet<IpAddr>> {
    observations
        .iter()
        .any(|observation| observation.blind)
        .then(|| observations.iter().filter(|o| !o.blind).flat_map(|o| o.accounted.iter().copied()).collect())
}
