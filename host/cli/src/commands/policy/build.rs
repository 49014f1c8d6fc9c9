//! `mcsdns policy build`.

use std::path::PathBuf;

use clap::Args;
use mcsdns_harness::{
    inspect::Sizes,
    workbench::{Candidate, Workbench},
};
use serde::Serialize;

use super::{bytes_of, project::Project};
use crate::{
    args::Output,
    exit::{Verdict, wrong},
    print::{Out, Style},
};

/// Compiles a project for wasm32-unknown-unknown, wraps it as a component and checks that it is a policy.
#[derive(Args, Debug)]
pub(crate) struct BuildArgs {
    /// Folder of the project
    #[arg(value_name = "DIR", default_value = ".")]
    dir: PathBuf,
    /// Where to write the component [default: target/policies/NAME.wasm]
    #[arg(long, value_name = "FILE.wasm")]
    out: Option<PathBuf>,
    /// Fail rather than change Cargo.lock
    #[arg(long)]
    locked: bool,
    /// Form of the output
    #[arg(short, long, value_enum, default_value = "table")]
    output: Output,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Built {
    name: String,
    version: String,
    path: PathBuf,
    digest: String,
    sizes: Sizes,
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
}

/// Builds.
pub(super) fn run(args: &BuildArgs, out: &mut Out) -> anyhow::Result<Verdict> {
    let project = Project::find(&args.dir)?.ok_or_else(|| {
        let dir = args.dir.display();
        wrong(anyhow::anyhow!("{dir}: there is no Cargo.toml; `mcsdns policy new NAME` makes a project"))
    })?;
    let path = project.build(args.out.as_deref(), args.locked)?;
    let candidate = Candidate::read(&path)?;
    // A policy may be unable to do without a configuration, so that one is no problem of the component.
    let problem = Workbench::new()?.load(&candidate).err();
    let problem = problem.filter(|error| !["ConfigInvalid", "ConfigRefused"].contains(&error.reason()));
    let built = Built {
        name: project.name.clone(),
        version: project.version.clone(),
        path,
        digest: candidate.digest().to_string(),
        sizes: Sizes::of(&candidate.bytes),
        problem: problem.map(|error| format!("refused ({}): {error}", error.reason())),
    };
    if !out.data(args.output, &built)? {
        let packed = |size: Option<usize>| size.map_or_else(|| "too large for a ConfigMap".to_owned(), bytes_of);
        let Sizes { raw, gzip, zstd } = built.sizes;
        out.line(format!("{} {}", built.name, built.version))?;
        out.line(format!("  component  {}", built.path.display()))?;
        out.line(format!("  sha256     {}", built.digest))?;
        out.line(format!("  size       {}, gzip {}, zstd {}", bytes_of(raw), packed(gzip), packed(zstd)))?;
        if let Some(problem) = &built.problem {
            out.line(format!("  {}", out.paint.style(Style::Bad, problem)))?;
        }
    }
    Ok(Verdict::good_if(built.problem.is_none()))
}
