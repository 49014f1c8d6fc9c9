//! Life with clusters that fail, policies that break and records that want the same names: the rules of what must never
//! happen, one by one. What is not known: `blind.rs`.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail by panicking")]

mod sim;

use std::sync::Arc;

use mcsdns_core::{
    decision::{DecisionInput, DecisionOutput},
    facts::*,
    ids::ObjectKey,
    plan::Targets,
};
use sim::*;

#[test]
fn a_new_record_is_one_object_and_one_status() {
    let mut sim = both();
    sim.record("other", 1, |_| {});
    assert_eq!(sim.take_writes(), ["status test/other"]);
    sim.service("c1", "other", &["10.0.0.9"], 1);
    // The address first, then the endpoints make it serve.
    let writes = sim.take_writes();
    assert_eq!(writes.iter().filter(|w| w.starts_with("apply")).count(), 1, "{writes:?}");
}

#[test]
fn a_failed_cluster_fails_over_by_alias() {
    let mut sim = both();
    sim.service("c2", "nginx", &["10.0.0.2"], 0);
    assert_eq!(
        sim.lines("nginx"),
        ["G A 10.0.0.1", "G.eu CNAME G", "G.eu1.eu CNAME G.eu", "G.us A 10.0.0.1", "G.us1.us A 10.0.0.1"]
    );
    assert_eq!(sim.condition("nginx", "Degraded"), "True/NoReadyEndpoints");
    sim.service("c2", "nginx", &["10.0.0.2"], 2);
    assert_eq!(sim.lines("nginx"), BOTH);
    assert_eq!(sim.condition("nginx", "Degraded"), "False/AsExpected");
}

#[test]
fn no_ready_endpoint_anywhere_keeps_or_withdraws_as_the_domain_says() {
    let mut sim = both();
    sim.service("c1", "nginx", &["10.0.0.1"], 0);
    sim.service("c2", "nginx", &["10.0.0.2"], 0);
    assert_eq!(sim.lines("nginx")[0], "G A 10.0.0.2");
    assert_eq!(sim.condition("nginx", "Programmed"), "True/Kept");
    let mut domain = domain("example.com");
    domain.spec.as_mut().unwrap().when_empty = WhenEmpty::Withdraw;
    sim.domains.insert("galactic".into(), domain.clone());
    sim.tell(Fact::Domain(Change::Apply("galactic".into(), domain)));
    assert_eq!(sim.lines("nginx"), Vec::<String>::new());
    assert_eq!(sim.condition("nginx", "Programmed"), "False/Withdrawn");
}

#[test]
fn a_service_that_is_gone_everywhere_is_withdrawn() {
    let mut sim = both();
    sim.no_service("c1", "nginx");
    sim.no_service("c2", "nginx");
    assert_eq!(sim.lines("nginx"), Vec::<String>::new());
    assert_eq!(sim.condition("nginx", "Programmed"), "False/Withdrawn");
}

#[test]
fn a_missing_domain_changes_nothing_that_is_published() {
    let mut sim = both();
    sim.domains.clear();
    sim.tell(Fact::Domain(Change::Delete("galactic".into())));
    sim.service("c1", "nginx", &["10.0.0.7"], 1);
    assert_eq!(sim.lines("nginx"), BOTH);
    assert_eq!(sim.condition("nginx", "Accepted"), "False/DomainNotFound");
    sim.restart(&[]);
    assert_eq!(sim.lines("nginx"), BOTH);
    assert_eq!(sim.take_writes(), Vec::<String>::new());
}

#[test]
fn a_broken_policy_changes_nothing_that_is_published_and_is_asked_again() {
    let mut sim = both();
    sim.policy_down = true;
    sim.service("c1", "nginx", &["10.0.0.7"], 1);
    assert_eq!(sim.lines("nginx"), BOTH);
    assert_eq!(sim.condition("nginx", "Degraded"), "True/PolicyFailed");
    sim.record("new", 1, |_| {});
    sim.service("c1", "new", &["10.0.0.8"], 1);
    assert_eq!(sim.lines("new"), Vec::<String>::new());
    sim.policy_down = false;
    sim.pass(20);
    assert_eq!(sim.lines("nginx")[0], "G A 10.0.0.2,10.0.0.7");
    assert_eq!(sim.lines("new").len(), 5);
}

#[test]
fn a_policy_that_breaks_a_rule_changes_nothing_that_is_published() {
    fn outside(input: &DecisionInput) -> DecisionOutput {
        let mut output = decide(input);
        output.names[1].fqdn = "evil.example.org".to_owned();
        output
    }
    let mut sim = both();
    sim.policy = outside;
    sim.service("c1", "nginx", &["10.0.0.7"], 1);
    assert_eq!(sim.lines("nginx"), BOTH);
    assert_eq!(sim.condition("nginx", "Degraded"), "True/PolicyViolation");
    let message = sim.message("nginx", "Degraded");
    for part in ["plain 1", "name-outside-domain", "names[1].fqdn", "evil.example.org"] {
        assert!(message.contains(part), "{message}");
    }
}

#[test]
fn drift_is_repaired() {
    let mut sim = both();
    let object = ObjectKey::new("test", "service-nginx");
    let mut edited = sim.published[&object].clone();
    edited.generation += 1;
    edited.endpoints = edited.endpoints.iter().take(1).cloned().collect();
    sim.published.insert(object.clone(), edited.clone());
    sim.tell(Fact::Published(Change::Apply(object.clone(), edited)));
    assert_eq!(sim.lines("nginx"), BOTH);
    sim.published.remove(&object);
    sim.tell(Fact::Published(Change::Delete(object)));
    assert_eq!(sim.lines("nginx"), BOTH);
}

#[test]
fn the_object_of_somebody_else_is_not_touched_unless_handed_over() {
    let mut sim = Sim::new();
    sim.member("c1", "us", "us1");
    sim.service("c1", "nginx", &["10.0.0.1"], 1);
    let object = ObjectKey::new("test", "service-nginx");
    let mut theirs = Published {
        uid: "x".into(),
        generation: 1,
        owner: Owner::Foreign("kubectl".into()),
        metadata_in_order: false,
        endpoints: Arc::new([]),
    };
    sim.tell(Fact::Published(Change::Apply(object.clone(), theirs.clone())));
    sim.record("nginx", 0, |_| {});
    assert!(!sim.take_writes().iter().any(|write| write.starts_with("apply") || write.starts_with("delete")));
    assert_eq!(sim.condition("nginx", "Programmed"), "False/ForeignObject");
    assert!(sim.message("nginx", "Programmed").contains("kubectl"));
    theirs.owner = Owner::Adoptable;
    sim.tell(Fact::Published(Change::Apply(object, theirs)));
    assert_eq!(sim.lines("nginx").len(), 3);
}

#[test]
fn the_older_record_keeps_a_name_and_the_younger_says_who_has_it() {
    let mut sim = both();
    sim.record("a", 2, |spec| spec.external_name = Some("nginx".into()));
    sim.service("c1", "a", &["10.0.0.5"], 1);
    assert_eq!(sim.lines("nginx"), BOTH);
    assert_eq!(sim.lines("a"), Vec::<String>::new());
    assert_eq!(sim.condition("a", "Accepted"), "False/NameConflict");
    assert!(sim.message("a", "Accepted").contains("test/nginx"));
    // The older one goes: the younger takes over.
    sim.records.remove(&key("nginx"));
    sim.tell(Fact::Record(Change::Delete(key("nginx"))));
    assert_eq!(sim.lines("a").len(), 5);
    assert_eq!(sim.condition("a", "Accepted"), "True/Accepted");
}

#[test]
fn a_ttl_that_is_not_what_was_asked_for_is_told() {
    let mut sim = both();
    sim.domain(|spec| spec.max_ttl = Some(100));
    let words = sim.message("nginx", "Programmed");
    assert!(words.ends_with("TTL 100 instead of 180 by minTTL or maxTTL of the Domain"), "{words}");
}

#[test]
fn a_record_whose_names_another_has_says_so() {
    let mut sim = both();
    sim.record("a", 2, |spec| spec.external_name = Some("nginx".into()));
    sim.service("c1", "a", &["10.0.0.5"], 1);
    let words = sim.message("a", "Programmed");
    assert!(words.contains("belongs to the older record test/nginx"), "{words}");
}

#[test]
fn a_record_that_cannot_be_read_for_the_moment_is_as_old_as_it_was() {
    let mut sim = both();
    sim.record("a", 2, |spec| spec.external_name = Some("nginx".into()));
    // As local mode tells of a file that is being edited.
    let spec = Err(Malformed { message: "not valid YAML".to_owned() });
    let broken = Record { meta: Meta::default(), annotations: Vec::new(), spec, status: None };
    sim.tell(Fact::Record(Change::Apply(key("a"), broken)));
    sim.service("c1", "nginx", &["10.0.0.3"], 1);
    assert_eq!(sim.lines("nginx")[0], "G A 10.0.0.2,10.0.0.3");
    assert_eq!(sim.lines("a"), Vec::<String>::new());
}

#[test]
fn a_deleted_record_takes_its_object_along_also_when_deleted_while_we_were_away() {
    let mut sim = both();
    sim.records.remove(&key("nginx"));
    sim.restart(&[]);
    assert_eq!(sim.take_writes(), ["delete test/service-nginx"]);
    assert_eq!(sim.lines("nginx"), Vec::<String>::new());
}

#[test]
fn news_of_several_clusters_may_come_together() {
    let mut sim = both();
    sim.at_once(|sim| {
        sim.service("c1", "nginx", &["10.0.0.3"], 1);
        sim.service("c2", "nginx", &["10.0.0.4"], 1);
        sim.service("c1", "nginx", &["10.0.0.5"], 1);
    });
    assert_eq!(sim.lines("nginx")[0], "G A 10.0.0.4,10.0.0.5");
    // After something that asks for a new plan only.
    let object = ObjectKey::new("test", "service-nginx");
    let mut drifted = sim.published.get(&object).unwrap().clone();
    drifted.endpoints = drifted.endpoints.iter().take(1).cloned().collect();
    sim.at_once(|sim| {
        sim.tell(Fact::Published(Change::Apply(object, drifted)));
        sim.service("c2", "nginx", &["10.0.0.6"], 1);
    });
    assert_eq!(sim.lines("nginx")[0], "G A 10.0.0.5,10.0.0.6");
    // In the middle of a cluster that goes.
    sim.at_once(|sim| {
        sim.service("c1", "nginx", &["10.0.0.7"], 1);
        sim.down("c2");
        sim.no_service("c1", "nginx");
    });
    assert_eq!(sim.lines("nginx")[0], "G A 10.0.0.6");
}

#[test]
fn a_cluster_without_region_counts_for_the_global_name_only() {
    let mut sim = Sim::new();
    sim.member("c1", "", "");
    sim.member("c2", "eu", "eu1");
    sim.service("c1", "nginx", &["10.0.0.1"], 1);
    sim.service("c2", "nginx", &["10.0.0.2"], 1);
    sim.record("nginx", 0, |_| {});
    assert_eq!(sim.lines("nginx"), ["G A 10.0.0.1,10.0.0.2", "G.eu A 10.0.0.2", "G.eu1.eu A 10.0.0.2"]);
    assert_eq!(sim.condition("nginx", "Degraded"), "True/RegionUnknown");
}

#[test]
fn names_that_are_too_long_are_refused_and_tight_ones_are_warned_of() {
    let mut sim = both();
    sim.record("tight", 1, |spec| spec.external_name = Some("x".repeat(58).into()));
    sim.service("c1", "tight", &["10.0.0.4"], 1);
    assert!(!sim.lines("tight").is_empty());
    assert!(sim.message("tight", "Degraded").contains("cannot become a CNAME"));
    sim.record("long", 1, |spec| spec.external_name = Some("x".repeat(70).into()));
    sim.service("c1", "long", &["10.0.0.4"], 1);
    assert_eq!(sim.lines("long"), Vec::<String>::new());
    assert_eq!(sim.condition("long", "Accepted"), "False/NameTooLong");
    assert_eq!(sim.lines("nginx"), BOTH);
}

#[test]
fn a_prefix_that_spells_another_name_of_the_record_is_a_conflict() {
    let mut sim = both();
    sim.record("nginx", 0, |spec| spec.dns_prefix = Some("nginx.test.galactic.svc".into()));
    assert_eq!(sim.lines("nginx"), BOTH);
    assert_eq!(sim.condition("nginx", "Degraded"), "True/NameConflict");
    sim.record("nginx", 0, |spec| spec.dns_prefix = Some("www".into()));
    assert!(sim.lines("nginx").contains(&"www CNAME G".to_owned()));
    assert_eq!(sim.status("nginx").published.names, 6);
}

#[test]
fn a_follower_writes_nothing_and_a_new_leader_only_differences() {
    let mut sim = both();
    sim.tell(Fact::Leading(false));
    sim.service("c1", "nginx", &["10.0.0.7"], 1);
    assert_eq!(sim.take_writes(), Vec::<String>::new());
    sim.tell(Fact::Leading(true));
    assert_eq!(sim.lines("nginx")[0], "G A 10.0.0.2,10.0.0.7");
    sim.take_writes();
    sim.tell(Fact::Leading(false));
    sim.tell(Fact::Leading(true));
    assert_eq!(sim.take_writes(), Vec::<String>::new());
}

#[test]
fn an_alias_always_points_to_something_published() {
    let mut sim = Sim::new();
    sim.member("c1", "us", "us1");
    sim.record("nginx", 0, |spec| spec.dns_prefix = Some("www".into()));
    assert_eq!(sim.lines("nginx"), Vec::<String>::new());
    assert_eq!(sim.condition("nginx", "Programmed"), "False/NothingToPublish");
    assert!(sim.message("nginx", "Programmed").contains("cluster c1 has no Service"));
    sim.service("c1", "nginx", &["10.0.0.1"], 1);
    for published in sim.published.values() {
        for endpoint in published.endpoints.iter() {
            if let Targets::Name(target) = &endpoint.targets {
                assert!(published.endpoints.iter().any(|other| other.dns_name == *target));
            }
        }
    }
}

#[test]
fn explain_tells_what_stands_behind_a_name() {
    let mut sim = both();
    sim.service("c2", "nginx", &["10.0.0.2"], 0);
    let told = sim.index.explain(&key("nginx")).unwrap();
    assert_eq!(
        told.clusters[1].because,
        "cluster c2: Service test/nginx has no ready endpoints (EndpointSlices labelled kubernetes.io/service-name=nginx)"
    );
    assert_eq!(told.names.len(), 5);
    assert_eq!(told.advice.len(), 2, "what is wrong, and where to look: {:?}", told.advice);
    assert_eq!(
        told.advice[1],
        "in cluster c2, see why no pod is ready: kubectl get endpointslices -n test -l kubernetes.io/service-name=nginx"
    );
    assert!(told.names.iter().any(|name| name.place == "zone eu1 of eu" && name.answer.starts_with("CNAME")));
}
