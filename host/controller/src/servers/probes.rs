//! Members that come and go, as the Index hears of them.

use std::{sync::Arc, time::Duration};

use anyhow::Result;
use k8s_openapi::{ByteString, api::core::v1::Secret};
use kube::{
    Api, Client, Config,
    api::{DeleteParams, ObjectMeta, Patch, PatchParams},
    config::{KubeConfigOptions, Kubeconfig},
};
use mcsdns_api::convert::Connection;
use mcsdns_core::{
    facts::{Change, ClusterFact, Fact, Reach},
    ids::ClusterName,
};
use mcsdns_testbed::{Fleet, fixtures};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::{Facts, SOON, admin, impatient};
use crate::{
    host::Wanted,
    members::{Surroundings, connection, tend, watches},
    metrics::Metrics,
    options::{MemberOptions, ProbeOptions},
};

const NAMESPACE: &str = "default";

fn quick() -> MemberOptions {
    MemberOptions {
        probe: ProbeOptions {
            interval: Duration::from_millis(500),
            timeout: Duration::from_secs(2),
            failures: 3,
            over: Duration::from_secs(2),
        },
    }
}

struct Bench {
    fleet: Fleet,
    admin: Client,
    wanted: watch::Sender<crate::host::Fleet>,
    facts: Facts,
    metrics: Arc<Metrics>,
    cancel: CancellationToken,
}

impl Bench {
    async fn start() -> Result<Self> {
        let fleet = Fleet::start(&["host", "c1"]).await?;
        let host = fleet.cluster("host")?;
        let admin = admin(host).await?;
        let (facts_tx, facts) = mpsc::channel(1024);
        let metrics = Arc::new(Metrics::new("test", "test"));
        let around = Surroundings {
            namespace: NAMESPACE.to_owned(),
            host: kube::Config::new("https://127.0.0.1:1".parse()?),
            client: admin.clone(),
            restarts: watch::channel(0).1,
            members: quick(),
            requests: impatient(),
            facts: facts_tx,
            metrics: Arc::clone(&metrics),
        };
        let (wanted, receiver) = watch::channel(crate::host::Fleet::new());
        let cancel = CancellationToken::new();
        tokio::spawn(tend(receiver, Arc::new(around), cancel.clone()));
        Ok(Self { fleet, admin, wanted, facts: Facts::new(facts), metrics, cancel })
    }

    fn want(&self, uid: &str) {
        let connection = Ok(Connection::Secret { name: "c1".into(), key: None, allow_insecure: false });
        let wanted = Wanted { uid: uid.into(), connection };
        self.wanted.send_replace([(ClusterName::new("c1"), wanted)].into());
    }

    async fn secret(&self, kubeconfig: &str) -> Result<()> {
        let secret = Secret {
            metadata: ObjectMeta { name: Some("c1".to_owned()), ..ObjectMeta::default() },
            data: Some([("kubeconfig".to_owned(), ByteString(kubeconfig.as_bytes().to_vec()))].into()),
            ..Secret::default()
        };
        let api: Api<Secret> = Api::namespaced(self.admin.clone(), NAMESPACE);
        api.patch("c1", &PatchParams::apply("test").force(), &Patch::Apply(&secret)).await?;
        Ok(())
    }

    async fn reach(&mut self) -> Result<Reach> {
        self.facts
            .next("news of the reach", |fact| match fact {
                Fact::Cluster(_, ClusterFact::Reach(reach)) => Some(reach.clone()),
                _ => None,
            })
            .await
    }

    /// What is said of the Secret beside the connection.
    async fn complaint(&mut self) -> Result<Option<String>> {
        self.facts
            .next("news of the Secret", |fact| match fact {
                Fact::Cluster(_, ClusterFact::WatchFailed { resource: watches::SECRET, message }) => {
                    Some(message.clone())
                }
                _ => None,
            })
            .await
    }

    /// Waits until a new Service of the member has been told.
    async fn sees_a_change(&mut self, number: usize) -> Result<()> {
        let name = format!("service-{number}");
        let admin = self.fleet.cluster("c1")?.client_admin().await?;
        fixtures::load_balancer(&admin, "default", &name, &["192.0.2.1"]).await?;
        self.facts
            .next("the new service", |fact| match fact {
                Fact::Cluster(_, ClusterFact::Service(Change::Apply(key, _))) if *key.name == *name => Some(()),
                _ => None,
            })
            .await
    }

    async fn away(&mut self, wanted: &str) -> Result<String> {
        match self.reach().await? {
            Reach::Unreachable { reason, message, .. } if reason == wanted => Ok(message),
            other => anyhow::bail!("expected {wanted}, got {other:?}"),
        }
    }

    async fn services(&mut self) -> Result<usize> {
        self.facts
            .next("a list of services", |fact| match fact {
                Fact::Cluster(_, ClusterFact::Service(Change::Reset(all))) => Some(all.len()),
                _ => None,
            })
            .await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_come_change_and_go() -> Result<()> {
    let mut bench = Bench::start().await?;
    let kubeconfig = {
        let c1 = bench.fleet.cluster("c1")?;
        c1.kubeconfig(c1.admin_token())
    };
    bench.want("1");
    let message = bench.away("SecretNotFound").await?;
    assert!(message.contains("Secret default/c1 does not exist"), "{message}");

    bench.secret("nonsense: [").await?;
    let message = bench.away("KubeconfigUnreadable").await?;
    assert!(message.contains("Secret default/c1"), "{message}");

    let exec = kubeconfig.replace("    token: ", "    exec: {command: /bin/true}\n    token: ");
    bench.secret(&exec).await?;
    let Reach::Unreachable { message, .. } = bench.reach().await? else { panic!("exec was accepted") };
    assert!(message.contains("exec"), "{message}");

    bench.secret(&kubeconfig).await?;
    let Reach::Reachable { version: Some(version) } = bench.reach().await? else { panic!("not reachable") };
    assert!(version.starts_with("v1."), "{version}");
    assert_eq!(bench.services().await?, 0);

    // The same content again is no reason to connect anew; a change that only looks different is.
    let c1 = bench.fleet.cluster("c1")?;
    let mark = c1.audit_mark().await?;
    bench.secret(&kubeconfig).await?;
    fixtures::load_balancer(&c1.client_admin().await?, "default", "one", &["192.0.2.1"]).await?;
    bench
        .facts
        .next("the new service", |fact| match fact {
            Fact::Cluster(_, ClusterFact::Service(Change::Apply(key, _))) => Some(key.clone()),
            _ => None,
        })
        .await?;
    let requests = bench.fleet.cluster("c1")?.requests_since(mark).await?;
    let lists = requests.iter().filter(|request| request.is_from("mcsdns/") && request.verb == "list").count();
    assert_eq!(lists, 0, "{requests:?}");
    bench.secret(&format!("{kubeconfig}\n# changed\n")).await?;
    assert_eq!(bench.services().await?, 1);

    let wrong = kubeconfig.replace("    token: ", "    token: x");
    bench.secret(&wrong).await?;
    let message = loop {
        match bench.reach().await? {
            Reach::Unreachable { reason: "Unauthorized", message, .. } => break message,
            Reach::Reachable { .. } => {}
            other => panic!("{other:?}"),
        }
    };
    assert!(message.contains("does not accept the credentials"), "{message}");

    let secrets: Api<Secret> = Api::namespaced(bench.admin.clone(), NAMESPACE);
    secrets.delete("c1", &DeleteParams::default()).await?;
    bench.away("SecretNotFound").await?;
    // Another object of the same name is told everything again.
    bench.want("2");
    bench.away("SecretNotFound").await?;
    bench.cancel.cancel();
    Ok(())
}

/// A typing error, a plugin, a certificate that is none, the Secret gone: the cluster is as well as it was.
#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_used_ends_no_connection_that_works() -> Result<()> {
    let mut bench = Bench::start().await?;
    let kubeconfig = {
        let c1 = bench.fleet.cluster("c1")?;
        c1.kubeconfig(c1.admin_token())
    };
    bench.secret(&kubeconfig).await?;
    bench.want("1");
    assert!(matches!(bench.reach().await?, Reach::Reachable { .. }));
    assert_eq!(bench.services().await?, 0);
    assert_eq!(bench.complaint().await?, None, "of a connection before");
    let mark = bench.fleet.cluster("c1")?.audit_mark().await?;

    let exec = kubeconfig.replace("    token: ", "    exec: {command: /bin/true}\n    token: ");
    let ca = kubeconfig.lines().find(|line| line.contains("certificate-authority-data")).unwrap_or_default();
    let certificate = kubeconfig.replace(ca, "    certificate-authority-data: LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0tCmJtOD0KLS0tLS1FTkQgQ0VSVElGSUNBVEUtLS0tLQo=");
    for (number, (spoiled, word)) in
        [("nonsense: [", "YAML"), ("", ""), (&exec, "exec"), (&certificate, ""), (&kubeconfig, "")]
            .into_iter()
            .enumerate()
    {
        bench.secret(spoiled).await?;
        let complaint = bench.complaint().await?;
        if *spoiled == kubeconfig {
            assert_eq!(complaint, None);
        } else {
            let complaint = complaint.unwrap();
            assert!(complaint.contains("Secret default/c1") && complaint.contains("goes on"), "{complaint}");
            assert!(complaint.contains(word), "{complaint}");
        }
        bench.sees_a_change(number).await?;
    }

    // Whoever leaves deletes the MemberCluster first. A Secret alone is deleted by mistake, or to be made again.
    let secrets: Api<Secret> = Api::namespaced(bench.admin.clone(), NAMESPACE);
    secrets.delete("c1", &DeleteParams::default()).await?;
    let complaint = bench.complaint().await?.unwrap();
    assert!(complaint.contains("Secret default/c1 does not exist"), "{complaint}");
    bench.sees_a_change(10).await?;
    bench.secret(&kubeconfig).await?;
    assert_eq!(bench.complaint().await?, None);
    bench.sees_a_change(11).await?;
    let requests = bench.fleet.cluster("c1")?.requests_since(mark).await?;
    let lists = requests.iter().filter(|request| request.is_from("mcsdns/") && request.verb == "list").count();
    assert_eq!(lists, 0, "one connection all the time: {requests:?}");
    let told = &bench.facts.earlier;
    assert!(!told.iter().any(|fact| matches!(fact, Fact::Cluster(_, ClusterFact::Reach(_)))), "{told:?}");

    // When the cluster goes away meanwhile, both are said; when the Secret is as before, only what is left.
    bench.secret("nonsense: [").await?;
    assert!(bench.complaint().await?.is_some());
    bench.fleet.cluster("c1")?.kill()?;
    let message = bench.away("KubeconfigUnreadable").await?;
    assert!(message.contains("Secret default/c1") && message.contains("does not answer"), "{message}");
    bench.secret(&kubeconfig).await?;
    let message = bench.away("Unreachable").await?;
    assert!(!message.contains("Secret"), "{message}");
    bench.fleet.cluster("c1")?.start_again().await?;
    while !matches!(bench.reach().await?, Reach::Reachable { .. }) {}
    Ok(())
}

/// A pump ends by itself only when nobody takes its facts any more, or by a fault.
#[tokio::test(flavor = "multi_thread")]
async fn a_connection_ends_with_any_of_its_watches() -> Result<()> {
    let fleet = Fleet::start(&["c1"]).await?;
    let c1 = fleet.cluster("c1")?;
    let kubeconfig = Kubeconfig::from_yaml(&c1.kubeconfig(c1.admin_token()))?;
    let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
    let (facts, _) = mpsc::channel(1);
    let around = Surroundings {
        namespace: NAMESPACE.to_owned(),
        host: config.clone(),
        client: admin(c1).await?,
        restarts: watch::channel(0).1,
        members: quick(),
        requests: impatient(),
        facts,
        metrics: Arc::new(Metrics::new("test", "test")),
    };
    let (around, cancel, name) = (Arc::new(around), CancellationToken::new(), ClusterName::new("c1"));
    let serving = connection::serve(&name, config, "c1", watch::channel(None).1, &around, &cancel);
    tokio::time::timeout(SOON, serving).await?;
    assert!(!cancel.is_cancelled());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_freezes_dies_and_returns() -> Result<()> {
    let mut bench = Bench::start().await?;
    let c1 = bench.fleet.cluster("c1")?;
    bench.secret(&c1.kubeconfig(c1.admin_token())).await?;
    bench.want("1");
    assert!(matches!(bench.reach().await?, Reach::Reachable { .. }));
    assert_eq!(bench.services().await?, 0);
    for frozen in [true, false] {
        let c1 = bench.fleet.cluster("c1")?;
        if frozen {
            c1.pause()?;
        } else {
            c1.kill()?;
        }
        bench.away("Unreachable").await?;
        assert!(bench.metrics.text().contains("mcsdns_members{state=\"unreachable\"} 1"));
        let c1 = bench.fleet.cluster("c1")?;
        if frozen {
            c1.resume()?;
        } else {
            c1.start_again().await?;
        }
        // A server that is starting may first answer that it is not ready.
        while !matches!(bench.reach().await?, Reach::Reachable { .. }) {}
        assert!(bench.metrics.text().contains("mcsdns_members{state=\"reachable\"} 1"));
        // Whatever happened meanwhile is read as a whole.
        bench.services().await?;
    }
    // Removed: nothing of it is left.
    bench.wanted.send_replace(crate::host::Fleet::new());
    mcsdns_testbed::wait_until(super::SOON, "the member to go", async || {
        let text = bench.metrics.text();
        anyhow::ensure!(text.contains("mcsdns_members{state=\"reachable\"} 0"), "{text}");
        Ok(())
    })
    .await
}
