//! `mcsdns policy bench`.

use std::{path::PathBuf, time::Duration};

use clap::Args;
use mcsdns_harness::{
    bench::{Measured, SIZES, measure},
    workbench::{Candidate, Loaded, Workbench},
};
use serde::Serialize;

use super::{budget, bytes, candidate, config, grouped, load, micros, project::Project};
use crate::{
    args::Output,
    duration,
    exit::{Verdict, wrong},
    print::{Out, Style, Table},
};

/// Measures decisions on made-up fleets, each with a fresh instance as in the controller, beside the policy in the box.
/// Fuel and memory are the same on every machine; times are those of this one.
#[derive(Args, Debug)]
pub(crate) struct BenchArgs {
    /// A component or ConfigMap, or the folder of a project [default: the project here]
    #[arg(value_name = "FILE|DIR", default_value = ".")]
    policy: PathBuf,
    /// Its configuration, YAML or JSON
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// What it may use instead of the usual, for example `--budget fuel=100000000`; repeatable
    #[arg(long, value_name = "LIMIT=N")]
    budget: Vec<String>,
    /// Numbers of clusters
    #[arg(long, value_name = "N,...", value_delimiter = ',', default_values_t = SIZES, value_parser = clap::value_parser!(u32).range(0..=10_000))]
    sizes: Vec<u32>,
    /// Time for each measurement
    #[arg(long, value_name = "TIME", default_value = "500ms", value_parser = duration::parse)]
    time: Duration,
    /// Form of the output
    #[arg(short, long, value_enum, default_value = "table")]
    output: Output,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Row {
    title: String,
    digest: String,
    compile_micros: u64,
    load_micros: u64,
    sizes: Vec<Measured>,
    /// Why there are no more sizes.
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
}

/// Measures.
pub(super) fn run(args: &BenchArgs, out: &mut Out) -> anyhow::Result<Verdict> {
    let path = match Project::find(&args.policy)? {
        Some(project) => project.build(None, false)?,
        None if args.policy.is_dir() => {
            let dir = args.policy.display();
            return Err(wrong(anyhow::anyhow!("{dir}: there is no project; name a component, for example FILE.wasm")));
        }
        None => args.policy.clone(),
    };
    let mut own = candidate(&path)?;
    if let Some(config) = config(args.config.as_deref())? {
        own.config = Some(config);
    }
    if let Some(budget) = budget(&args.budget)? {
        own.budget = budget;
    }
    let workbench = Workbench::new()?;
    let own = load(&workbench, &own)?;
    let boxed = load(&workbench, &Candidate::boxed())?;
    let mut rows = vec![row(&own, args)];
    if own.policy.digest() != boxed.policy.digest() {
        rows.push(row(&boxed, args));
    }
    if !out.data(args.output, &rows)? {
        print(&rows, args, out)?;
    }
    match rows.into_iter().find_map(|row| row.problem) {
        Some(problem) => Err(wrong(anyhow::anyhow!(problem))),
        None => Ok(Verdict::Good),
    }
}

fn print(rows: &[Row], args: &BenchArgs, out: &mut Out) -> anyhow::Result<()> {
    let mut table = Table::new(&["POLICY", "CLUSTERS", "MEDIAN", "P99", "START", "FUEL", "MEMORY", "NAMES", "ANSWER"]);
    for (index, size) in args.sizes.iter().enumerate() {
        for (number, row) in rows.iter().enumerate() {
            let Some(measured) = row.sizes.get(index) else { continue };
            let style = (number > 0).then_some(Style::Dim);
            table.row(
                [
                    row.title.clone(),
                    size.to_string(),
                    micros(measured.median_micros.into()),
                    micros(measured.p99_micros.into()),
                    micros(measured.start_micros.into()),
                    grouped(measured.fuel),
                    bytes(measured.memory_bytes),
                    measured.names.to_string(),
                    bytes(measured.answer_bytes),
                ]
                .map(|text| (style, text)),
            );
        }
    }
    out.text(&table.render(out.paint, 0))?;
    for row in rows {
        let text =
            format!("{}: compiled in {}, loaded in {}", row.title, micros(row.compile_micros), micros(row.load_micros));
        out.line(out.paint.style(Style::Dim, &text))?;
    }
    Ok(())
}

/// Measures size by size; what fails at one would fail at the next.
fn row(loaded: &Loaded, args: &BenchArgs) -> Row {
    let title = loaded.policy.title();
    let mut sizes = Vec::new();
    let mut problem = None;
    for clusters in &args.sizes {
        match measure(&loaded.set, *clusters, args.time) {
            Ok(measured) => sizes.push(measured),
            Err(error) => {
                problem = Some(format!("{title}: about {clusters} clusters there is no decision: {error}"));
                break;
            }
        }
    }
    Row {
        title,
        digest: loaded.policy.digest().to_string(),
        compile_micros: loaded.policy.compile_micros(),
        load_micros: loaded.policy.load_micros(),
        sizes,
        problem,
    }
}
