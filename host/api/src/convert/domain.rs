//! Domains.

use std::sync::Arc;

pub use mcsdns_core::facts::PolicyNames;
use mcsdns_core::{
    effect::ALLOW_REMOVAL_ANNOTATION,
    facts::{Domain, DomainSpec, Malformed, OnFailure, WhenEmpty},
    status::{ActivePolicy, CandidatePolicy, DomainStatus, PolicyStatus},
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
#[serde(default, rename_all = "camelCase")]
struct Policies {
    naming: Field<String>,
    selection: Field<String>,
    ttl: Field<String>,
    on_failure: Field<String>,
    max_removed_percent: Field<i64>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Status {
    observed_generation: Field<i64>,
    conditions: List<ObservedCondition>,
    policies: List<ObservedPolicy>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct ObservedPolicy {
    aspect: Field<String>,
    config_map: Field<String>,
    active: Field<Object<ObservedActive>>,
    candidate: Field<Object<ObservedCandidate>>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct ObservedActive {
    config_map: Field<String>,
    policy: Field<String>,
    digest: Field<String>,
    revision: Field<String>,
    since: Field<String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct ObservedCandidate {
    policy: Field<String>,
    digest: Field<String>,
    revision: Field<String>,
    rollout: Field<String>,
    verdict: Field<String>,
    message: Field<String>,
    since: Field<String>,
}

/// A text, empty when there is none.
fn text(field: &Field<String>) -> Arc<str> {
    field.good_text().unwrap_or_default()
}

/// A time, the beginning of time when there is none.
fn time(field: &Field<String>) -> jiff::Timestamp {
    text(field).parse().unwrap_or_default()
}

impl ObservedPolicy {
    fn status(&self) -> Option<PolicyStatus> {
        Some(PolicyStatus {
            aspect: self.aspect.good_text()?,
            config_map: self.config_map.good_text(),
            active: self.active.good().map(|Object(active)| ActivePolicy {
                config_map: active.config_map.good_text(),
                policy: text(&active.policy),
                digest: text(&active.digest),
                revision: text(&active.revision),
                since: time(&active.since),
            }),
            candidate: self.candidate.good().map(|Object(candidate)| CandidatePolicy {
                policy: candidate.policy.good_text(),
                digest: candidate.digest.good_text(),
                revision: candidate.revision.good_text(),
                rollout: candidate.rollout.good_text(),
                verdict: text(&candidate.verdict),
                message: text(&candidate.message),
                since: time(&candidate.since),
            }),
        })
    }
}

resource!(DomainObject, "Domain", GROUP, "v1alpha1", "domains", k8s_openapi::NamespaceResourceScope);

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
        let (on_failure, max_removed_percent) = match self.policies.get("policies")? {
            None => (None, None),
            Some(Object(policies)) => (
                policies.on_failure.text("policies.onFailure")?,
                policies.max_removed_percent.get("policies.maxRemovedPercent")?.copied(),
            ),
        };
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
            policies: self.policies()?,
            on_failure: match on_failure.as_deref() {
                None | Some("keep") => OnFailure::Keep,
                Some("default") => OnFailure::Default,
                Some(other) => {
                    return Err(malformed(format!("policies.onFailure: expected keep or default, found `{other}`")));
                }
            },
            max_removed_percent: match max_removed_percent {
                Some(percent) if !(0..=100).contains(&percent) => {
                    return Err(malformed(format!("policies.maxRemovedPercent: expected 0 to 100, found {percent}")));
                }
                percent => percent,
            },
            allow_removal: self.head.annotation(ALLOW_REMOVAL_ANNOTATION).filter(|it| !it.is_empty()).map(Arc::from),
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
            policies: status.policies.each().filter_map(ObservedPolicy::status).collect(),
        });
        Some(Domain { meta: self.head.meta(), spec: self.spec(), status: status.map(Arc::new) })
    }
}
