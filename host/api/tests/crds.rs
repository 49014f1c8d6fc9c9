//! The CustomResourceDefinitions: what is shipped is what the code says, and the parts that users depend on.

// Helpers are not `#[test]` functions, so clippy.toml does not exempt them.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test may fail")]

use std::{collections::BTreeSet, fs, path::Path};

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSONSchemaProps, JSONSchemaPropsOrArray,
};
use mcsdns_api::{
    API_VERSION,
    convert::{LocalObject, Watched, local_object},
    crd::{crds, crds_yaml},
    schema::unknown_fields,
};
use serde_json::Value;

fn repository() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

fn all() -> Vec<CustomResourceDefinition> {
    crds(true).unwrap()
}

/// `BLESS=1 cargo test -p mcsdns-api --test crds` writes the file; so does `mcsdns crd > deploy/crds.yaml`.
#[test]
fn the_shipped_file_is_current() {
    let path = repository().join("deploy/crds.yaml");
    let wanted = crds_yaml(false).unwrap();
    if std::env::var_os("BLESS").is_some() {
        fs::write(&path, &wanted).unwrap();
    }
    let shipped = fs::read_to_string(&path).unwrap_or_default();
    assert!(shipped == wanted, "{} is out of date: run `mcsdns crd > deploy/crds.yaml`", path.display());
}

#[test]
fn yaml_and_types_say_the_same() {
    let documents: Vec<CustomResourceDefinition> = serde_saphyr::from_multiple(&crds_yaml(true).unwrap()).unwrap();
    assert_eq!(documents, all());
    assert_eq!(crds(false).unwrap().len(), 3);
}

#[test]
fn what_every_definition_has() {
    for crd in all() {
        let name = crd.metadata.name.clone().unwrap();
        let approved = &crd.metadata.annotations.as_ref().unwrap()["api-approved.kubernetes.io"];
        assert!(approved.starts_with("unapproved, "), "{name}");
        assert_eq!(crd.spec.scope, "Namespaced", "{name}");
        assert_eq!(crd.spec.names.categories, Some(vec!["mcsdns".to_owned()]), "{name}");
        let [version] = crd.spec.versions.as_slice() else {
            panic!("{name}");
        };
        assert_eq!(format!("{}/{}", crd.spec.group, version.name), API_VERSION);
        assert!(version.subresources.as_ref().unwrap().status.is_some(), "{name}");
        assert!(version.additional_printer_columns.as_ref().unwrap().len() >= 2, "{name}");
        let schema = version.schema.as_ref().unwrap().open_api_v3_schema.as_ref().unwrap();
        bounded(&name, schema);
    }
}

/// Every field is described, every text and list has an end, every number a bound.
fn bounded(path: &str, schema: &JSONSchemaProps) {
    match schema.type_.as_deref() {
        Some("string") => assert!(
            schema.max_length.is_some() || schema.enum_.is_some() || path.ends_with(".labels[]"),
            "{path} has no end"
        ),
        Some("array") => {
            assert!(schema.max_items.is_some(), "{path} has no end");
            let Some(JSONSchemaPropsOrArray::Schema(items)) = &schema.items else {
                panic!("{path}");
            };
            bounded(&format!("{path}[]"), items);
        }
        Some("object") => {}
        Some("integer" | "boolean") => {}
        other => panic!("{path} has type {other:?}"),
    }
    for (name, field) in schema.properties.iter().flatten() {
        let path = format!("{path}.{name}");
        let common = ["apiVersion", "kind", "metadata"].contains(&name.as_str());
        if !common {
            assert!(field.description.is_some(), "{path} has no description");
            bounded(&path, field);
        }
    }
    for rule in schema.x_kubernetes_validations.iter().flatten() {
        assert!(rule.message.is_some(), "{path}: {} has no message", rule.rule);
    }
}

#[test]
fn conditions_are_maps_by_type() {
    for crd in crds(false).unwrap() {
        let value = serde_json::to_value(&crd).unwrap();
        let conditions =
            value.pointer("/spec/versions/0/schema/openAPIV3Schema/properties/status/properties/conditions").unwrap();
        assert_eq!(conditions["x-kubernetes-list-type"], "map");
        assert_eq!(conditions["x-kubernetes-list-map-keys"][0], "type");
    }
}

#[test]
fn a_domain_has_its_fields_at_the_top() {
    let domain = all().into_iter().find(|crd| crd.spec.names.kind == "Domain").unwrap();
    let schema = domain.spec.versions[0].schema.clone().unwrap().open_api_v3_schema.unwrap();
    let properties = schema.properties.unwrap();
    assert!(!properties.contains_key("spec"));
    assert_eq!(schema.required, Some(vec!["domain".to_owned()]));
    for field in ["nameServer", "policies", "whenEmpty", "unreachableGraceSeconds", "minTTL", "maxTTL"] {
        assert!(properties.contains_key(field), "{field}");
    }
}

fn documents(file: &str) -> Vec<Value> {
    let text = fs::read_to_string(repository().join(file)).unwrap();
    serde_saphyr::from_multiple(&text).unwrap()
}

#[test]
fn the_manifests_of_the_guide_are_understood() {
    let mut kinds = Vec::new();
    for document in documents("deploy/examples/guide.yaml") {
        let kind = document["kind"].as_str().unwrap().to_owned();
        assert_eq!(unknown_fields(&kind, &document), Vec::<String>::new());
        match local_object(&document).unwrap() {
            LocalObject::Domain(object) => {
                let spec = object.fact().unwrap().spec.unwrap();
                assert_eq!(&*spec.domain, "your.domain.name");
            }
            LocalObject::Record(object) => {
                let spec = object.fact().unwrap().spec.unwrap();
                assert_eq!((&*spec.domain_ref, spec.record_ttl), ("test-domain", Some(300)));
            }
            _ => {}
        }
        kinds.push(kind);
    }
    assert!(kinds.contains(&"Domain".to_owned()) && kinds.contains(&"ServiceDNSRecord".to_owned()));
}

fn fields(schema: &JSONSchemaProps, found: &mut BTreeSet<String>) {
    if let Some(JSONSchemaPropsOrArray::Schema(items)) = &schema.items {
        fields(items, found);
    }
    for (name, field) in schema.properties.iter().flatten() {
        found.insert(name.clone());
        fields(field, found);
    }
}

/// Words of `text` between backticks, taken apart at dots.
fn quoted(text: &str) -> BTreeSet<&str> {
    text.split('`').skip(1).step_by(2).flat_map(|code| code.split(['.', '[', ']'])).collect()
}

#[test]
fn the_reference_names_every_field_and_reason() {
    let text = fs::read_to_string(repository().join("docs/api.md")).unwrap();
    let quoted = quoted(&text);
    let mut found = BTreeSet::new();
    for crd in all() {
        let schema = crd.spec.versions[0].schema.clone().unwrap().open_api_v3_schema.unwrap();
        fields(&schema, &mut found);
    }
    // What every object or condition of Kubernetes has.
    let common = ["apiVersion", "kind", "metadata", "type", "reason", "message", "lastTransitionTime"];
    for field in found.iter().filter(|field| !common.contains(&field.as_str())) {
        assert!(quoted.contains(field.as_str()), "docs/api.md does not mention `{field}`");
    }
    // The vocabulary is an enum without a list of its members; its source has one.
    let source = fs::read_to_string(repository().join("host/core/src/reason.rs")).unwrap();
    let reasons: Vec<_> = source.split("=> \"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
    assert!(reasons.len() > 40);
    for reason in reasons {
        assert!(quoted.contains(reason), "docs/api.md does not mention `{reason}`");
    }
}
