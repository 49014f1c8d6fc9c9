//! The one thread that touches files: it reads manifests, writes statuses and DNSEndpoints, and tells the Index of both.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::{Duration, Instant},
};

use jiff::Timestamp;
use mcsdns_core::{
    effect::Effect,
    facts::{Change, Fact, Owner, Published},
    ids::{ClusterName, ObjectKey},
    status::{DomainStatus, MemberStatus, RecordStatus},
};
use mcsdns_rollout::{News, Pilot};
use mcsdns_runtime::{FactSender, RuntimeHandle};

use super::{
    LocalEvent, Report,
    files::Files,
    queue::{Queue, Target, Work, target},
    store::{Found, Store, StoreError},
};
use crate::{
    dns::{Current, Zones},
    fleet::Fleet,
    limits::Limits,
    problem::Problem,
};

/// Files are looked at this often even if nobody says that they have changed.
const POLL: Duration = Duration::from_secs(5);
/// And at most this often if somebody does.
const PAUSE: Duration = Duration::from_millis(50);
/// First and longest wait before a failed write is tried again.
const RETRY: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

/// Reads, writes and remembers.
pub(crate) struct Keeper {
    pub(crate) files: Files,
    pub(crate) store: Store,
    pub(crate) limits: Limits,
    pub(crate) queue: Arc<Queue>,
    pub(crate) facts: FactSender,
    pub(crate) report: Report,
    pub(crate) dns: Option<Current>,
    /// Looks after the policies that Domains name, and where it finds the records to try them on.
    pilot: (Pilot, RuntimeHandle),
    news: Vec<News>,
    known: Known,
    /// The facts of the folder as told last, statuses included.
    fleet: Fleet,
    problems: BTreeSet<String>,
    serial: u32,
    /// DNSEndpoints of records that are not known while manifests of the host cannot be read.
    hidden: BTreeMap<ObjectKey, Published>,
    failed: BTreeMap<Target, (u32, Instant)>,
    retries: BTreeMap<Target, Effect>,
}

/// What is written, as it is read.
#[derive(Debug, Default)]
struct Known {
    published: BTreeMap<ObjectKey, Published>,
    records: BTreeMap<ObjectKey, Arc<RecordStatus>>,
    domains: BTreeMap<Arc<str>, Arc<DomainStatus>>,
    members: BTreeMap<ClusterName, Arc<MemberStatus>>,
}

impl Keeper {
    pub(crate) fn new(
        files: Files,
        store: Store,
        queue: Arc<Queue>,
        facts: FactSender,
        report: Report,
        dns: Option<Current>,
        pilot: (Pilot, RuntimeHandle),
    ) -> Self {
        Self {
            pilot,
            news: Vec::new(),
            files,
            store,
            limits: Limits::default(),
            queue,
            facts,
            report,
            dns,
            known: Known::default(),
            fleet: Fleet::default(),
            problems: BTreeSet::new(),
            serial: 0,
            hidden: BTreeMap::new(),
            failed: BTreeMap::new(),
            retries: BTreeMap::new(),
        }
    }

    /// Reads what was written before and what is in the folder, and tells it.
    pub(crate) fn begin(&mut self) {
        let Found { published, records, domains, members, problems } = self.store.read(&self.limits);
        self.known = Known { published, records, domains, members };
        let look = self.files.look(Instant::now(), Timestamp::now());
        let mut fleet = self.gather();
        fleet.problems.extend(problems);
        self.complain(&fleet.problems);
        let facts = fleet.facts();
        self.news.extend(fleet.policy_news(None));
        self.fleet = fleet;
        self.send(facts);
        self.steer();
        self.publish();
        if look.again.is_some() {
            self.queue.look();
        }
    }

    /// Works until told to stop.
    pub(crate) fn run(mut self) {
        let mut again = Instant::now() + POLL;
        let mut last_look = Instant::now();
        loop {
            let steer = self.steer();
            let due = self.failed.values().map(|(_, due)| *due).chain(steer).min();
            let Work { mut writes, notices, look, stop } = self.queue.take(due.map_or(again, |due| due.min(again)));
            for notice in notices {
                self.notice(notice);
            }
            let now = Instant::now();
            for (target, (_, due)) in &self.failed {
                if (*due <= now || stop)
                    && let Some(effect) = self.retries.remove(target)
                {
                    writes.entry(target.clone()).or_insert(effect);
                }
            }
            if !writes.is_empty() {
                self.write(writes);
            }
            if stop {
                return;
            }
            if look || again <= now {
                // A burst of changes is one change.
                std::thread::sleep(PAUSE.saturating_sub(last_look.elapsed()));
                last_look = Instant::now();
                let wait = self.look().unwrap_or(POLL);
                again = Instant::now() + wait.max(PAUSE).min(POLL);
            }
        }
    }

    /// Looks at the files and tells what has changed; how soon to look again.
    fn look(&mut self) -> Option<Duration> {
        for (key, published) in self.store.meddled(&self.limits) {
            let change = match published {
                Some(published) => {
                    self.known.published.insert(key.clone(), published.clone());
                    Change::Apply(key, published)
                }
                None => {
                    self.known.published.remove(&key);
                    Change::Delete(key)
                }
            };
            self.send(vec![Fact::Published(change)]);
        }
        let look = self.files.look(Instant::now(), Timestamp::now());
        if look.changed {
            let fleet = self.gather();
            self.complain(&fleet.problems);
            let facts = fleet.changes(&self.fleet);
            self.news.extend(fleet.policy_news(Some(&self.fleet)));
            let gone: Vec<ObjectKey> =
                self.fleet.records.keys().filter(|key| !fleet.records.contains_key(*key)).cloned().collect();
            self.fleet = fleet;
            self.send(facts);
            for record in gone {
                self.known.records.remove(&record);
                if let Err(error) = self.store.delete_record(&record) {
                    tracing::warn!("{error}");
                }
            }
            self.publish();
        }
        look.again
    }

    /// The folder as it is, with what is known of its objects from what we wrote.
    fn gather(&mut self) -> Fleet {
        let mut fleet = self.files.fleet(Timestamp::now());
        // Without its outer parts the folder says nothing about what is not there.
        if fleet.host_incomplete && self.fleet.records.is_empty() {
            // Records that could not be read must not look as if they had been deleted.
            let unknown = |key: &ObjectKey, published: &Published| match &published.owner {
                Owner::Record { name, .. } => {
                    let record = ObjectKey::new(Arc::clone(&key.namespace), Arc::clone(name));
                    !fleet.records.contains_key(&record)
                }
                Owner::Adoptable | Owner::Foreign(_) => false,
            };
            let (hidden, shown) = std::mem::take(&mut self.known.published)
                .into_iter()
                .partition(|(key, published)| unknown(key, published));
            self.hidden.extend::<BTreeMap<_, _>>(hidden);
            self.known.published = shown;
        } else if !fleet.host_incomplete {
            self.known.published.append(&mut self.hidden);
        }
        for (name, objects) in &mut fleet.clusters {
            // A cluster that was never understood in full is not known; one that was is known by what it said.
            objects.withheld = objects.incomplete && self.fleet.clusters.get(name).is_none_or(|before| before.withheld);
        }
        for (key, published) in &self.known.published {
            fleet.published.insert(key.clone(), published.clone());
        }
        for (key, record) in &mut fleet.records {
            if let Some(status) = self.known.records.get(key) {
                record.status = Some(Arc::clone(status));
            }
        }
        for (name, domain) in &mut fleet.domains {
            if let Some(status) = self.known.domains.get(name) {
                domain.status = Some(Arc::clone(status));
            }
        }
        for (name, member) in &mut fleet.members {
            if let Some(status) = self.known.members.get(name) {
                member.status = Some(Arc::clone(status));
            }
        }
        fleet
    }

    fn write(&mut self, writes: BTreeMap<Target, Effect>) {
        let mut facts = Vec::new();
        let mut endpoints = false;
        for (target, effect) in writes {
            endpoints |= matches!(target, Target::Endpoints(_));
            let record = record_of(&effect);
            match self.carry_out(&effect) {
                Ok(fact) => {
                    facts.extend(fact);
                    (self.report)(LocalEvent::Wrote(target.clone().into()));
                    if let (Some(_), Some(record)) = (self.failed.remove(&target), record) {
                        facts.push(Fact::WriteFailed { record, message: None });
                    }
                }
                Err(error) => {
                    let failures = self.failed.get(&target).map_or(1, |(failures, _)| failures.saturating_add(1));
                    let wait = RETRY.0.saturating_mul(1 << failures.min(10)).min(RETRY.1);
                    self.failed.insert(target.clone(), (failures, Instant::now() + wait));
                    (self.report)(LocalEvent::WriteFailed(error.to_string()));
                    if let Some(record) = record {
                        facts.push(Fact::WriteFailed { record, message: Some(error.to_string()) });
                    }
                    self.retries.insert(target, effect);
                }
            }
        }
        self.send(facts);
        if endpoints {
            self.publish();
        }
    }

    fn carry_out(&mut self, effect: &Effect) -> Result<Option<Fact>, StoreError> {
        if let Some(target) = target(effect) {
            self.retries.remove(&target);
        }
        Ok(match effect {
            Effect::ApplyEndpoints { record, uid, endpoints } => {
                let (key, published) = self.store.write_endpoints(record, uid, endpoints)?;
                published.map(|published| {
                    self.known.published.insert(key.clone(), published.clone());
                    self.fleet.published.insert(key.clone(), published.clone());
                    Fact::Published(Change::Apply(key, published))
                })
            }
            Effect::DeleteEndpoints { object, .. } => {
                self.store.delete_endpoints(object)?;
                self.known.published.remove(object);
                self.fleet.published.remove(object);
                Some(Fact::Published(Change::Delete(object.clone())))
            }
            Effect::RecordStatus { record, status } => {
                let status = self.store.write_record(record, status)?;
                self.known.records.insert(record.clone(), Arc::clone(&status));
                self.fleet.records.get_mut(record).map(|known| {
                    known.status = Some(status);
                    Fact::Record(Change::Apply(record.clone(), known.clone()))
                })
            }
            Effect::DomainStatus { domain, status } => {
                self.store.write_domain(domain, status)?;
                self.known.domains.insert(Arc::clone(domain), Arc::clone(status));
                self.fleet.domains.get_mut(domain).map(|known| {
                    known.status = Some(Arc::clone(status));
                    self.news.push(News::Domains(Change::Apply(Arc::clone(domain), known.clone())));
                    Fact::Domain(Change::Apply(Arc::clone(domain), known.clone()))
                })
            }
            Effect::MemberStatus { member, status } => {
                self.store.write_member(member, status)?;
                self.known.members.insert(member.clone(), Arc::clone(status));
                self.fleet.members.get_mut(member).map(|known| {
                    known.status = Some(Arc::clone(status));
                    Fact::Member(Change::Apply(member.clone(), known.clone()))
                })
            }
            Effect::Decide { .. }
            | Effect::Resolve(_)
            | Effect::Forget(_)
            | Effect::WakeAt(_)
            | Effect::Notice { .. } => None,
        })
    }

    fn notice(&self, effect: Effect) {
        if let Effect::Notice { about, warning, reason, note } = effect {
            (self.report)(LocalEvent::Notice { about, warning, reason, note });
        }
    }

    /// Says what has become wrong and what is right again.
    fn complain(&mut self, problems: &[Problem]) {
        let now: BTreeSet<String> = problems.iter().map(ToString::to_string).collect();
        for problem in problems {
            if !self.problems.contains(&problem.to_string()) {
                (self.report)(LocalEvent::Problem(problem.clone()));
            }
        }
        for solved in self.problems.difference(&now) {
            (self.report)(LocalEvent::Solved(solved.clone()));
        }
        self.problems = now;
    }

    /// Loads and tries policies if there is reason to; when to come back without one. This may take a moment.
    fn steer(&mut self) -> Option<Instant> {
        let now = Timestamp::now();
        let (pilot, index) = &mut self.pilot;
        if !self.news.is_empty() || pilot.wake().is_some_and(|at| at <= now) {
            let news = std::mem::take(&mut self.news);
            let rehearse = |domain: &str, needs: &_| index.with_index(|index| index.rehearsal(domain, needs));
            let facts = pilot.hear(news, now, rehearse);
            self.send(facts);
        }
        let left = self.pilot.0.wake()?.duration_since(Timestamp::now());
        Some(Instant::now() + Duration::try_from(left).unwrap_or(Duration::ZERO).max(PAUSE))
    }

    fn send(&self, facts: Vec<Fact>) {
        // Nobody listens any more when the runtime has ended; then the end of this thread is near, too.
        if !facts.is_empty() && self.facts.blocking_send(facts).is_err() {
            tracing::debug!("the runtime has ended");
        }
    }

    /// Answers DNS from what is published now.
    fn publish(&mut self) {
        let Some(current) = &self.dns else { return };
        self.serial = self.serial.wrapping_add(1);
        let zones = self.fleet.domains.values().filter_map(|domain| domain.spec.as_ref().ok());
        let zones: BTreeSet<String> = zones
            .map(|spec| mcsdns_core::name::normalise(&spec.domain))
            // The zone of a Domain that is gone is still published in.
            .chain(self.known.records.values().filter_map(|status| status.domain.as_deref().map(str::to_owned)))
            .collect();
        let ours = self.known.published.values().chain(self.hidden.values());
        let ours = ours.filter(|published| matches!(published.owner, Owner::Record { .. }));
        let endpoints = ours.flat_map(|published| published.endpoints.iter());
        let zones = Zones::new(zones.iter().map(String::as_str), endpoints, self.serial);
        *current.write().unwrap_or_else(std::sync::PoisonError::into_inner) = Arc::new(zones);
    }
}

/// The record whose condition should speak of a failure.
fn record_of(effect: &Effect) -> Option<ObjectKey> {
    match effect {
        Effect::ApplyEndpoints { record, .. } | Effect::RecordStatus { record, .. } => Some(record.clone()),
        _ => None,
    }
}
