//! `mcsdns policy test`: what a case says when it fails, and what `--update` does not write.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may fail by panicking"
)]

mod common;

use std::{fs, path::PathBuf, process::Command};

use common::{Folder, case, err, json, misbehaving, out, root, shown};

/// A folder with a copy of a golden case, `mine`.
fn with_a_case() -> (Folder, PathBuf) {
    let folder = Folder::new();
    let mine = folder.path().join("cases/mine");
    fs::create_dir_all(mine.parent().unwrap()).unwrap();
    assert!(Command::new("cp").arg("-r").arg(case("services-both")).arg(&mine).status().unwrap().success());
    (folder, mine)
}

fn test<'a>(folder: &'a Folder, more: &[&'a str]) -> Vec<String> {
    let cases = folder.path().join("cases");
    let base = ["policy", "test", shown(&cases), "--no-conformance"];
    base.iter().chain(more).map(|word| (*word).to_owned()).collect()
}

fn told(folder: &Folder, more: &[&str], code: i32) -> String {
    let args = test(folder, more);
    out(&args.iter().map(String::as_str).collect::<Vec<_>>(), code)
}

#[test]
fn the_golden_cases_and_the_suite_with_the_policy_in_the_box() {
    let folder = Folder::new();
    let xml = folder.path().join("report.xml");
    let cases = root().join("tests/cases");
    let report = out(&["policy", "test", shown(&cases), "--junit", shown(&xml)], 0);
    assert!(report.contains("31 of 31 scenarios passed") && report.contains(" 0 failed"), "{report}");
    let xml = fs::read_to_string(xml).unwrap();
    assert!(xml.contains("failures=\"0\"") && xml.contains("name=\"services-both\""), "{xml}");
    err(&["policy", "test", shown(&cases), "--only", "nothing of that name"], 2);
}

#[test]
fn a_case_that_fails_is_shown_with_its_difference() {
    let folder = Folder::new();
    let status = Command::new("cp").arg("-r").arg(case("services-both")).arg(folder.path().join("mine")).status();
    assert!(status.unwrap().success());
    let file = folder.path().join("mine/expected.yaml");
    let expected = fs::read_to_string(&file).unwrap();
    fs::write(&file, expected.replace("A 10.20.30.2", "A 10.20.30.9")).unwrap();
    let args = ["policy", "test", folder.shown(), "--no-conformance"];
    let report = out(&args, 1);
    assert!(report.contains("FAILED  mine"), "{report}");
    assert!(report.contains("-    - nginx.test.galactic.svc.eu.example.com 180 A 10.20.30.9"), "{report}");
    assert!(report.contains("+    - nginx.test.galactic.svc.eu.example.com 180 A 10.20.30.2"), "{report}");
    assert_eq!(json(&[&args[..], &["-o", "json"]].concat(), 1)["policies"][0]["cases"][0]["passed"], false);
    let report = out(&[&args[..], &["--update"]].concat(), 0);
    assert!(report.contains("written"), "{report}");
    assert_eq!(fs::read_to_string(&file).unwrap(), expected, "what is written is what was written by hand");
}

#[test]
fn a_manifest_that_is_not_understood_fails_its_case() {
    let (folder, mine) = with_a_case();
    let record = mine.join("host/nginx.yaml");
    let text = fs::read_to_string(&record).unwrap();
    fs::write(&record, text + "  recordTtl: 7\n").unwrap();
    let expected = fs::read_to_string(mine.join("expected.yaml")).unwrap();
    for more in [&[][..], &["--update"]] {
        let report = told(&folder, more, 1);
        assert!(report.contains("error: host/nginx.yaml:8: "), "{report}");
        assert!(report.contains("did you mean recordTTL?"), "{report}");
        assert!(report.contains("FAILED  mine") && report.contains("1 tests, 1 failed"), "{report}");
    }
    assert_eq!(
        fs::read_to_string(mine.join("expected.yaml")).unwrap(),
        expected,
        "no answer to what is not understood"
    );
    // Unless it is meant so.
    fs::write(mine.join("expected.yaml"), format!("{expected}problems: [did you mean recordTTL]\n")).unwrap();
    told(&folder, &[], 0);
    fs::write(mine.join("expected.yaml"), format!("{expected}problems: [something else]\n")).unwrap();
    let report = told(&folder, &[], 1);
    assert!(report.contains("-  - something else") && !report.contains("error: "), "{report}");
    // And what is wrong in a step.
    fs::write(&record, fs::read_to_string(&record).unwrap().replace("  recordTtl: 7\n", "")).unwrap();
    fs::write(mine.join("expected.yaml"), &expected).unwrap();
    fs::create_dir_all(mine.join("steps/1/clusters/Not_A_Name")).unwrap();
    let report = told(&folder, &[], 1);
    assert!(report.contains("1:") && report.contains("is not a name for a cluster"), "{report}");
}

#[test]
fn a_case_without_an_answer_fails() {
    let (folder, mine) = with_a_case();
    let expected = fs::read_to_string(mine.join("expected.yaml")).unwrap();
    fs::remove_file(mine.join("expected.yaml")).unwrap();
    let report = told(&folder, &[], 1);
    assert!(report.contains("there is no expected.yaml; --update writes"), "{report}");
    told(&folder, &["--update"], 0);
    let written = fs::read_to_string(mine.join("expected.yaml")).unwrap();
    assert!(expected.starts_with(&written) && written.contains("10.20.30.1"), "{written}");
    // One that leads to nothing, too.
    fs::remove_file(mine.join("host/nginx.yaml")).unwrap();
    fs::remove_file(mine.join("expected.yaml")).unwrap();
    assert!(told(&folder, &[], 1).contains("there is no expected.yaml"));
    told(&folder, &["--update"], 0);
    assert_eq!(fs::read_to_string(mine.join("expected.yaml")).unwrap(), "endpoints: {}\n");
    // An empty folder is a case that somebody began.
    fs::create_dir(folder.path().join("cases/empty")).unwrap();
    for more in [&[][..], &["--update"]] {
        let report = told(&folder, more, 1);
        assert!(report.contains("FAILED  empty") && report.contains("neither a folder `host`"), "{report}");
    }
    assert!(!folder.path().join("cases/empty/expected.yaml").exists());
}

#[test]
fn a_failing_policy_gives_its_reason_and_is_no_right_answer() {
    for (deed, reason, says) in [
        ("panic-in-select", "PolicyFailed", "test/nginx: selection: crashed"),
        ("log-then-panic", "PolicyFailed", "it had said: about to fail"),
        ("name-outside-domain", "PolicyViolation", "test/nginx: guard rails (name-outside-domain)"),
        ("ttl-zero", "PolicyViolation", "test/nginx: guard rails (ttl-out-of-bounds)"),
        ("cluster-out-of-range", "PolicyViolation", "test/nginx: guard rails (index-out-of-range)"),
    ] {
        // The case names conditions of the record, as every new one does.
        let (folder, mine) = with_a_case();
        let expected = fs::read_to_string(mine.join("expected.yaml")).unwrap();
        let [component, config] = misbehaving(&folder, deed);
        let with = ["--policy", &component, "--config", &config];
        for more in [&[][..], &["--update"]] {
            let report = told(&folder, &[&with, more].concat(), 1);
            assert!(report.contains(says) && report.contains("1 tests, 1 failed"), "{deed}: {report}");
            assert_eq!(report.contains("nothing was written"), !more.is_empty(), "{deed}: {report}");
        }
        assert_eq!(fs::read_to_string(mine.join("expected.yaml")).unwrap(), expected, "{deed}");
        // Another failure than the one that is expected is still a failure.
        let other = if reason == "PolicyFailed" { "PolicyViolation" } else { "PolicyFailed" };
        let about =
            |reason: &str| format!("endpoints: {{}}\nconditions:\n  test/nginx:\n    Degraded: True {reason}\n");
        fs::write(mine.join("expected.yaml"), about(other)).unwrap();
        assert!(told(&folder, &[&with[..], &["--update"]].concat(), 1).contains(says), "{deed}");
        // A case may be about it.
        fs::write(mine.join("expected.yaml"), about(reason)).unwrap();
        told(&folder, &with, 0);
        fs::write(mine.join("expected.yaml"), about(reason).replace("{}", "{x/y: []}")).unwrap();
        assert!(told(&folder, &with, 1).contains(says), "{deed}: the reason stands beside whatever else is wrong");
        told(&folder, &[&with[..], &["--update"]].concat(), 0);
        assert_eq!(fs::read_to_string(mine.join("expected.yaml")).unwrap(), about(reason), "{deed}");
    }
}

#[test]
fn one_case_with_two_answers_is_a_contradiction() {
    let (folder, mine) = with_a_case();
    misbehaving(&folder, "none");
    let path = mine.join("expected.yaml");
    let other = "{name: other, policy: ../misbehaving.wasm, config: ../deed.json, cases: [mine]}";
    folder.file("cases/policies.yaml", format!("- {{name: box, cases: [mine]}}\n- {other}\n"));
    fs::write(&path, "endpoints: {}\n").unwrap();
    let report = told(&folder, &["--update"], 1);
    assert_eq!(report.matches("`box` and `other` of policies.yaml contradict each other").count(), 2, "{report}");
    assert_eq!(fs::read_to_string(&path).unwrap(), "endpoints: {}\n");
    // Two that agree may share it.
    folder.file("cases/policies.yaml", "- {name: box, cases: [mine]}\n- {name: again, cases: [mine]}\n");
    told(&folder, &["--update"], 0);
    told(&folder, &[], 0);
}

#[test]
fn a_refusal_is_a_test() {
    let folder = Folder::new();
    let [component, _] = misbehaving(&folder, "none");
    folder.file("cases/policies.yaml", "- {name: misspelt, config: {a: 1}, refused: is not of type}\n");
    let report = told(&folder, &["--policy", &component], 0);
    assert!(report.contains("refused, as it must be") && report.contains("1 tests, 0 failed"), "{report}");
    let cases = folder.path().join("cases");
    let xml = folder.path().join("report.xml");
    let args = ["policy", "test", shown(&cases), "--policy", &component, "--junit", shown(&xml), "-o", "json"];
    assert_eq!(json(&args, 0)["tests"], 1);
    assert!(fs::read_to_string(&xml).unwrap().contains("tests=\"1\" failures=\"0\""));
    err(&[&args[..], &["--only", "nothing of that name"]].concat(), 2);
    // One that is not refused has failed, and what is refused carries out no case.
    folder.file("cases/policies.yaml", "- {name: misspelt, config: ../deed.json, refused: is not of type}\n");
    assert!(told(&folder, &["--policy", &component], 1).contains("1 tests, 1 failed"));
    let (folder, _) = with_a_case();
    let [component, _] = misbehaving(&folder, "none");
    folder.file("cases/policies.yaml", "- {name: misspelt, config: {a: 1}, refused: is not of type}\n");
    let cases = folder.path().join("cases");
    let error = err(&["policy", "test", shown(&cases), "--policy", &component], 2);
    assert!(error.contains("no policy is tested with the case mine"), "{error}");
}

#[test]
fn names_that_can_never_be_published_are_counted() {
    let folder = Folder::new();
    let [component, config] = misbehaving(&folder, "name-malformed");
    fs::create_dir_all(folder.path().join("none")).unwrap();
    let none = folder.path().join("none");
    let args = ["policy", "test", shown(&none), "--policy", &component, "--config", &config, "--only", "ordinary"];
    let report = out(&args, 0);
    assert!(report.contains("1 of 1 scenarios passed, ") && report.contains(" (-v shows "), "{report}");
    let report = out(&[&args[..], &["-v"]].concat(), 0);
    assert!(report.contains("not published: ") && !report.contains("(-v shows"), "{report}");
}

#[test]
fn a_policy_may_be_tested_with_a_budget_of_its_own() {
    let (folder, _) = with_a_case();
    told(&folder, &["--budget", "fuel=60000000"], 0);
    let report = told(&folder, &["--budget", "fuel=100"], 1);
    assert!(report.contains("(OutOfFuel)"), "{report}");
    let error = err(&["policy", "test", folder.shown(), "--budget", "fuel=lots"], 2);
    assert!(error.contains("LIMIT=N"), "{error}");
}
