//! The policy that decides: the one in the box, or one from a file.

use std::{path::Path, sync::Arc};

use mcsdns_core::decision::PolicyRef;
use mcsdns_policy::{
    Engine, EngineError, EngineLimits, LoadError, LoadRequest, Policy, PolicySet, default_policy_bytes,
};
use mcsdns_rollout::{Pilot, PilotOptions, Shelf};
use mcsdns_runtime::SandboxDecider;

use crate::cases::PackedCases;

/// The sandbox or a policy cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PolicyError {
    /// The sandbox cannot be set up on this machine.
    #[error("the sandbox cannot be set up: {0}")]
    Engine(#[from] EngineError),
    /// The file cannot be read.
    #[error("{path}: {error}")]
    Unreadable {
        /// The file.
        path: String,
        /// Why.
        error: std::io::Error,
    },
    /// The component is refused.
    #[error("{path}: {error}")]
    Refused {
        /// The file, or `the policy in the box`.
        path: String,
        /// Why.
        error: Box<LoadError>,
    },
}

impl PolicyError {
    /// Stable, CamelCase.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Engine(_) => "SandboxUnusable",
            Self::Unreadable { .. } => "Unreadable",
            Self::Refused { error, .. } => error.reason(),
        }
    }
}

/// A policy that is ready to decide.
#[derive(Debug)]
pub struct LoadedPolicy {
    /// Decides.
    pub decider: Arc<SandboxDecider>,
    /// What the Index has to know of it.
    pub reference: PolicyRef,
    /// Naming, selection and TTL, in this order; the same one may have several seats.
    pub policies: [Arc<Policy>; 3],
    /// The sandbox they are in.
    pub engine: Engine,
}

impl LoadedPolicy {
    /// Honours the policies that Domains name. Those that were loaded decide where a Domain names none, and take the place
    /// of the one in the box.
    ///
    /// # Errors
    /// As for loading; nothing can be wrong with policies that were loaded already.
    pub fn pilot(&self, options: PilotOptions) -> Result<Pilot, PolicyError> {
        let refused = |error| PolicyError::Refused { path: "the policies together".to_owned(), error: Box::new(error) };
        let shelf = Shelf::new(self.engine.clone(), self.policies.clone(), Arc::new(PackedCases)).map_err(refused)?;
        Pilot::new(shelf, Arc::clone(&self.decider), options).map_err(refused)
    }
}

/// Loads the policy in `file`, or the one in the box. An aspect that the file does not answer is the box's.
///
/// # Errors
/// Why the policy cannot be used.
pub fn load(file: Option<&Path>, config: Option<&str>) -> Result<LoadedPolicy, PolicyError> {
    load_with(file, config, SandboxDecider::new())
}

/// As [`load`], into a decider that is set up already.
///
/// # Errors
/// As [`load`].
pub fn load_with(
    file: Option<&Path>,
    config: Option<&str>,
    decider: SandboxDecider,
) -> Result<LoadedPolicy, PolicyError> {
    let engine = Engine::new(EngineLimits::default())?;
    let refused = |path: &str| {
        let path = path.to_owned();
        move |error| PolicyError::Refused { path, error: Box::new(error) }
    };
    let boxed = || {
        let request = LoadRequest::new("default", default_policy_bytes());
        engine.load(&request).map_err(refused("the policy in the box"))
    };
    let policies = match file {
        None => {
            let policy = boxed()?;
            [Arc::clone(&policy), Arc::clone(&policy), policy]
        }
        Some(file) => {
            let path = file.display().to_string();
            let bytes = std::fs::read(file).map_err(|error| PolicyError::Unreadable { path: path.clone(), error })?;
            let name = file.file_stem().map_or_else(|| "policy".to_owned(), |stem| stem.to_string_lossy().into_owned());
            let mut request = LoadRequest::new(&name, &bytes);
            request.config = config;
            let policy = engine.load(&request).map_err(refused(&path))?;
            let aspects = [mcsdns_policy::Aspect::Naming, mcsdns_policy::Aspect::Selection, mcsdns_policy::Aspect::Ttl];
            let default = if aspects.iter().all(|aspect| policy.implements(*aspect)) { None } else { Some(boxed()?) };
            aspects.map(|aspect| match &default {
                Some(default) if !policy.implements(aspect) => Arc::clone(default),
                Some(_) | None => Arc::clone(&policy),
            })
        }
    };
    let [naming, selection, ttl] = policies.clone();
    let set = PolicySet::new(naming, selection, ttl).map_err(refused("the policies together"))?;
    let reference = decider.put(set);
    Ok(LoadedPolicy { decider: Arc::new(decider), reference, policies, engine })
}
