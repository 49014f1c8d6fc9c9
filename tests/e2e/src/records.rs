//! DNSEndpoints in short.

use anyhow::{Context, Result};
use kube::{
    Api, Client,
    api::{ApiResource, DynamicObject},
};
use serde_json::Value;

/// The DNSEndpoints of a namespace, in ExternalDNS's own group.
#[must_use]
pub fn endpoints(client: &Client, namespace: &str) -> Api<DynamicObject> {
    let resource = ApiResource {
        group: "externaldns.k8s.io".to_owned(),
        version: "v1alpha1".to_owned(),
        api_version: "externaldns.k8s.io/v1alpha1".to_owned(),
        kind: "DNSEndpoint".to_owned(),
        plural: "dnsendpoints".to_owned(),
    };
    Api::namespaced_with(client.clone(), namespace, &resource)
}

/// The DNSEndpoint of a record.
///
/// # Errors
/// When there is none.
pub async fn endpoint(client: &Client, namespace: &str, record: &str) -> Result<DynamicObject> {
    let object = endpoints(client, namespace).get(&format!("service-{record}")).await;
    object.with_context(|| format!("no DNSEndpoint of {namespace}/{record}"))
}

/// Its endpoints as `name TYPE ttl target,target`, sorted.
#[must_use]
pub fn lines(object: &DynamicObject) -> Vec<String> {
    let endpoints = object.data.pointer("/spec/endpoints").and_then(Value::as_array).cloned().unwrap_or_default();
    sorted(endpoints.iter().map(|endpoint| {
        let text = |key: &str| endpoint.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        let ttl = endpoint.get("recordTTL").and_then(Value::as_i64).unwrap_or_default();
        let targets = endpoint.get("targets").and_then(Value::as_array).cloned().unwrap_or_default();
        let targets: Vec<&str> = targets.iter().filter_map(Value::as_str).collect();
        format!("{} {} {ttl} {}", text("dnsName"), text("recordType"), targets.join(","))
    }))
}

/// Sorted.
#[must_use]
pub fn sorted<T: Into<String>>(lines: impl IntoIterator<Item = T>) -> Vec<String> {
    let mut lines: Vec<String> = lines.into_iter().map(Into::into).collect();
    lines.sort();
    lines
}
