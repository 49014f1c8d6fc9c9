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
    pub zones: Arc<[u32]>,
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
    pub addresses: Arc<[IpAddr]>,
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

/// An input that no Index would ask: something in it refers to what is not there. Inputs of our own are in order; those
/// from files may not be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field} is {index}, but there are only {length} {what}")]
pub struct InputProblem {
    /// Which part, for example `clusters[3].region`.
    pub field: String,
    /// The index that points nowhere.
    pub index: u32,
    /// How many things there are.
    pub length: usize,
    /// Of what.
    pub what: &'static str,
}

impl InputProblem {
    /// Stable, CamelCase.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        "InputInconsistent"
    }
}

impl DecisionInput {
    /// Checks that every index points at something.
    ///
    /// # Errors
    /// The first that does not.
    pub fn check(&self) -> Result<(), InputProblem> {
        let (regions, zones) = (self.places.regions.len(), self.places.zones.len());
        let within = |index: u32, length: usize, what, field: &dyn Fn() -> String| match (index as usize) < length {
            true => Ok(()),
            false => Err(InputProblem { field: field(), index, length, what }),
        };
        for (i, zone) in self.places.zones.iter().enumerate() {
            within(zone.region, regions, "regions", &|| format!("places.zones[{i}].region"))?;
        }
        for (i, cluster) in self.clusters.iter().enumerate() {
            if let Some(region) = cluster.region {
                within(region, regions, "regions", &|| format!("clusters[{i}].region"))?;
            }
            for zone in &*cluster.zones {
                within(*zone, zones, "zones", &|| format!("clusters[{i}].zones"))?;
            }
        }
        Ok(())
    }
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn input() -> DecisionInput {
        DecisionInput {
            subject: Subject {
                service: "web".into(),
                namespace: "shop".into(),
                federation: "prod".into(),
                domain: "example.com".into(),
                external_name: None,
                dns_prefix: None,
                record_ttl: Some(60),
                annotations: vec![("a".into(), "b".into())],
            },
            places: Arc::new(Places {
                regions: vec!["eu".into()],
                zones: vec![ZonePlace { name: "eu1".into(), region: 0 }],
            }),
            clusters: vec![Cluster {
                name: "c1".into(),
                region: Some(0),
                zones: [0].into(),
                labels: vec![(0, "gold".into())],
                state: ClusterState::NoReadyEndpoints,
                state_for_seconds: None,
                ready_endpoints: 0,
                addresses: ["10.0.0.1".parse().unwrap()].into(),
            }],
        }
    }

    /// Bundles are kept for years; these names are a format.
    #[test]
    fn the_written_form_of_a_question_does_not_change() {
        let written = json!({
            "subject": {
                "service": "web", "namespace": "shop", "federation": "prod", "domain": "example.com",
                "externalName": null, "dnsPrefix": null, "recordTtl": 60, "annotations": [["a", "b"]]
            },
            "places": {"regions": ["eu"], "zones": [{"name": "eu1", "region": 0}]},
            "clusters": [{
                "name": "c1", "region": 0, "zones": [0], "labels": [[0, "gold"]], "state": "no-ready-endpoints",
                "stateForSeconds": null, "readyEndpoints": 0, "addresses": ["10.0.0.1"]
            }]
        });
        assert_eq!(serde_json::to_value(input()).unwrap(), written);
        assert_eq!(serde_json::from_value::<DecisionInput>(written).unwrap(), input());
    }

    #[test]
    fn the_written_form_of_an_answer_does_not_change() {
        let targets = vec![Target { cluster: 0, address: 1 }];
        let set = WeightedSet {
            set_identifier: "a".to_owned(),
            targets: targets.clone(),
            provider_specific: vec![("aws/weight".to_owned(), "1".to_owned())],
        };
        let answers = [
            Answer::Clusters(vec![0]),
            Answer::Targets(targets),
            Answer::Sets(vec![set]),
            Answer::Otherwise,
            Answer::Keep,
        ];
        let output = DecisionOutput {
            names: [
                (Place::Everywhere, Fallback::Nothing),
                (Place::Region(1), Fallback::AliasOf(0)),
                (Place::Zone(2), Fallback::AlwaysAliasOf(0)),
            ]
            .map(|(place, fallback)| Name { fqdn: "n".to_owned(), place, fallback })
            .to_vec(),
            decisions: answers
                .map(|answer| Decision { answer, because: "b".to_owned(), recheck_after_seconds: Some(5) })
                .to_vec(),
            ttls: vec![1],
            recheck_after_seconds: None,
        };
        let decision = |answer| json!({"answer": answer, "because": "b", "recheckAfterSeconds": 5});
        let written = json!({
            "names": [
                {"fqdn": "n", "place": "everywhere", "fallback": "nothing"},
                {"fqdn": "n", "place": {"region": 1}, "fallback": {"aliasOf": 0}},
                {"fqdn": "n", "place": {"zone": 2}, "fallback": {"alwaysAliasOf": 0}}
            ],
            "decisions": [
                decision(json!({"clusters": [0]})),
                decision(json!({"targets": [{"cluster": 0, "address": 1}]})),
                decision(json!({"sets": [{
                    "setIdentifier": "a", "targets": [{"cluster": 0, "address": 1}],
                    "providerSpecific": [["aws/weight", "1"]]
                }]})),
                decision(json!("otherwise")),
                decision(json!("keep"))
            ],
            "ttls": [1], "recheckAfterSeconds": null
        });
        assert_eq!(serde_json::to_value(&output).unwrap(), written);
        assert_eq!(serde_json::from_value::<DecisionOutput>(written).unwrap(), output);
    }

    #[test]
    fn indexes_that_point_nowhere_are_found() {
        assert_eq!(input().check(), Ok(()));
        let mut bad = input();
        bad.clusters[0].region = Some(1);
        assert_eq!(bad.check().unwrap_err().to_string(), "clusters[0].region is 1, but there are only 1 regions");
        let mut bad = input();
        bad.clusters[0].zones = [7].into();
        assert_eq!(bad.check().unwrap_err().field, "clusters[0].zones");
        let mut bad = input();
        Arc::make_mut(&mut bad.places).zones[0].region = 2;
        assert_eq!(bad.check().unwrap_err().field, "places.zones[0].region");
    }
}
