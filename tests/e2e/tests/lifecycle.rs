//! Who owns what, drift, deletion, restarts and leaders.

#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

use std::time::Duration;

use kube::api::DeleteParams;
use mcsdns_e2e::{Member, SOON, World, endpoint, endpoints, lines};
use mcsdns_testbed::{ControllerManager, apply, fixtures, kubectl, stays, wait_until};
use serde_json::json;

const ONE: [Member; 1] = [Member { name: "c1", region: "us", zone: "us1" }];

fn expected(first: &str, address: &str) -> Vec<String> {
    let g = format!("{first}.test.galactic.svc");
    ["", "us.", "us1.us."].iter().map(|place| format!("{g}.{place}example.com A 180 {address}")).collect()
}

async fn served(world: &World, name: &str, address: &str) {
    let member = world.client("c1").await.unwrap();
    fixtures::served(&member, "test", name, &[address], 1).await.unwrap();
    world.record("test", name, json!({"domainRef": "galactic"})).await.unwrap();
    world.published("test", name, &expected(name, address)).await.unwrap();
}

async fn started() -> World {
    let world = World::start(&ONE).await.unwrap();
    world.domain("galactic", "example.com", json!({})).await.unwrap();
    world
}

#[tokio::test(flavor = "multi_thread")]
async fn drift_is_repaired_and_the_objects_of_others_are_left_alone() {
    let world = started().await;
    let host = world.cluster("host").unwrap();
    let _controller = world.controller("controller", &[]).await.unwrap();
    served(&world, "nginx", "10.20.30.1").await;

    let edit = r#"[{"op":"replace","path":"/spec/endpoints/0/targets","value":["192.0.2.66"]}]"#;
    kubectl(host, &["patch", "dnsendpoint", "service-nginx", "-n", "test", "--type=json", "-p", edit], None)
        .await
        .unwrap();
    world.published("test", "nginx", &expected("nginx", "10.20.30.1")).await.unwrap();
    let uid = endpoint(&world.client("host").await.unwrap(), "test", "nginx").await.unwrap().metadata.uid;
    endpoints(&world.client("host").await.unwrap(), "test")
        .delete("service-nginx", &DeleteParams::default())
        .await
        .unwrap();
    let client = world.client("host").await.unwrap();
    wait_until(SOON, "the object to be made again", async || {
        let object = endpoint(&client, "test", "nginx").await?;
        anyhow::ensure!(object.metadata.uid != uid, "it is still the old one");
        anyhow::ensure!(lines(&object).len() == 3);
        Ok(())
    })
    .await
    .unwrap();

    // Somebody else's object of the name stays as it is until it is handed over.
    let theirs = "apiVersion: externaldns.k8s.io/v1alpha1\nkind: DNSEndpoint\n\
        metadata: {name: service-mine, namespace: test}\n\
        spec: {endpoints: [{dnsName: mine.example.com, recordType: A, targets: [192.0.2.7]}]}\n";
    apply(host, theirs).await.unwrap();
    let member = world.client("c1").await.unwrap();
    fixtures::served(&member, "test", "mine", &["10.20.30.5"], 1).await.unwrap();
    world.record("test", "mine", json!({"domainRef": "galactic"})).await.unwrap();
    let record = ("ServiceDNSRecord", "test", "mine");
    let message = world.condition(record, "Programmed", "False/ForeignObject").await.unwrap();
    assert!(message.contains("service-mine") && message.contains("adopt"), "{message}");
    assert_eq!(lines(&endpoint(&client, "test", "mine").await.unwrap()), ["mine.example.com A 0 192.0.2.7"]);
    let adopt = "multiclusterdns.federation.k8s.io/adopt=true";
    kubectl(host, &["annotate", "dnsendpoint", "service-mine", "-n", "test", adopt], None).await.unwrap();
    world.published("test", "mine", &expected("mine", "10.20.30.5")).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn two_records_one_name_a_deleted_domain_and_bad_input() {
    let world = started().await;
    let _controller = world.controller("controller", &[]).await.unwrap();
    served(&world, "nginx", "10.20.30.1").await;

    // The younger record says who has the name.
    let member = world.client("c1").await.unwrap();
    fixtures::served(&member, "test", "young", &["10.20.30.8"], 1).await.unwrap();
    world.record("test", "young", json!({"domainRef": "galactic", "externalName": "nginx"})).await.unwrap();
    let young = ("ServiceDNSRecord", "test", "young");
    let message = world.condition(young, "Accepted", "False/NameConflict").await.unwrap();
    assert!(message.contains("test/nginx"), "{message}");
    let client = world.client("host").await.unwrap();
    world.says(&client, "test", "nginx", &expected("nginx", "10.20.30.1")).await.unwrap();

    // The API server refuses nonsense with the name of the field.
    for (spec, field) in [
        (json!({"domainRef": "galactic", "recordTTL": -5}), "recordTTL"),
        (json!({"domainRef": ""}), "domainRef"),
        (json!({"domainRef": "galactic", "dnsPrefix": "a..b"}), "dnsPrefix"),
        (json!({"domainRef": "galactic", "externalName": "x".repeat(70)}), "externalName"),
    ] {
        let refused = world.record("test", "bad", spec.clone()).await.unwrap_err().to_string();
        assert!(refused.contains(field), "{spec}: {refused}");
    }

    // A Domain that goes leaves everything as it is, and every record says so.
    world.ours("Domain", mcsdns_e2e::NAMESPACE).await.unwrap().delete("galactic", &Default::default()).await.unwrap();
    world.condition(("ServiceDNSRecord", "test", "nginx"), "Accepted", "False/DomainNotFound").await.unwrap();
    world.says(&client, "test", "nginx", &expected("nginx", "10.20.30.1")).await.unwrap();
    world.domain("galactic", "example.com", json!({})).await.unwrap();
    world.condition(("ServiceDNSRecord", "test", "nginx"), "Accepted", "True/Accepted").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn deletion_with_and_without_the_controller_and_the_garbage_collector() {
    let world = started().await;
    let controller = world.controller("controller", &[]).await.unwrap();
    for (name, address) in [("one", "10.20.30.1"), ("two", "10.20.30.2"), ("three", "10.20.30.3")] {
        served(&world, name, address).await;
    }
    let client = world.client("host").await.unwrap();
    let records = world.ours("ServiceDNSRecord", "test").await.unwrap();
    let gone = async |name: &str| {
        wait_until(SOON, &format!("the DNSEndpoint of {name} to go"), async || {
            anyhow::ensure!(endpoint(&client, "test", name).await.is_err(), "it is there");
            Ok(())
        })
        .await
        .unwrap();
    };
    // Without any garbage collector, the controller does it.
    records.delete("one", &DeleteParams::default()).await.unwrap();
    gone("one").await;
    // Deleted while the controller was away: found at start.
    controller.stop().unwrap();
    records.delete("two", &DeleteParams::default()).await.unwrap();
    let controller = world.controller("controller-2", &[]).await.unwrap();
    gone("two").await;
    // With the controller stopped, the garbage collector of Kubernetes does it.
    controller.stop().unwrap();
    let _manager = ControllerManager::start(world.cluster("host").unwrap()).await.unwrap();
    records.delete("three", &DeleteParams::default()).await.unwrap();
    gone("three").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_and_a_restart_write_nothing_when_nothing_changed() {
    let world = started().await;
    let controller = world.controller("controller", &[]).await.unwrap();
    for n in 1..=5 {
        served(&world, &format!("web{n}"), &format!("10.20.30.{n}")).await;
    }
    for n in 1..=5 {
        world
            .condition(("ServiceDNSRecord", "test", &format!("web{n}")), "Programmed", "True/Programmed")
            .await
            .unwrap();
    }
    world.condition(("MemberCluster", mcsdns_e2e::NAMESPACE, "c1"), "Ready", "True/Connected").await.unwrap();
    let host = world.cluster("host").unwrap();
    // In a steady state nothing is written.
    let quiet = async |controller: &str| {
        let mark = host.audit_mark().await.unwrap();
        stays(Duration::from_secs(5), "silence", async || {
            let writes = world.writes_since(mark).await?;
            anyhow::ensure!(writes.is_empty(), "{controller} wrote {writes:#?}");
            Ok(())
        })
        .await
        .unwrap();
    };
    quiet("controller").await;
    let mark = host.audit_mark().await.unwrap();
    controller.kill().unwrap();
    let _controller = world.controller("controller-2", &["--leader-elect=false"]).await.unwrap();
    // It has seen everything once it acts on something new.
    served(&world, "new", "10.20.30.77").await;
    world.condition(("ServiceDNSRecord", "test", "new"), "Programmed", "True/Programmed").await.unwrap();
    quiet("controller-2").await;
    let writes = world.writes_since(mark).await.unwrap();
    // The number of Services in the member's status has changed, rightly.
    let others: Vec<_> = writes
        .iter()
        .filter(|write| !write.name.contains("new") && write.resource != "events" && write.resource != "memberclusters")
        .collect();
    assert!(others.is_empty(), "{others:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn when_the_leader_dies_the_other_goes_on() {
    let world = started().await;
    let flags = [
        "--leader-elect=true",
        "--lease-duration=4s",
        "--renew-deadline=3s",
        "--renew-period=1s",
        "--retry-period=500ms",
    ];
    let first = world.controller("first", &flags).await.unwrap();
    served(&world, "nginx", "10.20.30.1").await;
    let second = world.controller("second", &flags).await.unwrap();
    let leading = async |controller: &mcsdns_e2e::Controller| {
        controller.metrics().await.is_ok_and(|text| text.lines().any(|line| line == "mcsdns_leader 1"))
    };
    assert!(leading(&first).await);
    assert!(!leading(&second).await);
    first.kill().unwrap();
    wait_until(SOON, "the second to lead", async || {
        anyhow::ensure!(leading(&second).await, "it does not lead");
        Ok(())
    })
    .await
    .unwrap();
    let member = world.client("c1").await.unwrap();
    fixtures::ingress_of(&member, "test", "nginx", &["10.20.30.2"]).await.unwrap();
    world.published("test", "nginx", &expected("nginx", "10.20.30.2")).await.unwrap();
}
