//! A policy's own tests: its cases, with the configurations they are for, and the conformance suite with each of them.
//!
//! ```text
//! cases/policies.yaml       which policies and configurations are tested with which cases (optional)
//! cases/config.yaml         the configuration of all cases, when there is one for all (optional)
//! cases/CASE/               a case, see mcsdns_local::cases
//! cases/CASE/config.yaml    its own configuration, which wins (optional)
//! ```

mod case;
mod layout;
mod run;

use std::path::PathBuf;

pub use self::{
    case::contradictions,
    layout::{Case, Entry, Sources, SuiteError, find},
    run::{CaseResult, ConformanceRun, EntryResult, Options, PolicyFacts, Progress, run},
};

/// Where a configuration comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// For people: a file, or the entry of policies.yaml that has it.
    pub origin: String,
    /// YAML or JSON.
    pub text: String,
}

/// A file of cases, relative to the folder of cases, for messages.
#[must_use]
pub fn shown(path: &std::path::Path, below: &std::path::Path) -> PathBuf {
    path.strip_prefix(below).map_or_else(|_| path.to_owned(), std::path::Path::to_owned)
}
