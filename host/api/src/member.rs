//! `MemberCluster`: a cluster whose Services get names.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::core::TypeMeta;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::condition::Condition;

/// A MemberCluster is a cluster whose Services get names. MemberClusters live in the namespace of the controller; the
/// object name is the name of the cluster in statuses and messages.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MemberCluster {
    /// apiVersion and kind.
    #[serde(flatten, default, skip_serializing_if = "Option::is_none")]
    #[schemars(skip)]
    pub types: Option<TypeMeta>,
    /// Metadata.
    #[serde(default)]
    #[schemars(skip)]
    pub metadata: ObjectMeta,
    /// How the cluster is reached and where it is.
    pub spec: MemberClusterSpec,
    /// What the controller knows of the cluster. Not to be edited.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<MemberClusterStatus>,
}

impl MemberCluster {
    /// An object that can be applied.
    #[must_use]
    pub fn new(namespace: &str, name: &str, spec: MemberClusterSpec) -> Self {
        Self {
            types: crate::types("MemberCluster"),
            metadata: ObjectMeta {
                namespace: Some(namespace.to_owned()),
                name: Some(name.to_owned()),
                ..ObjectMeta::default()
            },
            spec,
            status: None,
        }
    }
}

/// How a member cluster is reached and where it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [{
    "rule": "has(self.host) != has(self.kubeconfigSecretRef)",
    "message": "set exactly one of kubeconfigSecretRef (another cluster) and host (host: {} for the cluster of the controller itself)",
}]))]
pub struct MemberClusterSpec {
    /// The Secret, in the namespace of the controller, that holds the kubeconfig of the cluster. A bearer token or an
    /// inline client certificate is accepted; plugins, file paths, plain http and basic authentication are refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kubeconfig_secret_ref: Option<KubeconfigSecretRef>,
    /// `host: {}` makes the cluster of the controller itself the member; its service account must be bound to the
    /// ClusterRole of members.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<Host>,
    /// Region of the cluster, one DNS label (lower-cased). Absent: the label `topology.kubernetes.io/region` that most of
    /// its Nodes have.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(min = 1, max = 63),
        extend("x-kubernetes-validations" = [{
            "rule": "self.matches('^[A-Za-z0-9]([-A-Za-z0-9]*[A-Za-z0-9])?$')",
            "message": "must be one DNS label: letters, digits and inner hyphens",
        }])
    )]
    pub region: Option<String>,
    /// Zones of the cluster, each one DNS label (lower-cased). Absent: the labels `topology.kubernetes.io/zone` of its
    /// Nodes.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(max = 64),
        inner(length(min = 1, max = 63)),
        extend("x-kubernetes-list-type" = "set", "x-kubernetes-validations" = [{
            "rule": "self.all(zone, zone.matches('^[A-Za-z0-9]([-A-Za-z0-9]*[A-Za-z0-9])?$'))",
            "message": "each must be one DNS label: letters, digits and inner hyphens",
        }])
    )]
    pub zones: Option<Vec<String>>,
    /// What to do with a kubeconfig that says insecure-skip-tls-verify: `Refuse` (the default) or `Allow`. Whoever stands
    /// between the controller and a cluster whose certificate is not verified decides what is published; allow it only
    /// for tests.
    #[serde(rename = "insecureSkipTLSVerify", skip_serializing_if = "Option::is_none")]
    #[schemars(extend("enum" = ["Refuse", "Allow"]))]
    pub insecure_skip_tls_verify: Option<String>,
}

/// Where the kubeconfig of a cluster is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct KubeconfigSecretRef {
    /// Name of the Secret.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// Key within the Secret. Absent: `kubeconfig`, else `value`, else the only key.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub key: Option<String>,
}

/// Nothing to say yet: being there is what counts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Host {}

/// What the controller knows of a member cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MemberClusterStatus {
    /// The metadata.generation that was looked at.
    #[serde(default)]
    #[schemars(range(min = 0))]
    pub observed_generation: i64,
    /// Ready: the API server answers and its objects are known. PlacesKnown: region and zones are known.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 16),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"])
    )]
    pub conditions: Vec<Condition>,
    /// Region in force.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub region: Option<String>,
    /// Zones in force.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 1024), inner(length(max = 253)))]
    pub zones: Vec<String>,
    /// Version of Kubernetes.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub kubernetes_version: Option<String>,
    /// Number of Nodes known.
    #[serde(default)]
    #[schemars(range(min = 0))]
    pub nodes: i64,
    /// Number of Services of type LoadBalancer known.
    #[serde(default)]
    #[schemars(range(min = 0))]
    pub services: i64,
}
