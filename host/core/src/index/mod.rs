//! The Index: everything that is known, and what follows from it.
//!
//! A pure state machine. Facts go in one by one; each marks the records it touches, and only those are looked at again.
//! Looking at a record has two depths: *observe* (what is known of the clusters may have changed, the policies may have
//! to be asked) and *plan* (only what is published, or who has which name, changed).

mod claims;
mod explain;
mod fleet;
mod flow;
mod hosts;
mod learn;
mod learn_cluster;
mod observe;
mod policies;
mod record;
mod replan;
mod report;
mod words;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    sync::Arc,
};

use jiff::Timestamp;

use self::{
    claims::{Claims, Rank},
    fleet::{Cluster, Location},
    hosts::Hosts,
    record::{DomainEntry, Entry},
    words::Words,
};
use crate::{
    decision::{Places, PolicyRef},
    effect::Effect,
    facts::{Fact, Published},
    ids::{ClusterName, ObjectKey},
    name::TxtAffix,
    plan::Endpoint,
    status::RecordStatus,
};

/// What the operator set for the whole controller.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// How long an unreachable cluster keeps its last known addresses; `None`: for ever.
    pub grace_seconds: Option<u32>,
    /// Room for ExternalDNS's ownership records.
    pub txt_affix: TxtAffix,
    /// Most names one record may have.
    pub max_names: usize,
    /// Most addresses one name may have.
    pub max_targets: usize,
    /// Bounds of every TTL, in seconds, that a Domain may narrow.
    pub min_ttl: u32,
    /// See `min_ttl`.
    pub max_ttl: u32,
    /// How long a cluster that was just added may take to be read before records speak of it. Its last known state
    /// counts meanwhile, so nothing but words depends on it.
    pub starting_seconds: i64,
    /// Whether Domains may name policies of their own.
    pub domain_policies: DomainPolicies,
}

/// Whether Domains may name policies of their own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DomainPolicies {
    /// No: the same ones decide everywhere, whatever a Domain names.
    #[default]
    Ignored,
    /// Yes; [`Fact::Rollout`] tells of each Domain that names any, and nothing is decided for it before.
    Honoured,
    /// [`Fact::Rollout`] tells of every Domain, and nothing is decided before.
    Everywhere,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            grace_seconds: Some(300),
            txt_affix: TxtAffix::default(),
            max_names: 1000,
            max_targets: 4000,
            min_ttl: 1,
            max_ttl: crate::guard::MAX_TTL,
            starting_seconds: 15,
            domain_policies: DomainPolicies::Ignored,
        }
    }
}

/// How deep a record must be looked at again.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Depth {
    /// What is published, or who has which name, changed.
    Plan,
    /// What is known of one cluster changed, and nothing else that observing looks at.
    ObserveOne(ClusterName),
    /// Anything may have changed.
    Observe,
}

impl Depth {
    /// What covers both.
    fn deepen(&mut self, other: &Self) {
        match (&*self, other) {
            (_, Self::Plan) | (Self::Observe, _) => {}
            (Self::ObserveOne(one), Self::ObserveOne(same)) if one == same => {}
            (Self::Plan, _) => self.clone_from(other),
            (Self::ObserveOne(_), _) => *self = Self::Observe,
        }
    }
}

#[derive(Debug, Default)]
struct Synced {
    records: bool,
    domains: bool,
    members: bool,
    published: bool,
}

/// Everything that is known, and what follows from it.
#[derive(Debug)]
pub struct Index {
    settings: Settings,
    now: Timestamp,
    leading: bool,
    synced: Synced,
    default_policies: PolicyRef,
    domain_policies: HashMap<Arc<str>, policies::Told>,
    domains: BTreeMap<Arc<str>, DomainEntry>,
    clusters: BTreeMap<ClusterName, Cluster>,
    /// Locations that records remember of clusters nobody else remembers.
    remembered: HashMap<ClusterName, Location>,
    places: Arc<Places>,
    records: BTreeMap<ObjectKey, Entry>,
    by_domain: HashMap<Arc<str>, BTreeSet<ObjectKey>>,
    published: HashMap<ObjectKey, Published>,
    /// DNSEndpoints (by uid) whose deletion was sent to the writer.
    deleting: HashSet<(ObjectKey, Arc<str>)>,
    claims: Claims,
    /// Records whose first answer is on its way; they may want names that younger ones think are free.
    unheard: BTreeSet<Arc<Rank>>,
    /// Records that wait for older ones to be heard before they publish names of their own.
    postponed: BTreeSet<Arc<Rank>>,
    hosts: Hosts,
    words: Words,
    wakes: BTreeSet<(Timestamp, ObjectKey)>,
    wake_sent: Option<Timestamp>,
    member_wake: Option<Timestamp>,
    /// Members about which there may be something new to say.
    unreported: BTreeSet<ClusterName>,
    dirty: BTreeMap<ObjectKey, Depth>,
}

impl Index {
    /// An Index that knows nothing yet and may write. `policies` decide for every Domain until
    /// [`Fact::Policies`] says otherwise.
    #[must_use]
    pub fn new(settings: Settings, policies: PolicyRef, now: Timestamp) -> Self {
        Self {
            settings,
            now,
            leading: true,
            synced: Synced::default(),
            default_policies: policies,
            domain_policies: HashMap::new(),
            domains: BTreeMap::new(),
            clusters: BTreeMap::new(),
            remembered: HashMap::new(),
            places: Arc::new(Places::default()),
            records: BTreeMap::new(),
            by_domain: HashMap::new(),
            published: HashMap::new(),
            deleting: HashSet::new(),
            claims: Claims::default(),
            unheard: BTreeSet::new(),
            postponed: BTreeSet::new(),
            hosts: Hosts::default(),
            words: Words::default(),
            wakes: BTreeSet::new(),
            wake_sent: None,
            member_wake: None,
            unreported: BTreeSet::new(),
            dirty: BTreeMap::new(),
        }
    }

    /// Learns one fact; what is to be done is appended to `out`.
    pub fn apply(&mut self, fact: Fact, out: &mut Vec<Effect>) {
        self.learn(fact, out);
        self.flush(out);
    }

    /// Learns many facts and looks at each record they touch once.
    pub fn apply_all(&mut self, facts: impl IntoIterator<Item = Fact>, out: &mut Vec<Effect>) {
        for fact in facts {
            self.learn(fact, out);
        }
        self.flush(out);
    }

    /// Whether Records, Domains, Members and Published have all been told for the first time. Nothing is decided before.
    #[must_use]
    pub const fn host_synced(&self) -> bool {
        self.synced.records && self.synced.domains && self.synced.members && self.synced.published
    }

    /// Names of the records, sorted.
    #[must_use]
    pub fn records(&self) -> Vec<ObjectKey> {
        self.records.keys().cloned().collect()
    }

    /// Names of the member clusters with whether each has been read, sorted.
    #[must_use]
    pub fn members(&self) -> Vec<(ClusterName, bool)> {
        self.clusters.iter().map(|(name, cluster)| (name.clone(), cluster.synced())).collect()
    }

    /// What the DNSEndpoint of a record should say now; empty: there should be none.
    #[must_use]
    pub fn endpoints(&self, record: &ObjectKey) -> Arc<[Endpoint]> {
        self.records.get(record).map_or_else(|| Arc::new([]) as Arc<[Endpoint]>, |entry| self.base(record, entry))
    }

    /// What the status of a record should say now.
    #[must_use]
    pub fn status(&self, record: &ObjectKey) -> Option<Arc<RecordStatus>> {
        self.records.get(record)?.status.clone()
    }

    /// Whether a record waits for its policies.
    #[must_use]
    pub fn is_pending(&self, record: &ObjectKey) -> bool {
        self.records.get(record).is_some_and(|entry| entry.asked.is_some())
    }

    fn touch(&mut self, record: &ObjectKey, depth: Depth) {
        if self.records.contains_key(record) {
            match self.dirty.get_mut(record) {
                Some(known) => known.deepen(&depth),
                None => drop(self.dirty.insert(record.clone(), depth)),
            }
        }
    }

    fn touch_all(&mut self, depth: &Depth) {
        for key in self.records.keys() {
            match self.dirty.get_mut(key) {
                Some(known) => known.deepen(depth),
                None => drop(self.dirty.insert(key.clone(), depth.clone())),
            }
        }
    }
}
