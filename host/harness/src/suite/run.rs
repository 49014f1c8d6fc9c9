//! Carries out what was found.

use std::{collections::BTreeMap, path::PathBuf};

use mcsdns_local::cases::Mode;
use mcsdns_policy::{Aspect, Budget, Digest};
use serde::Serialize;

use super::{
    Case, Config, Entry,
    case::{blank, carry_out},
};
use crate::{
    conformance::{self, Conformance},
    spending::{Ceiling, Spending},
    workbench::{Candidate, Loaded, Workbench},
};

/// How to test.
#[derive(Clone, Debug)]
pub struct Options {
    /// Whether expected answers are compared or written.
    pub mode: Mode,
    /// Only cases and scenarios whose name contains this.
    pub only: String,
    /// Whether the conformance suite runs.
    pub conformance: bool,
    /// What decisions may cost, beside what policies.yaml says.
    pub ceiling: Ceiling,
    /// Cases whose answers are not written, see [`contradictions`](super::contradictions).
    pub contradictions: BTreeMap<PathBuf, String>,
}

/// What has just been done.
#[derive(Debug)]
pub enum Progress<'a> {
    /// A policy was loaded, or refused.
    Policy(&'a EntryResult),
    /// A case was carried out.
    Case(&'a CaseResult),
    /// The conformance suite was run.
    Conformance(&'a ConformanceRun),
}

/// The policy that was tested.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PolicyFacts {
    /// Name and version.
    pub title: String,
    /// sha256 of the component.
    pub digest: Digest,
    /// Size of the component in bytes.
    pub bytes: usize,
    /// The aspects it answers.
    pub aspects: Vec<Aspect>,
    /// The aspects that the policy in the box answered.
    pub from_the_box: Vec<Aspect>,
}

/// How a case ended.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CaseResult {
    /// Its name.
    pub name: String,
    /// Its folder.
    pub path: PathBuf,
    /// What it shows.
    pub description: String,
    /// Where its own configuration comes from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub config: Option<String>,
    /// Whether everything was as expected.
    pub passed: bool,
    /// One text per step that did not end as expected, per failed decision and per ceiling.
    pub failures: Vec<String>,
    /// Expected answers that were written.
    pub updated: Vec<PathBuf>,
    /// What its decisions cost.
    pub spending: Spending,
}

/// The conformance suite with one configuration.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ConformanceRun {
    /// Where the configuration comes from; none: without one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub config: Option<String>,
    /// What came out.
    #[serde(flatten)]
    pub result: Conformance,
}

/// How the tests of one entry ended.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct EntryResult {
    /// Its name.
    pub name: String,
    /// Where the component comes from.
    pub origin: String,
    /// Where the configuration comes from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub config: Option<String>,
    /// The policy; none when it was refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy: Option<PolicyFacts>,
    /// Why the policy was refused, when it should not have been; or that it was not, when it should have been.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
    /// Whether it had to be refused, which is a test of its own.
    pub must_be_refused: bool,
    /// Its cases.
    pub cases: Vec<CaseResult>,
    /// Its runs of the conformance suite.
    pub conformance: Vec<ConformanceRun>,
    /// The most expensive of all its decisions.
    pub spending: Spending,
    /// What it may use.
    pub budget: Budget,
}

impl EntryResult {
    /// Tests that were carried out and those of them that failed.
    #[must_use]
    pub fn counts(&self) -> (usize, usize) {
        let scenarios: usize = self.conformance.iter().map(|run| run.result.scenarios.len()).sum();
        let failed: usize = self.conformance.iter().map(|run| run.result.failed()).sum();
        let cases = self.cases.iter().filter(|case| !case.passed).count();
        let loaded = usize::from(self.must_be_refused || self.problem.is_some());
        (self.cases.len() + scenarios + loaded, cases + failed + usize::from(self.problem.is_some()))
    }
}

/// Tests one entry.
pub fn run(
    workbench: &Workbench,
    entry: &Entry,
    options: &Options,
    progress: &mut dyn FnMut(Progress<'_>),
) -> EntryResult {
    let mut result = EntryResult {
        name: entry.name.clone(),
        origin: entry.candidate.origin.clone(),
        config: entry.config_origin.clone(),
        policy: None,
        problem: None,
        must_be_refused: entry.refused.is_some(),
        cases: Vec::new(),
        conformance: Vec::new(),
        spending: Spending::default(),
        budget: entry.candidate.budget,
    };
    let ceiling = entry.ceiling.and(options.ceiling);
    let cases: Vec<&Case> = entry.cases.iter().filter(|case| case.name.contains(&options.only)).collect();
    let mut shelf = Shelf::new(workbench, &entry.candidate);
    let own = shelf.load(entry.candidate.config.as_deref());
    // With a configuration in every case, the policy need not do without one.
    let always_configured = entry.candidate.config.is_none() && entry.cases.iter().all(|case| case.config.is_some());
    match (&own, &entry.refused) {
        (Ok(loaded), None) => result.policy = Some(facts(loaded, &entry.candidate)),
        (Ok(_), Some(words)) => {
            result.problem = Some(format!("it should be refused with `{words}`, and is accepted"));
        }
        (Err(error), Some(words)) if error.contains(words.as_str()) => {}
        (Err(error), Some(words)) => {
            result.problem = Some(format!("it should be refused with `{words}`, and is refused with: {error}"));
        }
        (Err(_), None) if always_configured && !entry.cases.is_empty() => {
            let first = entry.cases.iter().find_map(|case| shelf.load(Some(&case.config.as_ref()?.text)).ok());
            result.policy = first.map(|loaded| facts(&loaded, &entry.candidate));
        }
        (Err(error), None) => result.problem = Some(error.clone()),
    }
    progress(Progress::Policy(&result));
    if result.problem.is_some() || entry.refused.is_some() {
        return result;
    }
    for case in cases {
        let config = case.config.as_ref().map_or(entry.candidate.config.as_deref(), |config| Some(&config.text));
        let done = match shelf.load(config) {
            Ok(loaded) => carry_out(case, &loaded, options, &ceiling),
            Err(problem) => CaseResult {
                failures: vec![match &case.config {
                    Some(Config { origin, .. }) => format!("{origin}: {problem}"),
                    None => problem,
                }],
                ..blank(case)
            },
        };
        result.spending.join(&done.spending);
        progress(Progress::Case(&done));
        result.cases.push(done);
    }
    if entry.conformance && options.conformance {
        conform(entry, options, &ceiling, &mut shelf, &mut result, progress);
    }
    result
}

/// The conformance suite with every configuration that is tested.
fn conform(
    entry: &Entry,
    options: &Options,
    ceiling: &Ceiling,
    shelf: &mut Shelf<'_>,
    result: &mut EntryResult,
    progress: &mut dyn FnMut(Progress<'_>),
) {
    let own = entry.candidate.config.as_ref();
    let mut configs = vec![(entry.config_origin.clone(), own)];
    for config in entry.cases.iter().filter_map(|case| case.config.as_ref()) {
        if !configs.iter().any(|(_, text)| *text == Some(&config.text)) {
            configs.push((Some(config.origin.clone()), Some(&config.text)));
        }
    }
    for (origin, text) in configs {
        // A configuration that is refused was told with the case that has it.
        let Ok(loaded) = shelf.load(text.map(String::as_str)) else { continue };
        let run = ConformanceRun { config: origin, result: conformance::run(&loaded.set, ceiling, &options.only) };
        if run.result.scenarios.is_empty() {
            continue;
        }
        result.spending.join(&run.result.spending);
        progress(Progress::Conformance(&run));
        result.conformance.push(run);
    }
}

/// The policy with each of its configurations, loaded once.
pub(super) struct Shelf<'a> {
    workbench: &'a Workbench,
    candidate: &'a Candidate,
    loaded: BTreeMap<Option<String>, Result<Loaded, String>>,
}

impl<'a> Shelf<'a> {
    pub(super) fn new(workbench: &'a Workbench, candidate: &'a Candidate) -> Self {
        Self { workbench, candidate, loaded: BTreeMap::new() }
    }

    /// The policy with this configuration, or why it is refused.
    pub(super) fn load(&mut self, config: Option<&str>) -> Result<Loaded, String> {
        let key = config.map(str::to_owned);
        self.loaded
            .entry(key.clone())
            .or_insert_with(|| {
                let candidate = self.candidate.clone().with_config(key);
                self.workbench.load(&candidate).map_err(|error| format!("refused ({}): {error}", error.reason()))
            })
            .clone()
    }
}

fn facts(loaded: &Loaded, candidate: &Candidate) -> PolicyFacts {
    PolicyFacts {
        title: loaded.policy.title(),
        digest: loaded.policy.digest(),
        bytes: candidate.bytes.len(),
        aspects: loaded.policy.aspects().to_vec(),
        from_the_box: loaded.borrowed(),
    }
}
