//! Where a compiler for policies comes from.

use std::{
    env, fmt,
    path::{Path, PathBuf},
    process::Command,
};

use crate::TARGET;

/// Environment variable that names the `rustc` to compile policies with.
pub const RUSTC_OVERRIDE: &str = "MCSDNS_WASM_RUSTC";

/// Debian's compiler with WebAssembly support and the sources of its standard library, for machines on which rustup
/// cannot fetch a target (packages `rustc-web` and `rust-web-src`).
const DEBIAN_RUSTC: &str = "/usr/bin/rustc";

/// A compiler that can make WebAssembly.
#[derive(Clone, Debug)]
pub struct Toolchain {
    /// The cargo that runs it.
    pub(crate) cargo: PathBuf,
    /// The compiler.
    pub(crate) rustc: PathBuf,
    /// Root of the compiler's files.
    pub(crate) sysroot: PathBuf,
    /// A linker, when the compiler brings none.
    pub(crate) linker: Option<PathBuf>,
    /// The compiler has no ready-made standard library for the target, only its source.
    pub(crate) build_std: bool,
    /// First line of `rustc --version`.
    version: String,
    /// Where it was found.
    source: Source,
}

/// Where a toolchain was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Source {
    /// Named by `MCSDNS_WASM_RUSTC`.
    Override,
    /// The toolchain that builds everything else has the target installed.
    Active,
    /// Debian's `rustc-web`.
    Debian,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Override => RUSTC_OVERRIDE,
            Self::Active => "active toolchain",
            Self::Debian => "rustc-web",
        })
    }
}

/// Why no toolchain was found.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ToolchainError {
    /// `MCSDNS_WASM_RUSTC` names a compiler that cannot build policies.
    #[error("{RUSTC_OVERRIDE}={} cannot build for {TARGET}: {problem}", rustc.display())]
    Override {
        /// The compiler named.
        rustc: PathBuf,
        /// What it lacks.
        problem: String,
    },
    /// Nothing on this machine can build policies.
    #[error(
        "no Rust toolchain for {TARGET} found. Install one with `rustup target add {TARGET}`, or on Debian with \
         `apt-get install rustc-web rust-web-src`, or name a rustc that has it in {RUSTC_OVERRIDE}. Tried: {tried}"
    )]
    NotFound {
        /// What was tried, and why it would not do.
        tried: String,
    },
}

impl ToolchainError {
    /// Stable name of the error.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Override { .. } => "ToolchainOverrideUnusable",
            Self::NotFound { .. } => "ToolchainNotFound",
        }
    }
}

impl Toolchain {
    /// Finds a toolchain for building in the folder `dir` (rustup may choose by folder): the one named by
    /// `MCSDNS_WASM_RUSTC`, else the active one if it has the target, else Debian's.
    ///
    /// # Errors
    ///
    /// When none of them will do; the text says how to get one.
    pub fn find(dir: &Path) -> Result<Self, ToolchainError> {
        let active = Compiler::inspect(&env::var_os("RUSTC").map_or_else(|| "rustc".into(), PathBuf::from), dir);
        let lender = active.as_ref().ok();

        if let Some(rustc) = env::var_os(RUSTC_OVERRIDE).filter(|value| !value.is_empty()).map(PathBuf::from) {
            return Compiler::inspect(&rustc, dir)
                .and_then(|compiler| compiler.into_toolchain(Source::Override, lender))
                .map_err(|problem| ToolchainError::Override { rustc, problem });
        }
        let mut tried = Vec::new();
        match active.clone() {
            // The active toolchain is stable: its standard library must be there ready-made.
            Ok(compiler) if compiler.has_target() => match compiler.into_toolchain(Source::Active, None) {
                Ok(toolchain) => return Ok(toolchain),
                Err(problem) => tried.push(format!("active toolchain: {problem}")),
            },
            Ok(compiler) => {
                tried.push(format!("{} ({}): target not installed", compiler.rustc.display(), compiler.version))
            }
            Err(problem) => tried.push(problem),
        }
        match Compiler::inspect(DEBIAN_RUSTC.as_ref(), dir)
            .and_then(|compiler| compiler.into_toolchain(Source::Debian, lender))
        {
            Ok(toolchain) => return Ok(toolchain),
            Err(problem) => tried.push(problem),
        }
        Err(ToolchainError::NotFound { tried: tried.join("; ") })
    }

    /// Where it was found.
    #[must_use]
    pub fn source(&self) -> Source {
        self.source
    }

    /// What the compiler calls itself, for example `rustc 1.95.0 (59807616e 2026-04-14)`.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.version
    }
}

/// What a compiler on this machine has.
#[derive(Clone, Debug)]
struct Compiler {
    rustc: PathBuf,
    sysroot: PathBuf,
    host: String,
    version: String,
}

impl Compiler {
    /// Asks the compiler about itself.
    fn inspect(rustc: &Path, dir: &Path) -> Result<Self, String> {
        let ask = |args: &[&str]| -> Result<String, String> {
            let mut command = Command::new(rustc);
            crate::environment::clean(&mut command);
            if dir.is_dir() {
                command.current_dir(dir);
            }
            let output = command.args(args).output().map_err(|error| format!("{}: {error}", rustc.display()))?;
            if !output.status.success() {
                let said = String::from_utf8_lossy(&output.stderr);
                return Err(format!("{}: {}", rustc.display(), said.trim()));
            }
            Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
        };
        let verbose = ask(&["--version", "--verbose"])?;
        let host = verbose.lines().find_map(|line| line.strip_prefix("host: ")).unwrap_or_default().to_owned();
        let version = verbose.lines().next().unwrap_or_default().to_owned();
        Ok(Self { rustc: rustc.to_owned(), sysroot: ask(&["--print", "sysroot"])?.into(), host, version })
    }

    /// Whether the standard library for the target is there ready-made.
    fn has_target(&self) -> bool {
        self.sysroot.join("lib/rustlib").join(TARGET).join("lib").is_dir()
    }

    /// Whether the source of the standard library is there.
    fn has_source(&self) -> bool {
        self.sysroot.join("lib/rustlib/src/rust/library/std").is_dir()
    }

    /// The linker this compiler brings.
    fn own_linker(&self) -> Option<PathBuf> {
        let linker = self.sysroot.join("lib/rustlib").join(&self.host).join("bin/rust-lld");
        linker.is_file().then_some(linker)
    }

    /// A toolchain around this compiler; a compiler without a linker borrows that of `lender`.
    fn into_toolchain(self, source: Source, lender: Option<&Self>) -> Result<Toolchain, String> {
        let build_std = !self.has_target();
        if build_std && !self.has_source() {
            return Err(format!(
                "{} ({}) has neither the target nor the source of its standard library",
                self.rustc.display(),
                self.version
            ));
        }
        let linker = match self.own_linker() {
            Some(_) => None,
            None => Some(
                lender
                    .and_then(Self::own_linker)
                    .or_else(|| on_path("rust-lld"))
                    .or_else(|| on_path("wasm-ld"))
                    .ok_or_else(|| {
                        format!("{} brings no linker for WebAssembly, and there is no wasm-ld", self.rustc.display())
                    })?,
            ),
        };
        Ok(Toolchain {
            cargo: env::var_os("CARGO").map_or_else(|| "cargo".into(), PathBuf::from),
            rustc: self.rustc,
            sysroot: self.sysroot,
            linker,
            build_std,
            version: self.version,
            source,
        })
    }
}

/// A program of that name on the search path.
fn on_path(program: &str) -> Option<PathBuf> {
    env::split_paths(&env::var_os("PATH")?).map(|dir| dir.join(program)).find(|path| path.is_file())
}
