//! From Services in member clusters to answers of a name server: table 4.2, on real API servers with the shipped roles.

#![allow(clippy::indexing_slicing, clippy::unwrap_used, reason = "a test may fail by panicking")]

use mcsdns_e2e::{Member, NAMESPACE, SOON, World, endpoint, run, told};
use mcsdns_testbed::{AuditMark, Bind, ExternalDns, ExternalDnsVersion, apply, dig, fixtures, kubectl, wait_until};
use serde_json::{Value, json};

const TWO: [Member; 2] =
    [Member { name: "c1", region: "r0", zone: "z0" }, Member { name: "c2", region: "r1", zone: "z1" }];

/// The names of the guide's policy for record `name` in namespace `test` of federation `galactic`.
fn g(name: &str) -> String {
    format!("{name}.test.galactic.svc.example.com")
}

fn placed(name: &str, place: &str) -> String {
    format!("{name}.test.galactic.svc.{place}.example.com")
}

async fn dns(world: &World, record: &str) -> Value {
    let api = world.ours("ServiceDNSRecord", "test").await.unwrap();
    api.get(record).await.unwrap().data.pointer("/status/dns").cloned().unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn records_follow_their_services() {
    let world = World::start(&TWO).await.unwrap();
    let controller = world.controller("controller", &[]).await.unwrap();
    let host = world.client("host").await.unwrap();

    // A record before its Domain says what is missing.
    world.record("test", "nginx", json!({"domainRef": "galactic", "recordTTL": 300})).await.unwrap();
    let record = ("ServiceDNSRecord", "test", "nginx");
    let message = world.condition(record, "Accepted", "False/DomainNotFound").await.unwrap();
    assert!(message.contains("Domain galactic does not exist"), "{message}");

    // Record only: the clusters are listed with their places, nothing is published, and the conditions say why.
    world.domain("galactic", "Example.COM.", json!({})).await.unwrap();
    let message = world.condition(record, "Programmed", "False/NothingToPublish").await.unwrap();
    assert!(message.contains("cluster c1 has no Service of that name and type LoadBalancer"), "{message}");
    assert!(endpoint(&host, "test", "nginx").await.is_err());
    let entries = dns(&world, "nginx").await;
    assert_eq!(entries.pointer("/0/cluster"), Some(&json!("c1")));
    assert_eq!(entries.pointer("/0/region"), Some(&json!("r0")));
    assert_eq!(entries.pointer("/0/zones"), Some(&json!(["z0"])));
    assert_eq!(entries.pointer("/1/region"), Some(&json!("r1")));
    assert_eq!(entries.pointer("/0/loadBalancer/ingress/0"), None);

    // Everywhere.
    for (cluster, address) in [("c1", "10.20.30.1"), ("c2", "10.20.30.2")] {
        let member = world.client(cluster).await.unwrap();
        fixtures::served(&member, "test", "nginx", &[address], 1).await.unwrap();
    }
    let both = [
        format!("{} A 300 10.20.30.1,10.20.30.2", g("nginx")),
        format!("{} A 300 10.20.30.1", placed("nginx", "r0")),
        format!("{} A 300 10.20.30.1", placed("nginx", "z0.r0")),
        format!("{} A 300 10.20.30.2", placed("nginx", "r1")),
        format!("{} A 300 10.20.30.2", placed("nginx", "z1.r1")),
    ];
    world.published("test", "nginx", &both).await.unwrap();
    world.condition(record, "Programmed", "True/Programmed").await.unwrap();
    world.condition(record, "Degraded", "False/AsExpected").await.unwrap();
    let entries = dns(&world, "nginx").await;
    assert_eq!(entries.pointer("/0/loadBalancer/ingress"), Some(&json!([{"ip": "10.20.30.1"}])));
    let object = endpoint(&host, "test", "nginx").await.unwrap();
    let owner = object.metadata.owner_references.unwrap_or_default();
    assert_eq!(owner[0].kind, "ServiceDNSRecord");
    assert_eq!(object.data.pointer("/spec/endpoints/0/labels"), None, "endpoint labels leak into public DNS");

    // The endpoint gate.
    let member = world.client("c2").await.unwrap();
    fixtures::endpoints(&member, "test", "nginx", 0, 1).await.unwrap();
    let mut one = both.clone();
    one[0] = format!("{} A 300 10.20.30.1", g("nginx"));
    one[3] = format!("{} CNAME 300 {}", placed("nginx", "r1"), g("nginx"));
    one[4] = format!("{} CNAME 300 {}", placed("nginx", "z1.r1"), placed("nginx", "r1"));
    world.published("test", "nginx", &one).await.unwrap();
    let message = world.condition(record, "Degraded", "True/NoReadyEndpoints").await.unwrap();
    assert!(message.contains("cluster c2: Service test/nginx has no ready endpoints"), "{message}");
    assert_eq!(dns(&world, "nginx").await.pointer("/1/loadBalancer/ingress/0"), None);
    let spec = json!({"domainRef": "galactic", "recordTTL": 300, "allowServiceWithoutEndpoints": true});
    world.record("test", "nginx", spec).await.unwrap();
    world.published("test", "nginx", &both).await.unwrap();

    // Nothing of this was refused to the controller by the roles that deploy/ ships.
    let user = mcsdns_testbed::service_account_user(NAMESPACE, "mcsdns");
    let forbidden = world.cluster("host").unwrap().forbidden_since(AuditMark::START, &user).await.unwrap();
    assert!(forbidden.is_empty(), "{forbidden:#?}");
    assert!(controller.metrics().await.unwrap().contains("mcsdns_"));
    controller.stop().unwrap();
}

const GUIDE: [Member; 2] = [
    Member { name: "c1", region: "us-west1", zone: "us-west1-b" },
    Member { name: "c2", region: "us-west1", zone: "us-west1-b" },
];

const GUIDE_MANIFESTS: &str = "
apiVersion: multiclusterdns.federation.k8s.io/v1alpha1
kind: Domain
metadata: {name: test-domain, namespace: federation-system}
domain: your.domain.name
nameServer: ns-cloud-b1.googledomains.com.
---
apiVersion: v1
kind: Namespace
metadata: {name: test-namespace}
---
apiVersion: multiclusterdns.federation.k8s.io/v1alpha1
kind: ServiceDNSRecord
metadata: {name: test-service, namespace: test-namespace}
spec: {domainRef: test-domain, recordTTL: 300}
";

const NAMES: [&str; 3] = [
    "test-service.test-namespace.test-domain.svc.your.domain.name",
    "test-service.test-namespace.test-domain.svc.us-west1.your.domain.name",
    "test-service.test-namespace.test-domain.svc.us-west1-b.us-west1.your.domain.name",
];

async fn serve_guide(world: &World) {
    for (cluster, address) in [("c1", "10.20.30.1"), ("c2", "10.20.30.2")] {
        let member = world.client(cluster).await.unwrap();
        fixtures::served(&member, "test-namespace", "test-service", &[address], 1).await.unwrap();
    }
    apply(world.cluster("host").unwrap(), GUIDE_MANIFESTS).await.unwrap();
}

async fn answers(bind: &Bind, prefix: &str) {
    for name in NAMES {
        wait_until(SOON, &format!("{name} to resolve"), async || {
            let found = dig(bind.address(), name, "A").await?;
            anyhow::ensure!(found == ["10.20.30.1", "10.20.30.2"], "dig says {found:?}");
            let (first, rest) = name.split_once('.').unwrap();
            let owner = dig(bind.address(), &format!("{prefix}{first}.{rest}"), "TXT").await?;
            anyhow::ensure!(owner.len() == 1, "ownership record: {owner:?}");
            anyhow::ensure!(!owner[0].contains("serviceName"), "leaks labels: {owner:?}");
            Ok(())
        })
        .await
        .unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_guide_through_external_dns_to_dig_and_a_failover() {
    let world = World::start(&GUIDE).await.unwrap();
    let bind = Bind::start(&["your.domain.name"]).await.unwrap();
    let host = world.cluster("host").unwrap();
    let _external_dns = ExternalDns::start(ExternalDnsVersion::V0_21, host, &bind).await.unwrap();
    let _controller = world.controller("controller", &[]).await.unwrap();
    serve_guide(&world).await;
    let expected = NAMES.map(|name| format!("{name} A 300 10.20.30.1,10.20.30.2"));
    world.published("test-namespace", "test-service", &expected).await.unwrap();
    answers(&bind, "a-").await;

    // One cluster loses its endpoints: the names follow the other.
    let c2 = world.client("c2").await.unwrap();
    fixtures::endpoints(&c2, "test-namespace", "test-service", 0, 1).await.unwrap();
    wait_until(SOON, "the names to follow the healthy cluster", async || {
        let found = dig(bind.address(), NAMES[0], "A").await?;
        anyhow::ensure!(found == ["10.20.30.1"], "dig says {found:?}");
        Ok(())
    })
    .await
    .unwrap();

    // What an operator sees.
    let table = kubectl(host, &["get", "servicednsrecords", "-A"], None).await.unwrap();
    for part in ["DOMAIN", "ACCEPTED", "PROGRAMMED", "test-service", "test-domain"] {
        assert!(table.to_uppercase().contains(&part.to_uppercase()), "{table}");
    }
    let events = kubectl(host, &["events", "-n", "test-namespace"], None).await.unwrap();
    assert!(events.contains("NoReadyEndpoints"), "{events}");
    let kubeconfig = host.admin_kubeconfig();
    let told =
        told(&["explain", "test-namespace/test-service", "--kubeconfig", kubeconfig.to_str().unwrap()]).await.unwrap();
    assert!(told.contains(NAMES[0]) && told.contains("c2"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_guide_with_its_own_group_and_external_dns_of_its_time() {
    let world = World::start(&GUIDE).await.unwrap();
    let bind = Bind::start(&["your.domain.name"]).await.unwrap();
    let host = world.cluster("host").unwrap();
    apply(host, &run(&["crd", "--with-guide-dnsendpoint"], None).await.unwrap()).await.unwrap();
    let flags = ["--dnsendpoint-group=guide", "--txt-affix-length=5"];
    let _controller = world.controller("controller", &flags).await.unwrap();
    let _external_dns = ExternalDns::start(ExternalDnsVersion::V0_20, host, &bind).await.unwrap();
    serve_guide(&world).await;
    answers(&bind, "cnamea-").await;
}
