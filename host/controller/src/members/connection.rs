//! One connection to one member: a probe and three watches, for as long as the credentials stay the same.

use std::sync::Arc;

use jiff::Timestamp;
use kube::{Client, Config};
use mcsdns_core::{
    facts::{ClusterFact, Reach},
    ids::ClusterName,
};
use tokio::{
    sync::watch,
    task::JoinSet,
    time::{Instant, MissedTickBehavior, interval_at},
};
use tokio_util::sync::CancellationToken;

use super::{
    Surroundings,
    probe::{self, News, Standing, State},
    tell, unreachable, watches,
};
use crate::{connect::connect, metrics::Metrics, trouble::Kind};

/// Watches the member until cancelled. When this returns, nothing of it is told any more.
pub(crate) async fn serve(
    name: &ClusterName,
    config: Config,
    server: &str,
    around: &Arc<Surroundings>,
    cancel: &CancellationToken,
) {
    // The probe has a client of its own: whatever the watches do to theirs, it asks afresh.
    let clients = connect(config.clone(), &around.requests).and_then(|a| Ok((a, connect(config, &around.requests)?)));
    let (client, asking) = match clients {
        Ok(clients) => clients,
        Err(error) => {
            let message = format!("cluster {name}: {error}");
            tell(name, ClusterFact::Reach(unreachable("KubeconfigInvalid", message)), around).await;
            return cancel.cancelled().await;
        }
    };
    // What failed with other credentials says nothing about these.
    for resource in watches::RESOURCES {
        tell(name, ClusterFact::WatchFailed { resource, message: None }, around).await;
    }
    let (restart, restarts) = watch::channel(0);
    let mut tasks = JoinSet::new();
    watches::start(&mut tasks, name, &client, &restarts, around, cancel);
    cancel.run_until_cancelled(look(name, &asking, server, restart, around)).await;
    // Also when this future is dropped half-way, the set takes its tasks with it.
    while tasks.join_next().await.is_some() {}
}

/// Probes for ever.
async fn look(name: &ClusterName, client: &Client, server: &str, restart: watch::Sender<u64>, around: &Surroundings) {
    let options = around.members.probe;
    let mut standing = Standing::new(options);
    let mut shown = Shown::new(&around.metrics);
    let mut version: Option<Arc<str>> = None;
    let mut tells_version = true;
    let mut ticks = interval_at(Instant::now(), options.interval);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let outcome = probe::ask(client, options.timeout).await;
        let news = standing.note(&outcome, server, (Instant::now(), Timestamp::now()));
        shown.state(standing.state());
        match news {
            Some(News::Back { missed }) => {
                tracing::info!(cluster = %name, "reachable");
                if missed {
                    restart.send_modify(|count| *count += 1);
                }
                // It may have been upgraded while it was away.
                (version, tells_version) = ask_version(client, options.timeout).await;
                tell(name, ClusterFact::Reach(Reach::Reachable { version: version.clone() }), around).await;
            }
            Some(News::Away(reach)) => {
                if let Reach::Unreachable { reason, message, .. } = &reach {
                    tracing::warn!(cluster = %name, reason, "unreachable: {message}");
                }
                tell(name, ClusterFact::Reach(reach), around).await;
            }
            None if outcome.is_ok() && version.is_none() && tells_version => {
                (version, tells_version) = ask_version(client, options.timeout).await;
                if version.is_some() {
                    tell(name, ClusterFact::Reach(Reach::Reachable { version: version.clone() }), around).await;
                }
            }
            None => {}
        }
    }
}

/// The version, and whether it is worth asking again.
async fn ask_version(client: &Client, limit: std::time::Duration) -> (Option<Arc<str>>, bool) {
    match probe::version(client, limit).await {
        Ok(version) => (Some(version.into()), false),
        Err(trouble) => (None, !matches!(trouble.kind, Kind::Forbidden | Kind::NotFound | Kind::Garbage)),
    }
}

/// The state of one member in the metrics, for as long as it is there.
struct Shown<'a> {
    metrics: &'a Metrics,
    label: &'static str,
}

impl<'a> Shown<'a> {
    fn new(metrics: &'a Metrics) -> Self {
        let label = "unknown";
        metrics.member_moved(None, Some(label));
        Self { metrics, label }
    }

    fn state(&mut self, state: State) {
        let label = match state {
            State::Unknown => "unknown",
            State::Reachable => "reachable",
            State::Unreachable(Kind::Unauthorized) => "unauthorized",
            State::Unreachable(_) => "unreachable",
        };
        if label != self.label {
            self.metrics.member_moved(Some(self.label), Some(label));
            self.label = label;
        }
    }
}

impl Drop for Shown<'_> {
    fn drop(&mut self) {
        self.metrics.member_moved(Some(self.label), None);
    }
}
