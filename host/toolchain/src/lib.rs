//! Finds a toolchain for `wasm32-unknown-unknown` and builds policy components with it.
//!
//! Build scripts use it for the policy in the box, `mcsdns policy build` for everybody else's. A component is built by
//! a cargo of its own: with its own target folder, so that it never waits for the lock of the build it is part of, and
//! with an environment cleaned of that build's flags, so that the same source gives the same bytes whether `cargo
//! build`, `cargo clippy` or a person asked for it.
//!
//! ```no_run
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use mcsdns_toolchain::{Build, Toolchain};
//!
//! let toolchain = Toolchain::find("my-policy".as_ref())?;
//! let component = toolchain.build(&Build::new("my-policy", "my-policy/target/component"))?;
//! # Ok(())
//! # }
//! ```

mod build;
mod environment;
mod find;

pub use build::{Build, BuildError, Profile};
pub use find::{RUSTC_OVERRIDE, Source, Toolchain, ToolchainError};

/// The target policies are compiled for: plain WebAssembly without any system interface.
pub const TARGET: &str = "wasm32-unknown-unknown";
