//! `mcsdns policy test`.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use clap::Args;
use mcsdns_harness::{
    conformance::{ScenarioResult, Verdict as Ending},
    junit,
    spending::{Ceiling, Spending, shares},
    suite::{self, CaseResult, Config, ConformanceRun, Entry, EntryResult, Options, Progress, Sources},
    workbench::{Candidate, Workbench},
};
use mcsdns_local::cases::Mode;
use serde::Serialize;

use super::{budget, bytes, bytes_of, candidate, config, grouped, micros, project::Project};
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
    /// A project (its cases are in DIR/cases), a folder of cases, or one case; the project is that around it
    #[arg(value_name = "DIR", default_value = ".")]
    dir: PathBuf,
    /// The policy: a component, a ConfigMap manifest with one, or `box` for the policy in the box [default: the project,
    /// or else the component in DIR, or else the policy in the box]
    #[arg(long, value_name = "FILE.wasm", help_heading = "Policy")]
    policy: Option<PathBuf>,
    /// Its configuration, YAML or JSON; without it, config.yaml beside the cases or in the project
    #[arg(long, alias = "policy-config", value_name = "FILE", help_heading = "Policy")]
    config: Option<PathBuf>,
    /// What it may use instead of the usual, for example `--budget fuel=100000000`; repeatable
    #[arg(long, value_name = "LIMIT=N", help_heading = "Policy")]
    budget: Vec<String>,
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
    let (place, sources) = subject(args)?;
    let entries = place.narrow(suite::find(&place.cases, &sources).map_err(wrong)?);
    let workbench = Workbench::new()?;
    let mode = if args.update { Mode::Update } else { Mode::from_env() };
    let options = Options {
        mode,
        only: args.only.clone(),
        conformance: !args.no_conformance,
        ceiling: Ceiling {
            max_fuel: args.max_fuel,
            max_memory_bytes: args.max_memory,
            max_answer_bytes: args.max_answer,
        },
        contradictions: match mode {
            Mode::Update => suite::contradictions(&workbench, &entries, &args.only),
            Mode::Check => BTreeMap::new(),
        },
    };
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
    // Under --only, a refusal is not what was asked for.
    let nothing = failed == 0
        && match args.only.is_empty() {
            true => tests == 0,
            false => results.iter().all(|result| result.cases.is_empty() && result.conformance.is_empty()),
        };
    let report = Report { tests, failed, updated, policies: results };
    if !out.data(args.output, &report)? {
        let written = if updated > 0 { format!(", {updated} expected answers written") } else { String::new() };
        let style = if failed > 0 { Style::Bad } else { Style::Good };
        out.line(out.paint.style(style, &format!("{tests} tests, {failed} failed{written}")))?;
    }
    if nothing {
        let what = if args.only.is_empty() { String::new() } else { format!(" whose name contains `{}`", args.only) };
        return Err(wrong(anyhow::anyhow!("{}: there are no cases{what}", place.cases.display())));
    }
    Ok(Verdict::good_if(failed == 0))
}

/// What is to be tested: the cases, and the policy for them.
fn subject(args: &TestArgs) -> anyhow::Result<(Place, Sources)> {
    if !args.dir.is_dir() {
        return Err(wrong(anyhow::anyhow!("{}: there is no such folder", args.dir.display())));
    }
    let place = Place::find(&args.dir)?;
    let mut candidate = match &args.policy {
        Some(path) => candidate(path)?,
        None => match Project::find(&place.home)? {
            Some(project) if args.no_build => built(&project)?,
            Some(project) => Candidate::read(&project.build(None, false)?)?,
            None => lying_about(&place.home)?,
        },
    };
    if let Some(budget) = budget(&args.budget)? {
        candidate.budget = budget;
    }
    let given = config(args.config.as_deref())?.zip(args.config.as_ref());
    let config = match given {
        Some((text, path)) => Some(Config { origin: path.display().to_string(), text }),
        None => match &candidate.config {
            Some(text) => Some(Config { origin: candidate.origin.clone(), text: text.clone() }),
            None => project_config(&place.home)?,
        },
    };
    Ok((place, Sources { candidate, config, config_wins: args.config.is_some() }))
}

/// Where that is.
struct Place {
    /// The project, or the folder itself.
    home: PathBuf,
    /// The folder of cases.
    cases: PathBuf,
    /// The folder within the cases of a project that was named: only these cases.
    within: Option<PathBuf>,
}

impl Place {
    fn find(dir: &Path) -> anyhow::Result<Self> {
        let of = |home: &Path, cases: PathBuf| Ok(Self { home: home.to_owned(), cases, within: None });
        // The folder of cases of a project stands for the project.
        if let Some(home) = project_of_cases(dir) {
            return of(&home, dir.to_owned());
        }
        if dir.join("Cargo.toml").is_file() || is_cases(&dir.join("cases")) {
            return of(dir, dir.join("cases"));
        }
        let full = dir.canonicalize().with_context(|| dir.display().to_string())?;
        let project = full.ancestors().skip(1).find(|above| is_project(above));
        let Some(home) = project.filter(|_| components(dir).is_ok_and(|found| found.is_empty())) else {
            return of(dir, dir.to_owned());
        };
        let cases = home.join("cases");
        if full.starts_with(&cases) {
            return Ok(Self { home: home.to_owned(), cases, within: Some(full) });
        }
        let has_cases = !mcsdns_local::cases::discover(dir).map_err(wrong)?.is_empty();
        of(home, if has_cases { dir.to_owned() } else { cases })
    }

    /// The tests that are about the folder that was named.
    fn narrow(&self, mut entries: Vec<Entry>) -> Vec<Entry> {
        let Some(within) = &self.within else { return entries };
        for entry in &mut entries {
            entry.cases.retain(|case| case.path.starts_with(within) || within.starts_with(&case.path));
        }
        entries.retain(|entry| !entry.cases.is_empty());
        entries
    }
}

/// Whether a folder is the project of a policy.
fn is_project(dir: &Path) -> bool {
    let manifest = std::fs::read_to_string(dir.join("Cargo.toml")).unwrap_or_default();
    manifest.contains("cdylib")
        && ["[package.metadata.mcsdns]", "mcsdns-policy-sdk"].iter().any(|sign| manifest.contains(sign))
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
    match components(dir)?.as_slice() {
        [] => Ok(Candidate::boxed()),
        [one] => candidate(one),
        [one, two, ..] => Err(wrong(anyhow::anyhow!(
            "there are several components, {} and {} among them; choose one with --policy FILE.wasm",
            one.display(),
            two.display()
        ))),
    }
}

/// The components in a folder, sorted.
fn components(dir: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(dir).with_context(|| dir.display().to_string())?;
    let mut found: Vec<PathBuf> = entries
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "wasm"))
        .collect();
    found.sort();
    Ok(found)
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
    let hidden = scenarios.iter().filter(|scenario| !verbose && scenario.verdict != Ending::Failed);
    let notes = match hidden.map(|scenario| scenario.notes.len()).sum() {
        0 => String::new(),
        1 => ", 1 note (-v shows it)".to_owned(),
        notes => format!(", {notes} notes (-v shows them)"),
    };
    let text = format!(
        "conformance{}: {} of {} scenarios passed{refused}{notes}",
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
        if result.must_be_refused || result.problem.is_some() {
            let name = if result.must_be_refused { "refused" } else { "load" }.to_owned();
            cases.push(junit::Case {
                name,
                failures: result.problem.clone().into_iter().collect(),
                ..Default::default()
            });
        }
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
