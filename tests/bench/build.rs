//! Builds the components that tests run.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

use mcsdns_toolchain::{Build, Profile, Toolchain};

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("error: the components for tests could not be built: {problem}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn std::error::Error>> {
    let out_dir = PathBuf::from(env::var("OUT_DIR")?);
    let workspace = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?).join("../..").canonicalize()?;
    for changed in ["plugins/misbehaving/Cargo.toml", "plugins/misbehaving/src", "wit", "Cargo.lock"] {
        println!("cargo::rerun-if-changed={}", workspace.join(changed).display());
    }
    println!("cargo::rerun-if-env-changed={}", mcsdns_toolchain::RUSTC_OVERRIDE);
    let manifest_dir = workspace.join("plugins/misbehaving");
    let toolchain = Toolchain::find(&manifest_dir)?;
    // One after the other, because both builds write the same file.
    for (name, features) in [("misbehaving", None), ("ttl-only", Some("ttl-only"))] {
        let build = Build::new(&manifest_dir, target_root(&out_dir).join("components"))
            .profile(Profile::Named("component".to_owned()))
            .features(features)
            .locked();
        fs::write(out_dir.join(name).with_extension("wasm"), toolchain.build(&build)?)?;
    }
    Ok(())
}

/// The target folder of the build this script is part of: debug, release and clippy builds share their components.
fn target_root(out_dir: &Path) -> &Path {
    out_dir.ancestors().skip(1).find(|dir| dir.join("CACHEDIR.TAG").is_file()).unwrap_or(out_dir)
}
