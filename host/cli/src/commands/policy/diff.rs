//! `mcsdns policy diff`.

use std::path::PathBuf;

use clap::Args;
use jiff::Timestamp;
use mcsdns_harness::{
    difference::{Difference, Kind, what_if},
    workbench::Workbench,
};
use mcsdns_local::{fleet::Fleet, limits::Limits, world::WorldOptions};
use mcsdns_runtime::HostTable;

use super::{bytes, candidate, config, grouped, load, micros};
use crate::{
    args::{Colour, Output, PublishArgs},
    commands::{
        folder::{any_errors, complain, hosts},
        live::{self, LiveArgs},
    },
    exit::{Verdict, wrong},
    print::{Out, Style, Table},
};

/// Tells, name by name, what would change if one policy took the place of another: on a folder of manifests, or on what a
/// cluster knows of its records, which is read with your own rights and not changed. The exit code is 1 when something
/// would change, as that of diff(1).
#[derive(Args, Debug)]
pub(crate) struct DiffArgs {
    /// A folder of manifests: DIR/host/*.yaml and DIR/clusters/NAME/*.yaml [default: a cluster]
    #[arg(short = 'f', long = "folder", value_name = "DIR")]
    dir: Option<PathBuf>,
    /// The policy that decides now: a component, a ConfigMap manifest with one, or `box` for the policy in the box
    #[arg(long, value_name = "FILE", default_value = "box", help_heading = "Policies")]
    old: PathBuf,
    /// Its configuration, YAML or JSON
    #[arg(long, value_name = "FILE", help_heading = "Policies")]
    old_config: Option<PathBuf>,
    /// The policy that would decide
    #[arg(long, value_name = "FILE", help_heading = "Policies")]
    new: PathBuf,
    /// Its configuration, YAML or JSON
    #[arg(long, value_name = "FILE", help_heading = "Policies")]
    new_config: Option<PathBuf>,
    /// Answers for host names of load balancers, in the manner of hosts(5): ADDRESS NAME ... (with -f)
    #[arg(long, value_name = "FILE")]
    hosts: Option<PathBuf>,
    /// The time to count from, for example 2026-01-02T03:04:05Z [default: now]
    #[arg(long, value_name = "TIME")]
    now: Option<Timestamp>,
    #[command(flatten)]
    live: LiveArgs,
    #[command(flatten)]
    publish: PublishArgs,
    /// Form of the output
    #[arg(short, long, value_enum, default_value = "table")]
    output: Output,
}

/// Compares.
pub(super) fn run(args: &DiffArgs, out: &mut Out, colour: Colour) -> anyhow::Result<Verdict> {
    let workbench = Workbench::new()?;
    let read = |path: &PathBuf, own: &Option<PathBuf>| {
        let mut candidate = candidate(path)?;
        if let Some(config) = config(own.as_deref())? {
            candidate.config = Some(config);
        }
        load(&workbench, &candidate)
    };
    let (old, new) = (read(&args.old, &args.old_config)?, read(&args.new, &args.new_config)?);
    let now = args.now.unwrap_or_else(Timestamp::now);
    let (fleet, table, readable) = fleet(args, now, colour)?;
    let options = WorldOptions { now, settings: args.publish.settings(), hosts: table, group: args.publish.group() };
    let difference = what_if(fleet, &old.set, &new.set, options)?;
    if !out.data(args.output, &difference)? {
        print(&difference, &old.policy.title(), &new.policy.title(), out)?;
    }
    Ok(Verdict::good_if(readable && difference.is_empty()))
}

fn fleet(args: &DiffArgs, now: Timestamp, colour: Colour) -> anyhow::Result<(Fleet, HostTable, bool)> {
    let Some(dir) = &args.dir else {
        let (fleet, hosts) = live::fleet(&args.live, args.publish.group(), now)?;
        return Ok((fleet, hosts, true));
    };
    if !dir.is_dir() {
        return Err(wrong(anyhow::anyhow!("{}: there is no such folder", dir.display())));
    }
    let fleet = Fleet::read(dir, &Limits::default(), now);
    complain(&fleet.problems, colour);
    let readable = !any_errors(&fleet.problems);
    Ok((fleet, hosts(args.hosts.as_deref())?, readable))
}

fn print(difference: &Difference, old: &str, new: &str, out: &mut Out) -> anyhow::Result<()> {
    let mut table = Table::new(&["", "NAME", "RECORD", "PUBLISHED NOW", "WOULD BE"]);
    for change in &difference.names {
        let (style, sign) = match change.kind {
            Kind::Added => (Style::Good, "+"),
            Kind::Removed => (Style::Bad, "-"),
            Kind::Changed => (Style::Warn, "~"),
        };
        let lines = change.before.len().max(change.after.len());
        for line in 0..lines {
            let first = |text: &str| if line == 0 { text.to_owned() } else { String::new() };
            let side = |side: &[String]| side.get(line).cloned().unwrap_or_default();
            table.row([
                (Some(style), first(sign)),
                (Some(style), first(&change.name)),
                (None, first(&change.record)),
                (None, side(&change.before)),
                (None, side(&change.after)),
            ]);
        }
    }
    if !table.is_empty() {
        out.text(&table.render(out.paint, 0))?;
        out.line("")?;
    }
    let mut troubles = Table::new(&["RECORD", "WOULD SAY", "WHY"]);
    for trouble in &difference.troubles {
        troubles.row([
            (None, trouble.record.clone()),
            (Some(Style::Warn), trouble.what.clone()),
            (None, trouble.message.clone()),
        ]);
    }
    if !troubles.is_empty() {
        out.text(&troubles.render(out.paint, 0))?;
        out.line("")?;
    }
    let Difference { added, removed, changed, unchanged, records, spending, .. } = difference;
    out.line(format!(
        "{old} -> {new}: {added} names added, {removed} removed, {changed} changed, {unchanged} unchanged, in {records} records"
    ))?;
    let total = removed + changed + unchanged;
    if *removed > 0 && total > 0 {
        let share = removed * 100 / total;
        out.line(
            out.paint.style(Style::Warn, &format!("{share} % of the names that are published now would be gone")),
        )?;
    }
    if spending.decisions > 0 {
        let text = format!(
            "most expensive decision of {new}: fuel {}, memory {}, {}",
            grouped(spending.fuel),
            bytes(spending.memory_bytes),
            micros(spending.micros)
        );
        out.line(out.paint.style(Style::Dim, &text))?;
    }
    Ok(())
}
