//! What the tests of `mcsdns policy` share.

#![allow(dead_code, clippy::unwrap_used, reason = "every test uses a part of it, and may fail by panicking")]

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use mcsdns_bench::components::MISBEHAVING;
use serde_json::Value;

pub(crate) const EXE: &str = env!("CARGO_BIN_EXE_mcsdns");

pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

pub(crate) fn run(args: &[&str]) -> Output {
    let mut command = Command::new(EXE);
    command.args(args).env_remove("KUBECONFIG").env_remove("MCSDNS_UPDATE").env_remove("NO_COLOR");
    command.output().unwrap()
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// Standard output of a call that must end with that code.
pub(crate) fn out(args: &[&str], code: i32) -> String {
    let output = run(args);
    let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(code), "{args:?}\n{stdout}\n{stderr}");
    stdout
}

/// Standard error of a call that must end with that code.
pub(crate) fn err(args: &[&str], code: i32) -> String {
    let output = run(args);
    let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(code), "{args:?}\n{stdout}\n{stderr}");
    stderr
}

pub(crate) fn json(args: &[&str], code: i32) -> Value {
    serde_json::from_str(&out(args, code)).unwrap()
}

pub(crate) fn shown(path: &Path) -> &str {
    path.to_str().unwrap()
}

pub(crate) fn case(name: &str) -> String {
    root().join("tests/cases").join(name).display().to_string()
}

/// A folder with files for one test.
pub(crate) struct Folder(tempfile::TempDir);

impl Folder {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn file(&self, name: &str, content: impl AsRef<[u8]>) -> String {
        let path = self.0.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        path.display().to_string()
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    pub(crate) fn shown(&self) -> &str {
        shown(self.path())
    }
}

/// The policy that misbehaves, and a configuration that says how.
pub(crate) fn misbehaving(folder: &Folder, deed: &str) -> [String; 2] {
    [folder.file("misbehaving.wasm", MISBEHAVING), folder.file("deed.json", format!("{deed:?}"))]
}
