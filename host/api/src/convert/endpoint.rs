//! DNSEndpoints of either group.

use std::{borrow::Cow, collections::BTreeMap, net::IpAddr, sync::Arc};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use mcsdns_core::{
    facts::{Owner, Published},
    ids::ObjectKey,
    plan::{Endpoint, RecordType, Targets},
};
use serde::Deserialize;

use super::Watched;
use crate::{
    GROUP,
    endpoint::{EndpointGroup, KIND, marks},
    lenient::{Field, List, Object},
    metadata::{ANNOTATION_ADOPT, Head, LABEL_MANAGED_BY, LABEL_PUBLISH, MANAGED_BY, SERVICE_NAME},
};

/// A DNSEndpoint as observed. Which group it is watched in is told by its dynamic type.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct DnsEndpointObject {
    #[serde(rename = "metadata")]
    head: Head,
    spec: Field<Object<Spec>>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Spec {
    endpoints: List<Entry>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Entry {
    dns_name: Field<String>,
    record_type: Field<String>,
    set_identifier: Field<String>,
    targets: Field<Vec<Field<String>>>,
    #[serde(rename = "recordTTL")]
    record_ttl: Field<i64>,
    provider_specific: List<Property>,
    /// Labels, and whatever else ExternalDNS or somebody may have added.
    #[serde(flatten)]
    others: BTreeMap<String, Field<()>>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Property {
    name: Field<String>,
    value: Field<String>,
}

impl kube::Resource for DnsEndpointObject {
    type DynamicType = EndpointGroup;
    type Scope = k8s_openapi::NamespaceResourceScope;

    fn kind(_: &EndpointGroup) -> Cow<'_, str> {
        KIND.into()
    }
    fn group(group: &EndpointGroup) -> Cow<'_, str> {
        group.group().into()
    }
    fn version(_: &EndpointGroup) -> Cow<'_, str> {
        crate::VERSION.into()
    }
    fn plural(_: &EndpointGroup) -> Cow<'_, str> {
        "dnsendpoints".into()
    }
    fn meta(&self) -> &ObjectMeta {
        &self.head.object
    }
    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.head.object
    }
}

impl Watched for DnsEndpointObject {
    type Key = ObjectKey;
    type Fact = Published;
    const KIND: &'static str = "DNSEndpoint";

    fn head(&self) -> &Head {
        &self.head
    }

    fn key(&self) -> ObjectKey {
        self.head.key()
    }

    fn fact(&self) -> Option<Published> {
        let owner = self.owner();
        let mut in_order = match &owner {
            Owner::Record { name, .. } => self.metadata_in_order(name),
            Owner::Adoptable | Owner::Foreign(_) => false,
        };
        let mut endpoints = Vec::new();
        match &self.spec {
            Field::Is(Object(spec)) => match &spec.endpoints {
                Field::Is(list) => {
                    for entry in list {
                        match entry {
                            Field::Is(Object(entry)) => {
                                let (endpoint, as_ours) = entry.read();
                                endpoints.push(endpoint);
                                in_order &= as_ours;
                            }
                            Field::Absent | Field::Not(_) => in_order = false,
                        }
                    }
                }
                Field::Absent => {}
                Field::Not(_) => in_order = false,
            },
            Field::Absent => {}
            Field::Not(_) => in_order = false,
        }
        endpoints.sort();
        let meta = self.head.meta();
        Some(Published {
            uid: meta.uid,
            generation: meta.generation,
            owner,
            metadata_in_order: in_order,
            endpoints: endpoints.into(),
        })
    }
}

impl DnsEndpointObject {
    fn owners(&self) -> &[OwnerReference] {
        self.head.object.owner_references.as_deref().unwrap_or_default()
    }

    /// Ours is what refers to a record of ours as its controller; or, where references cannot be (local mode) or were
    /// removed by hand, what carries our labels and has no other controller.
    fn owner(&self) -> Owner {
        let controller = self.owners().iter().find(|owner| owner.controller == Some(true));
        if let Some(owner) = controller.filter(|owner| is_record(owner)) {
            return Owner::Record { name: owner.name.as_str().into(), uid: owner.uid.as_str().into() };
        }
        let labelled =
            self.head.label(LABEL_MANAGED_BY) == Some(MANAGED_BY) && self.head.label(LABEL_PUBLISH) == Some("true");
        let named = self
            .head
            .label(SERVICE_NAME)
            .or_else(|| self.head.annotation(SERVICE_NAME))
            .or_else(|| self.head.name().strip_prefix("service-"));
        match (controller, named) {
            (None, Some(name)) if labelled => Owner::Record { name: name.into(), uid: Arc::from("") },
            _ if self.head.annotation(ANNOTATION_ADOPT) == Some("true") => Owner::Adoptable,
            _ => Owner::Foreign(self.who().into()),
        }
    }

    /// Who made it, for people.
    fn who(&self) -> String {
        if let Some(owner) = self.owners().first() {
            return format!("{} {}", owner.kind, owner.name);
        }
        let managers = self.head.object.managed_fields.iter().flatten();
        managers
            .filter(|entry| entry.subresource.as_deref().unwrap_or_default().is_empty())
            .find_map(|entry| entry.manager.clone())
            .or_else(|| self.head.label(LABEL_MANAGED_BY).map(str::to_owned))
            .unwrap_or_else(|| "unknown".to_owned())
    }

    fn metadata_in_order(&self, record: &str) -> bool {
        let (labels, annotations) = marks(record);
        let has = |wanted: &BTreeMap<String, String>, found: &Option<BTreeMap<String, String>>| {
            wanted.iter().all(|(key, value)| found.as_ref().and_then(|all| all.get(key)) == Some(value))
        };
        let referred = self.owners().iter().any(|owner| is_record(owner) && owner.controller == Some(true));
        // Objects that never saw an API server have neither uid nor owner.
        let local = self.head.object.uid.is_none();
        has(&labels, &self.head.object.labels)
            && has(&annotations, &self.head.object.annotations)
            && (referred || local)
    }
}

fn is_record(owner: &OwnerReference) -> bool {
    let group = owner.api_version.split('/').next().unwrap_or_default();
    group == GROUP && owner.kind == "ServiceDNSRecord"
}

impl Entry {
    /// The endpoint, and whether it has only what we write. What we would never write is kept as
    /// [`Targets::Other`], so that it can be told from everything we would.
    fn read(&self) -> (Endpoint, bool) {
        let mut as_ours = self.others.values().all(|value| matches!(value, Field::Absent));
        let text = |field: &Field<String>| field.good().cloned().unwrap_or_default();
        let targets: Vec<String> = match &self.targets {
            Field::Is(list) => list.iter().map(text).collect(),
            Field::Absent | Field::Not(_) => Vec::new(),
        };
        let type_text = text(&self.record_type);
        let record_type = [RecordType::A, RecordType::Aaaa, RecordType::Cname]
            .into_iter()
            .find(|record_type| record_type.as_str() == type_text);
        let understood = record_type.and_then(|record_type| understand(record_type, &targets));
        let targets = understood.unwrap_or_else(|| {
            as_ours = false;
            // A type that has no word of its own goes where it can be seen.
            let foreign = record_type.is_none().then(|| format!("type {type_text}"));
            Targets::Other(foreign.into_iter().chain(targets).collect())
        });
        let mut provider_specific = Vec::new();
        for property in self.provider_specific.good().into_iter().flatten() {
            match property {
                Field::Is(Object(property)) => {
                    let name = text(&property.name);
                    let value = text(&property.value);
                    provider_specific.push((name.into(), value.into()));
                }
                Field::Absent | Field::Not(_) => as_ours = false,
            }
        }
        provider_specific.sort();
        let ttl = self.record_ttl.good().copied().unwrap_or_default();
        let endpoint = Endpoint {
            dns_name: text(&self.dns_name).into(),
            record_type: record_type.unwrap_or(RecordType::A),
            set_identifier: self.set_identifier.good_text(),
            targets,
            record_ttl: u32::try_from(ttl).unwrap_or_default(),
            provider_specific,
        };
        (endpoint, as_ours)
    }
}

/// The targets of a type we publish, `None` when they do not fit the type.
fn understand(record_type: RecordType, targets: &[String]) -> Option<Targets> {
    if record_type == RecordType::Cname {
        return match targets {
            [target] if !target.is_empty() => Some(Targets::Name(target.as_str().into())),
            _ => None,
        };
    }
    let mut addresses = targets
        .iter()
        .map(|target| target.parse::<IpAddr>().ok())
        .map(|address| address.filter(|a| a.is_ipv4() == (record_type == RecordType::A)))
        .collect::<Option<Vec<_>>>()?;
    addresses.sort_unstable();
    (!addresses.is_empty()).then(|| Targets::Addresses(addresses.into()))
}
