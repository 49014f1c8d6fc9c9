//! Builds policies: `cargo run -p mcsdns-build-policies [NAME ...]` in `plugins/`, or `plugins/build.sh`.
//!
//! Every folder with a `Cargo.toml` that makes a `cdylib` is a policy; without names all of them are built. They end up
//! in `target/policies/NAME.wasm`. `mcsdns policy build` does the same for one project anywhere; this is for all of the
//! repository at once, without building the host first.

use std::{
    error::Error,
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

use mcsdns_toolchain::{Build, Profile, Toolchain};

/// Stack of a policy in its linear memory. The same for all: another one means another standard library.
const STACK_BYTES: u32 = 32 * 1024;

fn main() -> ExitCode {
    match run(&std::env::args().skip(1).collect::<Vec<_>>()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("error: {problem}");
            ExitCode::FAILURE
        }
    }
}

fn run(wanted: &[String]) -> Result<(), Box<dyn Error>> {
    let plugins = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize()?;
    let known = policies(&plugins)?;
    if let Some(unknown) = wanted.iter().find(|name| !known.contains(name)) {
        return Err(format!("there is no policy `{unknown}`; there are {}", known.join(", ")).into());
    }
    let toolchain = Toolchain::find(&plugins)?;
    let out = plugins.join("target/policies");
    fs::create_dir_all(&out)?;
    for name in known.iter().filter(|name| wanted.is_empty() || wanted.contains(name)) {
        let build = Build::new(plugins.join(name), plugins.join("target/components"))
            .profile(Profile::Named("component".to_owned()))
            .stack_bytes(STACK_BYTES)
            .locked();
        let bytes = toolchain.build(&build)?;
        let file = out.join(name).with_extension("wasm");
        fs::write(&file, &bytes)?;
        println!("{} ({} bytes)", file.strip_prefix(&plugins).unwrap_or(&file).display(), bytes.len());
    }
    Ok(())
}

/// The folders that are policies, sorted.
fn policies(plugins: &Path) -> Result<Vec<String>, Box<dyn Error>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(plugins)? {
        let folder: PathBuf = entry?.path();
        let Ok(manifest) = fs::read_to_string(folder.join("Cargo.toml")) else { continue };
        // What belongs to the workspace around it is not built here.
        let member = manifest.contains("cdylib") && manifest.contains("mcsdns-policy-sdk");
        if let (true, Some(name)) = (member, folder.file_name()) {
            found.push(name.to_string_lossy().into_owned());
        }
    }
    found.sort();
    Ok(found)
}
