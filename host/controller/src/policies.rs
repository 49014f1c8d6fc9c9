//! Policies from ConfigMaps: their watch, and the thread that loads and tries them.
//!
//! One thread does all of it, one thing after the other: compiling takes up to seconds and must hold up nobody. Records of
//! Domains that name no policies never wait for it.

use std::{
    io,
    sync::{Arc, OnceLock},
    thread::JoinHandle,
    time::Duration,
};

use jiff::Timestamp;
use kube::{Api, Client, runtime::watcher};
use mcsdns_api::{
    convert::{ConfigMapObject, PolicyMap, Watched},
    metadata::LABEL_POLICY,
};
use mcsdns_core::{
    decision::PolicyRef,
    facts::{Change, Fact, Rollout},
    index::DomainPolicies,
};
use mcsdns_policy::Cost;
use mcsdns_rollout::{Pilot, PilotObserver, Shelved};
use mcsdns_runtime::{FactSender, Health, RuntimeHandle, SandboxDecider};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::{
    host::words,
    inbox::Inbox,
    metrics::{Metrics, Side},
    options::RequestOptions,
    pump::{Feed, Links, Source, pump},
    trouble::Trouble,
};

/// Room for a component's own stack with plenty left, as for the threads that decide.
const STACK: usize = 4 << 20;
/// The thread looks around at least this often.
const LONGEST_WAIT: Duration = Duration::from_secs(60);
/// How often to look whether the thread is still there.
const LOOK: Duration = Duration::from_secs(1);
/// Resource name, for people and metrics.
const RESOURCE: &str = "configmaps";

/// Hears of the policies on behalf of the controller. Made before the controller runs, because the decider needs it.
#[derive(Clone, Default)]
pub struct PolicyListener {
    inbox: Arc<Inbox>,
    metrics: Arc<OnceLock<Arc<Metrics>>>,
}

impl PolicyListener {
    /// Nobody listens yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Has a decider tell what decisions cost and how its policies are.
    #[must_use]
    pub fn attach(&self, decider: SandboxDecider) -> SandboxDecider {
        let (costs, health) = (self.clone(), self.clone());
        decider
            .observed(Box::new(move |policies, cost| costs.cost(policies, cost)))
            .watched(Box::new(move |policies, news| health.health(policies, news)))
    }

    fn cost(&self, policies: &PolicyRef, cost: &Cost) {
        if let Some(metrics) = self.metrics.get() {
            metrics.policies.cost(policies, cost);
        }
    }

    fn health(&self, policies: &PolicyRef, health: Health) {
        if let Some(metrics) = self.metrics.get() {
            metrics.policies.health(policies, &health);
        }
        match health {
            Health::Failing(failure) => {
                tracing::warn!(
                    policy = &*policies.title,
                    reason = failure.reason,
                    "the policy keeps failing: {}",
                    failure.message
                );
                self.inbox.health(&policies.id, Some(failure));
            }
            Health::Well => {
                tracing::info!(policy = &*policies.title, "the policy answers again, or does not decide any more");
                self.inbox.health(&policies.id, None);
            }
            Health::Skipped | Health::Replaced => {}
        }
    }

    pub(crate) fn listen(&self, metrics: &Arc<Metrics>) {
        // A controller runs once.
        let _ = self.metrics.set(Arc::clone(metrics));
    }
}

impl std::fmt::Debug for PolicyListener {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PolicyListener").finish_non_exhaustive()
    }
}

impl PilotObserver for PolicyListener {
    fn loaded(&self, _: &str, shelved: &Shelved) {
        if let Some(metrics) = self.metrics.get() {
            let result = shelved.outcome.as_ref().map_or_else(|refusal| refusal.reason, |_| "ok");
            metrics.policies.loaded(result, Duration::from_micros(shelved.total_micros));
        }
    }

    fn tried(&self, _: &str, records: usize, passed: bool, micros: u64) {
        if let Some(metrics) = self.metrics.get() {
            metrics.policies.tried(records, passed, Duration::from_micros(micros));
        }
    }

    fn told(&self, domain: &str, rollout: &Rollout) {
        if let Some(metrics) = self.metrics.get() {
            metrics.policies.told(domain, rollout.ready.as_ref().map(|ready| ready.reason));
        }
    }

    fn forgotten(&self, domain: &str) {
        if let Some(metrics) = self.metrics.get() {
            metrics.policies.told(domain, None);
        }
    }
}

/// Policies of Domains, from ConfigMaps.
pub struct ClusterPolicies {
    /// Loads and tries them.
    pub pilot: Pilot,
    /// What the decider was attached to.
    pub listener: PolicyListener,
}

impl ClusterPolicies {
    pub(crate) const fn domain_policies(&self) -> DomainPolicies {
        self.pilot.domain_policies()
    }

    pub(crate) fn inbox(&self) -> Arc<Inbox> {
        Arc::clone(&self.listener.inbox)
    }

    /// Starts the thread. It ends when its inbox is closed, or nobody takes facts any more.
    pub(crate) fn start(self, index: RuntimeHandle, facts: FactSender) -> io::Result<Thread> {
        let inbox = self.inbox();
        let mut pilot = self.pilot;
        let own = Arc::clone(&inbox);
        let thread = std::thread::Builder::new().name("policies".to_owned()).stack_size(STACK).spawn(move || {
            let mut patience = LONGEST_WAIT;
            while let Some(news) = own.take(patience) {
                let rehearse = |domain: &str, needs: &_| index.with_index(|index| index.rehearsal(domain, needs));
                let mut ended = false;
                pilot.hear_and_tell(news, Timestamp::now(), rehearse, |fact| {
                    ended = ended || facts.blocking_send(vec![fact]).is_err();
                });
                if ended {
                    return;
                }
                let left = pilot.wake().map(|at| at.duration_since(Timestamp::now()));
                let left = left.map(|left| Duration::try_from(left).unwrap_or(Duration::ZERO));
                patience = left.unwrap_or(LONGEST_WAIT).clamp(Duration::from_millis(10), LONGEST_WAIT);
            }
        })?;
        Ok(Thread { inbox, thread: Arc::new(thread) })
    }
}

/// The thread that loads and tries policies.
#[derive(Clone)]
pub(crate) struct Thread {
    inbox: Arc<Inbox>,
    thread: Arc<JoinHandle<()>>,
}

impl Thread {
    /// Resolves when it has ended, which it should not before it is told to.
    pub(crate) async fn watch(self) {
        while !self.thread.is_finished() {
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Tells it to end. A policy that is being compiled is not waited for.
    pub(crate) fn close(&self) {
        self.inbox.close();
    }
}

/// ConfigMaps with the label of policies. Their content goes to the thread and is not kept here.
struct PolicyFeed {
    inbox: Arc<Inbox>,
}

impl Feed for PolicyFeed {
    type Object = ConfigMapObject;
    type Key = Arc<str>;
    type Value = PolicyMap;

    fn key(&self, object: &ConfigMapObject) -> Arc<str> {
        Watched::key(object)
    }
    fn convert(&self, object: &ConfigMapObject) -> Option<PolicyMap> {
        object.fact()
    }
    fn fact(&mut self, change: Change<Arc<str>, PolicyMap>) -> Option<Fact> {
        self.inbox.maps(change);
        None
    }
    fn standing(&mut self, trouble: Option<&Trouble>) -> Vec<Fact> {
        match trouble {
            Some(trouble) => {
                let words = words(RESOURCE, trouble);
                tracing::warn!(
                    resource = RESOURCE,
                    reason = trouble.kind.as_str(),
                    "cannot watch the ConfigMaps of policies: {words}; policies that decide already go on"
                );
                self.inbox.trouble(Some(words));
            }
            None => {
                tracing::info!(resource = RESOURCE, "watching the ConfigMaps of policies again");
                self.inbox.trouble(None);
            }
        }
        Vec::new()
    }
}

/// Watches the ConfigMaps of policies in the namespace of the controller.
pub(crate) async fn watch_policies(
    client: Client,
    namespace: String,
    options: RequestOptions,
    inbox: Arc<Inbox>,
    links: (FactSender, CancellationToken, watch::Receiver<u64>, Arc<Metrics>),
) {
    let api: Api<ConfigMapObject> = Api::namespaced(client, &namespace);
    let labelled = watcher::Config::default().labels(&format!("{LABEL_POLICY}=true"));
    let source = Source::new(RESOURCE, Side::Host, api).queries([labelled]);
    let (facts, cancel, restart, metrics) = links;
    let links = Links { facts, cancel, restart, written: None, metrics };
    pump(source, PolicyFeed { inbox }, options, links).await;
}
