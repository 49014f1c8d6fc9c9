//! `ServiceDNSRecord`: the DNS names of one Service of the member clusters.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::core::TypeMeta;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::condition::Condition;

/// A ServiceDNSRecord asks for DNS names for the Service of the same name and namespace in the member clusters.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ServiceDnsRecord {
    /// apiVersion and kind.
    #[serde(flatten, default, skip_serializing_if = "Option::is_none")]
    #[schemars(skip)]
    pub types: Option<TypeMeta>,
    /// Metadata.
    #[serde(default)]
    #[schemars(skip)]
    pub metadata: ObjectMeta,
    /// What is asked for.
    pub spec: ServiceDnsRecordSpec,
    /// What is known of each cluster, and what is published. Written by the controller, not to be edited: it is also
    /// the controller's memory of clusters that cannot be reached.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<ServiceDnsRecordStatus>,
}

impl ServiceDnsRecord {
    /// An object that can be applied.
    #[must_use]
    pub fn new(namespace: &str, name: &str, spec: ServiceDnsRecordSpec) -> Self {
        Self {
            types: crate::types("ServiceDNSRecord"),
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

/// What a ServiceDNSRecord asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ServiceDnsRecordSpec {
    /// Name of the Domain, in the namespace of the controller, under which the names are published.
    #[schemars(
        length(min = 1, max = 63),
        extend("x-kubernetes-validations" = [{
            "rule": "self.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$')",
            "message": "must be the name of a Domain: lower-case letters, digits and inner hyphens",
        }])
    )]
    pub domain_ref: String,
    /// TTL of the names in seconds. Absent or 0: 180. The Domain may have bounds.
    #[serde(rename = "recordTTL", skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 2_147_483_647))]
    pub record_ttl: Option<i64>,
    /// Also publish `<dnsPrefix>.<domain>` as an alias of the name that stands for all clusters. May have several labels
    /// (`a.b`), the first of which may be `*`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(max = 250),
        extend("x-kubernetes-validations" = [{
            "rule": "self.matches('^(([*]|[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?)([.][a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?)*)?$')",
            "message": "must be labels of 1 to 63 lower-case letters, digits and inner hyphens, separated by dots; the first may be *",
        }])
    )]
    pub dns_prefix: Option<String>,
    /// First label of the names, instead of the name of the Service.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(max = 63),
        extend("x-kubernetes-validations" = [{
            "rule": "self.matches('^([a-z0-9]([-a-z0-9]*[a-z0-9])?)?$')",
            "message": "must be one DNS label: lower-case letters, digits and inner hyphens, no dots",
        }])
    )]
    pub external_name: Option<String>,
    /// Publish the load-balancer addresses of a cluster also while the Service has no ready endpoints there.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub allow_service_without_endpoints: bool,
}

/// What is known of each cluster, and what is published.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ServiceDnsRecordStatus {
    /// The DNS zone.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 254))]
    pub domain: Option<String>,
    /// The last observation of each member cluster, sorted by cluster.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 1024))]
    pub dns: Vec<ClusterDns>,
    /// The metadata.generation that was looked at.
    #[serde(default)]
    #[schemars(range(min = 0))]
    pub observed_generation: i64,
    /// Accepted: the record is understood and has names. Programmed: the DNSEndpoint says what is wanted. Degraded:
    /// something keeps the answer from being complete.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 16),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"])
    )]
    pub conditions: Vec<Condition>,
    /// Summary of what is published.
    #[serde(default)]
    pub published: Published,
    /// Names that are wanted but not published, or not as wanted, and why. Sorted by name, the first ones only.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 1024))]
    pub withheld: Vec<Withheld>,
}

/// The last observation of one cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClusterDns {
    /// Name of the MemberCluster.
    #[schemars(length(max = 253))]
    pub cluster: String,
    /// Region of the cluster. Absent when not known; the cluster then counts for the global name only.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 253))]
    pub region: String,
    /// Zones of the cluster.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 1024), inner(length(max = 253)))]
    pub zones: Vec<String>,
    /// The addresses that count: those of a serving cluster, or the last known ones of a cluster that cannot be reached.
    #[serde(default)]
    pub load_balancer: LoadBalancer,
    /// `serving`, `no-ready-endpoints`, `no-address`, `no-service` or `unreachable`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 63))]
    pub state: String,
    /// Since when the cluster is in this state.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "date-time"), length(max = 64))]
    pub since: Option<String>,
    /// The last answers for the host names in `loadBalancer`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 1024))]
    pub resolved: Vec<Resolved>,
}

/// Addresses as in the status of a Service.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LoadBalancer {
    /// The addresses and host names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 1024))]
    pub ingress: Vec<LoadBalancerIngress>,
}

/// One address or host name of a load balancer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LoadBalancerIngress {
    /// IPv4 or IPv6 address.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub ip: Option<String>,
    /// Host name; the controller resolves it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 254))]
    pub hostname: Option<String>,
}

/// The last answer for a host name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Resolved {
    /// The host name.
    #[schemars(length(max = 254))]
    pub hostname: String,
    /// Its addresses.
    #[serde(default)]
    #[schemars(length(max = 1024), inner(length(max = 63)))]
    pub addresses: Vec<String>,
}

/// Summary of what is published for a record.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Published {
    /// Name of the DNSEndpoint in the namespace of the record; absent when there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub dns_endpoint: Option<String>,
    /// Number of distinct names.
    #[serde(default)]
    #[schemars(range(min = 0))]
    pub names: i64,
    /// Number of endpoints: names and types.
    #[serde(default)]
    #[schemars(range(min = 0))]
    pub endpoints: i64,
    /// The policy that decided, for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub policy: Option<String>,
}

/// A name that is wanted but not published, or not as wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Withheld {
    /// The name, as the policy wrote it.
    #[schemars(length(max = 1024))]
    pub name: String,
    /// The type that is missing: A, AAAA or CNAME; absent when all are.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16))]
    pub record_type: Option<String>,
    /// Why, in one CamelCase word that does not change between releases.
    #[schemars(length(max = 1024))]
    pub reason: String,
    /// Why, for people: the rule, the value and what to do.
    #[schemars(length(max = 32768))]
    pub message: String,
}
