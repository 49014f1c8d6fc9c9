//! Cases that come with a policy.
//!
//! A ConfigMap has no folders, so a case is a map from file to text, in the layout of `mcsdns policy test`:
//!
//! ```yaml
//! one-cluster:
//!   host/domain.yaml: "…"
//!   host/nginx.yaml: "…"
//!   clusters/c1/nginx.yaml: "…"
//!   expected.yaml: "…"
//! ```

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Component, Path},
};

use serde::{Deserialize, Serialize};

/// Most cases of one policy.
pub const CASES: usize = 100;
/// Most files of all cases of one policy together.
pub const CASE_FILES: usize = 2000;
/// Longest path of a file.
const PATH_BYTES: usize = 512;

/// A case: what there is, and what must come out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Case {
    /// Its name, as that of its folder would be.
    pub name: String,
    /// Texts by path, in the layout of `mcsdns policy test`.
    pub files: BTreeMap<String, String>,
}

impl Case {
    /// Reads the case in a folder. Hidden files are left out.
    ///
    /// # Errors
    /// When something in it cannot be read or is no text.
    pub fn read(dir: &Path) -> io::Result<Self> {
        let name = dir.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let mut case = Self { name, files: BTreeMap::new() };
        let mut folders = vec![(dir.to_owned(), String::new())];
        while let Some((folder, prefix)) = folders.pop() {
            for entry in fs::read_dir(&folder)? {
                let entry = entry?;
                let name = entry.file_name().to_string_lossy().into_owned();
                if name.starts_with('.') {
                    continue;
                }
                let path = entry.path();
                if path.is_dir() {
                    folders.push((path, format!("{prefix}{name}/")));
                } else {
                    case.files.insert(format!("{prefix}{name}"), fs::read_to_string(&path)?);
                }
            }
        }
        Ok(case)
    }

    /// Writes the case into a folder of its own below `dir`, as `mcsdns policy test` reads it.
    ///
    /// # Errors
    /// When a path leads out of the folder, or it cannot be written.
    pub fn unfold(&self, dir: &Path) -> io::Result<()> {
        let bad = |problem: String| io::Error::new(io::ErrorKind::InvalidInput, problem);
        check_name(&self.name).map_err(bad)?;
        for (path, text) in &self.files {
            check_path(path).map_err(bad)?;
            let file = dir.join(&self.name).join(path);
            if let Some(folder) = file.parent() {
                fs::create_dir_all(folder)?;
            }
            fs::write(file, text)?;
        }
        Ok(())
    }
}

/// Reads the key `cases` of a ConfigMap.
pub(super) fn read(text: &str) -> Result<Vec<Case>, String> {
    let maps: BTreeMap<String, BTreeMap<String, String>> = serde_saphyr::from_str(text)
        .map_err(|error| format!("expected cases by name, each with texts by file: {}", error.without_snippet()))?;
    let cases: Vec<Case> = maps.into_iter().map(|(name, files)| Case { name, files }).collect();
    check(&cases)?;
    Ok(cases)
}

/// Checks what a type cannot say.
pub(super) fn check(cases: &[Case]) -> Result<(), String> {
    if cases.len() > CASES {
        return Err(format!("there are {} cases, {CASES} are allowed", cases.len()));
    }
    let files: usize = cases.iter().map(|case| case.files.len()).sum();
    if files > CASE_FILES {
        return Err(format!("there are {files} files, {CASE_FILES} are allowed"));
    }
    for case in cases {
        check_name(&case.name)?;
        for path in case.files.keys() {
            check_path(path).map_err(|problem| format!("{}: {problem}", case.name))?;
        }
        if !case.files.contains_key("expected.yaml") {
            return Err(format!("{}: there is no expected.yaml, so nothing would be compared", case.name));
        }
    }
    Ok(())
}

/// As the key `cases` of a ConfigMap.
pub(super) fn write(cases: &[Case]) -> Result<String, String> {
    check(cases)?;
    let maps: BTreeMap<&str, &BTreeMap<String, String>> =
        cases.iter().map(|case| (case.name.as_str(), &case.files)).collect();
    if maps.len() != cases.len() {
        return Err("two cases have the same name".to_owned());
    }
    serde_saphyr::to_string(&maps).map_err(|error| error.to_string())
}

fn check_name(name: &str) -> Result<(), String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    if name.is_empty() || name.len() > 100 || name.starts_with('.') || !name.chars().all(plain) {
        return Err(format!("`{name}` is not a name for a case: letters, digits, `-`, `_`, inner dots"));
    }
    Ok(())
}

fn check_path(path: &str) -> Result<(), String> {
    let is_inside = Path::new(path).components().all(|part| matches!(part, Component::Normal(_)));
    let hidden = path.split('/').any(|part| part.is_empty() || part.starts_with('.'));
    if path.is_empty() || path.len() > PATH_BYTES || !is_inside || hidden || path.contains(['\\', '\0']) {
        return Err(format!("`{path}` is not a file of a case, such as host/domain.yaml"));
    }
    Ok(())
}
