//! Versions of the interface that have been released do not change any more.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may fail by panicking"
)]

use std::{collections::BTreeMap, fs, path::Path};

use mcsdns_policy::Digest;

#[test]
fn released_versions_do_not_change() {
    let wit = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../wit").canonicalize().unwrap();
    let frozen: BTreeMap<String, String> = fs::read_to_string(wit.join("FROZEN"))
        .unwrap()
        .lines()
        .filter_map(|line| line.split_once("  "))
        .map(|(digest, file)| (file.to_owned(), digest.to_owned()))
        .collect();
    let mut found = BTreeMap::new();
    for version in fs::read_dir(&wit).unwrap().map(Result::unwrap).filter(|entry| entry.path().is_dir()) {
        for file in fs::read_dir(version.path()).unwrap().map(Result::unwrap) {
            let path = file.path();
            let name = path.strip_prefix(&wit).unwrap().to_str().unwrap().replace('\\', "/");
            found.insert(name, Digest::of(&fs::read(&path).unwrap()).to_string());
        }
    }
    assert_eq!(
        found, frozen,
        "a folder under wit/ differs from wit/FROZEN. A released version never changes: make a new folder beside it, as \
         wit/VERSIONING.md says. Only while 0.1.0 is a draft: `cd wit && sha256sum v*/* > FROZEN`"
    );
}
