//! The temporary folder of one server, and small things that every server needs.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use tempfile::TempDir;

/// A temporary folder; it is removed when dropped, unless `MCSDNS_TESTBED_KEEP` is set.
pub(crate) fn temporary(name: &str) -> Result<TempDir> {
    let mut folder = tempfile::Builder::new()
        .prefix(&format!("mcsdns-testbed-{name}-"))
        .tempdir()
        .context("cannot create a temporary folder")?;
    if std::env::var_os("MCSDNS_TESTBED_KEEP").is_some() {
        eprintln!("testbed: {name} keeps its files in {}", folder.path().display());
        folder.disable_cleanup(true);
    }
    Ok(folder)
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
