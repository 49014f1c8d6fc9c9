//! `DNSEndpoint`, the object that ExternalDNS reads, as we write it.

use std::{collections::BTreeMap, sync::Arc};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use kube::api::ApiResource;
use mcsdns_core::{
    effect::endpoint_name,
    ids::ObjectKey,
    plan::{self, Endpoint},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    API_VERSION, GROUP,
    metadata::{LABEL_MANAGED_BY, LABEL_PUBLISH, MANAGED_BY, MAX_LABEL_VALUE, SERVICE_NAME},
};

/// Kind of the objects.
pub const KIND: &str = "DNSEndpoint";

/// The API group that DNSEndpoints are written in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum EndpointGroup {
    /// `externaldns.k8s.io`, the only one that ExternalDNS reads from v0.21.0 on.
    #[default]
    ExternalDns,
    /// `multiclusterdns.federation.k8s.io`, that of the original guide, which ExternalDNS up to v0.20 can be told to read.
    Guide,
}

impl EndpointGroup {
    /// The group itself.
    #[must_use]
    pub const fn group(self) -> &'static str {
        match self {
            Self::ExternalDns => "externaldns.k8s.io",
            Self::Guide => GROUP,
        }
    }

    /// Group and version.
    #[must_use]
    pub const fn api_version(self) -> &'static str {
        match self {
            Self::ExternalDns => "externaldns.k8s.io/v1alpha1",
            Self::Guide => API_VERSION,
        }
    }

    /// For untyped access.
    #[must_use]
    pub fn api_resource(self) -> ApiResource {
        ApiResource {
            group: self.group().to_owned(),
            version: crate::VERSION.to_owned(),
            api_version: self.api_version().to_owned(),
            kind: KIND.to_owned(),
            plural: "dnsendpoints".to_owned(),
        }
    }

    /// The group of an `apiVersion`.
    #[must_use]
    pub fn from_api_version(api_version: &str) -> Option<Self> {
        [Self::ExternalDns, Self::Guide].into_iter().find(|group| group.api_version() == api_version)
    }
}

/// A DNSEndpoint asks ExternalDNS for DNS records. mcsdns writes one for every ServiceDNSRecord that has something to
/// publish; ExternalDNS turns it into records at the DNS provider.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DnsEndpoint {
    /// Group and version.
    #[schemars(skip)]
    pub api_version: String,
    /// `DNSEndpoint`.
    #[schemars(skip)]
    pub kind: String,
    /// Name, labels and owner.
    #[schemars(skip)]
    pub metadata: ObjectMeta,
    /// The DNS records that are wanted.
    #[serde(default)]
    pub spec: DnsEndpointSpec,
    /// Written by ExternalDNS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<DnsEndpointStatus>,
}

/// The DNS records that are wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DnsEndpointSpec {
    /// The DNS records, one entry for each name and type.
    #[serde(default)]
    #[schemars(length(max = 10000))]
    pub endpoints: Vec<EndpointEntry>,
}

/// One name and type with its targets.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EndpointEntry {
    /// The DNS name.
    #[serde(default)]
    #[schemars(length(max = 255))]
    pub dns_name: String,
    /// Type of the DNS record, such as A, AAAA or CNAME.
    #[serde(default)]
    #[schemars(length(max = 16))]
    pub record_type: String,
    /// Tells apart several answers of one name between which the DNS provider chooses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 255))]
    pub set_identifier: Option<String>,
    /// What the name stands for: addresses, or one name.
    #[serde(default)]
    #[schemars(length(max = 10000), inner(length(max = 4096)))]
    pub targets: Vec<String>,
    /// Time to live in seconds.
    #[serde(rename = "recordTTL", default)]
    pub record_ttl: i64,
    /// Labels that ExternalDNS keeps in its ownership records, which everybody can read. mcsdns never writes them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 64))]
    pub labels: BTreeMap<String, String>,
    /// Properties that only one DNS provider understands.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub provider_specific: Vec<ProviderSpecific>,
}

/// A property for one DNS provider.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProviderSpecific {
    /// Name of the property.
    #[serde(default)]
    #[schemars(length(max = 255))]
    pub name: String,
    /// Value of the property.
    #[serde(default)]
    #[schemars(length(max = 4096))]
    pub value: String,
}

/// What ExternalDNS says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DnsEndpointStatus {
    /// The metadata.generation that ExternalDNS read last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
}

/// The DNSEndpoint of a record, complete, for a server-side apply with [`crate::metadata::MANAGER_RECORDS`].
///
/// `uid` is that of the record; where it is empty (local mode) there is no owner reference.
#[must_use]
pub fn dns_endpoint(record: &ObjectKey, uid: &str, endpoints: &[Endpoint], group: EndpointGroup) -> DnsEndpoint {
    let (labels, annotations) = marks(&record.name);
    DnsEndpoint {
        api_version: group.api_version().to_owned(),
        kind: KIND.to_owned(),
        metadata: ObjectMeta {
            name: Some(endpoint_name(&record.name)),
            namespace: Some(record.namespace.to_string()),
            labels: Some(labels),
            annotations: (!annotations.is_empty()).then_some(annotations),
            owner_references: (!uid.is_empty()).then(|| vec![owner(&record.name, uid)]),
            ..ObjectMeta::default()
        },
        spec: DnsEndpointSpec { endpoints: endpoints.iter().map(Into::into).collect() },
        status: None,
    }
}

/// The owner reference by which the garbage collector removes the DNSEndpoint with its record.
///
/// `blockOwnerDeletion` is left out: where OwnerReferencesPermissionEnforcement is on, it would need the right to update
/// finalizers of records, and nothing is won by holding up the deletion of a record.
pub(crate) fn owner(record: &str, uid: &str) -> OwnerReference {
    OwnerReference {
        api_version: API_VERSION.to_owned(),
        kind: "ServiceDNSRecord".to_owned(),
        name: record.to_owned(),
        uid: uid.to_owned(),
        controller: Some(true),
        block_owner_deletion: None,
    }
}

type Texts = BTreeMap<String, String>;

/// Labels and annotations of the DNSEndpoint of a record. A name that is too long for a label becomes an annotation.
pub(crate) fn marks(record: &str) -> (Texts, Texts) {
    let mut labels = Texts::from([
        (LABEL_MANAGED_BY.to_owned(), MANAGED_BY.to_owned()),
        (LABEL_PUBLISH.to_owned(), "true".to_owned()),
    ]);
    let mut annotations = Texts::new();
    let place = if record.len() <= MAX_LABEL_VALUE { &mut labels } else { &mut annotations };
    place.insert(SERVICE_NAME.to_owned(), record.to_owned());
    (labels, annotations)
}

impl From<&Endpoint> for EndpointEntry {
    fn from(endpoint: &Endpoint) -> Self {
        Self {
            dns_name: endpoint.dns_name.to_string(),
            record_type: endpoint.record_type.as_str().to_owned(),
            set_identifier: endpoint.set_identifier.as_ref().map(ToString::to_string),
            targets: plan::Targets::to_strings(&endpoint.targets),
            record_ttl: endpoint.record_ttl.into(),
            labels: BTreeMap::new(),
            provider_specific: endpoint
                .provider_specific
                .iter()
                .map(|(name, value): &(Arc<str>, Arc<str>)| ProviderSpecific {
                    name: name.to_string(),
                    value: value.to_string(),
                })
                .collect(),
        }
    }
}
