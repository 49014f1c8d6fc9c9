//! MemberClusters.

use std::sync::Arc;

use mcsdns_core::{
    facts::{Malformed, Member},
    ids::ClusterName,
    status::MemberStatus,
};
use serde::Deserialize;

use super::{Watched, resource};
use crate::{
    GROUP,
    condition::{ObservedCondition, observed},
    lenient::{Field, List, Object, good_texts, malformed, texts},
    metadata::{Head, pairs},
};

/// A MemberCluster as observed.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct MemberObject {
    #[serde(rename = "metadata")]
    head: Head,
    spec: Field<Object<Spec>>,
    status: Field<Object<Status>>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Spec {
    kubeconfig_secret_ref: Field<Object<SecretRef>>,
    host: Field<Object<Host>>,
    region: Field<String>,
    zones: Field<Vec<Field<String>>>,
    #[serde(rename = "insecureSkipTLSVerify")]
    insecure_skip_tls_verify: Field<String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct SecretRef {
    name: Field<String>,
    key: Field<String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
struct Host {}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Status {
    observed_generation: Field<i64>,
    conditions: List<ObservedCondition>,
    region: Field<String>,
    zones: Field<Vec<Field<String>>>,
    kubernetes_version: Field<String>,
    nodes: Field<i64>,
    services: Field<i64>,
}

resource!(MemberObject, "MemberCluster", GROUP, "v1alpha1", "memberclusters", k8s_openapi::NamespaceResourceScope);

/// How a member cluster is reached.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Connection {
    /// It is the cluster the controller runs in.
    Host,
    /// By the kubeconfig in a Secret of the controller's namespace.
    Secret {
        /// Name of the Secret.
        name: Arc<str>,
        /// Key within it; `None`: see [`crate::kubeconfig::pick`].
        key: Option<Arc<str>>,
        /// `insecure-skip-tls-verify` in the kubeconfig is honoured.
        allow_insecure: bool,
    },
}

impl MemberObject {
    /// How the cluster is reached.
    ///
    /// # Errors
    /// When that is not said, or said in two ways, or a field has the wrong type.
    pub fn connection(&self) -> Result<Connection, Malformed> {
        let Some(Object(spec)) = self.spec.get("spec")? else {
            return Err(malformed("spec is missing"));
        };
        let secret = spec.kubeconfig_secret_ref.get("spec.kubeconfigSecretRef")?;
        let host = spec.host.get("spec.host")?;
        let allow_insecure = match spec.insecure_skip_tls_verify.text("spec.insecureSkipTLSVerify")?.as_deref() {
            None | Some("Refuse") => false,
            Some("Allow") => true,
            Some(other) => {
                return Err(malformed(format!(
                    "spec.insecureSkipTLSVerify: expected Refuse or Allow, found `{other}`"
                )));
            }
        };
        match (secret, host) {
            (None, Some(_)) => Ok(Connection::Host),
            (Some(Object(secret)), None) => Ok(Connection::Secret {
                name: secret
                    .name
                    .text("spec.kubeconfigSecretRef.name")?
                    .ok_or_else(|| malformed("spec.kubeconfigSecretRef.name is missing"))?,
                key: secret.key.text("spec.kubeconfigSecretRef.key")?,
                allow_insecure,
            }),
            (None, None) | (Some(_), Some(_)) => {
                Err(malformed("spec: set exactly one of kubeconfigSecretRef and host"))
            }
        }
    }

    /// Region and zones given by hand.
    #[expect(clippy::type_complexity, reason = "used once, below")]
    fn places(&self) -> Result<(Option<Arc<str>>, Option<Vec<Arc<str>>>), Malformed> {
        self.head.check()?;
        let Some(Object(spec)) = self.spec.get("spec")? else {
            return Ok((None, None));
        };
        let region = spec.region.text("spec.region")?;
        let mut zones = texts(&spec.zones, "spec.zones")?;
        if let Some(zones) = &mut zones {
            zones.sort();
            zones.dedup();
        }
        Ok((region, zones))
    }
}

impl Watched for MemberObject {
    type Key = ClusterName;
    type Fact = Member;
    const KIND: &'static str = "MemberCluster";

    fn head(&self) -> &Head {
        &self.head
    }

    fn key(&self) -> ClusterName {
        ClusterName::new(self.head.name())
    }

    fn fact(&self) -> Option<Member> {
        let (region, zones, malformed) = match self.places() {
            Ok((region, zones)) => (region, zones, None),
            Err(problem) => (None, None, Some(problem)),
        };
        Some(Member {
            meta: self.head.meta(),
            labels: pairs(self.head.object.labels.as_ref()),
            region,
            zones,
            malformed,
            status: self.status.good().map(|Object(status)| Arc::new(status.into())),
        })
    }
}

impl From<&Status> for MemberStatus {
    fn from(status: &Status) -> Self {
        Self {
            observed_generation: status.observed_generation.number(),
            conditions: observed(&status.conditions),
            region: status.region.good_text(),
            zones: good_texts(&status.zones),
            version: status.kubernetes_version.good_text(),
            nodes: status.nodes.count(),
            services: status.services.count(),
        }
    }
}
