//! Why a ConfigMap is not a package.

use mcsdns_api::convert::CONFIG_MAP_BYTES;

use super::{KEY_GZIP, KEY_WASM, KEY_ZSTD};

/// Why a ConfigMap cannot be read as a package, or a package not be written as one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PackageError {
    /// The ConfigMap itself is not as it should be.
    #[error("{0}")]
    Malformed(String),
    /// More than a ConfigMap may hold.
    #[error(
        "all values together have {bytes} bytes; a ConfigMap holds at most {CONFIG_MAP_BYTES} (1 MiB). Compress the component (`{KEY_GZIP}`, `{KEY_ZSTD}`), or leave out cases"
    )]
    TooLarge {
        /// Their bytes.
        bytes: usize,
    },
    /// There is no component.
    #[error("there is no component: put it into binaryData as `{KEY_WASM}`, `{KEY_GZIP}` or `{KEY_ZSTD}`")]
    NoComponent,
    /// There is more than one.
    #[error("binaryData has both `{0}` and `{1}`; keep one of them")]
    TwoComponents(&'static str, &'static str),
    /// The component is where only text may be.
    #[error("data[{0}]: a component is not text; put it into binaryData, in base64")]
    NotBinary(&'static str),
    /// The bytes do not fit their key.
    #[error("binaryData[{key}]: {problem}")]
    WrongEncoding {
        /// The key.
        key: &'static str,
        /// What they are instead and what to do.
        problem: String,
    },
    /// Unpacked it is larger than the budget allows.
    #[error(
        "binaryData[{key}]: {stored} bytes unpack to more than {limit}, the limit of componentBytes; unpacking was stopped there"
    )]
    UnpackedTooLarge {
        /// The key.
        key: &'static str,
        /// Its bytes as stored.
        stored: usize,
        /// The limit.
        limit: usize,
    },
    /// The declared digest is none.
    #[error("data[sha256]: `{0}` is not the 64 hexadecimal digits of a sha256")]
    Sha256(String),
    /// The budget cannot be read, or asks for more than is allowed.
    #[error("data[budget]: {0}")]
    Budget(String),
    /// The cases cannot be read.
    #[error("data[cases]: {0}")]
    Cases(String),
    /// The name cannot be that of a ConfigMap.
    #[error("`{0}` cannot be the name of a ConfigMap: it may contain only a-z, 0-9, inner hyphens and dots")]
    Name(String),
}

impl PackageError {
    /// Stable, CamelCase.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Malformed(_) => "Malformed",
            Self::TooLarge { .. } => "PackageTooLarge",
            Self::NoComponent => "NoComponent",
            Self::TwoComponents(..) => "TwoComponents",
            Self::NotBinary(_) => "NotBinary",
            Self::WrongEncoding { .. } => "WrongEncoding",
            Self::UnpackedTooLarge { .. } => "UnpackedTooLarge",
            Self::Sha256(_) => "DigestInvalid",
            Self::Budget(_) => "BudgetInvalid",
            Self::Cases(_) => "CasesInvalid",
            Self::Name(_) => "NameInvalid",
        }
    }
}
