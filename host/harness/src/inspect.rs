//! What a component is: its shape, what it says of itself, what it may use, and why it would be refused.

use mcsdns_policy::{Anatomy, Aspect, Budget, Configured, Description, Digest, LoadError, LogLine, SUPPORTED_VERSIONS};
use mcsdns_rollout::package::{Encoding, Package};
use serde::Serialize;
use wasmparser::{Parser, Payload};

use crate::workbench::{Candidate, Workbench};

/// Everything that can be told about a component.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Inspection {
    /// Where it comes from.
    pub origin: String,
    /// Name of the ConfigMap it is packed in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub config_map: Option<String>,
    /// sha256 of the component.
    pub digest: Digest,
    /// Its sizes.
    pub sizes: Sizes,
    /// What it imports.
    pub imports: Vec<String>,
    /// What it exports.
    pub exports: Vec<String>,
    /// The version of the interface it is made for, as far as its exports tell.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interface: Option<String>,
    /// The versions that this program runs.
    pub supported: &'static str,
    /// What it may use.
    pub budget: Budget,
    /// What was found by loading it; none when it is refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy: Option<Facts>,
    /// Why it is refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refused: Option<Refused>,
    /// What is worth knowing.
    pub notes: Vec<String>,
}

/// Sizes of a component, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Sizes {
    /// As it is.
    pub raw: usize,
    /// Compressed by gzip; none when it does not fit into a ConfigMap even so.
    pub gzip: Option<usize>,
    /// Compressed by zstd; none when it does not fit into a ConfigMap even so.
    pub zstd: Option<usize>,
}

impl Sizes {
    /// Measures a component.
    #[must_use]
    pub fn of(component: &[u8]) -> Self {
        let packed = |encoding| {
            let package = Package { encoding, ..Package::new("size", component.to_vec()) };
            let manifest = package.manifest("size").ok()?;
            // Beside the component there is its digest.
            manifest.bytes.checked_sub(package.digest().to_string().len())
        };
        Self { raw: component.len(), gzip: packed(Encoding::Gzip), zstd: packed(Encoding::Zstd) }
    }
}

/// What a policy that was loaded says and is.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Facts {
    /// What it says of itself.
    #[serde(flatten)]
    pub description: Description,
    /// How it comes by its configuration.
    pub configured: Configured,
    /// The parts it consists of.
    pub anatomy: Anatomy,
    /// Time the compiler took, in microseconds.
    pub compile_micros: u64,
    /// Time for everything until it can decide, in microseconds.
    pub load_micros: u64,
    /// What it said meanwhile.
    pub log: Vec<LogLine>,
}

/// Why a component is refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Refused {
    /// Stable.
    pub reason: &'static str,
    /// For people.
    pub message: String,
}

/// Looks at a component, and loads it if it can be loaded.
#[must_use]
pub fn inspect(workbench: &Workbench, candidate: &Candidate) -> Inspection {
    let (imports, exports) = surface(&candidate.bytes);
    let interface = exports
        .iter()
        .find_map(|export| Some(export.strip_prefix("mcsdns:policy/")?.split_once('@')?.1.to_owned()))
        .map(|version| format!("mcsdns:policy@{version}"));
    let mut notes: Vec<String> = candidate.package.iter().flat_map(|package| package.notes.iter().cloned()).collect();
    let sizes = Sizes::of(&candidate.bytes);
    if sizes.gzip.is_none() && sizes.zstd.is_none() {
        notes.push("it does not fit into a ConfigMap (1 MiB), not even compressed".to_owned());
    }
    let (policy, refused) = match workbench.load(candidate) {
        Ok(loaded) => {
            let policy = &loaded.policy;
            if let Configured::EveryTime { because } = policy.configured() {
                notes.push(format!("it is configured anew for every decision, which takes time: {because}"));
            }
            if !loaded.borrowed().is_empty() {
                let aspects: Vec<&str> = loaded.borrowed().into_iter().map(Aspect::as_str).collect();
                notes
                    .push(format!("{} come from another policy, by default the one in the box", aspects.join(" and ")));
            }
            let facts = Facts {
                description: policy.description().clone(),
                configured: policy.configured().clone(),
                anatomy: *policy.anatomy(),
                compile_micros: policy.compile_micros(),
                load_micros: policy.load_micros(),
                log: policy.log().to_vec(),
            };
            (Some(facts), None)
        }
        Err(error) => (None, Some(Refused { reason: error.reason(), message: advice(&error) })),
    };
    Inspection {
        origin: candidate.origin.clone(),
        config_map: candidate.package.as_ref().map(|package| package.name.to_string()),
        digest: candidate.digest(),
        sizes,
        imports,
        exports,
        interface,
        supported: SUPPORTED_VERSIONS,
        budget: candidate.budget,
        policy,
        refused,
        notes,
    }
}

/// The error with what to do about it, where that is not in it already.
fn advice(error: &LoadError) -> String {
    let todo = match error {
        LoadError::Precompiled => "pack the component itself, not what a compiler made of it",
        LoadError::ForbiddenImport { .. } => {
            "build for wasm32-unknown-unknown (`mcsdns policy build` does), without anything that needs an operating system"
        }
        LoadError::ConfigInvalid { .. } => "correct the configuration (--config FILE)",
        LoadError::UnsupportedVersion { .. } => {
            "use an mcsdns that runs this version, or build against a version it runs"
        }
        _ => return error.to_string(),
    };
    format!("{error}; {todo}")
}

/// Imports and exports of a component, as far as it can be read.
fn surface(bytes: &[u8]) -> (Vec<String>, Vec<String>) {
    let (mut imports, mut exports) = (Vec::new(), Vec::new());
    let mut depth = 0_u32;
    for payload in Parser::new(0).parse_all(bytes) {
        match payload {
            Ok(Payload::ModuleSection { .. } | Payload::ComponentSection { .. }) => depth += 1,
            Ok(Payload::End(_)) => depth = depth.saturating_sub(1),
            Ok(Payload::ComponentImportSection(section)) if depth == 0 => {
                imports.extend(section.into_iter().flatten().map(|import| import.name.name.to_owned()));
            }
            Ok(Payload::ComponentExportSection(section)) if depth == 0 => {
                exports.extend(section.into_iter().flatten().map(|export| export.name.name.to_owned()));
            }
            Ok(_) => {}
            Err(_) => break,
        }
    }
    imports.dedup();
    exports.dedup();
    (imports, exports)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_surface_of_the_policy_in_the_box() {
        let (imports, exports) = surface(&Candidate::boxed().bytes);
        assert!(imports.iter().all(|import| import.starts_with("mcsdns:policy/")), "{imports:?}");
        assert!(exports.contains(&"mcsdns:policy/naming@0.1.0".to_owned()), "{exports:?}");
        assert_eq!(surface(b"nothing of the kind"), (Vec::new(), Vec::new()));
    }

    #[test]
    fn packed_is_smaller() {
        let sizes = Sizes::of(&Candidate::boxed().bytes);
        assert!(sizes.gzip.unwrap() < sizes.raw && sizes.zstd.unwrap() < sizes.raw, "{sizes:?}");
        assert_eq!(Sizes::of(&noise()).gzip, None);
    }

    /// Two MiB that nothing can compress.
    fn noise() -> Vec<u8> {
        let mut state = 1_u64;
        (0..2 << 20)
            .map(|_| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                (state >> 56) as u8
            })
            .collect()
    }
}
