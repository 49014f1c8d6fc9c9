//! Where an object stands.

use std::{fmt, path::Path, sync::Arc};

/// File, document and line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    path: Arc<Path>,
    document: Option<usize>,
    line: usize,
}

impl Source {
    pub(crate) fn new(path: &Arc<Path>, document: Option<usize>, line: usize) -> Self {
        Self { path: Arc::clone(path), document, line }
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Number of the document, if the file has several.
    #[must_use]
    pub const fn document(&self) -> Option<usize> {
        self.document
    }

    /// Line, from 1.
    #[must_use]
    pub const fn line(&self) -> usize {
        self.line
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.path.display(), self.line)
    }
}
