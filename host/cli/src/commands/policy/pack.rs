//! `mcsdns policy pack`.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::{Args, ValueEnum};
use mcsdns_harness::{
    suite::{self, Sources},
    workbench::{Candidate, Workbench},
};
use mcsdns_local::cases::{self, Mode};
use mcsdns_policy::Budget;
use mcsdns_rollout::package::{Case, Encoding, Package};

use super::{bytes_of, candidate, config};
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
    #[arg(long, value_name = "NAME", default_value = mcsdns_controller::options::NAMESPACE, env = "MCSDNS_NAMESPACE")]
    namespace: String,
    /// Its configuration, YAML or JSON
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// A folder of cases that a controller carries out before the policy may decide
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
    let budget = budget(&args.budget)?;
    candidate.budget = budget.unwrap_or(candidate.budget);
    let workbench = Workbench::new()?;
    let loaded = super::load(&workbench, &candidate)?;
    let cases = match &args.cases {
        Some(dir) => packed_cases(dir, &candidate, &workbench)?,
        None => Vec::new(),
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

/// Reads `LIMIT=N`, as in the key `budget` of the ConfigMap.
fn budget(limits: &[String]) -> anyhow::Result<Option<Budget>> {
    if limits.is_empty() {
        return Ok(None);
    }
    let mut fields = serde_json::Map::new();
    for limit in limits {
        let parsed = limit.split_once('=').and_then(|(name, number)| {
            let number: u64 = number.trim().replace('_', "").parse().ok()?;
            Some((name.trim().to_owned(), number))
        });
        let Some((name, number)) = parsed else {
            return Err(wrong(anyhow::anyhow!("--budget {limit}: is not LIMIT=N, for example fuel=100000000")));
        };
        fields.insert(name, number.into());
    }
    let budget = serde_json::from_value(fields.into()).map_err(|error| wrong(anyhow::anyhow!("--budget: {error}")))?;
    Ok(Some(budget))
}

/// The cases of a folder, each carried out: one that fails would keep the policy out of every cluster.
fn packed_cases(dir: &std::path::Path, candidate: &Candidate, workbench: &Workbench) -> anyhow::Result<Vec<Case>> {
    let sources = Sources { candidate: candidate.clone(), config: None, config_wins: false };
    let mut packed = Vec::new();
    let found = cases::discover(dir).map_err(wrong)?;
    if found.is_empty() {
        return Err(wrong(anyhow::anyhow!("{}: there are no cases", dir.display())));
    }
    for path in found {
        if path.join("config.yaml").exists() || path.join("config.json").exists() {
            let path = path.display();
            eprintln!("left out: {path} has a configuration of its own, and a ConfigMap has one for all");
            continue;
        }
        let entry = suite::find(&path, &sources).map_err(wrong)?;
        let options =
            suite::Options { mode: Mode::Check, only: String::new(), conformance: false, ceiling: Default::default() };
        for entry in entry {
            let entry = suite::Entry { candidate: candidate.clone(), ..entry };
            let result = suite::run(workbench, &entry, &options, &mut |_| {});
            if let Some(failure) = result.cases.iter().flat_map(|case| &case.failures).next() {
                return Err(wrong(anyhow::anyhow!(
                    "{}: fails, so a controller would refuse the policy:\n{failure}",
                    path.display()
                )));
            }
        }
        packed.push(Case::read(&path).with_context(|| path.display().to_string()).map_err(wrong)?);
    }
    Ok(packed)
}
