//! `mcsdns controller`: flags become options.

use std::{net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use anyhow::Context;
use clap::ValueEnum;
use mcsdns_api::endpoint::EndpointGroup;
use mcsdns_controller::{
    Options, Parts,
    options::{LeaderOptions, MemberOptions, ProbeOptions, RequestOptions, WriterOptions},
};
use mcsdns_core::{index::Settings, name::TxtAffix};
use mcsdns_policy::Aspect;
use mcsdns_runtime::{
    Resolve, SandboxDecider,
    resolve::{HickoryResolver, ResolveLimits},
};
use tokio_util::sync::CancellationToken;

use crate::{
    exit::Outcome,
    logging::{self, LogArgs},
    policies,
};

/// Group of the DNSEndpoints.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Group {
    /// externaldns.k8s.io, read by every ExternalDNS from v0.21 on
    Externaldns,
    /// multiclusterdns.federation.k8s.io, that of the original guide, for ExternalDNS up to v0.20
    Guide,
}

/// Arguments of `controller`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// How the host cluster is reached; in a pod, its service account.
    #[arg(long, value_name = "FILE", env = "MCSDNS_KUBECONFIG", help_heading = "Host cluster")]
    kubeconfig: Option<PathBuf>,
    /// Context of the kubeconfig; its current one by default.
    #[arg(long, value_name = "NAME", help_heading = "Host cluster")]
    context: Option<String>,
    /// Namespace of Domains, MemberClusters, their Secrets and the Lease.
    #[arg(long, default_value = mcsdns_controller::options::NAMESPACE, env = "MCSDNS_NAMESPACE", help_heading = "Host cluster")]
    namespace: String,
    /// Group of the DNSEndpoints that are written.
    #[arg(long, value_enum, default_value = "externaldns", help_heading = "Host cluster")]
    dnsendpoint_group: Group,

    /// Let replicas agree on who writes.
    #[arg(long, default_value_t = true, action = clap::ArgAction::Set, help_heading = "Leader election")]
    leader_elect: bool,
    /// How long a leader that fell silent keeps its place.
    #[arg(long, default_value = "15s", value_parser = duration, help_heading = "Leader election")]
    lease_duration: Duration,
    /// How long a leader that cannot renew goes on writing.
    #[arg(long, default_value = "10s", value_parser = duration, help_heading = "Leader election")]
    renew_deadline: Duration,
    /// How often the leader renews.
    #[arg(long, default_value = "5s", value_parser = duration, help_heading = "Leader election")]
    renew_period: Duration,
    /// How often the others look.
    #[arg(long, default_value = "2s", value_parser = duration, help_heading = "Leader election")]
    retry_period: Duration,

    /// Where /livez and /readyz are answered; `none`: nowhere.
    #[arg(long, default_value = "0.0.0.0:8081", value_parser = address, help_heading = "Health and metrics")]
    health_address: Address,
    /// Where /metrics is answered; `none`: nowhere.
    #[arg(long, default_value = "0.0.0.0:8080", value_parser = address, help_heading = "Health and metrics")]
    metrics_address: Address,

    /// How long an unreachable cluster keeps its last known addresses, unless its Domain says otherwise: a time, 0 or
    /// `infinite`.
    #[arg(long, default_value = "300s", value_parser = grace, help_heading = "Member clusters")]
    unreachable_grace: Grace,
    /// Time between two probes of a member cluster.
    #[arg(long, default_value = "5s", value_parser = duration, help_heading = "Member clusters")]
    probe_interval: Duration,
    /// How long a probe may take.
    #[arg(long, default_value = "3s", value_parser = duration, help_heading = "Member clusters")]
    probe_timeout: Duration,
    /// Failed probes in a row that make a cluster unreachable.
    #[arg(long, default_value_t = 3, help_heading = "Member clusters")]
    probe_failures: u32,
    /// Least time from the first of them to the last.
    #[arg(long, default_value = "10s", value_parser = duration, help_heading = "Member clusters")]
    probe_hold: Duration,
    /// Name server for the host names of load balancers; those of /etc/resolv.conf by default.
    #[arg(long, value_name = "ADDRESS:PORT", help_heading = "Member clusters")]
    resolver: Option<SocketAddr>,

    /// Bytes that --txt-prefix and --txt-suffix of ExternalDNS add to the first label of a name.
    #[arg(long, default_value_t = 0, help_heading = "Names")]
    txt_affix_length: usize,
    /// The affix contains %{record_type}, which then stands for the type before the name.
    #[arg(long, help_heading = "Names")]
    txt_affix_replaces_type: bool,
    /// Most names one record may have.
    #[arg(long, default_value_t = Settings::default().max_names, help_heading = "Names")]
    max_names: usize,
    /// Most addresses one name may have.
    #[arg(long, default_value_t = Settings::default().max_targets, help_heading = "Names")]
    max_targets: usize,

    /// Writes to the host cluster at a time.
    #[arg(long, default_value_t = 16, help_heading = "Rates")]
    write_concurrency: usize,
    /// How long a write may take.
    #[arg(long, default_value = "10s", value_parser = duration, help_heading = "Rates")]
    write_timeout: Duration,
    /// Kubernetes Events per second on average.
    #[arg(long, default_value_t = 5.0, help_heading = "Rates")]
    events_per_second: f64,
    /// Threads that make decisions; one per core by default.
    #[arg(long, help_heading = "Rates")]
    decide_threads: Option<usize>,

    #[command(flatten)]
    log: LogArgs,
}

#[derive(Clone, Copy, Debug)]
struct Address(Option<SocketAddr>);

#[derive(Clone, Copy, Debug)]
struct Grace(Option<u32>);

fn address(text: &str) -> Result<Address, String> {
    if text == "none" {
        return Ok(Address(None));
    }
    text.parse().map(|address| Address(Some(address))).map_err(|_| "give an address and a port, or `none`".to_owned())
}

fn grace(text: &str) -> Result<Grace, String> {
    if text == "infinite" {
        return Ok(Grace(None));
    }
    let seconds = duration(text).map_err(|error| format!("{error}, or `infinite`"))?.as_secs();
    u32::try_from(seconds).map(|seconds| Grace(Some(seconds))).map_err(|_| "too long; give `infinite`".to_owned())
}

/// `90`, `90s`, `500ms`, `5m`, `1h`.
fn duration(text: &str) -> Result<Duration, String> {
    let split = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let number: u64 = number.parse().map_err(|_| "give a time such as 500ms, 90s, 5m or 1h".to_owned())?;
    let millis = match unit {
        "ms" => 1,
        "" | "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        other => return Err(format!("`{other}` is no unit of time; use ms, s, m or h")),
    };
    number.checked_mul(millis).map(Duration::from_millis).ok_or_else(|| "that is too long".to_owned())
}

fn options(args: &Args) -> Options {
    let defaults = Options::default();
    Options {
        namespace: args.namespace.clone(),
        kubeconfig: args.kubeconfig.clone(),
        context: args.context.clone(),
        endpoint_group: match args.dnsendpoint_group {
            Group::Externaldns => EndpointGroup::ExternalDns,
            Group::Guide => EndpointGroup::Guide,
        },
        leader: LeaderOptions {
            elect: args.leader_elect,
            lease_duration: args.lease_duration,
            renew_deadline: args.renew_deadline,
            renew_period: args.renew_period,
            retry_period: args.retry_period,
            ..defaults.leader
        },
        members: MemberOptions {
            probe: ProbeOptions {
                interval: args.probe_interval,
                timeout: args.probe_timeout,
                failures: args.probe_failures,
                over: args.probe_hold,
            },
        },
        requests: RequestOptions::default(),
        writer: WriterOptions {
            workers: args.write_concurrency,
            timeout: args.write_timeout,
            events_per_second: args.events_per_second,
            ..defaults.writer
        },
        health_address: args.health_address.0,
        metrics_address: args.metrics_address.0,
        decide_threads: args.decide_threads,
        index: Settings {
            grace_seconds: args.unreachable_grace.0,
            txt_affix: TxtAffix { label: args.txt_affix_length, replaces_type: args.txt_affix_replaces_type },
            max_names: args.max_names,
            max_targets: args.max_targets,
            ..Settings::default()
        },
        resolve: ResolveLimits::default(),
        shutdown_timeout: defaults.shutdown_timeout,
    }
}

pub(crate) fn run(args: Args) -> anyhow::Result<Outcome> {
    logging::start(&args.log, mcsdns_controller::LOG_FILTER)?;
    let options = options(&args);
    options.check()?;
    let set = policies::in_the_box()?;
    let digest = set.policy(Aspect::Naming).digest().to_string();
    let policies = set.policy_ref();
    let decider = Arc::new(SandboxDecider::with(set));
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("cannot start threads")?;
    runtime.block_on(async {
        let resolver: Arc<dyn Resolve> = match args.resolver {
            Some(address) => Arc::new(HickoryResolver::server(address)?),
            None => Arc::new(HickoryResolver::system()?),
        };
        let shutdown = CancellationToken::new();
        let signal = shutdown.clone();
        let listening = tokio::spawn(async move {
            let result = mcsdns_controller::terminated().await;
            signal.cancel();
            result
        });
        tracing::info!(version = env!("CARGO_PKG_VERSION"), policy = %policies.title, %digest, "mcsdns starts");
        mcsdns_controller::run(options, Parts { decider, policies, digest, resolver }, shutdown).await?;
        listening.abort();
        tracing::info!("mcsdns ends");
        Ok(Outcome::Good)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times() {
        assert_eq!(duration("90"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(duration("5m"), Ok(Duration::from_secs(300)));
        for bad in ["", "s", "5 m", "1d", "-1s", "99999999999999999999s"] {
            assert!(duration(bad).is_err(), "{bad}");
        }
        assert!(grace("infinite").is_ok_and(|grace| grace.0.is_none()));
        assert!(grace("0").is_ok_and(|grace| grace.0 == Some(0)));
        assert!(address("none").is_ok_and(|address| address.0.is_none()));
    }
}
