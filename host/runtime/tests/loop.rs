//! The loop: facts in, effects out, with decisions that block, panic and come too late.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may fail by panicking"
)]

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{
        Arc, Condvar, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures::future::BoxFuture;
use mcsdns_core::{
    decision::{
        Answer, Decision, DecisionInput, DecisionOutput, Fallback, Name, Needs, Place, PolicyFailure, PolicyRef,
    },
    effect::{Effect, endpoint_name},
    facts::{
        Change, ClusterFact, Domain, DomainSpec, Fact, Ingress, Member, Meta, Node, Owner, Published, Reach, Record,
        RecordSpec, Service, Slice,
    },
    ids::{ClusterName, ObjectKey},
    index::{Index, Settings},
    plan::Endpoint,
    status::RecordStatus,
};
use mcsdns_runtime::{
    Clock, Decider, FactSender, HostTable, ManualClock, Resolve, Resolved, Runtime, RuntimeHandle, RuntimeOptions,
    channel,
};
use tokio::{sync::mpsc, task::JoinHandle, time::timeout};
use tokio_util::sync::CancellationToken;

const SOON: Duration = Duration::from_secs(30);

/// Answers one name for all clusters with addresses.
fn answer(input: &DecisionInput) -> DecisionOutput {
    let offering = (0..).zip(&input.clusters).filter(|(_, cluster)| !cluster.addresses.is_empty());
    let clusters: Vec<u32> = offering.map(|(index, _)| index).collect();
    DecisionOutput {
        names: vec![Name {
            fqdn: format!("{}.example.com", input.subject.service),
            place: Place::Everywhere,
            fallback: Fallback::Nothing,
        }],
        decisions: vec![Decision {
            answer: if clusters.is_empty() { Answer::Otherwise } else { Answer::Clusters(clusters) },
            because: String::new(),
            recheck_after_seconds: None,
        }],
        ttls: vec![60],
        recheck_after_seconds: None,
    }
}

fn plain(_: &str, _: &PolicyRef, input: &DecisionInput) -> Result<DecisionOutput, PolicyFailure> {
    Ok(answer(input))
}

struct Fixture {
    facts: FactSender,
    effects: mpsc::UnboundedReceiver<Effect>,
    /// Came while something else was waited for.
    earlier: Vec<Effect>,
    handle: RuntimeHandle,
    clock: ManualClock,
    shutdown: CancellationToken,
    running: JoinHandle<std::io::Result<()>>,
}

impl Fixture {
    fn start<D: Decider>(decider: D, resolver: Arc<dyn Resolve>, threads: usize) -> Self {
        let clock = ManualClock::new("2026-01-01T00:00:00Z".parse().unwrap());
        let policies = PolicyRef { id: "test".into(), title: "test".into(), needs: Needs::default() };
        let index = Index::new(Settings::default(), policies, clock.now());
        let (sink, effects) = mpsc::unbounded_channel();
        let sink = move |effect| drop(sink.send(effect));
        let mut options = RuntimeOptions::new(resolver);
        options.decide_threads = threads;
        options.clock = Arc::new(clock.clone());
        let runtime = Runtime::new(index, sink, Arc::new(decider), options);
        let handle = runtime.handle();
        let (facts, receiver) = channel();
        let shutdown = CancellationToken::new();
        let running = tokio::spawn(runtime.run(receiver, shutdown.clone()));
        Self { facts, effects, earlier: Vec::new(), handle, clock, shutdown, running }
    }

    async fn tell(&self, facts: Vec<Fact>) {
        self.facts.send(facts).await.unwrap();
    }

    /// The first effect that fits.
    async fn expect<T>(&mut self, what: &str, mut fits: impl FnMut(&Effect) -> Option<T>) -> T {
        if let Some((at, found)) = self.earlier.iter().enumerate().find_map(|(at, effect)| Some((at, fits(effect)?))) {
            self.earlier.remove(at);
            return found;
        }
        let wait = async {
            loop {
                let effect = self.effects.recv().await.expect("the loop has ended");
                if let Some(found) = fits(&effect) {
                    return found;
                }
                self.earlier.push(effect);
            }
        };
        timeout(SOON, wait).await.unwrap_or_else(|_| panic!("waited in vain for {what}"))
    }

    async fn published(&mut self) -> Arc<[Endpoint]> {
        self.expect("a DNSEndpoint", |effect| match effect {
            Effect::ApplyEndpoints { endpoints, .. } => Some(Arc::clone(endpoints)),
            _ => None,
        })
        .await
    }

    async fn status(&mut self, fits: impl Fn(&RecordStatus) -> bool) -> Arc<RecordStatus> {
        self.expect("a status", |effect| match effect {
            Effect::RecordStatus { status, .. } if fits(status) => Some(Arc::clone(status)),
            _ => None,
        })
        .await
    }

    /// Returns when the effects of all that was told so far have been carried out.
    ///
    /// A record of no Domain gets its status without a decision. Its effect may come in the middle of those of one
    /// turn of the loop; that of a second one, told after the first was seen, comes in a later turn.
    async fn settled(&mut self) {
        for name in ["stray-1", "stray-2"] {
            let mut stray = record();
            stray.spec = Ok(RecordSpec { domain_ref: "nowhere".into(), ..RecordSpec::default() });
            self.tell(vec![Fact::Record(Change::Apply(key(name), stray))]).await;
            self.expect("the status of a stray record", |effect| match effect {
                Effect::RecordStatus { record, .. } if *record == key(name) => Some(()),
                _ => None,
            })
            .await;
        }
    }

    async fn end(self) {
        self.shutdown.cancel();
        timeout(SOON, self.running).await.expect("the loop does not end").unwrap().unwrap();
    }
}

fn key(name: &str) -> ObjectKey {
    ObjectKey::new("test", name)
}

fn record() -> Record {
    Record {
        meta: Meta::default(),
        annotations: Vec::new(),
        spec: Ok(RecordSpec { domain_ref: "galactic".into(), ..RecordSpec::default() }),
        status: None,
    }
}

fn service(ingress: &[Ingress]) -> Service {
    Service { load_balancer: true, kind: "LoadBalancer".into(), ingress: ingress.into(), refused: Vec::new() }
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// One cluster in which every record has a Service with that ingress.
fn world(records: &[&str], ingress: &[Ingress]) -> Vec<Fact> {
    let c1 = ClusterName::new("c1");
    let domain = DomainSpec { domain: "example.com".into(), ..DomainSpec::default() };
    let slice = |name: &str| Slice { service: name.into(), ready: 1 };
    vec![
        Fact::Domain(Change::Reset(vec![(
            "galactic".into(),
            Domain { meta: Meta::default(), spec: Ok(domain), status: None },
        )])),
        Fact::Member(Change::Reset(vec![(c1.clone(), Member::default())])),
        Fact::Published(Change::Reset(Vec::new())),
        Fact::Record(Change::Reset(records.iter().map(|name| (key(name), record())).collect())),
        Fact::Cluster(c1.clone(), ClusterFact::Node(Change::Reset(vec![("n".into(), Node::default())]))),
        Fact::Cluster(
            c1.clone(),
            ClusterFact::Service(Change::Reset(records.iter().map(|n| (key(n), Ok(service(ingress)))).collect())),
        ),
        Fact::Cluster(
            c1.clone(),
            ClusterFact::Slice(Change::Reset(records.iter().map(|name| (key(name), Ok(slice(name)))).collect())),
        ),
        Fact::Cluster(c1, ClusterFact::Reach(Reach::Reachable { version: None })),
    ]
}

/// The DNSEndpoint of a record, as a watch tells it after it was written.
fn observed(record: &str, endpoints: Arc<[Endpoint]>) -> Fact {
    let owner = Owner::Record { name: record.into(), uid: "".into() };
    let published = Published { uid: "1".into(), generation: 1, owner, metadata_in_order: true, endpoints };
    Fact::Published(Change::Apply(key(&endpoint_name(record)), published))
}

fn moved(name: &str, address: &str) -> Vec<Fact> {
    let service = service(&[Ingress::Ip(ip(address))]);
    vec![Fact::Cluster(ClusterName::new("c1"), ClusterFact::Service(Change::Apply(key(name), Ok(service))))]
}

#[tokio::test]
async fn facts_lead_to_effects() {
    let mut fixture = Fixture::start(plain, Arc::new(HostTable::default()), 2);
    fixture.tell(world(&["a"], &[Ingress::Ip(ip("10.0.0.1"))])).await;
    let endpoints = fixture.published().await;
    assert_eq!(&*endpoints[0].dns_name, "a.example.com");
    assert_eq!(endpoints[0].targets.addresses(), [ip("10.0.0.1")]);
    fixture.tell(moved("a", "10.0.0.2")).await;
    assert_eq!(fixture.published().await[0].targets.addresses(), [ip("10.0.0.2")]);
    // The other way in.
    fixture.handle.facts().send(moved("a", "10.0.0.3")).await.unwrap();
    assert_eq!(fixture.published().await[0].targets.addresses(), [ip("10.0.0.3")]);
    assert_eq!(fixture.handle.with_index(|index| index.records()), [key("a")]);
    fixture.end().await;
}

#[tokio::test]
async fn a_panic_costs_one_decision() {
    let decider = |_: &str, _: &PolicyRef, input: &DecisionInput| {
        assert_ne!(&*input.subject.service, "bad", "no");
        Ok(answer(input))
    };
    let mut fixture = Fixture::start(decider, Arc::new(HostTable::default()), 1);
    fixture.tell(world(&["bad", "good"], &[Ingress::Ip(ip("10.0.0.1"))])).await;
    assert_eq!(&*fixture.published().await[0].dns_name, "good.example.com");
    let status = fixture.status(|status| status.conditions.iter().any(|c| &*c.reason == "PolicyFailed")).await;
    let degraded = status.conditions.iter().find(|c| &*c.kind == "Degraded").unwrap();
    assert!(degraded.message.contains("HostPanic"), "{}", degraded.message);
    fixture.tell(moved("good", "10.0.0.2")).await;
    assert_eq!(fixture.published().await[0].targets.addresses(), [ip("10.0.0.2")]);
    fixture.end().await;
}

/// A decider that waits until it may go on.
#[derive(Default)]
struct Gate {
    open: Mutex<bool>,
    changed: Condvar,
    begun: AtomicUsize,
}

impl Gate {
    fn open(&self) {
        *self.open.lock().unwrap() = true;
        self.changed.notify_all();
    }
}

fn gated(gate: &Arc<Gate>) -> impl Decider {
    let gate = Arc::clone(gate);
    move |_: &str, _: &PolicyRef, input: &DecisionInput| {
        gate.begun.fetch_add(1, Ordering::SeqCst);
        let open = gate.open.lock().unwrap();
        drop(gate.changed.wait_timeout_while(open, SOON, |open| !*open).unwrap());
        Ok(answer(input))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_decision_holds_up_nobody_and_only_the_latest_counts() {
    let gate = Arc::new(Gate::default());
    let mut fixture = Fixture::start(gated(&gate), Arc::new(HostTable::default()), 1);
    fixture.tell(world(&["a", "b"], &[Ingress::Ip(ip("10.0.0.1"))])).await;
    timeout(SOON, async {
        while gate.begun.load(Ordering::SeqCst) == 0 {
            tokio::task::yield_now().await;
        }
    })
    .await
    .unwrap();
    // One decision is being made; meanwhile the Index learns, and can be looked at.
    for i in 2..=50 {
        fixture.tell(moved("a", &format!("10.0.0.{i}"))).await;
        fixture.tell(moved("b", &format!("10.0.0.{i}"))).await;
    }
    fixture.settled().await;
    assert_eq!(fixture.handle.with_index(|index| index.records().len()), 4);
    assert_eq!(gate.begun.load(Ordering::SeqCst), 1);
    gate.open();
    let mut last = HashMap::new();
    while last.len() < 2 {
        let endpoints = fixture.published().await;
        last.insert(endpoints[0].dns_name.to_string(), endpoints[0].targets.addresses().to_vec());
    }
    assert!(last.values().all(|addresses| addresses == &[ip("10.0.0.50")]), "{last:?}");
    // The one that was under way, and the latest of each.
    assert_eq!(gate.begun.load(Ordering::SeqCst), 3);
    fixture.end().await;
}

#[tokio::test]
async fn time_passes() {
    let mut fixture = Fixture::start(plain, Arc::new(HostTable::default()), 1);
    let mut facts = world(&["a"], &[Ingress::Ip(ip("10.0.0.1"))]);
    let c2 = ClusterName::new("c2");
    facts[1] =
        Fact::Member(Change::Reset(vec![(ClusterName::new("c1"), Member::default()), (c2.clone(), Member::default())]));
    facts.extend([
        Fact::Cluster(
            c2.clone(),
            ClusterFact::Service(Change::Reset(vec![(key("a"), Ok(service(&[Ingress::Ip(ip("10.0.0.2"))])))])),
        ),
        Fact::Cluster(
            c2.clone(),
            ClusterFact::Slice(Change::Reset(vec![(
                ObjectKey::new("test", "a-1"),
                Ok(Slice { service: "a".into(), ready: 1 }),
            )])),
        ),
        Fact::Cluster(c2.clone(), ClusterFact::Node(Change::Reset(Vec::new()))),
        Fact::Cluster(c2.clone(), ClusterFact::Reach(Reach::Reachable { version: None })),
    ]);
    fixture.tell(facts).await;
    let written = fixture.published().await;
    assert_eq!(written[0].targets.addresses().len(), 2);
    // Statuses wait until the write is observed.
    fixture.tell(vec![observed("a", written)]).await;
    let down = Reach::Unreachable { reason: "Unreachable", message: "gone".into(), since: fixture.clock.now() };
    fixture.tell(vec![Fact::Cluster(c2, ClusterFact::Reach(down))]).await;
    fixture.status(|status| status.conditions.iter().any(|c| &*c.reason == "ClusterUnreachable")).await;
    fixture.clock.advance(Duration::from_secs(301));
    assert_eq!(fixture.published().await[0].targets.addresses(), [ip("10.0.0.1")]);
    fixture.end().await;
}

/// Never answers one name, and answers all others.
struct Slow;

impl Resolve for Slow {
    fn lookup<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Resolved> {
        Box::pin(async move {
            if name == "slow.test" {
                std::future::pending::<()>().await;
            }
            Resolved::addresses([ip("10.0.0.7"), ip("2001:db8::7")], Duration::from_secs(3600))
        })
    }
}

#[tokio::test]
async fn a_slow_name_holds_up_nobody() {
    let mut fixture = Fixture::start(plain, Arc::new(Slow), 1);
    let name = |name: &str| Ingress::HostName(name.into());
    fixture.tell(world(&["a"], &[name("fast.test"), name("slow.test"), Ingress::Ip(ip("10.0.0.1"))])).await;
    let mut all = Vec::new();
    while all.len() < 3 {
        let endpoints = fixture.published().await;
        all = endpoints.iter().flat_map(|endpoint| endpoint.targets.addresses().to_vec()).collect();
    }
    assert_eq!(all, [ip("10.0.0.1"), ip("10.0.0.7"), ip("2001:db8::7")]);
    fixture.end().await;
}

#[tokio::test]
async fn it_ends_when_nobody_is_left_to_tell_it_anything() {
    let fixture = Fixture::start(plain, Arc::new(HostTable::default()), 1);
    let Fixture { facts, running, .. } = fixture;
    drop(facts);
    timeout(SOON, running).await.expect("the loop does not end").unwrap().unwrap();
}
