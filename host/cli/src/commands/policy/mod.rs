//! `mcsdns policy`: one file per subcommand.

mod bench;
mod build;
mod diff;
mod inspect;
mod interface;
mod new;
mod pack;
mod project;
mod replay;
mod test;

use std::path::Path;

use clap::Subcommand;
use mcsdns_harness::workbench::{Candidate, Loaded, Workbench};
use mcsdns_policy::Budget;

use crate::{
    args::Colour,
    exit::{Verdict, wrong},
    print::Out,
};

/// What to do with policies.
#[derive(Debug, Subcommand)]
pub(crate) enum PolicyCommand {
    /// Make a project that builds and passes its tests
    New(new::NewArgs),
    /// Build a component from a project
    Build(build::BuildArgs),
    /// Carry out the cases of a policy, and what every policy must pass
    Test(Box<test::TestArgs>),
    /// Measure decisions, beside the policy in the box
    Bench(bench::BenchArgs),
    /// Tell what a component is, and why it would be refused
    Inspect(inspect::InspectArgs),
    /// Make a ConfigMap of a component
    Pack(pack::PackArgs),
    /// Tell what would change in the published names
    Diff(Box<diff::DiffArgs>),
    /// Make a decision again that `explain --bundle` wrote down
    Replay(replay::ReplayArgs),
    /// Print the policy interface
    Interface(interface::InterfaceArgs),
}

/// Does what was asked for.
pub(crate) fn run(command: PolicyCommand, out: &mut Out, colour: Colour) -> anyhow::Result<Verdict> {
    match command {
        PolicyCommand::New(args) => new::run(&args, out),
        PolicyCommand::Build(args) => build::run(&args, out),
        PolicyCommand::Test(args) => test::run(&args, out),
        PolicyCommand::Bench(args) => bench::run(&args, out),
        PolicyCommand::Inspect(args) => inspect::run(&args, out),
        PolicyCommand::Pack(args) => pack::run(&args, out),
        PolicyCommand::Diff(args) => diff::run(&args, out, colour),
        PolicyCommand::Replay(args) => replay::run(&args, out),
        PolicyCommand::Interface(args) => interface::run(&args, out),
    }
}

/// What stands for the policy in the box where a file is expected.
const BOXED: &str = "box";

/// The policy in a file, or the one in the box.
fn candidate(path: &Path) -> anyhow::Result<Candidate> {
    if path == Path::new(BOXED) {
        return Ok(Candidate::boxed());
    }
    Candidate::read(path).map_err(wrong)
}

/// A configuration from a file.
fn config(path: Option<&Path>) -> anyhow::Result<Option<String>> {
    path.map(|path| {
        std::fs::read_to_string(path).map_err(|error| wrong(anyhow::anyhow!("{}: {error}", path.display())))
    })
    .transpose()
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

/// Loads a policy; a refusal is an error of the call.
fn load(workbench: &Workbench, candidate: &Candidate) -> anyhow::Result<Loaded> {
    workbench.load(candidate).map_err(|error| {
        wrong(anyhow::anyhow!(
            "{}: refused ({}): {error}; `mcsdns policy inspect` tells more",
            candidate.origin,
            error.reason()
        ))
    })
}

/// A number of bytes for people.
fn bytes(count: u64) -> String {
    match count {
        0..1024 => format!("{count} B"),
        1024..1_048_576 => format!("{:.1} KiB", count as f64 / 1024.0),
        _ => format!("{:.1} MiB", count as f64 / 1_048_576.0),
    }
}

/// A number of bytes for people.
fn bytes_of(count: usize) -> String {
    bytes(u64::try_from(count).unwrap_or(u64::MAX))
}

/// A large number for people: digits in groups of three.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}

/// Microseconds for people.
fn micros(count: u64) -> String {
    if count < 10_000 { format!("{count} µs") } else { format!("{:.1} ms", count as f64 / 1000.0) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_for_people() {
        assert_eq!([bytes(5), bytes(2048), bytes(3 << 20)], ["5 B", "2.0 KiB", "3.0 MiB"]);
        assert_eq!([grouped(7), grouped(1234), grouped(50_000_000)], ["7", "1 234", "50 000 000"]);
        assert_eq!([micros(9999), micros(12_345)], ["9999 µs", "12.3 ms"]);
    }
}
