//! Watches of a real API server.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, Ordering},
};

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
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::{Facts, admin, behind, client, impatient};
use crate::{
    members::{Surroundings, watches},
    metrics::Metrics,
    options::MemberOptions,
    tasks::Tasks,
};

/// The three watches of a member.
struct Watching {
    facts: Facts,
    restart: watch::Sender<u64>,
    metrics: Arc<Metrics>,
    cancel: CancellationToken,
    tasks: Tasks,
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
        let (mut tasks, cancel) = (Tasks::default(), CancellationToken::new());
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
    watching.tasks.finish().await;
    assert!(watching.metrics.text().contains("mcsdns_watch_starts_total{side=\"member\",resource=\"services\"}"));
    Ok(())
}

/// A version that is too old, and one that the server does not understand: etcd was restored, or it is another server.
#[tokio::test(flavor = "multi_thread")]
async fn a_watch_that_may_not_begin_where_its_list_ended_begins_with_another_list() -> Result<()> {
    let fleet = Fleet::start(&["c1"]).await?;
    let c1 = fleet.cluster("c1")?;
    for code in [410, 400] {
        let lists = Arc::new(Mutex::new(Vec::new()));
        let lasts = Arc::new(AtomicBool::new(code == 400));
        let (seen, refuses) = (Arc::clone(&lists), Arc::clone(&lasts));
        let client = behind(admin(c1).await?, move |request| {
            let query = request.uri().query().unwrap_or_default();
            let mut lists = seen.lock().unwrap();
            if !request.uri().path().ends_with("/services") {
                return None;
            }
            if query.contains("watch=") {
                return (lists.len() < 2 || refuses.load(Ordering::Relaxed)).then_some(code);
            }
            lists.push(query.to_owned());
            None
        });
        let mut watching = Watching::start(&client)?;
        for list in ["the first list", "the second"] {
            assert!(matches!(watching.service(list).await?, Change::Reset(_)), "{code}");
        }
        if lasts.load(Ordering::Relaxed) {
            // Lists go on, and yet somebody should look at it.
            let message = watching.failed("services").await?.unwrap();
            assert!(message.contains("said by the test"), "{message}");
            lasts.store(false, Ordering::Relaxed);
            assert_eq!(watching.failed("services").await?, None);
        }
        let name = format!("after-{code}");
        fixtures::load_balancer(&c1.client_admin().await?, "default", &name, &["192.0.2.1"]).await?;
        loop {
            match watching.service("what happens afterwards").await? {
                Change::Apply(key, true) if *key.name == *name => break,
                other => assert!(matches!(&other, Change::Apply(..) | Change::Reset(_)), "{other:?}"),
            }
        }
        let lists = lists.lock().unwrap().clone();
        assert!(lists.iter().all(|query| query.contains("fieldSelector=")), "the selector was not at fault: {lists:?}");
    }
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
