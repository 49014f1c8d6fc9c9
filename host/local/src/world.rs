//! A small world in which every write succeeds at once: what would be there in the end?
//!
//! `render`, `explain` and the cases share it. Everything that is written is read back the way the controller would see
//! it, through the same conversion, so that a case also shows that nothing is written a second time.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use jiff::Timestamp;
use mcsdns_api::{
    convert::{DnsEndpointObject, RecordObject, Watched, from_value},
    endpoint::{DnsEndpoint, EndpointGroup, dns_endpoint},
    status,
};
use mcsdns_core::{
    decision::PolicyRef,
    effect::{Effect, endpoint_name},
    explain::Explanation,
    facts::{Change, Fact, Malformed, Owner, Published, Record},
    ids::{ClusterName, ObjectKey},
    index::{DomainPolicies, Index, Settings},
    plan::Endpoint,
    status::{ConditionStatus, DomainStatus, MemberStatus, RecordStatus},
};
use mcsdns_rollout::{News, Pilot};
use mcsdns_runtime::{Decider, HostTable, SettleError, settle};
use serde::Serialize;

use crate::{
    fleet::Fleet,
    problem::{Level, Problem},
    read::Source,
};

/// Writes that may lead to further writes. Statuses follow DNSEndpoints, and nothing follows them.
const ROUNDS: usize = 16;

/// The world did not come to rest, or something that was written could not be read back.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WorldError {
    /// The decisions do not come to rest.
    #[error(transparent)]
    Decisions(#[from] SettleError),
    /// What is written leads to ever new writes.
    #[error("the same objects are written again and again; please report this")]
    Writes,
    /// The policies that decided cannot be had again.
    #[error("the policies cannot be loaded again: {0}")]
    Policies(String),
    /// An object of ours cannot be read back.
    #[error("an object that was written cannot be read back: {}; please report this", .0.message)]
    ReadBack(Malformed),
}

impl WorldError {
    /// Stable, CamelCase.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Decisions(error) => error.reason(),
            Self::Writes => "WritesUnsettled",
            Self::Policies(_) => "PoliciesUnusable",
            Self::ReadBack(_) => "ReadBack",
        }
    }
}

/// How a world is set up.
#[derive(Clone, Debug)]
pub struct WorldOptions {
    /// The clock.
    pub now: Timestamp,
    /// As for the controller.
    pub settings: Settings,
    /// Answers host names.
    pub hosts: HostTable,
    /// Group of the DNSEndpoints.
    pub group: EndpointGroup,
}

/// The world.
pub struct World<'d, D: ?Sized> {
    index: Index,
    decider: &'d D,
    options: WorldOptions,
    fleet: Fleet,
    /// The DNSEndpoints among the manifests.
    given: BTreeMap<ObjectKey, Published>,
    /// All DNSEndpoints, as they are now.
    published: BTreeMap<ObjectKey, Published>,
    statuses: BTreeMap<ObjectKey, Arc<RecordStatus>>,
    domains: BTreeMap<Arc<str>, Arc<DomainStatus>>,
    members: BTreeMap<ClusterName, Arc<MemberStatus>>,
    /// Looks after the policies that Domains name; without it the same ones decide everywhere.
    pilot: Option<Pilot>,
    /// What the pilot is to hear.
    news: Vec<News>,
}

impl<'d, D: Decider + ?Sized> World<'d, D> {
    /// Lets the facts of `fleet` have their effect. `policies` decide everywhere, whatever Domains name.
    ///
    /// # Errors
    /// When the world does not come to rest.
    pub fn new(
        fleet: Fleet,
        policies: PolicyRef,
        decider: &'d D,
        options: WorldOptions,
    ) -> Result<(Self, usize), WorldError> {
        Self::with_pilot(fleet, policies, decider, options, None)
    }

    /// As [`Self::new`], and honours the policies that Domains name. The pilot must put them into force at `decider`, and
    /// know nothing yet.
    ///
    /// # Errors
    /// When the world does not come to rest.
    pub fn with_pilot(
        fleet: Fleet,
        policies: PolicyRef,
        decider: &'d D,
        options: WorldOptions,
        pilot: Option<Pilot>,
    ) -> Result<(Self, usize), WorldError> {
        let mut settings = options.settings.clone();
        settings.domain_policies = pilot.as_ref().map_or(DomainPolicies::Ignored, Pilot::domain_policies);
        let mut world = Self {
            index: Index::new(settings, policies, options.now),
            news: if pilot.is_some() { fleet.policy_news(None) } else { Vec::new() },
            pilot,
            decider,
            given: fleet.published.clone(),
            published: fleet.published.clone(),
            statuses: fleet
                .records
                .iter()
                .filter_map(|(key, record)| Some((key.clone(), Arc::clone(record.status.as_ref()?))))
                .collect(),
            domains: fleet
                .domains
                .iter()
                .filter_map(|(name, domain)| Some((Arc::clone(name), Arc::clone(domain.status.as_ref()?))))
                .collect(),
            members: fleet
                .members
                .iter()
                .filter_map(|(name, member)| Some((name.clone(), Arc::clone(member.status.as_ref()?))))
                .collect(),
            fleet,
            options,
        };
        let facts = world.fleet.facts();
        let writes = world.learn(facts)?;
        Ok((world, writes))
    }

    /// Lets another state of the manifests have its effect; how many objects were written.
    ///
    /// # Errors
    /// When the world does not come to rest.
    pub fn change(&mut self, mut fleet: Fleet) -> Result<usize, WorldError> {
        self.take_given(&fleet);
        self.remember(&mut fleet);
        let facts = fleet.changes(&self.fleet);
        if self.pilot.is_some() {
            self.news.extend(fleet.policy_news(Some(&self.fleet)));
        }
        self.statuses.retain(|key, _| fleet.records.contains_key(key));
        self.fleet = fleet;
        self.learn(facts)
    }

    /// Moves the clock; how many objects were written.
    ///
    /// # Errors
    /// When the world does not come to rest.
    pub fn tick(&mut self, now: Timestamp) -> Result<usize, WorldError> {
        self.options.now = self.options.now.max(now);
        self.learn(Vec::new())
    }

    /// Answers host names differently from now on.
    ///
    /// # Errors
    /// When the world does not come to rest.
    pub fn resolve(&mut self, hosts: HostTable) -> Result<usize, WorldError> {
        let names: Vec<Arc<str>> = self
            .statuses
            .values()
            .flat_map(|status| status.dns.iter())
            .flat_map(|dns| dns.ingress.iter())
            .filter_map(|ingress| match ingress {
                mcsdns_core::facts::Ingress::HostName(name) => Some(Arc::clone(name)),
                mcsdns_core::facts::Ingress::Ip(_) => None,
            })
            .collect();
        let facts = names.into_iter().map(|name| {
            let answer = hosts.answer(&name);
            Fact::HostName(name, answer)
        });
        let facts = facts.collect();
        self.options.hosts = hosts;
        self.learn(facts)
    }

    /// Tells everything once more, as a relist would; how many objects were written.
    ///
    /// # Errors
    /// When the world does not come to rest.
    pub fn again(&mut self) -> Result<usize, WorldError> {
        let mut fleet = self.fleet.clone();
        self.remember(&mut fleet);
        let facts = fleet.facts();
        self.learn(facts)
    }

    /// Ends the process and starts another one that finds `fleet`, and what was written, at the time `now`.
    ///
    /// # Errors
    /// When the world does not come to rest.
    pub fn restart_with(
        mut self,
        mut fleet: Fleet,
        now: Timestamp,
        policies: PolicyRef,
    ) -> Result<(Self, usize), WorldError> {
        self.take_given(&fleet);
        self.remember(&mut fleet);
        self.options.now = self.options.now.max(now);
        let given = std::mem::take(&mut self.given);
        let pilot = self
            .pilot
            .as_ref()
            .map(Pilot::anew)
            .transpose()
            .map_err(|error| WorldError::Policies(error.to_string()))?;
        let (mut world, writes) = Self::with_pilot(fleet, policies, self.decider, self.options, pilot)?;
        world.given = given;
        Ok((world, writes))
    }

    /// Ends the process and starts another one that finds everything as this one left it; how many objects it wrote.
    ///
    /// # Errors
    /// When the world does not come to rest.
    pub fn restart(self, policies: PolicyRef) -> Result<(Self, usize), WorldError> {
        let (mut fleet, now) = (self.fleet.clone(), self.options.now);
        fleet.published.clone_from(&self.given);
        self.restart_with(fleet, now, policies)
    }

    /// Ends the process; the fleet with the DNSEndpoints and statuses that it left.
    #[must_use]
    pub fn into_fleet(self) -> Fleet {
        let mut fleet = self.fleet.clone();
        self.remember(&mut fleet);
        fleet
    }

    /// What changed about the DNSEndpoints among the manifests happened to the objects themselves.
    fn take_given(&mut self, fleet: &Fleet) {
        for key in self.given.keys().filter(|key| !fleet.published.contains_key(*key)) {
            self.published.remove(key);
        }
        for (key, published) in &fleet.published {
            if self.given.get(key) != Some(published) {
                self.published.insert(key.clone(), published.clone());
            }
        }
        self.given.clone_from(&fleet.published);
    }

    /// Writes what is known into the objects of `fleet`, as an API server would have kept it.
    fn remember(&self, fleet: &mut Fleet) {
        fleet.published.clone_from(&self.published);
        for (key, record) in &mut fleet.records {
            if let Some(status) = self.statuses.get(key) {
                record.status = Some(Arc::clone(status));
            }
        }
        for (name, domain) in &mut fleet.domains {
            if let Some(status) = self.domains.get(name) {
                domain.status = Some(Arc::clone(status));
            }
        }
        for (name, member) in &mut fleet.members {
            if let Some(status) = self.members.get(name) {
                member.status = Some(Arc::clone(status));
            }
        }
    }

    fn learn(&mut self, mut facts: Vec<Fact>) -> Result<usize, WorldError> {
        facts.insert(0, Fact::Tick(self.options.now));
        let mut writes = 0;
        for _ in 0..ROUNDS {
            let effects = settle(&mut self.index, facts, self.decider, &self.options.hosts)?;
            facts = Vec::new();
            for effect in effects {
                writes += usize::from(!matches!(effect, Effect::Notice { .. }));
                facts.extend(self.carry_out(effect)?);
            }
            if let Some(pilot) = &mut self.pilot {
                let index = &self.index;
                let news = std::mem::take(&mut self.news);
                facts.extend(pilot.hear(news, self.options.now, |domain, needs| index.rehearsal(domain, needs)));
            }
            if facts.is_empty() {
                return Ok(writes);
            }
        }
        Err(WorldError::Writes)
    }

    /// Writes, and reads back what was written.
    fn carry_out(&mut self, effect: Effect) -> Result<Option<Fact>, WorldError> {
        Ok(match effect {
            Effect::ApplyEndpoints { record, uid, endpoints } => {
                let object = dns_endpoint(&record, &uid, &endpoints, self.options.group);
                let read: DnsEndpointObject = read_back(&object)?;
                let key = ObjectKey::new(Arc::clone(&record.namespace), endpoint_name(&record.name));
                read.fact().map(|published| {
                    self.published.insert(key.clone(), published.clone());
                    Fact::Published(Change::Apply(key, published))
                })
            }
            Effect::DeleteEndpoints { object, .. } => {
                self.published.remove(&object);
                Some(Fact::Published(Change::Delete(object)))
            }
            Effect::RecordStatus { record, status } => {
                let read: RecordObject = read_back(&status::record(&record, &status))?;
                let status = read.fact().and_then(|record: Record| record.status).unwrap_or(status);
                self.statuses.insert(record.clone(), Arc::clone(&status));
                self.fleet.records.get_mut(&record).map(|known| {
                    known.status = Some(status);
                    Fact::Record(Change::Apply(record, known.clone()))
                })
            }
            Effect::DomainStatus { domain, status } => {
                self.domains.insert(Arc::clone(&domain), Arc::clone(&status));
                self.fleet.domains.get_mut(&domain).map(|known| {
                    known.status = Some(status);
                    if self.pilot.is_some() {
                        self.news.push(News::Domains(Change::Apply(Arc::clone(&domain), known.clone())));
                    }
                    Fact::Domain(Change::Apply(domain, known.clone()))
                })
            }
            Effect::MemberStatus { member, status } => {
                self.members.insert(member.clone(), Arc::clone(&status));
                self.fleet.members.get_mut(&member).map(|known| {
                    known.status = Some(status);
                    Fact::Member(Change::Apply(member, known.clone()))
                })
            }
            Effect::Decide { .. }
            | Effect::Resolve(_)
            | Effect::Forget(_)
            | Effect::WakeAt(_)
            | Effect::Notice { .. } => None,
        })
    }

    /// The DNSEndpoints of ours, sorted by namespace and name.
    #[must_use]
    pub fn objects(&self) -> Vec<DnsEndpoint> {
        self.endpoints()
            .map(|(record, endpoints)| {
                let uid = self.fleet.records.get(&record).map_or("", |record| &record.meta.uid);
                dns_endpoint(&record, uid, endpoints, self.options.group)
            })
            .collect()
    }

    /// What is published, by record.
    pub fn endpoints(&self) -> impl Iterator<Item = (ObjectKey, &[Endpoint])> {
        self.published.iter().filter_map(|(key, published)| match &published.owner {
            Owner::Record { name, .. } => {
                Some((ObjectKey::new(Arc::clone(&key.namespace), Arc::clone(name)), &*published.endpoints))
            }
            Owner::Adoptable | Owner::Foreign(_) => None,
        })
    }

    /// Every status as text, to show what differs between two moments.
    pub(crate) fn dump(&self) -> String {
        format!("{:#?}\n{:#?}\n{:#?}\n", self.statuses, self.domains, self.members)
    }

    /// The status of every record.
    #[must_use]
    pub const fn statuses(&self) -> &BTreeMap<ObjectKey, Arc<RecordStatus>> {
        &self.statuses
    }

    /// The status of every Domain.
    #[must_use]
    pub const fn domains(&self) -> &BTreeMap<Arc<str>, Arc<DomainStatus>> {
        &self.domains
    }

    /// The status of every member cluster.
    #[must_use]
    pub const fn members(&self) -> &BTreeMap<ClusterName, Arc<MemberStatus>> {
        &self.members
    }

    /// Everything that can be told about a record.
    #[must_use]
    pub fn explain(&self, record: &ObjectKey) -> Option<Explanation> {
        self.index.explain(record)
    }

    /// What is wrong with the policies that Domains name, and with ConfigMaps that no Domain names.
    #[must_use]
    pub fn policy_problems(&self) -> Vec<Problem> {
        let Some(pilot) = &self.pilot else { return Vec::new() };
        let place = |map: &Arc<str>, reason: &'static str, message: String, object: String| {
            let source = self.fleet.policy_sources.get(map);
            let problem = match source {
                Some(source) => Problem::error(source.path(), reason, message).at(source.line()),
                None => Problem::error("host", reason, message),
            };
            Problem { object: Some(object), document: source.and_then(Source::document), ..problem }
        };
        let mut problems = Vec::new();
        let mut named = BTreeSet::new();
        for (name, rollout) in pilot.told() {
            let maps = rollout.policies.iter().filter_map(|policy| policy.config_map.as_ref());
            named.extend(maps.clone().cloned());
            if let (Some(ready), Some(map)) = (&rollout.ready, maps.clone().next())
                && ready.status == ConditionStatus::False
            {
                problems.push(place(map, ready.reason.as_str(), ready.message.clone(), format!("Domain {name}")));
            }
        }
        for (map, refusal) in pilot.refusals().filter(|(map, _)| !named.contains(*map)) {
            problems.push(place(map, refusal.reason, refusal.message.clone(), format!("ConfigMap {map}")));
        }
        for (map, notes) in pilot.notes() {
            for note in notes {
                let problem = place(map, "NotUsed", note.clone(), format!("ConfigMap {map}"));
                problems.push(Problem { level: Level::Note, ..problem });
            }
        }
        problems
    }

    /// What was read.
    #[must_use]
    pub const fn fleet(&self) -> &Fleet {
        &self.fleet
    }
}

fn read_back<T: Watched>(object: &impl Serialize) -> Result<T, WorldError> {
    let value =
        serde_json::to_value(object).map_err(|error| WorldError::ReadBack(Malformed { message: error.to_string() }))?;
    from_value(&value).map_err(WorldError::ReadBack)
}
