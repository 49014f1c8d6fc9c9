//! A folder with a policy in Rust.

use std::{
    ffi::OsString,
    io::{self, IsTerminal as _},
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::Context as _;
use mcsdns_toolchain::{Build, Toolchain};
use serde::Deserialize;

use crate::exit::wrong;

/// Stack of a policy in its linear memory unless its Cargo.toml says otherwise.
const STACK_KIB: u32 = 64;
/// Largest stack that a Cargo.toml may ask for.
const MOST_STACK_KIB: u32 = 4096;

/// A project that a policy can be built from.
#[derive(Clone, Debug)]
pub(super) struct Project {
    /// Its folder.
    pub(super) dir: PathBuf,
    /// Name of its package.
    pub(super) name: String,
    /// Its version.
    pub(super) version: String,
    target: PathBuf,
    stack_kib: u32,
}

/// What `cargo metadata` says, as far as it matters.
#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
    target_directory: PathBuf,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    version: String,
    manifest_path: PathBuf,
    targets: Vec<Target>,
    /// `[package.metadata.mcsdns]`
    metadata: Option<serde_json::Value>,
}

#[derive(Deserialize)]
struct Target {
    crate_types: Vec<String>,
}

/// What `[package.metadata.mcsdns]` may say.
#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Settings {
    stack_kib: Option<u32>,
}

impl Project {
    /// The project in a folder; `None` when there is none.
    ///
    /// # Errors
    /// When there is a Cargo.toml that no policy can be built from.
    pub(super) fn find(dir: &Path) -> anyhow::Result<Option<Self>> {
        if !dir.join("Cargo.toml").is_file() {
            return Ok(None);
        }
        let dir = dir.canonicalize().with_context(|| dir.display().to_string())?;
        let output = Command::new(cargo())
            .args(["metadata", "--no-deps", "--format-version", "1"])
            .current_dir(&dir)
            .output()
            .context("cargo cannot be run; install Rust (https://rustup.rs)")?;
        let manifest = dir.join("Cargo.toml");
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            return Err(wrong(anyhow::anyhow!("{}: {}", manifest.display(), said.trim())));
        }
        let metadata: Metadata = serde_json::from_slice(&output.stdout).context("what cargo says cannot be read")?;
        let package = metadata.packages.into_iter().find(|package| package.manifest_path == manifest);
        let Some(package) = package else {
            return Err(wrong(anyhow::anyhow!(
                "{}: is a workspace; name the folder of one policy",
                manifest.display()
            )));
        };
        if !package.targets.iter().any(|target| target.crate_types.iter().any(|kind| kind == "cdylib")) {
            return Err(wrong(anyhow::anyhow!(
                "{}: is not a policy: it needs [lib] crate-type = [\"cdylib\"]; `mcsdns policy new` makes a project",
                manifest.display()
            )));
        }
        let settings = package.metadata.as_ref().and_then(|metadata| metadata.get("mcsdns"));
        let settings = match settings {
            None => Settings::default(),
            Some(settings) => Settings::deserialize(settings)
                .with_context(|| format!("{}: [package.metadata.mcsdns]", manifest.display()))
                .map_err(wrong)?,
        };
        let stack_kib = settings.stack_kib.unwrap_or(STACK_KIB);
        if !(1..=MOST_STACK_KIB).contains(&stack_kib) {
            return Err(wrong(anyhow::anyhow!(
                "{}: [package.metadata.mcsdns] stack-kib is {stack_kib}; 1 to {MOST_STACK_KIB} are possible",
                manifest.display()
            )));
        }
        let (name, version) = (package.name, package.version);
        Ok(Some(Self { dir, name, version, target: metadata.target_directory, stack_kib }))
    }

    /// Where its component is written.
    pub(super) fn component(&self) -> PathBuf {
        self.target.join("policies").join(&self.name).with_extension("wasm")
    }

    /// Builds the component and writes it; where.
    ///
    /// # Errors
    /// When there is no toolchain, or it does not compile.
    pub(super) fn build(&self, to: Option<&Path>, locked: bool) -> anyhow::Result<PathBuf> {
        let toolchain = Toolchain::find(&self.dir)?;
        let terminal = io::stderr().is_terminal();
        if terminal {
            eprintln!("building {} with {} ({}) ...", self.name, toolchain.version(), toolchain.source());
        }
        let mut build =
            Build::new(&self.dir, self.target.join("components")).stack_bytes(self.stack_kib << 10).progress(terminal);
        if locked {
            build = build.locked();
        }
        // What does not compile is the author's to correct, like any other wrong input.
        let bytes = toolchain.build(&build).map_err(|error| match unreachable_sdk(&error.to_string(), &self.dir) {
            Some(hint) => wrong(anyhow::anyhow!("{error}\n{hint}")),
            None => wrong(error),
        })?;
        let file = to.map_or_else(|| self.component(), Path::to_owned);
        if let Some(folder) = file.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            std::fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
        }
        std::fs::write(&file, bytes).with_context(|| file.display().to_string())?;
        Ok(file)
    }
}

/// What to do when cargo could not fetch the SDK.
fn unreachable_sdk(said: &str, dir: &Path) -> Option<String> {
    said.contains("failed to load source for dependency `mcsdns-policy-sdk`").then(|| {
        format!(
            "the SDK cannot be fetched: without a network, write mcsdns-policy-sdk = {{ path = \"CLONE/plugins/sdk\" }} into {}, \
             as `mcsdns policy new --sdk PATH` does",
            dir.join("Cargo.toml").display()
        )
    })
}

fn cargo() -> OsString {
    std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_sdk_that_cannot_be_fetched_may_be_a_folder() {
        let said = "error: failed to get `mcsdns-policy-sdk` as a dependency of package `x v0.1.0`\n\nCaused by:\n  \
                    failed to load source for dependency `mcsdns-policy-sdk`\n\nCaused by:\n  failed to clone into: /x";
        let hint = unreachable_sdk(said, Path::new("x")).unwrap();
        assert!(hint.contains("--sdk PATH") && hint.contains("x/Cargo.toml"), "{hint}");
        assert_eq!(unreachable_sdk("error: expected one of `;`", Path::new("x")), None);
    }
}
