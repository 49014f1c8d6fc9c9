//! Policies in the sandbox that fail while they decide: left alone after a while, or answered for by others.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test may fail by panicking"
)]

use std::{
    sync::{Arc, LazyLock, Mutex},
    time::Duration,
};

use jiff::Timestamp;
use mcsdns_bench::components::MISBEHAVING;
use mcsdns_core::{
    decision::{DecisionInput, DecisionOutput, PolicyFailure, PolicyRef},
    guard::Limits,
};
use mcsdns_policy::{Budget, Engine, EngineLimits, LoadRequest, PolicySet, default_policy_bytes};
use mcsdns_runtime::{BreakerLimits, Decider, Health, ManualClock, SandboxDecider, Substitute};

static ENGINE: LazyLock<Engine> = LazyLock::new(|| Engine::new(EngineLimits::default()).unwrap());

fn misbehaving(deed: &str) -> Arc<PolicySet> {
    let config = format!("{deed:?}");
    let request = LoadRequest { config: Some(&config), ..LoadRequest::new("short", MISBEHAVING) };
    Arc::new(PolicySet::all(&ENGINE.load(&request).unwrap()).unwrap())
}

fn substitute() -> Substitute {
    let boxed = ENGINE.load(&LoadRequest::new("default", default_policy_bytes())).unwrap();
    Substitute {
        policies: Arc::new(PolicySet::all(&boxed).unwrap()),
        limits: Limits { zone: "", max_names: 100, max_targets: 100, min_ttl: 1, max_ttl: 1000 },
    }
}

fn input() -> DecisionInput {
    mcsdns_bench::fleet::fleet(3)
}

/// A decider with a clock that is moved by hand, and what it told.
struct Bench {
    decider: SandboxDecider,
    clock: ManualClock,
    told: Arc<Mutex<Vec<&'static str>>>,
}

impl Bench {
    fn new() -> Self {
        let clock = ManualClock::new(Timestamp::UNIX_EPOCH);
        let told = Arc::new(Mutex::new(Vec::new()));
        let own = Arc::clone(&told);
        let decider = SandboxDecider::new().limited(BreakerLimits::default(), Arc::new(clock.clone())).watched(
            Box::new(move |_, health| {
                own.lock().unwrap().push(match health {
                    Health::Failing(_) => "failing",
                    Health::Well => "well",
                    Health::Skipped => "skipped",
                    Health::Replaced => "replaced",
                });
            }),
        );
        Self { decider, clock, told }
    }

    /// About always the same record.
    fn ask(&self, policies: &PolicyRef) -> Result<DecisionOutput, PolicyFailure> {
        self.decider.decide("galactic", policies, &input())
    }

    fn ask_about(&self, record: u32, policies: &PolicyRef) -> Result<DecisionOutput, PolicyFailure> {
        let mut input = input();
        input.subject.service = format!("web-{record}").into();
        self.decider.decide("galactic", policies, &input)
    }

    fn told(&self) -> Vec<&'static str> {
        std::mem::take(&mut self.told.lock().unwrap())
    }
}

#[test]
fn policies_that_keep_failing_are_left_alone_and_asked_again() {
    let bench = Bench::new();
    let policies = bench.decider.put_with(misbehaving("panic-in-names"), None);
    for i in 0..5 {
        assert_eq!(bench.ask_about(i, &policies).unwrap_err().reason, "Trap");
    }
    assert_eq!(bench.told(), ["failing"]);
    // Not asked any more; the words stay the same, so that no status changes for it.
    let failure = bench.ask(&policies).unwrap_err();
    assert_eq!((failure.reason, bench.told()), ("Trap", vec!["skipped"]));
    bench.clock.advance(Duration::from_secs(1));
    assert_eq!(bench.ask(&policies).unwrap_err().reason, "Trap");
    assert!(bench.told().is_empty(), "it was not asked");
    assert!(bench.ask(&policies).is_err());
    assert_eq!(bench.told(), ["skipped"]);
}

#[test]
fn others_are_not_taken_down_with_it() {
    let bench = Bench::new();
    let bad = bench.decider.put_with(misbehaving("trap-in-names"), None);
    let good = bench.decider.put_with(misbehaving("behave"), None);
    for _ in 0..10 {
        assert!(bench.ask(&bad).is_err());
        assert_eq!(bench.ask(&good).unwrap().names.len(), 1);
    }
}

#[test]
fn a_policy_that_says_no_is_well() {
    let bench = Bench::new();
    let policies = bench.decider.put_with(misbehaving("refuse"), None);
    for _ in 0..20 {
        assert_eq!(bench.ask(&policies).unwrap_err().reason, "PolicyRefused");
    }
    assert!(bench.told().is_empty());
}

#[test]
fn others_answer_where_the_domain_wants_it_so() {
    let expected = mcsdns_bench::native::decide(&input());
    for deed in ["panic-in-names", "loop-in-ttls", "name-outside-domain", "ttl-zero", "refuse"] {
        let bench = Bench::new();
        let plain = bench.decider.put_with(misbehaving(deed), None);
        let policies = bench.decider.put_with(misbehaving(deed), Some(substitute()));
        assert_ne!(plain.id, policies.id, "another decision needs another id");
        // And the policies themselves are to be asked again: it may have been for this once.
        let answer = DecisionOutput { recheck_after_seconds: Some(5), ..expected.clone() };
        assert_eq!(bench.ask(&policies), Ok(answer), "{deed}");
        assert_eq!(bench.told(), ["replaced"], "{deed}");
        let again = [(); 7].map(|()| bench.ask(&policies).unwrap().recheck_after_seconds);
        assert_eq!(again, [10, 20, 40, 80, 160, 300, 300].map(Some), "{deed}");
    }
    // Also while they are left alone.
    let bench = Bench::new();
    let policies = bench.decider.put_with(misbehaving("name-outside-domain"), Some(substitute()));
    for i in 0..8 {
        let answer = bench.ask_about(i, &policies).unwrap();
        assert_eq!((answer.names.len(), answer.recheck_after_seconds), (expected.names.len(), Some(5)));
    }
    let told = bench.told();
    assert_eq!(told.iter().filter(|told| **told == "skipped").count(), 3, "{told:?}");
    assert_eq!(told.iter().filter(|told| **told == "failing").count(), 1, "{told:?}");
}

#[test]
fn what_was_put_in_before_stays_as_it_is() {
    let bench = Bench::new();
    let policies = bench.decider.put_with(misbehaving("panic-in-names"), None);
    for i in 0..5 {
        assert!(bench.ask_about(i, &policies).is_err());
    }
    bench.told();
    let again = bench.decider.put_with(misbehaving("panic-in-names"), None);
    assert_eq!(again, policies);
    assert!(bench.ask(&again).is_err());
    assert_eq!(bench.told(), ["skipped"], "its failures were forgotten");
    bench.decider.retain(|_| false);
    assert_eq!(bench.ask(&policies).unwrap_err().reason, "PolicyReplaced");
    assert_eq!(bench.told(), ["well"], "what is gone fails no more");
}

#[test]
fn a_change_of_the_budget_is_another_policy() {
    let bench = Bench::new();
    let before = bench.decider.put_with(misbehaving("panic-in-names"), None);
    for i in 0..5 {
        assert!(bench.ask_about(i, &before).is_err());
    }
    bench.told();
    let mut budget = Budget::default();
    budget.fuel *= 2;
    let config = format!("{:?}", "panic-in-names");
    let request = LoadRequest { config: Some(&config), budget, ..LoadRequest::new("short", MISBEHAVING) };
    let set = PolicySet::all(&ENGINE.load(&request).unwrap()).unwrap();
    let after = bench.decider.put_with(Arc::new(set), None);
    assert_ne!(before.id, after.id);
    assert!(bench.ask(&after).is_err());
    assert!(bench.told().is_empty(), "it was not asked, because of the failures of the other one");
}

#[test]
fn answers_of_others_are_no_sign_of_health() {
    let bench = Bench::new();
    let policies = bench.decider.put_with(misbehaving("panic-in-names"), Some(substitute()));
    for i in 0..10 {
        assert!(bench.ask_about(i, &policies).is_ok());
    }
    assert!(bench.decider.failing(&policies.id).is_some());
    bench.clock.advance(Duration::from_secs(100));
    assert!(bench.ask(&policies).is_ok());
    assert!(bench.decider.failing(&policies.id).is_some());
    assert!(!bench.told().contains(&"well"));
}

#[test]
fn policies_that_do_not_decide_any_more_fail_no_more() {
    let bench = Bench::new();
    let policies = bench.decider.put_with(misbehaving("panic-in-names"), None);
    for i in 0..5 {
        assert!(bench.ask_about(i, &policies).is_err());
    }
    assert_eq!(bench.told(), ["failing"]);
    bench.decider.stand_down(|_| false);
    assert_eq!(bench.told(), ["well"]);
    // What is still under way is answered, and concerns nobody.
    for i in 0..5 {
        assert_eq!(bench.ask_about(i, &policies).unwrap_err().reason, "Trap");
    }
    assert!(bench.told().is_empty());
    // Back in force, it begins anew.
    bench.decider.put_with(misbehaving("panic-in-names"), None);
    for i in 0..5 {
        assert!(bench.ask_about(i, &policies).is_err());
    }
    assert_eq!(bench.told(), ["failing"]);
}
