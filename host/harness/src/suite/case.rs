//! One case with one policy: what comes out, and what the policy did on the way.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use mcsdns_local::cases::{self, Expected, Mode};
use mcsdns_policy::LogLine;

use super::{Case, CaseResult, Entry, Options, run::Shelf};
use crate::{
    judge::{Bounds, judge},
    recorder::{Made, Recorder},
    spending::{Ceiling, Spending},
    workbench::{Loaded, Workbench},
};

/// Failed decisions of one case that are told.
const TOLD: usize = 5;
/// Last log lines before a failure that are told.
const SAID: usize = 5;
/// Why answers are not written.
const UNWRITTEN: &str = "nothing was written: correct the policy; if the case is about this failure, first name it among the \
                         conditions of the record in expected.yaml, as `Degraded: True PolicyFailed` (or PolicyViolation)";

/// A case that has not been carried out yet.
pub(super) fn blank(case: &Case) -> CaseResult {
    CaseResult {
        name: case.name.clone(),
        path: case.path.clone(),
        description: String::new(),
        config: case.config.as_ref().map(|config| config.origin.clone()),
        passed: false,
        failures: Vec::new(),
        updated: Vec::new(),
        spending: Spending::default(),
    }
}

/// Carries out a case. What a failing policy leads to is not written down as the right answer, unless the case is about that.
pub(super) fn carry_out(case: &Case, loaded: &Loaded, options: &Options, ceiling: &Ceiling) -> CaseResult {
    if options.mode == Mode::Update {
        if let Some(contradiction) = options.contradictions.get(&case.path) {
            return CaseResult { failures: vec![contradiction.clone()], ..blank(case) };
        }
        let (mut checked, unexpected) = attempt(case, loaded, Mode::Check, ceiling);
        if unexpected {
            checked.failures.push(UNWRITTEN.to_owned());
            return checked;
        }
    }
    attempt(case, loaded, options.mode, ceiling).0
}

/// Carries out a case, and tells whether decisions failed that it does not expect to fail.
fn attempt(case: &Case, loaded: &Loaded, mode: Mode, ceiling: &Ceiling) -> (CaseResult, bool) {
    let mut result = blank(case);
    let recorder = Recorder::default();
    let reference = recorder.put(&loaded.set);
    match cases::run(&case.path, &reference, &recorder, mode) {
        Ok(outcome) => {
            result.description = outcome.description;
            result.failures = outcome.failures;
            result.updated = outcome.updated;
        }
        Err(error) => result.failures.push(error.to_string()),
    }
    let made = recorder.take();
    made.iter().filter_map(|made| made.result.as_ref().ok()).for_each(|decided| result.spending.add(decided));
    let failed = Failed::of(&made);
    let expected = expected_failures(&case.path);
    let unexpected = failed.iter().any(|failed| !expected.contains(&(failed.record.clone(), failed.reason)));
    // A failure that a case expects explains why something else of it is not as expected.
    if unexpected || !result.failures.is_empty() {
        let texts: BTreeSet<String> = failed.into_iter().map(|failed| failed.text).collect();
        result.failures.splice(..0, texts.into_iter().take(TOLD));
    }
    result.failures.extend(ceiling.exceeded(&result.spending));
    result.passed = result.failures.is_empty();
    (result, unexpected)
}

/// A decision that failed or broke a guard rail.
struct Failed {
    record: String,
    /// That of the condition it leads to.
    reason: &'static str,
    text: String,
}

impl Failed {
    fn of(made: &[Made]) -> Vec<Self> {
        let failed = |made: &Made| {
            let (reason, problem, log) = match &made.result {
                Ok(decided) => {
                    let violation = judge(&made.input, &decided.output, &Bounds::default()).err()?;
                    let problem = format!("guard rails ({}): {violation}", violation.rule);
                    ("PolicyViolation", problem, &decided.log)
                }
                Err(error) => {
                    ("PolicyFailed", format!("{}: {} ({})", error.aspect, error.error, error.reason()), &error.log)
                }
            };
            let record = made.record();
            let text = format!("{record}: {problem}{}", said(log));
            Some(Self { record, reason, text })
        };
        made.iter().filter_map(failed).collect()
    }
}

/// The last words of a policy, a line each.
fn said(log: &[LogLine]) -> String {
    let last = log.iter().skip(log.len().saturating_sub(SAID));
    last.map(|line| format!("\nit had said: {}", line.message.replace(char::is_control, " "))).collect()
}

/// The records of which a case expects that a policy fails, with the reason.
fn expected_failures(case: &Path) -> BTreeSet<(String, &'static str)> {
    let steps = std::fs::read_dir(case.join("steps")).into_iter().flatten().flatten().map(|step| step.path());
    let conditions = std::iter::once(case.to_owned())
        .chain(steps)
        .filter_map(|dir| std::fs::read_to_string(dir.join("expected.yaml")).ok())
        .filter_map(|text| serde_saphyr::from_str::<Expected>(&text).ok())
        .flat_map(|expected| expected.conditions);
    let mut found = BTreeSet::new();
    for (record, kinds) in conditions {
        for reason in ["PolicyFailed", "PolicyViolation"] {
            if kinds.values().any(|value| value.ends_with(&format!(" {reason}"))) {
                found.insert((record.clone(), reason));
            }
        }
    }
    found
}

/// Cases that several entries carry out with different answers, by folder, and what to say about it: none of the answers
/// may be written, because the next run would fail with the other entry.
#[must_use]
pub fn contradictions(workbench: &Workbench, entries: &[Entry], only: &str) -> BTreeMap<PathBuf, String> {
    let tested = entries.iter().filter(|entry| entry.refused.is_none());
    let mut by_case: BTreeMap<&Path, Vec<(&Entry, &Case)>> = BTreeMap::new();
    for entry in tested {
        for case in entry.cases.iter().filter(|case| case.name.contains(only)) {
            by_case.entry(&case.path).or_default().push((entry, case));
        }
    }
    let mut found = BTreeMap::new();
    for (path, tests) in by_case.into_iter().filter(|(_, tests)| tests.len() > 1) {
        let mut first: Option<(&str, Vec<String>)> = None;
        for (entry, case) in tests {
            let config = case.config.as_ref().map_or(entry.candidate.config.as_deref(), |config| Some(&config.text));
            let Some(answers) = answers(case, &mut Shelf::new(workbench, &entry.candidate), config) else { continue };
            match &first {
                None => first = Some((&entry.name, answers)),
                Some((_, known)) if *known == answers => {}
                Some((other, _)) => {
                    let (one, two) = (other, &entry.name);
                    let text = format!(
                        "nothing was written: `{one}` and `{two}` of policies.yaml contradict each other, this case has \
                         another answer with each; give each of them a case of its own"
                    );
                    found.insert(path.to_owned(), text);
                    break;
                }
            }
        }
    }
    found
}

/// What comes out of a case; none when that cannot be told, which is a failure of its own.
fn answers(case: &Case, shelf: &mut Shelf<'_>, config: Option<&str>) -> Option<Vec<String>> {
    let loaded = shelf.load(config).ok()?;
    let recorder = Recorder::default();
    let reference = recorder.put(&loaded.set);
    Some(cases::run(&case.path, &reference, &recorder, Mode::Check).ok()?.answers)
}
