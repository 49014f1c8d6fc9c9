//! `mcsdns policy inspect`.

use std::path::PathBuf;

use clap::Args;
use mcsdns_core::decision::Needs;
use mcsdns_harness::{
    inspect::{Facts, Inspection, inspect},
    workbench::Workbench,
};
use mcsdns_policy::{Aspect, Configured, LogLevel};

use super::{bytes, bytes_of, candidate, config, grouped, micros};
use crate::{
    args::Output,
    exit::Verdict,
    print::{Out, Style, Table, plain},
};

/// Tells what a component is: sizes, interface, imports, what it says of itself, what it may use, and whether a controller
/// would take it. The exit code is 1 when it would be refused.
#[derive(Args, Debug)]
pub(crate) struct InspectArgs {
    /// A component (also compressed), a ConfigMap manifest with one, or `box` for the policy in the box
    #[arg(value_name = "FILE")]
    policy: PathBuf,
    /// The configuration to load it with, YAML or JSON [default: that of the ConfigMap]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Print the schema of its configuration and nothing else
    #[arg(long)]
    schema: bool,
    /// Form of the output
    #[arg(short, long, value_enum, default_value = "table")]
    output: Output,
}

/// Inspects.
pub(super) fn run(args: &InspectArgs, out: &mut Out) -> anyhow::Result<Verdict> {
    let mut candidate = candidate(&args.policy)?;
    if let Some(config) = config(args.config.as_deref())? {
        candidate.config = Some(config);
    }
    let inspection = inspect(&Workbench::new()?, &candidate);
    if args.schema {
        let schema = inspection.policy.as_ref().and_then(|policy| policy.description.config_schema.as_deref());
        out.line(schema.unwrap_or("null"))?;
    } else if !out.data(args.output, &inspection)? {
        print(&inspection, out)?;
    }
    Ok(Verdict::good_if(inspection.refused.is_none()))
}

fn print(inspection: &Inspection, out: &mut Out) -> anyhow::Result<()> {
    let paint = out.paint;
    let title = inspection.policy.as_ref().map_or_else(
        || "(not accepted)".to_owned(),
        |policy| format!("{} {}", policy.description.name, policy.description.version),
    );
    out.line(format!("{} {title}", paint.style(Style::Title, "Policy")))?;
    let packed = |size: Option<usize>| size.map_or_else(|| "too large for a ConfigMap".to_owned(), bytes_of);
    let sizes = inspection.sizes;
    let list = |items: &[String]| if items.is_empty() { "nothing".to_owned() } else { items.join(", ") };
    let mut table = Table::default();
    let mut row = |what: &str, text: String| table.row([(Some(Style::Dim), what.to_owned()), (None, text)]);
    row("from", inspection.origin.clone());
    if let Some(name) = &inspection.config_map {
        row("ConfigMap", name.clone());
    }
    row("sha256", inspection.digest.to_string());
    row("size", format!("{}, gzip {}, zstd {}", bytes_of(sizes.raw), packed(sizes.gzip), packed(sizes.zstd)));
    row(
        "interface",
        format!("{} (this program runs {})", inspection.interface.as_deref().unwrap_or("none"), inspection.supported),
    );
    row("imports", list(&inspection.imports));
    row("exports", list(&inspection.exports));
    if let Some(policy) = &inspection.policy {
        facts(policy, &mut row);
    }
    let budget = &inspection.budget;
    row(
        "budget",
        format!(
            "fuel {}, {} of memory, {} of answer, {} ms, {} names, {} targets",
            grouped(budget.fuel),
            bytes(budget.memory_bytes.into()),
            bytes(budget.output_bytes.into()),
            budget.wall_millis,
            budget.names,
            budget.targets
        ),
    );
    out.text(&table.render(paint, 2))?;
    if let Some(schema) = inspection.policy.as_ref().and_then(|policy| policy.description.config_schema.as_deref()) {
        out.line(format!("\n{}", paint.style(Style::Title, "Configuration")))?;
        let schema: serde_json::Value = serde_json::from_str(schema)?;
        for line in serde_json::to_string_pretty(&schema)?.lines() {
            out.line(format!("  {}", plain(line)))?;
        }
    }
    for line in inspection.policy.iter().flat_map(|policy| &policy.log) {
        let style = if line.level == LogLevel::Warn { Style::Warn } else { Style::Dim };
        out.line(paint.style(style, &format!("it said: {}", plain(&line.message))))?;
    }
    for note in &inspection.notes {
        out.line(format!("{} {}", paint.style(Style::Warn, "note:"), plain(note)))?;
    }
    match &inspection.refused {
        None => out.line(paint.style(Style::Good, "A controller would accept it."))?,
        Some(refused) => {
            let text = format!("A controller would refuse it ({}): {}", refused.reason, refused.message);
            for line in text.lines() {
                out.line(paint.style(Style::Bad, &plain(line)))?;
            }
        }
    }
    Ok(())
}

fn facts(policy: &Facts, row: &mut impl FnMut(&str, String)) {
    let description = &policy.description;
    row("aspects", description.aspects.iter().map(|aspect: &Aspect| aspect.as_str()).collect::<Vec<_>>().join(", "));
    row("needs", needs(&description.needs, description.fqdns));
    let configured = match &policy.configured {
        Configured::Not => "takes none",
        Configured::EveryTime { .. } => "for every decision",
        _ => "once; every decision starts from there",
    };
    row("configured", configured.to_owned());
    let anatomy = &policy.anatomy;
    row(
        "parts",
        format!(
            "{} core modules, {} functions, {} of code, {} of data, {} of memory at the start",
            anatomy.modules,
            anatomy.functions,
            bytes_of(anatomy.code_bytes),
            bytes_of(anatomy.data_bytes),
            bytes(anatomy.memory_bytes)
        ),
    );
    row(
        "loaded in",
        format!("{}, of which the compiler took {}", micros(policy.load_micros), micros(policy.compile_micros)),
    );
}

/// What it wants to be told, in words.
fn needs(needs: &Needs, fqdns: bool) -> String {
    let mut words: Vec<String> = [
        (needs.addresses, "addresses"),
        (needs.cluster_names, "names of clusters"),
        (fqdns, "the names in the selection"),
        (needs.ready_endpoints, "numbers of ready endpoints"),
        (needs.state_age, "ages of states"),
    ]
    .into_iter()
    .filter(|(needed, _)| *needed)
    .map(|(_, word)| word.to_owned())
    .collect();
    if !needs.cluster_labels.is_empty() {
        words.push(format!("labels of clusters ({})", needs.cluster_labels.join(", ")));
    }
    if !needs.annotations.is_empty() {
        words.push(format!("annotations of records ({})", needs.annotations.join(", ")));
    }
    if words.is_empty() { "the minimum".to_owned() } else { words.join(", ") }
}
