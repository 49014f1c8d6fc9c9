//! The member clusters: one tree of tasks for each, which shares nothing with any other.
//!
//! A member that hangs, refuses, forbids or talks nonsense has its own clients, pauses and time limits to wear out. Members
//! come, change and go while the controller runs.

pub(crate) mod connection;
pub(crate) mod probe;
pub(crate) mod secret;
pub(crate) mod watches;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use jiff::Timestamp;
use kube::{Client, Config};
use mcsdns_api::convert::Connection;
use mcsdns_core::{
    facts::{ClusterFact, Fact, Reach},
    ids::ClusterName,
};
use mcsdns_runtime::FactSender;
use tokio::{sync::watch, task::JoinHandle, time::sleep};
use tokio_util::sync::CancellationToken;

use self::secret::{Credentials, Refusal};
use crate::{
    host::{Fleet, Wanted},
    metrics::Metrics,
    options::{MemberOptions, RequestOptions},
};

/// What every member needs.
pub(crate) struct Surroundings {
    /// Namespace of the Secrets.
    pub(crate) namespace: String,
    /// How the host cluster is reached, for a member that is the host.
    pub(crate) host: Config,
    /// Reads Secrets in the host cluster.
    pub(crate) client: Client,
    /// Changes when the host cluster is back after an absence.
    pub(crate) restarts: watch::Receiver<u64>,
    pub(crate) members: MemberOptions,
    pub(crate) requests: RequestOptions,
    pub(crate) facts: FactSender,
    pub(crate) metrics: Arc<Metrics>,
}

struct Running {
    wanted: Wanted,
    cancel: CancellationToken,
    task: JoinHandle<()>,
}

impl Running {
    fn start(name: &ClusterName, wanted: Wanted, around: &Arc<Surroundings>) -> Self {
        let cancel = CancellationToken::new();
        let (member, what, around) = (name.clone(), wanted.clone(), Arc::clone(around));
        let begin = move |cancel| run(member.clone(), what.clone(), Arc::clone(&around), cancel);
        let task = tokio::spawn(keep(name.clone(), cancel.clone(), AFTER_A_FAULT, begin));
        Self { wanted, cancel, task }
    }

    /// Returns when nothing of it can be told any more.
    async fn stop(self) {
        self.cancel.cancel();
        let _ = self.task.await;
    }
}

/// Keeps one tree of tasks for each member that is wanted, until cancelled.
pub(crate) async fn tend(mut wanted: watch::Receiver<Fleet>, around: Arc<Surroundings>, cancel: CancellationToken) {
    let mut running: BTreeMap<ClusterName, Running> = BTreeMap::new();
    loop {
        let now = wanted.borrow_and_update().clone();
        let ended: Vec<ClusterName> = running
            .iter()
            .filter(|(name, member)| now.get(*name) != Some(&member.wanted))
            .map(|(name, _)| name.clone())
            .collect();
        // They are asked to end together, so that one that takes its time costs the others nothing.
        for name in &ended {
            if let Some(member) = running.get(name) {
                member.cancel.cancel();
            }
        }
        for name in ended {
            if let Some(member) = running.remove(&name) {
                member.stop().await;
                if !now.contains_key(&name) {
                    tracing::info!(cluster = %name, "no longer a member");
                }
            }
        }
        for (name, wanted) in now {
            running.entry(name.clone()).or_insert_with(|| {
                tracing::info!(cluster = %name, "member cluster");
                Running::start(&name, wanted, &around)
            });
        }
        tokio::select! {
            () = cancel.cancelled() => break,
            changed = wanted.changed() => if changed.is_err() { break },
        }
    }
    for member in running.values() {
        member.cancel.cancel();
    }
    for member in running.into_values() {
        member.stop().await;
    }
}

/// Pause before a member of which a task ended is begun anew. This is a fault of ours, and must not become a busy loop.
const AFTER_A_FAULT: Duration = Duration::from_secs(10);

/// Runs one member for as long as it is wanted; a fault in its task ends that task and nothing else, and it is begun anew.
async fn keep<R>(name: ClusterName, cancel: CancellationToken, pause: Duration, run: impl Fn(CancellationToken) -> R)
where
    R: Future<Output = ()> + Send + 'static,
{
    loop {
        let ended = tokio::spawn(run(cancel.child_token())).await;
        match ended {
            _ if cancel.is_cancelled() => return,
            Ok(()) => tracing::error!(cluster = %name, "a part of the member ended and all of it is begun anew"),
            Err(error) if error.is_panic() => {
                tracing::error!(cluster = %name, "the task of the member failed and is begun anew: {error}");
            }
            // The process ends.
            Err(_) => return,
        }
        if cancel.run_until_cancelled(sleep(pause)).await.is_none() {
            return;
        }
    }
}

/// Returns before it is cancelled only when a part of it ended that should not.
async fn run(name: ClusterName, wanted: Wanted, around: Arc<Surroundings>, cancel: CancellationToken) {
    match wanted.connection {
        Ok(Connection::Host) => {
            let config = around.host.clone();
            let (_, refusal) = watch::channel(None);
            connection::serve(&name, config, "the host cluster", refusal, &around, &cancel).await;
        }
        Ok(Connection::Secret { name: secret, key, allow_insecure }) => {
            let (credentials, receiver) = watch::channel(Credentials::Unread);
            // Whichever ends first takes the other along.
            let until = cancel.child_token();
            let reading = async {
                secret::read(secret, key, allow_insecure, credentials, &around, &until).await;
                until.cancel();
            };
            let following = async {
                follow(&name, receiver, &around, &until).await;
                until.cancel();
            };
            tokio::join!(reading, following);
        }
        Err(malformed) => {
            let reach = unreachable("InvalidSpec", format!("MemberCluster {name}: {}", malformed.message));
            tell(&name, ClusterFact::Reach(reach), &around).await;
            cancel.cancelled().await;
        }
    }
}

/// Connects with the credentials of the moment; a connection ends only when there are others that can be used.
async fn follow(
    name: &ClusterName,
    mut credentials: watch::Receiver<Credentials>,
    around: &Arc<Surroundings>,
    cancel: &CancellationToken,
) {
    loop {
        let now = credentials.borrow_and_update().clone();
        match now {
            Credentials::Unread => {}
            Credentials::Refused(Refusal { reason, message }) => {
                tracing::warn!(cluster = %name, reason, "{message}");
                tell(name, ClusterFact::Reach(unreachable(reason, message)), around).await;
            }
            Credentials::Usable { digest, config, server } => {
                let (refusals, refusal) = watch::channel(None);
                let until = cancel.child_token();
                let serve = connection::serve(name, *config, &server, refusal, around, &until);
                tokio::pin!(serve);
                tokio::select! {
                    () = &mut serve => return,
                    () = replaced(name, &mut credentials, digest, &refusals) => {}
                }
                tracing::info!(cluster = %name, "the credentials changed; connecting anew");
                until.cancel();
                serve.await;
                continue;
            }
        }
        let changed = async {
            if credentials.changed().await.is_err() {
                std::future::pending().await
            }
        };
        if cancel.run_until_cancelled(changed).await.is_none() {
            return;
        }
    }
}

/// Resolves when there are credentials that can take the place of those `in_use`. A bad object changes nothing that is
/// published: what cannot be used is said, and ends no connection.
async fn replaced(
    name: &ClusterName,
    credentials: &mut watch::Receiver<Credentials>,
    in_use: [u8; 32],
    refusals: &watch::Sender<Option<Refusal>>,
) {
    while credentials.changed().await.is_ok() {
        let now = credentials.borrow_and_update().clone();
        match now {
            Credentials::Unread => {}
            Credentials::Refused(refusal) => {
                let Refusal { reason, message } = &refusal;
                tracing::warn!(cluster = %name, reason, "{message}; the connection with what it said before goes on");
                refusals.send_replace(Some(refusal));
            }
            Credentials::Usable { digest, .. } if digest == in_use => {
                tracing::info!(cluster = %name, "the credentials are again those in use");
                refusals.send_replace(None);
            }
            Credentials::Usable { .. } => return,
        }
    }
    std::future::pending().await
}

/// It cannot even be asked.
pub(crate) fn unreachable(reason: &'static str, message: String) -> Reach {
    Reach::Unreachable { reason, message, since: Timestamp::now() }
}

/// Tells the Index something about a member.
pub(crate) async fn tell(name: &ClusterName, fact: ClusterFact, around: &Surroundings) {
    // Nobody listens any more when the loop has ended, and then this ends too.
    let _ = around.facts.send(vec![Fact::Cluster(name.clone(), fact)]).await;
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[tokio::test]
    async fn a_member_that_ends_or_fails_is_begun_anew() {
        let (cancel, begun) = (CancellationToken::new(), Arc::new(AtomicUsize::new(0)));
        let stop = cancel.clone();
        let counted = Arc::clone(&begun);
        let run = move |_| {
            let (begun, stop) = (Arc::clone(&counted), stop.clone());
            async move {
                match begun.fetch_add(1, Ordering::Relaxed) {
                    0 => panic!("on purpose"),
                    1 => {}
                    _ => stop.cancel(),
                }
            }
        };
        let kept = keep(ClusterName::new("c1"), cancel, Duration::from_millis(1), run);
        tokio::time::timeout(Duration::from_secs(60), kept).await.unwrap();
        assert_eq!(begun.load(Ordering::Relaxed), 3);
    }
}
