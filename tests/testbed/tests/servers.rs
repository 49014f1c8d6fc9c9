//! The test bed itself, on real servers. Missing servers are built first, which takes minutes once.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may fail by panicking"
)]

use std::path::Path;
use std::time::Duration;

use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Node, Service};
use kube::api::{DeleteParams, ListParams, PostParams};
use kube::{Api, Client};
use mcsdns_testbed::{
    AuditMark, Bind, ControlPlane, ControllerManager, Etcd, ExternalDns, ExternalDnsVersion, Fleet, apply, dig,
    dig_records, external_dns, fixtures, kubectl, service_account_user, stays, wait_until,
};

/// For what takes a second or two on a quiet machine.
const SOON: Duration = Duration::from_secs(90);

fn services(client: &Client, namespace: &str) -> Api<Service> {
    Api::namespaced(client.clone(), namespace)
}

#[track_caller]
fn assert_gone(ids: &[u32]) {
    for id in ids {
        let folder = format!("/proc/{id}");
        assert!(!Path::new(&folder).exists(), "process {id} is left");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn clusters_are_separate_and_leave_nothing_behind() {
    let fleet = Fleet::start(&["east", "west"]).await.unwrap();
    let (east, west) = (fleet.cluster("east").unwrap(), fleet.cluster("west").unwrap());
    let (in_east, in_west) = (east.client_admin().await.unwrap(), west.client_admin().await.unwrap());

    fixtures::node(&in_east, "n1", "r1", "r1a").await.unwrap();
    fixtures::served(&in_east, "shop", "cart", &["192.0.2.1", "lb.example.net"], 3).await.unwrap();

    let cart = services(&in_east, "shop").get("cart").await.unwrap();
    let ingress = cart.status.unwrap().load_balancer.unwrap().ingress.unwrap();
    assert_eq!(ingress[0].ip.as_deref(), Some("192.0.2.1"));
    assert_eq!(ingress[1].hostname.as_deref(), Some("lb.example.net"));
    let nodes: Api<Node> = Api::all(in_east.clone());
    let labels = nodes.get("n1").await.unwrap().metadata.labels.unwrap();
    assert_eq!(labels["topology.kubernetes.io/zone"], "r1a");

    let everywhere: Api<Service> = Api::all(in_west.clone());
    let others = everywhere.list(&ListParams::default()).await.unwrap();
    assert!(others.items.iter().all(|service| service.metadata.name.as_deref() == Some("kubernetes")));

    fixtures::ingress_of(&in_east, "shop", "cart", &["192.0.2.2"]).await.unwrap();
    let cart = services(&in_east, "shop").get("cart").await.unwrap();
    assert_eq!(cart.status.unwrap().load_balancer.unwrap().ingress.unwrap().len(), 1);
    fixtures::unserved(&in_east, "shop", "cart").await.unwrap();

    let mut ids: Vec<u32> = fleet.clusters().iter().filter_map(ControlPlane::id).collect();
    ids.push(fleet.etcd().id());
    assert_eq!(ids.len(), 3);
    drop(fleet);
    assert_gone(&ids);
}

#[tokio::test(flavor = "multi_thread")]
async fn rights_are_real_and_writes_are_counted() {
    let etcd = Etcd::start().await.unwrap();
    let cluster = ControlPlane::start(&etcd, "host").await.unwrap();
    let admin = cluster.client_admin().await.unwrap();
    fixtures::namespace(&admin, "dns").await.unwrap();
    fixtures::service_account(&admin, "dns", "controller").await.unwrap();
    let rights = r#"
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: controller, namespace: dns}
rules:
- {apiGroups: [""], resources: [configmaps], verbs: [get, list, create]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: controller, namespace: dns}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: controller}
subjects: [{kind: ServiceAccount, name: controller, namespace: dns}]
"#;
    apply(&cluster, rights).await.unwrap();

    let client = cluster.client_of("dns", "controller").await.unwrap();
    let maps: Api<ConfigMap> = Api::namespaced(client.clone(), "dns");
    let mut map = ConfigMap::default();
    map.metadata.name = Some("mine".to_owned());
    // The authorizer learns of a new role by a watch of its own.
    wait_until(SOON, "the role to count", async || Ok(maps.list(&ListParams::default()).await?)).await.unwrap();

    let mark = cluster.audit_mark().await.unwrap();
    maps.create(&PostParams::default(), &map).await.unwrap();
    let refused = maps.delete("mine", &DeleteParams::default()).await.unwrap_err();
    assert!(matches!(&refused, kube::Error::Api(status) if status.code == 403), "{refused}");
    let elsewhere: Api<Namespace> = Api::all(client);
    elsewhere.list(&ListParams::default()).await.unwrap_err();

    let user = service_account_user("dns", "controller");
    let writes = cluster.writes_since(mark, &user).await.unwrap();
    let seen: Vec<(&str, u16)> = writes.iter().map(|entry| (entry.verb.as_str(), entry.code)).collect();
    assert_eq!(seen, [("create", 201), ("delete", 403)]);
    assert!(writes.iter().all(|entry| entry.resource == "configmaps" && entry.namespace == "dns"));
    let forbidden = cluster.forbidden_since(mark, &user).await.unwrap();
    let verbs: Vec<&str> = forbidden.iter().map(|entry| entry.verb.as_str()).collect();
    assert_eq!(verbs, ["delete", "list"]);

    let mark = cluster.audit_mark().await.unwrap();
    stays(Duration::from_millis(300), "calm", async || {
        let writes = cluster.writes_since(mark, &user).await?;
        anyhow::ensure!(writes.is_empty(), "{writes:?}");
        Ok(())
    })
    .await
    .unwrap();
    let by_kubectl = cluster.writes_since(AuditMark::START, "kubectl").await.unwrap();
    assert_eq!(by_kubectl.len(), 2, "{by_kubectl:?}");
    let unknown = cluster.client_for("not-a-token").await.unwrap();
    services(&unknown, "dns").list(&ListParams::default()).await.unwrap_err();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_server_can_fail_in_every_way_and_come_back() {
    let etcd = Etcd::start().await.unwrap();
    let cluster = ControlPlane::start(&etcd, "flaky").await.unwrap();
    let admin = cluster.client_admin().await.unwrap();
    fixtures::namespace(&admin, "kept").await.unwrap();
    let namespaces: Api<Namespace> = Api::all(admin);
    let (url, first) = (cluster.url(), cluster.id().unwrap());

    cluster.pause().unwrap();
    let hung = tokio::time::timeout(Duration::from_millis(500), namespaces.get("kept")).await;
    assert!(hung.is_err(), "a frozen API server answered");
    cluster.resume().unwrap();
    wait_until(SOON, "an answer again", async || Ok(namespaces.get("kept").await?)).await.unwrap();

    cluster.stop().unwrap();
    assert!(!cluster.is_running());
    assert_gone(&[first]);
    namespaces.get("kept").await.unwrap_err();
    cluster.start_again().await.unwrap();
    assert_eq!(cluster.url(), url);
    wait_until(SOON, "the data again", async || Ok(namespaces.get("kept").await?)).await.unwrap();

    let second = cluster.id().unwrap();
    cluster.kill().unwrap();
    assert_gone(&[second]);
    cluster.start_again().await.unwrap();
    wait_until(SOON, "the data again", async || Ok(namespaces.get("kept").await?)).await.unwrap();
    // The log goes on where it was.
    let all = cluster.requests_since(AuditMark::START).await.unwrap();
    assert!(all.iter().any(|entry| entry.verb == "patch" && entry.name == "kept"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_owned_goes_with_its_owner() {
    let etcd = Etcd::start().await.unwrap();
    let cluster = ControlPlane::start(&etcd, "host").await.unwrap();
    let _collector = ControllerManager::start(&cluster).await.unwrap();
    let maps: Api<ConfigMap> = Api::namespaced(cluster.client_admin().await.unwrap(), "default");
    kubectl(&cluster, &["create", "configmap", "owner"], None).await.unwrap();
    let owner = maps.get("owner").await.unwrap().metadata.uid.unwrap();
    let owned = format!(
        "{{apiVersion: v1, kind: ConfigMap, metadata: {{name: owned, namespace: default, \
         ownerReferences: [{{apiVersion: v1, kind: ConfigMap, name: owner, uid: {owner}}}]}}}}"
    );
    apply(&cluster, &owned).await.unwrap();
    maps.delete("owner", &DeleteParams::default()).await.unwrap();
    wait_until(SOON, "the owned object to go", async || {
        anyhow::ensure!(maps.get_opt("owned").await?.is_none(), "it is there");
        Ok(())
    })
    .await
    .unwrap();
}

fn endpoints(api: &str) -> String {
    format!(
        r#"
apiVersion: {api}
kind: DNSEndpoint
metadata: {{name: echo, namespace: default}}
spec:
  endpoints:
  - {{dnsName: echo.example.com, recordType: A, recordTTL: 30, targets: [192.0.2.1, 192.0.2.2]}}
  - {{dnsName: alias.example.com, recordType: CNAME, recordTTL: 30, targets: [echo.example.com]}}
"#
    )
}

async fn publish_and_withdraw(cluster: &ControlPlane, bind: &Bind, api: &str, resource: &str) -> anyhow::Result<()> {
    apply(cluster, &endpoints(api)).await?;
    let dns = bind.address();
    wait_until(SOON, "the name", async || {
        let answers = dig(dns, "echo.example.com", "A").await?;
        anyhow::ensure!(answers == ["192.0.2.1", "192.0.2.2"], "dig answered {answers:?}");
        let answers = dig(dns, "alias.example.com", "CNAME").await?;
        anyhow::ensure!(answers == ["echo.example.com."], "dig answered {answers:?}");
        Ok(())
    })
    .await?;
    let records = dig_records(dns, "alias.example.com", "A").await?;
    let kinds: Vec<(&str, u32)> = records.iter().map(|record| (record.kind.as_str(), record.ttl)).collect();
    assert_eq!(kinds, [("CNAME", 30), ("A", 30), ("A", 30)]);

    kubectl(cluster, &["delete", resource, "echo"], None).await?;
    wait_until(SOON, "the name to go", async || {
        let answers = dig(dns, "echo.example.com", "A").await?;
        anyhow::ensure!(answers.is_empty(), "dig answered {answers:?}");
        Ok(())
    })
    .await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn external_dns_0_21_publishes_its_own_kind() {
    let etcd = Etcd::start().await.unwrap();
    let cluster = ControlPlane::start(&etcd, "host").await.unwrap();
    let bind = Bind::start(&["example.com"]).await.unwrap();
    external_dns::install_crd(&cluster, ExternalDnsVersion::V0_21).await.unwrap();
    let external_dns = ExternalDns::start(ExternalDnsVersion::V0_21, &cluster, &bind).await.unwrap();
    publish_and_withdraw(&cluster, &bind, "externaldns.k8s.io/v1alpha1", external_dns::CRD).await.unwrap();
    let metrics = external_dns.metrics().await.unwrap();
    assert!(metrics.contains("external_dns_source_endpoints_total"), "{metrics}");

    let ids = [external_dns.id(), bind.id(), cluster.id().unwrap(), etcd.id()];
    drop((external_dns, bind, cluster, etcd));
    assert_gone(&ids);
}

#[tokio::test(flavor = "multi_thread")]
async fn external_dns_0_20_publishes_the_original_kind() {
    let etcd = Etcd::start().await.unwrap();
    let cluster = ControlPlane::start(&etcd, "host").await.unwrap();
    let bind = Bind::start(&["example.com"]).await.unwrap();
    apply(&cluster, &external_dns::legacy_crd_manifest().await.unwrap()).await.unwrap();
    let resource = "dnsendpoints.multiclusterdns.federation.k8s.io";
    mcsdns_testbed::wait_for_crd(&cluster, resource).await.unwrap();
    let _external_dns = ExternalDns::start(ExternalDnsVersion::V0_20, &cluster, &bind).await.unwrap();
    publish_and_withdraw(&cluster, &bind, external_dns::LEGACY_API, resource).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kind_can_be_used_as_soon_as_it_is_installed() {
    let etcd = Etcd::start().await.unwrap();
    let cluster = ControlPlane::start(&etcd, "host").await.unwrap();
    external_dns::install_crd(&cluster, ExternalDnsVersion::V0_21).await.unwrap();
    apply(&cluster, &endpoints("externaldns.k8s.io/v1alpha1")).await.unwrap();
}
