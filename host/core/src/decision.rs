//! What a policy is asked and what it answered, in the host's own words.
//!
//! The shapes follow `wit/v0.1.0/policy.wit`: flat lists that refer to each other by index. Nothing here has been
//! checked yet; [`crate::guard`] decides what of an answer may be published.

use std::{net::IpAddr, sync::Arc};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// What one record asks for. Names are lower case without a final dot.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Subject {
    /// Name of the Service, which is the name of the record.
    pub service: Arc<str>,
    /// Namespace of the Service and of the record.
    pub namespace: Arc<str>,
    /// Name of the Domain object.
    pub federation: Arc<str>,
    /// DNS zone of the federation.
    pub domain: Arc<str>,
    /// `spec.externalName`.
    pub external_name: Option<Arc<str>>,
    /// `spec.dnsPrefix`.
    pub dns_prefix: Option<Arc<str>>,
    /// `spec.recordTTL` in seconds; `None` when absent or 0.
    pub record_ttl: Option<u32>,
    /// Annotations of the record that the policy declared to need, sorted by key.
    pub annotations: Vec<(Arc<str>, Arc<str>)>,
}

/// A zone of a region.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ZonePlace {
    /// Name of the zone, one DNS label.
    pub name: Arc<str>,
    /// Index into [`Places::regions`].
    pub region: u32,
}

/// Every place of the fleet, once. Shared by the decisions of all records.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Places {
    /// Sorted by name.
    pub regions: Vec<Arc<str>>,
    /// Sorted by region, then name.
    pub zones: Vec<ZonePlace>,
}

/// The level a name stands for; numbers are indexes into [`Places`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Place {
    /// All clusters.
    Everywhere,
    /// The clusters of a region.
    Region(u32),
    /// The clusters that have nodes in a zone.
    Zone(u32),
}

/// What is known of one cluster for one record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ClusterState {
    /// Has addresses and ready endpoints (or the record does not ask for endpoints).
    Serving,
    /// Has addresses but no ready endpoint.
    NoReadyEndpoints,
    /// The Service has no load-balancer address (or none that could be resolved).
    NoAddress,
    /// No Service of type LoadBalancer by that name.
    NoService,
    /// The API server of the cluster cannot be reached.
    Unreachable,
}

/// One cluster as a policy sees it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Cluster {
    /// Name of the member cluster. Always here for the host; passed on only when the policy needs it.
    pub name: Arc<str>,
    /// Index into [`Places::regions`].
    pub region: Option<u32>,
    /// Indexes into [`Places::zones`].
    pub zones: Vec<u32>,
    /// Labels the policy declared to need: index into its list of keys, value.
    pub labels: Vec<(u32, Arc<str>)>,
    /// Its state for this record.
    pub state: ClusterState,
    /// Seconds since the state began; `None` unless the policy needs ages.
    pub state_for_seconds: Option<u32>,
    /// Ready endpoints of the Service.
    pub ready_endpoints: u32,
    /// Addresses a policy may choose from: those of a serving cluster, the last known ones of an unreachable cluster
    /// within its grace period, none otherwise. Sorted, without duplicates.
    pub addresses: Vec<IpAddr>,
}

/// Everything one decision depends on.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct DecisionInput {
    /// The record.
    pub subject: Subject,
    /// The places of the fleet.
    pub places: Arc<Places>,
    /// Sorted by name.
    pub clusters: Vec<Cluster>,
}

/// Identifies the input of a decision together with the policies that answer it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct InputHash(pub [u8; 16]);

impl DecisionInput {
    /// Hash of the input as answered by the policies named `policies` (their digests and configurations).
    #[must_use]
    pub fn hash(&self, policies: &str) -> InputHash {
        let mut sink = HashSink(Sha256::new());
        sink.0.update(policies.as_bytes());
        std::hash::Hash::hash(self, &mut sink);
        let digest = sink.0.finalize();
        let mut short = [0; 16];
        short.iter_mut().zip(digest.iter()).for_each(|(to, from)| *to = *from);
        InputHash(short)
    }
}

/// Feeds the derived `Hash` implementations, which write lengths before contents, into a cryptographic hash.
struct HashSink(Sha256);

impl std::hash::Hasher for HashSink {
    fn finish(&self) -> u64 {
        0
    }
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }
}

/// What stands in for a name that nothing answers; numbers are indexes into [`DecisionOutput::names`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Fallback {
    /// Not published.
    Nothing,
    /// CNAME when nothing serves.
    AliasOf(u32),
    /// CNAME always.
    AlwaysAliasOf(u32),
}

/// A name that a policy wants.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Name {
    /// As the policy wrote it; not yet checked.
    pub fqdn: String,
    /// The level it stands for.
    pub place: Place,
    /// What stands in for it.
    pub fallback: Fallback,
}

/// One address, by index.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Target {
    /// Index into [`DecisionInput::clusters`].
    pub cluster: u32,
    /// Index into [`Cluster::addresses`].
    pub address: u32,
}

/// One of several answers of a name between which the DNS provider chooses.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WeightedSet {
    /// Unique per name.
    pub set_identifier: String,
    /// Its addresses.
    pub targets: Vec<Target>,
    /// Properties for the DNS provider, by name.
    pub provider_specific: Vec<(String, String)>,
}

/// What stands behind a name.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Answer {
    /// All addresses of these clusters.
    Clusters(Vec<u32>),
    /// These addresses.
    Targets(Vec<Target>),
    /// Several sets.
    Sets(Vec<WeightedSet>),
    /// What the name's fallback says.
    Otherwise,
    /// What is published stays.
    Keep,
}

/// Answer and reason for one name.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Decision {
    /// What stands behind the name.
    pub answer: Answer,
    /// Why, in the policy's words. May be empty.
    pub because: String,
    /// Ask again after so many seconds.
    pub recheck_after_seconds: Option<u32>,
}

/// Kind of an answer, as far as a TTL can depend on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AnswerKind {
    /// Addresses.
    Targets,
    /// Several sets of addresses.
    Sets,
    /// CNAME.
    Alias,
    /// What is published stays.
    Kept,
    /// Nothing.
    Nothing,
}

/// What the TTL aspect is told of one name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Outcome {
    /// The level of the name.
    pub place: Place,
    /// What stands behind it.
    pub kind: AnswerKind,
    /// Number of addresses.
    pub targets: u32,
    /// Clusters of the place that serve.
    pub serving: u32,
    /// Clusters of the place that are reachable and do not serve.
    pub not_serving: u32,
    /// Clusters of the place that cannot be reached.
    pub unreachable: u32,
    /// Seconds since any of them changed its state; `None` unless the policy needs ages.
    pub stable_for_seconds: Option<u32>,
}

/// A complete decision for one record, unchecked.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DecisionOutput {
    /// The names.
    pub names: Vec<Name>,
    /// One per name.
    pub decisions: Vec<Decision>,
    /// Seconds, one per name.
    pub ttls: Vec<u32>,
    /// The soonest time, in seconds, at which any aspect wants to be asked again.
    pub recheck_after_seconds: Option<u32>,
}

/// What a policy declares to need beyond the minimum; decides what goes into its input.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Needs {
    /// The addresses themselves, not only their number.
    pub addresses: bool,
    /// Names of clusters.
    pub cluster_names: bool,
    /// Keys of labels of clusters.
    pub cluster_labels: Vec<String>,
    /// Keys of annotations of records.
    pub annotations: Vec<String>,
    /// How many endpoints are ready, not only whether any is.
    pub ready_endpoints: bool,
    /// How long states have lasted.
    pub state_age: bool,
}

/// The policies that decide for a Domain, as far as the Index must know them.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PolicyRef {
    /// Digests and configurations of all aspects; a different id is a different decision.
    pub id: Arc<str>,
    /// For people: name and version, for example `default 0.1.0`.
    pub title: Arc<str>,
    /// Union of what its aspects need.
    pub needs: Needs,
}

/// Why there is no decision.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("policy {policy}: {message}")]
pub struct PolicyFailure {
    /// Name of the policy.
    pub policy: Arc<str>,
    /// Stable, CamelCase, for conditions and metrics; for example `Timeout` or `PolicyRefused`.
    pub reason: &'static str,
    /// For people.
    pub message: String,
}
