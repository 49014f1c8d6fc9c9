//! Access to DNSEndpoints of one namespace in a group that is chosen when the program starts.
//!
//! kube names the namespace of an object only for kinds whose scope it knows at compile time and whose type needs no data,
//! or for kinds whose scope it learns when running. This is the one kind that is of the second sort.

use std::borrow::Cow;

use kube::{Api, Client, Resource, core::DynamicResourceScope};
use mcsdns_api::{convert::DnsEndpointObject, endpoint::EndpointGroup};
use mcsdns_core::ids::ObjectKey;
use serde::Deserialize;

/// A DNSEndpoint as it came back from the server.
#[derive(Clone, Debug, Deserialize)]
#[serde(transparent)]
pub(crate) struct Answer(pub(crate) DnsEndpointObject);

impl Resource for Answer {
    type DynamicType = EndpointGroup;
    type Scope = DynamicResourceScope;

    fn kind(group: &EndpointGroup) -> Cow<'_, str> {
        DnsEndpointObject::kind(group)
    }
    fn group(group: &EndpointGroup) -> Cow<'_, str> {
        DnsEndpointObject::group(group)
    }
    fn version(group: &EndpointGroup) -> Cow<'_, str> {
        DnsEndpointObject::version(group)
    }
    fn plural(group: &EndpointGroup) -> Cow<'_, str> {
        DnsEndpointObject::plural(group)
    }
    fn meta(&self) -> &kube::core::ObjectMeta {
        self.0.meta()
    }
    fn meta_mut(&mut self) -> &mut kube::core::ObjectMeta {
        self.0.meta_mut()
    }
}

/// The DNSEndpoints beside `object`.
pub(crate) fn beside(client: &Client, object: &ObjectKey, group: EndpointGroup) -> Api<Answer> {
    Api::namespaced_with(client.clone(), &object.namespace, &group)
}
