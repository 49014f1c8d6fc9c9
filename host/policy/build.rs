//! Builds the policy in the box, so that the binary carries one made from the source beside it.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

use mcsdns_toolchain::{Build, Profile, Toolchain};

/// Names a ready-made component to embed instead of building one.
const OVERRIDE: &str = "MCSDNS_DEFAULT_POLICY";

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("error: the policy in the box could not be built: {problem}");
            eprintln!("(or name a ready-made component in {OVERRIDE})");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn std::error::Error>> {
    let out_dir = PathBuf::from(env::var("OUT_DIR")?);
    let workspace = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?).join("../..").canonicalize()?;
    for changed in ["guest-default/Cargo.toml", "guest-default/src", "guest-default/component", "wit", "Cargo.lock"] {
        println!("cargo::rerun-if-changed={}", workspace.join(changed).display());
    }
    for changed in [OVERRIDE, mcsdns_toolchain::RUSTC_OVERRIDE] {
        println!("cargo::rerun-if-env-changed={changed}");
    }
    let bytes = match env::var_os(OVERRIDE).filter(|file| !file.is_empty()) {
        Some(file) => {
            println!("cargo::rerun-if-changed={}", Path::new(&file).display());
            fs::read(&file).map_err(|error| format!("{OVERRIDE}={}: {error}", Path::new(&file).display()))?
        }
        None => {
            let component = workspace.join("guest-default/component");
            let toolchain = Toolchain::find(&component)?;
            toolchain.build(
                &Build::new(component, target_root(&out_dir).join("components"))
                    .profile(Profile::Named("component".to_owned()))
                    .stack_bytes(32 * 1024)
                    .locked(),
            )?
        }
    };
    fs::write(out_dir.join("default-policy.wasm"), bytes)?;
    Ok(())
}

/// The target folder of the build this script is part of: debug, release and clippy builds share one component.
fn target_root(out_dir: &Path) -> &Path {
    out_dir.ancestors().skip(1).find(|dir| dir.join("CACHEDIR.TAG").is_file()).unwrap_or(out_dir)
}
