//! The temporary folder of one server, and small things that every server needs.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Once;

use anyhow::{Context, Result};
use tempfile::TempDir;

/// Each folder's name begins so.
const PREFIX: &str = "mcsdns-testbed-";
/// A file in each folder that is locked while the folder is in use.
const IN_USE: &str = "in-use";

/// A temporary folder, removed when dropped. `MCSDNS_TESTBED_KEEP` keeps it.
///
/// A process that is killed leaves its folders, an etcd's has 80 MB; the next test bed removes them.
#[derive(Debug)]
pub(crate) struct Folder {
    folder: TempDir,
    _in_use: Option<File>,
}

impl Folder {
    /// Makes an empty folder for `name`.
    pub(crate) fn create(name: &str) -> Result<Self> {
        static SWEPT: Once = Once::new();
        SWEPT.call_once(|| sweep(&std::env::temp_dir()));
        let mut folder = tempfile::Builder::new()
            .prefix(&format!("{PREFIX}{name}-"))
            .tempdir()
            .context("cannot create a temporary folder")?;
        if std::env::var_os("MCSDNS_TESTBED_KEEP").is_some() {
            eprintln!("testbed: {name} keeps its files in {}", folder.path().display());
            folder.disable_cleanup(true);
            return Ok(Self { folder, _in_use: None });
        }
        let in_use =
            mark(folder.path()).with_context(|| format!("cannot mark {} as in use", folder.path().display()))?;
        Ok(Self { folder, _in_use: Some(in_use) })
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }
}

/// The mark gets its name when it is locked: a sweep never sees one that is not locked yet.
fn mark(folder: &Path) -> std::io::Result<File> {
    let unnamed = folder.join(".in-use");
    let file = File::create_new(&unnamed)?;
    file.lock()?;
    fs::rename(&unnamed, folder.join(IN_USE))?;
    Ok(file)
}

/// Removes the folders of test beds that did not live to do it. What cannot be removed stays: it is of
/// another user, or another sweep has it.
fn sweep(folder: &Path) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        if !entry.file_name().to_string_lossy().starts_with(PREFIX) {
            continue;
        }
        let path = entry.path();
        if let Ok(mark) = File::open(path.join(IN_USE))
            && mark.try_lock().is_ok()
        {
            let _ = fs::remove_dir_all(path);
        }
    }
}

/// Writes a file of the test bed and answers its path.
pub(crate) fn write(folder: &Path, name: &str, contents: impl AsRef<[u8]>) -> Result<PathBuf> {
    let path = folder.join(name);
    fs::write(&path, contents).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(path)
}

/// Bytes that nobody can guess, for tokens and keys: other users of the machine can reach loopback too.
pub(crate) fn secret() -> Result<[u8; 32]> {
    let mut bytes = [0; 32];
    File::open("/dev/urandom")
        .and_then(|mut source| source.read_exact(&mut bytes))
        .context("cannot read /dev/urandom")?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_nobody_uses_is_swept() {
        let place = tempfile::tempdir().unwrap();
        let make = |name: &str| {
            let path = place.path().join(name);
            fs::create_dir(&path).unwrap();
            path
        };
        let (used, left, kept, other) =
            (make("mcsdns-testbed-a-1"), make("mcsdns-testbed-a-2"), make("mcsdns-testbed-a-3"), make("other"));
        let _in_use = mark(&used).unwrap();
        drop(mark(&left).unwrap());
        drop(mark(&other).unwrap());
        sweep(place.path());
        assert_eq!([&used, &left, &kept, &other].map(|path| path.exists()), [true, false, true, true]);
    }
}
