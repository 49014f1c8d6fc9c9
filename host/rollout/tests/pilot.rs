//! The pilot with real policies and a real Index: what is told, in which order, and of whom.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test may fail by panicking"
)]

use std::{
    cell::RefCell,
    sync::{Arc, LazyLock, Mutex},
    time::Duration,
};

use jiff::Timestamp;
use mcsdns_api::convert::PolicyMap;
use mcsdns_bench::components::MISBEHAVING;
use mcsdns_core::{
    facts::{Change, Domain, DomainSpec, Fact, InForce, Meta, OnFailure, PolicyNames, Rollout},
    index::{Index, Settings},
    rehearsal::NotYet,
    status::DomainStatus,
};
use mcsdns_policy::{Engine, EngineLimits, LoadRequest, Policy, PolicySet, default_policy_bytes};
use mcsdns_rollout::{CaseCheck, CaseFailure, News, Pilot, PilotObserver, PilotOptions, Shelf, Shelved, package::Case};
use mcsdns_runtime::{BreakerLimits, Clock, Decider, Health, ManualClock, SandboxDecider};

static ENGINE: LazyLock<Engine> = LazyLock::new(|| Engine::new(EngineLimits::default()).unwrap());
static BOXED: LazyLock<Arc<Policy>> =
    LazyLock::new(|| ENGINE.load(&LoadRequest::new("default", default_policy_bytes())).unwrap());

/// What happened, in words and in order.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    fn add(&self, line: String) {
        self.0.lock().unwrap().push(line);
    }
    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

impl PilotObserver for Log {
    fn loaded(&self, map: &str, shelved: &Shelved) {
        let result = shelved.outcome.as_ref().map_or_else(|refusal| refusal.message.clone(), |_| "ok".to_owned());
        self.add(format!("load {map}: {result}"));
    }
}

struct Broken;

impl CaseCheck for Broken {
    fn check(&self, _: &[Case], _: &PolicySet) -> Result<(), CaseFailure> {
        panic!("out of sorts")
    }
}

/// A pilot beside an Index without records.
struct World {
    pilot: Pilot,
    index: Index,
    decider: Arc<SandboxDecider>,
    clock: ManualClock,
    log: Log,
    health: Arc<Mutex<Vec<News>>>,
    leading: bool,
}

impl World {
    fn new() -> Self {
        let (clock, log) = (ManualClock::new(Timestamp::UNIX_EPOCH), Log::default());
        let health = Arc::new(Mutex::new(Vec::new()));
        let (own, told) = (Arc::clone(&health), log.clone());
        let decider = SandboxDecider::new().limited(BreakerLimits::default(), Arc::new(clock.clone())).watched(
            Box::new(move |policies, news| {
                let failure = match news {
                    Health::Failing(failure) => Some(failure),
                    Health::Well => None,
                    Health::Skipped | Health::Replaced => return,
                };
                told.add(if failure.is_some() { "failing" } else { "well" }.to_owned());
                own.lock().unwrap().push(News::Health(Arc::clone(&policies.id), failure));
            }),
        );
        let decider = Arc::new(decider);
        let shelf = Shelf::new(ENGINE.clone(), [(); 3].map(|()| Arc::clone(&BOXED)), Arc::new(Broken)).unwrap();
        let options = PilotOptions {
            namespace: "federation-system".into(),
            defaults: PolicyNames::default(),
            settings: Settings::default(),
            observer: Arc::new(log.clone()),
        };
        let pilot = Pilot::new(shelf, Arc::clone(&decider), options).unwrap();
        let index = Self::index(&pilot, &clock);
        Self { pilot, index, decider, clock, log, health, leading: true }
    }

    fn index(pilot: &Pilot, clock: &ManualClock) -> Index {
        let settings = Settings { domain_policies: pilot.domain_policies(), ..Settings::default() };
        let mut index = Index::new(settings, pilot.default_policies().unwrap(), clock.now());
        let facts = [
            Fact::Domain(Change::Reset(Vec::new())),
            Fact::Member(Change::Reset(Vec::new())),
            Fact::Published(Change::Reset(Vec::new())),
            Fact::Record(Change::Reset(Vec::new())),
        ];
        index.apply_all(facts, &mut Vec::new());
        index
    }

    /// The same world after a restart of the process.
    fn restart(&mut self) {
        self.pilot = self.pilot.anew().unwrap();
        self.index = Self::index(&self.pilot, &self.clock);
        self.log.take();
    }

    fn hear(&mut self, news: Vec<News>) -> Vec<Fact> {
        let health = std::mem::take(&mut *self.health.lock().unwrap());
        for news in &news {
            if let News::Domains(change) = news {
                self.index.apply(Fact::Domain(change.clone()), &mut Vec::new());
            }
        }
        let facts = RefCell::new(Vec::new());
        let (index, leading, log) = (&self.index, self.leading, &self.log);
        let rehearse = |domain: &str, needs: &_| {
            log.add(format!("try {domain}"));
            if leading { index.rehearsal(domain, needs) } else { Err(NotYet::Following) }
        };
        self.pilot.hear_and_tell(health.into_iter().chain(news), self.clock.now(), rehearse, |fact| {
            log.add(match &fact {
                Fact::Rollout(domain, _) => format!("tell {domain}"),
                Fact::Policies(domain, _) => format!("lend {}", domain.as_deref().unwrap_or_default()),
                other => format!("{other:?}"),
            });
            facts.borrow_mut().push(fact);
        });
        let facts = facts.into_inner();
        self.index.apply_all(facts.clone(), &mut Vec::new());
        facts
    }

    /// Time passes until the pilot wants to look again.
    fn wait(&mut self) {
        let wake = self.pilot.wake().expect("nothing to wait for");
        let left = wake.duration_since(self.clock.now());
        self.clock.advance(Duration::try_from(left).unwrap_or(Duration::ZERO));
        self.hear(Vec::new());
        // What the decider had to say meanwhile.
        self.hear(Vec::new());
    }

    fn rollout(&self, domain: &str) -> &Rollout {
        &self.pilot.told()[domain]
    }

    fn ready(&self, domain: &str) -> String {
        let ready = self.rollout(domain).ready.as_ref();
        ready.map_or_else(String::new, |ready| format!("{} {}", ready.status.as_str(), ready.reason))
    }

    /// What the leader writes.
    fn status(&self, domain: &str) -> DomainStatus {
        DomainStatus { policies: self.rollout(domain).policies.clone(), ..DomainStatus::default() }
    }

    /// Asks the policies in force so often about one record that they count as failing.
    fn fail(&self, domain: &str) {
        let InForce::Policies(policies) = &self.rollout(domain).in_force else { panic!("nothing is in force") };
        for _ in 0..5 {
            drop(self.decider.decide(domain, policies, &mcsdns_bench::fleet::fleet(3)));
        }
    }
}

fn map(name: &str, deed: &str) -> News {
    let mut map = PolicyMap { name: name.into(), ..PolicyMap::default() };
    map.binary.insert("policy.wasm".to_owned(), MISBEHAVING.to_vec());
    map.data.insert("config".to_owned(), format!("{deed:?}"));
    News::Maps(Change::Apply(name.into(), map))
}

fn maps(maps: Vec<News>) -> News {
    let maps = maps.into_iter().map(|news| match news {
        News::Maps(Change::Apply(name, map)) => (name, map),
        other => panic!("{other:?}"),
    });
    News::Maps(Change::Reset(maps.collect()))
}

fn domain(uid: &str, naming: Option<&str>, status: Option<DomainStatus>) -> Domain {
    let policies = PolicyNames { naming: naming.map(Arc::from), ..PolicyNames::default() };
    let spec = DomainSpec { domain: "example.com".into(), policies, ..DomainSpec::default() };
    Domain { meta: Meta { uid: uid.into(), ..Meta::default() }, spec: Ok(spec), status: status.map(Arc::new) }
}

fn apply(name: &str, domain: Domain) -> News {
    News::Domains(Change::Apply(name.into(), domain))
}

#[test]
fn a_domain_made_again_is_told_again() {
    let mut world = World::new();
    world.hear(vec![maps(vec![map("short", "behave")]), apply("galactic", domain("1", Some("short"), None))]);
    assert_eq!(world.ready("galactic"), "True PoliciesActive");
    world.log.take();
    // The Index hears of both, and the pilot only of how it ended.
    world.index.apply(Fact::Domain(Change::Delete("galactic".into())), &mut Vec::new());
    world.hear(vec![apply("galactic", domain("2", Some("short"), None))]);
    assert_eq!(world.log.take().last().map(String::as_str), Some("tell galactic"));
    // The same one with another status is nothing new.
    let status = world.status("galactic");
    world.hear(vec![apply("galactic", domain("2", Some("short"), Some(status)))]);
    assert!(world.log.take().is_empty());
    // Made again without policies: the Index may still believe in those of the one before.
    world.hear(vec![apply("galactic", domain("3", None, None))]);
    assert_eq!(world.log.take().last().map(String::as_str), Some("tell galactic"));
    let default = world.pilot.default_policies().unwrap();
    assert_eq!(world.rollout("galactic").in_force, InForce::Policies(default));
}

#[test]
fn the_trials_of_one_domain_and_the_compiler_hold_up_nobody() {
    let mut world = World::new();
    world.hear(vec![
        maps(vec![map("early", "behave"), map("late", "ttl-zero")]),
        apply("b", domain("b", Some("early"), None)),
        apply("c", domain("c", Some("late"), None)),
    ]);
    let (b, c) = (world.status("b"), world.status("c"));
    world.restart();
    world.hear(vec![
        maps(vec![map("early", "behave"), map("late", "ttl-zero")]),
        News::Domains(Change::Reset(vec![
            ("a".into(), domain("a", Some("early"), None)),
            ("b".into(), domain("b", Some("early"), Some(b))),
            ("c".into(), domain("c", Some("late"), Some(c))),
        ])),
    ]);
    assert_eq!(world.log.take(), ["load early: ok", "tell b", "load late: ok", "tell c", "try a", "tell a"]);
}

#[test]
fn who_follows_takes_over_what_the_leader_has_tried_and_nothing_else() {
    let mut world = World::new();
    world.hear(vec![maps(vec![map("short", "behave")]), apply("galactic", domain("1", Some("short"), None))]);
    let (first, before) = (world.status("galactic"), world.rollout("galactic").in_force.clone());
    world.leading = false;
    world.log.take();
    let facts =
        world.hear(vec![map("short", "ttl-zero"), apply("galactic", domain("1", Some("short"), Some(first.clone())))]);
    // What decides goes on doing so, and what the leader said of it holds.
    let InForce::Policies(before) = before else { panic!("{before:?}") };
    let [Fact::Policies(_, lent)] = facts.as_slice() else { panic!("{facts:?}") };
    assert_eq!(*lent, before);
    assert_eq!(world.log.take(), ["load short: ok", "try galactic", "lend galactic"]);
    for _ in 0..100 {
        world.wait();
    }
    assert!(world.log.take().iter().all(|line| line == "try galactic"), "told something");
    // Whoever leads now has to try it.
    world.leading = true;
    world.wait();
    assert_eq!(world.log.take(), ["try galactic", "tell galactic"]);
    let second = world.status("galactic");
    assert_ne!(second, first);

    // Another replica finds the same in the status.
    world.restart();
    world.leading = false;
    world.hear(vec![maps(vec![map("short", "behave")]), apply("galactic", domain("1", Some("short"), Some(first)))]);
    assert_eq!(world.log.take(), ["load short: ok", "tell galactic"]);
    world.hear(vec![map("short", "ttl-zero")]);
    assert_eq!(world.log.take(), ["load short: ok", "try galactic", "lend galactic"]);
    world.hear(vec![apply("galactic", domain("1", Some("short"), Some(second.clone())))]);
    assert_eq!(world.log.take(), ["tell galactic"]);
    assert_eq!(world.status("galactic"), second);
}

#[test]
fn policies_that_fail_for_a_record_that_is_deleted_are_well_again() {
    let mut world = World::new();
    world.hear(vec![maps(vec![map("short", "panic-in-names")]), apply("galactic", domain("1", Some("short"), None))]);
    world.fail("galactic");
    world.hear(Vec::new());
    assert_eq!(world.ready("galactic"), "False PolicyFailing");
    // Nobody asks any more.
    let begun = world.clock.now();
    while world.ready("galactic") == "False PolicyFailing" {
        world.wait();
        assert!(world.clock.now().duration_since(begun).as_mins() < 15, "it never ends");
    }
    assert_eq!(world.ready("galactic"), "True PoliciesActive");
    assert_eq!(world.pilot.wake(), None);
}

#[test]
fn policies_that_fail_do_so_no_more_when_others_decide() {
    let mut world = World::new();
    world.hear(vec![maps(vec![map("short", "panic-in-names")]), apply("galactic", domain("1", Some("short"), None))]);
    world.fail("galactic");
    world.hear(Vec::new());
    assert!(world.log.take().contains(&"failing".to_owned()));
    // The same policies with somebody who answers in their place are another decision, and have not failed yet.
    let mut other = domain("1", Some("short"), Some(world.status("galactic")));
    other.spec.as_mut().unwrap().on_failure = OnFailure::Default;
    world.hear(vec![apply("galactic", other.clone())]);
    assert_eq!(world.log.take(), ["well", "tell galactic"]);
    assert_eq!(world.ready("galactic"), "True PoliciesActive");
    world.fail("galactic");
    world.hear(Vec::new());
    assert_eq!(world.ready("galactic"), "False PolicyFailing");
    world.log.take();
    // Whoever else uses them hears at once how they are.
    other.meta.uid = "2".into();
    other.status = None;
    world.hear(vec![apply("other", other)]);
    assert_eq!(
        (world.log.take(), world.ready("other")),
        (vec!["try other".to_owned(), "tell other".to_owned()], "False PolicyFailing".to_owned())
    );
    world.hear(vec![map("short", "behave")]);
    let log = world.log.take();
    assert_eq!(log.iter().filter(|line| *line == "well").count(), 1, "{log:?}");
    assert_eq!(
        (world.ready("galactic"), world.ready("other")),
        ("True PoliciesActive".into(), "True PoliciesActive".into())
    );
}

#[test]
fn a_fault_of_the_host_while_loading_is_a_refusal() {
    let mut world = World::new();
    let News::Maps(Change::Apply(name, mut with_case)) = map("short", "behave") else { panic!("no map") };
    with_case.data.insert("cases".to_owned(), "one: {expected.yaml: \"\"}".to_owned());
    world.hear(vec![News::Maps(Change::Apply(name, with_case)), map("other", "behave")]);
    let log = world.log.take();
    assert!(
        log[1].contains("load short: the host failed while loading it: out of sorts; please report this"),
        "{log:?}"
    );
    assert_eq!(world.pilot.refusals().next().unwrap().1.reason, "HostPanic");
    assert_eq!(log[0], "load other: ok");
}
