//! What is not accepted as a policy, and what is said about it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may fail by panicking"
)]

mod common;

use common::{DEFAULT, ENGINE, MISBEHAVING, TTL_ONLY, assert_alive, component, load, unhurried};
use mcsdns_policy::{Aspect, Budget, LoadError, LoadRequest, PolicySet, default_policy_bytes};

/// A component with the given imports and nothing else.
fn importing(imports: &str) -> Vec<u8> {
    component(&format!("(component {imports})"))
}

/// The component with one text replaced by another of the same length, wherever it stands.
fn patched(bytes: &[u8], from: &str, to: &str) -> Vec<u8> {
    assert_eq!(from.len(), to.len());
    let mut patched = bytes.to_vec();
    let mut found = 0;
    for at in 0..=bytes.len() - from.len() {
        if &bytes[at..at + from.len()] == from.as_bytes() {
            patched[at..at + from.len()].copy_from_slice(to.as_bytes());
            found += 1;
        }
    }
    assert!(found > 0, "{from} not found");
    patched
}

fn refused(bytes: &[u8]) -> LoadError {
    let error = load(bytes).expect_err("should be refused");
    assert_alive();
    error
}

#[test]
fn bytes_that_are_no_component() {
    for (bytes, says) in [
        (b"".to_vec(), "it is empty"),
        (b"apiVersion: v1".to_vec(), "does not begin like WebAssembly"),
        (component("(module)"), "core module"),
        (default_policy_bytes()[..default_policy_bytes().len() / 2].to_vec(), "unexpected"),
    ] {
        let error = refused(&bytes);
        assert_eq!(error.reason(), "NotAComponent");
        assert!(error.to_string().contains(says), "{error}");
    }
    let garbage = [default_policy_bytes(), b"garbage"].concat();
    assert_eq!(refused(&garbage).reason(), "NotAComponent");
}

#[test]
fn machine_code() {
    // Begins as the sandbox's own artefacts do: an object file that says what it is.
    let engine = wasmtime::Engine::default();
    let artefact = engine.precompile_component(&component("(component)")).unwrap();
    assert_eq!(refused(&artefact), LoadError::Precompiled);
}

#[test]
fn too_large() {
    let mut budget = Budget::default();
    budget.component_bytes = 100;
    let error = ENGINE.load(&LoadRequest { budget, ..LoadRequest::new("large", default_policy_bytes()) }).unwrap_err();
    assert_eq!(error, LoadError::TooLarge { bytes: default_policy_bytes().len(), limit: 100 });
}

#[test]
fn a_budget_beyond_the_ceiling() {
    let mut budget = Budget::default();
    budget.wall_millis = 3_600_000;
    let error = ENGINE.load(&LoadRequest { budget, ..LoadRequest::new("greedy", default_policy_bytes()) }).unwrap_err();
    assert_eq!(error.to_string(), "budget: wallMillis may be at most 5000, not 3600000");
}

#[test]
fn the_declared_digest_must_fit() {
    let request = LoadRequest::new("default", default_policy_bytes());
    let digest = mcsdns_policy::Digest::of(default_policy_bytes()).to_string();
    let padded = format!(" {}\n", digest.to_uppercase());
    assert!(ENGINE.load(&LoadRequest { sha256: Some(&padded), ..request }).is_ok());
    let error = ENGINE.load(&LoadRequest { sha256: Some("abc"), ..request }).unwrap_err();
    assert_eq!(error.to_string(), format!("sha256 of the component is {digest}, declared is abc"));
}

#[test]
fn imports_beyond_the_log() {
    let wasi = r#"(import "wasi:cli/environment@0.2.0" (instance
        (export "get-arguments" (func (result (list string))))))"#;
    let error = refused(&importing(wasi));
    assert_eq!(
        error.to_string(),
        "imports wasi:cli/environment@0.2.0: policies get no WASI: no clock, no randomness, no environment, no files, \
         no network"
    );
    let error = refused(&importing(r#"(import "kubernetes:client/secrets@1.0.0" (instance))"#));
    assert_eq!(error.reason(), "ForbiddenImport");
    assert!(error.to_string().starts_with("imports kubernetes:client/secrets@1.0.0: the only thing"), "{error}");
    let error = refused(&importing(r#"(import "mcsdns:policy/secrets@0.1.0" (instance))"#));
    assert_eq!(error.reason(), "ForbiddenImport");
    let error = refused(&importing(r#"(import "mcsdns:policy/log@0.1.0" (instance (export "shout" (func))))"#));
    assert!(error.to_string().starts_with("imports mcsdns:policy/log@0.1.0#shout: the only thing"), "{error}");
}

#[test]
fn other_worlds() {
    assert_eq!(
        refused(&component("(component)")).to_string(),
        "the component implements no interface of mcsdns:policy; it exports nothing"
    );
    let error =
        refused(&component(r#"(component (instance $i) (export "kubewarden:policy/validate@1.0.0" (instance $i)))"#));
    assert!(error.to_string().ends_with("it exports kubewarden:policy/validate@1.0.0"), "{error}");
}

#[test]
fn other_versions() {
    for version in ["0.2.0", "0.9.9", "1.0.0", "0.1.0-rc.1"] {
        let error = refused(&component(&format!(
            r#"(component (instance $i) (export "mcsdns:policy/lifecycle@{version}" (instance $i)))"#
        )));
        assert_eq!(
            error.to_string(),
            format!("the component is made for mcsdns:policy@{version}; this host runs 0.1.x")
        );
    }
    let error = refused(&importing(r#"(import "mcsdns:policy/clock@0.2.0" (instance))"#));
    assert_eq!(error.reason(), "UnsupportedVersion");
    let newer = patched(MISBEHAVING, "@0.1.0", "@0.2.0");
    assert_eq!(refused(&newer).reason(), "UnsupportedVersion");
    // A patch release may only add what older hosts can do without.
    assert!(load(&patched(default_policy_bytes(), "@0.1.0", "@0.1.7")).is_ok());
}

#[test]
fn missing_parts() {
    let error =
        refused(&component(r#"(component (instance $i) (export "mcsdns:policy/lifecycle@0.1.0" (instance $i)))"#));
    assert_eq!(error.to_string(), "function lifecycle.describe is missing; expected: describe: func() -> description");
    let error = refused(&component(r#"(component (instance $i) (export "mcsdns:policy/naming@0.1.0" (instance $i)))"#));
    assert!(error.to_string().starts_with("interface lifecycle is missing"), "{error}");
}

#[test]
fn functions_of_another_type() {
    let text = r#"(component
        (core module $m (func (export "f") (result i32) i32.const 1))
        (core instance $m (instantiate $m))
        (func $f (result u32) (canon lift (core func $m "f")))
        (instance $lifecycle (export "describe" (func $f)) (export "configure" (func $f)))
        (instance $ttl (export "ttls" (func $f)))
        (export "mcsdns:policy/lifecycle@0.1.0" (instance $lifecycle))
        (export "mcsdns:policy/ttl@0.1.0" (instance $ttl)))"#;
    let error = refused(&component(text));
    assert_eq!(error.reason(), "WrongType");
    assert!(error.to_string().contains("interface lifecycle") && error.to_string().contains("func()"), "{error}");
}

#[test]
fn a_log_of_another_type() {
    let text = r#"(component
        (import "mcsdns:policy/log@0.1.0" (instance (export "log" (func (param "message" string)))))
        (core module $m (func (export "f") (result i32) i32.const 1))
        (core instance $m (instantiate $m))
        (func $f (result u32) (canon lift (core func $m "f")))
        (instance $lifecycle (export "describe" (func $f)) (export "configure" (func $f)))
        (instance $ttl (export "ttls" (func $f)))
        (export "mcsdns:policy/lifecycle@0.1.0" (instance $lifecycle))
        (export "mcsdns:policy/ttl@0.1.0" (instance $ttl)))"#;
    let error = refused(&component(text));
    assert_eq!(error.reason(), "WrongType");
    assert!(error.to_string().contains("log: func(level: level, message: string)"), "{error}");
}

#[test]
fn needs_may_be_up_to_the_configuration() {
    let labels = |deed| common::misbehaving(deed, Budget::default()).unwrap().needs().cluster_labels.clone();
    assert_eq!(labels("nothing"), ["misbehaving/label", "other/label"]);
    assert_eq!(labels("need-one-label"), ["by/configuration"]);
}

#[test]
fn parts_beyond_the_host_s_means() {
    let many = "(memory 1)".repeat(5);
    let error = refused(&component(&format!("(component (core module {many}))")));
    assert_eq!(error.to_string(), "the component has 5 memories, the limit is 4");
    let many = "(core instance (instantiate $m))".repeat(80);
    let error = refused(&component(&format!("(component (core module $m) {many})")));
    assert_eq!(error.to_string(), "the component has 80 core instances, the limit is 64");
}

#[test]
fn memory_and_tables_beyond_the_budget_at_the_start() {
    let lifecycle = r#"
        (func $f (result u32) (canon lift (core func $i "f")))
        (instance $l (export "describe" (func $f)) (export "configure" (func $f)))
        (instance $t (export "ttls" (func $f)))
        (export "mcsdns:policy/lifecycle@0.1.0" (instance $l))
        (export "mcsdns:policy/ttl@0.1.0" (instance $t))"#;
    for (part, reason) in [
        ("(memory 300)", "OutOfMemory"),
        ("(table 15000 funcref)", "TableLimit"),
        ("(func $loop (loop br 0)) (start $loop)", "OutOfFuel"),
        ("(func $trap unreachable) (start $trap)", "Trap"),
    ] {
        let text = format!(
            r#"(component
                (core module $m {part} (func (export "f") (result i32) i32.const 1))
                (core instance $i (instantiate $m)) {lifecycle})"#
        );
        let error = refused(&component(&text));
        assert_eq!(error.reason(), reason, "{part}: {error}");
    }
}

#[test]
fn descriptions_that_are_none() {
    let error = refused(&patched(MISBEHAVING, "misbehaving", "mis\nbehave\0"));
    assert_eq!(error.reason(), "BadDescription");
    assert!(error.to_string().starts_with("describe: name: must be"), "{error}");
    let error = refused(&patched(MISBEHAVING, r#"{"type": "string"}"#, r#"{"type": "strung"}"#));
    assert_eq!(error.reason(), "BadSchema");
}

#[test]
fn a_configuration_for_a_policy_that_takes_none() {
    let with = |config| ENGINE.load(&LoadRequest { config, ..LoadRequest::new("default", default_policy_bytes()) });
    assert_eq!(with(Some("{}")).unwrap_err().to_string(), "configuration: this policy takes none");
    assert!(with(Some("")).is_ok());
    assert!(with(Some("# nothing\n")).is_ok());
}

#[test]
fn a_policy_in_charge_of_what_it_does_not_do() {
    let ttl_only = ENGINE.load(&LoadRequest { config: Some("behave"), ..LoadRequest::new("ttl", TTL_ONLY) }).unwrap();
    assert_eq!(ttl_only.aspects(), [Aspect::Ttl]);
    let error = PolicySet::all(&ttl_only).unwrap_err();
    assert_eq!(error.to_string(), "does not implement naming, only ttl");
}

#[test]
fn policies_for_different_questions_work_together() {
    let ttl = ENGINE.load(&LoadRequest { config: Some("behave"), ..LoadRequest::new("ttl", TTL_ONLY) }).unwrap();
    let default = DEFAULT.policy(Aspect::Naming);
    let policies = PolicySet::new(default.clone(), default.clone(), ttl).unwrap();
    let reference = policies.policy_ref();
    assert_eq!(&*reference.title, "naming+selection: default 0.1.0, ttl: misbehaving 0.1.0");
    assert_ne!(reference.id, DEFAULT.policy_ref().id);
    assert!(reference.needs.addresses && !default.needs().addresses);
    let input = mcsdns_bench::fleet::fleet(3);
    let (mixed, plain) = (policies.decide(&input).unwrap().output, DEFAULT.decide(&input).unwrap().output);
    assert_eq!((&mixed.names, &mixed.decisions), (&plain.names, &plain.decisions));
    assert!(mixed.ttls.iter().all(|ttl| *ttl == 60));
}

#[test]
fn whatever_may_change_an_answer_makes_another_policy() {
    let id = |config: &str, fuel| {
        let mut budget = unhurried();
        budget.fuel = fuel;
        let request = LoadRequest { config: Some(config), budget, ..LoadRequest::new("test", MISBEHAVING) };
        PolicySet::all(&ENGINE.load(&request).unwrap()).unwrap().policy_ref().id
    };
    let (fuel, config) = (Budget::default().fuel, "\"behave\"");
    assert_eq!(id(config, fuel), id(config, fuel));
    assert_ne!(id(config, fuel), id("\"fleet\"", fuel));
    assert_ne!(id(config, fuel), id(config, fuel + 1));
}
