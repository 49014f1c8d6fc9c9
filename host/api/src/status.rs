//! Statuses as server-side-apply patches: always the complete desired set, so that what is left out is given up.

use mcsdns_core::{
    decision::ClusterState,
    facts::Ingress,
    ids::{ClusterName, ObjectKey},
    status::{ClusterDns, Condition, DomainStatus, MemberStatus, PolicyStatus, RecordStatus, Withheld},
};
use serde::Serialize;

use crate::{
    API_VERSION, condition,
    condition::bounded,
    domain, member,
    record::{self, LoadBalancer, LoadBalancerIngress, Resolved},
};

/// A patch of the status subresource, for `Api::patch_status` with `Patch::Apply` and [`crate::metadata::MANAGER_STATUS`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StatusPatch<S> {
    /// Of the object.
    pub api_version: &'static str,
    /// Of the object.
    pub kind: &'static str,
    /// Of the object.
    pub metadata: PatchMeta,
    /// The whole status.
    pub status: S,
}

/// Which object a patch is for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PatchMeta {
    /// Its name.
    pub name: String,
    /// Its namespace.
    pub namespace: String,
}

fn patch<S>(kind: &'static str, namespace: &str, name: &str, status: S) -> StatusPatch<S> {
    StatusPatch {
        api_version: API_VERSION,
        kind,
        metadata: PatchMeta { name: name.to_owned(), namespace: namespace.to_owned() },
        status,
    }
}

/// The patch for the status of a ServiceDNSRecord.
#[must_use]
pub fn record(record: &ObjectKey, status: &RecordStatus) -> StatusPatch<record::ServiceDnsRecordStatus> {
    patch("ServiceDNSRecord", &record.namespace, &record.name, status.into())
}

/// The patch for the status of a Domain in the namespace of the controller.
#[must_use]
pub fn domain(namespace: &str, name: &str, status: &DomainStatus) -> StatusPatch<domain::DomainStatus> {
    patch("Domain", namespace, name, status.into())
}

/// The patch for the status of a MemberCluster in the namespace of the controller.
#[must_use]
pub fn member(namespace: &str, name: &ClusterName, status: &MemberStatus) -> StatusPatch<member::MemberClusterStatus> {
    patch("MemberCluster", namespace, name.as_str(), status.into())
}

/// A cluster state as written in statuses; the same words as in `explain` and in the interface of policies.
#[must_use]
pub const fn state_text(state: ClusterState) -> &'static str {
    match state {
        ClusterState::Serving => "serving",
        ClusterState::NoReadyEndpoints => "no-ready-endpoints",
        ClusterState::NoAddress => "no-address",
        ClusterState::NoService => "no-service",
        ClusterState::Unreachable => "unreachable",
    }
}

/// The reverse of [`state_text`].
#[must_use]
pub fn state_from_text(text: &str) -> Option<ClusterState> {
    [
        ClusterState::Serving,
        ClusterState::NoReadyEndpoints,
        ClusterState::NoAddress,
        ClusterState::NoService,
        ClusterState::Unreachable,
    ]
    .into_iter()
    .find(|state| state_text(*state) == text)
}

fn conditions(conditions: &[Condition]) -> Vec<condition::Condition> {
    conditions.iter().map(Into::into).collect()
}

fn texts<T: ToString>(all: &[T]) -> Vec<String> {
    all.iter().map(ToString::to_string).collect()
}

impl From<&RecordStatus> for record::ServiceDnsRecordStatus {
    fn from(status: &RecordStatus) -> Self {
        let published = &status.published;
        Self {
            domain: status.domain.as_ref().map(ToString::to_string),
            dns: status.dns.iter().map(Into::into).collect(),
            observed_generation: status.observed_generation,
            conditions: conditions(&status.conditions),
            published: record::Published {
                dns_endpoint: published.dns_endpoint.as_ref().map(ToString::to_string),
                names: published.names.into(),
                endpoints: published.endpoints.into(),
                policy: published.policy.as_ref().map(|text| bounded(text, 1024)),
            },
            withheld: status.withheld.iter().map(Into::into).collect(),
        }
    }
}

impl From<&ClusterDns> for record::ClusterDns {
    fn from(dns: &ClusterDns) -> Self {
        Self {
            cluster: dns.cluster.to_string(),
            region: dns.region.as_deref().unwrap_or_default().to_owned(),
            zones: texts(&dns.zones),
            load_balancer: LoadBalancer { ingress: dns.ingress.iter().map(Into::into).collect() },
            state: dns.state.map_or("", state_text).to_owned(),
            since: dns.since.map(|since| since.to_string()),
            resolved: dns
                .resolved
                .iter()
                .map(|host| Resolved { hostname: host.hostname.to_string(), addresses: texts(&host.addresses) })
                .collect(),
        }
    }
}

impl From<&Ingress> for LoadBalancerIngress {
    fn from(ingress: &Ingress) -> Self {
        match ingress {
            Ingress::Ip(ip) => Self { ip: Some(ip.to_string()), hostname: None },
            Ingress::HostName(name) => Self { ip: None, hostname: Some(name.to_string()) },
        }
    }
}

impl From<&Withheld> for record::Withheld {
    fn from(withheld: &Withheld) -> Self {
        Self {
            name: bounded(&withheld.name, 1024),
            record_type: withheld.record_type.map(|record_type| record_type.as_str().to_owned()),
            reason: bounded(&withheld.reason, condition::MAX_REASON),
            message: bounded(&withheld.message, condition::MAX_MESSAGE),
        }
    }
}

impl From<&DomainStatus> for domain::DomainStatus {
    fn from(status: &DomainStatus) -> Self {
        Self {
            observed_generation: status.observed_generation,
            conditions: conditions(&status.conditions),
            policies: status.policies.iter().map(Into::into).collect(),
        }
    }
}

impl From<&PolicyStatus> for domain::PolicyStatus {
    fn from(status: &PolicyStatus) -> Self {
        let text = |text: &Option<std::sync::Arc<str>>| text.as_ref().map(ToString::to_string);
        Self {
            aspect: status.aspect.to_string(),
            config_map: text(&status.config_map),
            active: status.active.as_ref().map(|active| domain::ActivePolicy {
                config_map: text(&active.config_map),
                policy: bounded(&active.policy, 256),
                digest: active.digest.to_string(),
                revision: active.revision.to_string(),
                since: active.since.to_string(),
            }),
            candidate: status.candidate.as_ref().map(|candidate| domain::CandidatePolicy {
                policy: candidate.policy.as_ref().map(|text| bounded(text, 256)),
                digest: text(&candidate.digest),
                revision: text(&candidate.revision),
                rollout: text(&candidate.rollout),
                verdict: bounded(&candidate.verdict, condition::MAX_REASON),
                message: bounded(&candidate.message, condition::MAX_MESSAGE),
                since: candidate.since.to_string(),
            }),
        }
    }
}

impl From<&MemberStatus> for member::MemberClusterStatus {
    fn from(status: &MemberStatus) -> Self {
        Self {
            observed_generation: status.observed_generation,
            conditions: conditions(&status.conditions),
            region: status.region.as_ref().map(ToString::to_string),
            zones: texts(&status.zones),
            kubernetes_version: status.version.as_ref().map(|text| bounded(text, 253)),
            nodes: status.nodes.into(),
            services: status.services.into(),
        }
    }
}
