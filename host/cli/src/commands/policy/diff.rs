//! `mcsdns policy diff`.

use std::path::{Path, PathBuf};

use clap::Args;
use jiff::Timestamp;
use mcsdns_harness::{
    difference::{Difference, Kind, keep_domains, published_by, what_if},
    workbench::Workbench,
};
use mcsdns_local::{
    fleet::Fleet,
    limits::Limits,
    world::{World, WorldOptions},
};
use mcsdns_runtime::HostTable;

use super::{bytes, candidate, config, grouped, load, micros};
use crate::{
    args::{Colour, Output, PublishArgs},
    commands::{
        folder::{any_errors, complain, hosts, pilot_options},
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
    /// The policy to compare with: a component, a ConfigMap manifest with one, or `box` for the policy in the box
    /// [default: what is published in the cluster; in a folder, what its Domains lead to]
    #[arg(long, value_name = "FILE", help_heading = "Policies")]
    old: Option<PathBuf>,
    /// Its configuration, YAML or JSON
    #[arg(long, value_name = "FILE", requires = "old", help_heading = "Policies")]
    old_config: Option<PathBuf>,
    /// The policy that would decide
    #[arg(long, value_name = "FILE", help_heading = "Policies")]
    new: PathBuf,
    /// Its configuration, YAML or JSON
    #[arg(long, value_name = "FILE", help_heading = "Policies")]
    new_config: Option<PathBuf>,
    /// Only the records of these Domains
    #[arg(long = "domain", value_name = "NAME,...", value_delimiter = ',', help_heading = "Policies")]
    domains: Vec<String>,
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
    let read = |path: &Path, own: &Option<PathBuf>| {
        let mut candidate = candidate(path)?;
        if let Some(config) = config(own.as_deref())? {
            candidate.config = Some(config);
        }
        load(&workbench, &candidate)
    };
    let old = args.old.as_deref().map(|path| read(path, &args.old_config)).transpose()?;
    let new = read(&args.new, &args.new_config)?;
    let now = args.now.unwrap_or_else(Timestamp::now);
    let (mut fleet, table, readable) = fleet(args, now, colour)?;
    if let Some(unknown) = args.domains.iter().find(|name| !fleet.domains.contains_key(name.as_str())) {
        return Err(wrong(anyhow::anyhow!("there is no Domain {unknown}")));
    }
    if !args.domains.is_empty() {
        keep_domains(&mut fleet, &args.domains);
    }
    let options = WorldOptions { now, settings: args.publish.settings(), hosts: table, group: args.publish.group() };
    let (fleet, before) = match &old {
        Some(old) => (published_by(fleet, &old.set, options.clone())?, old.policy.title()),
        None if args.dir.is_some() => {
            (as_domains_say(fleet, options.clone())?, "the policies of the Domains".to_owned())
        }
        None => (fleet, "what is published".to_owned()),
    };
    let difference = what_if(fleet, &new.set, options)?;
    if !out.data(args.output, &difference)? {
        print(&difference, &before, &new.policy.title(), out)?;
    }
    Ok(Verdict::good_if(readable && difference.is_empty()))
}

/// What `render` would print: the ConfigMaps that Domains name, and the policy in the box.
fn as_domains_say(fleet: Fleet, options: WorldOptions) -> anyhow::Result<Fleet> {
    let policy = mcsdns_local::policy::load(None, None).map_err(wrong)?;
    let pilot = policy.pilot(pilot_options(&options.settings)).map_err(wrong)?;
    let (world, _) = World::with_pilot(fleet, policy.reference.clone(), &*policy.decider, options, Some(pilot))?;
    Ok(world.into_fleet())
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
