//! Loads what ConfigMaps hold.
//!
//! One at a time and for as long as it takes, so not on a thread that others wait for. The bytes are dropped as soon as they
//! are compiled; what stays is the policy.

use std::{sync::Arc, time::Instant};

use mcsdns_api::convert::PolicyMap;
use mcsdns_policy::{Aspect, Engine, LoadError, LoadRequest, Policy, PolicySet};
use mcsdns_runtime::caught;

use crate::{
    domain::{PerAspect, Version},
    package::{Case, Package},
    revision,
};

/// A policy that may decide.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The policy.
    pub policy: Arc<Policy>,
    /// See [`revision::revision`].
    pub revision: Arc<str>,
    /// sha256 of the component.
    pub digest: Arc<str>,
    /// Name and version, as the policy says.
    pub title: Arc<str>,
}

impl Loaded {
    fn new(policy: Arc<Policy>) -> Self {
        Self {
            revision: revision::revision(&policy),
            digest: policy.digest().to_string().into(),
            title: policy.title().into(),
            policy,
        }
    }
}

impl Version for Loaded {
    fn revision(&self) -> &Arc<str> {
        &self.revision
    }
    fn digest(&self) -> &Arc<str> {
        &self.digest
    }
    fn title(&self) -> &Arc<str> {
        &self.title
    }
    fn implements(&self, aspect: Aspect) -> bool {
        self.policy.implements(aspect)
    }
}

/// Why a ConfigMap holds no policy that may decide.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Stable, CamelCase.
    pub reason: &'static str,
    /// For people: what is wrong and where.
    pub message: String,
    /// sha256 of the component, if there is one.
    pub digest: Option<Arc<str>>,
    /// Name and version, if it came that far.
    pub title: Option<Arc<str>>,
    /// Component, configuration and budget, if it came that far.
    pub revision: Option<Arc<str>>,
}

/// What loading a ConfigMap came to.
#[derive(Clone, Debug)]
pub struct Shelved {
    /// The policy, or why there is none.
    pub outcome: Result<Loaded, Refusal>,
    /// What has no effect, for people.
    pub notes: Vec<String>,
    /// Cases that were tried.
    pub cases: usize,
    /// Time all of it took, in microseconds.
    pub total_micros: u64,
    /// Part of that which the compiler took.
    pub compile_micros: u64,
}

/// A case that did not come out as expected.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("case {case}: {problem}")]
pub struct CaseFailure {
    /// Name of the case.
    pub case: String,
    /// What differs.
    pub problem: String,
}

/// Tries the cases that come with a policy. The runner of cases is above this crate, so it is given from outside.
pub trait CaseCheck: Send + Sync {
    /// Tries all cases with these policies.
    ///
    /// # Errors
    /// The first case that does not come out as expected.
    fn check(&self, cases: &[Case], policies: &PolicySet) -> Result<(), CaseFailure>;
}

/// Loads what ConfigMaps hold, beside the policy in the box.
#[derive(Clone)]
pub struct Shelf {
    engine: Engine,
    in_the_box: PerAspect<Loaded>,
    cases: Arc<dyn CaseCheck>,
}

impl Shelf {
    /// A shelf with the policies that decide unless others are named: naming, selection, TTL. All from the same engine.
    ///
    /// # Errors
    /// When one of them does not answer its question.
    pub fn new(
        engine: Engine,
        in_the_box: PerAspect<Arc<Policy>>,
        cases: Arc<dyn CaseCheck>,
    ) -> Result<Self, LoadError> {
        let [naming, selection, ttl] = in_the_box.clone();
        PolicySet::new(naming, selection, ttl)?;
        Ok(Self { engine, in_the_box: in_the_box.map(Loaded::new), cases })
    }

    /// The policies in the box.
    #[must_use]
    pub const fn in_the_box(&self) -> &PerAspect<Loaded> {
        &self.in_the_box
    }

    /// Checks, compiles and configures what a ConfigMap holds, and tries its cases.
    #[must_use]
    pub fn load(&self, map: &PolicyMap) -> Shelved {
        let begun = Instant::now();
        let mut shelved = Shelved {
            outcome: Err(Refusal {
                reason: "Malformed",
                message: String::new(),
                digest: None,
                title: None,
                revision: None,
            }),
            notes: Vec::new(),
            cases: 0,
            total_micros: 0,
            compile_micros: 0,
        };
        // A ConfigMap must not be able to take the controller down, whoever is to blame.
        shelved.outcome = caught(|| self.load_into(map, &mut shelved)).unwrap_or_else(|text| {
            tracing::error!(config_map = &*map.name, "loading a policy panicked: {text}");
            Err(Refusal {
                reason: "HostPanic",
                message: format!("the host failed while loading it: {text}; please report this"),
                digest: None,
                title: None,
                revision: None,
            })
        });
        shelved.total_micros = u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX);
        shelved
    }

    fn load_into(&self, map: &PolicyMap, shelved: &mut Shelved) -> Result<Loaded, Refusal> {
        let package = Package::read(map, &self.engine.limits().ceiling).map_err(|error| Refusal {
            reason: error.reason(),
            message: error.to_string(),
            digest: None,
            title: None,
            revision: None,
        })?;
        shelved.notes.clone_from(&package.notes);
        let digest: Arc<str> = package.digest().to_string().into();
        let request = LoadRequest {
            name: &package.name,
            bytes: &package.component,
            sha256: package.sha256.as_deref(),
            config: package.config.as_deref(),
            budget: package.budget(),
        };
        let policy = self.engine.load(&request).map_err(|error| Refusal {
            reason: error.reason(),
            message: error.to_string(),
            digest: Some(Arc::clone(&digest)),
            title: None,
            revision: None,
        })?;
        shelved.compile_micros = policy.compile_micros();
        let loaded = Loaded::new(policy);
        shelved.cases = package.cases.len();
        self.try_cases(&package.cases, &loaded).map_err(|message| Refusal {
            reason: "CaseFailed",
            message,
            digest: Some(digest),
            title: Some(Arc::clone(&loaded.title)),
            revision: Some(Arc::clone(&loaded.revision)),
        })?;
        Ok(loaded)
    }

    /// The policy decides what it can and the one in the box the rest, as for its author.
    fn try_cases(&self, cases: &[Case], loaded: &Loaded) -> Result<(), String> {
        if cases.is_empty() {
            return Ok(());
        }
        let pick = |aspect, in_the_box: &Loaded| {
            let own = loaded.policy.implements(aspect);
            Arc::clone(if own { &loaded.policy } else { &in_the_box.policy })
        };
        let [naming, selection, ttl] = &self.in_the_box;
        let set =
            PolicySet::new(pick(Aspect::Naming, naming), pick(Aspect::Selection, selection), pick(Aspect::Ttl, ttl))
                .map_err(|error| error.to_string())?;
        self.cases.check(cases, &set).map_err(|failure| failure.to_string())
    }
}

impl std::fmt::Debug for Shelf {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shelf").field("in_the_box", &self.in_the_box).finish_non_exhaustive()
    }
}
