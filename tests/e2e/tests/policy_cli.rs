//! `mcsdns policy` and `explain --bundle` against a cluster: what they tell is what the controller published, and nothing
//! is written.

#![allow(clippy::indexing_slicing, clippy::unwrap_used, reason = "a test may fail by panicking")]

use mcsdns_bench::components::TTL_ONLY;
use mcsdns_e2e::{Member, World, run, told};
use mcsdns_testbed::fixtures;
use serde_json::{Value, json};

const TWO: [Member; 2] =
    [Member { name: "c1", region: "eu", zone: "eu1" }, Member { name: "c2", region: "us", zone: "us1" }];

#[tokio::test(flavor = "multi_thread")]
async fn what_would_change_is_told_without_changing_it() {
    let world = World::start(&TWO).await.unwrap();
    let controller = world.controller("controller", &[]).await.unwrap();
    world.domain("galactic", "example.com", json!({})).await.unwrap();
    world.record("test", "nginx", json!({"domainRef": "galactic"})).await.unwrap();
    let member = world.client("c1").await.unwrap();
    fixtures::served(&member, "test", "nginx", &["10.20.30.1"], 1).await.unwrap();
    let g = |place: &str| format!("nginx.test.galactic.svc.{place}example.com");
    let published = [
        format!("{} A 180 10.20.30.1", g("")),
        format!("{} A 180 10.20.30.1", g("eu.")),
        format!("{} A 180 10.20.30.1", g("eu1.eu.")),
        format!("{} CNAME 180 {}", g("us."), g("")),
        format!("{} CNAME 180 {}", g("us1.us."), g("us.")),
    ];
    world.published("test", "nginx", &published).await.unwrap();
    world.condition(("ServiceDNSRecord", "test", "nginx"), "Programmed", "True/Programmed").await.unwrap();
    // What was published is told by the statuses alone.
    controller.stop().unwrap();
    let mark = world.cluster("host").unwrap().audit_mark().await.unwrap();

    let file = |name: &str, content: &[u8]| {
        let path = world.folder().join(name);
        std::fs::write(&path, content).unwrap();
        path.display().to_string()
    };
    let kubeconfig = world.kubeconfig().display().to_string();
    let (component, config) = (file("ttl.wasm", TTL_ONLY), file("config.json", br#""behave""#));
    let same = ["policy", "diff", "--new", "box", "--kubeconfig", &kubeconfig];
    let same = run(&same, None).await.unwrap();
    assert!(same.contains("0 names added, 0 removed, 0 changed, 5 unchanged, in 1 records"), "{same}");
    let args =
        ["policy", "diff", "--new", &component, "--new-config", &config, "--kubeconfig", &kubeconfig, "-o", "json"];
    let difference: Value = serde_json::from_str(&told(&args).await.unwrap()).unwrap();
    assert_eq!((&difference["changed"], &difference["unchanged"]), (&5.into(), &0.into()), "{difference}");
    let change = difference["names"].as_array().unwrap().iter().find(|change| change["name"] == g("us.")).unwrap();
    assert_eq!(change["before"], json!([format!("180 CNAME {}", g(""))]));
    assert_eq!(change["after"], json!([format!("60 CNAME {}", g(""))]));

    let bundle = world.folder().join("bundle.json").display().to_string();
    told(&["explain", "test/nginx", "--kubeconfig", &kubeconfig, "--bundle", &bundle]).await.unwrap();
    let written: Value = serde_json::from_str(&std::fs::read_to_string(&bundle).unwrap()).unwrap();
    assert_eq!(written["input"]["clusters"][1]["state"], "no-service");
    assert_eq!(written["published"].as_array().unwrap().len(), 5);
    let again = run(&["policy", "replay", &bundle], None).await.unwrap();
    assert!(again.contains("The answer is the same."), "{again}");
    let writes = world.writes_since(mark).await.unwrap();
    assert!(writes.is_empty(), "{writes:?}");
}
