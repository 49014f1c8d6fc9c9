//! A policy as it is packed into a ConfigMap, and back.
//!
//! ```yaml
//! apiVersion: v1
//! kind: ConfigMap
//! metadata:
//!   name: short-names
//!   namespace: federation-system
//!   labels:
//!     multiclusterdns.federation.k8s.io/policy: "true"
//! binaryData:
//!   policy.wasm.gz: H4sI…            # or policy.wasm, or policy.wasm.zst: exactly one of them
//! data:
//!   sha256: 3f2a…                    # optional: digest of the component, unpacked
//!   config: |                        # optional: YAML or JSON, checked against the schema that the policy brings
//!     suffix: apps
//!   budget: |                        # optional: fields of a budget, up to what the operator allows
//!     fuel: 100000000
//!   cases: |                         # optional: what must come out before the policy may decide
//!     one-cluster:
//!       host/domain.yaml: |
//!         …
//!       expected.yaml: |
//!         …
//! ```

mod cases;
mod compress;
mod error;
mod read;
mod write;

use std::sync::Arc;

use mcsdns_policy::{Budget, Digest};

pub use self::{
    cases::{CASE_FILES, CASES, Case},
    error::PackageError,
    write::Manifest,
};

/// Key of the component as it is.
pub const KEY_WASM: &str = "policy.wasm";
/// Key of the component, compressed by gzip.
pub const KEY_GZIP: &str = "policy.wasm.gz";
/// Key of the component, compressed by zstd.
pub const KEY_ZSTD: &str = "policy.wasm.zst";
/// Key of the configuration.
pub const KEY_CONFIG: &str = "config";
/// Key of the declared digest.
pub const KEY_SHA256: &str = "sha256";
/// Key of the budget.
pub const KEY_BUDGET: &str = "budget";
/// Key of the cases.
pub const KEY_CASES: &str = "cases";

/// How the component is stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Encoding {
    /// As it is.
    Plain,
    /// Compressed by gzip.
    #[default]
    Gzip,
    /// Compressed by zstd.
    Zstd,
}

impl Encoding {
    /// The key under which a ConfigMap has it.
    #[must_use]
    pub const fn key(self) -> &'static str {
        match self {
            Self::Plain => KEY_WASM,
            Self::Gzip => KEY_GZIP,
            Self::Zstd => KEY_ZSTD,
        }
    }
}

/// A policy as it is packed into a ConfigMap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Package {
    /// Name of the ConfigMap.
    pub name: Arc<str>,
    /// The component, unpacked.
    pub component: Vec<u8>,
    /// How it was stored.
    pub encoding: Encoding,
    /// Bytes it takes as stored.
    pub stored_bytes: usize,
    /// The declared digest of the component, in hexadecimal digits. [`mcsdns_policy::Engine::load`] compares it.
    pub sha256: Option<String>,
    /// The configuration as written, YAML or JSON.
    pub config: Option<String>,
    /// What the policy may use; `None`: the usual.
    pub budget: Option<Budget>,
    /// What must come out before the policy may decide.
    pub cases: Vec<Case>,
    /// What has no effect, for people.
    pub notes: Vec<String>,
}

impl Package {
    /// A package with nothing but a component.
    #[must_use]
    pub fn new(name: impl Into<Arc<str>>, component: Vec<u8>) -> Self {
        Self {
            name: name.into(),
            stored_bytes: component.len(),
            component,
            encoding: Encoding::Plain,
            sha256: None,
            config: None,
            budget: None,
            cases: Vec::new(),
            notes: Vec::new(),
        }
    }

    /// Digest of the component, unpacked.
    #[must_use]
    pub fn digest(&self) -> Digest {
        Digest::of(&self.component)
    }

    /// What the policy may use.
    #[must_use]
    pub fn budget(&self) -> Budget {
        self.budget.unwrap_or_default()
    }
}

#[cfg(test)]
mod tests;
