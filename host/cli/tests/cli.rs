//! The command as people and scripts meet it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may fail by panicking"
)]

use std::{
    fs,
    io::{BufRead, BufReader, Read},
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

const EXE: &str = env!("CARGO_BIN_EXE_mcsdns");

fn cases() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/cases")
}

fn command(args: &[&str]) -> Command {
    let mut command = Command::new(EXE);
    command.args(args).env_remove("KUBECONFIG").env_remove("MCSDNS_UPDATE").env_remove("NO_COLOR");
    command
}

fn run(args: &[&str]) -> Output {
    command(args).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// Standard output of a call that must end with that code.
fn out(args: &[&str], code: i32) -> String {
    let output = run(args);
    assert_eq!(output.status.code(), Some(code), "{args:?}: {}", text(&output.stderr));
    text(&output.stdout)
}

/// Standard error of a call that must end with that code.
fn err(args: &[&str], code: i32) -> String {
    let output = run(args);
    assert_eq!(output.status.code(), Some(code), "{args:?}: {}", text(&output.stdout));
    text(&output.stderr)
}

fn case(name: &str) -> String {
    cases().join(name).display().to_string()
}

#[test]
fn render_in_three_forms() {
    let dir = case("services-both");
    let list: serde_json::Value = serde_json::from_str(&out(&["render", "-f", &dir, "-o", "json"], 0)).unwrap();
    assert_eq!((&list["kind"], &list["apiVersion"]), (&"List".into(), &"v1".into()));
    let item = &list["items"][0];
    assert_eq!(item["apiVersion"], "externaldns.k8s.io/v1alpha1");
    assert_eq!(item["metadata"]["name"], "service-nginx");
    assert_eq!(item["spec"]["endpoints"].as_array().unwrap().len(), 5);
    let yaml = out(&["render", "-f", &dir, "-o", "yaml", "--dnsendpoint-group", "guide"], 0);
    assert!(
        yaml.starts_with("---\napiVersion: multiclusterdns.federation.k8s.io/v1alpha1\nkind: DNSEndpoint\n"),
        "{yaml}"
    );
    let table = out(&["render", "-f", &dir], 0);
    let rows: Vec<Vec<&str>> = table.lines().map(|line| line.split_whitespace().collect()).collect();
    let row = ["test/nginx", "nginx.test.galactic.svc.example.com", "180", "A", "10.20.30.1,", "10.20.30.2"];
    assert!(rows.iter().any(|found| *found == row), "{table}");
    assert!(!table.contains('\u{1b}'), "colour without a terminal");
    let coloured = out(&["render", "-f", &case("services-none-at-all"), "--color", "always"], 0);
    assert!(coloured.contains("Nothing would be published") && coloured.contains('\u{1b}'), "{coloured}");
}

#[test]
fn what_is_rendered_is_the_same_every_time() {
    for name in ["services-both", "two-records-one-name", "e12-host-name-both-families"] {
        let dir = case(name);
        let hosts = cases().join(name).join("hosts");
        let hosts = hosts.display().to_string();
        let mut args = vec!["render", "-f", &dir, "-o", "json", "--now", "2026-01-01T00:00:00Z"];
        if Path::new(&hosts).exists() {
            args.extend(["--hosts", &hosts]);
        }
        assert_eq!(out(&args, 0), out(&args, 0));
    }
}

#[test]
fn broken_manifests_are_told_and_the_rest_is_rendered() {
    let output = run(&["render", "-f", &case("broken-manifests")]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stdout).contains("nginx.test.galactic.svc.example.com"));
    let errors = text(&output.stderr);
    assert!(errors.contains("typos.yaml:7: document 1: ServiceDNSRecord test/other: spec.domainref: unknown field; did you mean domainRef?"), "{errors}");
    assert!(errors.contains("document 2"), "{errors}");
}

#[test]
fn wrong_calls() {
    err(&["render", "-f", "/nowhere"], 2);
    err(&["frobnicate"], 2);
    err(&["render"], 2);
    err(&["explain", "nginx", "-f", "."], 2);
    let error = err(&["explain", "test/nobody", "-f", &case("services-both")], 2);
    assert!(error.contains("there are: test/nginx"), "{error}");
    let error = err(&["controller", "--unreachable-grace", "soon"], 2);
    assert!(error.contains("infinite"), "{error}");
    let error = err(&["controller", "--renew-deadline", "20s"], 2);
    assert!(error.contains("renew deadline must be below"), "{error}");
    let error = err(&["render", "-f", &case("services-both"), "--policy", EXE], 2);
    assert!(error.contains("mcsdns"), "{error}");
    let error = err(&["controller", "--kubeconfig", "/nowhere"], 2);
    assert!(error.contains("/nowhere"), "{error}");
}

#[test]
fn explain_a_folder() {
    let words = out(&["explain", "test/nginx", "-f", &case("services-one-without")], 0);
    for part in [
        "Clusters",
        "no Service of that name",
        "region eu",
        "CNAME nginx.test.galactic.svc.example.com",
        "nothing, all is well",
    ] {
        assert!(words.contains(part), "{part}: {words}");
    }
    let words = out(&["explain", "test/nginx", "-f", &case("e29-prefix-spells-global-name")], 1);
    assert!(words.contains("refused (NameConflict)"), "{words}");
    let json = out(&["explain", "test/nginx", "-f", &case("services-both"), "-o", "json"], 0);
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["clusters"][0]["state"], "serving");
}

#[test]
fn data_about_itself() {
    let versions: serde_json::Value = serde_json::from_str(&out(&["version", "-o", "json"], 0)).unwrap();
    assert_eq!(versions["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(versions["policy"]["digest"].as_str().unwrap().len(), 64);
    assert_eq!(out(&["crd"], 0).matches("kind: CustomResourceDefinition").count(), 3);
    assert_eq!(out(&["crd", "--with-guide-dnsendpoint"], 0).matches("kind: CustomResourceDefinition").count(), 4);
    for shell in ["bash", "zsh", "fish"] {
        assert!(out(&["completion", shell], 0).contains("mcsdns"));
    }
    assert!(out(&["--help"], 0).contains("Exit codes"));
    let help = out(&["controller", "--help"], 0);
    for flag in ["--unreachable-grace", "[default: 300s]", "--resolver", "[default: 0.0.0.0:8081]"] {
        assert!(help.contains(flag), "{flag}: {help}");
    }
}

#[test]
fn whoever_stops_reading_is_no_error() {
    let mut child = command(&["crd"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::with_capacity(16, child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "---\n");
    let mut errors = String::new();
    child.stderr.take().unwrap().read_to_string(&mut errors).unwrap();
    assert!(child.wait().unwrap().success());
    assert_eq!(errors, "");
}

#[test]
fn the_demonstration_is_right() {
    let told = out(&["demo"], 0);
    assert!(told.contains("Every answer was right."), "{told}");
    assert!(!told.contains("WRONG"), "{told}");
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("mine"), "").unwrap();
    err(&["demo", "--dir", &dir.path().display().to_string()], 2);
}
