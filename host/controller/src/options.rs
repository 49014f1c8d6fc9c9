//! Every setting of the controller, with its default. The command line is built from these.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use mcsdns_api::endpoint::EndpointGroup;
use mcsdns_core::index::Settings;
use mcsdns_runtime::resolve::ResolveLimits;

/// Namespace of the controller unless told otherwise, as in the original guide.
pub const NAMESPACE: &str = "federation-system";
/// Name of the Lease that decides who writes.
pub const LEASE: &str = "mcsdns-controller";

/// Settings of the controller.
#[derive(Clone, Debug)]
pub struct Options {
    /// Namespace of Domains, MemberClusters, their Secrets and the Lease.
    pub namespace: String,
    /// How the host cluster is reached; `None`: from inside it, with the service account of the pod.
    pub kubeconfig: Option<PathBuf>,
    /// Context of the kubeconfig; `None`: its current one.
    pub context: Option<String>,
    /// Group and version in which DNSEndpoints are read and written.
    pub endpoint_group: EndpointGroup,
    /// Who writes.
    pub leader: LeaderOptions,
    /// Member clusters.
    pub members: MemberOptions,
    /// All requests to API servers.
    pub requests: RequestOptions,
    /// Writes to the host cluster.
    pub writer: WriterOptions,
    /// Where `/livez` and `/readyz` are answered; `None`: nowhere.
    pub health_address: Option<SocketAddr>,
    /// Where `/metrics` is answered; `None`: nowhere. May be the same as `health_address`.
    pub metrics_address: Option<SocketAddr>,
    /// Threads that make decisions; `None`: one per core.
    pub decide_threads: Option<usize>,
    /// What decides how records are published.
    pub index: Settings,
    /// How often host names of load balancers are looked up.
    pub resolve: ResolveLimits,
    /// How long an orderly end may take before the rest is given up.
    pub shutdown_timeout: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            namespace: NAMESPACE.to_owned(),
            kubeconfig: None,
            context: None,
            endpoint_group: EndpointGroup::default(),
            leader: LeaderOptions::default(),
            members: MemberOptions::default(),
            requests: RequestOptions::default(),
            writer: WriterOptions::default(),
            health_address: None,
            metrics_address: None,
            decide_threads: None,
            index: Settings::default(),
            resolve: ResolveLimits::default(),
            shutdown_timeout: Duration::from_secs(10),
        }
    }
}

impl Options {
    /// Checks what the types cannot say.
    ///
    /// # Errors
    /// The first setting that makes no sense, with the reason.
    pub fn check(&self) -> Result<(), OptionsError> {
        let refuse = |setting, rule| Err(OptionsError { setting, rule });
        if self.namespace.is_empty() {
            return refuse("namespace", "must not be empty");
        }
        let leader = &self.leader;
        if leader.lease_duration < Duration::from_secs(1) {
            return refuse("lease duration", "must be at least 1 s, the unit of a Lease");
        }
        if leader.renew_deadline >= leader.lease_duration {
            return refuse("renew deadline", "must be below the lease duration, or two could write at a time");
        }
        if leader.renew_period.saturating_mul(2) > leader.renew_deadline || leader.renew_period.is_zero() {
            return refuse("renew period", "must be above 0 and fit twice into the renew deadline");
        }
        let probe = &self.members.probe;
        if probe.interval.is_zero() || probe.timeout.is_zero() {
            return refuse("probe interval and timeout", "must be above 0");
        }
        if probe.failures == 0 {
            return refuse("probe failures", "must be at least 1");
        }
        let requests = &self.requests;
        if [requests.connect_timeout, requests.request_timeout, requests.list_timeout].contains(&Duration::ZERO) {
            return refuse("timeouts of requests", "must be above 0");
        }
        if !(5..=290).contains(&requests.watch_timeout.as_secs()) {
            return refuse("watch timeout", "must be between 5 s and 290 s, what API servers allow");
        }
        if requests.page_size == 0 {
            return refuse("page size", "must be at least 1");
        }
        if self.writer.workers == 0 {
            return refuse("writers", "must be at least 1");
        }
        Ok(())
    }
}

/// A setting that makes no sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{setting} {rule}")]
pub struct OptionsError {
    /// Which.
    pub setting: &'static str,
    /// What it breaks.
    pub rule: &'static str,
}

/// Which of several replicas writes.
#[derive(Clone, Debug)]
pub struct LeaderOptions {
    /// `false`: this process writes, whoever else does.
    pub elect: bool,
    /// Name of the Lease in the controller's namespace.
    pub lease: String,
    /// Name of this process, unique among the replicas; `None`: host name and a random part.
    pub identity: Option<String>,
    /// How long a leader that fell silent keeps its place.
    pub lease_duration: Duration,
    /// How long a leader that cannot renew goes on writing. The rest of the lease is left for requests under way.
    pub renew_deadline: Duration,
    /// How often the leader renews.
    pub renew_period: Duration,
    /// How often the others look, and how soon a failed renewal is repeated.
    pub retry_period: Duration,
}

impl Default for LeaderOptions {
    fn default() -> Self {
        Self {
            elect: true,
            lease: LEASE.to_owned(),
            identity: None,
            lease_duration: Duration::from_secs(15),
            renew_deadline: Duration::from_secs(10),
            renew_period: Duration::from_secs(5),
            retry_period: Duration::from_secs(2),
        }
    }
}

/// How member clusters are watched.
#[derive(Clone, Debug, Default)]
pub struct MemberOptions {
    /// When a member counts as unreachable.
    pub probe: ProbeOptions,
}

/// When a cluster counts as unreachable: so many failed probes in a row, over at least so long a time.
#[derive(Clone, Copy, Debug)]
pub struct ProbeOptions {
    /// Time between the beginnings of two probes.
    pub interval: Duration,
    /// How long one may take.
    pub timeout: Duration,
    /// Failures in a row.
    pub failures: u32,
    /// Least time from the first of them to the last.
    pub over: Duration,
}

impl Default for ProbeOptions {
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(5),
            timeout: Duration::from_secs(3),
            failures: 3,
            over: Duration::from_secs(10),
        }
    }
}

/// Bounds of every request to an API server.
#[derive(Clone, Debug)]
pub struct RequestOptions {
    /// For the connection.
    pub connect_timeout: Duration,
    /// Until an answer begins.
    pub request_timeout: Duration,
    /// Until a page of a list has arrived.
    pub list_timeout: Duration,
    /// After so long a watch is begun anew where it was. Also the longest time for which a watch that silently died
    /// goes unnoticed, should nothing else notice.
    pub watch_timeout: Duration,
    /// Objects per page of a list.
    pub page_size: u32,
    /// Objects per list; a server that offers more is not believed.
    pub max_objects: usize,
    /// Bytes per answer.
    pub max_response_bytes: usize,
    /// First pause after a failed list or watch; it doubles.
    pub retry_first: Duration,
    /// Longest pause.
    pub retry_longest: Duration,
}

impl Default for RequestOptions {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(5),
            request_timeout: Duration::from_secs(10),
            list_timeout: Duration::from_secs(60),
            watch_timeout: Duration::from_secs(120),
            page_size: 500,
            max_objects: 1_000_000,
            max_response_bytes: 256 << 20,
            retry_first: Duration::from_millis(500),
            retry_longest: Duration::from_secs(30),
        }
    }
}

/// How the host cluster is written to.
#[derive(Clone, Debug)]
pub struct WriterOptions {
    /// Requests at a time. There is no other limit: the API server sets the pace.
    pub workers: usize,
    /// How long one may take.
    pub timeout: Duration,
    /// First pause after a failed write; it doubles.
    pub retry_first: Duration,
    /// Longest pause. Writes are retried for ever while they are wanted.
    pub retry_longest: Duration,
    /// Kubernetes Events per second on average, for all objects together.
    pub events_per_second: f64,
    /// Events that may be sent at once.
    pub events_burst: u32,
}

impl Default for WriterOptions {
    fn default() -> Self {
        Self {
            workers: 16,
            timeout: Duration::from_secs(10),
            retry_first: Duration::from_millis(200),
            retry_longest: Duration::from_secs(60),
            events_per_second: 5.0,
            events_burst: 50,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_make_sense() {
        assert_eq!(Options::default().check(), Ok(()));
    }

    #[test]
    fn every_rule_is_checked() {
        type Breaks = fn(&mut Options);
        let broken: [(&str, Breaks); 9] = [
            ("namespace", |o| o.namespace.clear()),
            ("lease duration", |o| o.leader.lease_duration = Duration::from_millis(10)),
            ("renew deadline", |o| o.leader.renew_deadline = o.leader.lease_duration),
            ("renew period", |o| o.leader.renew_period = o.leader.renew_deadline),
            ("probe interval and timeout", |o| o.members.probe.timeout = Duration::ZERO),
            ("probe failures", |o| o.members.probe.failures = 0),
            ("timeouts of requests", |o| o.requests.list_timeout = Duration::ZERO),
            ("watch timeout", |o| o.requests.watch_timeout = Duration::ZERO),
            ("writers", |o| o.writer.workers = 0),
        ];
        for (setting, spoil) in broken {
            let mut options = Options::default();
            spoil(&mut options);
            assert_eq!(options.check().unwrap_err().setting, setting);
        }
    }
}
