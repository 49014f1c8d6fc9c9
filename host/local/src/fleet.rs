//! Everything that a folder says, as facts.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    path::Path,
    sync::Arc,
};

use jiff::Timestamp;
use mcsdns_api::convert::PolicyMap;
use mcsdns_core::{
    facts::{Change, ClusterFact, Domain, Fact, Malformed, Member, Node, Published, Reach, Record, Service, Slice},
    ids::{ClusterName, ObjectKey},
};
use mcsdns_rollout::News;

use crate::{
    limits::Limits,
    problem::Problem,
    read::{ClusterFiles, Identity, Listing, Object, Place, Source, Told, list, read_file, read_text, title},
};

/// What is known of one member cluster.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ClusterObjects {
    /// Its Nodes.
    pub nodes: BTreeMap<Arc<str>, Node>,
    /// Its Services.
    pub services: BTreeMap<ObjectKey, Result<Service, Malformed>>,
    /// Its EndpointSlices.
    pub slices: BTreeMap<ObjectKey, Result<Slice, Malformed>>,
    /// Since when it cannot be reached, and why.
    pub outage: Option<(Timestamp, String)>,
    /// Not everything of it could be read: what is missing is not known rather than absent.
    pub incomplete: bool,
    /// Nothing of it is told, because it was never read in full.
    pub withheld: bool,
}

/// Everything that a folder says.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Fleet {
    /// ServiceDNSRecords.
    pub records: BTreeMap<ObjectKey, Record>,
    /// Domains.
    pub domains: BTreeMap<Arc<str>, Domain>,
    /// Member clusters.
    pub members: BTreeMap<ClusterName, Member>,
    /// DNSEndpoints that stand among the manifests.
    pub published: BTreeMap<ObjectKey, Published>,
    /// ConfigMaps that hold policies.
    pub policies: BTreeMap<Arc<str>, PolicyMap>,
    /// Where each of them stands; where there is none, who names it.
    pub policy_sources: BTreeMap<Arc<str>, Source>,
    /// What is in the member clusters.
    pub clusters: BTreeMap<ClusterName, ClusterObjects>,
    /// Not everything of the host could be read.
    pub host_incomplete: bool,
    /// The list of clusters could not be read in full.
    pub members_incomplete: bool,
    /// What is wrong.
    pub problems: Vec<Problem>,
}

impl Fleet {
    /// Reads a folder. `now` is the time from which a cluster without a better one counts as unreachable.
    #[must_use]
    pub fn read(dir: &Path, limits: &Limits, now: Timestamp) -> Self {
        let listing = list(dir, limits);
        let read = |files: &ClusterFiles, place: &Place| -> Part {
            let mut part = Part { incomplete: files.incomplete, ..Part::default() };
            for path in files.manifests.keys() {
                let content = read_file(path, place, limits);
                part.incomplete |= content.incomplete;
                part.problems.extend(content.problems);
                part.objects.extend(content.objects);
            }
            part.outage = files.outage.as_ref().map(|(path, _)| read_outage(path, now, &mut part.problems));
            part
        };
        let host = read(&listing.host, &Place::Host);
        let clusters = listing
            .clusters
            .iter()
            .map(|(name, files)| (name.clone(), read(files, &Place::Cluster(name.clone()))))
            .collect();
        Self::assemble(dir, host, clusters, &listing, now)
    }

    /// Puts together what was read of the host and of each cluster.
    pub(crate) fn assemble(
        dir: &Path,
        host: Part,
        clusters: BTreeMap<ClusterName, Part>,
        listing: &Listing,
        now: Timestamp,
    ) -> Self {
        let mut fleet = Self {
            host_incomplete: host.incomplete,
            members_incomplete: listing.incomplete,
            problems: listing.problems.clone(),
            ..Self::default()
        };
        let mut seen = BTreeMap::new();
        fleet.problems.extend(host.problems.iter().cloned());
        for (Object { source, told }, held) in host.all() {
            if !first(&mut seen, &told, &source, held, &mut fleet.problems) {
                continue;
            }
            match told {
                Told::Record(key, record) => {
                    fleet.records.insert(key, record);
                }
                Told::Domain(name, domain) => {
                    for map in named(&domain) {
                        fleet.policy_sources.entry(map).or_insert_with(|| source.clone());
                    }
                    fleet.domains.insert(name, domain);
                }
                Told::Member(name, member) => {
                    fleet.members.insert(name, member);
                }
                Told::Published(key, _, published) => {
                    fleet.published.insert(key, published);
                }
                Told::Policy(name, map) => {
                    fleet.policy_sources.insert(Arc::clone(&name), source.clone());
                    fleet.policies.insert(name, map);
                }
                Told::Node(..) | Told::Service(..) | Told::Slice(..) => {}
            }
        }
        let declared: Vec<ClusterName> = fleet.members.keys().cloned().collect();
        for (name, part) in clusters {
            fleet.members.entry(name.clone()).or_default();
            fleet.problems.extend(part.problems.iter().cloned());
            let mut objects =
                ClusterObjects { outage: part.outage.clone(), incomplete: part.incomplete, ..Default::default() };
            let mut seen = BTreeMap::new();
            for (Object { source, told }, held) in part.all() {
                if !first(&mut seen, &told, &source, held, &mut fleet.problems) {
                    continue;
                }
                match told {
                    Told::Node(name, node) => {
                        objects.nodes.insert(name, node);
                    }
                    Told::Service(key, service) => {
                        objects.services.insert(key, service);
                    }
                    Told::Slice(key, slice) => {
                        objects.slices.insert(key, slice);
                    }
                    Told::Record(..) | Told::Domain(..) | Told::Member(..) | Told::Published(..) | Told::Policy(..) => {
                    }
                }
            }
            fleet.clusters.insert(name, objects);
        }
        for name in declared {
            if let Entry::Vacant(place) = fleet.clusters.entry(name) {
                let folder = dir.join("clusters").join(place.key().as_str());
                let message =
                    format!("MemberCluster {} has no folder of manifests, so nothing is known of it", place.key());
                fleet.problems.push(Problem::note(folder.clone(), "NoFolder", message));
                let outage = Some((now, format!("there is no folder {}", folder.display())));
                place.insert(ClusterObjects { outage, incomplete: true, ..Default::default() });
            }
        }
        fleet
    }

    /// Everything, as told to an Index that knows nothing.
    #[must_use]
    pub fn facts(&self) -> Vec<Fact> {
        let mut facts = vec![
            Fact::Member(reset(&self.members)),
            Fact::Domain(reset(&self.domains)),
            Fact::Published(reset(&self.published)),
            Fact::Record(reset(&self.records)),
        ];
        for (name, objects) in &self.clusters {
            facts.extend(objects.facts(name));
        }
        facts
    }

    /// What has changed since `before`.
    #[must_use]
    pub fn changes(&self, before: &Self) -> Vec<Fact> {
        let mut facts: Vec<Fact> = Vec::new();
        facts.extend(changes(&before.members, &self.members).map(Fact::Member));
        facts.extend(changes(&before.domains, &self.domains).map(Fact::Domain));
        facts.extend(changes(&before.published, &self.published).map(Fact::Published));
        facts.extend(changes(&before.records, &self.records).map(Fact::Record));
        for (name, objects) in &self.clusters {
            match before.clusters.get(name).filter(|_| before.members.contains_key(name)) {
                Some(before) => facts.extend(objects.changes(before, name)),
                None => facts.extend(objects.facts(name)),
            }
        }
        facts
    }

    /// What is to be told to whoever looks after the policies of Domains; `before`: what was told last.
    #[must_use]
    pub fn policy_news(&self, before: Option<&Self>) -> Vec<News> {
        let Some(before) = before else {
            return vec![News::Maps(reset(&self.policies)), News::Domains(reset(&self.domains))];
        };
        let maps = changes(&before.policies, &self.policies).map(News::Maps);
        maps.chain(changes(&before.domains, &self.domains).map(News::Domains)).collect()
    }

    /// Whether anything is wrong that may have changed the result.
    #[must_use]
    pub fn has_errors(&self) -> bool {
        self.problems.iter().any(|problem| problem.level == crate::problem::Level::Error)
    }
}

/// The ConfigMaps that a Domain names.
fn named(domain: &Domain) -> impl Iterator<Item = Arc<str>> + use<> {
    let policies = domain.spec.as_ref().map(|spec| spec.policies.clone()).unwrap_or_default();
    [policies.naming, policies.selection, policies.ttl].into_iter().flatten()
}

/// What was read of one cluster.
#[derive(Clone, Debug, Default)]
pub(crate) struct Part {
    pub(crate) objects: Vec<Object>,
    /// Objects of files that are gone or broken for the moment; they give way to others of the same name.
    pub(crate) held: Vec<Object>,
    pub(crate) problems: Vec<Problem>,
    pub(crate) incomplete: bool,
    pub(crate) outage: Option<(Timestamp, String)>,
}

impl Part {
    /// All objects, and whether each is only held.
    fn all(self) -> impl Iterator<Item = (Object, bool)> {
        let held = self.held.into_iter().map(|object| (object, true));
        self.objects.into_iter().map(|object| (object, false)).chain(held)
    }
}

/// Since when the file `unreachable` says that a cluster cannot be reached: the time in it, or else the time when it was
/// made, but not later than `now`.
pub(crate) fn read_outage(path: &Path, now: Timestamp, problems: &mut Vec<Problem>) -> (Timestamp, String) {
    let why = format!("the file {} says so; remove it to end the outage", path.display());
    let made = || {
        let modified = std::fs::metadata(path).and_then(|metadata| metadata.modified()).ok()?;
        Timestamp::try_from(modified).ok()
    };
    let text = match read_text(path, 1024) {
        Ok(text) => text,
        Err(problem) => {
            problems.push(*problem);
            String::new()
        }
    };
    let since = match text.trim() {
        "" => made(),
        text => text.parse().ok().or_else(|| {
            let message = "should be empty or hold the time since when, for example 2026-01-02T03:04:05Z";
            problems.push(Problem::error(path, "InvalidTime", message));
            made()
        }),
    };
    (since.unwrap_or(now).min(now), why)
}

/// Whether this is the first object of that name; a second one is told and dropped.
fn first(
    seen: &mut BTreeMap<Identity, Source>,
    told: &Told,
    source: &Source,
    held: bool,
    problems: &mut Vec<Problem>,
) -> bool {
    let identity = told.identity();
    match seen.get(&identity) {
        None => {
            seen.insert(identity, source.clone());
            true
        }
        Some(_) if held => false,
        Some(other) => {
            let object = title(&identity);
            problems.push(Problem {
                document: source.document(),
                object: Some(object),
                ..Problem::error(source.path(), "Duplicate", format!("is defined in {other} already; that one counts"))
                    .at(source.line())
            });
            false
        }
    }
}

impl ClusterObjects {
    fn reach(&self) -> Reach {
        match &self.outage {
            None => Reach::Reachable { version: None },
            Some((since, message)) => {
                Reach::Unreachable { reason: "Unreachable", message: message.clone(), since: *since }
            }
        }
    }

    fn facts(&self, name: &ClusterName) -> Vec<Fact> {
        let mut facts = Vec::new();
        if !self.withheld {
            facts.push(ClusterFact::Node(reset(&self.nodes)));
            facts.push(ClusterFact::Service(reset(&self.services)));
            facts.push(ClusterFact::Slice(reset(&self.slices)));
        }
        facts.extend(self.watch_failures());
        facts.push(ClusterFact::Reach(self.reach()));
        facts.into_iter().map(|fact| Fact::Cluster(name.clone(), fact)).collect()
    }

    fn watch_failures(&self) -> impl Iterator<Item = ClusterFact> {
        let message = (self.incomplete && self.outage.is_none())
            .then(|| "some of its manifests cannot be read; correct them".to_owned());
        ["nodes", "services", "endpointslices"]
            .into_iter()
            .map(move |resource| ClusterFact::WatchFailed { resource, message: message.clone() })
    }

    fn changes(&self, before: &Self, name: &ClusterName) -> Vec<Fact> {
        // Back from an outage, everything is read again, as by a watch.
        if !self.withheld && (before.withheld || before.outage.is_some() && self.outage.is_none()) {
            return self.facts(name);
        }
        let mut facts = Vec::new();
        if !self.withheld {
            facts.extend(changes(&before.nodes, &self.nodes).map(ClusterFact::Node));
            facts.extend(changes(&before.services, &self.services).map(ClusterFact::Service));
            facts.extend(changes(&before.slices, &self.slices).map(ClusterFact::Slice));
        }
        if before.incomplete != self.incomplete {
            facts.extend(self.watch_failures());
        }
        if before.outage != self.outage {
            facts.push(ClusterFact::Reach(self.reach()));
        }
        facts.into_iter().map(|fact| Fact::Cluster(name.clone(), fact)).collect()
    }
}

fn reset<K: Clone, V: Clone>(all: &BTreeMap<K, V>) -> Change<K, V> {
    Change::Reset(all.iter().map(|(key, value)| (key.clone(), value.clone())).collect())
}

fn changes<K: Ord + Clone, V: Clone + PartialEq>(
    before: &BTreeMap<K, V>,
    after: &BTreeMap<K, V>,
) -> impl Iterator<Item = Change<K, V>> {
    let gone: Vec<_> =
        before.keys().filter(|key| !after.contains_key(*key)).map(|key| Change::Delete(key.clone())).collect();
    let new: Vec<_> = after
        .iter()
        .filter(|(key, value)| before.get(*key) != Some(*value))
        .map(|(key, value)| Change::Apply(key.clone(), value.clone()))
        .collect();
    gone.into_iter().chain(new)
}
