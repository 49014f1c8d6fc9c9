//! What is not known: clusters that cannot be seen, controllers that restart or die, objects that cannot be read. Nothing
//! that may still work is taken away.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test may fail by panicking")]

mod sim;

use std::sync::Arc;

use mcsdns_core::{decision::*, facts::*, ids::ClusterName};
use sim::*;

#[test]
fn a_restart_with_nothing_changed_writes_nothing() {
    let mut sim = both();
    sim.restart(&[]);
    assert_eq!(sim.take_writes(), Vec::<String>::new());
    sim.pass(60);
    assert_eq!(sim.take_writes(), Vec::<String>::new());
}

#[test]
fn a_restart_without_a_cluster_changes_nothing_that_is_published() {
    let mut sim = both();
    sim.restart(&["c2"]);
    assert_eq!(sim.lines("nginx"), BOTH);
    assert_eq!(sim.take_writes(), Vec::<String>::new());
    sim.pass(3600);
    assert_eq!(sim.lines("nginx"), BOTH);
    assert_eq!(sim.condition("nginx", "Degraded"), "True/ClusterNotSynced");
}

#[test]
fn an_unreachable_cluster_keeps_its_addresses_for_the_grace_period_even_across_a_restart() {
    let mut sim = both();
    sim.pass(100);
    sim.down("c2");
    assert_eq!(sim.lines("nginx"), BOTH);
    assert_eq!(sim.condition("nginx", "Degraded"), "True/ClusterUnreachable");
    sim.pass(200);
    sim.restart(&[]);
    assert_eq!(sim.lines("nginx"), BOTH);
    sim.pass(99);
    assert_eq!(sim.lines("nginx"), BOTH);
    sim.pass(1);
    assert_eq!(sim.lines("nginx")[1], "G.eu CNAME G");
    sim.restart(&["c2"]);
    assert_eq!(sim.take_writes(), Vec::<String>::new());
    assert_eq!(sim.lines("nginx")[1], "G.eu CNAME G");
    sim.up("c2");
    assert_eq!(sim.lines("nginx"), BOTH);
}

#[test]
fn when_every_cluster_is_unreachable_everything_freezes() {
    let mut sim = both();
    sim.down("c1");
    sim.down("c2");
    sim.pass(100_000);
    assert_eq!(sim.lines("nginx"), BOTH);
    assert_eq!(sim.condition("nginx", "Programmed"), "True/Frozen");
    sim.restart(&[]);
    assert_eq!(sim.lines("nginx"), BOTH);
}

#[test]
fn the_last_cluster_that_may_serve_is_not_withdrawn_for_being_unreachable() {
    let mut sim = both();
    sim.no_service("c1", "nginx");
    sim.down("c2");
    sim.pass(100_000);
    assert_eq!(sim.lines("nginx")[0], "G A 10.0.0.2");
    assert_eq!(sim.condition("nginx", "Programmed"), "True/Kept");
}

#[test]
fn a_crash_between_object_and_status_loses_nothing() {
    let mut sim = Sim::new();
    sim.crash_before_status = true;
    sim.member("c1", "us", "us1");
    sim.member("c2", "eu", "eu1");
    sim.service("c1", "nginx", &["10.0.0.1"], 1);
    sim.service("c2", "nginx", &["10.0.0.2"], 1);
    sim.record("nginx", 0, |_| {});
    assert_eq!(sim.lines("nginx"), BOTH);
    sim.crash_before_status = false;
    // c2 is unknown now: nothing remembers it but what is published.
    sim.restart(&["c2"]);
    sim.pass(60);
    assert_eq!(sim.lines("nginx"), BOTH);
    // What is known of c1 still takes effect.
    sim.service("c1", "nginx", &["10.0.0.7"], 1);
    assert!(sim.lines("nginx")[0].contains("10.0.0.7"));
    assert!(sim.lines("nginx")[0].contains("10.0.0.2"));
    sim.up("c2");
    assert_eq!(sim.lines("nginx")[0], "G A 10.0.0.2,10.0.0.7");
    assert_eq!(sim.lines("nginx")[1], "G.eu A 10.0.0.2");
}

#[test]
fn a_host_name_that_fails_hurts_its_own_cluster_only_and_its_last_answer_survives_a_restart() {
    let mut sim = Sim::new();
    let host: Arc<str> = "a9.elb.test".into();
    sim.member("c1", "us", "us1");
    sim.member("c2", "eu", "eu1");
    sim.hosts.insert(Arc::clone(&host), HostAnswer::Failed("SERVFAIL".to_owned()));
    sim.service("c1", "nginx", &["a9.elb.test"], 1);
    sim.service("c2", "nginx", &["10.0.0.2"], 1);
    sim.record("nginx", 0, |_| {});
    assert_eq!(sim.lines("nginx")[0], "G A 10.0.0.2");
    assert!(sim.lines("nginx").contains(&"G.us CNAME G".to_owned()));
    assert_eq!(sim.condition("nginx", "Degraded"), "True/HostNameUnresolved");
    let answer = HostAnswer::Addresses(Arc::new(["10.0.0.3".parse().unwrap(), "2001:db8::3".parse().unwrap()]));
    sim.tell(Fact::HostName(Arc::clone(&host), answer));
    assert_eq!(sim.lines("nginx")[0..2], ["G A 10.0.0.2,10.0.0.3", "G AAAA 2001:db8::3"]);
    let good = sim.lines("nginx");
    sim.tell(Fact::HostName(Arc::clone(&host), HostAnswer::Failed("timeout".to_owned())));
    assert_eq!(sim.lines("nginx"), good);
    sim.restart(&[]);
    assert_eq!(sim.lines("nginx"), good);
    // Nothing but the answer changes: it is the last one that is remembered.
    sim.tell(Fact::HostName(Arc::clone(&host), HostAnswer::Addresses(Arc::new(["10.0.0.4".parse().unwrap()]))));
    assert_eq!(sim.lines("nginx")[0], "G A 10.0.0.2,10.0.0.4");
    let good = sim.lines("nginx");
    sim.restart(&[]);
    assert_eq!(sim.lines("nginx"), good);
}

#[test]
fn a_bad_object_is_not_an_absent_one() {
    let mut sim = both();
    let bad = || Err(Malformed { message: "status.loadBalancer: expected a map".to_owned() });
    let c2 = ClusterName::new("c2");
    sim.tell(Fact::Cluster(c2.clone(), ClusterFact::Service(Change::Apply(key("nginx"), bad()))));
    assert_eq!(sim.lines("nginx"), BOTH);
    assert_eq!(sim.condition("nginx", "Degraded"), "True/ObjectMalformed");
    // Also when it was bad from the start of this process.
    sim.restart(&["c2"]);
    for fact in [
        ClusterFact::Node(Change::Reset(vec![(
            "n".into(),
            Node { region: Some("eu".into()), zone: Some("eu1".into()) },
        )])),
        ClusterFact::Service(Change::Reset(vec![(key("nginx"), bad())])),
        ClusterFact::Slice(Change::Reset(vec![])),
    ] {
        sim.tell(Fact::Cluster(c2.clone(), fact));
    }
    sim.pass(60);
    assert_eq!(sim.lines("nginx"), BOTH);
}

#[test]
fn names_that_are_refused_take_nothing_away_in_a_restart_either() {
    let mut sim = both();
    sim.record("web", 1, |_| {});
    sim.service("c1", "api", &["10.0.0.2"], 1);
    sim.service("c2", "api", &["2001:db8::1"], 1);
    sim.record("api", 3, |_| {});
    let before = sim.lines("api");
    sim.record("api", 3, |spec| {
        spec.dns_prefix = Some("-bad".into());
        spec.external_name = Some("web".into());
    });
    assert_eq!(sim.lines("api"), before);
    // The clusters are read one after the other, and meanwhile some of it is kept because the rest is unknown.
    sim.take_writes();
    sim.restart(&[]);
    assert_eq!(sim.take_writes(), Vec::<String>::new());
    assert_eq!(sim.lines("api"), before);
}

#[test]
fn a_region_that_nothing_can_stand_in_for_keeps_its_addresses_while_its_cluster_cannot_be_seen() {
    let mut sim = both();
    // An older record has the name that an alias would lead to.
    sim.record("web", -1, |spec| spec.dns_prefix = Some("nginx.test.galactic.svc".into()));
    let published = sim.lines("nginx");
    assert_eq!(published, BOTH[1..]);
    sim.down("c2");
    sim.pass(1000);
    assert_eq!(
        sim.lines("nginx"),
        ["G.eu A 10.0.0.2", "G.eu1.eu CNAME G.eu", "G.us A 10.0.0.1", "G.us1.us A 10.0.0.1"]
    );
}

#[test]
fn an_address_that_two_clusters_share_is_not_proof_that_a_name_is_the_other_ones() {
    let mut sim = both();
    // An older record has the name that an alias would lead to, and both clusters have one address.
    sim.record("web", -1, |spec| spec.dns_prefix = Some("nginx.test.galactic.svc".into()));
    sim.no_service("c1", "nginx");
    sim.pass(100);
    // A process that dies between the object and the status: the status does not know of c1.
    sim.crash_before_status = true;
    sim.service("c1", "nginx", &["10.0.0.2"], 1);
    let published = sim.lines("nginx");
    assert!(published.contains(&"G.us A 10.0.0.2".to_owned()), "{published:?}");
    sim.crash_before_status = false;
    sim.restart(&["c1"]);
    // Every name leads where it led.
    assert_eq!(
        sim.lines("nginx"),
        ["G.eu A 10.0.0.2", "G.eu1.eu A 10.0.0.2", "G.us A 10.0.0.2", "G.us1.us CNAME G.us"]
    );
}

#[test]
fn a_status_older_than_what_was_published_is_no_proof_that_the_service_is_gone() {
    let mut sim = both();
    sim.no_service("c1", "nginx");
    sim.no_service("c2", "nginx");
    assert!(sim.lines("nginx").is_empty());
    // A process that dies between the object and the status; then c2 is lost, for longer than the grace period.
    sim.crash_before_status = true;
    sim.service("c2", "nginx", &["10.0.0.2"], 1);
    let published = sim.lines("nginx");
    assert_eq!(published[0], "G A 10.0.0.2");
    sim.down("c2");
    sim.pass(1000);
    sim.crash_before_status = false;
    sim.restart(&[]);
    assert_eq!(sim.lines("nginx"), published);
    assert!(sim.message("nginx", "Programmed").contains("c2"), "{}", sim.message("nginx", "Programmed"));
    // Seen again without the Service, it is gone.
    sim.no_service("c2", "nginx");
    sim.up("c2");
    assert!(sim.lines("nginx").is_empty());
}

#[test]
fn an_alias_stays_with_the_name_it_leads_to_while_a_cluster_is_unknown() {
    let mut sim = both();
    sim.record("nginx", 0, |spec| spec.dns_prefix = Some("www".into()));
    sim.record("older", -1, |spec| spec.external_name = Some("other".into()));
    let published = sim.lines("nginx");
    assert_eq!(published.last().unwrap(), "www CNAME G");
    sim.restart(&["c2"]);
    // The names that are wanted now belong to the older record, so that nothing new stands behind www.
    sim.record("nginx", 0, |spec| {
        spec.dns_prefix = Some("www".into());
        spec.external_name = Some("other".into());
    });
    let left = sim.lines("nginx");
    assert_eq!(left, ["G A 10.0.0.1,10.0.0.2", "G.eu A 10.0.0.2", "G.eu1.eu A 10.0.0.2", "www CNAME G"]);
    // With every cluster in sight it is what was asked for.
    sim.up("c2");
    assert!(sim.lines("nginx").is_empty());
    assert!(sim.message("nginx", "Programmed").contains("an older record has the names"));
}

fn watch(cluster: &str, message: Option<&str>) -> Fact {
    let message = message.map(str::to_owned);
    Fact::Cluster(ClusterName::new(cluster), ClusterFact::WatchFailed { resource: "services", message })
}

#[test]
fn a_list_that_is_no_longer_watched_is_no_proof() {
    let mut sim = both();
    sim.no_service("c2", "nginx");
    sim.tell(watch("c2", Some("services cannot be read: forbidden")));
    assert_eq!(sim.condition("nginx", "Degraded"), "True/ClusterForbidden");
    let published = sim.lines("nginx");
    sim.no_service("c1", "nginx");
    assert_eq!(sim.lines("nginx"), published, "c2 may have got the Service meanwhile");
    sim.tell(watch("c2", None));
    assert!(sim.lines("nginx").is_empty());
}

#[test]
fn a_cluster_that_is_back_counts_when_it_has_been_read_again() {
    let mut sim = both();
    sim.down("c2");
    sim.pass(400);
    assert_eq!(sim.lines("nginx")[0], "G A 10.0.0.1");
    // It moved to another address while it was away.
    let c2 = ClusterName::new("c2");
    let tell = |sim: &mut Sim, fact| sim.tell(Fact::Cluster(c2.clone(), fact));
    tell(&mut sim, ClusterFact::Reach(Reach::Reachable { version: None }));
    assert_eq!(sim.lines("nginx")[0], "G A 10.0.0.1");
    tell(&mut sim, ClusterFact::Service(Change::Reset(vec![(key("nginx"), Ok(load_balancer(&["10.0.0.5"])))])));
    assert_eq!(sim.lines("nginx")[0], "G A 10.0.0.1");
    let slice = Slice { service: "nginx".into(), ready: 1 };
    tell(&mut sim, ClusterFact::Slice(Change::Reset(vec![(key("nginx-abc"), Ok(slice.clone()))])));
    assert_eq!(sim.lines("nginx")[0], "G A 10.0.0.1,10.0.0.5");
    // The lists may come before the word that it is back.
    sim.down("c2");
    sim.pass(400);
    tell(&mut sim, ClusterFact::Service(Change::Reset(vec![(key("nginx"), Ok(load_balancer(&["10.0.0.6"])))])));
    tell(&mut sim, ClusterFact::Slice(Change::Reset(vec![(key("nginx-abc"), Ok(slice))])));
    assert_eq!(sim.lines("nginx")[0], "G A 10.0.0.1");
    tell(&mut sim, ClusterFact::Reach(Reach::Reachable { version: None }));
    assert_eq!(sim.lines("nginx")[0], "G A 10.0.0.1,10.0.0.6");
}

/// Everything by sets, one for each cluster.
fn in_sets(input: &DecisionInput) -> DecisionOutput {
    let mut output = decide(input);
    for decision in &mut output.decisions {
        if let Answer::Clusters(clusters) = &decision.answer {
            let set = |cluster: &u32| WeightedSet {
                set_identifier: input.clusters[*cluster as usize].name.to_string(),
                targets: vec![Target { cluster: *cluster, address: 0 }],
                provider_specific: Vec::new(),
            };
            decision.answer = Answer::Sets(clusters.iter().map(set).collect());
        }
    }
    output
}

#[test]
fn sets_stay_as_addresses_do_while_a_cluster_is_unknown() {
    let mut sim = Sim::new();
    sim.policy = in_sets;
    sim.member("c1", "us", "us1");
    sim.member("c2", "eu", "eu1");
    sim.service("c1", "nginx", &["10.0.0.1"], 1);
    sim.crash_before_status = true;
    sim.record("nginx", 0, |_| {});
    sim.service("c2", "nginx", &["10.0.0.2"], 1);
    sim.crash_before_status = false;
    let published = sim.lines("nginx");
    assert_eq!(published[..3], ["G A 10.0.0.1", "G A 10.0.0.2", "G.eu A 10.0.0.2"]);
    sim.restart(&["c2"]);
    assert_eq!(sim.lines("nginx"), published);
    // A policy that knows no sets waits with what it would change.
    sim.policy = decide;
    sim.restart(&["c2"]);
    assert_eq!(sim.lines("nginx"), published);
    sim.policy = in_sets;
    sim.restart(&["c2"]);
    sim.no_service("c2", "nginx");
    sim.up("c2");
    assert_eq!(sim.lines("nginx")[..2], ["G A 10.0.0.1", "G.eu CNAME G"]);
}

#[test]
fn the_end_of_a_grace_period_is_told_of_a_cluster_without_addresses_too() {
    let mut sim = both();
    sim.no_service("c2", "nginx");
    sim.down("c2");
    sim.pass(301);
    let message = sim.message("nginx", "Degraded");
    assert!(message.contains("its grace period is over"), "{message}");
    sim.restart(&[]);
    assert_eq!(sim.take_writes(), Vec::<String>::new());
}

#[test]
fn an_address_that_a_known_cluster_had_is_not_taken_for_that_of_an_unknown_one() {
    let mut sim = both();
    sim.member("c3", "us", "us2");
    sim.restart(&["c3"]);
    assert_eq!(sim.lines("nginx")[0], "G A 10.0.0.1,10.0.0.2");
    // It moves, and is looked at more than once before the policies answer.
    sim.policy_down = true;
    sim.service("c1", "nginx", &["10.0.0.7"], 1);
    sim.service("c1", "nginx", &["10.0.0.8"], 2);
    sim.policy_down = false;
    sim.pass(10);
    assert_eq!(sim.lines("nginx")[0], "G A 10.0.0.2,10.0.0.8");
}

#[test]
fn a_new_record_says_what_its_policy_did() {
    let mut sim = both();
    sim.policy_down = true;
    sim.record("young", 9, |_| {});
    assert_eq!(sim.condition("young", "Programmed"), "False/PolicyFailed");
    assert_eq!(sim.message("young", "Programmed"), "nothing is published: the policy gave no answer");
}

#[test]
fn nothing_is_withdrawn_while_a_cluster_cannot_be_asked_whatever_the_domain_says() {
    let mut sim = both();
    sim.domain(|spec| spec.when_empty = WhenEmpty::Withdraw);
    sim.service("c2", "nginx", &["10.0.0.2"], 0);
    let published = sim.lines("nginx");
    assert_eq!(published[0], "G A 10.0.0.1");
    sim.down("c1");
    sim.pass(1000);
    assert_eq!(sim.lines("nginx"), published);
    assert!(sim.message("nginx", "Programmed").contains("cluster c1 cannot be seen"));
    sim.restart(&[]);
    assert_eq!(sim.lines("nginx"), published);
    sim.service("c1", "nginx", &["10.0.0.1"], 0);
    sim.up("c1");
    assert!(sim.lines("nginx").is_empty(), "now every cluster was asked");
}

#[test]
fn a_restart_beside_a_cluster_that_does_not_answer_writes_nothing() {
    let mut sim = both();
    sim.down("c2");
    sim.pass(100);
    sim.take_writes();
    // It takes some failures until that is said again.
    sim.restart(&["c2"]);
    sim.pass(20);
    assert_eq!(sim.take_writes(), Vec::<String>::new());
    let now = sim.now;
    sim.tell(Fact::Cluster(ClusterName::new("c2"), ClusterFact::Reach(down(now))));
    assert_eq!(sim.take_writes(), Vec::<String>::new());
    assert!(sim.message("nginx", "Degraded").contains("cluster c2 cannot be reached"));
}

#[test]
fn words_about_a_cluster_that_cannot_be_seen_are_true() {
    let mut sim = both();
    sim.down("c1");
    sim.down("c2");
    sim.pass(1000);
    assert_eq!(sim.condition("nginx", "Programmed"), "True/Frozen");
    let words = sim.message("nginx", "Degraded");
    assert!(words.contains("what is published stays") && !words.contains("counts as having nothing"), "{words}");
    // Another mistake in a kubeconfig is another message.
    let refused = |message: &str| {
        let reach = Reach::Unreachable { reason: "KubeconfigUnreadable", message: message.to_owned(), since: at(0) };
        Fact::Cluster(ClusterName::new("c1"), ClusterFact::Reach(reach))
    };
    for words in ["line 1", "line 2"] {
        sim.tell(refused(words));
        assert!(sim.message("nginx", "Degraded").contains(words));
    }
}
