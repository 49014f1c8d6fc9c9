//! Watches of a real API server.

use std::sync::Arc;

use anyhow::Result;
use k8s_openapi::api::core::v1::Service;
use kube::{
    Api, Client,
    api::{DeleteParams, Patch, PatchParams},
};
use mcsdns_core::{
    facts::{Change, ClusterFact, Fact},
    ids::{ClusterName, ObjectKey},
};
use mcsdns_testbed::{ControlPlane, Fleet, apply, fixtures};
use serde_json::json;
use tokio::{
    sync::{mpsc, watch},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

use super::{Facts, admin, client, impatient};
use crate::{
    members::{Surroundings, watches},
    metrics::Metrics,
    options::MemberOptions,
};

/// The three watches of a member.
struct Watching {
    facts: Facts,
    restart: watch::Sender<u64>,
    metrics: Arc<Metrics>,
    cancel: CancellationToken,
    tasks: JoinSet<()>,
}

impl Watching {
    fn start(client: &Client) -> Result<Self> {
        let (facts_tx, receiver) = mpsc::channel(1024);
        let metrics = Arc::new(Metrics::new("test", "test"));
        let around = Surroundings {
            namespace: "default".to_owned(),
            host: kube::Config::new("https://127.0.0.1:1".parse()?),
            client: client.clone(),
            restarts: watch::channel(0).1,
            members: MemberOptions::default(),
            requests: impatient(),
            facts: facts_tx,
            metrics: Arc::clone(&metrics),
        };
        let (restart, restarts) = watch::channel(0);
        let (mut tasks, cancel) = (JoinSet::new(), CancellationToken::new());
        watches::start(&mut tasks, &ClusterName::new("c1"), client, &restarts, &around, &cancel);
        Ok(Self { facts: Facts::new(receiver), restart, metrics, cancel, tasks })
    }

    async fn service(&mut self, what: &str) -> Result<Change<ObjectKey, bool>> {
        self.facts
            .next(what, |fact| match fact {
                Fact::Cluster(_, ClusterFact::Service(change)) => Some(match change {
                    Change::Apply(key, service) => Change::Apply(key.clone(), balances(service)),
                    Change::Delete(key) => Change::Delete(key.clone()),
                    Change::Reset(all) => {
                        Change::Reset(all.iter().map(|(key, service)| (key.clone(), balances(service))).collect())
                    }
                }),
                _ => None,
            })
            .await
    }

    async fn failed(&mut self, wanted: &str) -> Result<Option<String>> {
        self.facts
            .next("the standing of a watch", |fact| match fact {
                Fact::Cluster(_, ClusterFact::WatchFailed { resource, message }) if *resource == wanted => {
                    Some(message.clone())
                }
                _ => None,
            })
            .await
    }
}

fn balances(service: &Result<mcsdns_core::facts::Service, mcsdns_core::facts::Malformed>) -> bool {
    service.as_ref().is_ok_and(|service| service.load_balancer)
}

fn key(name: &str) -> ObjectKey {
    ObjectKey::new("default", name)
}

async fn delete(cluster: &ControlPlane, name: &str) -> Result<()> {
    let services: Api<Service> = Api::namespaced(cluster.client_admin().await?, "default");
    services.delete(name, &DeleteParams::default()).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_arrive_through_restarts_of_the_server() -> Result<()> {
    let fleet = Fleet::start(&["c1"]).await?;
    let c1 = fleet.cluster("c1")?;
    let writing = c1.client_admin().await?;
    let services: Api<Service> = Api::namespaced(writing.clone(), "default");
    fixtures::load_balancer(&writing, "default", "a", &["192.0.2.1"]).await?;
    fixtures::load_balancer(&writing, "default", "b", &["192.0.2.2"]).await?;

    // Pages of one object: the list is still one.
    let mut watching = Watching::start(&admin(c1).await?)?;
    let first = watching.service("the list").await?;
    assert_eq!(first, Change::Reset(vec![(key("a"), true), (key("b"), true)]), "the default Service is no concern");

    // A Service that is no load balancer any more is gone.
    let type_away = json!({"spec": {"type": "ClusterIP"}});
    services.patch("b", &PatchParams::default(), &Patch::Merge(&type_away)).await?;
    assert_eq!(watching.service("the end of b").await?, Change::Delete(key("b")));

    // The server restarts: what happens afterwards arrives, whether the watch was resumed or begun anew.
    c1.kill()?;
    c1.start_again().await?;
    fixtures::load_balancer(&writing, "default", "c", &["192.0.2.3"]).await?;
    loop {
        match watching.service("c").await? {
            Change::Apply(key, _) if *key.name == *"c" => break,
            Change::Reset(all) if all.iter().any(|(key, _)| *key.name == *"c") => break,
            _ => {}
        }
    }

    // A relist tells exactly what there is.
    delete(c1, "a").await?;
    loop {
        if watching.service("the end of a").await? == Change::Delete(key("a")) {
            break;
        }
    }
    watching.restart.send_modify(|count| *count += 1);
    loop {
        if let Change::Reset(all) = watching.service("the relist").await? {
            assert_eq!(all, [(key("c"), true)]);
            break;
        }
    }
    watching.cancel.cancel();
    while watching.tasks.join_next().await.is_some() {}
    assert!(watching.metrics.text().contains("mcsdns_watch_starts_total{side=\"member\",resource=\"services\"}"));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_forbidden_is_said_and_waited_for() -> Result<()> {
    let fleet = Fleet::start(&["c1"]).await?;
    let c1 = fleet.cluster("c1")?;
    fixtures::service_account(&c1.client_admin().await?, "default", "reader").await?;
    let rights = |resources: &str| {
        format!(
            "apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {{name: reader}}
rules:
- {{apiGroups: [\"\", discovery.k8s.io], resources: {resources}, verbs: [list, watch]}}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {{name: reader}}
roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: reader}}
subjects: [{{kind: ServiceAccount, name: reader, namespace: default}}]
"
        )
    };
    apply(c1, &rights("[nodes, endpointslices]")).await?;
    let token = c1.token_for("default", "reader").await?;
    let mut watching = Watching::start(&client(c1, &token).await?)?;
    let message = watching.failed("services").await?.unwrap();
    assert!(message.contains("services is forbidden"), "{message}");
    assert!(message.contains("deploy/member"), "{message}");

    // Granted: it is read without a restart, and the words are taken back.
    apply(c1, &rights("[nodes, endpointslices, services]")).await?;
    assert!(matches!(watching.service("the list").await?, Change::Reset(_)));
    while watching.failed("services").await?.is_some() {}
    Ok(())
}
