//! Member clusters that go, hang, forbid or were never there: nothing is lost, and nobody else waits.

#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

use std::time::Duration;

use mcsdns_e2e::{Member, SOON, World};
use mcsdns_testbed::{fixtures, stays, wait_until};
use serde_json::json;

const TWO: [Member; 2] =
    [Member { name: "c1", region: "us", zone: "us1" }, Member { name: "c2", region: "eu", zone: "eu1" }];
/// Members are given up sooner than operators would want, so that the test does not take minutes.
const QUICK: [&str; 3] = ["--probe-interval=1s", "--probe-timeout=1s", "--probe-hold=2s"];

fn both(name: &str) -> [String; 5] {
    let g = format!("{name}.test.galactic.svc");
    [
        format!("{g}.example.com A 180 10.20.30.1,10.20.30.2"),
        format!("{g}.us.example.com A 180 10.20.30.1"),
        format!("{g}.us1.us.example.com A 180 10.20.30.1"),
        format!("{g}.eu.example.com A 180 10.20.30.2"),
        format!("{g}.eu1.eu.example.com A 180 10.20.30.2"),
    ]
}

fn only_c1(name: &str) -> [String; 5] {
    let g = format!("{name}.test.galactic.svc");
    [
        format!("{g}.example.com A 180 10.20.30.1"),
        format!("{g}.us.example.com A 180 10.20.30.1"),
        format!("{g}.us1.us.example.com A 180 10.20.30.1"),
        format!("{g}.eu.example.com CNAME 180 {g}.example.com"),
        format!("{g}.eu1.eu.example.com CNAME 180 {g}.eu.example.com"),
    ]
}

async fn published(world: &World, name: &str) {
    for (cluster, address) in [("c1", "10.20.30.1"), ("c2", "10.20.30.2")] {
        let member = world.client(cluster).await.unwrap();
        fixtures::served(&member, "test", name, &[address], 1).await.unwrap();
    }
    world.record("test", name, json!({"domainRef": "galactic"})).await.unwrap();
    world.published("test", name, &both(name)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_that_goes_keeps_its_addresses_for_the_grace_period_and_comes_back() {
    let world = World::start(&TWO).await.unwrap();
    world.domain("galactic", "example.com", json!({"unreachableGraceSeconds": 8})).await.unwrap();
    let controller = world.controller("controller", &QUICK).await.unwrap();
    published(&world, "nginx").await;
    let record = ("ServiceDNSRecord", "test", "nginx");

    world.cluster("c2").unwrap().kill().unwrap();
    let message = world.condition(record, "Degraded", "True/ClusterUnreachable").await.unwrap();
    assert!(message.contains("cluster c2 cannot be reached"), "{message}");
    assert!(message.contains("last known addresses count until"), "{message}");
    let host = world.client("host").await.unwrap();
    world.says(&host, "test", "nginx", &both("nginx")).await.unwrap();

    // While it is away, a change elsewhere goes through at once.
    let c1 = world.client("c1").await.unwrap();
    fixtures::served(&c1, "test", "other", &["10.20.30.9"], 1).await.unwrap();
    world.record("test", "other", json!({"domainRef": "galactic"})).await.unwrap();
    wait_until(SOON, "a new record", async || mcsdns_e2e::endpoint(&host, "test", "other").await).await.unwrap();

    // The grace period ends: the names of its places follow the fallback, none disappears.
    world.published("test", "nginx", &only_c1("nginx")).await.unwrap();
    world.condition(("MemberCluster", mcsdns_e2e::NAMESPACE, "c2"), "Ready", "False/Unreachable").await.unwrap();

    // A restart meanwhile changes nothing that is published.
    controller.kill().unwrap();
    let _controller = world.controller("controller-2", &QUICK).await.unwrap();
    stays(Duration::from_secs(5), "what is published", async || {
        world.says(&host, "test", "nginx", &only_c1("nginx")).await
    })
    .await
    .unwrap();

    world.cluster("c2").unwrap().start_again().await.unwrap();
    world.published("test", "nginx", &both("nginx")).await.unwrap();
    world.condition(record, "Degraded", "False/AsExpected").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_that_is_not_there_at_start_changes_nothing_and_holds_up_nobody() {
    let world = World::start(&TWO).await.unwrap();
    world.domain("galactic", "example.com", json!({})).await.unwrap();
    let controller = world.controller("controller", &QUICK).await.unwrap();
    published(&world, "nginx").await;
    controller.stop().unwrap();

    // It hangs rather than refuses: connections are taken and never answered.
    world.cluster("c2").unwrap().pause().unwrap();
    let _controller = world.controller("controller-2", &QUICK).await.unwrap();
    let host = world.client("host").await.unwrap();
    let c1 = world.client("c1").await.unwrap();
    fixtures::served(&c1, "test", "other", &["10.20.30.9"], 1).await.unwrap();
    world.record("test", "other", json!({"domainRef": "galactic"})).await.unwrap();
    wait_until(Duration::from_secs(10), "the other cluster to go on", async || {
        mcsdns_e2e::endpoint(&host, "test", "other").await
    })
    .await
    .unwrap();
    world.condition(("ServiceDNSRecord", "test", "nginx"), "Degraded", "True/ClusterUnreachable").await.unwrap();
    world.says(&host, "test", "nginx", &both("nginx")).await.unwrap();
    world.cluster("c2").unwrap().resume().unwrap();
    world.condition(("ServiceDNSRecord", "test", "nginx"), "Degraded", "False/AsExpected").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn members_come_and_go_while_running_and_bad_ones_are_told_apart() {
    let world = World::start(&TWO).await.unwrap();
    world.domain("galactic", "example.com", json!({})).await.unwrap();
    let _controller = world.controller("controller", &QUICK).await.unwrap();
    published(&world, "nginx").await;
    let member = |name: &'static str| ("MemberCluster", mcsdns_e2e::NAMESPACE, name);

    // A plugin would run a command in the controller.
    let exec = "apiVersion: v1\nkind: Config\ncurrent-context: x\ncontexts: [{name: x, context: {cluster: x, user: x}}]\n\
        clusters: [{name: x, cluster: {server: 'https://127.0.0.1:1'}}]\n\
        users: [{name: x, user: {exec: {apiVersion: client.authentication.k8s.io/v1, command: /bin/true}}}]\n";
    world.join_with("exec", exec).await.unwrap();
    let message = world.condition(member("exec"), "Ready", "False/KubeconfigExecRefused").await.unwrap();
    assert!(message.contains("exec"), "{message}");
    world.join_with("garbage", "this: [is no kubeconfig").await.unwrap();
    world.condition(member("garbage"), "Ready", "False/KubeconfigUnreadable").await.unwrap();
    world
        .host_apply(&json!({
            "apiVersion": "multiclusterdns.federation.k8s.io/v1alpha1", "kind": "MemberCluster",
            "metadata": {"name": "nosecret", "namespace": mcsdns_e2e::NAMESPACE},
            "spec": {"kubeconfigSecretRef": {"name": "nosecret"}},
        }))
        .await
        .unwrap();
    let message = world.condition(member("nosecret"), "Ready", "False/SecretNotFound").await.unwrap();
    assert!(message.contains("nosecret"), "{message}");

    // An account without rights: said, with what to do, and its last known state counts.
    let c2 = world.cluster("c2").unwrap();
    let admin = world.client("c2").await.unwrap();
    fixtures::service_account(&admin, "default", "nobody").await.unwrap();
    let token = c2.token_for("default", "nobody").await.unwrap();
    world.join_with("c2", &c2.kubeconfig(&token)).await.unwrap();
    let message = world.condition(member("c2"), "Ready", "False/ClusterForbidden").await.unwrap();
    assert!(message.contains("services") && message.contains("deploy/member"), "{message}");
    let host = world.client("host").await.unwrap();
    world.says(&host, "test", "nginx", &both("nginx")).await.unwrap();

    // The right kubeconfig again: taken up without a restart.
    world.join("c2").await.unwrap();
    world.condition(member("c2"), "Ready", "True/Connected").await.unwrap();
    for name in ["exec", "garbage", "nosecret"] {
        world
            .ours("MemberCluster", mcsdns_e2e::NAMESPACE)
            .await
            .unwrap()
            .delete(name, &Default::default())
            .await
            .unwrap();
    }
    world.says(&host, "test", "nginx", &both("nginx")).await.unwrap();
    world.condition(("ServiceDNSRecord", "test", "nginx"), "Degraded", "False/AsExpected").await.unwrap();

    // A member that leaves for good takes its addresses along.
    world.ours("MemberCluster", mcsdns_e2e::NAMESPACE).await.unwrap().delete("c2", &Default::default()).await.unwrap();
    world.published("test", "nginx", &both("nginx").map(|line| line.replace(",10.20.30.2", ""))[..3]).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_without_labels_and_a_service_of_another_type() {
    let world = World::start(&[TWO[0], Member { name: "c2", region: "", zone: "" }]).await.unwrap();
    world.domain("galactic", "example.com", json!({})).await.unwrap();
    let _controller = world.controller("controller", &QUICK).await.unwrap();
    for (cluster, address) in [("c1", "10.20.30.1"), ("c2", "10.20.30.2")] {
        let member = world.client(cluster).await.unwrap();
        fixtures::served(&member, "test", "nginx", &[address], 1).await.unwrap();
    }
    world.record("test", "nginx", json!({"domainRef": "galactic"})).await.unwrap();
    world.published("test", "nginx", &both("nginx")[..3]).await.unwrap();
    world.condition(("ServiceDNSRecord", "test", "nginx"), "Degraded", "True/RegionUnknown").await.unwrap();
    world
        .condition(("MemberCluster", mcsdns_e2e::NAMESPACE, "c2"), "PlacesKnown", "False/RegionUnknown")
        .await
        .unwrap();
    let patch = r#"{"spec":{"type":"ClusterIP"}}"#;
    let args = ["patch", "service", "nginx", "-n", "test", "-p", patch];
    mcsdns_testbed::kubectl(world.cluster("c2").unwrap(), &args, None).await.unwrap();
    let only = both("nginx").map(|line| line.replace(",10.20.30.2", ""));
    world.published("test", "nginx", &only[..3]).await.unwrap();
}
