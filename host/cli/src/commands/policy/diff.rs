//! `mcsdns policy diff`.

use std::path::{Path, PathBuf};

use clap::Args;
use jiff::Timestamp;
use mcsdns_harness::{
    compose::{Composed, Part, compose},
    difference::{Difference, Kind, keep_domains, published_by, what_if},
    workbench::Workbench,
};
use mcsdns_local::{
    fleet::Fleet,
    limits::Limits,
    world::{World, WorldOptions},
};
use mcsdns_policy::Aspect;
use mcsdns_runtime::HostTable;

use super::{bytes, candidate, config, grouped, micros};
use crate::{
    args::{Colour, Output, PublishArgs},
    commands::{
        folder::{any_errors, complain, hosts, pilot_options},
        live::{self, LiveArgs},
    },
    exit::{Verdict, wrong},
    print::{Out, Paint, Style, Table, plain},
};

/// Tells, name by name, what would change if one policy took the place of another: on a folder of manifests, or on what a
/// cluster knows of its records, which is read with your own rights and not changed. The exit code is 1 when something
/// would change, as that of diff(1).
#[derive(Args, Debug)]
pub(crate) struct DiffArgs {
    /// A folder of manifests: DIR/host/*.yaml and DIR/clusters/NAME/*.yaml [default: a cluster]
    #[arg(short = 'f', long = "folder", value_name = "DIR")]
    dir: Option<PathBuf>,
    /// The policies to compare with, as for --new [default: what is published in the cluster; in a folder, what its Domains
    /// lead to]
    #[arg(long, value_name = "[ASPECT,...=]FILE", value_parser = given, help_heading = "Policies")]
    old: Vec<Given>,
    /// Its configuration, YAML or JSON (with one --old)
    #[arg(long, value_name = "FILE", requires = "old", help_heading = "Policies")]
    old_config: Option<PathBuf>,
    /// The policy that would decide: a component, a ConfigMap manifest with one, or `box` for the policy in the box; more
    /// than one where aspects come from different policies, with the aspects in front where both answer them
    #[arg(
        long,
        value_name = "[ASPECT,...=]FILE",
        required = true,
        value_parser = given,
        help_heading = "Policies"
    )]
    new: Vec<Given>,
    /// Its configuration, YAML or JSON (with one --new)
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

/// A policy on the command line, and what it is to decide.
#[derive(Clone, Debug)]
struct Given {
    aspects: Vec<Aspect>,
    file: PathBuf,
}

/// `FILE`, `ttl=FILE` or `naming,ttl=FILE`; a file may have a `=` in its name.
fn given(text: &str) -> Result<Given, String> {
    let aspect = |word: &str| Aspect::ALL.into_iter().find(|aspect| aspect.as_str() == word);
    let named = text.split_once('=').and_then(|(words, file)| {
        let aspects: Option<Vec<Aspect>> = words.split(',').map(aspect).collect();
        Some(Given { aspects: aspects?, file: file.into() })
    });
    let given = named.unwrap_or_else(|| Given { aspects: Vec::new(), file: text.into() });
    if given.file.as_os_str().is_empty() { Err("the name of the file is missing".to_owned()) } else { Ok(given) }
}

/// Loads what was given.
fn composed(workbench: &Workbench, given: &[Given], own_config: Option<&Path>) -> anyhow::Result<Composed> {
    let own_config = config(own_config)?;
    if own_config.is_some() && given.len() > 1 {
        return Err(wrong(anyhow::anyhow!(
            "one configuration cannot be for {} policies; pack each with its own (`mcsdns policy pack --config`)",
            given.len()
        )));
    }
    let part = |given: &Given| -> anyhow::Result<Part> {
        let mut candidate = candidate(&given.file)?;
        if let Some(config) = &own_config {
            candidate.config = Some(config.clone());
        }
        Ok(Part { candidate, aspects: given.aspects.clone() })
    };
    let parts: Vec<Part> = given.iter().map(part).collect::<anyhow::Result<_>>()?;
    compose(workbench, &parts).map_err(wrong)
}

/// What the Domains take from ConfigMaps and the policies that were given leave to the box.
fn left_open(fleet: &Fleet, borrowed: &[Aspect]) -> Vec<String> {
    let mut words = Vec::new();
    for (name, domain) in &fleet.domains {
        let Ok(spec) = &domain.spec else { continue };
        for aspect in borrowed {
            let map = match aspect {
                Aspect::Naming => &spec.policies.naming,
                Aspect::Selection => &spec.policies.selection,
                Aspect::Ttl => &spec.policies.ttl,
            };
            if let Some(map) = map {
                words.push(format!(
                    "Domain {name} has its {aspect} from ConfigMap {map}, but here the policy in the box answers it; give that one with --new, too"
                ));
            }
        }
    }
    words
}

/// Compares.
pub(super) fn run(args: &DiffArgs, out: &mut Out, colour: Colour) -> anyhow::Result<Verdict> {
    let workbench = Workbench::new()?;
    let old = match args.old.as_slice() {
        [] => None,
        given => Some(composed(&workbench, given, args.old_config.as_deref())?),
    };
    let new = composed(&workbench, &args.new, args.new_config.as_deref())?;
    let now = args.now.unwrap_or_else(Timestamp::now);
    let (mut fleet, table, readable) = fleet(args, now, colour)?;
    if let Some(unknown) = args.domains.iter().find(|name| !fleet.domains.contains_key(name.as_str())) {
        return Err(wrong(anyhow::anyhow!("there is no Domain {unknown}")));
    }
    if !args.domains.is_empty() {
        keep_domains(&mut fleet, &args.domains);
    }
    for open in left_open(&fleet, &new.borrowed) {
        eprintln!("{} {}", Paint::stderr(colour).style(Style::Warn, "note:"), plain(&open));
    }
    let title = |composed: &Composed| composed.set.policy_ref().title.to_string();
    let options = WorldOptions { now, settings: args.publish.settings(), hosts: table, group: args.publish.group() };
    let (fleet, before) = match &old {
        Some(old) => (published_by(fleet, &old.set, options.clone())?, title(old)),
        None if args.dir.is_some() => {
            (as_domains_say(fleet, options.clone())?, "the policies of the Domains".to_owned())
        }
        None => (fleet, "what is published".to_owned()),
    };
    let difference = what_if(fleet, &new.set, options)?;
    if !out.data(args.output, &difference)? {
        print(&difference, &before, &title(&new), out)?;
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
