//! `mcsdns test`.

use std::path::PathBuf;

use clap::Args;
use mcsdns_local::cases::{self, Mode};
use serde::Serialize;

use super::folder;
use crate::{
    args::{Output, PolicyArgs},
    exit::{Verdict, wrong},
    print::{Out, Style},
};

/// Carries out every case below a folder: manifests, what happens to them, and the answer they must lead to. The format is
/// described in docs/local.md.
#[derive(Args, Debug)]
pub(crate) struct TestArgs {
    /// Folders with cases
    #[arg(value_name = "DIR", required = true)]
    dirs: Vec<PathBuf>,
    /// Write the answers that come out as those that are expected (also MCSDNS_UPDATE=1)
    #[arg(long)]
    update: bool,
    /// Only cases whose name contains this
    #[arg(long, value_name = "TEXT", default_value = "")]
    only: String,
    /// Form of the output
    #[arg(short, long, value_enum, default_value = "table")]
    output: Output,
    #[command(flatten)]
    policy: PolicyArgs,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Line {
    name: String,
    path: PathBuf,
    description: String,
    passed: bool,
    failures: Vec<String>,
    updated: Vec<PathBuf>,
}

/// Carries out the cases.
pub(crate) fn run(args: &TestArgs, out: &mut Out) -> anyhow::Result<Verdict> {
    let policy = folder::policy(&args.policy)?;
    let mode = if args.update { Mode::Update } else { Mode::from_env() };
    let mut lines = Vec::new();
    for dir in &args.dirs {
        for path in cases::discover(dir).map_err(wrong)? {
            let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            if !name.contains(&args.only) {
                continue;
            }
            let line = match cases::run(&path, &policy.reference, &*policy.decider, mode) {
                Ok(outcome) => Line {
                    name,
                    path,
                    passed: outcome.passed(),
                    description: outcome.description,
                    failures: outcome.failures,
                    updated: outcome.updated,
                },
                Err(error) => Line {
                    name,
                    path,
                    description: String::new(),
                    passed: false,
                    failures: vec![error.to_string()],
                    updated: Vec::new(),
                },
            };
            if args.output == Output::Table {
                print(&line, out)?;
            }
            lines.push(line);
        }
    }
    let failed = lines.iter().filter(|line| !line.passed).count();
    if !out.data(args.output, &lines)? {
        let updated: usize = lines.iter().map(|line| line.updated.len()).sum();
        let written = if updated > 0 { format!(", {updated} expected answers written") } else { String::new() };
        out.line(format!("{} cases, {failed} failed{written}", lines.len()))?;
    }
    if lines.is_empty() {
        return Err(wrong(anyhow::anyhow!("there are no cases there")));
    }
    Ok(Verdict::good_if(failed == 0))
}

fn print(line: &Line, out: &mut Out) -> anyhow::Result<()> {
    let (style, word) = match (line.passed, line.updated.is_empty()) {
        (false, _) => (Style::Bad, "FAILED"),
        (true, false) => (Style::Warn, "written"),
        (true, true) => (Style::Good, "ok"),
    };
    let word = out.paint.style(style, word);
    out.line(format!("{word}  {}  {}", line.name, out.paint.style(Style::Dim, line.description.trim())))?;
    for failure in &line.failures {
        for text in failure.lines() {
            let style = match text.get(..1) {
                Some("+") => Some(Style::Good),
                Some("-") => Some(Style::Bad),
                _ => None,
            };
            out.line(format!("    {}", style.map_or_else(|| text.to_owned(), |style| out.paint.style(style, text))))?;
        }
    }
    Ok(())
}
