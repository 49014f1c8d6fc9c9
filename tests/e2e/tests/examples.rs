//! The policies of `plugins/`, each deciding for a Domain of its own on real servers.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test may fail by panicking")]

use std::path::{Path, PathBuf};

use mcsdns_e2e::{Member, NAMESPACE, World, endpoint, run};
use mcsdns_testbed::{apply, fixtures};
use serde_json::{Value, json};

/// Nothing is served in asia.
const THREE: [Member; 3] = [
    Member { name: "c1", region: "us", zone: "us1" },
    Member { name: "c2", region: "eu", zone: "eu1" },
    Member { name: "c3", region: "asia", zone: "asia1" },
];
const C1: &str = "10.20.30.1";
const C2: &str = "10.20.30.2";
const BOTH: &str = "10.20.30.1,10.20.30.2";

/// A policy, what it decides, its configuration, and what must be published for the record of the same name.
struct Example {
    name: &'static str,
    aspects: &'static [&'static str],
    config: &'static str,
    published: Vec<String>,
}

/// The names of the box with these answers: everywhere, us, eu, asia and its zone.
fn boxed(policy: &str, ttl: u32, everywhere: &[&str], asia: &str) -> Vec<String> {
    let stem = format!("{policy}.test.{policy}.svc");
    let zone = format!("{policy}.example.com");
    let mut lines: Vec<String> =
        everywhere.iter().map(|addresses| format!("{stem}.{zone} A {ttl} {addresses}")).collect();
    for (place, answer) in [
        ("us", format!("A {ttl} {C1}")),
        ("us1.us", format!("A {ttl} {C1}")),
        ("eu", format!("A {ttl} {C2}")),
        ("eu1.eu", format!("A {ttl} {C2}")),
        ("asia", asia.replace("TTL", &ttl.to_string()).replace("EVERYWHERE", &format!("{stem}.{zone}"))),
        ("asia1.asia", format!("CNAME {ttl} {stem}.asia.{zone}")),
    ] {
        lines.push(format!("{stem}.{place}.{zone} {answer}"));
    }
    lines
}

fn examples() -> Vec<Example> {
    let follows = "CNAME TTL EVERYWHERE";
    let example = |name, aspects, config, published| Example { name, aspects, config, published };
    let flat = |suffix: &str, answer: &str| format!("flat-names-c-test{suffix}.flat-names-c.example.com {answer}");
    vec![
        example("failover", &["selection"], "tiers: [{clusters: [c1]}]", boxed("failover", 180, &[C1], follows)),
        example(
            "nearest-region",
            &["selection"],
            "neighbours: {asia: [eu]}",
            boxed("nearest-region", 180, &[BOTH], &format!("A TTL {C2}")),
        ),
        example(
            "weighted",
            &["selection"],
            "{provider: aws, clusters: {c1: 60}, places: [everywhere]}",
            boxed("weighted", 180, &[C1, C2], follows),
        ),
        // The states of the clusters are as old as the record.
        example("adaptive-ttl", &["ttl"], "{changing: 25}", boxed("adaptive-ttl", 25, &[BOTH], follows)),
        example(
            "cel",
            &["naming", "ttl"],
            "{names: [{name: \"record.name + '.' + record.domain\"}], ttl: \"6 * 7\"}",
            vec![format!("cel.cel.example.com A 42 {BOTH}")],
        ),
        example(
            "flat-names-c",
            &["naming"],
            "",
            vec![
                flat("", &format!("A 180 {BOTH}")),
                flat("-us", &format!("A 180 {C1}")),
                flat("-eu", &format!("A 180 {C2}")),
                flat("-asia", "CNAME 180 flat-names-c-test.flat-names-c.example.com"),
            ],
        ),
    ]
}

/// Builds the policies; what needs a compiler that is not here is left out.
async fn build() -> PathBuf {
    let plugins = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../plugins");
    let built = tokio::process::Command::new(plugins.join("build.sh")).output().await.unwrap();
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    println!("{}", String::from_utf8_lossy(&built.stdout));
    plugins.join("target/policies")
}

#[tokio::test(flavor = "multi_thread")]
async fn every_example_decides_for_a_domain() {
    let built = build().await;
    let world = World::start(&THREE).await.unwrap();
    let _controller = world.controller("controller", &[]).await.unwrap();
    let host = world.cluster("host").unwrap();
    let mut asked = Vec::new();
    for example in examples() {
        let component = built.join(example.name).with_extension("wasm");
        if !component.is_file() {
            assert_eq!(example.name, "flat-names-c", "{} has not been built", component.display());
            println!("{} left out: it needs clang", example.name);
            continue;
        }
        let component = component.to_string_lossy().into_owned();
        let config = world.folder().join(format!("{}.yaml", example.name));
        std::fs::write(&config, example.config).unwrap();
        let config = config.to_string_lossy().into_owned();
        let mut args = vec!["policy", "pack", &component, "--name", example.name];
        if !example.config.is_empty() {
            args.extend(["--config", &config]);
        }
        apply(host, &run(&args, None).await.unwrap()).await.unwrap();
        let policies: Value = example
            .aspects
            .iter()
            .map(|aspect| (*aspect).to_owned())
            .zip(std::iter::repeat(json!(example.name)))
            .collect::<serde_json::Map<_, _>>()
            .into();
        let zone = format!("{}.example.com", example.name);
        world.domain(example.name, &zone, json!({ "policies": policies })).await.unwrap();
        for (cluster, address) in [("c1", C1), ("c2", C2)] {
            let client = world.client(cluster).await.unwrap();
            fixtures::served(&client, "test", example.name, &[address], 1).await.unwrap();
        }
        world.record("test", example.name, json!({"domainRef": example.name})).await.unwrap();
        asked.push(example);
    }
    for example in &asked {
        let domain = ("Domain", NAMESPACE, example.name);
        let message = world.condition(domain, "PoliciesReady", "True/PoliciesActive").await.unwrap();
        assert!(message.contains(example.name), "{message}");
        world.published("test", example.name, &example.published).await.unwrap();
    }
    // Weights are properties of sets that only Route 53 understands.
    let client = world.client("host").await.unwrap();
    let object = endpoint(&client, "test", "weighted").await.unwrap();
    let sets: Vec<String> = object.data["spec"]["endpoints"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|endpoint| endpoint.get("setIdentifier").is_some())
        .map(|endpoint| format!("{} {}", endpoint["setIdentifier"], endpoint["providerSpecific"]))
        .collect();
    assert_eq!(sets, [r#""c1" [{"name":"aws/weight","value":"60"}]"#, r#""c2" [{"name":"aws/weight","value":"100"}]"#]);
}
