//! `Domain`: the DNS zone of a federation.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::core::TypeMeta;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::condition::Condition;

/// A Domain is the DNS zone of a federation. Its object name is the federation label in names:
/// `service.namespace.federation.svc.domain`. Domains live in the namespace of the controller.
///
/// The fields are at the top level, without a spec, because they were so in Federation v2.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [
    {
        "rule": "size(self.metadata.name) <= 63 && !self.metadata.name.contains('.')",
        "message": "metadata.name: must be one DNS label (at most 63 letters, digits and inner hyphens, no dots), because it becomes a label of every name",
    },
    {
        "rule": "!has(self.minTTL) || !has(self.maxTTL) || self.minTTL <= self.maxTTL",
        "message": "must not be above maxTTL",
        "fieldPath": ".minTTL",
    },
]))]
pub struct Domain {
    /// apiVersion and kind.
    #[serde(flatten, default, skip_serializing_if = "Option::is_none")]
    #[schemars(skip)]
    pub types: Option<TypeMeta>,
    /// Metadata.
    #[serde(default)]
    #[schemars(skip)]
    pub metadata: ObjectMeta,
    /// The DNS zone under which names are published, for example `example.com`. Upper case and a final dot are accepted
    /// and have no meaning. ExternalDNS must be allowed to write this zone.
    #[schemars(
        length(min = 1, max = 254),
        extend("x-kubernetes-validations" = [{
            "rule": "self.matches('^[A-Za-z0-9]([-A-Za-z0-9]{0,61}[A-Za-z0-9])?([.][A-Za-z0-9]([-A-Za-z0-9]{0,61}[A-Za-z0-9])?)*[.]?$')",
            "message": "must be a DNS name such as example.com: labels of 1 to 63 letters, digits and inner hyphens, separated by dots",
        }])
    )]
    pub domain: String,
    /// Host name or address of the authoritative name server of the zone. Optional; kept for tools that verify what is
    /// answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(max = 254),
        extend("x-kubernetes-validations" = [{
            "rule": "self.matches('^([0-9A-Fa-f:.]+|[A-Za-z0-9]([-A-Za-z0-9]{0,61}[A-Za-z0-9])?([.][A-Za-z0-9]([-A-Za-z0-9]{0,61}[A-Za-z0-9])?)*[.]?)?$')",
            "message": "must be a host name such as ns1.example.com or an IP address",
        }])
    )]
    pub name_server: Option<String>,
    /// Policies that decide instead of the one in the box. Absent: the policy in the box, which implements
    /// `service.namespace.federation.svc[.zone][.region].domain`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policies: Option<Policies>,
    /// What happens to the names of a record when its Service serves nowhere any more although every cluster was asked:
    /// `keep` (the default) leaves what was last published, `withdraw` removes the names.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("enum" = ["keep", "withdraw"]))]
    pub when_empty: Option<String>,
    /// How many seconds the last known addresses of a cluster stay published after its API server stopped answering.
    /// 0: none at all; -1: for ever. Absent: what the controller was started with (300 unless changed).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = -1, max = 31_536_000))]
    pub unreachable_grace_seconds: Option<i64>,
    /// Smallest TTL in seconds of a published name; shorter ones are raised to it.
    #[serde(rename = "minTTL", skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 2_147_483_647))]
    pub min_ttl: Option<i64>,
    /// Largest TTL in seconds of a published name; longer ones are lowered to it.
    #[serde(rename = "maxTTL", skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 2_147_483_647))]
    pub max_ttl: Option<i64>,
    /// What the controller says about the Domain. Not to be edited.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<DomainStatus>,
}

impl Domain {
    /// An object that can be applied.
    #[must_use]
    pub fn new(namespace: &str, name: &str, domain: &str) -> Self {
        Self {
            types: crate::types("Domain"),
            metadata: ObjectMeta {
                namespace: Some(namespace.to_owned()),
                name: Some(name.to_owned()),
                ..ObjectMeta::default()
            },
            domain: domain.to_owned(),
            ..Self::default()
        }
    }
}

/// Names of ConfigMaps in the namespace of the controller that carry the label
/// `multiclusterdns.federation.k8s.io/policy: "true"`. An aspect that is not given stays with the policy in the box.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Policies {
    /// Policy that decides which names a record gets.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub naming: Option<String>,
    /// Policy that decides what stands behind each name.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub selection: Option<String>,
    /// Policy that decides the TTL of each name.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub ttl: Option<String>,
    /// Share of the published names, in percent, that a change of policies may remove without being asked for. A change
    /// that removes more waits until the annotation `multiclusterdns.federation.k8s.io/allow-removal` allows it; the
    /// status says with which value. Absent: 30.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 100))]
    pub max_removed_percent: Option<i64>,
    /// What happens to a record while these policies fail to answer: `keep` (the default) leaves what is published,
    /// `default` lets the policy in the box answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("enum" = ["keep", "default"]))]
    pub on_failure: Option<String>,
}

/// What the controller says about a Domain.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DomainStatus {
    /// The metadata.generation that was looked at.
    #[serde(default)]
    #[schemars(range(min = 0))]
    pub observed_generation: i64,
    /// Accepted: the Domain is understood and its records are acted on. PoliciesReady: the policies that it names decide,
    /// and do so without failing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 16),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"])
    )]
    pub conditions: Vec<Condition>,
    /// What decides for which aspect, where that is not simply the policy in the box, and what was wanted but does not
    /// decide. Kept through restarts: the controller recognises here what was good.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 3),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["aspect"])
    )]
    pub policies: Vec<PolicyStatus>,
}

/// Which policy decides for one aspect, and which one was wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PolicyStatus {
    /// The aspect: naming, selection or ttl.
    #[schemars(extend("enum" = ["naming", "selection", "ttl"]))]
    pub aspect: String,
    /// The ConfigMap that is wanted. Absent: the policy in the box.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub config_map: Option<String>,
    /// What decides, or did so last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub active: Option<ActivePolicy>,
    /// What is wanted and does not decide, and why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub candidate: Option<CandidatePolicy>,
}

/// A policy that decides, or did so last.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ActivePolicy {
    /// The ConfigMap it came from. Absent: the policy in the box.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub config_map: Option<String>,
    /// Name and version, as the policy says.
    #[schemars(length(max = 256))]
    pub policy: String,
    /// sha256 of the component.
    #[schemars(length(max = 64))]
    pub digest: String,
    /// Component, configuration and budget together.
    #[schemars(length(max = 64))]
    pub revision: String,
    /// Since when it decides.
    #[schemars(extend("format" = "date-time"), length(max = 64))]
    pub since: String,
}

/// A policy that is wanted and does not decide.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CandidatePolicy {
    /// Name and version, as the policy says, if it came that far.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub policy: Option<String>,
    /// sha256 of the component, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub digest: Option<String>,
    /// Component, configuration and budget together.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub revision: Option<String>,
    /// All policies that would take over together: the value for the annotation
    /// `multiclusterdns.federation.k8s.io/allow-removal`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub rollout: Option<String>,
    /// Why it does not decide, in one CamelCase word that does not change between releases.
    #[schemars(length(max = 1024))]
    pub verdict: String,
    /// Why, for people, and what to do.
    #[schemars(length(max = 32768))]
    pub message: String,
    /// Since when this is so.
    #[schemars(extend("format" = "date-time"), length(max = 64))]
    pub since: String,
}
