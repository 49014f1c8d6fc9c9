//! A component that has been checked and compiled.

use std::{
    fmt,
    sync::{Arc, PoisonError},
    time::Instant,
};

use serde::{Serialize, Serializer};
use sha2::{Digest as _, Sha256};
use wasmtime::component::{Component, InstancePre};

use crate::{
    anatomy::Anatomy,
    engine::Inner,
    error::LoadError,
    state::State,
    versions::{self, World},
};

/// A sha256.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Digest([u8; 32]);

impl Digest {
    /// Digest of some bytes.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// Digest of a component with a configuration.
    pub(crate) fn with_config(self, config: &str) -> Self {
        let mut hash = Sha256::new();
        hash.update(self.0);
        hash.update(config.as_bytes());
        Self(hash.finalize().into())
    }

    /// The first twelve digits, enough for people and to tell policies apart.
    #[must_use]
    pub fn short(&self) -> String {
        self.to_string().chars().take(12).collect()
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A component ready to be instantiated.
pub(crate) struct Compiled {
    pub(crate) pre: InstancePre<State>,
    /// The version of the interface it speaks.
    pub(crate) world: Box<dyn World>,
    pub(crate) anatomy: Anatomy,
    /// Time the compiler took.
    pub(crate) compile_micros: u64,
}

impl Compiled {
    /// Checks and compiles a component, or finds it compiled already.
    pub(crate) fn new(engine: &Inner, digest: Digest, bytes: &[u8]) -> Result<Arc<Self>, LoadError> {
        if let Some(compiled) = engine.cached(&digest) {
            return Ok(compiled);
        }
        let _one_at_a_time = engine.compiling.lock().unwrap_or_else(PoisonError::into_inner);
        // Somebody may have compiled it while this thread waited.
        if let Some(compiled) = engine.cached(&digest) {
            return Ok(compiled);
        }
        let compiled = Arc::new(Self::compile(engine, bytes)?);
        engine.remember(digest, &compiled);
        Ok(compiled)
    }

    fn compile(engine: &Inner, bytes: &[u8]) -> Result<Self, LoadError> {
        if wasmtime::Engine::detect_precompiled(bytes).is_some() {
            return Err(LoadError::Precompiled);
        }
        let anatomy = Anatomy::of(bytes)?;
        let begin = Instant::now();
        let component =
            Component::from_binary(&engine.wasm, bytes).map_err(|error| LoadError::Compile(format!("{error:#}")))?;
        let compile_micros = u64::try_from(begin.elapsed().as_micros()).unwrap_or(u64::MAX);
        let version = versions::check(&engine.wasm, &component)?;
        let pre = engine.linker.instantiate_pre(&component).map_err(|error| LoadError::WrongType {
            what: "what it imports".to_owned(),
            problem: format!("{error:#}"),
            expected: versions::LOG,
        })?;
        let world = version.bind(&pre)?;
        Ok(Self { pre, world, anatomy, compile_micros })
    }
}

impl fmt::Debug for Compiled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Compiled").field("anatomy", &self.anatomy).finish_non_exhaustive()
    }
}
