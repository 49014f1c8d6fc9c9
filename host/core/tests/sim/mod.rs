//! A world around the Index: an API server that takes every write, member clusters, and a policy written in plain Rust
//! (the rules of the policy in the box, in short).

#![allow(
    dead_code,
    unreachable_pub,
    missing_docs,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "shared by several test binaries"
)]

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use jiff::{SignedDuration, Timestamp};
use mcsdns_core::{
    decision::*,
    effect::{Effect, endpoint_name},
    facts::*,
    ids::{ClusterName, ObjectKey},
    index::{Index, Settings},
    plan::Endpoint,
    status::{DomainStatus, MemberStatus, RecordStatus},
};

pub const START: i64 = 1_800_000_000;

pub fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(START + seconds).unwrap()
}

pub fn key(name: &str) -> ObjectKey {
    ObjectKey::new("test", name)
}

pub fn policies() -> PolicyRef {
    PolicyRef { id: "plain".into(), title: "plain 1".into(), needs: Needs::default() }
}

/// The rules of the policy in the box.
pub fn decide(input: &DecisionInput) -> DecisionOutput {
    let s = &input.subject;
    let first = s.external_name.as_ref().unwrap_or(&s.service);
    let stem = format!("{first}.{}.{}.svc", s.namespace, s.federation);
    let mut names =
        vec![Name { fqdn: format!("{stem}.{}", s.domain), place: Place::Everywhere, fallback: Fallback::Nothing }];
    for (i, region) in (0..).zip(&input.places.regions) {
        names.push(Name {
            fqdn: format!("{stem}.{region}.{}", s.domain),
            place: Place::Region(i),
            fallback: Fallback::AliasOf(0),
        });
    }
    for (i, zone) in (0..).zip(&input.places.zones) {
        let region = &input.places.regions[zone.region as usize];
        names.push(Name {
            fqdn: format!("{stem}.{}.{region}.{}", zone.name, s.domain),
            place: Place::Zone(i),
            fallback: Fallback::AliasOf(1 + zone.region),
        });
    }
    if let Some(prefix) = &s.dns_prefix {
        names.push(Name {
            fqdn: format!("{prefix}.{}", s.domain),
            place: Place::Everywhere,
            fallback: Fallback::AlwaysAliasOf(0),
        });
    }
    let decisions: Vec<Decision> = names
        .iter()
        .map(|name| {
            let serving: Vec<u32> = (0..)
                .zip(&input.clusters)
                .filter(|(_, c)| {
                    !c.addresses.is_empty()
                        && match name.place {
                            Place::Everywhere => true,
                            Place::Region(i) => c.region == Some(i),
                            Place::Zone(i) => c.zones.contains(&i),
                        }
                })
                .map(|(i, _)| i)
                .collect();
            let answer = if serving.is_empty() { Answer::Otherwise } else { Answer::Clusters(serving) };
            Decision { answer, because: String::new(), recheck_after_seconds: None }
        })
        .collect();
    let ttls = vec![s.record_ttl.unwrap_or(180); names.len()];
    DecisionOutput { names, decisions, ttls, recheck_after_seconds: None }
}

/// What the members really contain.
#[derive(Clone, Debug, Default)]
pub struct Cell {
    pub node: Node,
    pub services: BTreeMap<ObjectKey, Service>,
    pub slices: BTreeMap<ObjectKey, Slice>,
    /// Seconds since when it cannot be reached.
    pub down: Option<i64>,
}

pub struct Sim {
    pub index: Index,
    pub now: i64,
    pub settings: Settings,
    pub policy: fn(&DecisionInput) -> DecisionOutput,
    pub policy_down: bool,
    pub records: BTreeMap<ObjectKey, Record>,
    pub domains: BTreeMap<Arc<str>, Domain>,
    pub members: BTreeMap<ClusterName, Member>,
    pub cells: BTreeMap<ClusterName, Cell>,
    pub published: BTreeMap<ObjectKey, Published>,
    pub hosts: BTreeMap<Arc<str>, HostAnswer>,
    /// Writes of every kind since the last look, in words.
    pub writes: Vec<String>,
    pub notices: Vec<String>,
    pub crash_before_status: bool,
    /// Another replica, that does not lead and cannot see some clusters.
    follower: Option<(Index, Vec<ClusterName>)>,
    /// What is told together and has not been told yet.
    held: Option<Vec<Fact>>,
    uids: u64,
}

impl Sim {
    pub fn new() -> Self {
        let settings = Settings::default();
        let mut sim = Self {
            index: Index::new(settings.clone(), policies(), at(0)),
            now: 0,
            settings,
            policy: decide,
            policy_down: false,
            records: BTreeMap::new(),
            domains: BTreeMap::new(),
            members: BTreeMap::new(),
            cells: BTreeMap::new(),
            published: BTreeMap::new(),
            hosts: BTreeMap::new(),
            writes: Vec::new(),
            notices: Vec::new(),
            crash_before_status: false,
            follower: None,
            held: None,
            uids: 0,
        };
        sim.domains.insert("galactic".into(), domain("example.com"));
        sim.host_facts();
        sim
    }

    pub fn member(&mut self, name: &str, region: &str, zone: &str) {
        let name = ClusterName::new(name);
        self.members.insert(name.clone(), Member::default());
        let text = |t: &str| (!t.is_empty()).then(|| Arc::from(t));
        let node = Node { region: text(region), zone: text(zone) };
        self.cells.insert(name.clone(), Cell { node, ..Cell::default() });
        self.tell(Fact::Member(Change::Apply(name.clone(), Member::default())));
        self.sync(&name);
    }

    /// Tells everything about a member as a first list would.
    pub fn sync(&mut self, name: &ClusterName) {
        let Some(cell) = self.cells.get(name).cloned() else { return };
        if let Some(since) = cell.down {
            self.tell(Fact::Cluster(name.clone(), ClusterFact::Reach(down(since))));
            return;
        }
        let facts = [
            ClusterFact::Reach(Reach::Reachable { version: None }),
            ClusterFact::Node(Change::Reset(vec![("n".into(), cell.node)])),
            ClusterFact::Service(Change::Reset(cell.services.into_iter().map(|(k, v)| (k, Ok(v))).collect())),
            ClusterFact::Slice(Change::Reset(cell.slices.into_iter().map(|(k, v)| (k, Ok(v))).collect())),
        ];
        for fact in facts {
            self.tell(Fact::Cluster(name.clone(), fact));
        }
    }

    pub fn service(&mut self, cluster: &str, service: &str, ingress: &[&str], ready: u32) {
        let cluster = ClusterName::new(cluster);
        let value = load_balancer(ingress);
        let slice = Slice { service: service.into(), ready };
        let slice_key = key(&format!("{service}-abc"));
        let Some(cell) = self.cells.get_mut(&cluster) else { return };
        cell.services.insert(key(service), value.clone());
        cell.slices.insert(slice_key.clone(), slice.clone());
        if cell.down.is_some() {
            return;
        }
        self.tell(Fact::Cluster(cluster.clone(), ClusterFact::Service(Change::Apply(key(service), Ok(value)))));
        self.tell(Fact::Cluster(cluster, ClusterFact::Slice(Change::Apply(slice_key, Ok(slice)))));
    }

    pub fn no_service(&mut self, cluster: &str, service: &str) {
        let cluster = ClusterName::new(cluster);
        let Some(cell) = self.cells.get_mut(&cluster) else { return };
        cell.services.remove(&key(service));
        if cell.down.is_none() {
            self.tell(Fact::Cluster(cluster, ClusterFact::Service(Change::Delete(key(service)))));
        }
    }

    pub fn down(&mut self, cluster: &str) {
        let cluster = ClusterName::new(cluster);
        let now = self.now;
        let Some(cell) = self.cells.get_mut(&cluster) else { return };
        cell.down = Some(now);
        self.tell(Fact::Cluster(cluster, ClusterFact::Reach(down(now))));
    }

    pub fn up(&mut self, cluster: &str) {
        let cluster = ClusterName::new(cluster);
        let Some(cell) = self.cells.get_mut(&cluster) else { return };
        cell.down = None;
        self.sync(&cluster);
    }

    pub fn record(&mut self, name: &str, created: i64, edit: impl FnOnce(&mut RecordSpec)) {
        let mut spec = RecordSpec { domain_ref: "galactic".into(), ..RecordSpec::default() };
        edit(&mut spec);
        self.uids += 1;
        let old = self.records.get(&key(name));
        let meta = Meta {
            uid: old.map_or_else(|| format!("u{}", self.uids).into(), |old| Arc::clone(&old.meta.uid)),
            generation: old.map_or(1, |old| old.meta.generation + 1),
            created: Some(old.and_then(|old| old.meta.created).unwrap_or_else(|| at(created))),
            deleting: false,
        };
        let status = old.and_then(|old| old.status.clone());
        let record = Record { meta, annotations: Vec::new(), spec: Ok(spec), status };
        self.records.insert(key(name), record.clone());
        self.tell(Fact::Record(Change::Apply(key(name), record)));
    }

    pub fn domain(&mut self, edit: impl FnOnce(&mut DomainSpec)) {
        let mut domain = domain("example.com");
        edit(domain.spec.as_mut().unwrap());
        self.domains.insert("galactic".into(), domain.clone());
        self.tell(Fact::Domain(Change::Apply("galactic".into(), domain)));
    }

    pub fn pass(&mut self, seconds: i64) {
        self.now += seconds;
        self.tell(Fact::Tick(at(self.now)));
    }

    /// Tells a fact and carries out everything that follows.
    pub fn tell(&mut self, fact: Fact) {
        if let Some(held) = &mut self.held {
            held.push(fact);
            return;
        }
        let mut queue = VecDeque::from([fact]);
        while let Some(fact) = queue.pop_front() {
            self.follow(&fact);
            let mut effects = Vec::new();
            self.index.apply(fact, &mut effects);
            for effect in effects {
                self.carry_out(effect, &mut queue);
            }
        }
    }

    /// Whatever happens in there is told at once, as the loop does with all that came while it was busy.
    pub fn at_once(&mut self, happen: impl FnOnce(&mut Self)) {
        self.held = Some(Vec::new());
        happen(self);
        let mut queue = VecDeque::from(self.held.take().unwrap_or_default());
        while !queue.is_empty() {
            for fact in queue.clone() {
                self.follow(&fact);
            }
            let mut effects = Vec::new();
            self.index.apply_all(queue.drain(..), &mut effects);
            for effect in effects {
                self.carry_out(effect, &mut queue);
            }
        }
    }

    /// Starts another replica, which does not lead and never hears of the clusters in `lost`.
    pub fn second(&mut self, lost: &[&str]) {
        self.follower = None;
        let second = Index::new(self.settings.clone(), policies(), at(self.now));
        let leader = std::mem::replace(&mut self.index, second);
        self.tell(Fact::Leading(false));
        self.read_all(lost);
        let second = std::mem::replace(&mut self.index, leader);
        self.follower = Some((second, lost.iter().copied().map(ClusterName::new).collect()));
    }

    /// The leader dies and the other replica, if there is one, goes on.
    pub fn hand_over(&mut self) {
        if let Some((second, _)) = self.follower.take() {
            self.index = second;
            self.writes.clear();
            self.tell(Fact::Leading(true));
        }
    }

    /// What the other replica takes for published.
    pub fn lines_of_second(&self, record: &str) -> Vec<String> {
        self.follower.as_ref().map(|(second, _)| lines(&second.endpoints(&key(record)))).unwrap()
    }

    fn follow(&mut self, fact: &Fact) {
        let Some((mut second, lost)) = self.follower.take() else { return };
        let unseen = matches!(fact, Fact::Cluster(name, _) if lost.contains(name));
        if !unseen && !matches!(fact, Fact::Decided { .. } | Fact::Leading(_)) {
            let mut queue = VecDeque::from([fact.clone()]);
            while let Some(fact) = queue.pop_front() {
                let mut effects = Vec::new();
                second.apply(fact, &mut effects);
                for effect in effects {
                    match effect {
                        Effect::Decide { .. } | Effect::Resolve(_) => self.carry_out(effect, &mut queue),
                        Effect::Forget(_) | Effect::WakeAt(_) => {}
                        other => panic!("a follower wrote: {other:?}"),
                    }
                }
            }
        }
        self.follower = Some((second, lost));
    }

    fn carry_out(&mut self, effect: Effect, queue: &mut VecDeque<Fact>) {
        match effect {
            Effect::Decide { record, hash, input, .. } => {
                let result = if self.policy_down {
                    Err(PolicyFailure { policy: "plain".into(), reason: "Timeout", message: "too slow".to_owned() })
                } else {
                    Ok(Arc::new((self.policy)(&input)))
                };
                queue.push_back(Fact::Decided { record, hash, result });
            }
            Effect::ApplyEndpoints { record, uid, endpoints } => {
                self.writes.push(format!("apply {record}"));
                let object = ObjectKey::new(&*record.namespace, endpoint_name(&record.name));
                self.uids += 1;
                let old = self.published.get(&object);
                let published = Published {
                    uid: old.map_or_else(|| format!("o{}", self.uids).into(), |old| Arc::clone(&old.uid)),
                    generation: old.map_or(1, |old| old.generation + 1),
                    owner: Owner::Record { name: Arc::clone(&record.name), uid },
                    metadata_in_order: true,
                    endpoints,
                };
                self.published.insert(object.clone(), published.clone());
                queue.push_back(Fact::Published(Change::Apply(object, published)));
            }
            Effect::DeleteEndpoints { object, .. } => {
                self.writes.push(format!("delete {object}"));
                self.published.remove(&object);
                queue.push_back(Fact::Published(Change::Delete(object)));
            }
            Effect::RecordStatus { record, status } => {
                self.writes.push(format!("status {record}"));
                if self.crash_before_status {
                    return;
                }
                if let Some(known) = self.records.get_mut(&record) {
                    known.status = Some(status);
                    queue.push_back(Fact::Record(Change::Apply(record, known.clone())));
                }
            }
            Effect::DomainStatus { domain, status } => {
                self.writes.push(format!("domain status {domain}"));
                if let Some(known) = self.domains.get_mut(&domain) {
                    known.status = Some(status);
                    queue.push_back(Fact::Domain(Change::Apply(domain, known.clone())));
                }
            }
            Effect::MemberStatus { member, status } => {
                self.writes.push(format!("member status {member}"));
                if let Some(known) = self.members.get_mut(&member) {
                    known.status = Some(status);
                    queue.push_back(Fact::Member(Change::Apply(member, known.clone())));
                }
            }
            Effect::Resolve(name) => {
                if let Some(answer) = self.hosts.get(&name) {
                    queue.push_back(Fact::HostName(name, answer.clone()));
                }
            }
            Effect::Forget(_) | Effect::WakeAt(_) => {}
            Effect::Notice { reason, note, .. } => self.notices.push(format!("{reason}: {note}")),
        }
    }

    fn host_facts(&mut self) {
        let members = self.members.clone().into_iter().collect();
        self.tell(Fact::Domain(Change::Reset(self.domains.clone().into_iter().collect())));
        self.tell(Fact::Record(Change::Reset(self.records.clone().into_iter().collect())));
        self.tell(Fact::Member(Change::Reset(members)));
        self.tell(Fact::Published(Change::Reset(self.published.clone().into_iter().collect())));
    }

    /// A new process in the same world. Only what the API server holds survives; the clusters named in `lost` never
    /// answer.
    pub fn restart(&mut self, lost: &[&str]) {
        self.follower = None;
        self.index = Index::new(self.settings.clone(), policies(), at(self.now));
        self.writes.clear();
        self.read_all(lost);
    }

    fn read_all(&mut self, lost: &[&str]) {
        self.host_facts();
        let names: Vec<_> = self.cells.keys().cloned().collect();
        for name in names {
            if !lost.contains(&name.as_str()) {
                self.sync(&name);
            }
        }
    }

    /// The DNSEndpoint of a record, line by line, with names shortened as in the acceptance tables.
    pub fn lines(&self, record: &str) -> Vec<String> {
        let object = ObjectKey::new("test", endpoint_name(record));
        self.published.get(&object).map_or_else(Vec::new, |published| lines(&published.endpoints))
    }

    pub fn status(&self, record: &str) -> Arc<RecordStatus> {
        self.index.status(&key(record)).unwrap()
    }

    /// `True/Programmed` and the like.
    pub fn condition(&self, record: &str, kind: &str) -> String {
        let status = self.status(record);
        let condition = status.conditions.iter().find(|condition| &*condition.kind == kind).unwrap();
        format!("{}/{}", condition.status.as_str(), condition.reason)
    }

    pub fn message(&self, record: &str, kind: &str) -> String {
        let status = self.status(record);
        status.conditions.iter().find(|condition| &*condition.kind == kind).unwrap().message.to_string()
    }

    pub fn take_writes(&mut self) -> Vec<String> {
        std::mem::take(&mut self.writes)
    }
}

pub fn domain(zone: &str) -> Domain {
    Domain {
        meta: Meta { generation: 1, ..Meta::default() },
        spec: Ok(DomainSpec { domain: zone.into(), ..DomainSpec::default() }),
        status: None::<Arc<DomainStatus>>,
    }
}

pub fn load_balancer(ingress: &[&str]) -> Service {
    let mut ingress: Vec<Ingress> = ingress
        .iter()
        .map(|text| text.parse().map_or_else(|_| Ingress::HostName((*text).into()), Ingress::Ip))
        .collect();
    ingress.sort();
    Service { load_balancer: true, kind: "LoadBalancer".into(), ingress: ingress.into(), refused: Vec::new() }
}

pub fn down(since: i64) -> Reach {
    Reach::Unreachable { reason: "Unreachable", message: "connection refused".to_owned(), since: at(since) }
}

pub fn lines(endpoints: &[Endpoint]) -> Vec<String> {
    let short = |name: &str| {
        let name = name.strip_suffix(".example.com").unwrap_or(name);
        name.replace("nginx.test.galactic.svc", "G")
    };
    let mut lines: Vec<String> = endpoints
        .iter()
        .map(|endpoint| {
            let targets: Vec<_> = endpoint.targets.to_strings().iter().map(|target| short(target)).collect();
            format!("{} {} {}", short(&endpoint.dns_name), endpoint.record_type.as_str(), targets.join(","))
        })
        .collect();
    lines.sort();
    lines
}

pub fn after(seconds: i64) -> SignedDuration {
    SignedDuration::from_secs(seconds)
}

pub type Statuses = BTreeMap<ClusterName, Option<Arc<MemberStatus>>>;

/// What is published of [`both`].
pub const BOTH: [&str; 5] =
    ["G A 10.0.0.1,10.0.0.2", "G.eu A 10.0.0.2", "G.eu1.eu A 10.0.0.2", "G.us A 10.0.0.1", "G.us1.us A 10.0.0.1"];

/// One Service in two regions, and its record.
pub fn both() -> Sim {
    let mut sim = Sim::new();
    sim.member("c1", "us", "us1");
    sim.member("c2", "eu", "eu1");
    sim.service("c1", "nginx", &["10.0.0.1"], 1);
    sim.service("c2", "nginx", &["10.0.0.2"], 1);
    sim.record("nginx", 0, |_| {});
    assert_eq!(sim.lines("nginx"), BOTH);
    sim.take_writes();
    sim
}
