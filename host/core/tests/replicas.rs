//! Writers that are slow or fail, and replicas that take over: what was sent is not what is there.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test may fail by panicking")]

mod sim;

use std::sync::Arc;

use mcsdns_core::{
    effect::Effect,
    facts::*,
    ids::{ClusterName, ObjectKey},
    plan::Targets,
};
use sim::*;

fn object() -> ObjectKey {
    ObjectKey::new("test", "service-nginx")
}

/// What the Index wants done on a fact, without doing it.
fn effects(sim: &mut Sim, fact: Fact) -> Vec<Effect> {
    let mut out = Vec::new();
    sim.index.apply(fact, &mut out);
    out
}

fn applies(effects: &[Effect]) -> usize {
    effects.iter().filter(|effect| matches!(effect, Effect::ApplyEndpoints { .. })).count()
}

#[test]
fn whoever_takes_over_believes_what_was_published() {
    let mut sim = Sim::new();
    sim.member("c1", "us", "us1");
    sim.member("c2", "eu", "eu1");
    sim.second(&["c2"]);
    // The other replica has never seen c2, nor this record before it was published.
    sim.record("nginx", 0, |_| {});
    sim.service("c2", "nginx", &["10.0.0.2"], 1);
    let published = sim.lines("nginx");
    assert_eq!(published[0], "G A 10.0.0.2");
    sim.hand_over();
    assert_eq!(sim.take_writes(), Vec::<String>::new());
    assert_eq!(sim.lines("nginx"), published);
    // What it sees itself it acts upon, beside what it was left.
    sim.service("c1", "nginx", &["10.0.0.1"], 1);
    assert_eq!(sim.lines("nginx")[0], "G A 10.0.0.1,10.0.0.2");
    // One that never decided anything.
    sim.policy_down = true;
    sim.second(&["c1", "c2"]);
    sim.policy_down = false;
    sim.service("c1", "nginx", &["10.0.0.3"], 1);
    let published = sim.lines("nginx");
    assert_eq!(published[0], "G A 10.0.0.2,10.0.0.3");
    assert_eq!(sim.lines_of_second("nginx"), published);
    sim.hand_over();
    assert_eq!(sim.take_writes(), Vec::<String>::new());
    assert_eq!(sim.lines("nginx"), published);
}

#[test]
fn a_foreign_object_that_came_first_is_told_of_and_ours_follows_when_it_goes() {
    let mut sim = both();
    let ours = sim.published.remove(&object()).unwrap();
    let sent = effects(&mut sim, Fact::Published(Change::Delete(object())));
    assert_eq!(applies(&sent), 1, "sent, but somebody else's was there already");
    let endpoints = ours.endpoints.iter().take(1).cloned().collect();
    let foreign = Published { uid: "f".into(), owner: Owner::Foreign("a chart".into()), endpoints, ..ours };
    sim.tell(Fact::Published(Change::Apply(object(), foreign)));
    assert_eq!(sim.condition("nginx", "Programmed"), "False/ForeignObject");
    assert_eq!(sim.records[&key("nginx")].status, Some(sim.status("nginx")), "and it is written");
    assert_eq!((sim.status("nginx").published.names, &sim.status("nginx").published.dns_endpoint), (0, &None));
    let sent = effects(&mut sim, Fact::Published(Change::Delete(object())));
    assert_eq!(applies(&sent), 1);
}

#[test]
fn an_object_that_somebody_always_changes_is_still_made_again() {
    let mut sim = both();
    let changed = Published { metadata_in_order: false, ..sim.published[&object()].clone() };
    let sent = effects(&mut sim, Fact::Published(Change::Apply(object(), changed.clone())));
    assert_eq!(applies(&sent), 1);
    // A webhook has put it back: no reason to begin a fight.
    let sent = effects(&mut sim, Fact::Published(Change::Apply(object(), changed)));
    assert_eq!(applies(&sent), 0);
    let sent = effects(&mut sim, Fact::Published(Change::Delete(object())));
    assert_eq!(applies(&sent), 1);
}

#[test]
fn a_deletion_that_waits_is_replaced_when_the_names_are_wanted_again() {
    let mut sim = both();
    let deleting = |effects: &[Effect]| effects.iter().any(|e| matches!(e, Effect::DeleteEndpoints { .. }));
    let mut deleted = false;
    for cluster in ["c1", "c2"] {
        let gone = ClusterFact::Service(Change::Delete(key("nginx")));
        for effect in effects(&mut sim, Fact::Cluster(ClusterName::new(cluster), gone)) {
            if let Effect::Decide { record, hash, input, .. } = effect {
                let result = Ok(Arc::new(decide(&input)));
                deleted = deleting(&effects(&mut sim, Fact::Decided { record, hash, result }));
            }
        }
    }
    assert!(deleted, "the deletion waits in the writer from here on");
    sim.at_once(|sim| {
        sim.service("c1", "nginx", &["10.0.0.1"], 1);
        sim.service("c2", "nginx", &["10.0.0.2"], 1);
    });
    let writes = sim.take_writes();
    assert!(writes.contains(&"apply test/nginx".to_owned()), "{writes:?}");
    assert_eq!(sim.lines("nginx"), BOTH);
    sim.tell(Fact::Published(Change::Reset(sim.published.clone().into_iter().collect())));
    assert_eq!(sim.take_writes(), Vec::<String>::new());
}

#[test]
fn what_we_never_wrote_is_not_written_again() {
    let mut sim = both();
    let mut found = sim.published[&object()].clone();
    let mut foreign = found.endpoints[0].clone();
    foreign.targets = Targets::Other(Arc::new(["type TXT".to_owned(), "v=spf1".to_owned()]));
    found.endpoints = found.endpoints.iter().cloned().chain([foreign]).collect();
    found.metadata_in_order = false;
    sim.published.insert(object(), found);
    // Nothing is planned: what is there stays, without that.
    sim.policy_down = true;
    sim.restart(&[]);
    assert_eq!(sim.lines("nginx"), BOTH);
}

#[test]
fn a_record_made_again_while_nobody_had_answered_holds_up_nobody() {
    let mut sim = Sim::new();
    sim.member("c1", "us", "us1");
    sim.service("c1", "young", &["10.0.0.9"], 1);
    let meta =
        |uid: &str, created| Meta { uid: uid.into(), created: Some(at(created)), generation: 1, deleting: false };
    let spec = RecordSpec { domain_ref: "galactic".into(), ..RecordSpec::default() };
    let record = |meta| Record { meta, annotations: Vec::new(), spec: Ok(spec.clone()), status: None };
    let asked = effects(&mut sim, Fact::Record(Change::Apply(key("nginx"), record(meta("a", 0)))));
    // Deleted and made again, which is heard of at once; then the answer comes.
    sim.records.insert(key("nginx"), record(meta("b", 10)));
    sim.tell(Fact::Record(Change::Reset(sim.records.clone().into_iter().collect())));
    let answers = asked.into_iter().filter_map(|effect| match effect {
        Effect::Decide { record, hash, input, .. } => {
            Some(Fact::Decided { record, hash, result: Ok(Arc::new(decide(&input))) })
        }
        _ => None,
    });
    for answer in answers.collect::<Vec<_>>() {
        sim.tell(answer);
    }
    sim.record("young", 50, |_| {});
    assert!(!sim.lines("young").is_empty());
}

#[test]
fn a_clock_that_is_set_back_stops_nothing() {
    let mut sim = both();
    sim.pass(7200);
    sim.down("c2");
    sim.pass(-3600);
    sim.pass(301);
    assert_eq!(sim.lines("nginx")[0], "G A 10.0.0.1", "the grace period is over by the new time");
    sim.policy_down = true;
    sim.service("c1", "nginx", &["10.0.0.3"], 1);
    sim.pass(-1000);
    sim.policy_down = false;
    sim.pass(10);
    assert_eq!(sim.lines("nginx")[0], "G A 10.0.0.3", "and a policy that failed is asked again");
}

#[test]
fn what_an_edited_record_wanted_before_is_no_claim_when_nobody_can_be_asked() {
    let mut sim = Sim::new();
    for (name, region) in [("c1", "us"), ("c2", "eu")] {
        sim.member(name, region, region);
    }
    sim.second(&["c2"]);
    // The other replica sees nothing from here on, and no status says what was seen.
    sim.crash_before_status = true;
    sim.record("older", 0, |spec| spec.dns_prefix = Some("www".into()));
    sim.service("c1", "young", &["10.0.0.1"], 1);
    sim.at_once(|sim| {
        sim.down("c1");
        sim.record("older", 0, |_| {});
    });
    sim.record("young", 1, |spec| spec.dns_prefix = Some("www".into()));
    let published = sim.lines("young");
    assert!(published.iter().any(|line| line.starts_with("www CNAME")), "{published:?}");
    sim.hand_over();
    assert_eq!(sim.lines("young"), published);
}
