//! The custom resources of mcsdns and the conversion between Kubernetes objects and domain values.
//!
//! No I/O happens here. There are two views of every object:
//!
//! * the *typed* one ([`domain`], [`record`], [`member`], [`endpoint`]) is what people write, what the schemas of the
//!   CustomResourceDefinitions are made from ([`crd`]), and what we write ourselves ([`status`]);
//! * the *observed* one ([`convert`]) is what is read from a watch or a file. Reading never fails as a whole: whatever is
//!   wrong with an object becomes one [`mcsdns_core::facts::Malformed`] that names the field.

pub mod condition;
pub mod convert;
pub mod crd;
pub mod domain;
pub mod endpoint;
pub mod kubeconfig;
pub mod lenient;
pub mod member;
pub mod metadata;
pub mod record;
pub mod schema;
pub mod status;

/// API group of our kinds, kept from Federation v2 so that its manifests keep working.
pub const GROUP: &str = "multiclusterdns.federation.k8s.io";
/// The only version.
pub const VERSION: &str = "v1alpha1";
/// `apiVersion` of our kinds.
pub const API_VERSION: &str = "multiclusterdns.federation.k8s.io/v1alpha1";

/// `apiVersion` and `kind` of a kind of ours, for objects that are to be written.
pub(crate) fn types(kind: &str) -> Option<kube::core::TypeMeta> {
    Some(kube::core::TypeMeta { api_version: API_VERSION.to_owned(), kind: kind.to_owned() })
}
