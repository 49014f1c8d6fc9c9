//! One sandbox, and the policies that are looked at in it.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use mcsdns_policy::{
    Aspect, Budget, Digest, Engine, EngineError, EngineLimits, LoadError, LoadRequest, Policy, PolicySet,
    default_policy_bytes,
};

/// Largest file that is read as a policy, in bytes: no budget allows more.
const FILE_BYTES: u64 = 64 << 20;

/// A policy that has not been loaded yet.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// What to call it.
    pub name: String,
    /// Where it comes from, for messages.
    pub origin: String,
    /// The component.
    pub bytes: Arc<[u8]>,
    /// Its configuration, YAML or JSON.
    pub config: Option<String>,
    /// Its sha256 where one was declared.
    pub sha256: Option<String>,
    /// What it may use.
    pub budget: Budget,
}

/// A file that should hold a policy cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CandidateError {
    /// The file cannot be read.
    #[error("{}: {error}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// The file is larger than any policy may be.
    #[error("{}: has {bytes} bytes; no policy may have more than {FILE_BYTES}", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Its size.
        bytes: u64,
    },
}

impl CandidateError {
    /// Stable, CamelCase.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Unreadable { .. } => "Unreadable",
            Self::TooLarge { .. } => "ComponentTooLarge",
        }
    }
}

impl Candidate {
    /// The policy in the box.
    #[must_use]
    pub fn boxed() -> Self {
        Self::new("default", "the policy in the box", default_policy_bytes())
    }

    /// A component without configuration, with the usual budget.
    pub fn new(name: impl Into<String>, origin: impl Into<String>, bytes: impl Into<Arc<[u8]>>) -> Self {
        Self {
            name: name.into(),
            origin: origin.into(),
            bytes: bytes.into(),
            config: None,
            sha256: None,
            budget: Budget::default(),
        }
    }

    /// The component in a file.
    ///
    /// # Errors
    /// When the file cannot be read or is larger than any policy.
    pub fn read(path: &Path) -> Result<Self, CandidateError> {
        let unreadable = |error| CandidateError::Unreadable { path: path.to_owned(), error };
        let bytes = std::fs::metadata(path).map_err(unreadable)?.len();
        if bytes > FILE_BYTES {
            return Err(CandidateError::TooLarge { path: path.to_owned(), bytes });
        }
        let name = path.file_stem().map_or_else(|| "policy".to_owned(), |stem| stem.to_string_lossy().into_owned());
        let bytes = std::fs::read(path).map_err(unreadable)?;
        Ok(Self::new(name, path.display().to_string(), bytes))
    }

    /// The same with another configuration.
    #[must_use]
    pub fn with_config(mut self, config: Option<String>) -> Self {
        self.config = config;
        self
    }

    /// Digest of the component.
    #[must_use]
    pub fn digest(&self) -> Digest {
        Digest::of(&self.bytes)
    }
}

/// A policy that is ready to decide, with the policy in the box for the aspects it does not have.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The policy itself.
    pub policy: Arc<Policy>,
    /// It and whoever answers the rest.
    pub set: Arc<PolicySet>,
}

impl Loaded {
    /// The aspects that the policy in the box answers in its place.
    #[must_use]
    pub fn borrowed(&self) -> Vec<Aspect> {
        Aspect::ALL.into_iter().filter(|aspect| !self.policy.implements(*aspect)).collect()
    }
}

/// The sandbox.
#[derive(Clone, Debug)]
pub struct Workbench {
    engine: Engine,
}

impl Workbench {
    /// Sets up a sandbox with the limits of the controller.
    ///
    /// # Errors
    /// When the system refuses what the sandbox needs.
    pub fn new() -> Result<Self, EngineError> {
        Engine::new(EngineLimits::default()).map(|engine| Self { engine })
    }

    /// The sandbox itself.
    #[must_use]
    pub const fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Loads a policy. Aspects it does not answer are those of the policy in the box.
    ///
    /// # Errors
    /// Why it cannot be a policy, or not with this configuration.
    pub fn load(&self, candidate: &Candidate) -> Result<Loaded, LoadError> {
        let request = LoadRequest {
            sha256: candidate.sha256.as_deref(),
            config: candidate.config.as_deref(),
            budget: candidate.budget,
            ..LoadRequest::new(&candidate.name, &candidate.bytes)
        };
        let policy = self.engine.load(&request)?;
        let whole = Aspect::ALL.iter().all(|aspect| policy.implements(*aspect));
        let boxed = if whole {
            Arc::clone(&policy)
        } else {
            self.engine.load(&LoadRequest::new("default", default_policy_bytes()))?
        };
        let [naming, selection, ttl] = Aspect::ALL.map(|aspect| {
            if policy.implements(aspect) { Arc::clone(&policy) } else { Arc::clone(&boxed) }
        });
        Ok(Loaded { policy, set: Arc::new(PolicySet::new(naming, selection, ttl)?) })
    }
}
