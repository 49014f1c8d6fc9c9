//! Policies in a cluster: taken over, refused, rolled back, deleted, composed; with the shipped roles.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test may fail by panicking"
)]

use std::{collections::BTreeMap, time::Duration};

use k8s_openapi::{ByteString, api::core::v1::ConfigMap, apimachinery::pkg::apis::meta::v1::ObjectMeta};
use kube::{Api, api::DeleteParams};
use mcsdns_bench::components::{MISBEHAVING, TTL_ONLY};
use mcsdns_e2e::{Controller, Member, NAMESPACE, SOON, World};
use mcsdns_testbed::{AuditMark, fixtures, kubectl, stays, wait_until};
use serde_json::{Value, json};

const ONE: [Member; 1] = [Member { name: "c1", region: "us", zone: "us1" }];
const ALLOW: &str = "multiclusterdns.federation.k8s.io/allow-removal";
const DOMAIN: (&str, &str, &str) = ("Domain", NAMESPACE, "galactic");

/// What the policy in the box names a record of namespace `test`.
fn boxed(record: &str, ttl: u32) -> Vec<String> {
    let g = format!("{record}.test.galactic.svc");
    ["", "us.", "us1.us."].iter().map(|place| format!("{g}.{place}example.com A {ttl} 10.20.30.1")).collect()
}

/// What the policy of these tests names it.
fn short(record: &str, ttl: u32) -> Vec<String> {
    vec![format!("{record}.example.com A {ttl} 10.20.30.1")]
}

fn config_map(name: &str, binary: &[(&str, &[u8])], data: &[(&str, &str)]) -> Value {
    let binary = binary.iter().map(|(key, bytes)| ((*key).to_owned(), ByteString(bytes.to_vec())));
    let map = ConfigMap {
        metadata: ObjectMeta {
            name: Some(name.to_owned()),
            namespace: Some(NAMESPACE.to_owned()),
            labels: Some([("multiclusterdns.federation.k8s.io/policy".to_owned(), "true".to_owned())].into()),
            ..ObjectMeta::default()
        },
        binary_data: Some(binary.collect()),
        data: Some(data.iter().map(|(key, text)| ((*key).to_owned(), (*text).to_owned())).collect()),
        ..ConfigMap::default()
    };
    let mut value = serde_json::to_value(map).unwrap();
    value["apiVersion"] = "v1".into();
    value["kind"] = "ConfigMap".into();
    value
}

/// The policy that does as its configuration says, with all the time there is: on the busiest machine a loop shall end
/// by its fuel.
fn deed(name: &str, deed: &str) -> Value {
    let budget = "wallMillis: 5000\nconfigureMillis: 60000\n";
    config_map(name, &[("policy.wasm", MISBEHAVING)], &[("config", &format!("{deed:?}")), ("budget", budget)])
}

async fn policies(world: &World, policies: Value) {
    world.domain("galactic", "example.com", json!({ "policies": policies })).await.unwrap();
}

async fn ready(world: &World, expected: &str) -> String {
    world.condition(DOMAIN, "PoliciesReady", expected).await.unwrap()
}

/// `Domain.status.policies[]` of an aspect.
async fn status(world: &World, aspect: &str) -> Value {
    let api = world.ours("Domain", NAMESPACE).await.unwrap();
    let object = api.get("galactic").await.unwrap();
    let all = object.data.pointer("/status/policies").and_then(Value::as_array).cloned().unwrap_or_default();
    all.into_iter().find(|policy| policy["aspect"] == aspect).unwrap_or_default()
}

async fn annotate(world: &World, value: &str) {
    let host = world.cluster("host").unwrap();
    let annotation = format!("{ALLOW}={value}");
    let args = ["annotate", "domain", "galactic", &annotation, "--overwrite", "-n", NAMESPACE];
    kubectl(host, &args, None).await.unwrap();
}

async fn delete_map(world: &World, name: &str) {
    let maps: Api<ConfigMap> = Api::namespaced(world.client("host").await.unwrap(), NAMESPACE);
    maps.delete(name, &DeleteParams::default()).await.unwrap();
}

async fn served(world: &World, record: &str) {
    let member = world.client("c1").await.unwrap();
    fixtures::served(&member, "test", record, &["10.20.30.1"], 1).await.unwrap();
    world.record("test", record, json!({"domainRef": "galactic"})).await.unwrap();
}

/// Restarts the controller, which writes nothing, as nothing has changed.
async fn restarted(world: &World, controller: Controller, name: &str, flags: &[&str]) -> Controller {
    controller.stop().unwrap();
    let mark = world.cluster("host").unwrap().audit_mark().await.unwrap();
    let controller = world.controller(name, flags).await.unwrap();
    stays(Duration::from_secs(5), "no write after a restart", async || {
        let writes = world.writes_since(mark).await?;
        anyhow::ensure!(writes.is_empty(), "{writes:#?}");
        Ok(())
    })
    .await
    .unwrap();
    controller
}

/// The head of an object file that says it was made by the sandbox's own compiler.
fn precompiled() -> Vec<u8> {
    let mut elf = vec![0; 64];
    elf[..8].copy_from_slice(&[0x7f, b'E', b'L', b'F', 2, 1, 1, 200]);
    (elf[16], elf[20], elf[48], elf[52]) = (1, 1, 2, 64);
    elf
}

fn bomb() -> Vec<u8> {
    use std::io::Write as _;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    let zeros = vec![0; 1 << 20];
    for _ in 0..64 {
        encoder.write_all(&zeros).unwrap();
    }
    encoder.finish().unwrap()
}

/// ConfigMaps that must be refused, with the verdict of each and words that its message must have.
fn bad_maps() -> Vec<(Value, &'static str, &'static str)> {
    let mut bad: Vec<(Value, &str, &str)> = [
        ("loop-in-names", "OutOfFuel", "used up its fuel"),
        ("grow-in-names", "OutOfMemory", "bytes of memory"),
        ("recurse-in-names", "StackOverflow", "call stack exhausted"),
        ("trap-in-names", "Trap", "crashed"),
        ("panic-in-names", "Trap", "crashed"),
        ("log-flood", "OutOfFuel", "used up its fuel"),
        ("refuse", "PolicyRefused", "subject.service: asked to"),
        ("too-many-names", "TooManyAnswers", "2001 names"),
        ("huge-name", "OutputTooLarge", "handed over more than"),
        ("huge-list", "OutputTooLarge", "handed over more than"),
        ("not-utf-8", "MalformedAnswer", "malformed"),
        ("name-outside-domain", "PolicyViolation", "name-outside-domain"),
        ("place-out-of-range", "PolicyViolation", "index-out-of-range"),
        ("fallback-out-of-range", "PolicyViolation", "index-out-of-range"),
        ("alias-to-itself", "PolicyViolation", "alias-loop"),
        ("alias-loop", "PolicyViolation", "alias-loop"),
        ("name-malformed", "ApprovalNeeded", "100 %"),
        ("loop-in-configure", "OutOfFuel", "configure"),
        ("panic-in-configure", "Trap", "configure"),
        ("refuse-in-configure", "ConfigRefused", "asked to"),
    ]
    .into_iter()
    .map(|(name, verdict, words)| (deed("short", name), verdict, words))
    .collect();
    let wasi = wat::parse_str(
        r#"(component (import "wasi:cli/environment@0.2.0" (instance (export "get-environment" (func (result (list (tuple string string))))))))"#,
    )
    .unwrap();
    let raw = |bytes: &[u8], data: &[(&str, &str)]| config_map("short", &[("policy.wasm", bytes)], data);
    let digest = "0".repeat(64);
    bad.extend([
        (raw(b"hello", &[]), "NotAComponent", "not a WebAssembly component"),
        (raw(&precompiled(), &[]), "Precompiled", "precompiled"),
        (raw(&wasi, &[]), "ForbiddenImport", "wasi:cli/environment"),
        (raw(MISBEHAVING, &[("sha256", &digest)]), "DigestMismatch", "declared is 0000"),
        (raw(MISBEHAVING, &[("config", "{a: 1}")]), "ConfigInvalid", "configuration"),
        (raw(MISBEHAVING, &[("budget", "names: 1000000")]), "BudgetInvalid", "at most 10000"),
        (raw(MISBEHAVING, &[("config", "behave"), ("cases", CASE)]), "CaseFailed", "case nothing-published"),
        (config_map("short", &[("policy.wasm.gz", &bomb())], &[]), "UnpackedTooLarge", "unpack to more than 8388608"),
        (config_map("short", &[], &[("config", "x")]), "NoComponent", "binaryData"),
        (raw(TTL_ONLY, &[("config", "behave")]), "AspectMissing", "does not implement naming"),
    ]);
    bad
}

/// A case that expects nothing to be published, which the policy of these tests does not fulfil.
const CASE: &str = "
nothing-published:
  host/all.yaml: |
    apiVersion: multiclusterdns.federation.k8s.io/v1alpha1
    kind: Domain
    metadata: {name: d, namespace: federation-system}
    domain: example.com
    ---
    apiVersion: multiclusterdns.federation.k8s.io/v1alpha1
    kind: ServiceDNSRecord
    metadata: {name: nginx, namespace: test}
    spec: {domainRef: d, allowServiceWithoutEndpoints: true}
  clusters/c1/all.yaml: |
    apiVersion: v1
    kind: Service
    metadata: {name: nginx, namespace: test}
    spec: {type: LoadBalancer}
    status: {loadBalancer: {ingress: [{ip: 10.20.30.1}]}}
  expected.yaml: |
    endpoints: {}
";

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_takes_over_is_refused_rolled_back_and_deleted() {
    let world = World::start(&ONE).await.unwrap();
    let client = world.client("host").await.unwrap();
    let controller = world.controller("first", &[]).await.unwrap();
    world.domain("galactic", "example.com", json!({})).await.unwrap();
    served(&world, "nginx").await;
    world.published("test", "nginx", &boxed("nginx", 180)).await.unwrap();

    // It would remove every name there is: the share guard asks first.
    world.host_apply(&deed("short", "behave")).await.unwrap();
    policies(&world, json!({"naming": "short"})).await;
    let message = ready(&world, "False/ApprovalNeeded").await;
    for words in
        ["1 names added, 3 removed", "100 %", "30 %", "kubectl annotate domain galactic", "-n federation-system"]
    {
        assert!(message.contains(words), "{words}: {message}");
    }
    world.says(&client, "test", "nginx", &boxed("nginx", 180)).await.unwrap();
    let naming = status(&world, "naming").await;
    assert_eq!(naming["configMap"], "short", "{naming}");
    assert_eq!(naming["active"]["configMap"], Value::Null, "{naming}");
    let rollout = naming["candidate"]["rollout"].as_str().unwrap().to_owned();
    annotate(&world, &rollout).await;
    ready(&world, "True/PoliciesActive").await;
    // Selection and TTL are still those of the box.
    world.published("test", "nginx", &short("nginx", 180)).await.unwrap();
    let naming = status(&world, "naming").await;
    assert_eq!(naming["active"]["configMap"], "short", "{naming}");
    assert_eq!(naming["candidate"], Value::Null, "{naming}");

    // Each bad version in turn: nothing published changes, the status says why, and going back is enough.
    for (map, verdict, words) in bad_maps() {
        let (what, begun) = (map["data"]["config"].clone(), std::time::Instant::now());
        world.host_apply(&map).await.unwrap();
        let reason = if verdict == "ApprovalNeeded" { "False/ApprovalNeeded" } else { "False/CandidateRefused" };
        ready(&world, reason).await;
        let naming = status(&world, "naming").await;
        assert_eq!(naming["candidate"]["verdict"], verdict, "{what}: {naming}");
        let message = naming["candidate"]["message"].as_str().unwrap();
        assert!(message.contains(words), "{what}: {message}");
        assert_eq!(naming["active"]["configMap"], "short", "{naming}");
        world.says(&client, "test", "nginx", &short("nginx", 180)).await.unwrap();
        println!("{verdict} after {:?}: {message}", begun.elapsed());
        // Applied by another manager, keys that are left out stay; the operator replaces the object.
        delete_map(&world, "short").await;
        world.host_apply(&deed("short", "behave")).await.unwrap();
        ready(&world, "True/PoliciesActive").await;
    }
    world.says(&client, "test", "nginx", &short("nginx", 180)).await.unwrap();
    let events = kubectl(world.cluster("host").unwrap(), &["events", "-n", NAMESPACE], None).await.unwrap();
    for reason in ["PolicyActivated", "CandidateRefused", "ApprovalNeeded"] {
        assert!(events.contains(reason), "{reason}: {events}");
    }
    let metrics = controller.metrics().await.unwrap();
    for line in [
        "mcsdns_policy_loads_total{result=\"ForbiddenImport\"} 1",
        "mcsdns_policy_domains{reason=\"PoliciesActive\"} 1",
    ] {
        assert!(metrics.contains(line), "{line}: {metrics}");
    }

    let controller = restarted(&world, controller, "second", &[]).await;

    // Deleted while it decides: it stays in memory, and that is said.
    delete_map(&world, "short").await;
    let message = ready(&world, "False/PolicyMissing").await;
    assert!(message.contains("ConfigMap short does not exist"), "{message}");
    served(&world, "second").await;
    world.published("test", "second", &short("second", 180)).await.unwrap();

    // And after a restart there is nothing to decide with: what is published stays, new records get no names and say so.
    controller.kill().unwrap();
    let controller = world.controller("third", &[]).await.unwrap();
    let message = ready(&world, "False/PolicyUnavailable").await;
    assert!(message.contains("new records get no names"), "{message}");
    served(&world, "third").await;
    let third = ("ServiceDNSRecord", "test", "third");
    let message = world.condition(third, "Degraded", "True/PolicyUnavailable").await.unwrap();
    assert!(message.contains("ConfigMap short"), "{message}");
    world.condition(third, "Programmed", "False/NothingToPublish").await.unwrap();
    world.says(&client, "test", "nginx", &short("nginx", 180)).await.unwrap();
    world.says(&client, "test", "second", &short("second", 180)).await.unwrap();

    // It is back, and recognised.
    world.host_apply(&deed("short", "behave")).await.unwrap();
    ready(&world, "True/PoliciesActive").await;
    world.published("test", "third", &short("third", 180)).await.unwrap();

    // Rolled back to the box: the same guard, the same way through it.
    world.domain("galactic", "example.com", json!({})).await.unwrap();
    ready(&world, "False/ApprovalNeeded").await;
    world.says(&client, "test", "nginx", &short("nginx", 180)).await.unwrap();
    let rollout = status(&world, "naming").await["candidate"]["rollout"].as_str().unwrap().to_owned();
    annotate(&world, &rollout).await;
    world.published("test", "nginx", &boxed("nginx", 180)).await.unwrap();
    wait_until(SOON, "the status to be empty again", async || {
        let naming = status(&world, "naming").await;
        anyhow::ensure!(naming.is_null(), "{naming}");
        Ok(())
    })
    .await
    .unwrap();
    let user = mcsdns_testbed::service_account_user(NAMESPACE, "mcsdns");
    let forbidden = world.cluster("host").unwrap().forbidden_since(AuditMark::START, &user).await.unwrap();
    assert!(forbidden.is_empty(), "{forbidden:#?}");
    controller.stop().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn two_domains_three_config_maps_and_two_replicas() {
    let world = World::start(&ONE).await.unwrap();
    let client = world.client("host").await.unwrap();
    let lease = ["--lease-duration=6s", "--renew-deadline=4s", "--renew-period=1s", "--retry-period=500ms"];
    let first = world.controller("first", &lease).await.unwrap();
    let second = world.controller("second", &lease).await.unwrap();
    for map in [
        deed("names", "behave"),
        deed("selection", "behave"),
        config_map("ttl", &[("policy.wasm", TTL_ONLY)], &[("config", "behave")]),
    ] {
        world.host_apply(&map).await.unwrap();
    }
    // Nothing is published yet, so nothing has to be allowed.
    policies(&world, json!({"naming": "names", "selection": "selection", "ttl": "ttl"})).await;
    let message = ready(&world, "True/PoliciesActive").await;
    assert!(message.contains("ttl by misbehaving"), "{message}");
    world.domain("plain", "example.org", json!({})).await.unwrap();
    served(&world, "nginx").await;
    world.record("test", "plain", json!({"domainRef": "plain"})).await.unwrap();
    let member = world.client("c1").await.unwrap();
    fixtures::served(&member, "test", "plain", &["10.20.30.1"], 1).await.unwrap();
    world.published("test", "nginx", &short("nginx", 60)).await.unwrap();
    let plain: Vec<String> = ["", "us.", "us1.us."]
        .iter()
        .map(|place| format!("plain.test.plain.svc.{place}example.org A 180 10.20.30.1"))
        .collect();
    world.published("test", "plain", &plain).await.unwrap();

    // One aspect goes back to the box, the others stay.
    policies(&world, json!({"naming": "names", "selection": "selection"})).await;
    world.published("test", "nginx", &short("nginx", 180)).await.unwrap();
    world.says(&client, "test", "plain", &plain).await.unwrap();

    // Whoever leads next knows the same policies: nothing published changes, and news still gets through.
    let mark = world.cluster("host").unwrap().audit_mark().await.unwrap();
    first.kill().unwrap();
    served(&world, "late").await;
    world.published("test", "late", &short("late", 180)).await.unwrap();
    let writes = world.writes_since(mark).await.unwrap();
    let of_nginx: BTreeMap<String, usize> = writes
        .iter()
        .filter(|write| write.resource == "dnsendpoints" || write.resource == "domains")
        .filter(|write| write.name != "service-late")
        .fold(BTreeMap::new(), |mut counts, write| {
            *counts.entry(format!("{} {}", write.resource, write.name)).or_default() += 1;
            counts
        });
    assert!(of_nginx.is_empty(), "{of_nginx:?}");
    second.stop().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_in_each_state_writes_nothing() {
    let world = World::start(&ONE).await.unwrap();
    let flags = ["--default-policies=ttl=everyone"];
    world.host_apply(&config_map("everyone", &[("policy.wasm", TTL_ONLY)], &[("config", "behave")])).await.unwrap();
    let controller = world.controller("first", &flags).await.unwrap();
    world.domain("galactic", "example.com", json!({})).await.unwrap();
    served(&world, "nginx").await;
    // The policy of everyone decides where a Domain names none.
    world.published("test", "nginx", &boxed("nginx", 60)).await.unwrap();
    ready(&world, "True/PoliciesActive").await;
    let controller = restarted(&world, controller, "in-force", &flags).await;

    // Waiting for a word.
    world.host_apply(&deed("good", "behave")).await.unwrap();
    policies(&world, json!({"naming": "good"})).await;
    ready(&world, "False/ApprovalNeeded").await;
    let controller = restarted(&world, controller, "waiting", &flags).await;
    ready(&world, "False/ApprovalNeeded").await;
    let rollout = status(&world, "naming").await["candidate"]["rollout"].as_str().unwrap().to_owned();
    annotate(&world, &rollout).await;
    ready(&world, "True/PoliciesActive").await;
    world.published("test", "nginx", &short("nginx", 60)).await.unwrap();

    // Refused, beside one that is good.
    world.host_apply(&deed("bad", "trap-in-names")).await.unwrap();
    policies(&world, json!({"naming": "bad"})).await;
    ready(&world, "False/CandidateRefused").await;
    let controller = restarted(&world, controller, "refused", &flags).await;
    let naming = status(&world, "naming").await;
    assert_eq!((&naming["active"]["configMap"], &naming["candidate"]["verdict"]), (&"good".into(), &"Trap".into()));
    served(&world, "late").await;
    world.published("test", "late", &short("late", 60)).await.unwrap();

    // What decided is gone with the last process, and only what was refused is there.
    delete_map(&world, "good").await;
    controller.kill().unwrap();
    let controller = world.controller("gone", &flags).await.unwrap();
    let message = ready(&world, "False/PolicyUnavailable").await;
    assert!(message.contains("ConfigMap good"), "{message}");
    let controller = restarted(&world, controller, "unavailable", &flags).await;
    let client = world.client("host").await.unwrap();
    for record in ["nginx", "late"] {
        world.says(&client, "test", record, &short(record, 60)).await.unwrap();
    }
    controller.stop().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_that_fails_while_it_decides_is_left_alone_and_told_of() {
    let world = World::start(&ONE).await.unwrap();
    let controller = world.controller("controller", &[]).await.unwrap();
    // Without a record there is nothing to try it on.
    world.host_apply(&deed("short", "panic-in-names")).await.unwrap();
    policies(&world, json!({"naming": "short"})).await;
    ready(&world, "True/PoliciesActive").await;
    for i in 0..7 {
        served(&world, &format!("web-{i}")).await;
    }
    let message =
        world.condition(("ServiceDNSRecord", "test", "web-0"), "Degraded", "True/PolicyFailed").await.unwrap();
    assert!(message.contains("what is published stays"), "{message}");
    let message = ready(&world, "False/PolicyFailing").await;
    assert!(message.contains("Trap"), "{message}");
    let metrics = controller.metrics().await.unwrap();
    assert!(metrics.contains("mcsdns_policy_failing{policy=\"naming: misbehaving"), "{metrics}");

    // The Domain would rather have the names of the box than none.
    policies(&world, json!({"naming": "short", "onFailure": "default"})).await;
    world.published("test", "web-0", &boxed("web-0", 180)).await.unwrap();
    // A good version ends it; it removes the names of the box, which somebody has to allow.
    world.host_apply(&deed("short", "behave")).await.unwrap();
    policies(&world, json!({"naming": "short", "maxRemovedPercent": 100})).await;
    ready(&world, "True/PoliciesActive").await;
    world.published("test", "web-0", &short("web-0", 180)).await.unwrap();
}
