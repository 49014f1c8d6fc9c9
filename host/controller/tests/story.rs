//! Two replicas of the whole controller on real API servers, with a policy of one name.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may fail by panicking"
)]

use std::{collections::BTreeMap, net::SocketAddr, sync::Arc, time::Duration};

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::{
    coordination::v1::Lease,
    core::v1::{Secret, Service},
    events::v1::Event,
};
use kube::{
    Api, Client,
    api::{DeleteParams, DynamicObject, ListParams, Patch, PatchParams},
};
use mcsdns_api::endpoint::EndpointGroup;
use mcsdns_controller::{
    ControllerError, Options, Parts, live,
    options::{LeaderOptions, ProbeOptions},
};
use mcsdns_core::{
    decision::{
        Answer, ClusterState, Decision, DecisionInput, DecisionOutput, Fallback, Name, Needs, Place, PolicyFailure,
        PolicyRef,
    },
    ids::ObjectKey,
};
use mcsdns_runtime::HostTable;
use mcsdns_testbed::{
    AuditEntry, AuditMark, ExternalDnsVersion, Fleet, Port, apply, external_dns, fixtures, http_get, stays, wait_until,
};
use serde_json::json;
use tokio::{task::JoinHandle, time::Instant};
use tokio_util::sync::CancellationToken;

const NAMESPACE: &str = "federation-system";
const SOON: Duration = Duration::from_secs(60);

fn decide(_: &str, _: &PolicyRef, input: &DecisionInput) -> Result<DecisionOutput, PolicyFailure> {
    let subject = &input.subject;
    let fqdn = format!("{}.{}.{}.svc.{}", subject.service, subject.namespace, subject.federation, subject.domain);
    // A cluster that is out of reach offers its last known addresses for a while.
    let offering = (0..).zip(&input.clusters).filter(|(_, cluster)| !cluster.addresses.is_empty());
    Ok(DecisionOutput {
        names: vec![Name { fqdn, place: Place::Everywhere, fallback: Fallback::Nothing }],
        decisions: vec![Decision {
            answer: Answer::Clusters(offering.map(|(number, _)| number).collect()),
            because: String::new(),
            recheck_after_seconds: None,
        }],
        ttls: vec![180],
        recheck_after_seconds: None,
    })
}

struct Replica {
    task: JoinHandle<Result<(), ControllerError>>,
    stop: CancellationToken,
    address: SocketAddr,
    _port: Port,
}

impl Replica {
    fn start(fleet: &Fleet, name: &str) -> Result<Self> {
        let port = Port::take()?;
        let options = Options {
            health_address: Some(port.address()),
            metrics_address: Some(port.address()),
            leader: LeaderOptions {
                identity: Some(name.to_owned()),
                // Longer than anybody here waits: who leads next was handed the lease.
                lease_duration: Duration::from_secs(900),
                ..LeaderOptions::default()
            },
            members: mcsdns_controller::options::MemberOptions {
                probe: ProbeOptions {
                    interval: Duration::from_secs(1),
                    timeout: Duration::from_secs(2),
                    failures: 3,
                    over: Duration::from_secs(3),
                },
            },
            ..options(fleet)?
        };
        let policies = PolicyRef { id: "test".into(), title: "one name".into(), needs: Needs::default() };
        let parts = Parts {
            decider: Arc::new(decide),
            policies,
            digest: "none".to_owned(),
            resolver: Arc::new(HostTable::default()),
            domains: None,
        };
        let stop = CancellationToken::new();
        let task = tokio::spawn(mcsdns_controller::run(options, parts, stop.clone()));
        Ok(Self { task, stop, address: port.address(), _port: port })
    }

    async fn metric(&self, line: &str) -> Result<()> {
        let text = http_get(self.address, "/metrics").await?.body;
        ensure!(text.lines().any(|found| found == line), "no {line} in {text}");
        Ok(())
    }

    async fn leads(&self, leads: bool) -> Result<()> {
        let line = format!("mcsdns_leader {}", i32::from(leads));
        wait_until(SOON, &line, async || self.metric(&line).await).await
    }

    async fn end(self) -> Result<()> {
        self.stop.cancel();
        self.task.await?.context("the controller failed")
    }
}

fn options(fleet: &Fleet) -> Result<Options> {
    let host = fleet.cluster("host")?;
    Ok(Options { kubeconfig: Some(host.admin_kubeconfig()), ..Options::default() })
}

/// A host that knows all kinds, two members, a Domain and a record that both serve.
async fn prepare() -> Result<Fleet> {
    let fleet = Fleet::start(&["host", "c1", "c2"]).await?;
    let host = fleet.cluster("host")?;
    external_dns::install_crd(host, ExternalDnsVersion::V0_21).await?;
    apply(host, &mcsdns_api::crd::crds_yaml(false)?).await?;
    for name in ["domains", "memberclusters", "servicednsrecords"] {
        mcsdns_testbed::wait_for_crd(host, &format!("{name}.multiclusterdns.federation.k8s.io")).await?;
    }
    let admin = host.client_admin().await?;
    fixtures::namespace(&admin, NAMESPACE).await?;
    fixtures::namespace(&admin, "test").await?;
    for (name, address) in [("c1", "192.0.2.1"), ("c2", "192.0.2.2")] {
        let member = fleet.cluster(name)?;
        let client = member.client_admin().await?;
        fixtures::node(&client, "node", name, &format!("{name}-a")).await?;
        fixtures::served(&client, "test", "nginx", &[address], 1).await?;
        let kubeconfig = serde_json::to_string(&member.kubeconfig(member.admin_token()))?;
        let manifests = format!(
            "apiVersion: v1
kind: Secret
metadata: {{name: {name}, namespace: {NAMESPACE}}}
stringData: {{kubeconfig: {kubeconfig}}}
---
apiVersion: multiclusterdns.federation.k8s.io/v1alpha1
kind: MemberCluster
metadata: {{name: {name}, namespace: {NAMESPACE}}}
spec: {{kubeconfigSecretRef: {{name: {name}}}}}
"
        );
        apply(host, &manifests).await?;
    }
    apply(
        host,
        &format!(
            "apiVersion: multiclusterdns.federation.k8s.io/v1alpha1
kind: Domain
metadata: {{name: galactic, namespace: {NAMESPACE}}}
domain: example.com
---
apiVersion: multiclusterdns.federation.k8s.io/v1alpha1
kind: ServiceDNSRecord
metadata: {{name: nginx, namespace: test}}
spec: {{domainRef: galactic}}
"
        ),
    )
    .await?;
    Ok(fleet)
}

struct Seen {
    client: Client,
}

impl Seen {
    fn endpoints(&self) -> Api<DynamicObject> {
        Api::namespaced_with(self.client.clone(), "test", &EndpointGroup::ExternalDns.api_resource())
    }

    /// Objects of a kind of ours.
    fn ours(&self, namespace: &str, kind: &str) -> Api<DynamicObject> {
        let resource = kube::api::ApiResource {
            group: mcsdns_api::GROUP.to_owned(),
            version: mcsdns_api::VERSION.to_owned(),
            api_version: mcsdns_api::API_VERSION.to_owned(),
            kind: kind.to_owned(),
            plural: format!("{}s", kind.to_lowercase()),
        };
        Api::namespaced_with(self.client.clone(), namespace, &resource)
    }

    /// Waits until the condition `Ready` of a member cluster has this status and says this, among other things.
    async fn member(&self, name: &str, status: &str, words: &str) -> Result<()> {
        wait_until(SOON, &format!("{name} to be Ready={status}"), async || {
            let member = self.ours(NAMESPACE, "MemberCluster").get(name).await?;
            let conditions = member.data.pointer("/status/conditions").and_then(|found| found.as_array().cloned());
            let ready = conditions.unwrap_or_default().into_iter().find(|found| found["type"] == "Ready");
            let ready = ready.context("no condition Ready")?;
            let message = ready["message"].as_str().unwrap_or_default();
            ensure!(ready["status"] == status && message.contains(words), "{ready}");
            Ok(())
        })
        .await
    }

    /// Waits until the DNSEndpoint says exactly this.
    async fn published(&self, addresses: &[&str]) -> Result<()> {
        wait_until(SOON, &format!("{addresses:?} to be published"), async || {
            let object = self.endpoints().get("service-nginx").await?;
            let found = object.data.pointer("/spec/endpoints").cloned().unwrap_or_default();
            let wanted = json!([{
                "dnsName": "nginx.test.galactic.svc.example.com", "recordType": "A", "recordTTL": 180, "targets": addresses,
            }]);
            ensure!(found == wanted, "{found}");
            Ok(())
        })
        .await
    }
}

/// Writes of the controllers, without the renewals of the lease.
async fn writes(fleet: &Fleet, mark: AuditMark) -> Result<Vec<AuditEntry>> {
    let mut writes = fleet.cluster("host")?.writes_since(mark, "mcsdns/").await?;
    writes.retain(|write| write.resource != "leases" && write.resource != "events");
    Ok(writes)
}

#[tokio::test(flavor = "multi_thread")]
async fn two_replicas_publish_repair_hand_over_and_withdraw() -> Result<()> {
    let fleet = prepare().await?;
    let host = fleet.cluster("host")?;
    let seen = Seen { client: host.client_admin().await? };
    let first = Replica::start(&fleet, "first")?;
    seen.published(&["192.0.2.1", "192.0.2.2"]).await?;
    first.leads(true).await?;
    assert_eq!(http_get(first.address, "/readyz").await?.status, 200);
    assert_eq!(http_get(first.address, "/livez").await?.status, 200);
    wait_until(SOON, "the members in the metrics", async || {
        first.metric("mcsdns_members{state=\"reachable\"} 2").await
    })
    .await?;
    wait_until(SOON, "the record in the metrics", async || {
        first.metric("mcsdns_records{condition=\"Programmed\",status=\"True\"} 1").await
    })
    .await?;

    // What is written is seen by the controller, so it says it once; then all is quiet, also with a second replica.
    let second = Replica::start(&fleet, "second")?;
    second.leads(false).await?;
    wait_until(SOON, "the second replica to be ready", async || {
        ensure!(http_get(second.address, "/readyz").await?.status == 200, "not ready");
        Ok(())
    })
    .await?;
    calm(&fleet).await?;

    // Events say what happened, to the record.
    let events: Api<Event> = Api::namespaced(seen.client.clone(), "test");
    wait_until(SOON, "an Event", async || {
        let list = events.list(&ListParams::default()).await?;
        let about = |event: &Event| event.regarding.as_ref().and_then(|regarding| regarding.kind.clone());
        ensure!(list.iter().any(|event| about(event).as_deref() == Some("ServiceDNSRecord")), "{list:?}");
        Ok(())
    })
    .await?;

    // Edited and deleted by hand: repaired.
    let edit = json!({"spec": {"endpoints": []}});
    let by_hand = PatchParams { field_manager: Some("kubectl-edit".to_owned()), ..PatchParams::default() };
    seen.endpoints().patch("service-nginx", &by_hand, &Patch::Merge(&edit)).await?;
    seen.published(&["192.0.2.1", "192.0.2.2"]).await?;
    seen.endpoints().delete("service-nginx", &DeleteParams::default()).await?;
    seen.published(&["192.0.2.1", "192.0.2.2"]).await?;

    // A frozen member holds up nobody: the other's change is published, and its own addresses stay.
    fleet.cluster("c2")?.pause()?;
    let c1 = fleet.cluster("c1")?.client_admin().await?;
    let begun = Instant::now();
    fixtures::ingress_of(&c1, "test", "nginx", &["192.0.2.11"]).await?;
    seen.published(&["192.0.2.2", "192.0.2.11"]).await?;
    println!("a change beside a frozen member took {:?}", begun.elapsed());
    wait_until(SOON, "the frozen member to count as away", async || {
        first.metric("mcsdns_members{state=\"unreachable\"} 1").await
    })
    .await?;
    seen.published(&["192.0.2.2", "192.0.2.11"]).await?;
    fleet.cluster("c2")?.resume()?;
    wait_until(SOON, "it to be back", async || first.metric("mcsdns_members{state=\"reachable\"} 2").await).await?;

    spoiled(&fleet, &seen).await?;

    // The leader ends in order: the other leads at once, and finds nothing to do.
    calm(&fleet).await?;
    let mark = host.audit_mark().await?;
    first.end().await?;
    second.leads(true).await?;
    calm(&fleet).await?;
    assert_eq!(writes(&fleet, mark).await?, []);
    fixtures::ingress_of(&c1, "test", "nginx", &["192.0.2.12"]).await?;
    seen.published(&["192.0.2.2", "192.0.2.12"]).await?;

    explained(&fleet).await?;

    // The host restarts: the controller finds its way back.
    host.kill()?;
    let services: Api<Service> = Api::namespaced(c1.clone(), "test");
    services.delete("nginx", &DeleteParams::default()).await?;
    host.start_again().await?;
    seen.published(&["192.0.2.2"]).await?;

    // The record goes, and what it published with it; there is no garbage collector here.
    let records = seen.ours("test", "ServiceDNSRecord");
    records.delete("nginx", &DeleteParams::default()).await?;
    wait_until(SOON, "the DNSEndpoint to go", async || {
        ensure!(seen.endpoints().get_opt("service-nginx").await?.is_none(), "still there");
        Ok(())
    })
    .await?;
    second.end().await?;
    let leases: Api<Lease> = Api::namespaced(seen.client.clone(), NAMESPACE);
    let lease = leases.get(mcsdns_controller::options::LEASE).await?;
    assert_eq!(lease.spec.and_then(|spec| spec.holder_identity), None, "the lease is given up at the end");
    Ok(())
}

/// Waits until nothing is written any more, and sees that it stays so.
async fn calm(fleet: &Fleet) -> Result<()> {
    let host = fleet.cluster("host")?;
    wait_until(SOON, "calm", async || {
        let mark = host.audit_mark().await?;
        stays(Duration::from_secs(3), "calm", async || Ok(())).await?;
        let written = writes(fleet, mark).await?;
        ensure!(written.is_empty(), "{written:?}");
        Ok(())
    })
    .await
}

/// A bad edit of a kubeconfig says so, and changes nothing else: the member is watched on.
async fn spoiled(fleet: &Fleet, seen: &Seen) -> Result<()> {
    let c2 = fleet.cluster("c2")?;
    let secrets: Api<Secret> = Api::namespaced(seen.client.clone(), NAMESPACE);
    let edit = async |kubeconfig: &str| {
        let edit = json!({"stringData": {"kubeconfig": kubeconfig}});
        secrets.patch("c2", &PatchParams::default(), &Patch::Merge(&edit)).await
    };
    edit("nonsense: [").await?;
    seen.member("c2", "False", "Secret federation-system/c2").await?;
    let events: Api<Event> = Api::namespaced(seen.client.clone(), NAMESPACE);
    wait_until(SOON, "an Event", async || {
        let list = events.list(&ListParams::default()).await?;
        let says = |event: &Event| event.note.as_deref().is_some_and(|note| note.contains("federation-system/c2"));
        ensure!(list.iter().any(says), "{list:?}");
        Ok(())
    })
    .await?;
    let client = c2.client_admin().await?;
    fixtures::ingress_of(&client, "test", "nginx", &["192.0.2.22"]).await?;
    seen.published(&["192.0.2.11", "192.0.2.22"]).await?;
    edit(&c2.kubeconfig(c2.admin_token())).await?;
    seen.member("c2", "True", "").await?;
    fixtures::ingress_of(&client, "test", "nginx", &["192.0.2.2"]).await?;
    seen.published(&["192.0.2.2", "192.0.2.11"]).await
}

/// What `explain` tells of a cluster.
async fn explained(fleet: &Fleet) -> Result<()> {
    let live = live::Live::connect(&options(fleet)?).await?;
    let key = ObjectKey::new("test", "nginx");
    wait_until(SOON, "the status to say what is published", async || {
        let explanation = live.read(&key).await?.explain();
        let clusters: BTreeMap<_, _> =
            explanation.clusters.iter().map(|cluster| (&*cluster.name, cluster.state)).collect();
        ensure!(clusters == [("c1", ClusterState::Serving), ("c2", ClusterState::Serving)].into(), "{explanation:?}");
        ensure!(explanation.names.len() == 1 && explanation.advice.is_empty(), "{explanation:?}");
        ensure!(explanation.names[0].answer == "A 192.0.2.2, 192.0.2.12", "{explanation:?}");
        Ok(())
    })
    .await?;
    let error = live.read(&ObjectKey::new("test", "nobody")).await.unwrap_err();
    assert_eq!(error.reason(), "NoSuchRecord");
    Ok(())
}
