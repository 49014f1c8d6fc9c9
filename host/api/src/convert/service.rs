//! Services: type and load-balancer addresses.

use std::{net::IpAddr, sync::Arc};

use mcsdns_core::{
    facts::{self, Ingress, Malformed, Service},
    ids::ObjectKey,
    name,
};
use serde::Deserialize;

use super::{Watched, resource};
use crate::{
    lenient::{Field, List, Object},
    metadata::Head,
};

/// A Service as observed.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct ServiceObject {
    #[serde(rename = "metadata")]
    head: Head,
    spec: Field<Object<Spec>>,
    status: Field<Object<Status>>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Spec {
    #[serde(rename = "type")]
    kind: Field<String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Status {
    load_balancer: Field<Object<LoadBalancer>>,
}

/// The load-balancer part of a status, of a Service or of a record.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct LoadBalancer {
    ingress: List<Entry>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Entry {
    ip: Field<String>,
    hostname: Field<String>,
}

resource!(ServiceObject, "Service", "", "v1", "services", k8s_openapi::NamespaceResourceScope);

impl ServiceObject {
    fn service(&self) -> Result<Service, Malformed> {
        let kind = match self.spec.get("spec")? {
            Some(Object(spec)) => spec.kind.text("spec.type")?,
            None => None,
        };
        // The default of the API, for manifests that never saw an API server.
        let kind = kind.unwrap_or_else(|| "ClusterIP".into());
        let load_balancer = match self.status.get("status")? {
            Some(Object(status)) => status.load_balancer.get("status.loadBalancer")?,
            None => None,
        };
        let (ingress, refused) = match load_balancer {
            Some(Object(load_balancer)) => load_balancer.read("status.loadBalancer.ingress")?,
            None => (Vec::new(), Vec::new()),
        };
        Ok(Service { load_balancer: &*kind == "LoadBalancer", kind, ingress: ingress.into(), refused })
    }
}

impl LoadBalancer {
    /// Its addresses, sorted and without duplicates, and what is none.
    ///
    /// # Errors
    /// When the list is no list; a bad entry is refused by itself.
    pub(super) fn read(&self, path: &str) -> Result<(Vec<Ingress>, Vec<String>), Malformed> {
        let mut good = Vec::new();
        let mut refused = Vec::new();
        for (position, entry) in self.ingress.get(path)?.into_iter().flatten().enumerate() {
            let path = format!("{path}[{position}]");
            let entry = match entry.get(&path) {
                Ok(Some(Object(entry))) => entry,
                Ok(None) => continue,
                Err(problem) => {
                    refused.push(problem.message);
                    continue;
                }
            };
            let mut take = |field: &Field<String>, part: &str, read: fn(&str) -> Option<Ingress>| match field
                .text(&format!("{path}.{part}"))
            {
                Ok(Some(text)) => match read(&text) {
                    Some(ingress) => good.push(ingress),
                    None => refused.push(text.to_string()),
                },
                Ok(None) => {}
                Err(problem) => refused.push(problem.message),
            };
            take(&entry.ip, "ip", |text| address(text).map(Ingress::Ip));
            take(&entry.hostname, "hostname", host_name);
        }
        good.sort();
        good.dedup();
        Ok((good, refused))
    }
}

fn address(text: &str) -> Option<IpAddr> {
    facts::usable(text.parse().ok()?)
}

/// A host name, lower case without final dot. Some load balancers write an address there.
fn host_name(text: &str) -> Option<Ingress> {
    if text.parse::<IpAddr>().is_ok() {
        return address(text).map(Ingress::Ip);
    }
    let host = name::normalise(text);
    (name::check_name(&host).is_ok() && !host.starts_with('*')).then(|| Ingress::HostName(Arc::from(host)))
}

impl Watched for ServiceObject {
    type Key = ObjectKey;
    type Fact = Result<Service, Malformed>;
    const KIND: &'static str = "Service";

    fn head(&self) -> &Head {
        &self.head
    }

    fn key(&self) -> ObjectKey {
        self.head.key()
    }

    fn fact(&self) -> Option<Self::Fact> {
        Some(self.service())
    }
}
