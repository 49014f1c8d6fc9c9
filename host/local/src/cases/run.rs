//! Carries out one case.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use jiff::{SignedDuration, Timestamp};
use mcsdns_core::{decision::PolicyRef, index::Settings, name::TxtAffix, status::RecordStatus};
use mcsdns_rollout::Pilot;
use mcsdns_runtime::{Decider, HostTable, HostTableError};
use serde::de::DeserializeOwned;

use super::format::{CaseFile, Expected, Grace, StepFile, lines};
use crate::{
    limits::Limits,
    problem::{Level, Problem},
    read::{Layered, read_text},
    world::{World, WorldError, WorldOptions},
};

/// The time at which a case begins unless it says otherwise.
const BEGIN: &str = "2026-01-01T00:00:00Z";
/// Of a case without an answer.
const MISSING: &str = "there is no expected.yaml; --update writes what comes out, read it before you keep it";
/// What to do about a manifest that is not understood.
const EXPECTED_PROBLEMS: &str =
    "correct the manifest, or name its words in `problems` of expected.yaml if it is meant so";

/// Whether expected answers are compared or written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Compared.
    Check,
    /// Written where they differ.
    Update,
}

impl Mode {
    /// [`Mode::Update`] when the variable `MCSDNS_UPDATE` is set to something but 0.
    #[must_use]
    pub fn from_env() -> Self {
        match std::env::var("MCSDNS_UPDATE") {
            Ok(value) if !value.is_empty() && value != "0" => Self::Update,
            Ok(_) | Err(_) => Self::Check,
        }
    }
}

/// A case cannot be carried out.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CaseError {
    /// A file or folder cannot be read or written.
    #[error("{}: {error}", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// A file of the case is not as it should be.
    #[error("{}: {message}", path.display())]
    Invalid {
        /// Which.
        path: PathBuf,
        /// What is wrong.
        message: String,
    },
    /// A file with host names is not as it should be.
    #[error("{}: {error}", path.display())]
    Hosts {
        /// Which.
        path: PathBuf,
        /// What is wrong.
        error: HostTableError,
    },
    /// The world does not come to rest.
    #[error("{step}: {error}")]
    World {
        /// In which step.
        step: String,
        /// Why.
        error: WorldError,
    },
}

impl CaseError {
    /// Stable, CamelCase.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Io { .. } => "Unreadable",
            Self::Invalid { .. } => "InvalidCase",
            Self::Hosts { error, .. } => error.reason(),
            Self::World { error, .. } => error.reason(),
        }
    }
}

/// How a case ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Name of the case: that of its folder.
    pub name: String,
    /// What it shows.
    pub description: String,
    /// One text per step that did not end as expected: step, then what differs.
    pub failures: Vec<String>,
    /// What came out of each step, as `expected.yaml` has it.
    pub answers: Vec<String>,
    /// Expected answers that were written.
    pub updated: Vec<PathBuf>,
}

impl Outcome {
    /// Whether everything was as expected.
    #[must_use]
    pub fn passed(&self) -> bool {
        self.failures.is_empty()
    }
}

/// The cases below a folder, sorted: every folder that has an `expected.yaml`, a `case.yaml` or manifests. An empty one is a
/// case that somebody began.
///
/// # Errors
/// When a folder cannot be read.
pub fn discover(dir: &Path) -> Result<Vec<PathBuf>, CaseError> {
    let is_case = |dir: &Path| ["expected.yaml", "case.yaml", "host", "clusters"].iter().any(|f| dir.join(f).exists());
    if is_case(dir) {
        return Ok(vec![dir.to_owned()]);
    }
    let mut cases = Vec::new();
    for entry in folders(dir)? {
        if fs::read_dir(&entry).is_ok_and(|mut within| within.next().is_none()) {
            cases.push(entry);
        } else {
            cases.extend(discover(&entry)?);
        }
    }
    Ok(cases)
}

/// The folders within a folder, sorted.
fn folders(dir: &Path) -> Result<Vec<PathBuf>, CaseError> {
    let io = |error| CaseError::Io { path: dir.to_owned(), error };
    let mut folders = Vec::new();
    for entry in fs::read_dir(dir).map_err(io)? {
        let path = entry.map_err(io)?.path();
        if path.is_dir() && !path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b".")) {
            folders.push(path);
        }
    }
    folders.sort();
    Ok(folders)
}

/// Carries out the case in `dir`: once as one process, and once with a process that is started anew after every step.
///
/// # Errors
/// When the case itself is not as it should be.
pub fn run<D: Decider + ?Sized>(
    dir: &Path,
    policies: &PolicyRef,
    decider: &D,
    mode: Mode,
) -> Result<Outcome, CaseError> {
    run_with(dir, policies, decider, None, mode)
}

/// As [`run`], and honours the policies that the Domains of the case name; `pilot` puts them into force at `decider`.
///
/// # Errors
/// When the case itself is not as it should be.
pub fn run_with<D: Decider + ?Sized>(
    dir: &Path,
    policies: &PolicyRef,
    decider: &D,
    pilot: Option<&Pilot>,
    mode: Mode,
) -> Result<Outcome, CaseError> {
    let case: CaseFile = optional(&dir.join("case.yaml"))?.unwrap_or_default();
    let mut outcome = Outcome {
        name: dir.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default(),
        description: case.description.clone(),
        failures: Vec::new(),
        answers: Vec::new(),
        updated: Vec::new(),
    };
    let case = &case;
    let walk = |mode, restarts, outcome: &mut Outcome| {
        let told = BTreeSet::new();
        Walk { dir, case, policies, decider, pilot, mode, restarts, told, outcome }.run()
    };
    walk(mode, false, &mut outcome)?;
    if outcome.passed() {
        walk(Mode::Check, true, &mut outcome)?;
    }
    Ok(outcome)
}

/// One way through a case.
struct Walk<'a, D: ?Sized> {
    dir: &'a Path,
    case: &'a CaseFile,
    policies: &'a PolicyRef,
    decider: &'a D,
    pilot: Option<&'a Pilot>,
    mode: Mode,
    /// Whether every step ends with a restart.
    restarts: bool,
    /// Problems that were told; what is wrong in one step is wrong in the next.
    told: BTreeSet<String>,
    outcome: &'a mut Outcome,
}

impl<D: Decider + ?Sized> Walk<'_, D> {
    fn run(&mut self) -> Result<(), CaseError> {
        let (mut now, settings) = settings(self.dir, self.case)?;
        let limits = Limits::default();
        let mut files = Layered::new();
        files.add(self.dir, &limits);
        let hosts = hosts(&self.dir.join("hosts"))?.unwrap_or_default();
        let fleet = files.fleet(self.dir, &limits, now);
        let options = WorldOptions { now, settings, hosts, group: Default::default() };
        let fail = |error| CaseError::World { step: "beginning".to_owned(), error };
        let pilot = self.pilot.map(Pilot::anew).transpose();
        let pilot = pilot.map_err(|error| fail(WorldError::Policies(error.to_string())))?;
        let (world, _) = World::with_pilot(fleet, self.policies.clone(), self.decider, options, pilot).map_err(fail)?;
        let (mut world, mut expected) = self.compare(self.dir, "beginning", world, None)?;

        let steps = self.dir.join("steps");
        for step_dir in if steps.is_dir() { folders(&steps)? } else { Vec::new() } {
            let name = step_dir.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            let fail = |error| CaseError::World { step: name.clone(), error };
            let step: StepFile = optional(&step_dir.join("step.yaml"))?.unwrap_or_default();
            now = now.saturating_add(SignedDuration::from_secs(step.after.into())).unwrap_or(now);
            for path in &step.delete {
                if !files.remove(path) {
                    let message = format!("delete: there is no {path}");
                    return Err(CaseError::Invalid { path: step_dir.join("step.yaml"), message });
                }
            }
            files.add(&step_dir, &limits);
            let fleet = files.fleet(self.dir, &limits, now);
            if let Some(hosts) = self::hosts(&step_dir.join("hosts"))? {
                world.resolve(hosts).map_err(fail)?;
            }
            if step.restart {
                // What happened meanwhile is found at the start.
                world = world.restart_with(fleet, now, self.policies.clone()).map_err(fail)?.0;
            } else {
                world.tick(now).map_err(fail)?;
                world.change(fleet).map_err(fail)?;
            }
            (world, expected) = self.compare(&step_dir, &name, world, Some(expected))?;
        }
        Ok(())
    }

    /// Compares what came out with what is expected, and shows that nothing more is written.
    fn compare<'d>(
        &mut self,
        step_dir: &Path,
        step: &str,
        mut world: World<'d, D>,
        before: Option<Expected>,
    ) -> Result<(World<'d, D>, Expected), CaseError> {
        let fail = |error| CaseError::World { step: step.to_owned(), error };
        let title = if self.restarts { format!("{step}, with a restart after every step") } else { step.to_owned() };
        let file = step_dir.join("expected.yaml");
        let asked: Option<Expected> = optional(&file)?.or(before);
        let missing = asked.is_none();
        let mut expected = asked.unwrap_or_default();
        let mut problems = world.fleet().problems.clone();
        problems.extend(world.policy_problems());
        let understood = self.understood(&title, &expected, &problems);
        let actual = actual(&world, &words(&problems), &expected);
        if !self.restarts {
            self.outcome.answers.push(actual.to_yaml());
        }
        if missing || actual != expected {
            match self.mode {
                // An answer to manifests that were not understood is none.
                Mode::Update if !understood => {}
                Mode::Update => {
                    write(&file, &actual)?;
                    self.outcome.updated.push(file);
                    expected = actual;
                }
                Mode::Check => {
                    let missing = if missing { format!(" {MISSING}") } else { String::new() };
                    let difference = difference(&expected, &actual);
                    self.outcome.failures.push(format!("{title}:{missing}\n{difference}"));
                }
            }
        }
        let again = world.again().map_err(fail)?;
        if again > 0 {
            self.outcome.failures.push(format!("{title}: {again} objects were written although nothing had changed"));
        }
        if self.restarts {
            let before = world.dump();
            let (restarted, writes) = world.restart(self.policies.clone()).map_err(fail)?;
            world = restarted;
            if writes > 0 {
                let difference = unified("before it", &before, "after it", &world.dump());
                self.outcome
                    .failures
                    .push(format!("{title}: {writes} objects were written only because of it\n{difference}"));
            }
        }
        Ok((world, expected))
    }

    /// Tells what is wrong with the manifests unless the case expects problems; whether there is nothing to tell.
    fn understood(&mut self, title: &str, expected: &Expected, problems: &[Problem]) -> bool {
        let mut errors = problems.iter().filter(|problem| problem.level == Level::Error).peekable();
        if expected.problems.is_some() || errors.peek().is_none() {
            return true;
        }
        let shown = |problem: &Problem| match problem.path.strip_prefix(self.dir) {
            Ok(path) if path != Path::new("") => Problem { path: path.to_owned(), ..problem.clone() }.to_string(),
            Ok(_) | Err(_) => problem.to_string(),
        };
        let new: Vec<String> = errors.map(shown).filter(|problem| self.told.insert(problem.clone())).collect();
        if !new.is_empty() {
            let new = new.join("\nerror: ");
            self.outcome.failures.push(format!("{title}:\nerror: {new}\n{EXPECTED_PROBLEMS}"));
        }
        false
    }
}

fn settings(dir: &Path, case: &CaseFile) -> Result<(Timestamp, Settings), CaseError> {
    let path = dir.join("case.yaml");
    let invalid = |message: String| CaseError::Invalid { path: path.clone(), message };
    let now = case.now.as_deref().unwrap_or(BEGIN);
    let now = now.parse().map_err(|_| invalid(format!("now: `{now}` is not a time such as {BEGIN}")))?;
    let mut settings = Settings::default();
    match &case.unreachable_grace {
        None => {}
        Some(Grace::Seconds(seconds)) => settings.grace_seconds = Some(*seconds),
        Some(Grace::Word(word)) if word == "infinite" => settings.grace_seconds = None,
        Some(Grace::Word(word)) => {
            return Err(invalid(format!("unreachableGrace: `{word}` is neither seconds nor `infinite`")));
        }
    }
    if let Some(length) = case.txt_affix_length {
        settings.txt_affix = TxtAffix { label: length, replaces_type: false };
    }
    Ok((now, settings))
}

fn hosts(path: &Path) -> Result<Option<HostTable>, CaseError> {
    let Some(text) = optional_text(path)? else { return Ok(None) };
    text.parse().map(Some).map_err(|error| CaseError::Hosts { path: path.to_owned(), error })
}

fn optional_text(path: &Path) -> Result<Option<String>, CaseError> {
    if !path.exists() {
        return Ok(None);
    }
    read_text(path, Limits::default().file_bytes)
        .map(Some)
        .map_err(|problem| CaseError::Invalid { path: path.to_owned(), message: problem.message })
}

fn optional<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, CaseError> {
    let Some(text) = optional_text(path)? else { return Ok(None) };
    serde_saphyr::from_str(&text)
        .map(Some)
        .map_err(|error| CaseError::Invalid { path: path.to_owned(), message: error.without_snippet().to_string() })
}

fn write(path: &Path, expected: &Expected) -> Result<(), CaseError> {
    fs::write(path, expected.to_yaml()).map_err(|error| CaseError::Io { path: path.to_owned(), error })
}

/// What a case may say about problems: everything but where on this machine the case stands.
fn words(problems: &[Problem]) -> Vec<String> {
    problems
        .iter()
        .map(|problem| {
            let file = problem.path.file_name().unwrap_or_default();
            let problem = Problem { path: file.into(), ..problem.clone() };
            problem.to_string()
        })
        .collect()
}

/// What came out, as far as it was asked for.
fn actual<D: Decider + ?Sized>(world: &World<'_, D>, problems: &[String], asked: &Expected) -> Expected {
    let endpoints = world.objects().into_iter().map(|object| {
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        (format!("{}/{}", text(&object.metadata.namespace), text(&object.metadata.name)), lines(&object))
    });
    let by_record: BTreeMap<String, &Arc<RecordStatus>> =
        world.statuses().iter().map(|(key, status)| (key.to_string(), status)).collect();
    let conditions = asked.conditions.iter().map(|(record, kinds)| {
        let status = by_record.get(record);
        let found = |kind: &String| {
            let condition = status?.conditions.iter().find(|condition| *condition.kind == **kind)?;
            Some(format!("{} {}", condition.status.as_str(), condition.reason))
        };
        let none = || "(no such condition)".to_owned();
        (record.clone(), kinds.keys().map(|kind| (kind.clone(), found(kind).unwrap_or_else(none))).collect())
    });
    let withheld = asked.withheld.keys().map(|record| {
        let all = by_record.get(record).map(|status| status.withheld.as_slice()).unwrap_or_default();
        (record.clone(), all.iter().map(|withheld| format!("{} {}", withheld.name, withheld.reason)).collect())
    });
    let messages = asked.messages.iter().map(|(record, wanted)| {
        let said: Vec<String> = by_record.get(record).map_or_else(Vec::new, |status| {
            let conditions = status.conditions.iter().map(|condition| condition.message.to_string());
            conditions.chain(status.withheld.iter().map(|withheld| withheld.message.to_string())).collect()
        });
        (record.clone(), found_in(wanted, &said))
    });
    Expected {
        endpoints: endpoints.collect(),
        conditions: conditions.collect(),
        withheld: withheld.collect(),
        messages: messages.collect(),
        problems: asked
            .problems
            .as_ref()
            .map(|wanted| if wanted.len() == problems.len() { found_in(wanted, problems) } else { problems.to_vec() }),
    }
}

/// What was wanted, if all of it was said; else what was said.
fn found_in(wanted: &[String], said: &[String]) -> Vec<String> {
    let all = wanted.iter().all(|words| said.iter().any(|text| text.contains(words.as_str())));
    if all { wanted.to_vec() } else { said.to_vec() }
}

fn difference(expected: &Expected, actual: &Expected) -> String {
    unified("expected", &expected.to_yaml(), "actual", &actual.to_yaml())
}

fn unified(left: &str, before: &str, right: &str, after: &str) -> String {
    similar::TextDiff::from_lines(before, after).unified_diff().context_radius(3).header(left, right).to_string()
}
