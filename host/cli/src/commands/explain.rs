//! `mcsdns explain`.

use std::path::PathBuf;

use clap::Args;
use mcsdns_controller::live::Live;
use mcsdns_core::{decision::ClusterState, explain::Explanation, ids::ObjectKey};

use super::{
    block_on, bundle,
    folder::{any_errors, rendered},
    live::{LiveArgs, classify},
};
use crate::{
    args::{Colour, FolderArgs, Output},
    exit::{Verdict, wrong},
    logging,
    print::{Out, Style, Table, plain},
};

/// Tells, name by name and cluster by cluster, what stands behind a record and why, what was refused by which rule, and
/// what to do. Without -f it reads from a cluster, with your own rights, and changes nothing.
#[derive(Args, Debug)]
pub(crate) struct ExplainArgs {
    /// The record: NAMESPACE/NAME
    #[arg(value_name = "NAMESPACE/NAME", value_parser = record)]
    record: ObjectKey,
    /// A folder of manifests: DIR/host/*.yaml and DIR/clusters/NAME/*.yaml
    #[arg(short = 'f', long = "folder", value_name = "DIR")]
    dir: Option<PathBuf>,
    #[command(flatten)]
    cluster: LiveArgs,
    /// Also write the decision to a file, for `mcsdns policy replay`; of a cluster it is worked out anew from what statuses
    /// say
    #[arg(long, value_name = "FILE")]
    bundle: Option<PathBuf>,
    /// Form of the output
    #[arg(short, long, value_enum, default_value = "table")]
    output: Output,
    #[command(flatten)]
    folder: FolderArgs,
}

fn record(text: &str) -> Result<ObjectKey, String> {
    match text.split_once('/') {
        Some((namespace, name)) if !namespace.is_empty() && !name.is_empty() && !name.contains('/') => {
            Ok(ObjectKey::new(namespace, name))
        }
        _ => Err(format!("`{text}` is not NAMESPACE/NAME")),
    }
}

/// Explains.
pub(crate) fn run(args: &ExplainArgs, out: &mut Out, colour: Colour) -> anyhow::Result<Verdict> {
    let (explanation, readable) = match &args.dir {
        Some(dir) => {
            let rendered = rendered(dir, &args.folder, colour)?;
            let wanted = args.record.to_string();
            let known: Vec<String> = rendered.explanations.iter().map(|e| e.record.clone()).collect();
            let found = rendered.explanations.into_iter().find(|explanation| explanation.record == wanted);
            let Some(explanation) = found else {
                let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
                return Err(wrong(anyhow::anyhow!(
                    "{}: there is no ServiceDNSRecord {wanted}; there are: {known}",
                    dir.display()
                )));
            };
            (explanation, !any_errors(&rendered.problems))
        }
        None => (live(args)?, true),
    };
    if let Some(file) = &args.bundle {
        bundle::write(&args.record, args.dir.as_deref(), &args.cluster, &args.folder, file)?;
    }
    if !out.data(args.output, &explanation)? {
        print(&explanation, out)?;
    }
    Ok(Verdict::good_if(readable && explanation.advice.is_empty()))
}

fn live(args: &ExplainArgs) -> anyhow::Result<Explanation> {
    logging::quiet();
    let options = args.cluster.options(args.folder.publish.group());
    block_on(async move {
        let live = Live::connect(&options).await.map_err(classify)?;
        Ok(live.read(&args.record).await.map_err(classify)?.explain())
    })
}

/// The explanation for people.
pub(crate) fn print(explanation: &Explanation, out: &mut Out) -> anyhow::Result<()> {
    let paint = out.paint;
    let title = |text: &str| paint.style(Style::Title, text);
    out.line(format!("{} {}", title("ServiceDNSRecord"), explanation.record))?;
    let unknown = "(not known)";
    let domain_ref = explanation.domain_ref.as_deref().unwrap_or(unknown);
    out.line(format!("  Domain  {domain_ref} ({})", explanation.domain.as_deref().unwrap_or("zone not known")))?;
    out.line(format!("  Policy  {}", explanation.policy.as_deref().unwrap_or("(not asked)")))?;

    if !explanation.conditions.is_empty() {
        let mut conditions = Table::default();
        for condition in &explanation.conditions {
            let good = (&*condition.kind == "Degraded") == (condition.status == "False");
            conditions.row([
                (None, condition.kind.to_string()),
                (
                    Some(if good { Style::Good } else { Style::Warn }),
                    format!("{} {}", condition.status, condition.reason),
                ),
                (None, condition.message.to_string()),
            ]);
        }
        out.line(format!("\n{}", title("Conditions")))?;
        out.text(&conditions.render(paint, 2))?;
    }

    out.line(format!("\n{}", title("Clusters")))?;
    if explanation.clusters.is_empty() {
        out.line("  none")?;
    } else {
        out.text(&clusters(explanation).render(paint, 2))?;
    }

    out.line(format!("\n{}", title("Names")))?;
    if explanation.names.is_empty() {
        out.line("  none")?;
    }
    for name in &explanation.names {
        let place = if name.place.is_empty() { String::new() } else { format!("  ({})", name.place) };
        out.line(format!("  {}{}", name.name, paint.style(Style::Dim, &place)))?;
        let style = if name.answer == "nothing" { Style::Warn } else { Style::Good };
        let ttl = name.ttl.map_or_else(String::new, |ttl| format!("  TTL {ttl}"));
        out.line(format!("    {}{}", paint.style(style, &name.answer), paint.style(Style::Dim, &ttl)))?;
        if !name.because.is_empty() {
            out.line(format!("    because {}", plain(&name.because)))?;
        }
        for (reason, message) in &name.refused {
            out.line(format!("    {} {}", paint.style(Style::Bad, &format!("refused ({reason}):")), plain(message)))?;
        }
    }

    out.line(format!("\n{}", title("What to do")))?;
    if explanation.advice.is_empty() {
        out.line(format!("  {}", paint.style(Style::Good, "nothing, all is well")))?;
    }
    for advice in &explanation.advice {
        out.line(format!("  - {}", plain(advice)))?;
    }
    Ok(())
}

fn clusters(explanation: &Explanation) -> Table {
    let mut table = Table::new(&["NAME", "REGION", "ZONES", "STATE", "KNOWN", "ADDRESSES", "WHY"]);
    for cluster in &explanation.clusters {
        let (style, state) = match cluster.state {
            ClusterState::Serving => (Style::Good, "serving"),
            ClusterState::NoReadyEndpoints => (Style::Warn, "no-ready-endpoints"),
            ClusterState::NoAddress => (Style::Warn, "no-address"),
            ClusterState::NoService => (Style::Dim, "no-service"),
            ClusterState::Unreachable => (Style::Bad, "unreachable"),
        };
        let since = cluster.since.as_ref().map_or_else(String::new, |since| format!(" since {since}"));
        let addresses: Vec<String> = cluster.addresses.iter().map(ToString::to_string).collect();
        table.row([
            (None, cluster.name.to_string()),
            (None, cluster.region.as_deref().unwrap_or("-").to_owned()),
            (None, if cluster.zones.is_empty() { "-".to_owned() } else { cluster.zones.join(", ") }),
            (Some(style), format!("{state}{since}")),
            (None, cluster.source.to_owned()),
            (None, if addresses.is_empty() { "-".to_owned() } else { addresses.join(", ") }),
            (None, cluster.because.clone()),
        ]);
    }
    table
}
