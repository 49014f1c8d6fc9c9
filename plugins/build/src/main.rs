//! Builds policies: `cargo run -p mcsdns-build-policies [NAME ...]` in `plugins/`, or `plugins/build.sh`.
//!
//! Every folder with a `Cargo.toml` that makes a `cdylib`, or with a `policy.c`, is a policy; without names all of them are
//! built. They end up in `target/policies/NAME.wasm`. What needs a compiler that is not here is left out, with a note, unless
//! it was named. `mcsdns policy build` does the same for one project anywhere; this is for all of the
//! repository at once, without building the host first.

mod c;

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
    let out = plugins.join("target/policies");
    fs::create_dir_all(&out)?;
    let mut toolchain = None;
    for name in known.iter().filter(|name| wanted.is_empty() || wanted.contains(name)) {
        let folder = plugins.join(name);
        let bytes = if folder.join("policy.c").is_file() {
            match c::compiler() {
                Ok(()) => c::build(&folder, &plugins.join("target"), "naming-policy")?,
                Err(missing) if wanted.is_empty() => {
                    println!("{name} left out: {missing}");
                    continue;
                }
                Err(missing) => return Err(missing.into()),
            }
        } else {
            let found = match toolchain.take() {
                Some(found) => found,
                None => Toolchain::find(&plugins)?,
            };
            let build = Build::new(folder, plugins.join("target/components"))
                .profile(Profile::Named("component".to_owned()))
                .stack_bytes(STACK_BYTES)
                .locked();
            toolchain.insert(found).build(&build)?
        };
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
        let manifest = fs::read_to_string(folder.join("Cargo.toml")).unwrap_or_default();
        // `misbehaving` belongs to the workspace around this one and is built there.
        let rust = manifest.contains("cdylib") && manifest.contains("mcsdns-policy-sdk");
        if let (true, Some(name)) = (rust || folder.join("policy.c").is_file(), folder.file_name()) {
            found.push(name.to_string_lossy().into_owned());
        }
    }
    found.sort();
    Ok(found)
}
