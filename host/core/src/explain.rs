//! Everything that can be told about one record, as a value. The CLI prints it.

use std::{net::IpAddr, sync::Arc};

use serde::Serialize;

use crate::{
    decision::ClusterState,
    ids::ObjectKey,
    plan::Endpoint,
    status::{ConditionStatus, RecordStatus},
};

/// What stands behind a record and why.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Explanation {
    /// `namespace/name`.
    pub record: String,
    /// The Domain object it names, and the zone when known.
    pub domain_ref: Option<Arc<str>>,
    /// The DNS zone.
    pub domain: Option<Arc<str>>,
    /// Policy that decides, for people.
    pub policy: Option<Arc<str>>,
    /// Conditions: type, status, reason, message.
    pub conditions: Vec<ExplainedCondition>,
    /// The clusters, sorted by name.
    pub clusters: Vec<ExplainedCluster>,
    /// The names, in the order of the policy.
    pub names: Vec<ExplainedName>,
    /// What is wanted in the DNSEndpoint.
    pub endpoints: Vec<Endpoint>,
    /// What to do, most important first. Empty when all is well.
    pub advice: Vec<String>,
}

/// A condition in short.
#[derive(Clone, Debug, Serialize)]
pub struct ExplainedCondition {
    /// Type.
    #[serde(rename = "type")]
    pub kind: Arc<str>,
    /// True, False or Unknown.
    pub status: &'static str,
    /// Stable.
    pub reason: Arc<str>,
    /// For people.
    pub message: Arc<str>,
}

/// What is known of one cluster for the record.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ExplainedCluster {
    /// Name.
    pub name: Arc<str>,
    /// Region in force.
    pub region: Option<Arc<str>>,
    /// Zones in force.
    pub zones: Vec<Arc<str>>,
    /// State.
    pub state: ClusterState,
    /// Since when, RFC 3339.
    pub since: Option<String>,
    /// `live`, `last known` ...
    pub source: &'static str,
    /// Addresses a policy may choose from.
    pub addresses: Vec<IpAddr>,
    /// Why it is so, in words that name the object to fix.
    pub because: String,
}

/// One name the policy wants.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ExplainedName {
    /// The name.
    pub name: Arc<str>,
    /// `everywhere`, `region us`, `zone us1 of us`.
    pub place: String,
    /// What is published for it: `A 10.0.0.1, 10.0.0.2`, `CNAME g.example.com`, `nothing`.
    pub answer: String,
    /// Seconds.
    pub ttl: Option<u32>,
    /// The policy's reason and the host's.
    pub because: String,
    /// Refusals by rule, if any: reason and message.
    pub refused: Vec<(Arc<str>, Arc<str>)>,
}

/// What to do about what a status says is wrong, most important first; empty when all is well.
#[must_use]
pub fn advice(record: &ObjectKey, status: &RecordStatus) -> Vec<String> {
    let mut advice: Vec<String> = Vec::new();
    // Conditions that are wrong for one reason have one remedy.
    let mut given: Vec<&str> = Vec::new();
    for condition in &status.conditions {
        let bad = if &*condition.kind == "Degraded" { ConditionStatus::True } else { ConditionStatus::False };
        if condition.status == bad {
            let remedy = remedy(&condition.reason).filter(|remedy| !given.contains(remedy));
            given.extend(remedy);
            advice.push(match remedy {
                Some(remedy) => format!("{}; {remedy}", condition.message),
                None => condition.message.to_string(),
            });
        }
    }
    if advice.is_empty() {
        return advice;
    }
    let ObjectKey { namespace, name } = record;
    for cluster in &*status.dns {
        let look = match cluster.state {
            Some(ClusterState::Unreachable) => {
                advice.push(format!(
                    "look at the conditions of MemberCluster {} in the host cluster: kubectl describe memberclusters -A",
                    cluster.cluster
                ));
                continue;
            }
            Some(ClusterState::NoReadyEndpoints) => format!(
                "see why no pod is ready: kubectl get endpointslices -n {namespace} -l kubernetes.io/service-name={name}"
            ),
            Some(ClusterState::NoAddress) => {
                format!("see what its load balancer waits for: kubectl describe service {name} -n {namespace}")
            }
            Some(ClusterState::Serving | ClusterState::NoService) | None => continue,
        };
        advice.push(format!("in cluster {}, {look}", cluster.cluster));
    }
    advice
}

/// What helps in general; messages name the object already.
fn remedy(reason: &str) -> Option<&'static str> {
    Some(match reason {
        "WriteFailed" => "the message is the API server's; deploy/ has the rights that the controller needs",
        "PolicyFailed" | "PolicyViolation" => "correct the policy, or take it out of the Domain's policies",
        "NameTooLong" | "LabelTooLongForFallback" => "shorten the name of the Service, its namespace or the Domain",
        "HostNameUnresolved" => "see whether the host name resolves where the controller runs",
        _ => return None,
    })
}
