//! What policies cost beside their decisions: loading, taking over, a large configuration; and what policies in other
//! languages cost, as far as `plugins/build.sh` has built them.
//!
//! Not criterion: loading takes up to a second and starts from a fresh sandbox each time.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may fail by panicking"
)]
#![allow(missing_docs, reason = "a benchmark has no users")]

use std::{
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use mcsdns_bench::components::MISBEHAVING;
use mcsdns_core::decision::DecisionInput;
use mcsdns_harness::fleets::mixed_fleet;
use mcsdns_policy::{Aspect, Engine, EngineLimits, LoadRequest, Policy, PolicySet, default_policy_bytes};

/// Policies of this repository and a configuration that makes them work.
const EXAMPLES: [(&str, &str, Option<&str>); 8] = [
    ("short-names", "Rust", Some("{federated: true}")),
    ("failover", "Rust", Some("{tiers: [{regions: [region-00], minimum: 1}, {regions: [region-01]}]}")),
    ("nearest-region", "Rust", Some("{neighbours: {region-00: [region-01]}}")),
    ("weighted", "Rust", Some("{provider: aws}")),
    ("adaptive-ttl", "Rust", None),
    ("cel", "Rust, expressions", Some("{ttl: \"answer == 'alias' ? 20 : unreachable + notServing > 0 ? 30 : 300\"}")),
    ("flat-names-c", "C", None),
    ("few-targets-js", "JavaScript", Some("{most: 3}")),
];

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

fn engine() -> Engine {
    Engine::new(EngineLimits::default()).expect("an engine")
}

fn load(engine: &Engine, bytes: &[u8], config: Option<&str>) -> Arc<Policy> {
    // An interpreter needs more than the usual for a thousand clusters.
    let mut request = LoadRequest { config, ..LoadRequest::new("bench", bytes) };
    request.budget.fuel = 100_000_000;
    engine.load(&request).expect("a policy")
}

/// The policy for what it decides, the one in the box for the rest.
fn beside(boxed: &Arc<Policy>, policy: &Arc<Policy>) -> PolicySet {
    let [naming, selection, ttl] =
        Aspect::ALL.map(|aspect| Arc::clone(if policy.implements(aspect) { policy } else { boxed }));
    PolicySet::new(naming, selection, ttl).expect("a set")
}

fn decision(policies: &PolicySet, input: &DecisionInput) -> Duration {
    for _ in 0..50 {
        policies.decide(input).expect("a decision");
    }
    let mut times = Vec::new();
    for _ in 0..1000 {
        let begin = Instant::now();
        policies.decide(input).expect("a decision");
        times.push(begin.elapsed());
    }
    median(times)
}

fn row(name: &str, language: &str, bytes: &[u8], config: Option<&str>) {
    // A fresh sandbox each time: what is in use is not compiled again.
    let (mut loads, mut compiles) = (Vec::new(), Vec::new());
    for _ in 0..5 {
        let engine = engine();
        let begin = Instant::now();
        let policy = load(&engine, bytes, config);
        loads.push(begin.elapsed());
        compiles.push(Duration::from_micros(policy.compile_micros()));
    }
    let engine = engine();
    let boxed = load(&engine, default_policy_bytes(), None);
    let policies = beside(&boxed, &load(&engine, bytes, config));
    let needs = policies.policy_ref().needs;
    let decisions = [10, 100, 1000].map(|clusters| decision(&policies, &mixed_fleet(clusters, &needs)));
    let cost = policies.decide(&mixed_fleet(100, &needs)).expect("a decision").cost;
    println!(
        "{name:<15} {language:<18} {:>7.1} KiB {:>10.1?} {:>10.1?} {:>9.1?} {:>9.1?} {:>9.1?}   {} / {} / {} µs",
        bytes.len() as f64 / 1024.0,
        median(loads),
        median(compiles),
        decisions[0],
        decisions[1],
        decisions[2],
        cost.naming_micros,
        cost.selection_micros,
        cost.ttl_micros,
    );
}

fn main() {
    println!(
        "Load in a fresh sandbox (with configuration and snapshot), of which the component's compilation; one decision"
    );
    println!("about 10, 100 and 1000 clusters; and naming / selection / ttl of one about 100");
    println!(
        "{:<15} {:<18} {:>11} {:>10} {:>10} {:>9} {:>9} {:>9}",
        "policy", "language", "size", "load", "compile", "10", "100", "1000"
    );
    row("in the box", "Rust", default_policy_bytes(), None);
    let built = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../plugins/target/policies");
    for (name, language, config) in EXAMPLES {
        match std::fs::read(built.join(name).with_extension("wasm")) {
            Ok(bytes) => row(name, language, &bytes, config),
            Err(_) => println!("{name:<15} {language:<18} not built: plugins/build.sh"),
        }
    }

    println!("\nA decision about 10 clusters, by the size of the configuration");
    for bytes in [10, 1_000, 100_000, 1_000_000] {
        let config = format!("\"{}\"", "x".repeat(bytes));
        let engine = engine();
        let begin = Instant::now();
        let policy = load(&engine, MISBEHAVING, Some(&config));
        let loaded = begin.elapsed();
        let policies = PolicySet::all(&policy).expect("a set");
        let time = decision(&policies, &mixed_fleet(10, &policies.policy_ref().needs));
        println!("{bytes:>9} bytes {time:>10.1?}   loaded in {loaded:.1?}");
    }

    // What happens while records wait: nothing but a pointer and the first instance of the new policy.
    let engine = engine();
    let boxed = load(&engine, default_policy_bytes(), None);
    let policy = load(&engine, MISBEHAVING, Some("behave"));
    let input = mixed_fleet(10, policy.needs());
    let mut times = Vec::new();
    for _ in 0..200 {
        let begin = Instant::now();
        let policies = beside(&boxed, &policy);
        policies.decide(&input).expect("a decision");
        times.push(begin.elapsed());
    }
    println!("\nTaking over, first decision included: {:.1?}", median(times));
}
