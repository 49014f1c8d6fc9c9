//! What an author implements.

use std::fmt;

use serde::de::DeserializeOwned;

use crate::{About, Ask, Decision, Names, Needs, Outcome, Places, Subject, Ttls};

/// A policy: who it is, and how it becomes what its configuration says.
///
/// It is made once, when it is loaded. Every decision starts from a copy of the memory that [`new`](Self::new) left
/// behind, so whatever can be worked out beforehand belongs there: a decision does not pay for it, however large the
/// configuration is.
pub trait Policy: Sized + Send + Sync + 'static {
    /// The configuration, read by serde; [`NoConfig`] for a policy that takes none. Use
    /// `#[serde(deny_unknown_fields)]`, so that nothing misspelt is passed over.
    type Config: DeserializeOwned;

    /// Name, version, needs and schema.
    const ABOUT: About;

    /// Makes the policy.
    ///
    /// # Errors
    /// When the configuration will not do. The text goes to the person who wrote it: say which field, what is wrong
    /// and what to write instead.
    fn new(config: Self::Config) -> Result<Self, ConfigError>;

    /// What it needs with this configuration, where that differs from [`ABOUT`](Self::ABOUT): a host asks once more
    /// after it has configured the policy.
    fn needs(&self) -> Needs {
        Self::ABOUT.needs
    }
}

/// The aspect *naming*: which names a record gets.
pub trait Naming: Policy {
    /// The names of one record, each with its place and what stands in for it.
    ///
    /// # Errors
    /// When this record cannot be given names. What is published of it stays as it is.
    fn names(&self, subject: &Subject<'_>, places: &Places<'_>) -> Result<Names, Refusal>;
}

/// The aspect *selection*: what stands behind each name.
pub trait Selection: Policy {
    /// One decision per name, in their order; [`Ask::each`] makes the list.
    ///
    /// # Errors
    /// When this record cannot be decided. What is published of it stays as it is.
    fn select(&self, ask: &Ask<'_>) -> Result<Vec<Decision>, Refusal>;
}

/// The aspect *ttl*: how long answers may be kept.
pub trait Ttl: Policy {
    /// One TTL per name, in their order; [`Ttls::each`] makes the list.
    ///
    /// # Errors
    /// When this record cannot be given TTLs. What is published of it stays as it is.
    fn ttls(&self, subject: &Subject<'_>, outcomes: &[Outcome]) -> Result<Ttls, Refusal>;
}

/// The configuration of a policy that takes none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NoConfig {}

/// A configuration that will not do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    field: String,
    message: String,
}

impl ConfigError {
    /// What is wrong with which field; the field as a person would point at it, for example `tiers[2].clusters`.
    #[must_use]
    pub fn new(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self { field: field.into(), message: message.into() }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.field.is_empty() {
            f.write_str(&self.field)?;
            f.write_str(": ")?;
        }
        f.write_str(&self.message)
    }
}

impl std::error::Error for ConfigError {}

/// A question that a policy understood and will not answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The input that stands in the way, for example `subject.dns-prefix`.
    pub field: String,
    /// Why, for the owner of the record.
    pub message: String,
}

impl Refusal {
    /// Which input stands in the way, and why.
    #[must_use]
    pub fn new(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self { field: field.into(), message: message.into() }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.message)
    }
}

impl std::error::Error for Refusal {}

/// Reads a configuration.
pub(crate) fn read<P: Policy>(json: &str) -> Result<P, ConfigError> {
    let config = serde_json::from_str(json).map_err(|error| {
        // The host wrote this JSON, perhaps from YAML: the position means nothing to the author of the configuration.
        let text = error.to_string();
        let message = text.rsplit_once(" at line ").map_or(text.as_str(), |(message, _)| message);
        ConfigError::new("", message)
    })?;
    P::new(config)
}
