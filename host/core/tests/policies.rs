//! Policies of Domains: what counts when they are tried, who tries them, and what is told of them.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail by panicking")]

mod sim;

use std::sync::Arc;

use mcsdns_core::{
    decision::*,
    effect::Effect,
    facts::*,
    ids::ClusterName,
    reason::Reason,
    rehearsal::{NotYet, Rehearsed},
    status::ConditionStatus,
};
use sim::*;

fn rehearse(sim: &Sim, policy: impl Fn(&DecisionInput) -> DecisionOutput) -> Rehearsed {
    sim.index.rehearsal("galactic", &Needs::default()).unwrap().run(|input| Ok(policy(input)))
}

/// Wants every name and has nothing to say for any.
fn withdraws(input: &DecisionInput) -> DecisionOutput {
    let mut output = decide(input);
    for (name, decision) in output.names.iter_mut().zip(&mut output.decisions) {
        name.fallback = Fallback::Nothing;
        decision.answer = Answer::Otherwise;
    }
    output
}

/// Names, removed, not judged.
fn counts(rehearsed: &Rehearsed) -> (usize, usize, usize) {
    assert_eq!(rehearsed.failure, None);
    (rehearsed.names, rehearsed.removed, rehearsed.unjudged)
}

#[test]
fn what_is_seen_is_judged() {
    let mut sim = both();
    assert_eq!(counts(&rehearse(&sim, decide)), (5, 0, 0));
    assert_eq!(counts(&rehearse(&sim, withdraws)), (5, 5, 0));
    // A cluster that is lost for good: its names lead to the other one, and others can be told.
    sim.down("c2");
    sim.pass(100_000);
    assert_eq!(sim.lines("nginx")[1], "G.eu CNAME G");
    assert_eq!(counts(&rehearse(&sim, decide)), (5, 0, 0));
    assert_eq!(counts(&rehearse(&sim, withdraws)), (5, 5, 0));
}

#[test]
fn an_outage_of_everything_lets_nothing_pass() {
    let mut sim = both();
    sim.down("c1");
    sim.down("c2");
    let rehearsed = rehearse(&sim, |_| panic!("nobody is asked while everything is frozen"));
    assert_eq!((counts(&rehearsed), rehearsed.records), ((5, 0, 5), 0));
    sim.pass(100_000);
    let rehearsed = rehearse(&sim, withdraws);
    assert_eq!((counts(&rehearsed), rehearsed.removed_percent_at_worst()), ((5, 0, 5), 100));
    assert_eq!(rehearsed.unjudged_record, Some(key("nginx")));
    assert!(rehearsed.summary().contains("5 names not judged"), "{}", rehearsed.summary());
    sim.up("c1");
    assert_eq!(counts(&rehearse(&sim, withdraws)), (5, 5, 0));
}

#[test]
fn an_outage_behind_the_clusters_lets_nothing_pass_either() {
    let mut sim = both();
    sim.service("c1", "nginx", &["10.0.0.1"], 0);
    sim.service("c2", "nginx", &["10.0.0.2"], 0);
    assert_eq!(counts(&rehearse(&sim, withdraws)), (5, 0, 5));
    // But names that are not even wanted go.
    let global = |input: &DecisionInput| {
        let mut output = decide(input);
        output.names.truncate(1);
        output.decisions.truncate(1);
        output.ttls.truncate(1);
        output
    };
    assert_eq!(counts(&rehearse(&sim, global)), (5, 4, 1));
}

#[test]
fn what_is_only_remembered_is_no_proof() {
    let mut sim = both();
    sim.restart(&["c1", "c2"]);
    sim.pass(1000);
    assert_eq!(counts(&rehearse(&sim, decide)), (5, 0, 5));
    // No clusters at all.
    let mut sim = both();
    sim.members.clear();
    sim.tell(Fact::Member(Change::Reset(Vec::new())));
    assert_eq!(counts(&rehearse(&sim, decide)), (5, 0, 5));
    // A record that cannot be read keeps its names for the moment.
    let mut sim = both();
    let mut record = sim.records[&key("nginx")].clone();
    record.spec = Err(Malformed { message: "spec.domainRef: expected a name".to_owned() });
    sim.records.insert(key("nginx"), record.clone());
    sim.tell(Fact::Record(Change::Apply(key("nginx"), record)));
    assert_eq!(counts(&rehearse(&sim, decide)), (5, 0, 5));
}

#[test]
fn a_domain_without_names_waits_for_nobody() {
    let mut sim = Sim::new();
    assert_eq!(counts(&rehearse(&sim, decide)), (0, 0, 0));
    sim.member("c1", "us", "us1");
    sim.record("nginx", 0, |_| {});
    sim.down("c1");
    let rehearsed = rehearse(&sim, withdraws);
    assert_eq!((counts(&rehearsed), rehearsed.removed_percent_at_worst()), ((0, 0, 0), 0));
}

#[test]
fn only_the_leader_tries_and_only_what_it_has_read() {
    let mut sim = both();
    let not_yet = |sim: &Sim| sim.index.rehearsal("galactic", &Needs::default()).map(|_| ()).unwrap_err();
    sim.tell(Fact::Leading(false));
    assert_eq!(not_yet(&sim), NotYet::Following);
    sim.tell(Fact::Leading(true));
    assert_eq!(counts(&rehearse(&sim, decide)), (5, 0, 0));
    sim.tell(Fact::Member(Change::Apply(ClusterName::new("c3"), Member::default())));
    assert_eq!(not_yet(&sim), NotYet::Reading, "a cluster is just being read");
}

#[test]
fn a_fault_of_the_host_is_a_refusal() {
    let sim = both();
    let rehearsed = rehearse(&sim, |_| panic!("out of sorts"));
    let failure = rehearsed.failure.unwrap();
    assert_eq!((&*failure.reason, failure.record), ("HostPanic", key("nginx")));
    assert!(failure.message.contains("out of sorts"), "{}", failure.message);
}

/// The policies of the Domain, with this to say about them.
fn rollout(reason: Reason) -> Fact {
    let ready = Ready { status: ConditionStatus::False, reason, message: "because".to_owned() };
    let rollout = Rollout { in_force: InForce::Policies(policies()), policies: Vec::new(), ready: Some(ready) };
    Fact::Rollout("galactic".into(), Arc::new(rollout))
}

/// Who is asked when these facts come.
fn asked(sim: &mut Sim, facts: impl IntoIterator<Item = Fact>) -> Vec<Arc<str>> {
    let mut effects = Vec::new();
    sim.index.apply_all(facts, &mut effects);
    let asked = effects.into_iter().filter_map(|effect| match effect {
        Effect::Decide { policies, .. } => Some(policies.id),
        _ => None,
    });
    asked.collect()
}

#[test]
fn who_follows_says_what_the_leader_said_until_it_knows_better() {
    let mut sim = both();
    sim.tell(rollout(Reason::ApprovalNeeded));
    assert_eq!(sim.take_writes(), ["domain status galactic"]);
    // Another process, which knows what decides and nothing else.
    sim.restart(&[]);
    sim.tell(Fact::Leading(false));
    sim.tell(Fact::Policies(Some("galactic".into()), policies()));
    sim.tell(Fact::Leading(true));
    assert_eq!(sim.take_writes(), Vec::<String>::new());
}

#[test]
fn what_is_told_of_a_domain_that_is_gone_does_not_wait_for_the_next_one() {
    let mut sim = both();
    let domain = sim.domains["galactic"].clone();
    let other = PolicyRef { id: "other".into(), ..policies() };
    let moved = ClusterFact::Service(Change::Apply(key("nginx"), Ok(load_balancer(&["10.0.0.9"]))));
    let facts = [
        Fact::Domain(Change::Delete("galactic".into())),
        Fact::Policies(Some("galactic".into()), other),
        Fact::Domain(Change::Apply("galactic".into(), domain)),
        Fact::Cluster(ClusterName::new("c1"), moved),
    ];
    assert_eq!(asked(&mut sim, facts), ["plain".into()]);
}

#[test]
fn when_policies_are_well_whoever_was_answered_by_others_asks_at_once() {
    let mut sim = both();
    sim.policy = |input| DecisionOutput { recheck_after_seconds: Some(300), ..decide(input) };
    sim.service("c1", "nginx", &["10.0.0.7"], 1);
    assert!(asked(&mut sim, [rollout(Reason::PolicyFailing)]).is_empty());
    assert_eq!(asked(&mut sim, [rollout(Reason::PoliciesActive)]), ["plain".into()]);
}
