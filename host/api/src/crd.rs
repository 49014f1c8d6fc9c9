//! The CustomResourceDefinitions.
//!
//! Bounds are plain schema wherever they can be; CEL rules stand where a plain bound could not say what is wrong in words
//! (a regular expression in an error message helps nobody), and all of them together stay far below the cost budget.

use std::{collections::BTreeMap, sync::LazyLock};

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use serde_json::{Value, json};

use crate::{
    GROUP, VERSION, domain::Domain, endpoint::DnsEndpoint, member::MemberCluster, record::ServiceDnsRecord,
    schema::root,
};

/// Everything about a kind that is not in its schema.
struct Kind {
    kind: &'static str,
    plural: &'static str,
    singular: &'static str,
    short: &'static [&'static str],
    schema: fn() -> Value,
    columns: &'static [Column],
}

struct Column {
    name: &'static str,
    kind: &'static str,
    path: &'static str,
    description: &'static str,
    wide: bool,
}

const fn column(name: &'static str, kind: &'static str, path: &'static str, description: &'static str) -> Column {
    Column { name, kind, path, description, wide: false }
}

/// Shown with `-o wide` only.
const fn wide(name: &'static str, kind: &'static str, path: &'static str, description: &'static str) -> Column {
    Column { name, kind, path, description, wide: true }
}

const AGE: Column = column("Age", "date", ".metadata.creationTimestamp", "Since when the object exists.");

const DOMAIN: Kind = Kind {
    kind: "Domain",
    plural: "domains",
    singular: "domain",
    short: &["mcsdom"],
    schema: root::<Domain>,
    columns: &[
        column("Domain", "string", ".domain", "The DNS zone."),
        column(
            "Accepted",
            "string",
            ".status.conditions[?(@.type==\"Accepted\")].status",
            "Whether the Domain is acted on.",
        ),
        column(
            "Policies",
            "string",
            ".status.conditions[?(@.type==\"PoliciesReady\")].reason",
            "Whether the policies it names decide; empty for the policy in the box.",
        ),
        wide(
            "Naming",
            "string",
            ".status.policies[?(@.aspect==\"naming\")].active.policy",
            "The policy that decides the names; empty for the policy in the box.",
        ),
        wide("When-Empty", "string", ".whenEmpty", "What happens when nothing serves."),
        wide("Message", "string", ".status.conditions[?(@.type==\"Accepted\")].message", "Why."),
        wide("Policies-Message", "string", ".status.conditions[?(@.type==\"PoliciesReady\")].message", "Why."),
        AGE,
    ],
};

const RECORD: Kind = Kind {
    kind: "ServiceDNSRecord",
    plural: "servicednsrecords",
    singular: "servicednsrecord",
    short: &["sdr"],
    schema: root::<ServiceDnsRecord>,
    columns: &[
        column("Domain", "string", ".spec.domainRef", "The Domain."),
        column("Names", "integer", ".status.published.names", "Names published."),
        column(
            "Accepted",
            "string",
            ".status.conditions[?(@.type==\"Accepted\")].status",
            "Whether the record is understood.",
        ),
        column(
            "Programmed",
            "string",
            ".status.conditions[?(@.type==\"Programmed\")].status",
            "Whether the DNSEndpoint says what is wanted.",
        ),
        column(
            "Degraded",
            "string",
            ".status.conditions[?(@.type==\"Degraded\")].status",
            "Whether something keeps the answer from being complete.",
        ),
        wide(
            "Reason",
            "string",
            ".status.conditions[?(@.type==\"Programmed\")].reason",
            "Why the DNSEndpoint says what is wanted, or does not.",
        ),
        wide("Problem", "string", ".status.conditions[?(@.type==\"Degraded\")].reason", "Why it is degraded or not."),
        wide("Policy", "string", ".status.published.policy", "The policy that decided."),
        AGE,
    ],
};

const MEMBER: Kind = Kind {
    kind: "MemberCluster",
    plural: "memberclusters",
    singular: "membercluster",
    short: &["mcl"],
    schema: root::<MemberCluster>,
    columns: &[
        column(
            "Ready",
            "string",
            ".status.conditions[?(@.type==\"Ready\")].status",
            "Whether the cluster answers and is known.",
        ),
        column("Reason", "string", ".status.conditions[?(@.type==\"Ready\")].reason", "Why it is ready or not."),
        column("Region", "string", ".status.region", "Region in force."),
        column("Zones", "string", ".status.zones", "Zones in force."),
        column("Version", "string", ".status.kubernetesVersion", "Version of Kubernetes."),
        wide("Nodes", "integer", ".status.nodes", "Nodes known."),
        wide("Services", "integer", ".status.services", "Services of type LoadBalancer known."),
        AGE,
    ],
};

/// The DNSEndpoint of the original guide's group; ExternalDNS brings that of its own.
const GUIDE_DNS_ENDPOINT: Kind = Kind {
    kind: "DNSEndpoint",
    plural: "dnsendpoints",
    singular: "dnsendpoint",
    short: &[],
    schema: root::<DnsEndpoint>,
    columns: &[
        column("Seen", "integer", ".status.observedGeneration", "The generation that ExternalDNS read last."),
        AGE,
    ],
};

const KINDS: [&Kind; 3] = [&DOMAIN, &MEMBER, &RECORD];

/// The schema of a kind of ours. Made once: looking for unknown fields asks for it with every object.
pub(crate) fn schema_of(kind: &str) -> Option<&'static Value> {
    static SCHEMAS: LazyLock<BTreeMap<&'static str, Value>> = LazyLock::new(|| {
        KINDS.into_iter().chain([&GUIDE_DNS_ENDPOINT]).map(|kind| (kind.kind, (kind.schema)())).collect()
    });
    SCHEMAS.get(kind)
}

fn manifest(kind: &Kind) -> Value {
    let columns: Vec<Value> = kind
        .columns
        .iter()
        .map(|column| {
            let mut value = json!({
                "name": column.name, "type": column.kind, "jsonPath": column.path, "description": column.description,
            });
            if let (true, Some(object)) = (column.wide, value.as_object_mut()) {
                object.insert("priority".to_owned(), 1.into());
            }
            value
        })
        .collect();
    let mut names = json!({
        "kind": kind.kind, "listKind": format!("{}List", kind.kind),
        "plural": kind.plural, "singular": kind.singular, "categories": ["mcsdns"],
    });
    if let (false, Some(object)) = (kind.short.is_empty(), names.as_object_mut()) {
        object.insert("shortNames".to_owned(), kind.short.into());
    }
    json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {
            "name": format!("{}.{GROUP}", kind.plural),
            // Groups under k8s.io are protected; an API server establishes a CRD in one only with this annotation.
            "annotations": { "api-approved.kubernetes.io": "unapproved, the group of Federation v2 is kept so that its manifests keep working" },
            "labels": { "app.kubernetes.io/name": "mcsdns" },
        },
        "spec": {
            "group": GROUP,
            "names": names,
            "scope": "Namespaced",
            "versions": [{
                "name": VERSION,
                "served": true,
                "storage": true,
                "schema": { "openAPIV3Schema": (kind.schema)() },
                "subresources": { "status": {} },
                "additionalPrinterColumns": columns,
            }],
        },
    })
}

/// The CRDs as JSON values; `with_guide_dnsendpoint` adds the DNSEndpoint of the original guide's group.
#[must_use]
pub fn manifests(with_guide_dnsendpoint: bool) -> Vec<Value> {
    KINDS.into_iter().chain(with_guide_dnsendpoint.then_some(&GUIDE_DNS_ENDPOINT)).map(manifest).collect()
}

/// The CRDs of Domain, MemberCluster and ServiceDNSRecord, typed.
///
/// # Errors
/// Never with the schemas of this crate, which a test makes sure of.
pub fn crds(with_guide_dnsendpoint: bool) -> Result<Vec<CustomResourceDefinition>, CrdError> {
    let typed = |manifest| serde_json::from_value(manifest).map_err(|error| CrdError(error.to_string()));
    manifests(with_guide_dnsendpoint).into_iter().map(typed).collect()
}

/// The CRDs as one stream, ready for `kubectl apply --server-side -f -`.
///
/// # Errors
/// Never with the schemas of this crate, which a test makes sure of.
pub fn crds_yaml(with_guide_dnsendpoint: bool) -> Result<String, CrdError> {
    let mut stream = String::new();
    for manifest in manifests(with_guide_dnsendpoint) {
        stream.push_str("---\n");
        stream.push_str(&serde_saphyr::to_string(&manifest).map_err(|error| CrdError(error.to_string()))?);
    }
    Ok(stream)
}

/// A CRD could not be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cannot make the CustomResourceDefinitions: {0}")]
pub struct CrdError(String);

impl CrdError {
    /// CamelCase, stable.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        "DefinitionInvalid"
    }
}
