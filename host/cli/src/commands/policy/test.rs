//! `mcsdns policy test`.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Args;
use mcsdns_harness::{
    conformance::{ScenarioResult, Verdict as Ending},
    junit,
    spending::{Ceiling, Spending, shares},
    suite::{self, CaseResult, Config, ConformanceRun, EntryResult, Options, Progress, Sources},
    workbench::{Candidate, Workbench},
};
use mcsdns_local::cases::Mode;
use serde::Serialize;

use super::{bytes, bytes_of, candidate, config, grouped, micros, project::Project};
use crate::{
    args::Output,
    exit::{Verdict, wrong},
    print::{Out, Style, plain},
};

/// Carries out the cases of a policy (manifests, what happens to them, and the answer they must lead to) and the
/// conformance suite, which every policy must pass: the same question has the same answer, the order of clusters changes
/// nothing, no fleet is too small, too large or too odd, and every answer passes the guard rails. The layout of cases is
/// described in docs/policies.md.
#[derive(Args, Debug)]
pub(crate) struct TestArgs {
    /// A project (its cases are in DIR/cases), or a folder of cases
    #[arg(value_name = "DIR", default_value = ".")]
    dir: PathBuf,
    /// The policy: a component, a ConfigMap manifest with one, or `box` for the policy in the box [default: the project,
    /// or else the component in DIR, or else the policy in the box]
    #[arg(long, value_name = "FILE.wasm", help_heading = "Policy")]
    policy: Option<PathBuf>,
    /// Its configuration, YAML or JSON; without it, config.yaml beside the cases or in the project
    #[arg(long, alias = "policy-config", value_name = "FILE", help_heading = "Policy")]
    config: Option<PathBuf>,
    /// Test the component that was built last
    #[arg(long, conflicts_with = "policy", help_heading = "Policy")]
    no_build: bool,
    /// Write the answers that come out as those that are expected (also MCSDNS_UPDATE=1)
    #[arg(long)]
    update: bool,
    /// Only cases and scenarios whose name contains this
    #[arg(long, value_name = "TEXT", default_value = "")]
    only: String,
    /// Leave out the conformance suite
    #[arg(long)]
    no_conformance: bool,
    /// Fuel that no decision may exceed
    #[arg(long, value_name = "N", help_heading = "Ceilings")]
    max_fuel: Option<u64>,
    /// Bytes of memory that no decision may exceed
    #[arg(long, value_name = "BYTES", help_heading = "Ceilings")]
    max_memory: Option<u64>,
    /// Bytes that no answer may exceed
    #[arg(long, value_name = "BYTES", help_heading = "Ceilings")]
    max_answer: Option<u64>,
    /// Also write the results as JUnit XML
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// Say more: what is right, too
    #[arg(short, long)]
    verbose: bool,
    /// Form of the output
    #[arg(short, long, value_enum, default_value = "table")]
    output: Output,
}

#[derive(Serialize)]
struct Report {
    tests: usize,
    failed: usize,
    updated: usize,
    policies: Vec<EntryResult>,
}

/// Tests.
pub(super) fn run(args: &TestArgs, out: &mut Out) -> anyhow::Result<Verdict> {
    let (cases, sources) = subject(args)?;
    let entries = suite::find(&cases, &sources).map_err(wrong)?;
    let options = Options {
        mode: if args.update { Mode::Update } else { Mode::from_env() },
        only: args.only.clone(),
        conformance: !args.no_conformance,
        ceiling: Ceiling {
            max_fuel: args.max_fuel,
            max_memory_bytes: args.max_memory,
            max_answer_bytes: args.max_answer,
        },
    };
    let workbench = Workbench::new()?;
    let mut results = Vec::new();
    let mut trouble = None;
    for entry in &entries {
        let table = args.output == Output::Table;
        let mut tell = |progress: Progress<'_>| {
            if table && trouble.is_none() {
                trouble = print(&progress, args.verbose, out).err();
            }
        };
        let result = suite::run(&workbench, entry, &options, &mut tell);
        if let Some(error) = trouble.take() {
            return Err(error);
        }
        if table {
            cost(&result, out)?;
        }
        results.push(result);
    }
    let (tests, failed) =
        results.iter().map(EntryResult::counts).fold((0, 0), |sum, next| (sum.0 + next.0, sum.1 + next.1));
    let updated = results.iter().flat_map(|result| &result.cases).map(|case| case.updated.len()).sum();
    if let Some(path) = &args.junit {
        std::fs::write(path, junit::report(&suites(&results))).with_context(|| path.display().to_string())?;
    }
    let report = Report { tests, failed, updated, policies: results };
    if !out.data(args.output, &report)? {
        let written = if updated > 0 { format!(", {updated} expected answers written") } else { String::new() };
        let style = if failed > 0 { Style::Bad } else { Style::Good };
        out.line(out.paint.style(style, &format!("{tests} tests, {failed} failed{written}")))?;
    }
    if tests == 0 && failed == 0 {
        let what = if args.only.is_empty() { String::new() } else { format!(" whose name contains `{}`", args.only) };
        return Err(wrong(anyhow::anyhow!("{}: there are no cases{what}", cases.display())));
    }
    Ok(Verdict::good_if(failed == 0))
}

/// What is to be tested: the folder of cases, and the policy for them.
fn subject(args: &TestArgs) -> anyhow::Result<(PathBuf, Sources)> {
    if !args.dir.is_dir() {
        return Err(wrong(anyhow::anyhow!("{}: there is no such folder", args.dir.display())));
    }
    // The folder of cases of a project stands for the project.
    let (home, cases) = match project_of_cases(&args.dir) {
        Some(home) => (home, args.dir.clone()),
        None if args.dir.join("Cargo.toml").is_file() || is_cases(&args.dir.join("cases")) => {
            (args.dir.clone(), args.dir.join("cases"))
        }
        None => (args.dir.clone(), args.dir.clone()),
    };
    let candidate = match &args.policy {
        Some(path) => candidate(path)?,
        None => match Project::find(&home)? {
            Some(project) if args.no_build => built(&project)?,
            Some(project) => Candidate::read(&project.build(None, false)?)?,
            None => lying_about(&home)?,
        },
    };
    let given = config(args.config.as_deref())?.zip(args.config.as_ref());
    let config = match given {
        Some((text, path)) => Some(Config { origin: path.display().to_string(), text }),
        None => match &candidate.config {
            Some(text) => Some(Config { origin: candidate.origin.clone(), text: text.clone() }),
            None => project_config(&home)?,
        },
    };
    Ok((cases, Sources { candidate, config, config_wins: args.config.is_some() }))
}

/// The project whose folder of cases this is.
fn project_of_cases(dir: &Path) -> Option<PathBuf> {
    let dir = dir.canonicalize().ok()?;
    let home = dir.parent()?;
    (dir.file_name()? == "cases" && std::fs::read_to_string(home.join("Cargo.toml")).ok()?.contains("cdylib"))
        .then(|| home.to_owned())
}

/// Whether a folder named `cases` is one of cases rather than a case of that name.
fn is_cases(dir: &Path) -> bool {
    dir.is_dir() && !dir.join("expected.yaml").exists() && !dir.join("case.yaml").exists()
}

fn built(project: &Project) -> anyhow::Result<Candidate> {
    let path = project.component();
    if !path.is_file() {
        let path = path.display();
        return Err(wrong(anyhow::anyhow!("{path}: was not built yet; leave out --no-build")));
    }
    candidate(&path)
}

/// The component in a folder that is no project, or the policy in the box.
fn lying_about(dir: &Path) -> anyhow::Result<Candidate> {
    let entries = std::fs::read_dir(dir).with_context(|| dir.display().to_string())?;
    let mut found: Vec<PathBuf> = entries
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "wasm"))
        .collect();
    found.sort();
    match found.as_slice() {
        [] => Ok(Candidate::boxed()),
        [one] => candidate(one),
        [one, two, ..] => Err(wrong(anyhow::anyhow!(
            "there are several components, {} and {} among them; choose one with --policy FILE.wasm",
            one.display(),
            two.display()
        ))),
    }
}

fn project_config(dir: &Path) -> anyhow::Result<Option<Config>> {
    for name in ["config.yaml", "config.json"] {
        let path = dir.join(name);
        if path.is_file() {
            let text = config(Some(&path))?.unwrap_or_default();
            return Ok(Some(Config { origin: path.display().to_string(), text }));
        }
    }
    Ok(None)
}

fn print(progress: &Progress<'_>, verbose: bool, out: &mut Out) -> anyhow::Result<()> {
    match progress {
        Progress::Policy(result) => heading(result, out),
        Progress::Case(case) => print_case(case, out),
        Progress::Conformance(run) => print_conformance(run, verbose, out),
    }
}

fn heading(result: &EntryResult, out: &mut Out) -> anyhow::Result<()> {
    let title = out.paint.style(Style::Title, &plain(&result.name));
    let config = result.config.as_ref().map_or_else(String::new, |config| format!(" with {config}"));
    match &result.policy {
        Some(policy) => {
            let digest: String = policy.digest.to_string().chars().take(12).collect();
            let boxed: Vec<&str> = policy.from_the_box.iter().map(|aspect| aspect.as_str()).collect();
            let boxed =
                if boxed.is_empty() { String::new() } else { format!("; {} from the box", boxed.join(" and ")) };
            let text = format!("{} (sha256 {digest}…, {}){boxed}{config}", policy.title, bytes_of(policy.bytes));
            out.line(format!("{title}: {}", plain(&text)))?;
        }
        None => out.line(format!("{title}: {}{}", plain(&result.origin), plain(&config)))?,
    }
    match (&result.problem, &result.policy) {
        (Some(problem), _) => {
            out.line(format!("{}  {}", out.paint.style(Style::Bad, "FAILED"), plain(problem)))?;
        }
        (None, None) => out.line(format!("{}  refused, as it must be", out.paint.style(Style::Good, "ok")))?,
        (None, Some(_)) => {}
    }
    Ok(())
}

fn print_case(case: &CaseResult, out: &mut Out) -> anyhow::Result<()> {
    let (style, word) = match (case.passed, case.updated.is_empty()) {
        (false, _) => (Style::Bad, "FAILED"),
        (true, false) => (Style::Warn, "written"),
        (true, true) => (Style::Good, "ok"),
    };
    let word = out.paint.style(style, word);
    let cost = spent(&case.spending);
    let about = plain(case.description.trim());
    let about = if about.is_empty() { String::new() } else { format!("  {}", out.paint.style(Style::Dim, &about)) };
    out.line(format!("{word}  {}{about}{}", plain(&case.name), out.paint.style(Style::Dim, &cost)))?;
    for failure in &case.failures {
        block(failure, out)?;
    }
    Ok(())
}

fn spent(spending: &Spending) -> String {
    if spending.decisions == 0 {
        return String::new();
    }
    format!("  [fuel {}, {}, {}]", grouped(spending.fuel), bytes(spending.memory_bytes), micros(spending.micros))
}

fn print_conformance(run: &ConformanceRun, verbose: bool, out: &mut Out) -> anyhow::Result<()> {
    let scenarios = &run.result.scenarios;
    let count = |ending| scenarios.iter().filter(|scenario| scenario.verdict == ending).count();
    let config = run.config.as_ref().map_or_else(String::new, |config| format!(" with {config}"));
    let (style, word) = if run.result.passed() { (Style::Good, "ok") } else { (Style::Bad, "FAILED") };
    let refused = match count(Ending::Refused) {
        0 => String::new(),
        refused => format!(", {refused} refused by the policy"),
    };
    let text = format!(
        "conformance{}: {} of {} scenarios passed{refused}",
        plain(&config),
        count(Ending::Passed),
        scenarios.len()
    );
    out.line(format!(
        "{}  {text}{}",
        out.paint.style(style, word),
        out.paint.style(Style::Dim, &spent(&run.result.spending))
    ))?;
    for scenario in scenarios.iter().filter(|scenario| verbose || scenario.verdict == Ending::Failed) {
        print_scenario(scenario, out)?;
    }
    Ok(())
}

fn print_scenario(scenario: &ScenarioResult, out: &mut Out) -> anyhow::Result<()> {
    let (style, word) = match scenario.verdict {
        Ending::Passed => (Style::Good, "ok"),
        Ending::Refused => (Style::Warn, "refused"),
        Ending::Failed => (Style::Bad, "FAILED"),
    };
    let cost = spent(&scenario.spending);
    let about = out.paint.style(Style::Dim, &format!("{}{cost}", scenario.description));
    out.line(format!("    {}  {}  {about}", out.paint.style(style, word), scenario.name))?;
    for failure in &scenario.failures {
        block(failure, out)?;
    }
    for note in &scenario.notes {
        out.line(format!("        {}", out.paint.style(Style::Dim, &plain(note))))?;
    }
    Ok(())
}

/// A failure, indented, with differences in colour.
fn block(text: &str, out: &mut Out) -> anyhow::Result<()> {
    for line in text.lines() {
        let line = plain(line);
        let style = match line.get(..1) {
            Some("+") => Some(Style::Good),
            Some("-") => Some(Style::Bad),
            _ => None,
        };
        out.line(format!("        {}", style.map_or_else(|| line.clone(), |style| out.paint.style(style, &line))))?;
    }
    Ok(())
}

/// What the most expensive decision of a policy took, and which part of the budget that is.
fn cost(result: &EntryResult, out: &mut Out) -> anyhow::Result<()> {
    let spending = &result.spending;
    if spending.decisions > 0 {
        let [fuel, memory, answer] = shares(spending, &result.budget);
        let text = format!(
            "most expensive decision: fuel {} ({fuel:.1} % of the budget), memory {} ({memory:.1} %), answer {} ({answer:.1} %), {}",
            grouped(spending.fuel),
            bytes(spending.memory_bytes),
            bytes(spending.answer_bytes),
            micros(spending.micros)
        );
        out.line(out.paint.style(Style::Dim, &text))?;
    }
    out.line("")?;
    Ok(())
}

fn suites(results: &[EntryResult]) -> Vec<junit::Suite> {
    let mut suites = Vec::new();
    for result in results {
        let mut cases: Vec<junit::Case> = result
            .cases
            .iter()
            .map(|case| junit::Case {
                name: case.name.clone(),
                micros: case.spending.micros,
                failures: case.failures.clone(),
                notes: Vec::new(),
            })
            .collect();
        cases.extend(result.problem.iter().map(|problem| junit::Case {
            name: "load".to_owned(),
            failures: vec![problem.clone()],
            ..junit::Case::default()
        }));
        suites.push(junit::Suite { name: result.name.clone(), cases });
        for run in &result.conformance {
            let config = run.config.as_ref().map_or_else(String::new, |config| format!(" ({config})"));
            let cases = run.result.scenarios.iter().map(|scenario| junit::Case {
                name: scenario.name.to_owned(),
                micros: scenario.spending.micros,
                failures: scenario.failures.clone(),
                notes: scenario.notes.clone(),
            });
            suites.push(junit::Suite { name: format!("{}.conformance{config}", result.name), cases: cases.collect() });
        }
    }
    suites
}
