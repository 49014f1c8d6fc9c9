//! Everything that can go wrong, each with a name of its own.

use std::{fmt, sync::Arc};

use mcsdns_core::decision::PolicyFailure;
use serde::{Deserialize, Serialize};

use crate::state::LogLine;

/// The engine could not be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EngineError {
    /// The sandbox refused its settings, or the system the address space they need.
    #[error("the WebAssembly engine could not be set up: {0}")]
    Settings(String),
    /// The thread that measures time could not be started.
    #[error("the clock of the WebAssembly engine could not be started: {0}")]
    Clock(#[from] std::io::Error),
}

/// One of the questions a policy answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Aspect {
    /// Which names a record gets.
    Naming,
    /// What stands behind each name.
    Selection,
    /// How long answers may be kept.
    Ttl,
}

impl Aspect {
    /// All of them, in the order in which a decision asks.
    pub const ALL: [Self; 3] = [Self::Naming, Self::Selection, Self::Ttl];

    /// As written in the interface.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Naming => "naming",
            Self::Selection => "selection",
            Self::Ttl => "ttl",
        }
    }
}

impl fmt::Display for Aspect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why a component is not accepted as a policy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// A limit of the budget is beyond what the operator allows.
    #[error("budget: {limit} may be at most {allowed}, not {asked}")]
    BudgetTooHigh {
        /// The limit, as written in a budget.
        limit: &'static str,
        /// What was asked for.
        asked: u64,
        /// What is allowed.
        allowed: u64,
    },
    /// The component is larger than the budget allows.
    #[error("the component has {bytes} bytes, the limit is {limit}")]
    TooLarge {
        /// Its size.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// The bytes are not those whose digest was declared.
    #[error("sha256 of the component is {actual}, declared is {expected}")]
    DigestMismatch {
        /// As declared.
        expected: String,
        /// As computed.
        actual: String,
    },
    /// The bytes are no WebAssembly component.
    #[error("not a WebAssembly component: {problem}")]
    NotAComponent {
        /// What they are instead, or where they stop making sense.
        problem: String,
    },
    /// Machine code, which would run outside the sandbox.
    #[error("this is a precompiled artefact; policies are accepted as portable components only")]
    Precompiled,
    /// The component does not implement the interface at all.
    #[error("the component implements no interface of mcsdns:policy; it exports {exports}")]
    WrongWorld {
        /// What it exports.
        exports: String,
    },
    /// Made for another version of the interface.
    #[error("the component is made for mcsdns:policy@{found}; this host runs {supported}")]
    UnsupportedVersion {
        /// The version it is made for.
        found: String,
        /// The versions there are.
        supported: &'static str,
    },
    /// Wants something from the host that policies do not get.
    #[error("imports {import}: {explanation}")]
    ForbiddenImport {
        /// What it wants.
        import: String,
        /// Why not.
        explanation: &'static str,
    },
    /// Something that the interface requires is not there.
    #[error("{what} is missing; expected: {expected}")]
    MissingExport {
        /// The interface and function.
        what: String,
        /// What was expected, in the language of the interface.
        expected: &'static str,
    },
    /// A function has other parameters or results than the interface says.
    #[error("{what} has another type than the interface says: {problem}; expected: {expected}")]
    WrongType {
        /// The interface and function.
        what: String,
        /// Where the types part.
        problem: String,
        /// What was expected, in the language of the interface.
        expected: &'static str,
    },
    /// Consists of more parts than the host sets aside for one instance.
    #[error("the component has {found} {what}, the limit is {limit}")]
    TooManyResources {
        /// Which parts.
        what: &'static str,
        /// How many.
        found: u64,
        /// How many there may be.
        limit: u64,
    },
    /// The compiler refused it.
    #[error("the component does not compile: {0}")]
    Compile(String),
    /// It could not be started, asked to describe itself, or configured.
    #[error("{step}: {error}")]
    Run {
        /// What was attempted.
        step: &'static str,
        /// How it ended.
        error: RunError,
    },
    /// Its description of itself is not one.
    #[error("describe: {field}: {problem}")]
    BadDescription {
        /// Field of the description.
        field: &'static str,
        /// What is wrong with it.
        problem: String,
    },
    /// It does not implement an aspect that it is to be used for.
    #[error("does not implement {aspect}, only {implemented}")]
    AspectMissing {
        /// The aspect asked for.
        aspect: Aspect,
        /// Those it has.
        implemented: String,
    },
    /// The schema it brings for its configuration cannot be used.
    #[error("describe: config-schema: {0}")]
    BadSchema(String),
    /// The configuration cannot be read or does not fit the schema.
    #[error("configuration: {place}{problem}")]
    ConfigInvalid {
        /// Where in the configuration, followed by a colon; empty for the whole.
        place: String,
        /// What is wrong there.
        problem: String,
    },
    /// The policy itself refused the configuration.
    #[error("the policy refused its configuration: {0}")]
    ConfigRefused(String),
}

impl LoadError {
    /// Stable name of the error, for conditions and metrics.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::BudgetTooHigh { .. } => "BudgetTooHigh",
            Self::TooLarge { .. } => "ComponentTooLarge",
            Self::DigestMismatch { .. } => "DigestMismatch",
            Self::NotAComponent { .. } => "NotAComponent",
            Self::Precompiled => "Precompiled",
            Self::WrongWorld { .. } => "WrongWorld",
            Self::UnsupportedVersion { .. } => "UnsupportedVersion",
            Self::ForbiddenImport { .. } => "ForbiddenImport",
            Self::MissingExport { .. } => "MissingExport",
            Self::WrongType { .. } => "WrongType",
            Self::TooManyResources { .. } => "TooManyResources",
            Self::Compile(_) => "CompileFailed",
            Self::Run { error, .. } => error.reason(),
            Self::BadDescription { .. } => "BadDescription",
            Self::AspectMissing { .. } => "AspectMissing",
            Self::BadSchema(_) => "BadSchema",
            Self::ConfigInvalid { .. } => "ConfigInvalid",
            Self::ConfigRefused(_) => "ConfigRefused",
        }
    }
}

/// How a call of a policy ended without an answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// Ran for longer than allowed.
    #[error("still running after {millis} ms")]
    Timeout {
        /// The limit.
        millis: u32,
    },
    /// Executed more instructions than allowed.
    #[error("used up its fuel of {fuel}")]
    OutOfFuel {
        /// The limit.
        fuel: u64,
    },
    /// Wanted more memory than allowed.
    #[error("wanted {wanted} bytes of memory, the limit is {limit}")]
    OutOfMemory {
        /// What it wanted in all.
        wanted: u64,
        /// The limit.
        limit: u64,
    },
    /// Wanted larger tables than allowed.
    #[error("wanted {wanted} table elements, the limit is {limit}")]
    TableLimit {
        /// What it wanted in all.
        wanted: u64,
        /// The limit.
        limit: u64,
    },
    /// Called itself too deeply.
    #[error("call stack exhausted")]
    StackOverflow,
    /// Handed over more than allowed.
    #[error("handed over more than {limit} bytes in one call")]
    OutputTooLarge {
        /// The limit.
        limit: u32,
    },
    /// Answered more names, clusters or addresses than allowed.
    #[error("answered {found} {what}, the limit is {limit}")]
    TooMany {
        /// Which.
        what: &'static str,
        /// How many.
        found: u64,
        /// The limit.
        limit: u64,
    },
    /// What it handed over is not of the type it promised, for example text that is not UTF-8.
    #[error("handed over a malformed value: {0}")]
    Malformed(String),
    /// Crashed; for a policy in Rust usually a panic.
    #[error("crashed: {code}{place}")]
    Trap {
        /// What the machine says.
        code: String,
        /// Where, as far as known; begins with a space unless empty.
        place: String,
    },
    /// Understood the question and will not answer it.
    #[error("refused: {field}: {message}")]
    Refused {
        /// The input that stands in the way.
        field: String,
        /// Why.
        message: String,
    },
    /// Answered another number of items than asked for.
    #[error("answered {found} {what} for {expected} names")]
    WrongCount {
        /// Items of what.
        what: &'static str,
        /// How many were expected.
        expected: usize,
        /// How many there were.
        found: usize,
    },
    /// The sandbox itself failed; not the fault of the policy.
    #[error("the sandbox failed: {0}")]
    Sandbox(String),
}

impl RunError {
    /// Stable name of the error, for conditions and metrics.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Timeout { .. } => "Timeout",
            Self::OutOfFuel { .. } => "OutOfFuel",
            Self::OutOfMemory { .. } => "OutOfMemory",
            Self::TableLimit { .. } => "TableLimit",
            Self::StackOverflow => "StackOverflow",
            Self::OutputTooLarge { .. } => "OutputTooLarge",
            Self::TooMany { .. } => "TooManyAnswers",
            Self::Malformed(_) => "MalformedAnswer",
            Self::Trap { .. } => "Trap",
            Self::Refused { .. } => "PolicyRefused",
            Self::WrongCount { .. } => "WrongCount",
            Self::Sandbox(_) => "SandboxFailed",
        }
    }
}

/// Why there is no decision: which policy failed, at what, and how.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("policy {policy}: {aspect}: {error}")]
#[non_exhaustive]
pub struct DecideError {
    /// Name of the policy.
    pub policy: Arc<str>,
    /// The question it was asked.
    pub aspect: Aspect,
    /// How it ended.
    pub error: RunError,
    /// What the policies had said until then.
    pub log: Vec<LogLine>,
}

impl DecideError {
    /// Stable name of the error, for conditions and metrics.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        self.error.reason()
    }
}

impl From<DecideError> for PolicyFailure {
    fn from(error: DecideError) -> Self {
        Self { reason: error.reason(), message: format!("{}: {}", error.aspect, error.error), policy: error.policy }
    }
}
