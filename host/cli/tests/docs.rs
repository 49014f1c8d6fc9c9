//! What the documents say about flags and subcommands is true of this program.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may fail by panicking"
)]

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// Flags of other programs that the documents speak of.
const OTHERS: [&str; 24] = [
    // ExternalDNS
    "--crd-source",
    "--crd-source-apiversion",
    "--crd-source-kind",
    "--domain-filter",
    "--events",
    "--label-filter",
    "--managed-record-types",
    "--provider",
    "--registry",
    "--source",
    "--txt-owner-id",
    "--txt-prefix",
    "--txt-suffix",
    "--policy",
    // kubectl
    "--context",
    "--minify",
    "--server-side",
    "--overwrite",
    "--from-file",
    "--dry-run",
    // cargo
    "--bench",
    "--bin",
    "--locked",
    "--workspace",
];

fn help(words: &[String]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_mcsdns")).args(words).arg("--help").output().unwrap();
    assert!(output.status.success(), "{words:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// `--flag` in a text.
fn flags(text: &str) -> BTreeSet<String> {
    let is_part = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    text.match_indices("--")
        .filter(|(at, _)| !text[..*at].ends_with(|c: char| is_part(c) || c.is_ascii_alphanumeric()))
        .map(|(at, _)| text[at..].chars().take_while(|c| is_part(*c)).collect::<String>())
        .filter(|flag| flag.len() > 3 && !flag.ends_with('-') && !flag[2..].starts_with('-'))
        .collect()
}

/// The flags of a subcommand and of those below it.
fn known(words: &[String], found: &mut BTreeSet<String>) {
    let text = help(words);
    found.extend(flags(&text));
    let Some((_, commands)) = text.split_once("Commands:\n") else { return };
    for line in commands.lines().take_while(|line| !line.is_empty()) {
        let Some(name) = line.strip_prefix("  ").and_then(|line| line.split_whitespace().next()) else { continue };
        if !line.starts_with("   ") && name != "help" {
            known(&[words, &[name.to_owned()]].concat(), found);
        }
    }
}

fn documents(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            documents(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "md" || extension == "yaml") {
            found.push(path);
        }
    }
}

#[test]
fn every_flag_in_the_documents_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut known_flags: BTreeSet<String> = OTHERS.iter().map(|flag| (*flag).to_owned()).collect();
    known(&[], &mut known_flags);
    assert!(known_flags.contains("--unreachable-grace"), "{known_flags:?}");
    let mut paths = vec![root.join("README.md"), root.join("CONTRIBUTING.md")];
    documents(&root.join("docs"), &mut paths);
    documents(&root.join("deploy"), &mut paths);
    let mut unknown = Vec::new();
    for path in paths {
        let text = fs::read_to_string(&path).unwrap();
        unknown.extend(
            flags(&text)
                .into_iter()
                .filter(|flag| !known_flags.contains(flag))
                .map(|flag| format!("{}: {flag}", path.display())),
        );
    }
    assert!(unknown.is_empty(), "the documents speak of flags that do not exist: {unknown:#?}");
}
