//! One decision of the policy in the box, natively and in the sandbox.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may fail by panicking"
)]
#![allow(missing_docs, reason = "criterion generates public functions")]

use std::{hint::black_box, time::Duration};

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use mcsdns_bench::{fleet::fleet, native};
use mcsdns_policy::{Engine, EngineLimits, LoadRequest, PolicySet, default_policy_bytes};

fn decisions(criterion: &mut Criterion) {
    let engine = Engine::new(EngineLimits::default()).expect("an engine");
    let policy = engine.load(&LoadRequest::new("default", default_policy_bytes())).expect("the default policy");
    let policies = PolicySet::all(&policy).expect("all aspects");
    let mut group = criterion.benchmark_group("decision");
    group.warm_up_time(Duration::from_millis(300)).measurement_time(Duration::from_millis(1500)).sample_size(30);
    for clusters in [3, 10, 100, 1000] {
        let input = fleet(clusters);
        group.bench_with_input(BenchmarkId::new("native", clusters), &input, |bencher, input| {
            bencher.iter(|| native::decide(black_box(input)));
        });
        group.bench_with_input(BenchmarkId::new("sandbox", clusters), &input, |bencher, input| {
            bencher.iter(|| policies.decide(black_box(input)).expect("a decision"));
        });
    }
    group.finish();
}

criterion_group!(benches, decisions);
criterion_main!(benches);
