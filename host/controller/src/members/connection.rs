//! One connection to one member: a probe and three watches, until there are other credentials.

use std::sync::Arc;

use jiff::Timestamp;
use kube::{Client, Config};
use mcsdns_core::{
    facts::{ClusterFact, Reach},
    ids::ClusterName,
};
use tokio::{
    sync::watch,
    time::{Instant, MissedTickBehavior, interval_at},
};
use tokio_util::sync::CancellationToken;

use super::{
    Surroundings,
    probe::{self, News, Standing, State},
    secret::Refusal,
    tell, unreachable, watches,
};
use crate::{connect::connect, metrics::Metrics, tasks::Tasks, trouble::Kind};

/// Watches the member until cancelled, or until one of its tasks ended, which none should. When this returns, nothing of it
/// is told any more. `refusal` tells of credentials that cannot take the place of these.
pub(crate) async fn serve(
    name: &ClusterName,
    config: Config,
    server: &str,
    refusal: watch::Receiver<Option<Refusal>>,
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
    for resource in watches::RESOURCES.into_iter().chain([watches::SECRET]) {
        tell(name, ClusterFact::WatchFailed { resource, message: None }, around).await;
    }
    let (restart, restarts) = watch::channel(0);
    // Also when this future is dropped half-way, the set takes its tasks with it.
    let mut tasks = Tasks::default();
    let until = cancel.child_token();
    watches::start(&mut tasks, name, &client, &restarts, around, &until);
    tokio::select! {
        biased;
        () = cancel.cancelled() => {}
        () = look(name, &asking, server, restart, refusal, around) => {}
        ended = tasks.ended() => {
            tracing::error!(cluster = %name, resource = ended, "the watch of {ended} ended by itself; please report this");
        }
    }
    until.cancel();
    tasks.finish().await;
}

/// Probes for ever.
async fn look(
    name: &ClusterName,
    client: &Client,
    server: &str,
    restart: watch::Sender<u64>,
    mut refusal: watch::Receiver<Option<Refusal>>,
    around: &Surroundings,
) {
    let options = around.members.probe;
    let mut standing = Standing::new(options);
    let mut shown = Shown::new(&around.metrics);
    let mut version: Option<Arc<str>> = None;
    let mut tells_version = true;
    let mut refused: Option<Refusal> = None;
    let mut away: Option<Reach> = None;
    let mut ticks = interval_at(Instant::now(), options.interval);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            Ok(()) = refusal.changed() => {
                refused.clone_from(&refusal.borrow_and_update());
                let message = refused.as_ref().map(|refused| {
                    format!("{}; the connection with what it said before goes on, until mcsdns is restarted", refused.message)
                });
                tell(name, ClusterFact::WatchFailed { resource: watches::SECRET, message }, around).await;
                if let Some(away) = &away {
                    tell(name, ClusterFact::Reach(beside(away, refused.as_ref())), around).await;
                }
                continue;
            }
        }
        let outcome = probe::ask(client, options.timeout).await;
        let news = standing.note(&outcome, server, (Instant::now(), Timestamp::now()));
        shown.state(standing.state());
        match news {
            Some(News::Back { missed }) => {
                tracing::info!(cluster = %name, "reachable");
                away = None;
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
                tell(name, ClusterFact::Reach(beside(&reach, refused.as_ref())), around).await;
                away = Some(reach);
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

/// Why the member is out of reach. What is wrong with credentials that were to replace these comes first: they may be the
/// remedy.
fn beside(away: &Reach, refused: Option<&Refusal>) -> Reach {
    match (away, refused) {
        (Reach::Unreachable { message, since, .. }, Some(refused)) => Reach::Unreachable {
            reason: refused.reason,
            message: format!("{}; and with what it said before, {message}", refused.message),
            since: *since,
        },
        _ => away.clone(),
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
