//! `mcsdns policy`, as authors and operators meet it: the real command on real components.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may fail by panicking"
)]

mod common;

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

use mcsdns_bench::components::{MISBEHAVING, TTL_ONLY};
use serde_json::Value;

use common::{EXE, Folder, case, err, json, misbehaving, out, root, run, shown, text};

/// A project of all three aspects, made, and built once for all tests of this file. It lies in the same folder in every
/// run, because a first build takes minutes and the next one does not.
fn project() -> &'static Path {
    static PROJECT: OnceLock<PathBuf> = OnceLock::new();
    PROJECT.get_or_init(|| {
        let new = tempfile::tempdir().unwrap();
        let (new, sdk) = (new.path(), root().join("plugins/sdk"));
        let (dir, sdk) = (shown(new), shown(&sdk));
        let args = ["policy", "new", "my-policy", "--aspects", "naming,selection,ttl", "--dir", dir, "--sdk", sdk];
        let told = out(&args, 0);
        assert!(told.contains("mcsdns policy test"), "{told}");
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("policy-new/my-policy");
        for part in ["src", "cases"] {
            let _ = fs::remove_dir_all(path.join(part));
        }
        fs::create_dir_all(&path).unwrap();
        let status = Command::new("cp").arg("-r").arg(new.join("my-policy/.")).arg(&path).status().unwrap();
        assert!(status.success());
        // One that answers with the first cluster, without seeing names, and so goes by the order it is told.
        let code = fs::read_to_string(path.join("src/lib.rs")).unwrap();
        let first = code.replace("Decision::clusters(staying)", "Decision::clusters(staying.into_iter().take(1))");
        assert!(first != code, "{code}");
        fs::write(path.join("src/lib.rs"), first).unwrap();
        out(&["policy", "build", shown(&path), "--out", shown(&path.join("first.wasm"))], 0);
        // One that panics when it is asked for TTLs.
        let panics = code
            .replace("let usual =", "if subject.service == \"nginx\" { panic!(\"boom {}\", 7) }\n        let usual =");
        assert!(panics != code, "{code}");
        fs::write(path.join("src/lib.rs"), panics).unwrap();
        out(&["policy", "build", shown(&path), "--out", shown(&path.join("panics.wasm"))], 0);
        fs::write(path.join("src/lib.rs"), code).unwrap();
        let built = json(&["policy", "build", shown(&path), "-o", "json"], 0);
        assert_eq!((&built["name"], &built["version"]), (&"my-policy".into(), &"0.1.0".into()));
        assert!(built["sizes"]["gzip"].as_u64() < built["sizes"]["raw"].as_u64(), "{built}");
        path
    })
}

fn component() -> PathBuf {
    project().join("target/policies/my-policy.wasm")
}

/// A copy of the cases of the project, to change.
fn copy_of_cases(folder: &Folder) -> PathBuf {
    let status = Command::new("cp").arg("-r").arg(project().join("cases")).arg(folder.path()).status().unwrap();
    assert!(status.success());
    folder.path().join("cases")
}

#[test]
fn from_nothing_to_a_config_map() {
    let (project, component) = (project(), component());
    let report = json(&["policy", "test", shown(project), "--no-build", "-o", "json"], 0);
    assert_eq!(report["failed"], 0, "{report}");
    let tested = &report["policies"][0];
    assert_eq!(tested["cases"][0]["name"], "two-clusters");
    assert_eq!(tested["conformance"][0]["scenarios"].as_array().unwrap().len(), 31);
    assert!(tested["config"].as_str().unwrap().ends_with("config.yaml"), "{tested}");

    let inspection = json(&["policy", "inspect", shown(&component), "-o", "json"], 0);
    assert_eq!(inspection["policy"]["aspects"], serde_json::json!(["naming", "selection", "ttl"]));
    assert_eq!(inspection["interface"], "mcsdns:policy@0.1.0");
    assert_eq!(inspection["policy"]["needs"]["clusterLabels"][0], "example.com/draining");
    let schema = json(&["policy", "inspect", shown(&component), "--schema"], 0);
    assert_eq!(schema["properties"]["ttl"]["minimum"], 1);

    let folder = Folder::new();
    let file = folder.path().join("policy.yaml");
    let config = folder.file("config.yaml", "ttl: 77\nregions: false\n");
    let cases = project.join("cases");
    for compress in ["gzip", "zstd", "none"] {
        let mut args = vec!["policy", "pack", shown(&component), "--name", "mine", "--compress", compress];
        args.extend(["--budget", "fuel=60000000", "--out", shown(&file)]);
        // The cases are for another configuration, and one that fails is not packed.
        let failing = [args.as_slice(), &["--config", &config, "--cases", shown(&cases)]].concat();
        assert!(err(&failing, 2).contains("a controller would refuse the policy"));
        let own = project.join("config.yaml");
        let told = err(&[args.as_slice(), &["--config", shown(&own), "--cases", shown(&cases)]].concat(), 0);
        assert!(told.contains("1 cases"), "{told}");
        let packed = json(&["policy", "inspect", shown(&file), "-o", "json"], 0);
        assert_eq!(packed["configMap"], "mine");
        assert_eq!(packed["digest"], inspection["digest"], "unpacked, it is the same component");
        assert_eq!(packed["budget"]["fuel"], 60_000_000);
    }
    let manifest = fs::read_to_string(&file).unwrap();
    for part in ["kind: ConfigMap", "multiclusterdns.federation.k8s.io/policy", "policy.wasm:", "sha256:", "cases:"] {
        assert!(manifest.contains(part), "{part}");
    }
    // A packed policy is a policy everywhere.
    out(&["policy", "test", shown(project), "--policy", shown(&file), "--no-conformance"], 0);
    let difference = out(&["policy", "diff", "-f", &case("services-both"), "--new", shown(&file)], 1);
    assert!(difference.contains("nginx.example.com"), "{difference}");
}

#[test]
fn every_choice_of_aspects_makes_a_project() {
    let folder = Folder::new();
    let sdk = root().join("plugins/sdk");
    for (name, aspects) in [("a", "naming"), ("b", "selection"), ("c", "ttl"), ("d", "naming,ttl")] {
        out(&["policy", "new", name, "--aspects", aspects, "--dir", folder.shown(), "--sdk", shown(&sdk)], 0);
        let code = fs::read_to_string(folder.path().join(name).join("src/lib.rs")).unwrap();
        assert!(!code.contains('@'), "{code}");
        for aspect in ["Naming", "Selection", "Ttl"] {
            let wanted = aspects.contains(&aspect.to_lowercase());
            assert_eq!(code.contains(&format!("impl {aspect} for")), wanted, "{aspects}: {aspect}");
        }
    }
    let error = err(&["policy", "new", "a", "--dir", folder.shown(), "--sdk", shown(&sdk)], 2);
    assert!(error.contains("is there already"), "{error}");
    err(&["policy", "new", "Not A Name"], 2);
    err(&["policy", "new", "x", "--aspects", "namings"], 2);
    err(&["policy", "new", "x", "--dir", folder.shown(), "--sdk", "/nowhere"], 2);
    out(&["policy", "new", "x", "--dir", folder.shown()], 0);
    let manifest = fs::read_to_string(folder.path().join("x/Cargo.toml")).unwrap();
    assert!(
        manifest.contains("git = ") && manifest.contains(concat!("tag = \"v", env!("CARGO_PKG_VERSION"))),
        "{manifest}"
    );
}

#[test]
fn what_does_not_compile_is_told() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("policy-broken");
    let file = |name: &str, content: &str| {
        let path = folder.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    };
    let shown_folder = shown(&folder);
    let manifest = "[workspace]\n[package]\nname = \"broken\"\nversion = \"0.1.0\"\nedition = \"2024\"\n";
    file("Cargo.toml", manifest);
    file("src/lib.rs", "fn oops( {}\n");
    let error = err(&["policy", "build", shown_folder], 2);
    assert!(error.contains("cdylib") && error.contains("policy new"), "{error}");
    file("Cargo.toml", &format!("{manifest}[lib]\ncrate-type = [\"cdylib\"]\n"));
    let error = err(&["policy", "build", shown_folder], 2);
    assert!(error.contains("src/lib.rs:1") && !error.contains("Compiling"), "{error}");
    let error = err(&["policy", "build", shown(&folder.join("src"))], 2);
    assert!(error.contains("there is no Cargo.toml"), "{error}");
}

#[test]
fn a_case_within_a_project_is_one_of_the_project() {
    let case = project().join("cases/two-clusters");
    for (dir, args) in [(case.parent().unwrap(), "two-clusters"), (&case, "."), (&case, "clusters/one")] {
        let args = ["policy", "test", args, "--no-build", "--no-conformance", "-o", "json"];
        let output = Command::new(EXE).args(args).current_dir(dir).env_remove("MCSDNS_UPDATE").output().unwrap();
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
        let tested = &report["policies"][0];
        assert_eq!(tested["policy"]["title"], "my-policy 0.1.0", "{report}");
        assert_eq!(tested["cases"][0]["name"], "two-clusters", "{report}");
        assert_eq!((&report["tests"], &report["failed"]), (&1.into(), &0.into()), "{report}");
        assert!(tested["config"].as_str().unwrap().ends_with("config.yaml"), "{report}");
    }
    // Elsewhere in the project, it is the project; with a component of its own, a folder is no part of it.
    let report = json(&["policy", "test", shown(&project().join("src")), "--no-build", "-o", "json"], 0);
    assert_eq!(report["policies"][0]["cases"][0]["name"], "two-clusters", "{report}");
}

#[test]
fn a_panic_says_what_and_where() {
    let folder = Folder::new();
    let panics = project().join("panics.wasm");
    let status = Command::new("cp").arg("-r").arg(case("services-both")).arg(folder.path().join("mine")).status();
    assert!(status.unwrap().success());
    let config = folder.file("config.yaml", "ttl: 77\n");
    for more in [&[][..], &["--config", &config]] {
        let args = ["policy", "test", folder.shown(), "--policy", shown(&panics), "--no-conformance"];
        let report = out(&[&args[..], more].concat(), 1);
        let said = report.lines().find(|line| line.contains("it had said: ")).unwrap_or_else(|| panic!("{report}"));
        assert!(said.contains("panicked at src/lib.rs:") && said.ends_with(": boom 7"), "{report}");
    }
}

#[test]
fn configurations_by_list_by_case_and_by_flag() {
    let folder = Folder::new();
    let cases = copy_of_cases(&folder);
    let component = component();
    let expected = fs::read_to_string(cases.join("two-clusters/expected.yaml")).unwrap();
    let short: String = expected
        .lines()
        .filter(|line| !line.contains(".eu.") && !line.contains(".us."))
        .fold(String::new(), |text, line| text + line + "\n");
    let copy = Command::new("cp").arg("-r").arg(cases.join("two-clusters")).arg(cases.join("short")).status();
    assert!(copy.unwrap().success());
    fs::write(cases.join("short/expected.yaml"), short).unwrap();
    fs::write(cases.join("short/config.yaml"), "regions: false\n").unwrap();
    let test = |more: &[&str], code| {
        out(&[&["policy", "test", shown(&cases), "--policy", shown(&component)], more].concat(), code)
    };
    // The configuration of the case wins; the suite runs once with each.
    let report = test(&[], 0);
    assert_eq!(report.matches("conformance").count(), 2, "{report}");
    // A flag wins over everything.
    let flag = folder.file("flag.yaml", "regions: true\n");
    assert!(test(&["--config", &flag, "--no-conformance"], 1).contains("FAILED  short"));
    // A list says which configuration is for which case, what it may cost, and what must be refused.
    fs::remove_file(cases.join("short/config.yaml")).unwrap();
    let list = "- {name: long, cases: [two-*]}\n- {name: brief, config: {regions: false}, cases: [short]}\n\
                - {name: misspelt, config: {region: false}, cases: [], refused: \"Additional properties\"}\n";
    fs::write(cases.join("policies.yaml"), list).unwrap();
    let report = test(&["--no-conformance"], 0);
    assert!(report.contains("refused, as it must be"), "{report}");
    fs::write(cases.join("policies.yaml"), format!("{list}- {{name: dear, maxFuel: 10, cases: [two-*]}}\n")).unwrap();
    let report = test(&["--no-conformance"], 1);
    assert!(report.contains("the ceiling (--max-fuel) is 10"), "{report}");
    // Only the cases for the configuration that is packed are packed, whoever says what they are for.
    fs::write(cases.join("policies.yaml"), list).unwrap();
    let file = folder.path().join("packed.yaml");
    let pack = |more: &[&str]| {
        let component = shown(&component);
        let args = ["policy", "pack", component, "--name", "x", "--out", shown(&file), "--cases", shown(&cases)];
        err(&[&args[..], more].concat(), 0)
    };
    let told = pack(&[]);
    assert!(told.contains("1 cases") && told.contains("short is for another configuration (policies.yaml, brief)"));
    let each = "- {name: long, config: {regions: true}, cases: [two-*]}\n- {name: brief, config: {regions: false}, cases: [short]}\n";
    fs::write(cases.join("policies.yaml"), each).unwrap();
    assert!(pack(&[]).contains("no case is left"));
    let told = pack(&["--config", &folder.file("brief.json", "{\"regions\": false}")]);
    assert!(told.contains("1 cases") && told.contains("two-clusters is for another configuration"), "{told}");
    // What was packed is kept when it is packed again.
    let again = err(
        &["policy", "pack", shown(&file), "--name", "again", "--budget", "fuel=60000000", "--out", shown(&file)],
        0,
    );
    assert!(again.contains("1 cases"), "{again}");
    err(&["policy", "pack", shown(&file), "--name", "again", "--out", shown(&file)], 0);
    assert_eq!(json(&["policy", "inspect", shown(&file), "-o", "json"], 0)["budget"]["fuel"], 60_000_000);
    let other = folder.file("other.json", "{\"regions\": true}");
    let error = err(&["policy", "pack", shown(&file), "--name", "again", "--config", &other], 2);
    assert!(error.contains("the packed case short fails"), "{error}");
    let error = err(&["policy", "pack", shown(&file), "--name", "again", "--namespace", "Bad NS"], 2);
    assert!(error.contains("cannot be the name of a namespace"), "{error}");
    fs::write(cases.join("policies.yaml"), "- {name: x, cases: [nope]}\n").unwrap();
    let error = err(&["policy", "test", shown(&cases), "--policy", shown(&component)], 2);
    assert!(error.contains("none is called `nope`"), "{error}");
}

#[test]
fn a_policy_that_goes_by_the_order_of_clusters_is_found_out() {
    let folder = Folder::new();
    let first = project().join("first.wasm");
    let args = ["policy", "test", folder.shown(), "--policy", shown(&first), "--only", "both-families"];
    let report = out(&args, 1);
    for part in [
        "0 of 1 scenarios passed",
        "order: with the clusters in reverse something else would be published",
        "-web-frontend.example.com 300 A 10.0.0.0",
        "+web-frontend.example.com 300 A 10.0.0.7",
    ] {
        assert!(report.contains(part), "{part}: {report}");
    }
}

#[test]
fn what_every_policy_must_get_right() {
    let folder = Folder::new();
    for (deed, scenario, check) in [
        ("panic-without-clusters", "no-clusters", "answers (Trap): selection"),
        ("ttl-zero", "ordinary", "guard rails (ttl-out-of-bounds)"),
        ("name-outside-domain", "ordinary", "guard rails (name-outside-domain)"),
        ("cluster-out-of-range", "ordinary", "guard rails (index-out-of-range)"),
        ("loop-in-select", "ordinary", "answers (OutOfFuel): selection"),
        ("alias-loop", "ordinary", "guard rails (alias-loop)"),
    ] {
        let [component, config] = misbehaving(&folder, deed);
        let cases = folder.path().join("none");
        fs::create_dir_all(&cases).unwrap();
        let args = ["policy", "test", shown(&cases), "--policy", &component, "--config", &config, "--only", scenario];
        // On a busy machine time may run out before fuel does.
        let report = out(&args, 1).replace("(Timeout)", "(OutOfFuel)");
        assert!(report.contains(&format!("FAILED  {scenario}")) && report.contains(check), "{deed}: {report}");
    }
    // This one sees names, so the order may matter to it, and it is said.
    let [component, config] = misbehaving(&folder, "first-cluster");
    let cases = folder.path().join("none");
    let args = ["policy", "test", shown(&cases), "--policy", &component, "--config", &config, "-v"];
    let report = out(&args, 0);
    assert!(report.contains("the order of clusters (in reverse) matters"), "{report}");
}

#[test]
fn what_would_be_refused_is_told_before_a_controller_does() {
    let folder = Folder::new();
    let [component, config] = misbehaving(&folder, "refuse-in-configure");
    let told = |args: &[&str]| {
        let inspection = json(&[&["policy", "inspect"], args, &["-o", "json"]].concat(), 1);
        inspection["refused"]["reason"].as_str().unwrap().to_owned()
    };
    assert_eq!(told(&[&component, "--config", &config]), "ConfigRefused");
    let words = out(&["policy", "inspect", &component, "--config", &config], 1);
    assert!(words.contains("A controller would refuse it (ConfigRefused)"), "{words}");
    assert_eq!(told(&[&component, "--config", &folder.file("c.yaml", "a: 1")]), "ConfigInvalid");
    // On a busy machine time may run out before fuel does.
    let ended = told(&[&component, "--config", &misbehaving(&folder, "loop-in-configure")[1]]);
    assert!(["OutOfFuel", "Timeout"].contains(&&*ended), "{ended}");
    assert_eq!(told(&[&folder.file("garbage.wasm", "nothing of the kind")]), "NotAComponent");
    assert_eq!(told(&[&folder.file("cut.wasm", &MISBEHAVING[..MISBEHAVING.len() / 2])]), "NotAComponent");
    assert_eq!(told(&[&folder.file("module.wasm", b"\0asm\x01\0\0\0")]), "NotAComponent");
    assert_eq!(told(&[&folder.file("program.wasm", &fs::read(EXE).unwrap()[..4096])]), "NotAComponent");
    // What a policy lacks comes from the box.
    let words = out(&["policy", "inspect", &folder.file("ttl.wasm", TTL_ONLY)], 1);
    assert!(words.contains("exports") && words.contains("mcsdns:policy/ttl@0.1.0"), "{words}");
    err(&["policy", "inspect", "/nowhere.wasm"], 2);
    let manifest = folder.file("a.yaml", "kind: ConfigMap\nmetadata: {name: a}\n");
    assert!(err(&["policy", "inspect", &manifest], 2).contains("does not carry the label"));
    let manifest = folder.file(
        "b.yaml",
        "kind: ConfigMap\nmetadata: {name: a, labels: {multiclusterdns.federation.k8s.io/policy: 'true'}}\n",
    );
    assert!(err(&["policy", "inspect", &manifest], 2).contains("there is no component"));
    let [_, config] = misbehaving(&folder, "refuse-in-configure");
    let error = err(&["policy", "pack", &component, "--name", "x", "--config", &config], 2);
    assert!(error.contains("refused (ConfigRefused)"), "{error}");
    let error = err(&["policy", "pack", shown(&self::component()), "--name", "Not_A_Name"], 2);
    assert!(error.contains("cannot be the name of a ConfigMap"), "{error}");
    let error = err(&["policy", "pack", shown(&self::component()), "--name", "x", "--budget", "fuel=lots"], 2);
    assert!(error.contains("LIMIT=N"), "{error}");
}

#[test]
fn a_difference_goes_name_by_name() {
    let component = component();
    let folder = case("services-one-without");
    let same = out(&["policy", "diff", "-f", &folder, "--new", "box"], 0);
    assert!(same.contains("0 names added, 0 removed, 0 changed, 5 unchanged, in 1 records"), "{same}");
    let args = ["policy", "diff", "-f", &folder, "--new", shown(&component), "-o", "json"];
    let difference = json(&args, 1);
    assert_eq!((&difference["added"], &difference["removed"]), (&3.into(), &5.into()), "{difference}");
    let names = difference["names"].as_array().unwrap();
    let of = |name: &str| names.iter().find(|change| change["name"] == name).unwrap();
    assert_eq!(of("nginx.example.com")["kind"], "added");
    assert_eq!(of("nginx.example.com")["after"][0], "300 A 10.20.30.1");
    assert_eq!(of("nginx.test.galactic.svc.example.com")["kind"], "removed");
    let words = out(&args[..6], 1);
    assert!(words.contains("100 % of the names that are published now would be gone"), "{words}");
    err(&["policy", "diff", "-f", "/nowhere", "--new", "box"], 2);
    err(&["policy", "diff", "--new", "box", "--kubeconfig", "/nowhere"], 2);
}

#[test]
fn a_difference_begins_with_the_policies_that_domains_name() {
    let (folder, component) = (Folder::new(), component());
    let copied = Command::new("cp").arg("-r").arg(case("services-one-without")).arg(folder.path()).status().unwrap();
    assert!(copied.success());
    let dir = folder.path().join("services-one-without");
    let domain = dir.join("host/domain.yaml");
    let with = fs::read_to_string(&domain).unwrap() + "policies: {naming: mine, selection: mine, ttl: mine}\n";
    fs::write(&domain, with).unwrap();
    let map = out(&["policy", "pack", shown(&component), "--name", "mine"], 0);
    fs::write(dir.join("host/mine.yaml"), map).unwrap();
    let diff = |args: &[&str], code| out(&[&["policy", "diff", "-f", shown(&dir)], args].concat(), code);
    let same = diff(&["--new", shown(&component)], 0);
    assert!(same.contains("the policies of the Domains -> my-policy"), "{same}");
    assert!(same.contains("0 names added, 0 removed, 0 changed, 3 unchanged, in 1 records"), "{same}");
    let back = diff(&["--new", "box", "--domain", "galactic"], 1);
    assert!(back.contains("5 names added, 3 removed"), "{back}");
    let from_the_box = diff(&["--old", "box", "--new", shown(&component)], 1);
    assert!(from_the_box.contains("3 names added, 5 removed"), "{from_the_box}");
    let error = err(&["policy", "diff", "-f", shown(&dir), "--new", "box", "--domain", "prod"], 2);
    assert!(error.contains("there is no Domain prod"), "{error}");
}

#[test]
fn a_difference_can_be_that_of_several_policies_together() {
    let folder = Folder::new();
    let copied = Command::new("cp").arg("-r").arg(case("services-one-without")).arg(folder.path()).status().unwrap();
    assert!(copied.success());
    let dir = folder.path().join("services-one-without");
    let domain = dir.join("host/domain.yaml");
    let with = fs::read_to_string(&domain).unwrap() + "policies: {naming: mine, selection: mine, ttl: mine}\n";
    fs::write(&domain, with).unwrap();
    let (whole, ttl) = (component(), folder.path().join("ttl.wasm"));
    fs::write(&ttl, TTL_ONLY).unwrap();
    let config = folder.path().join("config.json");
    fs::write(&config, r#""behave""#).unwrap();
    let map = out(&["policy", "pack", shown(&ttl), "--name", "ttl", "--config", shown(&config)], 0);
    let packed = folder.path().join("ttl.yaml");
    fs::write(&packed, map).unwrap();
    let base = ["policy", "diff", "-f", shown(&dir), "--old", "box"];
    let call = |new: &[&str]| {
        let args: Vec<&str> = base.iter().copied().chain(new.iter().flat_map(|new| ["--new", *new])).collect();
        run(&args)
    };
    // Alone, it leaves names and targets to the box, and says that the Domain has them elsewhere.
    let alone = call(&[shown(&packed)]);
    let (stdout, stderr) = (text(&alone.stdout), text(&alone.stderr));
    assert_eq!(alone.status.code(), Some(1), "{stdout}{stderr}");
    assert!(stdout.contains("0 names added, 0 removed, 5 changed"), "{stdout}");
    let naming = "Domain galactic has its naming from ConfigMap mine";
    assert!(stderr.contains(naming) && !stderr.contains("its ttl"), "{stderr}");
    // Together with the policy that has the names.
    let both = call(&[shown(&packed), &format!("naming,selection={}", shown(&whole))]);
    let (stdout, stderr) = (text(&both.stdout), text(&both.stderr));
    assert!(stdout.contains("3 names added, 5 removed") && stdout.contains("naming+selection: my-policy"), "{stdout}");
    assert!(!stderr.contains("note:"), "{stderr}");
    // Who decides must be clear.
    let twice = text(&call(&[shown(&packed), shown(&whole)]).stderr);
    assert!(twice.contains("both decide ttl"), "{twice}");
    let lacking = text(&call(&[&format!("naming={}", shown(&packed))]).stderr);
    assert!(lacking.contains("ttl.yaml: refused (AspectMissing)"), "{lacking}");
    let args = [&base[..], &["--new", shown(&packed), "--new", shown(&whole), "--new-config", shown(&config)]].concat();
    assert!(err(&args, 2).contains("one configuration cannot be for 2 policies"));
}

#[test]
fn a_decision_can_be_made_again() {
    let dir = Folder::new();
    let file = dir.path().join("bundle.json");
    let folder = case("services-both");
    out(&["explain", "test/nginx", "-f", &folder, "--bundle", shown(&file)], 0);
    let bundle: Value = serde_json::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
    assert_eq!((&bundle["kind"], &bundle["version"]), (&"mcsdns-decision".into(), &1.into()));
    assert_eq!(bundle["input"]["subject"]["service"], "nginx");
    assert_eq!(bundle["policies"][0]["digest"].as_str().unwrap().len(), 64);
    assert_eq!(bundle["published"].as_array().unwrap().len(), 5);
    let same = out(&["policy", "replay", shown(&file)], 0);
    assert!(same.contains("The answer is the same.") && same.contains("(the same)"), "{same}");
    let other = out(&["policy", "replay", shown(&file), "--policy", shown(&component())], 1);
    assert!(other.contains("+nginx.example.com 300 A 10.20.30.1 10.20.30.2"), "{other}");
    assert!(other.contains("does not know the label example.com/draining"), "{other}");
    let replay = json(&["policy", "replay", shown(&file), "--policy", shown(&component()), "-o", "json"], 1);
    assert_eq!((&replay["same"], &replay["samePolicies"]), (&false.into(), &false.into()));
    // What was written by a policy with needs is asked with them again.
    let own = dir.path().join("own.json");
    let (policy, component) = ("--policy", component());
    out(&["explain", "test/nginx", "-f", &folder, policy, shown(&component), "--bundle", shown(&own)], 0);
    out(&["policy", "replay", shown(&own), policy, shown(&component)], 0);
    let newer = fs::read_to_string(&file).unwrap().replace("\"version\": 1", "\"version\": 2");
    let error = err(&["policy", "replay", &dir.file("newer.json", newer)], 2);
    assert!(error.contains("use a newer mcsdns"), "{error}");
    err(&["policy", "replay", &dir.file("none.json", "{}")], 2);
    let error = err(&["explain", "test/nginx", "-f", &case("services-no-clusters"), "--bundle", shown(&file)], 2);
    assert!(error.contains("no policy is asked about it"), "{error}");
}

#[test]
fn figures_beside_the_policy_in_the_box() {
    let rows = json(&["policy", "bench", shown(&component()), "--sizes", "3,50", "--time", "20ms", "-o", "json"], 0);
    let titles: Vec<&str> = rows.as_array().unwrap().iter().map(|row| row["title"].as_str().unwrap()).collect();
    assert_eq!((titles[0], titles.len()), ("my-policy 0.1.0", 2));
    for row in rows.as_array().unwrap() {
        let sizes = row["sizes"].as_array().unwrap();
        assert!(sizes[1]["fuel"].as_u64() > sizes[0]["fuel"].as_u64(), "{row}");
        assert!(sizes[0]["medianMicros"].as_u64().unwrap() > 0, "{row}");
    }
    // What was measured before it failed is not lost.
    let output = run(&["policy", "bench", "box", "--sizes", "3,10,1000", "--time", "1ms", "--budget", "fuel=120000"]);
    let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
    assert_eq!((output.status.code(), stdout.matches("default 0.1.0  ").count()), (Some(2), 2), "{stdout}{stderr}");
    assert!(stderr.contains("default 0.1.0: about 1000 clusters there is no decision: "), "{stderr}");
    let table = out(&["policy", "bench", "box", "--sizes", "3", "--time", "1ms"], 0);
    assert_eq!(table.lines().filter(|line| line.starts_with("default 0.1.0  ")).count(), 1, "{table}");
}

#[test]
fn the_interface_is_printed() {
    assert!(out(&["policy", "interface"], 0).starts_with("# The policy interface\n"));
    assert!(out(&["policy", "interface", "-o", "wit"], 0).starts_with("package mcsdns:policy@0.1.0;"));
}
