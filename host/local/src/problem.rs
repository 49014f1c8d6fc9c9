//! What is wrong with what was read, one sentence each.

use std::{fmt, path::PathBuf};

use serde::Serialize;

/// How much a problem matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Something was not understood; the result may not be what was meant.
    Error,
    /// Something is there that has no effect.
    Note,
}

/// One thing that is wrong, and where.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Problem {
    /// How much it matters.
    pub level: Level,
    /// File or folder.
    pub path: PathBuf,
    /// Number of the document within the file, from 1; `None` when the file as a whole is meant or has only one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub document: Option<usize>,
    /// Line within the file, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<usize>,
    /// `Kind namespace/name`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub object: Option<String>,
    /// The field, for example `spec.recordTTL`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// Stable, CamelCase.
    pub reason: &'static str,
    /// What is wrong and what to do.
    pub message: String,
}

impl Problem {
    /// An error about a whole file or folder.
    pub fn error(path: impl Into<PathBuf>, reason: &'static str, message: impl Into<String>) -> Self {
        Self {
            level: Level::Error,
            path: path.into(),
            document: None,
            line: None,
            object: None,
            field: None,
            reason,
            message: message.into(),
        }
    }

    /// A note about a whole file or folder.
    pub fn note(path: impl Into<PathBuf>, reason: &'static str, message: impl Into<String>) -> Self {
        Self { level: Level::Note, ..Self::error(path, reason, message) }
    }

    /// At this line.
    #[must_use]
    pub fn at(mut self, line: usize) -> Self {
        self.line = Some(line);
        self
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.path.display())?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        f.write_str(": ")?;
        if let Some(document) = self.document {
            write!(f, "document {document}: ")?;
        }
        if let Some(object) = &self.object {
            write!(f, "{object}: ")?;
        }
        // The message of a bad field begins with its name already.
        match &self.field {
            Some(field) if !self.message.starts_with(field.as_str()) => write!(f, "{field}: ")?,
            Some(_) | None => {}
        }
        f.write_str(&self.message)
    }
}
