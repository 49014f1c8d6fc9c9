//! Leader election on a real Lease.

use std::time::Duration;

use anyhow::Result;
use k8s_openapi::api::coordination::v1::Lease;
use kube::Api;
use mcsdns_testbed::{Fleet, wait_until};
use tokio::{
    sync::watch,
    task::JoinHandle,
    time::{Instant, timeout},
};
use tokio_util::sync::CancellationToken;

use super::{SOON, client};
use crate::{
    lease::{Election, Term},
    options::LeaderOptions,
};

/// Short, but long enough for a busy machine.
fn options(identity: &str) -> LeaderOptions {
    LeaderOptions {
        identity: Some(identity.to_owned()),
        lease_duration: Duration::from_secs(6),
        renew_deadline: Duration::from_secs(4),
        renew_period: Duration::from_secs(1),
        retry_period: Duration::from_millis(300),
        ..LeaderOptions::default()
    }
}

struct Candidate {
    term: watch::Receiver<Option<Term>>,
    stop: CancellationToken,
    task: JoinHandle<Election>,
}

impl Candidate {
    async fn start(fleet: &Fleet, name: &str) -> Result<Self> {
        Self::start_with(fleet, options(name)).await
    }

    async fn start_with(fleet: &Fleet, options: LeaderOptions) -> Result<Self> {
        let host = fleet.cluster("host")?;
        let client = client(host, host.admin_token()).await?;
        let (sender, term) = watch::channel(None);
        let mut election = Election::new(client, "default", options, sender);
        let stop = CancellationToken::new();
        let running = stop.clone();
        let task = tokio::spawn(async move {
            election.run(&running).await;
            election
        });
        Ok(Self { term, stop, task })
    }

    fn leads(&self) -> bool {
        self.term.borrow().as_ref().is_some_and(|term| term.allows(Duration::from_secs(1)).is_some())
    }

    async fn leading(&mut self) -> Result<()> {
        timeout(SOON, self.term.wait_for(Option::is_some)).await??;
        Ok(())
    }

    async fn end(self) -> Result<Election> {
        self.stop.cancel();
        Ok(self.task.await?)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_leads_and_hands_over() -> Result<()> {
    let fleet = Fleet::start(&["host"]).await?;
    let host = fleet.cluster("host")?;
    // Its lease lasts longer than anybody here waits: who leads next was handed it.
    let long = LeaderOptions { lease_duration: Duration::from_secs(900), ..options("first") };
    let mut first = Candidate::start_with(&fleet, long).await?;
    first.leading().await?;
    let mut second = Candidate::start(&fleet, "second").await?;
    let leases: Api<Lease> = Api::namespaced(host.client_admin().await?, "default");
    let holder = async || {
        let lease = leases.get(crate::options::LEASE).await?;
        anyhow::Ok(lease.spec.and_then(|spec| spec.holder_identity))
    };
    assert_eq!(holder().await?.as_deref(), Some("first"));
    assert!(!second.leads());

    // In order: at once, long before the lease ends.
    first.end().await?.release().await;
    second.leading().await?;
    assert_eq!(holder().await?.as_deref(), Some("second"));

    // Without a word: when the lease ends, and not before. `end` keeps the Lease as it is, as a killed process does.
    let mut third = Candidate::start(&fleet, "third").await?;
    wait_until(SOON, "a renewal", async || {
        anyhow::ensure!(second.leads(), "not leading");
        Ok(())
    })
    .await?;
    let silent = Instant::now();
    let mut dead = second.end().await?;
    third.leading().await?;
    let least = options("x").lease_duration - options("x").renew_period * 2;
    assert!(silent.elapsed() >= least, "{:?}", silent.elapsed());
    assert_eq!(holder().await?.as_deref(), Some("third"));

    // The one that was silent comes back and sees that it lost.
    let stop = CancellationToken::new();
    let waking = stop.clone();
    let task = tokio::spawn(async move { dead.run(&waking).await });
    wait_until(Duration::from_secs(10), "the third to stay the leader", async || {
        assert_eq!(holder().await?.as_deref(), Some("third"));
        anyhow::ensure!(third.leads(), "not leading");
        Ok(())
    })
    .await?;
    stop.cancel();
    task.await?;
    drop(third);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_cannot_renew_stops_before_its_lease_ends() -> Result<()> {
    let fleet = Fleet::start(&["host"]).await?;
    let host = fleet.cluster("host")?;
    for frozen in [false, true] {
        let mut leader = Candidate::start(&fleet, "leader").await?;
        leader.leading().await?;
        let begun = Instant::now();
        if frozen {
            host.pause()?;
        } else {
            host.kill()?;
        }
        timeout(SOON, leader.term.wait_for(Option::is_none)).await??;
        let took = begun.elapsed();
        assert!(took < options("x").lease_duration, "frozen {frozen}: stopped only after {took:?}");
        if frozen {
            host.resume()?;
        } else {
            host.start_again().await?;
        }
        leader.leading().await?;
        leader.end().await?.release().await;
    }
    Ok(())
}
