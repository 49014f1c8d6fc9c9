//! Policies in C: compiled by clang, without any library, and wrapped as a component.

use std::{
    env,
    error::Error,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::{PackageId, Resolve, WorldId};

/// Whether there is a compiler; if not, how to get one.
pub(crate) fn compiler() -> Result<(), String> {
    let found = |program: &str| {
        env::var_os("PATH").is_some_and(|path| env::split_paths(&path).any(|dir| dir.join(program).is_file()))
    };
    if found("clang") && found("wasm-ld") {
        return Ok(());
    }
    Err("policies in C need clang and wasm-ld (Debian: apt-get install clang lld)".to_owned())
}

/// Builds `policy.c` in the folder as a component of that world of `wit/v0.1.0`.
pub(crate) fn build(folder: &Path, scratch: &Path, world: &str) -> Result<Vec<u8>, Box<dyn Error>> {
    fs::create_dir_all(scratch)?;
    let module = scratch.join("policy-c.wasm");
    let status = Command::new("clang")
        .args(["--target=wasm32-unknown-unknown", "-std=c11", "-O2", "-flto", "-nostdlib", "-ffreestanding"])
        .args(["-Wall", "-Wextra", "-Werror", "-mbulk-memory"])
        .args(["-Wl,--no-entry", "-Wl,--lto-O2", "-Wl,--strip-all", "-Wl,-z,stack-size=8192", "-Wl,--stack-first"])
        .arg("-o")
        .arg(&module)
        .arg(folder.join("policy.c"))
        .status()?;
    if !status.success() {
        return Err(format!("clang could not build {}", folder.display()).into());
    }
    let mut bytes = fs::read(&module)?;
    let mut resolve = Resolve::default();
    let (resolve_package, _) = resolve.push_path(interface())?;
    let world = select(&resolve, resolve_package, world)?;
    embed_component_metadata(&mut bytes, &resolve, world, StringEncoding::UTF8, false)?;
    Ok(ComponentEncoder::default().validate(true).module(&bytes)?.encode()?)
}

/// The interface, as the SDK carries it.
fn interface() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../sdk/wit/v0.1.0")
}

fn select(resolve: &Resolve, package: PackageId, world: &str) -> Result<WorldId, Box<dyn Error>> {
    Ok(resolve.select_world(&[package], Some(world))?)
}
