//! `mcsdns policy pack`.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use clap::{Args, ValueEnum};
use mcsdns_harness::{
    spending::Ceiling,
    suite::{self, Config, Sources},
    workbench::{Candidate, Loaded, Workbench},
};
use mcsdns_local::cases::{Mode, PackedCases};
use mcsdns_rollout::{
    CaseCheck as _,
    package::{Case, Encoding, Package},
};

use super::{budget, bytes_of, candidate, config};
use crate::{
    args::Output,
    exit::{Verdict, wrong},
    print::Out,
};

/// How the component is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Compress {
    /// binaryData `policy.wasm.gz`
    Gzip,
    /// binaryData `policy.wasm.zst`
    Zstd,
    /// binaryData `policy.wasm`
    None,
}

/// Makes the ConfigMap that brings a policy into a cluster, with its digest, configuration and cases:
/// `mcsdns policy pack FILE.wasm --name N | kubectl apply --server-side -f -`. What a controller would refuse is not packed:
/// the policy is loaded with its configuration, and its cases are carried out.
#[derive(Args, Debug)]
pub(crate) struct PackArgs {
    /// The component
    #[arg(value_name = "FILE.wasm")]
    policy: PathBuf,
    /// Name of the ConfigMap; Domains name it so
    #[arg(long, value_name = "NAME")]
    name: String,
    /// Namespace of the ConfigMap: that of the controller
    #[arg(long, value_name = "NAME", default_value = mcsdns_controller::options::NAMESPACE, env = "MCSDNS_NAMESPACE", value_parser = namespace)]
    namespace: String,
    /// Its configuration, YAML or JSON
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// A folder of cases that a controller carries out before the policy may decide [default: those of a packed policy]
    #[arg(long, value_name = "DIR")]
    cases: Option<PathBuf>,
    /// How the component is stored
    #[arg(long, value_name = "HOW", value_enum, default_value = "gzip")]
    compress: Compress,
    /// What it may use beyond the usual, for example `--budget fuel=100000000`; repeatable
    #[arg(long, value_name = "LIMIT=N")]
    budget: Vec<String>,
    /// Write the manifest here instead of to standard output
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Form of the manifest
    #[arg(short, long, value_enum, default_value = "yaml")]
    output: Output,
}

/// Packs.
pub(super) fn run(args: &PackArgs, out: &mut Out) -> anyhow::Result<Verdict> {
    let mut candidate = candidate(&args.policy)?;
    if let Some(config) = config(args.config.as_deref())? {
        candidate.config = Some(config);
    }
    let packed = candidate.package.clone();
    let budget = budget(&args.budget)?.or_else(|| packed.as_ref()?.budget);
    candidate.budget = budget.unwrap_or(candidate.budget);
    let workbench = Workbench::new()?;
    let loaded = super::load(&workbench, &candidate)?;
    let cases = match (&args.cases, &packed) {
        (Some(dir), _) => packed_cases(dir, &candidate, &workbench)?,
        (None, Some(packed)) => repacked_cases(&packed.cases, &loaded)?,
        (None, None) => Vec::new(),
    };
    let package = Package {
        encoding: match args.compress {
            Compress::Gzip => Encoding::Gzip,
            Compress::Zstd => Encoding::Zstd,
            Compress::None => Encoding::Plain,
        },
        config: candidate.config.clone(),
        budget,
        cases,
        ..Package::new(args.name.as_str(), candidate.bytes.to_vec())
    };
    let manifest =
        package.manifest(&args.namespace).map_err(|error| wrong(anyhow::anyhow!("{}: {error}", args.name)))?;
    let text = match args.output {
        Output::Json => serde_json::to_string_pretty(&manifest)? + "\n",
        Output::Yaml | Output::Table => serde_saphyr::to_string(&manifest)?,
    };
    eprintln!(
        "packed {} as ConfigMap {}/{}: {} of 1 MiB, {} cases; sha256 {}",
        loaded.policy.title(),
        args.namespace,
        args.name,
        bytes_of(manifest.bytes),
        package.cases.len(),
        package.digest()
    );
    match &args.out {
        Some(path) => std::fs::write(path, text).with_context(|| path.display().to_string())?,
        None => out.text(&text)?,
    }
    Ok(Verdict::Good)
}

/// The cases of a folder that are for this configuration, each carried out: one that fails would keep the policy out of every
/// cluster.
fn packed_cases(dir: &Path, candidate: &Candidate, workbench: &Workbench) -> anyhow::Result<Vec<Case>> {
    let config = candidate.config.clone().map(|text| Config { origin: "--config".to_owned(), text });
    let sources = Sources { candidate: candidate.clone(), config, config_wins: false };
    let entries = suite::find(dir, &sources).map_err(wrong)?;
    let mut fitting: BTreeMap<PathBuf, suite::Case> = BTreeMap::new();
    let mut left_out: BTreeMap<PathBuf, String> = BTreeMap::new();
    for entry in entries.iter().filter(|entry| entry.refused.is_none()) {
        let elsewhere = if entry.candidate.bytes != candidate.bytes {
            Some(format!("is for another policy ({})", entry.candidate.origin))
        } else if !same(entry.candidate.config.as_deref(), candidate.config.as_deref()) {
            let from = entry.config_origin.as_deref().unwrap_or("none");
            Some(format!("is for another configuration ({from}), and a ConfigMap has one for all"))
        } else {
            None
        };
        for case in &entry.cases {
            let own = "has a configuration of its own, and a ConfigMap has one for all";
            match elsewhere.clone().or_else(|| case.config.as_ref().map(|_| own.to_owned())) {
                Some(because) => left_out.insert(case.path.clone(), because).is_some(),
                None => fitting.insert(case.path.clone(), case.clone()).is_some(),
            };
        }
    }
    if fitting.is_empty() && left_out.is_empty() {
        return Err(wrong(anyhow::anyhow!("{}: there are no cases", dir.display())));
    }
    for (path, because) in left_out.iter().filter(|(path, _)| !fitting.contains_key(*path)) {
        eprintln!("left out: {} {because}", path.display());
    }
    if fitting.is_empty() {
        eprintln!("note: no case is left; --config FILE gives the configuration that they are for");
    }
    let cases: Vec<suite::Case> = fitting.into_values().collect();
    let paths: Vec<PathBuf> = cases.iter().map(|case| case.path.clone()).collect();
    let options = suite::Options {
        mode: Mode::Check,
        only: String::new(),
        conformance: false,
        ceiling: Ceiling::default(),
        contradictions: BTreeMap::new(),
    };
    let entry = suite::Entry::new(candidate.clone(), cases);
    let result = suite::run(workbench, &entry, &options, &mut |_| {});
    if let Some(failed) = result.cases.iter().find(|case| !case.passed) {
        return Err(wrong(anyhow::anyhow!(
            "{}: fails, so a controller would refuse the policy:\n{}",
            failed.path.display(),
            failed.failures.join("\n")
        )));
    }
    paths.iter().map(|path| Case::read(path).with_context(|| path.display().to_string()).map_err(wrong)).collect()
}

/// Whether two configurations say the same; none says the same as an empty one.
fn same(one: Option<&str>, other: Option<&str>) -> bool {
    let read = |text: Option<&str>| match serde_saphyr::from_str(text.unwrap_or("{}")) {
        Ok(serde_json::Value::Null) => Some(serde_json::Value::Object(serde_json::Map::new())),
        Ok(value) => Some(value),
        Err(_) => None,
    };
    one == other || read(one).zip(read(other)).is_some_and(|(one, other)| one == other)
}

/// The cases that were packed with a policy before, carried out again: with another configuration they may fail.
fn repacked_cases(cases: &[Case], loaded: &Loaded) -> anyhow::Result<Vec<Case>> {
    PackedCases.check(cases, &loaded.set).map_err(|failure| {
        wrong(anyhow::anyhow!(
            "the packed case {} fails, so a controller would refuse the policy; --cases DIR gives others:\n{}",
            failure.case,
            failure.problem
        ))
    })?;
    Ok(cases.to_vec())
}

/// A namespace is one label (RFC 1123).
fn namespace(text: &str) -> Result<String, String> {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if mcsdns_core::name::check_label(text).is_err() || !text.chars().all(plain) {
        return Err(format!("`{text}` cannot be the name of a namespace: at most 63 of a-z, 0-9 and inner hyphens"));
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn configurations_are_compared_by_what_they_say() {
        assert!(same(None, None) && same(None, Some("{}")) && same(Some("# nothing\n"), None));
        assert!(same(Some("{\"a\":[1]}"), Some("a:\n  - 1\n")));
        assert!(!same(Some("a: 1"), Some("a: 2")) && !same(None, Some("a: 1")) && !same(Some("a: ["), Some("a: 1")));
    }

    #[test]
    fn namespaces_are_labels() {
        assert_eq!(namespace("federation-system"), Ok("federation-system".to_owned()));
        for bad in ["", "Bad NS", "a.b", "-a", "a_b", "*", &"a".repeat(64)] {
            assert!(namespace(bad).is_err(), "{bad}");
        }
    }
}
