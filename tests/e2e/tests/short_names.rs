//! A policy that people use, from its source to the answers of a name server.

#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

use std::path::Path;

use mcsdns_e2e::{Member, NAMESPACE, SOON, World, run};
use mcsdns_testbed::{Bind, ExternalDns, ExternalDnsVersion, apply, dig, fixtures, wait_until};
use serde_json::json;

const ONE: [Member; 1] = [Member { name: "c1", region: "us", zone: "us1" }];
const DOMAIN: (&str, &str, &str) = ("Domain", NAMESPACE, "galactic");

/// Packs the policy with a configuration, as its users do.
async fn pack(folder: &Path, component: &Path, config: &str) -> String {
    let path = folder.join("config.yaml");
    std::fs::write(&path, config).unwrap();
    let (path, component) = (path.to_string_lossy(), component.to_string_lossy());
    run(&["policy", "pack", &component, "--name", "short-names", "--config", &path], None).await.unwrap()
}

async fn answers(bind: &Bind, name: &str, expected: &[&str]) {
    wait_until(SOON, &format!("{name} to answer {expected:?}"), async || {
        let found = dig(bind.address(), name, "A").await?;
        anyhow::ensure!(found == expected, "dig says {found:?}");
        Ok(())
    })
    .await
    .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn short_names_from_their_source_to_dig() {
    let world = World::start(&ONE).await.unwrap();
    let project = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../plugins/short-names");
    let component = world.folder().join("short-names.wasm");
    let (project, out) = (project.to_string_lossy(), component.to_string_lossy());
    run(&["policy", "build", &project, "--out", &out, "--locked"], None).await.unwrap();

    let bind = Bind::start(&["example.com"]).await.unwrap();
    let host = world.cluster("host").unwrap();
    let _external_dns = ExternalDns::start(ExternalDnsVersion::V0_21, host, &bind).await.unwrap();
    let _controller = world.controller("controller", &[]).await.unwrap();
    let domain = async |policies: serde_json::Value| world.domain("galactic", "example.com", policies).await.unwrap();
    domain(json!({})).await;
    let member = world.client("c1").await.unwrap();
    fixtures::served(&member, "test", "shop", &["10.20.30.1"], 1).await.unwrap();
    world.record("test", "shop", json!({"domainRef": "galactic"})).await.unwrap();
    let long = "shop.test.galactic.svc.example.com";
    answers(&bind, long, &["10.20.30.1"]).await;

    // Beside the names that clients know: nothing is removed, so nobody has to be asked.
    apply(host, &pack(world.folder(), &component, "federated: true\n").await).await.unwrap();
    domain(json!({"policies": {"naming": "short-names"}})).await;
    let message = world.condition(DOMAIN, "PoliciesReady", "True/PoliciesActive").await.unwrap();
    assert!(message.contains("naming by short-names"), "{message}");
    answers(&bind, "shop.example.com", &["10.20.30.1"]).await;
    answers(&bind, long, &["10.20.30.1"]).await;

    // In their place: that would remove three of four.
    apply(host, &pack(world.folder(), &component, "federated: false\n").await).await.unwrap();
    let message = world.condition(DOMAIN, "PoliciesReady", "False/ApprovalNeeded").await.unwrap();
    assert!(message.contains("0 names added, 3 removed, 0 changed, of 4 published"), "{message}");
    assert!(message.contains(long), "{message}");
    domain(json!({"policies": {"naming": "short-names", "maxRemovedPercent": 75}})).await;
    world.condition(DOMAIN, "PoliciesReady", "True/PoliciesActive").await.unwrap();
    answers(&bind, long, &[]).await;
    answers(&bind, "shop.example.com", &["10.20.30.1"]).await;

    // A template that makes no sense is refused in words, and changes nothing.
    apply(host, &pack_anyway(&world, &component, "everywhere: \"{nmae}.{domain}\"\n").await).await.unwrap();
    let message = world.condition(DOMAIN, "PoliciesReady", "False/CandidateRefused").await.unwrap();
    assert!(message.contains("nmae"), "{message}");
    answers(&bind, "shop.example.com", &["10.20.30.1"]).await;
}

/// `pack` would refuse this configuration; kubectl does not know better.
async fn pack_anyway(world: &World, component: &Path, config: &str) -> String {
    let good = pack(world.folder(), component, "federated: false\n").await;
    let bad = good.replace("federated: false", config.trim());
    assert_ne!(good, bad);
    bad
}
