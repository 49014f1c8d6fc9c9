//! Which policies are tested with which configurations and cases.

use std::{
    collections::BTreeSet,
    io,
    path::{Path, PathBuf},
};

use mcsdns_local::cases::{self, CaseError};
use serde::Deserialize;

use super::Config;
use crate::{
    spending::Ceiling,
    workbench::{Candidate, CandidateError},
};

/// Largest configuration or list of policies that is read, in bytes.
const FILE_BYTES: u64 = 8 << 20;

/// A policy with a configuration, and what it is tested with.
#[derive(Clone, Debug)]
pub struct Entry {
    /// For people.
    pub name: String,
    /// The policy with its configuration.
    pub candidate: Candidate,
    /// Where its configuration comes from.
    pub config_origin: Option<String>,
    /// Its cases, sorted by path.
    pub cases: Vec<Case>,
    /// What its decisions may cost.
    pub ceiling: Ceiling,
    /// Whether it goes through the conformance suite.
    pub conformance: bool,
    /// Words of the error with which it must be refused; a policy that is not refused then fails.
    pub refused: Option<String>,
}

impl Entry {
    /// A policy with the configuration it has, these cases, the conformance suite and no ceilings.
    #[must_use]
    pub fn new(candidate: Candidate, cases: Vec<Case>) -> Self {
        Self {
            name: candidate.name.clone(),
            candidate,
            config_origin: None,
            cases,
            ceiling: Ceiling::default(),
            conformance: true,
            refused: None,
        }
    }
}

/// A folder of a case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Case {
    /// Its folder.
    pub path: PathBuf,
    /// Its name: the folder, relative to the folder of cases.
    pub name: String,
    /// Its own configuration.
    pub config: Option<Config>,
}

/// What is tested when nothing in the folder says otherwise.
#[derive(Clone, Debug)]
pub struct Sources {
    /// The policy.
    pub candidate: Candidate,
    /// Its configuration where the folder of cases names none.
    pub config: Option<Config>,
    /// The configuration was asked for, so it wins over those in the folder.
    pub config_wins: bool,
}

/// A folder of cases is not as it should be.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SuiteError {
    /// A file cannot be read.
    #[error("{}: {error}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// A file is not as it should be.
    #[error("{}: {message}", path.display())]
    Invalid {
        /// The file.
        path: PathBuf,
        /// What is wrong and what to do.
        message: String,
    },
    /// The cases cannot be listed.
    #[error(transparent)]
    Cases(#[from] CaseError),
    /// A policy that policies.yaml names cannot be read.
    #[error(transparent)]
    Candidate(#[from] CandidateError),
}

impl SuiteError {
    /// Stable, CamelCase.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Io { .. } => "Unreadable",
            Self::Invalid { .. } => "InvalidSuite",
            Self::Cases(error) => error.reason(),
            Self::Candidate(error) => error.reason(),
        }
    }
}

/// One item of `policies.yaml`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Item {
    name: String,
    /// A component, relative to the file; without it, the one that is tested.
    policy: Option<PathBuf>,
    /// A file, relative to this one, or the configuration itself.
    config: Option<serde_json::Value>,
    /// Names of cases, with `*` and `?`.
    cases: Option<Vec<String>>,
    max_fuel: Option<u64>,
    max_memory_bytes: Option<u64>,
    max_answer_bytes: Option<u64>,
    #[serde(default = "yes")]
    conformance: bool,
    refused: Option<String>,
}

const fn yes() -> bool {
    true
}

/// Finds what is to be tested in a folder of cases. A folder that is not there has no cases.
///
/// # Errors
/// When something in the folder is not as it should be.
pub fn find(dir: &Path, sources: &Sources) -> Result<Vec<Entry>, SuiteError> {
    let mut found = Vec::new();
    let paths = if dir.is_dir() { cases::discover(dir)? } else { Vec::new() };
    for path in paths {
        let name = super::shown(&path, dir).display().to_string();
        let name = if name.is_empty() {
            // `.` has a name only in full.
            let full = path.canonicalize().unwrap_or_else(|_| path.clone());
            full.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
        } else {
            name
        };
        let config = if sources.config_wins { None } else { config_of(&path)? };
        found.push(Case { path, name, config });
    }
    let file = dir.join("policies.yaml");
    let Some(text) = optional(&file)? else {
        let config = match config_of(dir)? {
            Some(config) if !sources.config_wins => Some(config),
            Some(_) | None => sources.config.clone(),
        };
        return Ok(vec![entry(sources.candidate.name.clone(), sources.candidate.clone(), config, found)]);
    };
    let items: Vec<Item> = serde_saphyr::from_str(&text)
        .map_err(|error| invalid(&file, format!("{}; it is a list of policies", error.without_snippet())))?;
    let mut names = BTreeSet::new();
    let mut used = BTreeSet::new();
    let mut entries = Vec::new();
    for item in items {
        if !names.insert(item.name.clone()) {
            return Err(invalid(&file, format!("{}: there are two of that name", item.name)));
        }
        let candidate = match &item.policy {
            Some(policy) => Candidate::read(&dir.join(policy))?,
            None => sources.candidate.clone(),
        };
        let config = match (&item.config, sources.config_wins) {
            (_, true) | (None, false) => sources.config.clone(),
            (Some(serde_json::Value::String(config)), false) => {
                let path = dir.join(config);
                let text = optional(&path)?.ok_or_else(|| {
                    let message = format!("{}: config: there is no file {}", item.name, path.display());
                    invalid(&file, message)
                })?;
                Some(Config { origin: config.clone(), text })
            }
            (Some(config), false) => {
                Some(Config { origin: format!("policies.yaml, {}", item.name), text: config.to_string() })
            }
        };
        let mut chosen = Vec::new();
        match &item.cases {
            // What must be refused carries out nothing.
            None if item.refused.is_some() => {}
            None => chosen.clone_from(&found),
            Some(patterns) => {
                for pattern in patterns {
                    let matching: Vec<&Case> = found.iter().filter(|case| matches(pattern, &case.name)).collect();
                    if matching.is_empty() {
                        return Err(invalid(&file, format!("{}: cases: none is called `{pattern}`", item.name)));
                    }
                    for case in matching {
                        if !chosen.contains(case) {
                            chosen.push(case.clone());
                        }
                    }
                }
                chosen.sort_by(|a, b| a.path.cmp(&b.path));
            }
        }
        used.extend(chosen.iter().map(|case| case.name.clone()));
        let ceiling = Ceiling {
            max_fuel: item.max_fuel,
            max_memory_bytes: item.max_memory_bytes,
            max_answer_bytes: item.max_answer_bytes,
        };
        entries.push(Entry {
            ceiling,
            conformance: item.conformance && item.refused.is_none(),
            refused: item.refused,
            ..entry(item.name, candidate, config, chosen)
        });
    }
    // A case that nothing tests is a mistake, not a wish.
    if let Some(unused) = found.iter().find(|case| !used.contains(&case.name)) {
        return Err(invalid(&file, format!("no policy is tested with the case {}", unused.name)));
    }
    Ok(entries)
}

fn entry(name: String, candidate: Candidate, config: Option<Config>, cases: Vec<Case>) -> Entry {
    let (config_origin, text) = config.map(|config| (config.origin, config.text)).unzip();
    Entry { name, config_origin, ..Entry::new(candidate.with_config(text), cases) }
}

fn config_of(dir: &Path) -> Result<Option<Config>, SuiteError> {
    for name in ["config.yaml", "config.json"] {
        let path = dir.join(name);
        if let Some(text) = optional(&path)? {
            return Ok(Some(Config { origin: path.display().to_string(), text }));
        }
    }
    Ok(None)
}

fn optional(path: &Path) -> Result<Option<String>, SuiteError> {
    let io = |error| SuiteError::Io { path: path.to_owned(), error };
    match std::fs::metadata(path) {
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok(None);
        }
        Err(error) => return Err(io(error)),
        Ok(metadata) if metadata.len() > FILE_BYTES => {
            let message = format!("has {} bytes, the limit is {FILE_BYTES}", metadata.len());
            return Err(invalid(path, message));
        }
        Ok(_) => {}
    }
    let bytes = std::fs::read(path).map_err(io)?;
    String::from_utf8(bytes).map(Some).map_err(|_| invalid(path, "is not UTF-8".to_owned()))
}

fn invalid(path: &Path, message: String) -> SuiteError {
    SuiteError::Invalid { path: path.to_owned(), message }
}

/// Whether a name fits a pattern in which `*` stands for any text and `?` for one character.
fn matches(pattern: &str, name: &str) -> bool {
    let (pattern, name): (Vec<char>, Vec<char>) = (pattern.chars().collect(), name.chars().collect());
    // Row by row: which beginnings of the name fit the beginning of the pattern.
    let mut fits = vec![false; name.len() + 1];
    if let Some(first) = fits.first_mut() {
        *first = true;
    }
    for wanted in pattern {
        let mut next = vec![false; name.len() + 1];
        let mut before = false;
        for (at, slot) in next.iter_mut().enumerate() {
            let here = fits.get(at).copied().unwrap_or(false);
            let previous = at.checked_sub(1);
            let fit_before = previous.and_then(|previous| fits.get(previous)).copied().unwrap_or(false);
            let found = previous.and_then(|previous| name.get(previous)).copied();
            *slot = match wanted {
                '*' => here || before,
                '?' => fit_before,
                wanted => fit_before && found == Some(wanted),
            };
            before = *slot;
        }
        fits = next;
    }
    fits.last().copied().unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn sources() -> Sources {
        Sources { candidate: Candidate::new("mine", "nowhere", &b""[..]), config: None, config_wins: false }
    }

    fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = dir.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        dir
    }

    #[test]
    fn patterns() {
        for (pattern, name, fits) in [
            ("*", "", true),
            ("a*c", "abbc", true),
            ("a*c", "abbd", false),
            ("a?", "ab", true),
            ("a?", "a", false),
            ("*x*", "one-x-two", true),
            ("one", "one", true),
            ("one", "ones", false),
        ] {
            assert_eq!(matches(pattern, name), fits, "{pattern} {name}");
        }
    }

    #[test]
    fn without_a_list_there_is_one_policy_with_all_cases() {
        let dir = folder(&[
            ("config.yaml", "all: true"),
            ("one/case.yaml", ""),
            ("two/case.yaml", ""),
            ("two/config.yaml", "own: true"),
        ]);
        let found = find(dir.path(), &sources()).unwrap();
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].candidate.config.as_deref(), Some("all: true"));
        let own: Vec<_> = found[0].cases.iter().map(|case| (case.name.as_str(), case.config.is_some())).collect();
        assert_eq!(own, [("one", false), ("two", true)]);
        let asked = Sources {
            config: Some(Config { origin: "flag".into(), text: "asked: true".into() }),
            config_wins: true,
            ..sources()
        };
        let found = find(dir.path(), &asked).unwrap();
        assert_eq!(found[0].candidate.config.as_deref(), Some("asked: true"));
        assert!(found[0].cases.iter().all(|case| case.config.is_none()));
        assert!(find(&dir.path().join("nowhere"), &sources()).unwrap()[0].cases.is_empty());
    }

    #[test]
    fn a_list_says_what_is_tested_with_what() {
        let dir = folder(&[
            (
                "policies.yaml",
                "- {name: a, config: a.yaml, cases: ['one*'], maxFuel: 7}\n- {name: b, config: {x: [1]}}\n",
            ),
            ("a.yaml", "from: file"),
            ("one-1/case.yaml", ""),
            ("two/case.yaml", ""),
        ]);
        let found = find(dir.path(), &sources()).unwrap();
        let configs: Vec<_> = found.iter().map(|entry| entry.candidate.config.clone().unwrap()).collect();
        assert_eq!(configs, ["from: file", r#"{"x":[1]}"#]);
        assert_eq!((found[0].cases.len(), found[1].cases.len()), (1, 2));
        assert_eq!(found[0].ceiling.max_fuel, Some(7));
    }

    #[test]
    fn mistakes_in_a_list_are_named() {
        for (list, says) in [
            ("- {name: a, cases: [nope]}", "none is called `nope`"),
            ("- {name: a, cases: [one]}\n- {name: a}", "two of that name"),
            ("- {name: a, config: nowhere.yaml}", "no file"),
            ("- {name: a, cases: [one]}", "no policy is tested with the case two"),
            ("- {name: a, maxfuel: 1}", "maxfuel"),
            ("name: a", "a list of policies"),
        ] {
            let dir = folder(&[("policies.yaml", list), ("one/case.yaml", ""), ("two/case.yaml", "")]);
            let error = find(dir.path(), &sources()).unwrap_err();
            assert_eq!(error.reason(), "InvalidSuite");
            assert!(error.to_string().contains(says), "{error}");
        }
    }
}
