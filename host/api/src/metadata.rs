//! Metadata as far as it is needed, and the labels and annotations we use.

use std::{collections::BTreeMap, sync::Arc};

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ManagedFieldsEntry, ObjectMeta, OwnerReference, Time};
use mcsdns_core::{
    facts::{Malformed, Meta},
    ids::ObjectKey,
};
use serde::{Deserialize, Deserializer};

use crate::lenient::{Field, List, Object, Shape, malformed};

/// Says who manages an object (a label recommended by Kubernetes).
pub const LABEL_MANAGED_BY: &str = "app.kubernetes.io/managed-by";
/// Value of [`LABEL_MANAGED_BY`] on objects of ours.
pub const MANAGED_BY: &str = "mcsdns";
/// On every DNSEndpoint of ours, with the value `true`: for ExternalDNS's `--label-filter`.
pub const LABEL_PUBLISH: &str = "multiclusterdns.federation.k8s.io/publish";
/// Name of the record (and Service) on its DNSEndpoint: a label where it fits into one, else an annotation.
pub const SERVICE_NAME: &str = "multiclusterdns.federation.k8s.io/service-name";
/// Annotation that allows us to take over a DNSEndpoint that somebody else made; the value is `true`.
pub const ANNOTATION_ADOPT: &str = "multiclusterdns.federation.k8s.io/adopt";
/// Label of the ConfigMaps that hold policies; the value is `true`.
pub const LABEL_POLICY: &str = "multiclusterdns.federation.k8s.io/policy";
/// Label by which an EndpointSlice names its Service.
pub const LABEL_SLICE_SERVICE: &str = "kubernetes.io/service-name";

/// Field manager of the DNSEndpoints.
pub const MANAGER_RECORDS: &str = "mcsdns-records";
/// Field manager of statuses.
pub const MANAGER_STATUS: &str = "mcsdns-status";

/// Longest value of a label.
pub(crate) const MAX_LABEL_VALUE: usize = 63;

/// Metadata of an observed object. What is not needed is left out: `managedFields` alone is often larger than the rest,
/// so only the names of the managers are kept.
#[derive(Clone, Debug, Default)]
pub struct Head {
    /// In the form that `kube` works with.
    pub object: ObjectMeta,
    /// The first thing wrong with it.
    pub problem: Option<Malformed>,
}

impl Head {
    /// Namespace and name; manifests without a namespace mean `default`, as with kubectl.
    #[must_use]
    pub fn key(&self) -> ObjectKey {
        ObjectKey::new(self.object.namespace.as_deref().unwrap_or("default"), self.name())
    }

    /// Name, empty when there is none.
    #[must_use]
    pub fn name(&self) -> &str {
        self.object.name.as_deref().unwrap_or_default()
    }

    /// As the Index wants it.
    #[must_use]
    pub fn meta(&self) -> Meta {
        let object = &self.object;
        Meta {
            uid: object.uid.as_deref().unwrap_or_default().into(),
            generation: object.generation.unwrap_or_default(),
            created: object.creation_timestamp.as_ref().map(|time| time.0),
            deleting: object.deletion_timestamp.is_some(),
        }
    }

    /// Value of a label that is there and not empty.
    #[must_use]
    pub fn label(&self, key: &str) -> Option<&str> {
        let value = self.object.labels.as_ref()?.get(key)?;
        (!value.is_empty()).then_some(value.as_str())
    }

    /// Value of an annotation.
    #[must_use]
    pub fn annotation(&self, key: &str) -> Option<&str> {
        Some(self.object.annotations.as_ref()?.get(key)?.as_str())
    }

    /// What is wrong with the metadata.
    ///
    /// # Errors
    /// The first thing that is.
    pub fn check(&self) -> Result<(), Malformed> {
        self.problem.clone().map_or(Ok(()), Err)
    }
}

/// Labels or annotations, sorted by key.
pub(crate) fn pairs(map: Option<&BTreeMap<String, String>>) -> Vec<(Arc<str>, Arc<str>)> {
    map.into_iter().flatten().map(|(key, value)| (key.as_str().into(), value.as_str().into())).collect()
}

type Texts = Field<BTreeMap<String, Field<String>>>;

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct RawMeta {
    name: Field<String>,
    namespace: Field<String>,
    uid: Field<String>,
    resource_version: Field<String>,
    generation: Field<i64>,
    creation_timestamp: Field<String>,
    deletion_timestamp: Field<String>,
    labels: Texts,
    annotations: Texts,
    owner_references: List<RawOwner>,
    managed_fields: List<RawManager>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct RawOwner {
    api_version: Field<String>,
    kind: Field<String>,
    name: Field<String>,
    uid: Field<String>,
    controller: Field<bool>,
    block_owner_deletion: Field<bool>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct RawManager {
    manager: Field<String>,
    subresource: Field<String>,
}

impl<'de> Deserialize<'de> for Head {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let field = Field::<Object<RawMeta>>::deserialize(deserializer)?;
        Ok(match field {
            Field::Is(Object(raw)) => raw.into(),
            Field::Absent => Self::default(),
            Field::Not(found) => Self {
                object: ObjectMeta::default(),
                problem: Some(malformed(format!("metadata: expected an object, found {found}"))),
            },
        })
    }
}

/// Collects what is good and remembers the first thing that is not.
#[derive(Default)]
struct Collector(Option<Malformed>);

impl Collector {
    fn note(&mut self, problem: Malformed) {
        self.0.get_or_insert(problem);
    }

    fn take<T: Shape + Clone>(&mut self, field: &Field<T>, path: &str) -> Option<T> {
        match field.get(path) {
            Ok(value) => value.cloned(),
            Err(problem) => {
                self.note(problem);
                None
            }
        }
    }

    fn text(&mut self, field: &Field<String>, path: &str) -> Option<String> {
        self.take(field, path).filter(|text| !text.is_empty())
    }

    fn time(&mut self, field: &Field<String>, path: &str) -> Option<Time> {
        let text = self.text(field, path)?;
        match text.parse::<Timestamp>() {
            Ok(time) => Some(Time(time)),
            Err(_) => {
                self.note(malformed(format!("{path}: `{text}` is not a time")));
                None
            }
        }
    }

    fn texts(&mut self, field: &Texts, path: &str) -> Option<BTreeMap<String, String>> {
        let map = match field.get(path) {
            Ok(map) => map?,
            Err(problem) => {
                self.note(problem);
                return None;
            }
        };
        let texts = map
            .iter()
            .filter_map(|(key, value)| Some((key.clone(), self.take(value, &format!("{path}[{key}]"))?)))
            .collect();
        Some(texts)
    }
}

impl From<RawMeta> for Head {
    fn from(raw: RawMeta) -> Self {
        let mut collector = Collector::default();
        let c = &mut collector;
        let object = ObjectMeta {
            name: c.text(&raw.name, "metadata.name"),
            namespace: c.text(&raw.namespace, "metadata.namespace"),
            uid: c.text(&raw.uid, "metadata.uid"),
            resource_version: c.text(&raw.resource_version, "metadata.resourceVersion"),
            generation: c.take(&raw.generation, "metadata.generation"),
            creation_timestamp: c.time(&raw.creation_timestamp, "metadata.creationTimestamp"),
            deletion_timestamp: c.time(&raw.deletion_timestamp, "metadata.deletionTimestamp"),
            labels: c.texts(&raw.labels, "metadata.labels"),
            annotations: c.texts(&raw.annotations, "metadata.annotations"),
            owner_references: owners(&raw.owner_references),
            managed_fields: managers(&raw.managed_fields),
            ..ObjectMeta::default()
        };
        if object.name.is_none() {
            c.note(malformed("metadata.name is missing"));
        }
        Self { object, problem: collector.0 }
    }
}

fn owners(list: &List<RawOwner>) -> Option<Vec<OwnerReference>> {
    let text = |field: &Field<String>| field.good().cloned().unwrap_or_default();
    let owners: Vec<_> = list
        .each()
        .map(|raw| OwnerReference {
            api_version: text(&raw.api_version),
            kind: text(&raw.kind),
            name: text(&raw.name),
            uid: text(&raw.uid),
            controller: raw.controller.good().copied(),
            block_owner_deletion: raw.block_owner_deletion.good().copied(),
        })
        .collect();
    (!owners.is_empty()).then_some(owners)
}

fn managers(list: &List<RawManager>) -> Option<Vec<ManagedFieldsEntry>> {
    let managers: Vec<_> = list
        .each()
        .map(|raw| ManagedFieldsEntry {
            manager: raw.manager.good().cloned(),
            subresource: raw.subresource.good().cloned(),
            ..ManagedFieldsEntry::default()
        })
        .collect();
    (!managers.is_empty()).then_some(managers)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn head(value: serde_json::Value) -> Head {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn what_is_good_survives_what_is_bad() {
        let head = head(json!({
            "name": "a", "namespace": "b", "generation": "x", "labels": {"good": "yes", "bad": true},
            "creationTimestamp": "yesterday", "annotations": [1],
            "managedFields": [{"manager": "kubectl", "fieldsV1": {"f:spec": {}}}, 7],
        }));
        assert_eq!(head.key(), ObjectKey::new("b", "a"));
        assert_eq!(head.label("good"), Some("yes"));
        assert_eq!(head.label("bad"), None);
        assert_eq!(head.check().unwrap_err().message, "metadata.generation: expected a whole number, found a text");
        let managers = head.object.managed_fields.unwrap();
        assert_eq!(managers[0].manager.as_deref(), Some("kubectl"));
        assert_eq!(managers[0].fields_v1, None);
    }

    #[test]
    fn metadata_of_any_shape_is_read() {
        assert!(head(json!(null)).problem.is_none());
        assert_eq!(head(json!([1])).check().unwrap_err().message, "metadata: expected an object, found a list");
        assert_eq!(head(json!({})).check().unwrap_err().message, "metadata.name is missing");
    }

    #[test]
    fn times_and_deletion() {
        let meta = head(json!({
            "name": "a", "uid": "u", "generation": 3,
            "creationTimestamp": "2024-01-02T03:04:05Z", "deletionTimestamp": "2024-01-02T03:04:06Z",
        }))
        .meta();
        assert_eq!(meta.created, Some("2024-01-02T03:04:05Z".parse().unwrap()));
        assert!(meta.deleting);
        assert_eq!((&*meta.uid, meta.generation), ("u", 3));
    }
}
