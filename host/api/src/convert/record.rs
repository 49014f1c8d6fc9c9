//! ServiceDNSRecords.

use std::{net::IpAddr, sync::Arc};

use mcsdns_core::{
    facts::{Malformed, Record, RecordSpec},
    ids::{ClusterName, ObjectKey},
    plan::RecordType,
    status::{ClusterDns, PublishedSummary, RecordStatus, ResolvedHost, Withheld},
};
use serde::Deserialize;

use super::{Watched, resource, service::LoadBalancer};
use crate::{
    GROUP,
    condition::{ObservedCondition, observed},
    lenient::{Field, List, Object, good_texts, malformed},
    metadata::{Head, pairs},
    status::state_from_text,
};

/// A ServiceDNSRecord as observed.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct RecordObject {
    #[serde(rename = "metadata")]
    head: Head,
    spec: Field<Object<Spec>>,
    status: Field<Object<Status>>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Spec {
    domain_ref: Field<String>,
    #[serde(rename = "recordTTL")]
    record_ttl: Field<i64>,
    dns_prefix: Field<String>,
    external_name: Field<String>,
    allow_service_without_endpoints: Field<bool>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Status {
    domain: Field<String>,
    dns: List<Dns>,
    observed_generation: Field<i64>,
    conditions: List<ObservedCondition>,
    published: Field<Object<Published>>,
    withheld: List<ObservedWithheld>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Dns {
    cluster: Field<String>,
    region: Field<String>,
    zones: Field<Vec<Field<String>>>,
    load_balancer: Field<Object<LoadBalancer>>,
    state: Field<String>,
    since: Field<String>,
    resolved: List<Resolved>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Resolved {
    hostname: Field<String>,
    addresses: Field<Vec<Field<String>>>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Published {
    dns_endpoint: Field<String>,
    names: Field<i64>,
    endpoints: Field<i64>,
    policy: Field<String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct ObservedWithheld {
    name: Field<String>,
    #[serde(rename = "type")]
    record_type: Field<String>,
    reason: Field<String>,
    message: Field<String>,
}

resource!(
    RecordObject,
    "ServiceDNSRecord",
    GROUP,
    "v1alpha1",
    "servicednsrecords",
    k8s_openapi::NamespaceResourceScope
);

impl RecordObject {
    fn spec(&self) -> Result<RecordSpec, Malformed> {
        self.head.check()?;
        let Some(Object(spec)) = self.spec.get("spec")? else {
            return Err(malformed("spec is missing"));
        };
        Ok(RecordSpec {
            domain_ref: spec
                .domain_ref
                .text("spec.domainRef")?
                .ok_or_else(|| malformed("spec.domainRef is missing"))?,
            record_ttl: spec.record_ttl.get("spec.recordTTL")?.copied(),
            dns_prefix: spec.dns_prefix.text("spec.dnsPrefix")?,
            external_name: spec.external_name.text("spec.externalName")?,
            allow_service_without_endpoints: spec
                .allow_service_without_endpoints
                .get("spec.allowServiceWithoutEndpoints")?
                .copied()
                .unwrap_or_default(),
        })
    }
}

impl Watched for RecordObject {
    type Key = ObjectKey;
    type Fact = Record;
    const KIND: &'static str = "ServiceDNSRecord";

    fn head(&self) -> &Head {
        &self.head
    }

    fn key(&self) -> ObjectKey {
        self.head.key()
    }

    fn fact(&self) -> Option<Record> {
        Some(Record {
            meta: self.head.meta(),
            annotations: pairs(self.head.object.annotations.as_ref()),
            spec: self.spec(),
            status: self.status.good().map(|Object(status)| Arc::new(status.into())),
        })
    }
}

/// Reads what is good: a status is a memory, and half a memory is better than none.
impl From<&Status> for RecordStatus {
    fn from(status: &Status) -> Self {
        let published = match status.published.good() {
            Some(Object(published)) => PublishedSummary {
                dns_endpoint: published.dns_endpoint.good_text(),
                names: published.names.count(),
                endpoints: published.endpoints.count(),
                policy: published.policy.good_text(),
            },
            None => PublishedSummary::default(),
        };
        let mut dns: Vec<ClusterDns> = status.dns.each().filter_map(cluster).collect();
        dns.sort_by(|a, b| a.cluster.cmp(&b.cluster));
        dns.dedup_by(|a, b| a.cluster == b.cluster);
        Self {
            domain: status.domain.good_text(),
            dns: dns.into(),
            observed_generation: status.observed_generation.number(),
            conditions: observed(&status.conditions),
            published,
            withheld: status
                .withheld
                .each()
                .map(|withheld| {
                    let text = |field: &Field<String>| field.good_text().unwrap_or_default();
                    Withheld {
                        name: text(&withheld.name),
                        record_type: withheld.record_type.good_text().and_then(|text| {
                            [RecordType::A, RecordType::Aaaa, RecordType::Cname]
                                .into_iter()
                                .find(|record_type| record_type.as_str() == &*text)
                        }),
                        reason: text(&withheld.reason),
                        message: text(&withheld.message),
                    }
                })
                .collect(),
        }
    }
}

fn cluster(dns: &Dns) -> Option<ClusterDns> {
    let ingress = match dns.load_balancer.good() {
        Some(Object(load_balancer)) => {
            load_balancer.read("loadBalancer.ingress").map(|(ingress, _)| ingress).unwrap_or_default()
        }
        None => Vec::new(),
    };
    let resolved = dns.resolved.each().filter_map(|resolved| {
        let mut addresses: Vec<IpAddr> =
            good_texts(&resolved.addresses).iter().filter_map(|text| text.parse().ok()).collect();
        addresses.sort_unstable();
        addresses.dedup();
        Some(ResolvedHost { hostname: resolved.hostname.good_text()?, addresses: addresses.into() })
    });
    Some(ClusterDns {
        cluster: ClusterName(dns.cluster.good_text()?),
        region: dns.region.good_text(),
        zones: good_texts(&dns.zones).into(),
        ingress: ingress.into(),
        resolved: resolved.collect(),
        state: dns.state.good().and_then(|text| state_from_text(text)),
        since: dns.since.good().and_then(|text| text.parse().ok()),
    })
}
