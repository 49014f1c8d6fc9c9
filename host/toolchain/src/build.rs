//! From a crate to a component.

use std::{
    env, io,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use wit_component::ComponentEncoder;

use crate::{
    TARGET, Toolchain,
    environment::{clean, lossy},
};

/// What separates flags in `CARGO_ENCODED_RUSTFLAGS`.
const FLAG_SEPARATOR: &str = "\u{1f}";

/// How to compile.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Profile {
    /// Cargo's `release`, with the settings that suit a policy whatever its `Cargo.toml` says: whole-program
    /// optimisation, no unwinding, no symbols.
    Tuned,
    /// A profile by its name, as the workspace defines it.
    Named(String),
}

/// One component to build.
#[derive(Clone, Debug)]
pub struct Build {
    manifest_dir: PathBuf,
    target_dir: PathBuf,
    profile: Profile,
    stack_bytes: Option<u32>,
    memory_bytes: Option<u32>,
    features: Vec<String>,
    locked: bool,
    progress: bool,
}

impl Build {
    /// Builds the crate in `manifest_dir`, keeping intermediate files in `target_dir`. That folder must not be the one
    /// of a cargo that is running and waits for this build.
    #[must_use]
    pub fn new(manifest_dir: impl Into<PathBuf>, target_dir: impl Into<PathBuf>) -> Self {
        Self {
            manifest_dir: manifest_dir.into(),
            target_dir: target_dir.into(),
            profile: Profile::Tuned,
            stack_bytes: None,
            memory_bytes: None,
            features: Vec::new(),
            locked: false,
            progress: false,
        }
    }

    /// Compiles with that profile.
    #[must_use]
    pub fn profile(mut self, profile: Profile) -> Self {
        self.profile = profile;
        self
    }

    /// Gives the policy a stack of that size in its linear memory instead of the compiler's 1 MiB. A small one keeps
    /// the memory that a decision touches together at its beginning.
    #[must_use]
    pub fn stack_bytes(mut self, bytes: u32) -> Self {
        self.stack_bytes = Some(bytes);
        self
    }

    /// Lets the linear memory begin with at least that many bytes (whole pages of 64 KiB), so that ordinary decisions
    /// never have to grow it.
    #[must_use]
    pub fn memory_bytes(mut self, bytes: u32) -> Self {
        self.memory_bytes = Some(bytes);
        self
    }

    /// Switches on features of the crate.
    #[must_use]
    pub fn features(mut self, features: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.features.extend(features.into_iter().map(Into::into));
        self
    }

    /// Lets cargo say on standard error what it does while it does it; a first build takes minutes.
    #[must_use]
    pub fn progress(mut self, progress: bool) -> Self {
        self.progress = progress;
        self
    }

    /// Refuses to change `Cargo.lock`.
    #[must_use]
    pub fn locked(mut self) -> Self {
        self.locked = true;
        self
    }
}

/// Why a component could not be built.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// A program or file could not be used.
    #[error("{}: {source}", path.display())]
    Io {
        /// The program or file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The compiler refused the crate; it has said why on standard error.
    #[error("cargo could not build {} for {TARGET} with {toolchain}{said}", manifest_dir.display())]
    Compile {
        /// The crate.
        manifest_dir: PathBuf,
        /// The compiler used.
        toolchain: String,
        /// What cargo said.
        said: String,
    },
    /// The crate was built, but is not one that makes a WebAssembly module.
    #[error(
        "{} made no WebAssembly module: its Cargo.toml needs `[lib] crate-type = [\"cdylib\"]`", manifest_dir.display()
    )]
    NoModule {
        /// The crate.
        manifest_dir: PathBuf,
    },
    /// The module does not fit the interface it declares.
    #[error("{} cannot be made a component: {problem}", manifest_dir.display())]
    Encode {
        /// The crate.
        manifest_dir: PathBuf,
        /// What does not fit.
        problem: String,
    },
}

impl BuildError {
    /// Stable name of the error.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Io { .. } => "ComponentBuildIo",
            Self::Compile { .. } => "ComponentCompile",
            Self::NoModule { .. } => "ComponentNoModule",
            Self::Encode { .. } => "ComponentEncode",
        }
    }
}

impl Toolchain {
    /// Compiles a crate and wraps it as a component.
    ///
    /// The bytes depend on the source, the locked dependencies and the compiler only: paths of this machine are
    /// replaced by fixed ones.
    ///
    /// # Errors
    ///
    /// When cargo fails, the crate makes no module, or the module is not a component's.
    pub fn build(&self, build: &Build) -> Result<Vec<u8>, BuildError> {
        let module = self.compile(build)?;
        let bytes = std::fs::read(&module).map_err(|source| BuildError::Io { path: module, source })?;
        ComponentEncoder::default().validate(true).module(&bytes).and_then(|encoder| encoder.encode()).map_err(
            |error| BuildError::Encode { manifest_dir: build.manifest_dir.clone(), problem: format!("{error:#}") },
        )
    }

    /// Runs cargo; the path of the module it made.
    fn compile(&self, build: &Build) -> Result<PathBuf, BuildError> {
        let mut command = Command::new(&self.cargo);
        clean(&mut command);
        command
            .current_dir(&build.manifest_dir)
            .env("RUSTC", &self.rustc)
            .env("CARGO_ENCODED_RUSTFLAGS", self.flags(build).join(FLAG_SEPARATOR))
            .args(["build", "--lib", "--message-format=json-render-diagnostics", "--target", TARGET, "--target-dir"])
            .arg(&build.target_dir)
            .stdin(Stdio::null());
        match &build.profile {
            Profile::Tuned => {
                command.arg("--release").envs([
                    ("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "1"),
                    ("CARGO_PROFILE_RELEASE_LTO", "fat"),
                    ("CARGO_PROFILE_RELEASE_OPT_LEVEL", "3"),
                    ("CARGO_PROFILE_RELEASE_PANIC", "abort"),
                    ("CARGO_PROFILE_RELEASE_STRIP", "true"),
                ]);
            }
            Profile::Named(name) => {
                command.args(["--profile", name]);
            }
        }
        if !build.features.is_empty() {
            command.args(["--features", &build.features.join(",")]);
        }
        if build.locked {
            command.arg("--locked");
        }
        if let Some(linker) = &self.linker {
            command.env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", linker);
        }
        if self.build_std {
            // A stable compiler builds its standard library only when told that it may use unstable features.
            command.env("RUSTC_BOOTSTRAP", "1").arg("-Zbuild-std=std,panic_abort");
        }
        if build.progress {
            command.stderr(Stdio::inherit());
        }
        let output = command.output().map_err(|source| BuildError::Io { path: self.cargo.clone(), source })?;
        if !output.status.success() {
            return Err(BuildError::Compile {
                manifest_dir: build.manifest_dir.clone(),
                toolchain: self.version().to_owned(),
                said: said(&String::from_utf8_lossy(&output.stderr)),
            });
        }
        module_of(&String::from_utf8_lossy(&output.stdout), &build.manifest_dir)
            .ok_or_else(|| BuildError::NoModule { manifest_dir: build.manifest_dir.clone() })
    }

    /// Flags for everything that goes into the module.
    fn flags(&self, build: &Build) -> Vec<String> {
        let mut flags = Vec::new();
        let mut remap =
            |from: PathBuf, to: &str| flags.push(format!("--remap-path-prefix={}={to}", lossy(from.as_os_str())));
        remap(self.sysroot.join("lib/rustlib/src/rust"), "/rust");
        if let Some(registry) = cargo_home() {
            remap(registry.join("registry/src"), "/registry");
            remap(registry.join("git/checkouts"), "/git");
        }
        // The last prefix that fits wins: the package's own folder after the workspace around it.
        let package = build.manifest_dir.canonicalize().unwrap_or_else(|_| build.manifest_dir.clone());
        if let Some(workspace) = workspace_of(&package) {
            remap(workspace, "/workspace");
        } else {
            remap(package, "/policy");
        }
        // Sources of Debian's standard library lie behind a link.
        if let Ok(real) = self.sysroot.join("lib/rustlib/src/rust").canonicalize() {
            remap(real, "/rust");
        }
        if let Some(bytes) = build.stack_bytes {
            flags.push(format!("-Clink-arg=-zstack-size={bytes}"));
        }
        if let Some(bytes) = build.memory_bytes {
            flags.push(format!("-Clink-arg=--initial-memory={}", bytes.next_multiple_of(64 * 1024)));
        }
        flags
    }
}

/// What cargo said, without what it did: errors begin a line, deeds are indented to a column.
fn said(text: &str) -> String {
    let deeds = ["Adding", "Blocking", "Compiling", "Downloaded", "Downloading", "Locking", "Updating"];
    let is_deed = |line: &&str| line.starts_with("  ") && deeds.iter().any(|deed| line.trim_start().starts_with(deed));
    let lines: Vec<&str> = text.trim_end().lines().filter(|line| !is_deed(line)).collect();
    if lines.is_empty() { String::new() } else { format!(":\n{}", lines.join("\n")) }
}

/// Where cargo keeps the sources of dependencies.
fn cargo_home() -> Option<PathBuf> {
    let home = env::var_os("CARGO_HOME").map(PathBuf::from).or_else(|| Some(env::home_dir()?.join(".cargo")))?;
    Some(home.canonicalize().unwrap_or(home))
}

/// The folder that holds the lock file, if it is above the package.
fn workspace_of(package: &Path) -> Option<PathBuf> {
    package.ancestors().skip(1).find(|dir| dir.join("Cargo.lock").is_file()).map(Path::to_owned)
}

/// The module among what cargo says it made. The package's own artefact comes last.
fn module_of(messages: &str, manifest_dir: &Path) -> Option<PathBuf> {
    let manifest = manifest_dir.canonicalize().ok()?.join("Cargo.toml");
    messages
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .filter(|message| message.get("reason").is_some_and(|reason| reason == "compiler-artifact"))
        .filter(|message| {
            message.get("manifest_path").and_then(|path| path.as_str()).is_some_and(|path| Path::new(path) == manifest)
        })
        .filter_map(|message| {
            message
                .get("filenames")?
                .as_array()?
                .iter()
                .filter_map(|name| name.as_str())
                .find(|name| name.ends_with(".wasm"))
                .map(PathBuf::from)
        })
        .next_back()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_module_is_found_among_other_artefacts() {
        let dir = tempfile::tempdir().unwrap();
        let manifest = dir.path().canonicalize().unwrap().join("Cargo.toml");
        let messages = format!(
            "{}\nnot json\n{}\n{}\n",
            r#"{"reason":"compiler-artifact","manifest_path":"/x/Cargo.toml","filenames":["/t/x.wasm"]}"#,
            serde_json::json!({"reason": "compiler-artifact", "manifest_path": manifest,
                "filenames": ["/t/libmine.rlib", "/t/mine.wasm"]}),
            r#"{"reason":"build-finished","success":true}"#
        );
        assert_eq!(module_of(&messages, dir.path()), Some("/t/mine.wasm".into()));
        assert_eq!(module_of("", dir.path()), None);
    }

    #[test]
    fn errors_are_told_without_what_went_before() {
        let text = "    Updating crates.io index\n   Compiling a v1\nerror: no\n  --> src/lib.rs:1:1\n";
        assert_eq!(said(text), ":\nerror: no\n  --> src/lib.rs:1:1");
        assert_eq!(said("   Compiling a v1\n"), "");
    }

    #[test]
    fn sizes_become_whole_pages_and_flags() {
        let toolchain = Toolchain::find(Path::new(env!("CARGO_MANIFEST_DIR")));
        let Ok(toolchain) = toolchain else { return };
        let flags = toolchain.flags(&Build::new(".", "t").stack_bytes(32_768).memory_bytes(65_537));
        assert!(flags.contains(&"-Clink-arg=-zstack-size=32768".to_owned()));
        assert!(flags.contains(&"-Clink-arg=--initial-memory=131072".to_owned()));
    }
}
