//! From Kubernetes objects, watched or read from a file, to what the Index is told.
//!
//! Each kind has an observed type that implements [`kube::Resource`], so that it can be listed and watched, and
//! [`Watched`], so that one pump serves all kinds. Deserialising them cannot fail on any JSON object, whatever its fields.

mod config_map;
mod domain;
mod endpoint;
mod local;
mod member;
mod node;
mod record;
mod service;
mod slice;

use std::fmt::Debug;

use mcsdns_core::facts::Malformed;
use serde::de::DeserializeOwned;
use serde_json::Value;

pub use self::{
    config_map::{CONFIG_MAP_BYTES, ConfigMapObject, PolicyMap},
    domain::{DomainObject, PolicyNames},
    endpoint::DnsEndpointObject,
    local::{LocalObject, local_object},
    member::{Connection, MemberObject},
    node::NodeObject,
    record::RecordObject,
    service::ServiceObject,
    slice::SliceObject,
};
use crate::{lenient::malformed, metadata::Head};

/// An observed object.
pub trait Watched: kube::Resource + DeserializeOwned + Clone + Debug + Send + Sync + 'static {
    /// What identifies it within its source.
    type Key: Clone + Ord + Debug + Send + 'static;
    /// What the Index is told about it.
    type Fact: Clone + PartialEq + Debug + Send + 'static;
    /// Its kind, for messages.
    const KIND: &'static str;

    /// Its metadata.
    fn head(&self) -> &Head;
    /// What identifies it.
    fn key(&self) -> Self::Key;
    /// What the Index is told; `None` when it does not concern us (any more), which amounts to its being gone.
    fn fact(&self) -> Option<Self::Fact>;
}

/// Reads an object that did not come from an API server, which would have made sure that it has a name.
///
/// # Errors
/// When it is not an object or has no name; then there is nothing that could be told about it to the Index.
pub fn from_value<T: Watched>(value: &Value) -> Result<T, Malformed> {
    if !value.is_object() {
        return Err(malformed("expected an object"));
    }
    let object: T = T::deserialize(value).map_err(|error| malformed(error.to_string()))?;
    if object.head().name().is_empty() {
        object.head().check()?;
        return Err(malformed("metadata.name is missing"));
    }
    Ok(object)
}

/// Implements `kube::Resource` for an observed type with a field `head`.
macro_rules! resource {
    ($type:ty, $kind:literal, $group:expr, $version:literal, $plural:literal, $scope:ty $(, metadata_api = $metadata:literal)?) => {
        impl kube::Resource for $type {
            type DynamicType = ();
            type Scope = $scope;
            fn kind(_: &()) -> std::borrow::Cow<'_, str> {
                $kind.into()
            }
            fn group(_: &()) -> std::borrow::Cow<'_, str> {
                $group.into()
            }
            fn version(_: &()) -> std::borrow::Cow<'_, str> {
                $version.into()
            }
            fn plural(_: &()) -> std::borrow::Cow<'_, str> {
                $plural.into()
            }
            $(fn metadata_api() -> bool {
                $metadata
            })?
            fn meta(&self) -> &k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta {
                &self.head.object
            }
            fn meta_mut(&mut self) -> &mut k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta {
                &mut self.head.object
            }
        }
    };
}
pub(crate) use resource;

#[cfg(test)]
mod tests;
