//! Nodes: only their labels count.

use std::sync::Arc;

use mcsdns_core::facts::Node;
use serde::Deserialize;

use super::{Watched, resource};
use crate::metadata::Head;

/// A Node as observed. Lists and watches ask the API server for metadata only.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct NodeObject {
    #[serde(rename = "metadata")]
    head: Head,
}

resource!(NodeObject, "Node", "", "v1", "nodes", k8s_openapi::ClusterResourceScope, metadata_api = true);

impl Watched for NodeObject {
    type Key = Arc<str>;
    type Fact = Node;
    const KIND: &'static str = "Node";

    fn head(&self) -> &Head {
        &self.head
    }

    fn key(&self) -> Arc<str> {
        self.head.name().into()
    }

    fn fact(&self) -> Option<Node> {
        // The beta labels were last set by Kubernetes 1.16 and survive on nodes that old clusters made.
        let place = |label: &str, beta: &str| self.head.label(label).or_else(|| self.head.label(beta)).map(Arc::from);
        Some(Node {
            region: place("topology.kubernetes.io/region", "failure-domain.beta.kubernetes.io/region"),
            zone: place("topology.kubernetes.io/zone", "failure-domain.beta.kubernetes.io/zone"),
        })
    }
}
