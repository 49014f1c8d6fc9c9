//! Schemas: from Rust types to what Kubernetes accepts as structural, and looking up unknown fields in them.

use schemars::{JsonSchema, generate::SchemaSettings};
use serde_json::{Map, Value, json};

/// The schema of a kind: that of `T`, which describes everything but the fields that all objects have, and those.
pub(crate) fn root<T: JsonSchema>() -> Value {
    let mut schema = of::<T>();
    if let Some(properties) = schema.get_mut("properties").and_then(Value::as_object_mut) {
        let common = [
            ("apiVersion", "string", "Group and version of the schema of this object."),
            ("kind", "string", "Kind of this object."),
            ("metadata", "object", ""),
        ];
        for (field, kind, description) in common {
            let mut entry = json!({ "type": kind });
            if let (false, Some(entry)) = (description.is_empty(), entry.as_object_mut()) {
                entry.insert("description".to_owned(), description.into());
            }
            properties.insert(field.to_owned(), entry);
        }
    }
    schema
}

fn of<T: JsonSchema>() -> Value {
    let generator = SchemaSettings::openapi3()
        .with(|settings| {
            settings.inline_subschemas = true;
            settings.meta_schema = None;
        })
        .into_generator();
    let mut schema = generator.into_root_schema_for::<T>().to_value();
    tidy(&mut schema);
    schema
}

/// Brings a schema into the form Kubernetes wants, all the way down.
fn tidy(schema: &mut Value) {
    let Some(object) = schema.as_object_mut() else {
        return;
    };
    // An absent field and a null one are the same to Kubernetes; `nullable` would keep nulls in etcd.
    hoist_option(object);
    for key in ["title", "nullable", "default", "$schema"] {
        object.remove(key);
    }
    // Rust's own formats (uint32 and such) only cause warnings.
    let known = ["date-time", "int32", "int64"];
    if !object.get("format").and_then(Value::as_str).is_some_and(|format| known.contains(&format)) {
        object.remove("format");
    }
    if let Some(Value::String(description)) = object.get_mut("description") {
        *description = unwrap_lines(description);
    }
    if let Some(items) = object.get_mut("items") {
        tidy(items);
    }
    // A map of texts; a mere `false` or `true` is no structural schema.
    match object.get_mut("additionalProperties") {
        Some(Value::Bool(_)) => {
            object.remove("additionalProperties");
        }
        Some(values) => tidy(values),
        None => {}
    }
    if let Some(properties) = object.get_mut("properties").and_then(Value::as_object_mut) {
        properties.values_mut().for_each(tidy);
    }
}

/// `Option<T>` of a type that is not simple: `anyOf: [T, null]` becomes `T`, what the field itself says wins.
fn hoist_option(object: &mut Map<String, Value>) {
    let Some(Value::Array(variants)) = object.remove("anyOf") else {
        return;
    };
    for variant in variants {
        let is_null = variant.get("enum") == Some(&json!([null]));
        if let (false, Value::Object(inner)) = (is_null, variant) {
            for (key, value) in inner {
                object.entry(key).or_insert(value);
            }
        }
    }
}

/// Doc comments are wrapped for the source; `kubectl explain` wraps for the terminal.
fn unwrap_lines(text: &str) -> String {
    text.split("\n\n")
        .map(|paragraph| paragraph.split('\n').collect::<Vec<_>>().join(" "))
        .collect::<Vec<_>>()
        .join("\n\n")
}

/// Paths of the fields of an object of ours that its schema does not know, such as `spec.recordTtl`. An API server drops
/// them silently (kubectl warns); where there is no API server, somebody has to say so. Kinds that are not ours have none.
#[must_use]
pub fn unknown_fields(kind: &str, object: &Value) -> Vec<String> {
    let mut unknown = Vec::new();
    if let Some(schema) = crate::crd::schema_of(kind) {
        walk(schema, object, "", &mut unknown);
    }
    unknown
}

fn walk(schema: &Value, value: &Value, path: &str, unknown: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            // An object without described fields is free, as `metadata` and maps of texts are.
            let Some(properties) = schema.get("properties").and_then(Value::as_object) else {
                return;
            };
            for (name, value) in fields {
                let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                match properties.get(name) {
                    Some(schema) => walk(schema, value, &path, unknown),
                    None => unknown.push(path),
                }
            }
        }
        Value::Array(items) => {
            if let Some(schema) = schema.get("items") {
                for (position, item) in items.iter().enumerate() {
                    walk(schema, item, &format!("{path}[{position}]"), unknown);
                }
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_fields_are_named_by_their_path() {
        let record = json!({
            "apiVersion": "x", "kind": "ServiceDNSRecord", "metadata": {"anything": 1},
            "spec": {"domainRef": "d", "recordTtl": 5},
            "status": {"dns": [{"cluster": "a"}, {"cluster": "b", "lb": {}}]},
            "extra": true,
        });
        let mut unknown = unknown_fields("ServiceDNSRecord", &record);
        unknown.sort();
        assert_eq!(unknown, ["extra", "spec.recordTtl", "status.dns[1].lb"]);
    }

    #[test]
    fn a_domain_has_no_spec() {
        let domain = json!({"kind": "Domain", "metadata": {}, "spec": {"domain": "a"}, "nameServer": "b"});
        assert_eq!(unknown_fields("Domain", &domain), ["spec"]);
    }

    #[test]
    fn an_empty_host_and_foreign_kinds_have_none() {
        let member = json!({"kind": "MemberCluster", "metadata": {}, "spec": {"host": {}}});
        assert!(unknown_fields("MemberCluster", &member).is_empty());
        assert!(unknown_fields("Service", &json!({"whatever": 1})).is_empty());
    }
}
