//! Domains.

use std::sync::Arc;

use mcsdns_core::{
    facts::{Domain, DomainSpec, Malformed, WhenEmpty},
    status::DomainStatus,
};
use serde::Deserialize;

use super::{Watched, resource};
use crate::{
    GROUP,
    condition::{ObservedCondition, observed},
    lenient::{Field, List, Object, malformed},
    metadata::Head,
};

/// A Domain as observed.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct DomainObject {
    #[serde(rename = "metadata")]
    head: Head,
    domain: Field<String>,
    policies: Field<Object<Policies>>,
    when_empty: Field<String>,
    unreachable_grace_seconds: Field<i64>,
    #[serde(rename = "minTTL")]
    min_ttl: Field<i64>,
    #[serde(rename = "maxTTL")]
    max_ttl: Field<i64>,
    status: Field<Object<Status>>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Policies {
    naming: Field<String>,
    selection: Field<String>,
    ttl: Field<String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Status {
    observed_generation: Field<i64>,
    conditions: List<ObservedCondition>,
}

resource!(DomainObject, "Domain", GROUP, "v1alpha1", "domains", k8s_openapi::NamespaceResourceScope);

/// The ConfigMaps whose policies decide for a Domain; `None`: the policy in the box.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct PolicyNames {
    /// Which names a record gets.
    pub naming: Option<Arc<str>>,
    /// What stands behind each name.
    pub selection: Option<Arc<str>>,
    /// The TTL of each name.
    pub ttl: Option<Arc<str>>,
}

impl DomainObject {
    /// `policies`.
    ///
    /// # Errors
    /// When a field has the wrong type.
    pub fn policies(&self) -> Result<PolicyNames, Malformed> {
        let Some(Object(policies)) = self.policies.get("policies")? else {
            return Ok(PolicyNames::default());
        };
        Ok(PolicyNames {
            naming: policies.naming.text("policies.naming")?,
            selection: policies.selection.text("policies.selection")?,
            ttl: policies.ttl.text("policies.ttl")?,
        })
    }

    fn spec(&self) -> Result<DomainSpec, Malformed> {
        self.head.check()?;
        self.policies()?;
        let when_empty = self.when_empty.text("whenEmpty")?;
        Ok(DomainSpec {
            domain: self.domain.text("domain")?.ok_or_else(|| malformed("domain is missing"))?,
            when_empty: match when_empty.as_deref() {
                None | Some("keep") => WhenEmpty::Keep,
                Some("withdraw") => WhenEmpty::Withdraw,
                Some(other) => {
                    return Err(malformed(format!("whenEmpty: expected keep or withdraw, found `{other}`")));
                }
            },
            unreachable_grace_seconds: self.unreachable_grace_seconds.get("unreachableGraceSeconds")?.copied(),
            min_ttl: self.min_ttl.get("minTTL")?.copied(),
            max_ttl: self.max_ttl.get("maxTTL")?.copied(),
        })
    }
}

impl Watched for DomainObject {
    type Key = Arc<str>;
    type Fact = Domain;
    const KIND: &'static str = "Domain";

    fn head(&self) -> &Head {
        &self.head
    }

    fn key(&self) -> Arc<str> {
        self.head.name().into()
    }

    fn fact(&self) -> Option<Domain> {
        let status = self.status.good().map(|Object(status)| DomainStatus {
            observed_generation: status.observed_generation.number(),
            conditions: observed(&status.conditions),
        });
        Some(Domain { meta: self.head.meta(), spec: self.spec(), status: status.map(Arc::new) })
    }
}
