//! `mcsdns policy new`.

mod texts;

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::{Args, ValueEnum};
use mcsdns_policy::Aspect;

use self::texts::Texts;
use crate::{
    exit::{Verdict, wrong},
    print::{Out, Style},
};

/// Where the SDK is found when nothing else is said.
const REPOSITORY: &str = env!("CARGO_PKG_REPOSITORY");
/// Which version of it.
const TAG: &str = concat!("v", env!("CARGO_PKG_VERSION"));

/// Names of crates that the compiler or cargo keep for themselves.
const RESERVED: [&str; 12] =
    ["alloc", "build", "core", "crate", "deps", "proc-macro", "self", "std", "super", "test", "type", "examples"];

/// Crates that every policy depends on.
const DEPENDENCIES: [&str; 2] = ["mcsdns-policy-sdk", "serde"];

/// Language of a policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Language {
    /// Rust, with the SDK
    Rust,
}

/// Makes a folder with a policy that builds, has a configuration with a schema, unit tests and a case, and passes all of
/// them; a place to begin from.
#[derive(Args, Debug)]
pub(crate) struct NewArgs {
    /// Name of the policy: a-z, 0-9 and inner hyphens
    #[arg(value_name = "NAME", value_parser = name)]
    name: String,
    /// Language to write it in
    #[arg(long, value_name = "LANGUAGE", value_enum, default_value = "rust")]
    lang: Language,
    /// What it decides; the policy in the box decides the rest
    #[arg(long, value_name = "ASPECT,...", value_delimiter = ',', default_value = "naming", value_parser = aspect)]
    aspects: Vec<Aspect>,
    /// Where to make the folder
    #[arg(long, value_name = "DIR", default_value = ".")]
    dir: PathBuf,
    /// The SDK: a folder, or the address of a git repository with `#BRANCH`, if it is not that of this release
    #[arg(long, value_name = "PATH|URL")]
    sdk: Option<String>,
}

fn name(text: &str) -> Result<String, String> {
    let plain = text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    let begins = text.starts_with(|c: char| c.is_ascii_lowercase());
    if !plain || !begins || text.ends_with('-') || text.contains("--") || text.len() > 50 {
        return Err(format!("`{text}` is no name such as short-names: a letter, then a-z, 0-9 and inner hyphens"));
    }
    if RESERVED.contains(&text) {
        return Err(format!("`{text}` is a name that Rust keeps for itself"));
    }
    if DEPENDENCIES.contains(&text) {
        return Err(format!("`{text}` is the name of a crate that the policy would use; choose another"));
    }
    Ok(text.to_owned())
}

fn aspect(text: &str) -> Result<Aspect, String> {
    let found = Aspect::ALL.into_iter().find(|aspect| aspect.as_str() == text);
    found.ok_or_else(|| format!("`{text}` is no aspect; there are naming, selection and ttl"))
}

/// Makes the project.
pub(super) fn run(args: &NewArgs, out: &mut Out) -> anyhow::Result<Verdict> {
    let Language::Rust = args.lang;
    let here = args.dir == Path::new(".");
    let dir = if here { PathBuf::from(&args.name) } else { args.dir.join(&args.name) };
    if dir.exists() {
        return Err(wrong(anyhow::anyhow!("{}: is there already; choose another name or --dir", dir.display())));
    }
    let sdk = sdk(args.sdk.as_deref())?;
    let texts = Texts::new(&args.name, &args.aspects, &sdk);
    for (file, text) in texts.files() {
        let path = dir.join(file);
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
        }
        std::fs::write(&path, text).with_context(|| path.display().to_string())?;
    }
    let title = |text: &str| out.paint.style(Style::Title, text);
    let command = |text: &str, about: &str| format!("  {text:<34} {about}");
    let text = [
        format!("{} in {}", title(&args.name), dir.display()),
        command("src/lib.rs", "the policy"),
        command("config.schema.json, config.yaml", "its configuration: schema and an example"),
        command("cases/", "cases: manifests and the answer they must lead to"),
        command("Cargo.toml", &format!("mcsdns-policy-sdk from {sdk}")),
        String::new(),
        "Next:".to_owned(),
        format!("  cd {}", dir.display()),
        command("cargo test", "the unit tests, natively"),
        command("mcsdns policy test", "builds it; the cases and the conformance suite, in the sandbox"),
        command("mcsdns policy bench", "what a decision takes"),
    ];
    for line in text {
        out.line(line)?;
    }
    Ok(Verdict::Good)
}

/// The SDK as a dependency in Cargo.toml.
fn sdk(given: Option<&str>) -> anyhow::Result<String> {
    // A text in Rust's notation is one in TOML's, too, as long as there is nothing odd in it.
    let quoted = |text: &str| format!("{text:?}");
    let Some(given) = given else {
        return Ok(format!("{{ git = {}, tag = {} }}", quoted(REPOSITORY), quoted(TAG)));
    };
    if given.contains("://") || given.starts_with("git@") {
        let (address, branch) =
            given.split_once('#').map_or((given, None), |(address, branch)| (address, Some(branch)));
        let branch = branch.map_or_else(String::new, |branch| format!(", branch = {}", quoted(branch)));
        return Ok(format!("{{ git = {}{branch} }}", quoted(address)));
    }
    let path = Path::new(given);
    let manifest = std::fs::read_to_string(path.join("Cargo.toml")).unwrap_or_default();
    if !manifest.contains("name = \"mcsdns-policy-sdk\"") {
        let path = path.display();
        return Err(wrong(anyhow::anyhow!(
            "--sdk {path}: is not the folder of the crate mcsdns-policy-sdk (plugins/sdk)"
        )));
    }
    let path = path.canonicalize().with_context(|| path.display().to_string())?;
    Ok(format!("{{ path = {} }}", quoted(&path.display().to_string())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_crates() {
        assert_eq!(name("short-names"), Ok("short-names".to_owned()));
        for bad in
            ["", "Short", "-a", "a-", "a--b", "1a", "a_b", "a/b", "..", "test", "serde", "mcsdns-policy-sdk", "ä"]
        {
            assert!(name(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_sdk_is_found_in_several_ways() {
        assert!(sdk(None).unwrap().contains("tag = \"v"));
        assert_eq!(
            sdk(Some("https://example.com/x.git#main")).unwrap(),
            "{ git = \"https://example.com/x.git\", branch = \"main\" }"
        );
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../plugins/sdk");
        assert!(sdk(folder.to_str()).unwrap().starts_with("{ path = \"/"));
        assert!(sdk(Some("/nowhere")).unwrap_err().to_string().contains("plugins/sdk"));
    }
}
