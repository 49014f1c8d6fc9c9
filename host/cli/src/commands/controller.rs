//! `mcsdns controller`.

use std::{net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use clap::Args;
use mcsdns_controller::{ClusterPolicies, ControllerError, LOG_FILTER, Options, Parts, PolicyListener};
use mcsdns_core::facts::PolicyNames;
use mcsdns_rollout::PilotOptions;
use mcsdns_runtime::{
    Resolve, SandboxDecider,
    resolve::{HickoryResolver, ResolveLimits},
};
use tokio_util::sync::CancellationToken;

use super::{block_on, folder};
use crate::{
    args::{PolicyArgs, PublishArgs},
    duration,
    exit::{Verdict, wrong},
    logging::LogArgs,
};

/// Runs until SIGTERM or SIGINT.
#[derive(Args, Debug)]
pub(crate) struct ControllerArgs {
    /// Kubeconfig of the host cluster [default: the service account of the pod]
    #[arg(long, value_name = "FILE", env = "KUBECONFIG")]
    kubeconfig: Option<PathBuf>,
    /// Context of the kubeconfig [default: its current one]
    #[arg(long, value_name = "NAME")]
    context: Option<String>,
    /// Namespace of Domains, MemberClusters, their Secrets and the Lease
    #[arg(long, value_name = "NAME", default_value = mcsdns_controller::options::NAMESPACE, env = "MCSDNS_NAMESPACE")]
    namespace: String,
    /// Where /livez and /readyz are answered, or `off`
    #[arg(long, value_name = "ADDRESS", default_value = "0.0.0.0:8081", value_parser = address)]
    health_address: Address,
    /// Where /metrics is answered, or `off`; may be the same
    #[arg(long, value_name = "ADDRESS", default_value = "0.0.0.0:8080", value_parser = address)]
    metrics_address: Address,
    /// How long an orderly end may take
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = duration::parse)]
    shutdown_timeout: Duration,
    #[command(flatten)]
    publish: PublishArgs,
    #[command(flatten)]
    policy: PolicyArgs,
    /// ConfigMaps with the policies that decide where a Domain names none: naming=NAME,selection=NAME,ttl=NAME, each of them
    /// optional
    #[arg(long, value_name = "ASPECT=NAME,...", value_parser = default_policies, help_heading = "Policy")]
    default_policies: Option<DefaultPolicies>,
    /// Threads that make decisions [default: one per core]
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u16).range(1..=1024), help_heading = "Policy")]
    decide_threads: Option<u16>,

    /// Of several replicas one writes, chosen by a Lease; with false this one writes, whoever else does
    #[arg(long, value_name = "BOOL", default_value_t = true, action = clap::ArgAction::Set, num_args = 0..=1, default_missing_value = "true", help_heading = "Leader election")]
    leader_elect: bool,
    /// Name of the Lease
    #[arg(long, value_name = "NAME", default_value = mcsdns_controller::options::LEASE, help_heading = "Leader election")]
    lease_name: String,
    /// Name of this process, unique among the replicas [default: host name and a random part]
    #[arg(long, value_name = "NAME", env = "POD_NAME", help_heading = "Leader election")]
    identity: Option<String>,
    /// How long a leader that fell silent keeps its place
    #[arg(long, value_name = "TIME", default_value = "15s", value_parser = duration::parse, help_heading = "Leader election")]
    lease_duration: Duration,
    /// How long a leader that cannot renew goes on writing
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = duration::parse, help_heading = "Leader election")]
    renew_deadline: Duration,
    /// How often the leader renews
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = duration::parse, help_heading = "Leader election")]
    renew_period: Duration,
    /// How often the others look
    #[arg(long, value_name = "TIME", default_value = "2s", value_parser = duration::parse, help_heading = "Leader election")]
    retry_period: Duration,

    /// Time between two probes of a member cluster
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = duration::parse, help_heading = "Member clusters")]
    probe_interval: Duration,
    /// How long a probe may take
    #[arg(long, value_name = "TIME", default_value = "3s", value_parser = duration::parse, help_heading = "Member clusters")]
    probe_timeout: Duration,
    /// A member is unreachable after so many failed probes in a row ...
    #[arg(long, value_name = "NUMBER", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=1000), help_heading = "Member clusters")]
    probe_failures: u32,
    /// ... over at least this time
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = duration::parse, help_heading = "Member clusters")]
    probe_hold: Duration,
    /// Objects per page of a list
    #[arg(long, value_name = "NUMBER", default_value_t = 500, value_parser = clap::value_parser!(u32).range(1..=100_000), help_heading = "Member clusters")]
    page_size: u32,

    /// Writes at a time
    #[arg(long, value_name = "NUMBER", default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..=1024), help_heading = "Writing")]
    write_concurrency: u16,
    /// How long a write may take
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = duration::parse, help_heading = "Writing")]
    write_timeout: Duration,
    /// Kubernetes Events per second, on average
    #[arg(long, value_name = "NUMBER", default_value_t = 5.0, value_parser = rate, help_heading = "Writing")]
    events_per_second: f64,

    /// Name server that resolves the host names of load balancers [default: those of this machine]
    #[arg(long, value_name = "ADDRESS[:PORT]", value_parser = folder::name_server, help_heading = "Host names")]
    resolver: Option<SocketAddr>,
    /// A host name is looked up again no sooner than this
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = duration::parse, help_heading = "Host names")]
    resolve_min: Duration,
    /// And no later than this, whatever its TTL
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = duration::parse, help_heading = "Host names")]
    resolve_max: Duration,

    #[command(flatten)]
    log: LogArgs,
}

/// An address, or nowhere.
#[derive(Clone, Copy, Debug)]
struct Address(Option<SocketAddr>);

fn address(text: &str) -> Result<Address, String> {
    if text == "off" {
        return Ok(Address(None));
    }
    text.parse()
        .map(|address| Address(Some(address)))
        .map_err(|_| format!("`{text}` is not an address such as 0.0.0.0:8080 or [::1]:8080, or `off`"))
}

/// ConfigMaps by aspect.
#[derive(Clone, Debug, Default)]
struct DefaultPolicies(PolicyNames);

fn default_policies(text: &str) -> Result<DefaultPolicies, String> {
    let mut names = PolicyNames::default();
    for part in text.split(',') {
        let (aspect, name) =
            part.split_once('=').ok_or_else(|| format!("`{part}` is not ASPECT=NAME, such as naming=short-names"))?;
        if mcsdns_core::name::check_name(name).is_err() {
            return Err(format!("`{name}` is not a name of a ConfigMap"));
        }
        let slot = match aspect {
            "naming" => &mut names.naming,
            "selection" => &mut names.selection,
            "ttl" => &mut names.ttl,
            other => return Err(format!("`{other}` is no aspect; there are naming, selection and ttl")),
        };
        if slot.replace(name.into()).is_some() {
            return Err(format!("{aspect} is given twice"));
        }
    }
    Ok(DefaultPolicies(names))
}

fn rate(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(rate) if rate.is_finite() && rate > 0.0 => Ok(rate),
        Ok(_) | Err(_) => Err(format!("`{text}` is not a number above 0")),
    }
}

impl ControllerArgs {
    fn options(&self) -> Options {
        let mut options = Options {
            namespace: self.namespace.clone(),
            // `KUBECONFIG=` means none.
            kubeconfig: self.kubeconfig.clone().filter(|path| !path.as_os_str().is_empty()),
            context: self.context.clone(),
            endpoint_group: self.publish.group(),
            health_address: self.health_address.0,
            metrics_address: self.metrics_address.0,
            decide_threads: self.decide_threads.map(usize::from),
            index: self.publish.settings(),
            resolve: ResolveLimits {
                floor: self.resolve_min,
                cap: self.resolve_max.max(self.resolve_min),
                ..ResolveLimits::default()
            },
            shutdown_timeout: self.shutdown_timeout,
            ..Options::default()
        };
        let leader = &mut options.leader;
        leader.elect = self.leader_elect;
        leader.lease.clone_from(&self.lease_name);
        leader.identity = self.identity.clone().filter(|identity| !identity.is_empty());
        leader.lease_duration = self.lease_duration;
        leader.renew_deadline = self.renew_deadline;
        leader.renew_period = self.renew_period;
        leader.retry_period = self.retry_period;
        let probe = &mut options.members.probe;
        probe.interval = self.probe_interval;
        probe.timeout = self.probe_timeout;
        probe.failures = self.probe_failures;
        probe.over = self.probe_hold;
        options.requests.page_size = self.page_size;
        options.writer.workers = usize::from(self.write_concurrency);
        options.writer.timeout = self.write_timeout;
        options.writer.events_per_second = self.events_per_second;
        options
    }
}

/// Runs the controller.
pub(crate) fn run(args: &ControllerArgs) -> anyhow::Result<Verdict> {
    args.log.start(LOG_FILTER)?;
    let options = args.options();
    options.check().map_err(wrong)?;
    let listener = PolicyListener::new();
    let policy = folder::policy_with(&args.policy, listener.attach(SandboxDecider::new()))?;
    let pilot = policy
        .pilot(PilotOptions {
            namespace: args.namespace.as_str().into(),
            defaults: args.default_policies.clone().unwrap_or_default().0,
            settings: options.index.clone(),
            observer: Arc::new(listener.clone()),
        })
        .map_err(wrong)?;
    let domains = Some(ClusterPolicies { pilot, listener });
    let digest = policy.policies.first().map(|policy| policy.digest().to_string()).unwrap_or_default();
    tracing::info!(version = env!("CARGO_PKG_VERSION"), policy = &*policy.reference.title, digest, "mcsdns controller");
    let resolver = args.resolver;
    block_on(async move {
        let resolver: Arc<dyn Resolve> = Arc::new(match resolver {
            Some(address) => HickoryResolver::server(address)?,
            None => HickoryResolver::system()?,
        });
        let parts = Parts { decider: policy.decider, policies: policy.reference, digest, resolver, domains };
        let shutdown = CancellationToken::new();
        let stop = shutdown.clone();
        tokio::spawn(async move {
            match mcsdns_controller::terminated().await {
                Ok(()) => stop.cancel(),
                Err(error) => tracing::error!("signals cannot be listened to: {error}"),
            }
        });
        mcsdns_controller::run(options, parts, shutdown).await.map_err(classify)?;
        Ok(Verdict::Good)
    })
}

/// Settings and files that cannot be used are a wrong call; what the world does not give is not.
pub(super) fn classify(error: ControllerError) -> anyhow::Error {
    match error {
        ControllerError::Options(_) | ControllerError::Kubeconfig(_) | ControllerError::NotInCluster(_) => wrong(error),
        _ => error.into(),
    }
}
