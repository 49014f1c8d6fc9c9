//! Every bad deed ends in an error of its own, and the next decision works.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may fail by panicking"
)]

mod common;

use std::{
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use common::{ENGINE, MISBEHAVING, assert_alive, component, decide, misbehaving, unhurried};
use mcsdns_bench::fleet::fleet;
use mcsdns_core::decision::{Answer, Fallback, Place, PolicyFailure};
use mcsdns_policy::{Aspect, Budget, Configured, LoadRequest, PolicySet, RunError};

/// Fuel that does not run out before time does.
fn by_time() -> Budget {
    let mut budget = Budget::default();
    budget.fuel = Budget::ceiling().fuel;
    budget.wall_millis = 30;
    budget
}

#[test]
fn without_a_bad_deed_it_is_a_policy_like_any_other() {
    let decided = decide("behave", unhurried()).unwrap();
    assert_eq!(decided.output.ttls, [60]);
    assert!(decided.cost.fuel > 0 && decided.cost.memory_bytes > 0, "{:?}", decided.cost);
}

#[test]
fn every_deed_has_an_error_of_its_own() {
    for (deed, aspect, reason) in [
        ("loop-in-names", Aspect::Naming, "OutOfFuel"),
        ("loop-in-select", Aspect::Selection, "OutOfFuel"),
        ("loop-in-ttls", Aspect::Ttl, "OutOfFuel"),
        ("grow-in-names", Aspect::Naming, "OutOfMemory"),
        ("recurse-in-names", Aspect::Naming, "StackOverflow"),
        ("trap-in-names", Aspect::Naming, "Trap"),
        ("panic-in-names", Aspect::Naming, "Trap"),
        ("panic-in-select", Aspect::Selection, "Trap"),
        ("panic-in-ttls", Aspect::Ttl, "Trap"),
        ("log-flood", Aspect::Naming, "OutOfFuel"),
        ("refuse", Aspect::Naming, "PolicyRefused"),
        ("too-many-names", Aspect::Naming, "TooManyAnswers"),
        ("huge-name", Aspect::Naming, "OutputTooLarge"),
        ("huge-list", Aspect::Naming, "OutputTooLarge"),
        ("huge-because", Aspect::Selection, "OutputTooLarge"),
        ("not-utf-8", Aspect::Naming, "MalformedAnswer"),
        ("too-few-decisions", Aspect::Selection, "WrongCount"),
        ("too-many-decisions", Aspect::Selection, "WrongCount"),
        ("too-many-targets", Aspect::Selection, "TooManyAnswers"),
        ("too-few-ttls", Aspect::Ttl, "WrongCount"),
    ] {
        let error = decide(deed, unhurried()).expect_err(deed);
        assert_eq!((error.aspect, error.reason()), (aspect, reason), "{deed}: {error}");
        assert_eq!(&*error.policy, "misbehaving");
        assert_alive();
    }
}

#[test]
fn every_loop_ends_in_time_even_with_fuel_left() {
    for (deed, aspect) in
        [("loop-in-names", Aspect::Naming), ("loop-in-select", Aspect::Selection), ("loop-in-ttls", Aspect::Ttl)]
    {
        let begin = Instant::now();
        let error = decide(deed, by_time()).expect_err(deed);
        assert_eq!((error.aspect, error.error), (aspect, RunError::Timeout { millis: 30 }), "{deed}");
        assert!(begin.elapsed() > Duration::from_millis(30));
        assert_alive();
    }
}

#[test]
fn a_loop_stops_at_the_same_instruction_every_time() {
    let mut budget = unhurried();
    budget.fuel = 1_000_000;
    let ends: Vec<_> = (0..3).map(|_| decide("loop-in-names", budget).unwrap_err().error).collect();
    assert!(ends.iter().all(|end| *end == RunError::OutOfFuel { fuel: 1_000_000 }), "{ends:?}");
}

#[test]
fn errors_say_how_much_was_allowed() {
    let mut budget = unhurried();
    budget.memory_bytes = 4 << 20;
    let RunError::OutOfMemory { wanted, limit } = decide("grow-in-names", budget).unwrap_err().error else { panic!() };
    assert!(wanted > limit && limit == 4 << 20);
    let mut budget = unhurried();
    budget.output_bytes = 64 << 10;
    budget.memory_bytes = 8 << 20;
    assert_eq!(decide("huge-name", budget).unwrap_err().error, RunError::OutputTooLarge { limit: 64 << 10 });
    assert_eq!(
        decide("refuse", unhurried()).unwrap_err().error,
        RunError::Refused { field: "subject.service".to_owned(), message: "asked to".to_owned() }
    );
}

#[test]
fn a_failure_is_told_in_words_and_with_a_reason() {
    let failure = PolicyFailure::from(decide("too-few-ttls", unhurried()).unwrap_err());
    assert_eq!(failure.reason, "WrongCount");
    assert_eq!(failure.to_string(), "policy misbehaving: ttl: answered 0 TTLs for 1 names");
}

#[test]
fn a_flood_of_log_lines_is_cut() {
    let error = decide("log-flood", unhurried()).unwrap_err();
    let budget = Budget::default();
    let bytes: usize = error.log.iter().map(|line| line.message.len()).sum();
    assert!(!error.log.is_empty() && error.log.len() <= usize::try_from(budget.log_lines).unwrap());
    assert!(bytes <= usize::try_from(budget.log_bytes).unwrap());
}

#[test]
fn the_last_words_before_a_crash_are_kept() {
    let error = decide("log-then-panic", unhurried()).unwrap_err();
    let said: Vec<_> = error.log.iter().map(|line| (line.aspect, line.message.as_str())).collect();
    assert_eq!(said, [(Some(Aspect::Naming), "about to fail")]);
}

#[test]
fn nothing_passes_from_one_decision_to_the_next() {
    let policies = PolicySet::all(&misbehaving("remember", unhurried()).unwrap()).unwrap();
    for _ in 0..3 {
        let decided = policies.decide(&fleet(3)).unwrap();
        assert!(decided.output.names[0].fqdn.starts_with("1."), "{}", decided.output.names[0].fqdn);
    }
}

#[test]
fn what_guard_rails_must_catch_comes_out_as_it_is() {
    let output = |deed: &str| decide(deed, unhurried()).expect(deed).output;
    assert_eq!(output("name-outside-domain").names[0].fqdn, "www.example.org");
    assert_eq!(output("name-malformed").names[0].fqdn, "a..b\0.example.com");
    assert_eq!(output("place-out-of-range").names[0].place, Place::Zone(4_000_000_000));
    assert_eq!(output("fallback-out-of-range").names[0].fallback, Fallback::AliasOf(7));
    assert_eq!(output("alias-to-itself").names[0].fallback, Fallback::AlwaysAliasOf(0));
    assert_eq!(output("alias-loop").names[1].fallback, Fallback::AlwaysAliasOf(0));
    assert_eq!(output("duplicate-names").names.len(), 2);
    assert_eq!(output("cluster-out-of-range").decisions[0].answer, Answer::Clusters(vec![4_000_000_000]));
    assert!(
        matches!(&output("target-out-of-range").decisions[0].answer, Answer::Targets(targets) if targets.len() == 2)
    );
    assert!(matches!(&output("empty-set").decisions[0].answer, Answer::Sets(sets) if sets.len() == 1));
    assert_eq!(output("ttl-zero").ttls, [0]);
    assert_eq!(output("ttl-huge").ttls, [u32::MAX]);
}

#[test]
fn configuring_has_limits_too() {
    let mut budget = unhurried();
    budget.configure_fuel = 200_000_000;
    for (deed, reason) in [
        ("loop-in-configure", "OutOfFuel"),
        ("grow-in-configure", "OutOfMemory"),
        ("panic-in-configure", "Trap"),
        ("refuse-in-configure", "ConfigRefused"),
    ] {
        let error = misbehaving(deed, budget).expect_err(deed);
        assert_eq!(error.reason(), reason, "{deed}: {error}");
        assert_alive();
    }
    budget.configure_fuel = Budget::ceiling().configure_fuel;
    budget.configure_millis = 30;
    assert_eq!(misbehaving("loop-in-configure", budget).unwrap_err().reason(), "Timeout");
}

#[test]
fn it_is_configured_once() {
    let policy = misbehaving("log-in-configure", unhurried()).unwrap();
    assert_eq!(*policy.configured(), Configured::Once);
    assert_eq!(policy.config(), Some("\"log-in-configure\""));
    assert_eq!(policy.log().iter().map(|line| line.message.as_str()).collect::<Vec<_>>(), ["configured"]);
    let decided = PolicySet::all(&policy).unwrap().decide(&fleet(3)).unwrap();
    assert!(decided.log.is_empty(), "{:?}", decided.log);
}

/// The same policy with a part that nobody uses, over which its state cannot be written down: a component within the
/// component, which languages with an interpreter have.
fn with_a_nested_component() -> Vec<u8> {
    const COMPONENT_SECTION: u8 = 4;
    let nested = component("(component (core module))");
    let length = u8::try_from(nested.len()).unwrap();
    assert!(length < 0x80, "longer lengths take more than one byte");
    [MISBEHAVING, &[COMPONENT_SECTION, length], &nested].concat()
}

#[test]
fn a_policy_whose_state_cannot_be_kept_is_configured_for_every_decision() {
    let bytes = with_a_nested_component();
    let load = |deed: &str| {
        let config = format!("{deed:?}");
        ENGINE.load(&LoadRequest { config: Some(&config), budget: unhurried(), ..LoadRequest::new("nested", &bytes) })
    };
    let policy = load("log-in-configure").unwrap();
    let Configured::EveryTime { because } = policy.configured() else { panic!("{:?}", policy.configured()) };
    assert!(because.contains("nested components"), "{because}");
    let policies = PolicySet::all(&policy).unwrap();
    let once = PolicySet::all(&misbehaving("log-in-configure", unhurried()).unwrap()).unwrap();
    for _ in 0..3 {
        let decided = policies.decide(&fleet(3)).unwrap();
        assert_eq!(decided.output, once.decide(&fleet(3)).unwrap().output);
        assert_eq!(decided.log.iter().map(|line| line.message.as_str()).collect::<Vec<_>>(), ["configured"]);
    }
    // The deed comes with the configuration, and what is wrong with one is heard at once.
    let named = PolicySet::all(&load("name-outside-domain").unwrap()).unwrap().decide(&fleet(3)).unwrap();
    assert_eq!(named.output.names[0].fqdn, "www.example.org");
    assert_eq!(load("refuse-in-configure").unwrap_err().reason(), "ConfigRefused");
    assert_eq!(load("panic-in-configure").unwrap_err().reason(), "Trap");
    assert_alive();
}

#[test]
fn the_configuration_must_fit_the_schema() {
    for config in [None, Some("{}"), Some("3"), Some("[a")] {
        let error = ENGINE.load(&LoadRequest { config, ..LoadRequest::new("misbehaving", MISBEHAVING) }).unwrap_err();
        assert_eq!(error.reason(), "ConfigInvalid", "{config:?}: {error}");
    }
    let yaml = ENGINE.load(&LoadRequest { config: Some("behave"), ..LoadRequest::new("misbehaving", MISBEHAVING) });
    assert_eq!(yaml.unwrap().config(), Some("\"behave\""));
}

#[test]
fn a_policy_is_told_what_it_asked_for() {
    let mut input = fleet(2);
    input.subject.annotations = [("misbehaving/annotation", "yes"), ("somebody/else", "no")]
        .map(|(key, value)| (Arc::from(key), Arc::from(value)))
        .to_vec();
    let said = |deed: &str| {
        let policies = PolicySet::all(&misbehaving(deed, unhurried()).unwrap()).unwrap();
        assert_eq!(policies.policy_ref().needs.cluster_labels, ["misbehaving/label", "other/label"]);
        policies.decide(&input).unwrap().output
    };
    assert_eq!(said("annotations").names[0].fqdn, r#"[("misbehaving/annotation", "yes")]"#);
    input.clusters[1].labels = vec![(1, Arc::from("blue"))];
    input.clusters[1].state_for_seconds = Some(17);
    input.clusters[1].ready_endpoints = 5;
    let policies = PolicySet::all(&misbehaving("fleet", unhurried()).unwrap()).unwrap();
    let fleet = policies.decide(&input).unwrap().output.decisions[0].because.clone();
    for part in [
        "states: [ClusterState::Serving, ClusterState::Serving]",
        "regions: [0, 0]",
        "address-counts: [2, 1]",
        "Address::Ipv4((10, 0, 0, 1))",
        "ready-endpoints: [1, 5]",
        "state-for-seconds: [0, 17]",
        "\"cluster-0001\"",
        "[\"web-frontend.example.com\"]",
        "ClusterLabel { cluster: 1, key: 1, value: \"blue\" }",
    ] {
        assert!(fleet.contains(part), "{part} not in {fleet}");
    }
}

#[test]
fn more_threads_than_instances_wait_for_each_other() {
    let policies = Arc::new(PolicySet::all(&misbehaving("behave", unhurried()).unwrap()).unwrap());
    let threads: Vec<_> = (0..64)
        .map(|_| {
            let policies = Arc::clone(&policies);
            thread::spawn(move || (0..20).all(|_| policies.decide(&fleet(3)).is_ok()))
        })
        .collect();
    assert!(threads.into_iter().all(|thread| thread.join().unwrap()));
    assert_alive();
}
