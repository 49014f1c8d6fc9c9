//! Everything together.

use std::{io, net::SocketAddr, sync::Arc};

use jiff::Timestamp;
use kube::{
    Api, Client, Config,
    config::{KubeConfigOptions, Kubeconfig},
};
use mcsdns_api::convert::{DnsEndpointObject, DomainObject, MemberObject, RecordObject};
use mcsdns_core::{decision::PolicyRef, facts::Fact, index::Index};
use mcsdns_runtime::{Decider, FactSender, Resolve, Runtime, RuntimeOptions};
use tokio::{
    sync::{mpsc, watch},
    time::{Instant, timeout},
};
use tokio_util::sync::CancellationToken;

use crate::{
    connect::{ConnectError, connect},
    endpoints_api::Definition,
    health::{Heart, Listening, Servers, Vitals, beat},
    host::{DomainFeed, Fleet, HostState, MemberFeed, PublishedFeed, RecordFeed},
    inbox::Inbox,
    lease::{Election, Term},
    members::{self, Surroundings, probe},
    metrics::{Metrics, Side},
    options::{Options, OptionsError},
    policies::{ClusterPolicies, watch_policies},
    pump::{Feed, Links, Source, pump},
    tasks::Tasks,
    writer::{
        Writer, WriterSink,
        apply::{Applier, Feedback},
        events::Announcer,
    },
};

/// Why the controller cannot run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ControllerError {
    /// A setting makes no sense.
    #[error(transparent)]
    Options(#[from] OptionsError),
    /// The kubeconfig of the host cluster cannot be used.
    #[error("the kubeconfig of the host cluster cannot be used: {0}")]
    Kubeconfig(String),
    /// No kubeconfig was given, and this is no pod with a service account.
    #[error("there is no service account of a pod here ({0}); outside of a cluster give --kubeconfig FILE")]
    NotInCluster(String),
    /// The host cluster cannot be connected to.
    #[error("the host cluster cannot be connected to: {0}")]
    Connect(#[from] ConnectError),
    /// An address for health or metrics cannot be listened on.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// Threads cannot be started.
    #[error("cannot start threads: {0}")]
    Threads(io::Error),
    /// A part that must run for ever has ended. This is a fault in mcsdns; please report it.
    #[error(
        "a part of the controller ended unexpectedly ({0}), so all of it ends and what is published stays; start it again, and please report this with its log"
    )]
    Ended(&'static str),
}

impl ControllerError {
    /// Stable, CamelCase.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Options(_) => "OptionsInvalid",
            Self::Kubeconfig(_) => "KubeconfigInvalid",
            Self::NotInCluster(_) => "NotInCluster",
            Self::Connect(error) => error.reason(),
            Self::Listen { .. } => "AddressInUse",
            Self::Threads(_) => "ThreadsUnavailable",
            Self::Ended(_) => "EndedUnexpectedly",
        }
    }
}

/// What the controller is given besides its settings.
pub struct Parts<D> {
    /// Answers decisions.
    pub decider: Arc<D>,
    /// The policies that decide unless a Domain has its own.
    pub policies: PolicyRef,
    /// Digest of the policy in the box, for the build metric.
    pub digest: String,
    /// Answers host names of load balancers.
    pub resolver: Arc<dyn Resolve>,
    /// Policies that Domains name; `None`: `policies` decide everywhere.
    pub domains: Option<ClusterPolicies>,
}

/// How the host cluster of `options` is reached.
///
/// # Errors
/// [`ControllerError::Kubeconfig`] and [`ControllerError::NotInCluster`].
pub async fn host_config(options: &Options) -> Result<Config, ControllerError> {
    let Some(path) = &options.kubeconfig else {
        return Config::incluster().map_err(|error| ControllerError::NotInCluster(crate::trouble::chain(&error)));
    };
    let unusable = |error: kube::config::KubeconfigError| {
        ControllerError::Kubeconfig(format!("{}: {}", path.display(), crate::trouble::chain(&error)))
    };
    let kubeconfig = Kubeconfig::read_from(path).map_err(unusable)?;
    let choice = KubeConfigOptions { context: options.context.clone(), ..KubeConfigOptions::default() };
    Config::from_custom_kubeconfig(kubeconfig, &choice).await.map_err(unusable)
}

/// Answers to writes that may wait for the pump of their kind.
const ANSWERS: usize = 256;

/// Runs the controller until `shutdown`, and then ends it in order.
///
/// # Errors
/// See [`ControllerError`]. An API server that is not there, or does not allow something, is no error: it is waited for.
pub async fn run<D: Decider>(
    options: Options,
    parts: Parts<D>,
    shutdown: CancellationToken,
) -> Result<(), ControllerError> {
    options.check()?;
    let config = host_config(&options).await?;
    let servers = Servers::bind(options.health_address, options.metrics_address).await?;
    let client = connect(config.clone(), &options.requests)?;
    let metrics = Arc::new(Metrics::new(&parts.policies.title, &parts.digest));
    let (term, terms) = watch::channel(None);
    let (writer, notices) = Writer::new(options.writer.clone(), terms.clone(), Arc::clone(&metrics));

    let mut settings = options.index.clone();
    if let Some(domains) = &parts.domains {
        settings.domain_policies = domains.domain_policies();
        domains.listener.listen(&metrics);
    }
    let inbox = parts.domains.as_ref().map(ClusterPolicies::inbox);
    let mut index = Index::new(settings, parts.policies, Timestamp::now());
    // Nothing is known yet, so this has no effects; from here on the term tells.
    index.apply(Fact::Leading(false), &mut Vec::new());
    let heart = Arc::new(Heart::new());
    let mut runtime_options = RuntimeOptions::new(parts.resolver);
    runtime_options.observer = Arc::new(Listening { metrics: Arc::clone(&metrics), heart: Arc::clone(&heart) });
    runtime_options.resolve_limits = options.resolve.clone();
    if let Some(threads) = options.decide_threads {
        runtime_options.decide_threads = threads;
    }
    let runtime = Runtime::new(index, WriterSink(Arc::clone(&writer)), parts.decider, runtime_options);
    let handle = runtime.handle();
    let (facts, facts_rx) = mcsdns_runtime::channel();

    let stop = CancellationToken::new();
    let mut tasks = Tasks::default();
    let looping = tokio::spawn(runtime.run(facts_rx, stop.clone()));
    tasks.spawn("the heartbeat", beat(facts.clone()));
    let host = Arc::new(HostState::default());
    let policies = match parts.domains {
        Some(domains) => Some(domains.start(handle.clone(), facts.clone()).map_err(ControllerError::Threads)?),
        None => None,
    };
    let vitals = Vitals { heart, host: Arc::clone(&host), metrics: Arc::clone(&metrics), index: handle };
    let mut around_it = Tasks::default();
    around_it.spawn("the server for health and metrics", servers.serve(vitals, stop.clone()));

    // The host.
    let (restart, restarts) = watch::channel(0);
    let asking = connect(config.clone(), &options.requests)?;
    tasks.spawn("the probe of the host", look(asking, options.members.probe, restart));
    let around =
        Host { client: &client, options: &options, facts: &facts, stop: &stop, restarts: &restarts, metrics: &metrics };
    let (fleet, fleets) = watch::channel(Fleet::default());
    if let Some(inbox) = &inbox {
        let links = (facts.clone(), stop.clone(), restarts.clone(), Arc::clone(&metrics));
        let (namespace, requests) = (options.namespace.clone(), options.requests.clone());
        tasks.spawn("configmaps", watch_policies(client.clone(), namespace, requests, Arc::clone(inbox), links));
    }
    let feedback = watch_host(&mut tasks, &around, &host, &writer, fleet, inbox);

    // The members.
    let surroundings = Surroundings {
        namespace: options.namespace.clone(),
        host: config.clone(),
        client: client.clone(),
        restarts: restarts.clone(),
        members: options.members.clone(),
        requests: options.requests.clone(),
        facts: facts.clone(),
        metrics: Arc::clone(&metrics),
    };
    around_it
        .spawn("the part that tends the member clusters", members::tend(fleets, Arc::new(surroundings), stop.clone()));

    // The writers. They and the lease have connections of their own.
    let applier = Arc::new(Applier {
        client: connect(config.clone(), &options.requests)?,
        namespace: options.namespace.clone(),
        group: options.endpoint_group,
        feedback,
    });
    let stop_writing = CancellationToken::new();
    let mut writers = writer.start(&applier, &facts, &stop_writing);
    let announcer = Announcer::new(
        applier.client.clone(),
        &options.namespace,
        terms.clone(),
        &options.writer,
        Arc::clone(&metrics),
    );
    if let Some(policies) = policies.clone() {
        tasks.spawn("the policies", policies.watch());
    }
    tasks.spawn("the events", announcer.run(notices));
    tasks.spawn("the leadership", follow_term(terms, Arc::clone(&writer), facts.clone(), metrics));
    let stop_election = CancellationToken::new();
    let mut election = elect(&options, connect(config, &options.requests)?, term, stop_election.clone());

    let mut looping = looping;
    let fault = tokio::select! {
        () = shutdown.cancelled() => None,
        ended = tasks.ended() => Some(ControllerError::Ended(ended)),
        ended = around_it.ended() => Some(ControllerError::Ended(ended)),
        ended = writers.ended() => Some(ControllerError::Ended(ended)),
        ended = election.ended() => Some(ControllerError::Ended(ended)),
        ended = &mut looping => Some(match ended {
            Ok(Err(error)) => ControllerError::Threads(error),
            Ok(Ok(())) | Err(_) => ControllerError::Ended("the loop"),
        }),
    };
    tracing::info!("shutting down");
    if let Some(policies) = &policies {
        policies.close();
    }
    let orderly = async {
        // First the writes under way, then the lease, then everything else.
        stop_writing.cancel();
        drop(writer.close());
        writers.finish().await;
        stop_election.cancel();
        election.finish().await;
        stop.cancel();
        around_it.finish().await;
        if !looping.is_finished() {
            let _ = looping.await;
        }
    };
    if timeout(options.shutdown_timeout, orderly).await.is_err() {
        tracing::warn!("not everything ended within {:?}; the lease ends by itself", options.shutdown_timeout);
    }
    stop.cancel();
    fault.map_or(Ok(()), Err)
}

struct Host<'a> {
    client: &'a Client,
    options: &'a Options,
    facts: &'a FactSender,
    stop: &'a CancellationToken,
    restarts: &'a watch::Receiver<u64>,
    metrics: &'a Arc<Metrics>,
}

impl Host<'_> {
    /// Starts the watch of one kind; answers to writes go into the sender.
    fn watch<F>(
        &self,
        tasks: &mut Tasks,
        resource: &'static str,
        api: Api<F::Object>,
        feed: F,
    ) -> mpsc::Sender<F::Object>
    where
        F: Feed<Object: Clone + std::fmt::Debug + serde::de::DeserializeOwned>,
    {
        let (answers, written) = mpsc::channel(ANSWERS);
        let links = Links {
            facts: self.facts.clone(),
            cancel: self.stop.clone(),
            restart: self.restarts.clone(),
            written: Some(written),
            metrics: Arc::clone(self.metrics),
        };
        let source = Source::new(resource, Side::Host, api);
        tasks.spawn(resource, pump(source, feed, self.options.requests.clone(), links));
        answers
    }
}

fn watch_host(
    tasks: &mut Tasks,
    host: &Host<'_>,
    state: &Arc<HostState>,
    writer: &Arc<Writer>,
    fleet: watch::Sender<Fleet>,
    inbox: Option<Arc<Inbox>>,
) -> Feedback {
    let client = host.client.clone();
    let (namespace, group) = (&host.options.namespace, host.options.endpoint_group);
    let state = || Arc::clone(state);
    let domains: Api<DomainObject> = Api::namespaced(client.clone(), namespace);
    let members: Api<MemberObject> = Api::namespaced(client.clone(), namespace);
    let records: Api<RecordObject> = Api::all(client.clone());
    let endpoints: Api<DnsEndpointObject> = Api::all_with(client.clone(), &group);
    let definition = Definition { client, group, limit: host.options.requests.request_timeout };
    Feedback {
        domains: host.watch(tasks, "domains", domains, DomainFeed { state: state(), inbox, next: Vec::new() }),
        members: host.watch(
            tasks,
            "memberclusters",
            members,
            MemberFeed { state: state(), fleet, next: Fleet::default() },
        ),
        records: host.watch(
            tasks,
            "servicednsrecords",
            records,
            RecordFeed { state: state(), writer: Arc::clone(writer) },
        ),
        endpoints: host.watch(
            tasks,
            "dnsendpoints",
            endpoints,
            PublishedFeed::new(state(), Arc::clone(writer), definition),
        ),
    }
}

/// Watches of the host are begun anew when its API server is back after an absence.
async fn look(client: Client, options: crate::options::ProbeOptions, restart: watch::Sender<u64>) {
    let mut standing = probe::Standing::new(options);
    loop {
        let begun = Instant::now();
        let outcome = probe::ask(&client, options.timeout).await;
        match standing.note(&outcome, "the host cluster", (Instant::now(), Timestamp::now())) {
            Some(probe::News::Back { missed: true }) => {
                tracing::info!("the host cluster answers again");
                restart.send_modify(|count| *count += 1);
            }
            Some(probe::News::Away(reach)) => {
                if let mcsdns_core::facts::Reach::Unreachable { reason, message, .. } = reach {
                    tracing::warn!(reason, "{message}; what is published stays as it is");
                }
            }
            Some(probe::News::Back { missed: false }) | None => {}
        }
        tokio::time::sleep_until(begun + options.interval).await;
    }
}

/// Opens and closes the queue of the writers as the lease comes and goes, and tells the Index.
async fn follow_term(
    mut terms: watch::Receiver<Option<Term>>,
    writer: Arc<Writer>,
    facts: FactSender,
    metrics: Arc<Metrics>,
) {
    let mut leading = false;
    loop {
        let now = terms.borrow_and_update().is_some();
        if now != leading {
            leading = now;
            metrics.leading(leading);
            // The queue is open before the Index knows that it may write, and closed before it knows that it may not.
            let mut news = if leading {
                writer.open();
                Vec::new()
            } else {
                writer.close()
            };
            news.push(Fact::Leading(leading));
            if facts.send(news).await.is_err() {
                return;
            }
        }
        if terms.changed().await.is_err() {
            return std::future::pending().await;
        }
    }
}

/// Takes part in the election, or writes without asking. Stopped only after the last write: the lease is given up then.
fn elect(options: &Options, client: Client, term: watch::Sender<Option<Term>>, stop: CancellationToken) -> Tasks {
    let mut tasks = Tasks::default();
    if !options.leader.elect {
        tracing::warn!("leader election is off: make sure that this is the only controller");
        tasks.spawn("the leadership", async move {
            term.send_replace(Some(Term::Always));
            stop.cancelled().await;
            term.send_replace(None);
        });
        return tasks;
    }
    let mut election = Election::new(client, &options.namespace, options.leader.clone(), term);
    tasks.spawn("the leader election", async move {
        election.run(&stop).await;
        election.release().await;
    });
    tasks
}

/// Resolves when the process is asked to end (SIGTERM or SIGINT).
///
/// # Errors
/// The signals cannot be listened to.
pub async fn terminated() -> io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}
