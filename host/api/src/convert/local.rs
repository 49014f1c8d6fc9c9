//! Objects from files: any kind we know, told apart by `apiVersion` and `kind`.

use mcsdns_core::facts::Malformed;
use serde_json::Value;

use super::{
    ConfigMapObject, DnsEndpointObject, DomainObject, MemberObject, NodeObject, RecordObject, ServiceObject,
    SliceObject, from_value,
};
use crate::{API_VERSION, endpoint::EndpointGroup};

/// An object that was read from a file.
#[derive(Clone, Debug)]
pub enum LocalObject {
    /// A ServiceDNSRecord.
    Record(Box<RecordObject>),
    /// A Domain.
    Domain(Box<DomainObject>),
    /// A MemberCluster.
    Member(Box<MemberObject>),
    /// A DNSEndpoint.
    DnsEndpoint(EndpointGroup, Box<DnsEndpointObject>),
    /// A Service.
    Service(Box<ServiceObject>),
    /// An EndpointSlice.
    Slice(Box<SliceObject>),
    /// A Node.
    Node(Box<NodeObject>),
    /// A ConfigMap, which may hold a policy.
    ConfigMap(Box<ConfigMapObject>),
    /// Something else, such as a Deployment or a Namespace.
    Other {
        /// Its `apiVersion`.
        api_version: String,
        /// Its `kind`.
        kind: String,
    },
}

/// Reads one object. A `kubectl get -o yaml` list has to be taken apart before.
///
/// # Errors
/// When it is not a Kubernetes object or has no name.
pub fn local_object(value: &Value) -> Result<LocalObject, Malformed> {
    let text = |field: &str| {
        value
            .get(field)
            .and_then(Value::as_str)
            .ok_or_else(|| Malformed { message: format!("{field} is missing; every Kubernetes object has one") })
    };
    let (api_version, kind) = (text("apiVersion")?, text("kind")?);
    if let (Some(group), "DNSEndpoint") = (EndpointGroup::from_api_version(api_version), kind) {
        return Ok(LocalObject::DnsEndpoint(group, Box::new(from_value(value)?)));
    }
    Ok(match (api_version, kind) {
        (API_VERSION, "ServiceDNSRecord") => LocalObject::Record(Box::new(from_value(value)?)),
        (API_VERSION, "Domain") => LocalObject::Domain(Box::new(from_value(value)?)),
        (API_VERSION, "MemberCluster") => LocalObject::Member(Box::new(from_value(value)?)),
        ("v1", "Service") => LocalObject::Service(Box::new(from_value(value)?)),
        ("discovery.k8s.io/v1", "EndpointSlice") => LocalObject::Slice(Box::new(from_value(value)?)),
        ("v1", "ConfigMap") => LocalObject::ConfigMap(Box::new(from_value(value)?)),
        ("v1", "Node") => LocalObject::Node(Box::new(from_value(value)?)),
        _ => LocalObject::Other { api_version: api_version.to_owned(), kind: kind.to_owned() },
    })
}
