//! The statuses that are written, as values.

use std::sync::Arc;

use jiff::Timestamp;

use crate::{decision::ClusterState, facts::Ingress, ids::ClusterName, plan::RecordType, reason::Reason};

/// Value of a condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ConditionStatus {
    /// Holds.
    True,
    /// Does not hold.
    False,
    /// Not known.
    Unknown,
}

impl ConditionStatus {
    /// As written in Kubernetes.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::True => "True",
            Self::False => "False",
            Self::Unknown => "Unknown",
        }
    }
}

/// A condition in the manner of `metav1.Condition`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    /// `Accepted`, `Programmed`, `Degraded`, `Ready`, `PoliciesReady`.
    pub kind: Arc<str>,
    /// Value.
    pub status: ConditionStatus,
    /// CamelCase. A [`Reason`] when ours; anything when read from an older version.
    pub reason: Arc<str>,
    /// For people.
    pub message: Arc<str>,
    /// When `status` last changed.
    pub since: Timestamp,
    /// `metadata.generation` that was looked at.
    pub observed_generation: i64,
}

/// One entry of `status.dns[]`: the last observation of one cluster for the record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterDns {
    /// Name of the cluster.
    pub cluster: ClusterName,
    /// Region, lower case; absent when not known.
    pub region: Option<Arc<str>>,
    /// Zones, sorted.
    pub zones: Arc<[Arc<str>]>,
    /// Addresses that count: those of a serving cluster, the last known ones of an unreachable or unsynced one.
    pub ingress: Arc<[Ingress]>,
    /// Ours: last answers for the host names in `ingress`, so that they survive a restart.
    pub resolved: Vec<ResolvedHost>,
    /// Ours: the state.
    pub state: Option<ClusterState>,
    /// Ours: since when.
    pub since: Option<Timestamp>,
}

/// The last answer for a host name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResolvedHost {
    /// The host name.
    pub hostname: Arc<str>,
    /// Sorted.
    pub addresses: Arc<[std::net::IpAddr]>,
}

/// A name that is wanted but not published (or not as wanted).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Withheld {
    /// The name, as the policy wrote it.
    pub name: Arc<str>,
    /// The type that is missing; `None`: all of them.
    pub record_type: Option<RecordType>,
    /// Stable.
    pub reason: Arc<str>,
    /// For people: rule, value, what to do.
    pub message: Arc<str>,
}

/// Summary of what is published.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PublishedSummary {
    /// Name of the DNSEndpoint; absent when there is none.
    pub dns_endpoint: Option<Arc<str>>,
    /// Number of distinct names.
    pub names: u32,
    /// Number of endpoints (name and type).
    pub endpoints: u32,
    /// Policy that decided, for people, for example `default 0.1.0`.
    pub policy: Option<Arc<str>>,
}

/// `ServiceDNSRecord.status`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecordStatus {
    /// The DNS zone.
    pub domain: Option<Arc<str>>,
    /// Sorted by cluster.
    pub dns: Arc<[ClusterDns]>,
    /// `metadata.generation` that was looked at.
    pub observed_generation: i64,
    /// Accepted, Programmed, Degraded.
    pub conditions: Vec<Condition>,
    /// What is published.
    pub published: PublishedSummary,
    /// What is not, bounded; sorted by name.
    pub withheld: Vec<Withheld>,
}

/// `Domain.status`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DomainStatus {
    /// `metadata.generation` that was looked at.
    pub observed_generation: i64,
    /// Accepted, and PoliciesReady where policies other than the one in the box are wanted.
    pub conditions: Vec<Condition>,
    /// The aspects for which another policy than the one in the box is wanted or decides, in the order in which they are
    /// asked. The durable memory of what was good: a process that starts recognises it here.
    pub policies: Vec<PolicyStatus>,
}

/// One entry of `Domain.status.policies[]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyStatus {
    /// `naming`, `selection` or `ttl`.
    pub aspect: Arc<str>,
    /// The ConfigMap that is wanted; `None`: the policy in the box.
    pub config_map: Option<Arc<str>>,
    /// What decides.
    pub active: Option<ActivePolicy>,
    /// What was wanted and does not decide (yet).
    pub candidate: Option<CandidatePolicy>,
}

/// A policy that decides, or did before the process that says so was started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ActivePolicy {
    /// Where it comes from; `None`: the box.
    pub config_map: Option<Arc<str>>,
    /// Name and version, as the policy says.
    pub policy: Arc<str>,
    /// sha256 of the component.
    pub digest: Arc<str>,
    /// Tells apart component, configuration and budget together.
    pub revision: Arc<str>,
    /// Since when.
    pub since: Timestamp,
}

/// A policy that is wanted and does not decide.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CandidatePolicy {
    /// Name and version, as the policy says, if it came that far.
    pub policy: Option<Arc<str>>,
    /// sha256 of the component, if there is one.
    pub digest: Option<Arc<str>>,
    /// As [`ActivePolicy::revision`].
    pub revision: Option<Arc<str>>,
    /// Identifies all policies that would take over together; the value of the annotation that allows it.
    pub rollout: Option<Arc<str>>,
    /// Why it does not decide: stable, CamelCase.
    pub verdict: Arc<str>,
    /// The same in words.
    pub message: Arc<str>,
    /// Since when.
    pub since: Timestamp,
}

/// `MemberCluster.status`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MemberStatus {
    /// `metadata.generation` that was looked at.
    pub observed_generation: i64,
    /// Ready, PlacesKnown.
    pub conditions: Vec<Condition>,
    /// Region in force.
    pub region: Option<Arc<str>>,
    /// Zones in force, sorted.
    pub zones: Vec<Arc<str>>,
    /// Kubernetes version.
    pub version: Option<Arc<str>>,
    /// Nodes known.
    pub nodes: u32,
    /// Services of type LoadBalancer known.
    pub services: u32,
}

impl Condition {
    /// A condition with one of our reasons.
    #[must_use]
    pub fn new(kind: &str, status: ConditionStatus, reason: Reason, message: impl Into<Arc<str>>) -> Self {
        Self {
            kind: kind.into(),
            status,
            reason: reason.as_str().into(),
            message: message.into(),
            since: Timestamp::UNIX_EPOCH,
            observed_generation: 0,
        }
    }
}
