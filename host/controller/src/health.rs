//! `/livez`, `/readyz` and `/metrics`.
//!
//! Alive means that the loop takes facts: an empty batch goes through it every few seconds. Ready means that the host
//! cluster has been read once; a follower is ready too, it only does not write.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::{
    Router,
    extract::State,
    http::{StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
    routing::get,
};
use mcsdns_core::{
    decision::{PolicyFailure, PolicyRef},
    effect::Effect,
};
use mcsdns_runtime::{FactSender, Observer, RuntimeHandle};
use tokio::{
    net::TcpListener,
    time::{Instant, sleep},
};
use tokio_util::sync::CancellationToken;

use crate::{host::HostState, metrics::Metrics, run::ControllerError, tally::tally};

/// Time between two beats.
const BEAT: Duration = Duration::from_secs(5);
/// A loop that has been silent for longer is not alive. A relist of the largest fleet takes a few seconds.
const SILENCE: Duration = Duration::from_secs(60);

/// When the loop last did something.
pub(crate) struct Heart(Mutex<Instant>);

impl Heart {
    pub(crate) fn new() -> Self {
        Self(Mutex::new(Instant::now()))
    }

    fn beat(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    fn silent_for(&self) -> Duration {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).elapsed()
    }
}

/// Sends something through the loop again and again.
pub(crate) async fn beat(facts: FactSender) {
    // A channel that is full belongs to a loop that is busy, which its observer notices, or to one that is stuck.
    while !facts.is_closed() {
        let _ = facts.try_send(Vec::new());
        sleep(BEAT).await;
    }
}

/// Counts, and feels the pulse.
pub(crate) struct Listening {
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) heart: Arc<Heart>,
}

impl Observer for Listening {
    fn decided(&self, policies: &PolicyRef, took: Duration, failure: Option<&PolicyFailure>) {
        self.metrics.decided(policies, took, failure);
    }
    fn waited(&self, wait: Duration) {
        self.metrics.waited(wait);
    }
    fn applied(&self, facts: usize, effects: usize, took: Duration) {
        self.heart.beat();
        if facts > 0 {
            self.metrics.applied(facts, effects, took);
        }
    }
    fn effect(&self, effect: &Effect) {
        self.metrics.effect(effect);
    }
    fn resolved(&self, took: Duration, answered: bool) {
        self.metrics.resolved(took, answered);
    }
}

/// What the answers are made from.
#[derive(Clone)]
pub(crate) struct Vitals {
    pub(crate) heart: Arc<Heart>,
    pub(crate) host: Arc<HostState>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) index: RuntimeHandle,
}

/// The servers that answer, bound but not yet serving.
pub(crate) struct Servers(Vec<(TcpListener, Router<Vitals>)>);

impl Servers {
    /// Takes the addresses. The same one for both means one server.
    ///
    /// # Errors
    /// [`ControllerError::Listen`].
    pub(crate) async fn bind(health: Option<SocketAddr>, metrics: Option<SocketAddr>) -> Result<Self, ControllerError> {
        let mut servers = Vec::new();
        let answering_health = || Router::new().route("/livez", get(livez)).route("/readyz", get(readyz));
        let answering_metrics = || Router::new().route("/metrics", get(show_metrics));
        if health.is_some() && health == metrics {
            servers.push((health, answering_health().merge(answering_metrics())));
        } else {
            servers.push((health, answering_health()));
            servers.push((metrics, answering_metrics()));
        }
        let mut bound = Vec::new();
        for (address, router) in servers {
            if let Some(address) = address {
                let listener =
                    TcpListener::bind(address).await.map_err(|source| ControllerError::Listen { address, source })?;
                bound.push((listener, router));
            }
        }
        Ok(Self(bound))
    }

    /// Answers until cancelled.
    pub(crate) async fn serve(self, vitals: Vitals, cancel: CancellationToken) {
        if self.0.is_empty() {
            return cancel.cancelled().await;
        }
        let all = self.0.into_iter().map(|(listener, router)| {
            let (router, cancel) = (router.with_state(vitals.clone()), cancel.clone());
            async move {
                let served = axum::serve(listener, router).with_graceful_shutdown(cancel.cancelled_owned()).await;
                if let Err(error) = served {
                    tracing::error!("the health server ended: {error}");
                }
            }
        });
        futures::future::join_all(all).await;
    }
}

async fn livez(State(vitals): State<Vitals>) -> Response {
    let silence = vitals.heart.silent_for();
    if silence < SILENCE {
        return "ok\n".into_response();
    }
    let text = format!("the loop has done nothing for {} s\n", silence.as_secs());
    (StatusCode::SERVICE_UNAVAILABLE, text).into_response()
}

async fn readyz(State(vitals): State<Vitals>) -> Response {
    let missing = vitals.host.missing();
    if missing.is_empty() {
        return "ok\n".into_response();
    }
    (StatusCode::SERVICE_UNAVAILABLE, format!("{}\n", missing.join("\n"))).into_response()
}

async fn show_metrics(State(vitals): State<Vitals>) -> Response {
    tally(&vitals.index, &vitals.metrics).await;
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(CONTENT_TYPE, kind)], vitals.metrics.text()).into_response()
}
