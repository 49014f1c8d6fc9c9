//! Everything that can be told about one record, as a value. The CLI prints it.

use std::{net::IpAddr, sync::Arc};

use serde::Serialize;

use crate::{decision::ClusterState, plan::Endpoint};

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
