//! EndpointSlices: only the number of ready endpoints counts.

use mcsdns_core::{
    facts::{Malformed, Slice},
    ids::ObjectKey,
};
use serde::Deserialize;

use super::{Watched, resource};
use crate::{
    lenient::{Field, List, Object},
    metadata::{Head, LABEL_SLICE_SERVICE},
};

/// An EndpointSlice as observed.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct SliceObject {
    #[serde(rename = "metadata")]
    head: Head,
    endpoints: List<Endpoint>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Endpoint {
    conditions: Field<Object<Conditions>>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Conditions {
    ready: Field<bool>,
}

resource!(
    SliceObject,
    "EndpointSlice",
    "discovery.k8s.io",
    "v1",
    "endpointslices",
    k8s_openapi::NamespaceResourceScope
);

impl SliceObject {
    fn ready(&self) -> Result<u32, Malformed> {
        let mut ready = 0_u32;
        let endpoints = self.endpoints.get("endpoints")?;
        for (position, endpoint) in endpoints.into_iter().flatten().enumerate() {
            let path = format!("endpoints[{position}]");
            let Some(Object(endpoint)) = endpoint.get(&path)? else {
                continue;
            };
            let conditions = endpoint.conditions.get(&format!("{path}.conditions"))?;
            let is_ready = match conditions {
                Some(Object(conditions)) => conditions.ready.get(&format!("{path}.conditions.ready"))?.copied(),
                None => None,
            };
            // The API says that an unknown state is to be taken as ready.
            ready = ready.saturating_add(u32::from(is_ready.unwrap_or(true)));
        }
        Ok(ready)
    }
}

impl Watched for SliceObject {
    type Key = ObjectKey;
    type Fact = Result<Slice, Malformed>;
    const KIND: &'static str = "EndpointSlice";

    fn head(&self) -> &Head {
        &self.head
    }

    fn key(&self) -> ObjectKey {
        self.head.key()
    }

    fn fact(&self) -> Option<Self::Fact> {
        let service = self.head.label(LABEL_SLICE_SERVICE)?;
        Some(self.ready().map(|ready| Slice { service: service.into(), ready }))
    }
}
