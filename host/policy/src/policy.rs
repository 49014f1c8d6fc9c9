//! A policy that has been accepted.

use std::sync::Arc;

use mcsdns_core::decision::Needs;
use serde::Serialize;

use crate::{
    anatomy::Anatomy,
    budget::Budget,
    compiled::{Compiled, Digest},
    engine::Engine,
    error::Aspect,
    state::LogLine,
};

/// What a policy says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Description {
    /// Its name, one word.
    pub name: String,
    /// Its version.
    pub version: String,
    /// The questions it answers.
    pub aspects: Vec<Aspect>,
    /// What it wants to be told beyond the minimum.
    pub needs: Needs,
    /// Whether its selection wants the names themselves, not only their places.
    pub fqdns: bool,
    /// JSON Schema of its configuration; without one it takes no configuration.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub config_schema: Option<String>,
}

/// How a policy comes by its configuration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum Configured {
    /// It takes none.
    Not,
    /// It was configured once, and every decision starts from the state it had then.
    Once,
    /// It is configured again for every decision, because its state could not be kept. Slower, and the slower the larger
    /// the configuration.
    EveryTime {
        /// Why its state could not be kept.
        because: String,
    },
}

/// A policy that has been checked, compiled and configured. Shared by all who use it; any number of threads may ask it
/// at once.
#[derive(Debug)]
pub struct Policy {
    pub(crate) engine: Engine,
    pub(crate) compiled: Arc<Compiled>,
    pub(crate) name: Arc<str>,
    pub(crate) digest: Digest,
    pub(crate) config: Option<String>,
    pub(crate) configured: Configured,
    pub(crate) description: Description,
    pub(crate) anatomy: Anatomy,
    pub(crate) budget: Budget,
    pub(crate) load_micros: u64,
    pub(crate) compile_micros: u64,
    pub(crate) log: Vec<LogLine>,
}

impl Policy {
    /// The name it was loaded under.
    #[must_use]
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// Digest of the component as it was given.
    #[must_use]
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// What it says of itself.
    #[must_use]
    pub fn description(&self) -> &Description {
        &self.description
    }

    /// The questions it answers.
    #[must_use]
    pub fn aspects(&self) -> &[Aspect] {
        &self.description.aspects
    }

    /// What it wants to be told beyond the minimum.
    #[must_use]
    pub fn needs(&self) -> &Needs {
        &self.description.needs
    }

    /// Its configuration as it received it, in JSON.
    #[must_use]
    pub fn config(&self) -> Option<&str> {
        self.config.as_deref()
    }

    /// How it came by its configuration.
    #[must_use]
    pub fn configured(&self) -> &Configured {
        &self.configured
    }

    /// What the component consists of, as it was given.
    #[must_use]
    pub fn anatomy(&self) -> &Anatomy {
        &self.anatomy
    }

    /// What it may use.
    #[must_use]
    pub fn budget(&self) -> &Budget {
        &self.budget
    }

    /// Time it took to load, in microseconds.
    #[must_use]
    pub fn load_micros(&self) -> u64 {
        self.load_micros
    }

    /// Part of that which the compiler took; next to nothing for a component that was compiled already.
    #[must_use]
    pub fn compile_micros(&self) -> u64 {
        self.compile_micros
    }

    /// What it said while it was loaded.
    #[must_use]
    pub fn log(&self) -> &[LogLine] {
        &self.log
    }

    /// Whether it answers that question.
    #[must_use]
    pub fn implements(&self, aspect: Aspect) -> bool {
        self.description.aspects.contains(&aspect)
    }

    /// Name and version as it gives them, for example `default 0.1.0`.
    #[must_use]
    pub fn title(&self) -> String {
        format!("{} {}", self.description.name, self.description.version)
    }

    /// Digest of component, configuration and budget: policies with the same identity answer alike.
    #[must_use]
    pub(crate) fn identity(&self) -> String {
        // Numbers only, so it can always be written.
        let budget = serde_json::to_string(&self.budget).unwrap_or_default();
        let budget = Digest::of(budget.as_bytes()).short();
        match &self.config {
            Some(config) => format!("{}/{}/{budget}", self.digest, Digest::of(config.as_bytes()).short()),
            None => format!("{}//{budget}", self.digest),
        }
    }
}
