//! The Index with 10,000 records in 20 clusters: cold build, one change, a relist, memory.
//!
//! Not criterion: a cold build takes seconds and is measured a few times, one change takes microseconds and is measured
//! thousands of times, on one and the same Index.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may fail by panicking"
)]
#![allow(missing_docs, reason = "a benchmark has no users")]

use std::{
    collections::VecDeque,
    sync::Arc,
    time::{Duration, Instant},
};

use jiff::Timestamp;
use mcsdns_bench::native;
use mcsdns_core::{
    decision::{Needs, PolicyRef},
    effect::{Effect, endpoint_name},
    facts::*,
    ids::{ClusterName, ObjectKey},
    index::{Index, Settings},
};
use mcsdns_policy::{Engine, EngineLimits, LoadRequest, PolicySet, default_policy_bytes};

const RECORDS: usize = 10_000;
const CLUSTERS: usize = 20;

/// A world that takes every write at once, so that the Index reaches its steady state.
struct World {
    index: Index,
    deciding: Duration,
    decisions: usize,
    writes: usize,
}

impl World {
    fn tell(&mut self, facts: Vec<Fact>) {
        let mut out = Vec::new();
        self.index.apply_all(facts, &mut out);
        let mut queue = VecDeque::from(out);
        let mut answers = Vec::new();
        while let Some(effect) = queue.pop_front() {
            let answer = match effect {
                Effect::Decide { record, hash, input, .. } => {
                    let begin = Instant::now();
                    let output = native::decide(&input);
                    self.deciding += begin.elapsed();
                    self.decisions += 1;
                    Some(Fact::Decided { record, hash, result: Ok(Arc::new(output)) })
                }
                Effect::ApplyEndpoints { record, uid, endpoints } => {
                    self.writes += 1;
                    let object = ObjectKey::new(&*record.namespace, endpoint_name(&record.name));
                    let owner = Owner::Record { name: Arc::clone(&record.name), uid };
                    let published =
                        Published { uid: "o".into(), generation: 0, owner, metadata_in_order: true, endpoints };
                    Some(Fact::Published(Change::Apply(object, published)))
                }
                Effect::RecordStatus { record, status } => {
                    self.writes += 1;
                    let value = self::record(Some(status));
                    Some(Fact::Record(Change::Apply(record, value)))
                }
                _ => None,
            };
            answers.extend(answer);
            if queue.is_empty() || answers.len() >= 256 {
                let mut out = Vec::new();
                self.index.apply_all(std::mem::take(&mut answers), &mut out);
                queue.extend(out);
            }
        }
    }
}

fn record(status: Option<Arc<mcsdns_core::status::RecordStatus>>) -> Record {
    Record {
        meta: Meta { uid: "r".into(), generation: 1, created: Some(Timestamp::UNIX_EPOCH), deleting: false },
        annotations: Vec::new(),
        spec: Ok(RecordSpec { domain_ref: "galactic".into(), ..RecordSpec::default() }),
        status,
    }
}

fn key(i: usize) -> ObjectKey {
    ObjectKey::new(format!("namespace-{}", i % 100), format!("service-{i:05}"))
}

fn service(cluster: usize, i: usize, last: u8) -> Service {
    let address =
        std::net::Ipv4Addr::new(10, u8::try_from(cluster).unwrap_or(0), u8::try_from(i % 250).unwrap_or(0), last);
    Service {
        load_balancer: true,
        kind: "LoadBalancer".into(),
        ingress: Arc::new([Ingress::Ip(address.into())]),
        refused: Vec::new(),
    }
}

fn services(cluster: usize) -> Vec<(ObjectKey, Result<Service, Malformed>)> {
    (0..RECORDS).map(|i| (key(i), Ok(service(cluster, i, 1)))).collect()
}

fn slices() -> Vec<(ObjectKey, Result<Slice, Malformed>)> {
    (0..RECORDS)
        .map(|i| {
            let service = key(i);
            let object = ObjectKey::new(&*service.namespace, format!("{}-abcde", service.name));
            (object, Ok(Slice { service: service.name, ready: 2 }))
        })
        .collect()
}

fn resident_mebibytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
    line.split_whitespace().nth(1)?.parse::<u64>().ok().map(|kib| kib / 1024)
}

fn build() -> (World, Duration) {
    let policies = PolicyRef { id: "native".into(), title: "native".into(), needs: Needs::default() };
    let index = Index::new(Settings::default(), policies, Timestamp::UNIX_EPOCH);
    let mut world = World { index, deciding: Duration::ZERO, decisions: 0, writes: 0 };
    let domain = Domain {
        meta: Meta::default(),
        spec: Ok(DomainSpec { domain: "example.com".into(), ..DomainSpec::default() }),
        status: None,
    };
    let names: Vec<ClusterName> = (0..CLUSTERS).map(|i| ClusterName::new(format!("cluster-{i:02}"))).collect();
    let mut facts = vec![
        Fact::Domain(Change::Reset(vec![("galactic".into(), domain)])),
        Fact::Record(Change::Reset((0..RECORDS).map(|i| (key(i), record(None))).collect())),
        Fact::Member(Change::Reset(names.iter().map(|name| (name.clone(), Member::default())).collect())),
        Fact::Published(Change::Reset(Vec::new())),
    ];
    for (i, name) in names.iter().enumerate() {
        let region = format!("region-{:02}", i % 10);
        let node = |zone: usize| {
            let zone = Some(Arc::from(format!("{region}-{zone}")));
            (Arc::from(format!("node-{zone:?}")), Node { region: Some(region.as_str().into()), zone })
        };
        for fact in [
            ClusterFact::Reach(Reach::Reachable { version: None }),
            ClusterFact::Node(Change::Reset((0..3).map(node).collect())),
            ClusterFact::Service(Change::Reset(services(i))),
            ClusterFact::Slice(Change::Reset(slices())),
        ] {
            facts.push(Fact::Cluster(name.clone(), fact));
        }
    }
    let begin = Instant::now();
    world.tell(facts);
    let took = begin.elapsed();
    (world, took)
}

fn main() {
    // cargo passes arguments such as --bench, and a filter: this benchmark is one whole.
    println!("Index with {RECORDS} records x {CLUSTERS} clusters, 10 regions of 3 zones, native policy");
    let before = resident_mebibytes().unwrap_or_default();
    let (mut world, took) = build();
    let after = resident_mebibytes().unwrap_or_default();
    println!(
        "cold build      {:>10.2?}  of which {:.2?} in {} decisions; {} writes",
        took, world.deciding, world.decisions, world.writes
    );
    println!("memory          {:>7} MiB resident after, {before} MiB before", after);
    world.tell(vec![Fact::Tick(Timestamp::from_second(60).unwrap_or_default())]);

    // One change: the address of one Service. Only the fact itself is measured, as that is what holds up the next one;
    // the decision and the two writes it leads to are carried out in between.
    let name = ClusterName::new("cluster-07");
    let mut times = Vec::new();
    for i in 0..5_000 {
        let object = key(i * 2);
        let fact = Fact::Cluster(name.clone(), ClusterFact::Service(Change::Apply(object, Ok(service(7, i, 9)))));
        let mut out = Vec::new();
        let begin = Instant::now();
        world.index.apply(fact, &mut out);
        times.push(begin.elapsed());
        let facts = out.into_iter().filter_map(|effect| match effect {
            Effect::Decide { record, hash, input, .. } => {
                Some(Fact::Decided { record, hash, result: Ok(Arc::new(native::decide(&input))) })
            }
            _ => None,
        });
        world.tell(facts.collect());
    }
    print_times("one change", &mut times);

    // The whole way of one change, decision included: fact, decision, plan, both writes observed.
    let mut times = Vec::new();
    for i in 0..2_000 {
        let fact = Fact::Cluster(name.clone(), ClusterFact::Service(Change::Apply(key(i * 3), Ok(service(7, i, 77)))));
        let begin = Instant::now();
        world.tell(vec![fact]);
        times.push(begin.elapsed());
    }
    print_times("and to the end", &mut times);

    // A relist in which nothing changed.
    let (writes, list) = (world.writes, (0..RECORDS).map(|i| (key(i), Ok(service(3, i, 1)))).collect());
    let begin = Instant::now();
    world.tell(vec![Fact::Cluster(ClusterName::new("cluster-03"), ClusterFact::Service(Change::Reset(list)))]);
    println!("relist, no news {:>10.2?}  for {RECORDS} Services; {} writes", begin.elapsed(), world.writes - writes);

    // A cluster that becomes unreachable concerns every record.
    let down = Reach::Unreachable { reason: "Unreachable", message: String::new(), since: Timestamp::UNIX_EPOCH };
    let (begin, decisions) = (Instant::now(), world.decisions);
    world.tell(vec![Fact::Cluster(ClusterName::new("cluster-03"), ClusterFact::Reach(down))]);
    println!(
        "a cluster lost  {:>10.2?}  until every record has been looked at, {} decided again and written",
        begin.elapsed(),
        world.decisions - decisions
    );
    rehearse(&world.index);
    println!("memory          {:>7} MiB resident at the end", resident_mebibytes().unwrap_or_default());
}

/// Every record decided by the policy in the box, in the sandbox, without anything coming of it: what a rollout does
/// before a policy takes over, on one thread.
fn rehearse(index: &Index) {
    let engine = Engine::new(EngineLimits::default()).unwrap();
    let policy = engine.load(&LoadRequest::new("default", default_policy_bytes())).unwrap();
    let policies = PolicySet::all(&policy).unwrap();
    let begin = Instant::now();
    let rehearsal = index.rehearsal("galactic", &policies.policy_ref().needs).unwrap();
    let under_the_lock = begin.elapsed();
    let rehearsed = rehearsal.run(|input| Ok(policies.decide(input).unwrap().output));
    assert_eq!((rehearsed.records, rehearsed.removed), (RECORDS, 0), "{}", rehearsed.summary());
    println!(
        "dry decisions   {:>10.2?}  for {RECORDS} records, {under_the_lock:.2?} of it under the lock of the Index",
        begin.elapsed()
    );
}

fn print_times(what: &str, times: &mut [Duration]) {
    times.sort_unstable();
    let at = |share: f64| times.get(((times.len() as f64) * share) as usize).copied().unwrap_or_default();
    println!("{what:<15} {:>10.2?}  median; {:.2?} at 99 %", at(0.5), at(0.99));
}
