//! Access to DNSEndpoints of one namespace in a group that is chosen when the program starts, and whether there is such a
//! kind at all.
//!
//! kube names the namespace of an object only for kinds whose scope it knows at compile time and whose type needs no data,
//! or for kinds whose scope it learns when running. This is the one kind that is of the second sort.

use std::{borrow::Cow, time::Duration};

use kube::{Api, Client, Resource, core::DynamicResourceScope};
use mcsdns_api::{convert::DnsEndpointObject, endpoint::EndpointGroup};
use mcsdns_core::ids::ObjectKey;
use serde::Deserialize;
use tokio::time::timeout;

use crate::{
    members::probe,
    trouble::{Kind, Trouble},
};

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

/// Whether the host cluster knows DNSEndpoints.
pub(crate) struct Definition {
    pub(crate) client: Client,
    pub(crate) group: EndpointGroup,
    /// For one request.
    pub(crate) limit: Duration,
}

impl Definition {
    /// Whether the API server itself says that it does not know the kind. A list that is answered with 404 does not say so:
    /// that may be a proxy, or a server that has not read its definitions yet.
    pub(crate) async fn is_absent(&self) -> Result<bool, Trouble> {
        // What a server that is not ready leaves out means nothing.
        probe::ask(&self.client, self.limit).await?;
        match timeout(self.limit, self.is_unlisted()).await {
            Ok(unlisted) => unlisted,
            Err(_) => Err(Trouble::timeout(self.limit)),
        }
    }

    async fn is_unlisted(&self) -> Result<bool, Trouble> {
        let wanted = self.group.api_version();
        let groups = self.client.list_api_groups().await?.groups;
        if groups.is_empty() {
            return Err(Trouble::new(Kind::Garbage, "/apis lists no group, which no API server says"));
        }
        if !groups.iter().flat_map(|group| &group.versions).any(|version| version.group_version == wanted) {
            return Ok(true);
        }
        let plural = self.group.api_resource().plural;
        let known = self.client.list_api_group_resources(wanted).await?;
        Ok(!known.resources.iter().any(|resource| resource.name == plural))
    }
}
