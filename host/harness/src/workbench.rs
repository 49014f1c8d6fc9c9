//! One sandbox, and the policies that are looked at in it.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use mcsdns_api::convert::{ConfigMapObject, PolicyMap, Watched, from_value};
use mcsdns_policy::{
    Aspect, Budget, Digest, Engine, EngineError, EngineLimits, LoadError, LoadRequest, Policy, PolicySet,
    default_policy_bytes,
};
use mcsdns_rollout::package::{Encoding, Package, PackageError};

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
    /// The ConfigMap it was packed in.
    pub package: Option<Arc<Package>>,
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
    /// The file is neither a component nor a ConfigMap with one.
    #[error("{}: {problem}", path.display())]
    NoPolicy {
        /// The file.
        path: PathBuf,
        /// What it is instead.
        problem: String,
    },
    /// The ConfigMap in the file is no policy.
    #[error("{}: {error}", path.display())]
    Package {
        /// The file.
        path: PathBuf,
        /// Why.
        error: PackageError,
    },
}

impl CandidateError {
    /// Stable, CamelCase.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Unreadable { .. } => "Unreadable",
            Self::TooLarge { .. } => "ComponentTooLarge",
            Self::NoPolicy { .. } => "NoPolicy",
            Self::Package { error, .. } => error.reason(),
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
            package: None,
        }
    }

    /// The policy in a file: a component as it is, compressed by gzip or zstd, or packed in the manifest of a ConfigMap.
    ///
    /// # Errors
    /// When the file cannot be read, is larger than any policy, or is a ConfigMap that is none.
    pub fn read(path: &Path) -> Result<Self, CandidateError> {
        let unreadable = |error| CandidateError::Unreadable { path: path.to_owned(), error };
        let bytes = std::fs::metadata(path).map_err(unreadable)?.len();
        if bytes > FILE_BYTES {
            return Err(CandidateError::TooLarge { path: path.to_owned(), bytes });
        }
        let name = path.file_stem().map_or_else(|| "policy".to_owned(), |stem| stem.to_string_lossy().into_owned());
        let bytes = std::fs::read(path).map_err(unreadable)?;
        let package = |map: &PolicyMap| {
            Package::read(map, &Budget::ceiling())
                .map_err(|error| CandidateError::Package { path: path.to_owned(), error })
        };
        let compressed = [(&b"\x1f\x8b"[..], Encoding::Gzip), (&b"\x28\xb5\x2f\xfd"[..], Encoding::Zstd)]
            .into_iter()
            .find(|(magic, _)| bytes.starts_with(magic));
        if let Some((_, encoding)) = compressed {
            let mut map = PolicyMap { name: name.as_str().into(), ..PolicyMap::default() };
            map.binary.insert(encoding.key().to_owned(), bytes);
            return Ok(Self::unpacked(path, package(&map)?));
        }
        let manifest = path.extension().is_some_and(|kind| ["yaml", "yml", "json"].iter().any(|known| kind == *known));
        if !manifest || bytes.starts_with(b"\0asm") {
            return Ok(Self::new(name, path.display().to_string(), bytes));
        }
        Ok(Self::unpacked(path, package(&config_map(path, &bytes)?)?))
    }

    fn unpacked(path: &Path, mut package: Package) -> Self {
        let component = std::mem::take(&mut package.component);
        Self {
            config: package.config.clone(),
            sha256: package.sha256.clone(),
            budget: package.budget(),
            package: Some(Arc::new(package.clone())),
            ..Self::new(&*package.name, path.display().to_string(), component)
        }
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

/// The one ConfigMap with a policy in a manifest.
fn config_map(path: &Path, bytes: &[u8]) -> Result<PolicyMap, CandidateError> {
    let no = |problem: String| CandidateError::NoPolicy { path: path.to_owned(), problem };
    let text = std::str::from_utf8(bytes).map_err(|_| no("is neither a component nor UTF-8".to_owned()))?;
    let documents: Vec<serde_json::Value> =
        serde_saphyr::from_multiple(text).map_err(|error| no(error.without_snippet().to_string()))?;
    let is_map = |value: &&serde_json::Value| value.get("kind").is_some_and(|kind| kind == "ConfigMap");
    let mut found = Vec::new();
    for document in documents.iter().filter(is_map) {
        let object: ConfigMapObject = from_value(document).map_err(|malformed| no(malformed.message))?;
        found.extend(object.fact());
    }
    let count = found.len();
    match (found.pop(), count) {
        (Some(map), 1) => Ok(map),
        (None, _) if documents.iter().any(|document| is_map(&document)) => Err(no(format!(
            "the ConfigMap in it does not carry the label {}: \"true\"",
            mcsdns_api::metadata::LABEL_POLICY
        ))),
        (None, _) => Err(no("there is no ConfigMap in it".to_owned())),
        (Some(_), count) => Err(no(format!("there are {count} policies in it; give one at a time"))),
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

    /// Loads a policy by itself.
    ///
    /// # Errors
    /// Why it cannot be a policy, or not with this configuration.
    pub fn policy(&self, candidate: &Candidate) -> Result<Arc<Policy>, LoadError> {
        self.engine.load(&LoadRequest {
            sha256: candidate.sha256.as_deref(),
            config: candidate.config.as_deref(),
            budget: candidate.budget,
            ..LoadRequest::new(&candidate.name, &candidate.bytes)
        })
    }

    /// Loads a policy. Aspects it does not answer are those of the policy in the box.
    ///
    /// # Errors
    /// Why it cannot be a policy, or not with this configuration.
    pub fn load(&self, candidate: &Candidate) -> Result<Loaded, LoadError> {
        let policy = self.policy(candidate)?;
        let whole = Aspect::ALL.iter().all(|aspect| policy.implements(*aspect));
        let boxed = if whole { Arc::clone(&policy) } else { self.policy(&Candidate::boxed())? };
        let [naming, selection, ttl] =
            Aspect::ALL.map(|aspect| if policy.implements(aspect) { Arc::clone(&policy) } else { Arc::clone(&boxed) });
        Ok(Loaded { policy, set: Arc::new(PolicySet::new(naming, selection, ttl)?) })
    }
}
