//! The loop of the controller on a folder of manifests.
//!
//! A folder is watched, statuses and DNSEndpoints are written beside it, and what is published is answered over DNS. It
//! is the same Index, the same policies in the same sandbox and the same runtime as in the controller.

mod files;
mod keeper;
mod queue;
mod store;

use std::{
    io,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
};

use mcsdns_api::endpoint::EndpointGroup;
use mcsdns_core::{effect::About, ids::ObjectKey, index::Index, index::Settings};
use mcsdns_rollout::PilotOptions;
use mcsdns_runtime::{Clock, Resolve, Runtime, RuntimeHandle, RuntimeOptions, SystemClock, channel};
use notify::{RecursiveMode, Watcher};
use tokio_util::sync::CancellationToken;

pub use self::store::StoreError;
use self::{
    files::Files,
    keeper::Keeper,
    queue::{Queue, QueueSink, Target},
    store::Store,
};
use crate::{
    dns::{DnsServer, DnsServerError},
    limits::Limits,
    policy::{LoadedPolicy, PolicyError},
    problem::Problem,
};

/// Something worth telling.
#[derive(Clone, Debug)]
pub enum LocalEvent {
    /// Everything has been read; this many records, and where DNS is answered.
    Ready {
        /// Where statuses and DNSEndpoints are written.
        out: PathBuf,
        /// Where DNS is answered.
        dns: Option<SocketAddr>,
    },
    /// Something is wrong with a manifest.
    Problem(Problem),
    /// Something is right again.
    Solved(String),
    /// Something happened to a record, a Domain or a member cluster.
    Notice {
        /// To what.
        about: About,
        /// Whether something should be done.
        warning: bool,
        /// Stable, CamelCase.
        reason: Arc<str>,
        /// For people.
        note: String,
    },
    /// An object was written.
    Wrote(Written),
    /// An object could not be written; it is tried again.
    WriteFailed(String),
    /// Changes are looked for every few seconds, because the system does not tell of them.
    Polling(String),
}

/// What was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Written {
    /// A DNSEndpoint, made, changed or deleted.
    DnsEndpoint(ObjectKey),
    /// A status.
    Status(String),
}

impl From<Target> for Written {
    fn from(target: Target) -> Self {
        match target {
            Target::Endpoints(object) => Self::DnsEndpoint(object),
            Target::Record(record) => Self::Status(format!("ServiceDNSRecord {record}")),
            Target::Domain(name) => Self::Status(format!("Domain {name}")),
            Target::Member(name) => Self::Status(format!("MemberCluster {name}")),
        }
    }
}

/// Hears what is worth telling.
pub type Report = Arc<dyn Fn(LocalEvent) + Send + Sync>;

/// How the loop is set up.
pub struct LocalOptions {
    /// The folder.
    pub dir: PathBuf,
    /// Where to write; `None`: `.mcsdns` in the folder.
    pub out: Option<PathBuf>,
    /// Where to answer DNS; `None`: nowhere.
    pub dns: Option<SocketAddr>,
    /// As for the controller.
    pub settings: Settings,
    /// Group of the DNSEndpoints.
    pub group: EndpointGroup,
    /// Namespace that statuses of Domains and MemberClusters are written with.
    pub namespace: String,
    /// Answers the host names of load balancers.
    pub resolver: Arc<dyn Resolve>,
    /// The policy.
    pub policy: LoadedPolicy,
    /// Hears what happens.
    pub report: Report,
}

/// The loop cannot be set up.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LocalError {
    /// What is written cannot be kept.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// DNS cannot be answered.
    #[error(transparent)]
    Dns(#[from] DnsServerError),
    /// The folder is not there.
    #[error("{}: {error}", path.display())]
    Folder {
        /// Which.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// The policies cannot be used.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// Threads cannot be started.
    #[error("threads cannot be started: {0}")]
    Threads(io::Error),
}

impl LocalError {
    /// Stable, CamelCase.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Store(error) => error.reason(),
            Self::Dns(error) => error.reason(),
            Self::Policy(error) => error.reason(),
            Self::Folder { .. } => "Unreadable",
            Self::Threads(_) => "ThreadsRefused",
        }
    }
}

/// A loop that is set up and answers DNS already.
pub struct Local {
    runtime: Runtime<QueueSink, mcsdns_runtime::SandboxDecider>,
    handle: RuntimeHandle,
    keeper: Keeper,
    queue: Arc<Queue>,
    facts: mcsdns_runtime::FactReceiver,
    dns: Option<DnsServer>,
    dir: PathBuf,
    out: PathBuf,
    report: Report,
}

impl Local {
    /// Sets everything up; nothing is read or written yet.
    ///
    /// # Errors
    /// What cannot be had.
    pub async fn new(options: LocalOptions) -> Result<Self, LocalError> {
        let LocalOptions { dir, out, dns, settings, group, namespace, resolver, policy, report } = options;
        let dir = dir.canonicalize().map_err(|error| LocalError::Folder { path: dir, error })?;
        let out = out.unwrap_or_else(|| dir.join(".mcsdns"));
        let store = Store::open(&out, group, &namespace)?;
        let dns = match dns {
            Some(address) => Some(DnsServer::start(address).await?),
            None => None,
        };
        let queue = Arc::new(Queue::default());
        let (facts_tx, facts) = channel();
        let pilot = policy.pilot(PilotOptions {
            namespace: namespace.as_str().into(),
            defaults: Default::default(),
            settings: settings.clone(),
            observer: Arc::new(()),
        })?;
        let settings = Settings { domain_policies: pilot.domain_policies(), ..settings };
        let index = Index::new(settings, policy.reference, SystemClock.now());
        let runtime = Runtime::new(index, QueueSink(Arc::clone(&queue)), policy.decider, RuntimeOptions::new(resolver));
        let keeper = Keeper::new(
            Files::new(&dir, Limits::default()),
            store,
            Arc::clone(&queue),
            facts_tx,
            Arc::clone(&report),
            dns.as_ref().map(DnsServer::current),
            (pilot, runtime.handle(), policy.health),
        );
        Ok(Self { handle: runtime.handle(), runtime, keeper, queue, facts, dns, dir, out, report })
    }

    /// Where DNS is answered.
    #[must_use]
    pub fn dns(&self) -> Option<SocketAddr> {
        self.dns.as_ref().map(DnsServer::address)
    }

    /// For looking at the Index.
    #[must_use]
    pub fn handle(&self) -> RuntimeHandle {
        self.handle.clone()
    }

    /// Runs until `shutdown`.
    ///
    /// # Errors
    /// When threads cannot be started.
    pub async fn run(self, shutdown: CancellationToken) -> Result<(), LocalError> {
        let Self { runtime, mut keeper, queue, facts, dns, dir, out, report, handle: _ } = self;
        let _watcher =
            watch(&dir, &out, &queue).inspect_err(|error| report(LocalEvent::Polling(error.to_string()))).ok();
        let address = dns.as_ref().map(DnsServer::address);
        let ready = Arc::clone(&report);
        let thread = std::thread::Builder::new()
            .name("keeper".to_owned())
            // It also tries policies, which have a stack of their own on top.
            .stack_size(4 << 20)
            .spawn(move || {
                keeper.begin();
                ready(LocalEvent::Ready { out, dns: address });
                keeper.run();
            })
            .map_err(LocalError::Threads)?;
        let ended = runtime.run(facts, shutdown).await.map_err(LocalError::Threads);
        queue.stop();
        if !matches!(tokio::task::spawn_blocking(move || thread.join()).await, Ok(Ok(()))) {
            tracing::error!("the thread that writes files ended with a panic");
        }
        if let Some(dns) = dns {
            dns.stop().await;
        }
        ended
    }
}

/// Has the system tell of changes.
fn watch(dir: &Path, out: &Path, queue: &Arc<Queue>) -> notify::Result<notify::RecommendedWatcher> {
    let queue = Arc::clone(queue);
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        // Reading a file is no change; errors such as an overflow mean that there may have been some.
        if !event.is_ok_and(|event| event.kind.is_access()) {
            queue.look();
        }
    })?;
    watcher.watch(dir, RecursiveMode::Recursive)?;
    if !out.starts_with(dir) {
        watcher.watch(out, RecursiveMode::Recursive)?;
    }
    Ok(watcher)
}
