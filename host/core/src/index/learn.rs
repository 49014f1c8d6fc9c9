//! Facts coming in: what they change, and which records they touch.

use std::{collections::HashSet, sync::Arc};

use super::{
    Depth, Index,
    fleet::{self, Cluster, Location},
    record::{DomainEntry, Entry, Question, Standing, Verdict, object_key},
    words::Words,
};
use crate::{
    decision::{DecisionOutput, InputHash, PolicyFailure},
    effect::{Effect, endpoint_name},
    facts::{Change, Domain, Fact, Member, Owner, Published, Reach, Record},
    guard::{self, Checked},
    ids::{ClusterName, ObjectKey},
};

impl Index {
    pub(super) fn learn(&mut self, fact: Fact, out: &mut Vec<Effect>) {
        let was_synced = self.host_synced();
        match fact {
            Fact::Record(change) => self.learn_records(change, out),
            Fact::Domain(change) => self.learn_domains(change, out),
            Fact::Member(change) => self.learn_members(change),
            Fact::Published(change) => self.learn_published(change, out),
            Fact::Cluster(name, fact) => self.learn_cluster(&name, fact),
            Fact::HostName(name, answer) => {
                for record in self.hosts.answered(&name, answer) {
                    self.touch(&record, Depth::Observe);
                }
            }
            Fact::Decided { record, hash, result } => self.learn_decision(&record, hash, result),
            Fact::Policies(domain, policies) => self.learn_policies(domain, policies),
            Fact::Rollout(domain, rollout) => self.learn_rollout(&domain, rollout, out),
            Fact::WriteFailed { record, message } => {
                if let Some(entry) = self.records.get_mut(&record)
                    && entry.write_failed != message
                {
                    entry.write_failed = message;
                    self.touch(&record, Depth::Plan);
                }
            }
            Fact::Leading(leading) => self.learn_leading(leading, out),
            Fact::Tick(now) => self.learn_time(now),
        }
        if !was_synced && self.host_synced() {
            self.relocate();
            self.touch_all(&Depth::Observe);
            self.sweep(out);
            let domains: Vec<_> = self.domains.keys().cloned().collect();
            for domain in domains {
                self.report_domain(&domain, out);
            }
        }
    }

    fn learn_records(&mut self, change: Change<ObjectKey, Record>, out: &mut Vec<Effect>) {
        match change {
            Change::Apply(key, record) => self.set_record(&key, record),
            Change::Delete(key) => self.remove_record(&key, out),
            Change::Reset(all) => {
                let present: HashSet<ObjectKey> = all.iter().map(|(key, _)| key.clone()).collect();
                let gone: Vec<_> = self.records.keys().filter(|key| !present.contains(*key)).cloned().collect();
                for key in gone {
                    self.remove_record(&key, out);
                }
                for (key, record) in all {
                    self.set_record(&key, record);
                }
                self.synced.records = true;
                self.sweep(out);
            }
        }
    }

    fn set_record(&mut self, key: &ObjectKey, mut record: Record) {
        let Some(entry) = self.records.get_mut(key) else {
            let entry = Entry::new(key, record);
            if let Some(spec) = &entry.spec {
                self.by_domain.entry(Arc::clone(&spec.domain_ref)).or_default().insert(key.clone());
            }
            self.records.insert(key.clone(), entry);
            self.touch(key, Depth::Observe);
            return;
        };
        if entry.status == record.status {
            // Equal content is kept once.
            record.status.clone_from(&entry.status);
        }
        if record.spec.is_err() && record.meta.created.is_none() {
            // A file that cannot be read for the moment; the record is as old as it was.
            record.meta.created = entry.record.meta.created;
        }
        if entry.record == record {
            return;
        }
        if entry.status_sent.is_some() && entry.status_sent == record.status {
            entry.status_sent = None;
        }
        let same = entry.record.spec == record.spec
            && entry.record.annotations == record.annotations
            && entry.record.meta == record.meta;
        if entry.record.meta.uid != record.meta.uid {
            // Deleted and made again: nothing of what was sent can be relied upon.
            entry.sent = None;
            entry.status_sent = None;
        }
        let old_domain = entry.spec.as_ref().map(|spec| Arc::clone(&spec.domain_ref));
        if let Ok(spec) = &record.spec {
            entry.edited |= entry.spec.as_ref() != Some(spec);
            entry.spec = Some(spec.clone());
        }
        let new_domain = entry.spec.as_ref().map(|spec| Arc::clone(&spec.domain_ref));
        entry.record = record;
        if old_domain != new_domain {
            if let Some(old) = old_domain.and_then(|old| self.by_domain.get_mut(&old)) {
                old.remove(key);
            }
            if let Some(new) = new_domain {
                self.by_domain.entry(new).or_default().insert(key.clone());
            }
        }
        self.touch(key, if same { Depth::Plan } else { Depth::Observe });
    }

    fn remove_record(&mut self, key: &ObjectKey, out: &mut Vec<Effect>) {
        let Some(entry) = self.records.remove(key) else {
            return;
        };
        self.dirty.remove(key);
        if let Some(wake) = entry.wake {
            self.wakes.remove(&(wake, key.clone()));
        }
        if let Some(domain) = entry.spec.as_ref().and_then(|spec| self.by_domain.get_mut(&spec.domain_ref)) {
            domain.remove(key);
        }
        let mut affected = std::collections::BTreeSet::new();
        for name in &entry.claims() {
            self.claims.remove(name, &entry.rank, &mut affected);
        }
        for other in affected {
            self.touch(&other, Depth::Plan);
        }
        self.postponed.remove(&entry.rank);
        self.note_heard(&entry.rank, true);
        self.hosts.set_users(key, &entry.hosts, &std::collections::BTreeSet::new(), out);
        self.sweep_one(&object_key(key), out);
    }

    fn learn_domains(&mut self, change: Change<Arc<str>, Domain>, out: &mut Vec<Effect>) {
        match change {
            Change::Apply(name, domain) => self.set_domain(&name, domain, out),
            Change::Delete(name) => self.remove_domain(&name),
            Change::Reset(all) => {
                let present: HashSet<Arc<str>> = all.iter().map(|(name, _)| Arc::clone(name)).collect();
                let gone: Vec<_> = self.domains.keys().filter(|name| !present.contains(*name)).cloned().collect();
                for name in gone {
                    self.remove_domain(&name);
                }
                for (name, domain) in all {
                    self.set_domain(&name, domain, out);
                }
                self.synced.domains = true;
            }
        }
    }

    fn set_domain(&mut self, name: &Arc<str>, domain: Domain, out: &mut Vec<Effect>) {
        let before = self.domains.remove(name);
        let own_policies = before.as_ref().map(|before| before.own_policies);
        let (old_view, old_problem) =
            before.as_ref().map_or((None, None), |before| (before.view.clone(), before.problem.clone()));
        let mut entry = DomainEntry::new(name, domain, before);
        if entry.status_sent.is_some() && entry.status_sent == entry.domain.status {
            entry.status_sent = None;
        }
        let changed = entry.view != old_view || entry.problem != old_problem;
        self.domains.insert(Arc::clone(name), entry);
        let changed = self.note_wanted_policies(name, own_policies) || changed;
        if changed {
            for record in self.by_domain.get(name).cloned().unwrap_or_default() {
                self.touch(&record, Depth::Observe);
            }
        }
        self.report_domain(name, out);
    }

    fn remove_domain(&mut self, name: &Arc<str>) {
        self.domains.remove(name);
        self.domain_policies.remove(name);
        for record in self.by_domain.get(name).cloned().unwrap_or_default() {
            self.touch(&record, Depth::Observe);
        }
    }

    fn learn_members(&mut self, change: Change<ClusterName, Member>) {
        match change {
            Change::Apply(name, member) => self.set_member(&name, member),
            Change::Delete(name) => {
                self.remembered.remove(&name);
                if self.clusters.remove(&name).is_some() {
                    self.relocate();
                    self.touch_all(&Depth::Observe);
                }
            }
            Change::Reset(all) => {
                let present: HashSet<ClusterName> = all.iter().map(|(name, _)| name.clone()).collect();
                let before = self.clusters.len();
                self.clusters.retain(|name, _| present.contains(name));
                if self.clusters.len() != before {
                    self.relocate();
                    self.touch_all(&Depth::Observe);
                }
                for (name, member) in all {
                    self.set_member(&name, member);
                }
                self.synced.members = true;
            }
        }
    }

    fn set_member(&mut self, name: &ClusterName, member: Member) {
        let now = self.now;
        match self.clusters.get_mut(name) {
            None => {
                self.clusters.insert(name.clone(), Cluster::new(member, now));
                self.relocate();
                self.touch_all(&Depth::Observe);
            }
            Some(cluster) => {
                if cluster.status_sent.is_some() && cluster.status_sent == member.status {
                    cluster.status_sent = None;
                }
                let labels = cluster.member.labels != member.labels;
                if member.malformed.is_some() {
                    let (region, zones) = (cluster.member.region.clone(), cluster.member.zones.clone());
                    cluster.member = Member { region, zones, ..member };
                } else {
                    cluster.member = member;
                }
                self.relocate();
                if labels {
                    self.touch_all(&Depth::Observe);
                }
            }
        }
        self.unreported.insert(name.clone());
    }

    /// Where the clusters are may have changed: works out the places of the fleet again.
    pub(super) fn relocate(&mut self) {
        if !(self.synced.members && self.synced.records) {
            return;
        }
        self.remember_locations();
        let mut changed = Vec::new();
        for (name, cluster) in &mut self.clusters {
            let location = cluster.locate(self.remembered.get(name));
            if location != cluster.location {
                cluster.location = location;
                changed.push(name.clone());
            }
        }
        let places = fleet::places(&mut self.clusters);
        let moved = places != *self.places || !changed.is_empty();
        if moved {
            if places != *self.places {
                self.places = Arc::new(places);
            }
            self.touch_all(&Depth::Observe);
        }
        self.unreported.extend(changed);
    }

    /// Clusters that are neither read nor remembered by their own status: the records may remember where they were.
    fn remember_locations(&mut self) {
        let lost: Vec<ClusterName> = self
            .clusters
            .iter()
            .filter(|(name, cluster)| {
                cluster.nodes.is_none()
                    && cluster.member.region.is_none()
                    && cluster.member.status.as_ref().is_none_or(|status| status.region.is_none())
                    && !self.remembered.contains_key(*name)
            })
            .map(|(name, _)| name.clone())
            .collect();
        for name in lost {
            let found = self.records.values().find_map(|entry| {
                let status = entry.record.status.as_ref()?;
                status.dns.iter().find(|dns| dns.cluster == name && dns.region.is_some())
            });
            let location = found.map_or_else(Location::default, |dns| Location {
                region: dns.region.clone(),
                zones: Arc::clone(&dns.zones),
                ..Location::default()
            });
            self.remembered.insert(name, location);
        }
    }

    fn learn_published(&mut self, change: Change<ObjectKey, Published>, out: &mut Vec<Effect>) {
        match change {
            Change::Apply(key, published) => self.set_published(&key, published, out),
            Change::Delete(key) => self.remove_published(&key),
            Change::Reset(all) => {
                let present: HashSet<ObjectKey> = all.iter().map(|(key, _)| key.clone()).collect();
                let gone: Vec<_> = self.published.keys().filter(|key| !present.contains(*key)).cloned().collect();
                for key in gone {
                    self.remove_published(&key);
                }
                self.synced.published = true;
                for (key, published) in all {
                    self.set_published(&key, published, out);
                }
            }
        }
    }

    fn set_published(&mut self, key: &ObjectKey, mut published: Published, out: &mut Vec<Effect>) {
        let record = record_key(key);
        if let Some(entry) = record.as_ref().and_then(|record| self.records.get_mut(record)) {
            if entry.sent.as_ref().is_some_and(|sent| *sent == published.endpoints) && published.metadata_in_order {
                entry.sent = None;
            }
            // Equal content is kept once.
            if let Some(desired) = entry.desired.as_ref().filter(|desired| ***desired == *published.endpoints) {
                published.endpoints = Arc::clone(desired);
            }
        }
        let stale = self
            .published
            .get(key)
            .is_some_and(|known| known.uid == published.uid && known.generation > published.generation);
        if !stale {
            self.published.insert(key.clone(), published);
        }
        match record {
            Some(record) if self.records.contains_key(&record) => self.touch(&record, Depth::Plan),
            _ => self.sweep_one(key, out),
        }
    }

    fn remove_published(&mut self, key: &ObjectKey) {
        let Some(old) = self.published.remove(key) else {
            return;
        };
        self.deleting.remove(&(key.clone(), old.uid));
        if let Some(record) = record_key(key) {
            if let Some(entry) = self.records.get_mut(&record) {
                // Whatever was sent before has been deleted with it, or has made way for somebody else's.
                entry.sent = None;
            }
            self.touch(&record, Depth::Plan);
        }
    }

    /// Deletes our DNSEndpoints whose record is gone: at start, and when the garbage collector is not there.
    pub(super) fn sweep(&mut self, out: &mut Vec<Effect>) {
        let keys: Vec<_> = self.published.keys().cloned().collect();
        for key in keys {
            self.sweep_one(&key, out);
        }
    }

    fn sweep_one(&mut self, key: &ObjectKey, out: &mut Vec<Effect>) {
        if !(self.leading && self.host_synced()) {
            return;
        }
        let Some(Published { owner: Owner::Record { name, .. }, uid, .. }) = self.published.get(key) else {
            return;
        };
        let record = ObjectKey { namespace: Arc::clone(&key.namespace), name: Arc::clone(name) };
        if endpoint_name(name) != *key.name || self.records.contains_key(&record) {
            return;
        }
        let uid = Arc::clone(uid);
        if self.deleting.insert((key.clone(), Arc::clone(&uid))) {
            out.push(Effect::DeleteEndpoints { object: key.clone(), uid });
        }
    }

    fn learn_decision(&mut self, key: &ObjectKey, hash: InputHash, result: Result<Arc<DecisionOutput>, PolicyFailure>) {
        let limits_of = |zone| guard::Limits {
            zone,
            max_names: self.settings.max_names,
            max_targets: self.settings.max_targets,
            min_ttl: self.settings.min_ttl,
            max_ttl: self.settings.max_ttl,
        };
        let Some(entry) = self.records.get_mut(key) else {
            return;
        };
        let Some(question) = entry.asked.take_if(|asked| asked.hash == hash) else {
            return;
        };
        let (again, verdict) = match result {
            Ok(output) => {
                entry.failures = 0;
                let zone = &question.input.subject.domain;
                let verdict = match guard::check(&question.input, &output, &limits_of(zone)) {
                    Ok(mut checked) => {
                        share_answer(&mut self.words, &mut checked, entry.answered.as_ref());
                        Verdict::Answer(Arc::new(checked))
                    }
                    Err(violation) => Verdict::Violated(violation),
                };
                (output.recheck_after_seconds, verdict)
            }
            Err(failure) => {
                entry.failures = entry.failures.saturating_add(1);
                // 5 s, 10 s, 20 s ... 5 min.
                let again = (5_u32 << entry.failures.min(7).saturating_sub(1)).min(300);
                (Some(again), Verdict::Failed(failure))
            }
        };
        entry.ask_again = again
            .and_then(|seconds| self.now.checked_add(jiff::SignedDuration::from_secs(i64::from(seconds.max(1)))).ok());
        entry.answered = Some((question, verdict));
        entry.edited = false;
        self.touch(key, Depth::Plan);
    }

    fn learn_leading(&mut self, leading: bool, out: &mut Vec<Effect>) {
        if self.leading == leading {
            return;
        }
        self.leading = leading;
        // Whatever was sent may have been dropped with the lease: only what is observed counts.
        self.deleting.clear();
        for entry in self.records.values_mut() {
            entry.sent = None;
            entry.status_sent = None;
            if leading {
                // The one who led until now may have seen what we have not: what it published and wrote down is the truth.
                entry.desired = None;
                entry.standing = Standing::Pending;
                if let Some(status) = &entry.record.status {
                    entry.memory = Arc::clone(&status.dns);
                }
            }
        }
        self.touch_all(&Depth::Observe);
        self.sweep(out);
        let domains: Vec<_> = self.domains.keys().cloned().collect();
        for domain in domains {
            if let Some(entry) = self.domains.get_mut(&domain) {
                entry.status_sent = None;
            }
            self.report_domain(&domain, out);
        }
        for (name, cluster) in &mut self.clusters {
            cluster.status_sent = None;
            self.unreported.insert(name.clone());
        }
    }

    fn learn_time(&mut self, now: jiff::Timestamp) {
        if now <= self.now {
            // Less is no step, and time then stands still for as long.
            if self.now.as_second() - now.as_second() > CLOCK_STEP_SECONDS {
                self.step_back(now);
            }
            return;
        }
        self.now = now;
        while let Some((at, record)) = self.wakes.first().cloned() {
            if at > now {
                break;
            }
            self.wakes.pop_first();
            if let Some(entry) = self.records.get_mut(&record) {
                entry.wake = None;
            }
            self.touch(&record, Depth::Observe);
        }
        if self.member_wake.is_some_and(|at| at <= now) {
            self.member_wake = None;
            self.unreported.extend(self.clusters.keys().cloned());
        }
    }
}

impl Index {
    /// The clock was set back: what has lasted so far goes on lasting, and what was to happen is worked out again.
    fn step_back(&mut self, now: jiff::Timestamp) {
        let by = self.now.duration_since(now);
        self.now = now;
        self.wakes.clear();
        for entry in self.records.values_mut() {
            entry.wake = None;
            entry.ask_again = entry.ask_again.and_then(|at| at.checked_sub(by).ok());
        }
        for cluster in self.clusters.values_mut() {
            let earlier = |time: jiff::Timestamp| time.checked_sub(by).unwrap_or(now);
            cluster.added = earlier(cluster.added);
            if let Reach::Unreachable { since, .. } = &mut cluster.reach {
                *since = earlier(*since);
            }
        }
        self.member_wake = None;
        self.wake_sent = None;
        self.unreported.extend(self.clusters.keys().cloned());
        self.touch_all(&Depth::Observe);
    }
}

/// By how much a clock must go back to have been set, in seconds.
const CLOCK_STEP_SECONDS: i64 = 2;

/// The record whose DNSEndpoint has this key.
fn record_key(object: &ObjectKey) -> Option<ObjectKey> {
    let name = object.name.strip_prefix(endpoint_name("").as_str())?;
    Some(ObjectKey { namespace: Arc::clone(&object.namespace), name: name.into() })
}

/// An answer has mostly the names of the one before, and the reasons of everybody.
fn share_answer(words: &mut Words, checked: &mut Checked, before: Option<&(Question, Verdict)>) {
    for name in &mut checked.names {
        words.word(&mut name.because);
    }
    if let Some((_, Verdict::Answer(before))) = before {
        for (name, before) in checked.names.iter_mut().zip(&before.names) {
            if name.fqdn == before.fqdn {
                name.fqdn.clone_from(&before.fqdn);
            }
        }
    }
}
