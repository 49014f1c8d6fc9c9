//! Dependencies point one way, and a newcomer finds the room for a change from the tree alone.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test may fail by panicking")]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::Command,
};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// Normal dependencies of every crate of the workspace, by crate.
fn dependencies() -> BTreeMap<String, BTreeSet<String>> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--no-deps", "--offline"])
        .current_dir(root())
        .output()
        .unwrap();
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    metadata["packages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|package| {
            let normal = package["dependencies"].as_array().unwrap().iter().filter(|d| d["kind"].is_null());
            (text(&package["name"]), normal.map(|d| text(&d["name"])).collect())
        })
        .collect()
}

#[test]
fn dependencies_point_one_way() {
    // What each crate may know of the others. Whoever adds a line here says why in ARCHITECTURE.md.
    let allowed: BTreeMap<&str, &[&str]> = BTreeMap::from([
        ("mcsdns-core", &[][..]),
        ("mcsdns-toolchain", &[]),
        ("mcsdns-default-policy", &[]),
        ("mcsdns-default-component", &["mcsdns-default-policy"]),
        ("mcsdns-misbehaving", &[]),
        ("mcsdns-api", &["mcsdns-core"]),
        ("mcsdns-policy", &["mcsdns-core"]),
        ("mcsdns-runtime", &["mcsdns-core", "mcsdns-policy"]),
        ("mcsdns-rollout", &["mcsdns-api", "mcsdns-core", "mcsdns-policy", "mcsdns-runtime"]),
        ("mcsdns-controller", &["mcsdns-api", "mcsdns-core", "mcsdns-policy", "mcsdns-rollout", "mcsdns-runtime"]),
        ("mcsdns-local", &["mcsdns-api", "mcsdns-core", "mcsdns-policy", "mcsdns-rollout", "mcsdns-runtime"]),
        (
            "mcsdns-harness",
            &["mcsdns-api", "mcsdns-core", "mcsdns-local", "mcsdns-policy", "mcsdns-rollout", "mcsdns-runtime"],
        ),
        (
            "mcsdns-cli",
            &[
                "mcsdns-api",
                "mcsdns-controller",
                "mcsdns-core",
                "mcsdns-harness",
                "mcsdns-local",
                "mcsdns-policy",
                "mcsdns-rollout",
                "mcsdns-runtime",
                "mcsdns-toolchain",
            ],
        ),
    ]);
    let dependencies = dependencies();
    for (name, allowed) in &allowed {
        let ours = dependencies[*name].iter().filter(|d| d.starts_with("mcsdns-"));
        for dependency in ours {
            assert!(allowed.contains(&dependency.as_str()), "{name} must not depend on {dependency}");
        }
    }
    for name in dependencies.keys().filter(|name| name.starts_with("mcsdns-")) {
        let is_test = ["mcsdns-bench", "mcsdns-e2e", "mcsdns-house", "mcsdns-testbed"].contains(&name.as_str());
        assert!(is_test || allowed.contains_key(name.as_str()), "say in this test what {name} may depend on");
    }
}

#[test]
fn the_core_is_pure_and_the_sandbox_knows_no_cluster() {
    let dependencies = dependencies();
    let forbidden = [
        ("mcsdns-core", &["kube", "k8s-openapi", "tokio", "wasmtime", "hickory-resolver", "tracing"][..]),
        ("mcsdns-policy", &["kube", "k8s-openapi", "tokio"]),
        ("mcsdns-runtime", &["kube", "k8s-openapi", "wasmtime"]),
        ("mcsdns-rollout", &["kube", "k8s-openapi", "tokio", "wasmtime"]),
        ("mcsdns-api", &["tokio", "wasmtime"]),
        ("mcsdns-controller", &["wasmtime"]),
        ("mcsdns-local", &["wasmtime"]),
        ("mcsdns-harness", &["kube", "tokio", "wasmtime"]),
        ("mcsdns-cli", &["kube", "wasmtime"]),
    ];
    for (name, forbidden) in forbidden {
        for dependency in forbidden {
            assert!(!dependencies[name].contains(*dependency), "{name} must not depend on {dependency}");
        }
    }
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() {
            if name != "target" && !name.starts_with('.') {
                sources(&path, found);
            }
        } else if name.ends_with(".rs") {
            found.push(path);
        }
    }
}

#[test]
fn no_file_is_too_long_to_read() {
    let mut found = Vec::new();
    sources(&root(), &mut found);
    assert!(found.len() > 30, "the sources were not found");
    for path in found {
        let lines = fs::read_to_string(&path).unwrap().lines().count();
        assert!(lines <= 700, "{} has {lines} lines; split it", path.display());
    }
}

#[test]
fn every_policy_is_ready_to_be_used() {
    let plugins = root().join("plugins");
    let list = fs::read_to_string(plugins.join("README.md")).unwrap();
    let mut found = 0;
    for entry in fs::read_dir(&plugins).unwrap() {
        let folder = entry.unwrap().path();
        let manifest = fs::read_to_string(folder.join("Cargo.toml")).unwrap_or_default();
        let is_rust = manifest.contains("cdylib") && manifest.contains("mcsdns-policy-sdk");
        if !is_rust && !folder.join("policy.c").is_file() && !folder.join("policy.js").is_file() {
            continue;
        }
        found += 1;
        let name = folder.file_name().unwrap().to_string_lossy().into_owned();
        let readme = fs::read_to_string(folder.join("README.md")).unwrap_or_default();
        assert!(readme.starts_with(&format!("# {name}\n")), "plugins/{name} needs a README.md with its name");
        assert!(readme.contains("kind: ConfigMap"), "plugins/{name}/README.md shows no ConfigMap");
        assert!(list.contains(&format!("[{name}]({name})")), "plugins/README.md does not list {name}");
        let cases = fs::read_dir(folder.join("cases")).map_or(0, |cases| {
            cases.filter(|case| case.as_ref().unwrap().path().join("expected.yaml").is_file()).count()
        });
        assert!(cases > 0, "plugins/{name} has no cases");
    }
    assert!(found >= 8, "only {found} policies were found");
}
