//! The controller with the shipped roles and many records, on real API servers: how fast it publishes beside how fast
//! the same server takes the same writes, and what one change takes, also while a cluster is gone.
//!
//! `MCSDNS_BENCH_RECORDS` sets the number of records.

#![allow(clippy::unwrap_used, reason = "a benchmark may fail by panicking")]
#![allow(missing_docs, reason = "a benchmark has no users")]

use std::{
    future::Future,
    pin::pin,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use futures::{TryStreamExt, stream};
use k8s_openapi::jiff::Timestamp;
use kube::{
    Api,
    api::{DeleteParams, DynamicObject, ListParams, Patch, PatchParams, WatchEvent, WatchParams},
};
use mcsdns_e2e::{Controller, Member, World, endpoints, lines};
use mcsdns_testbed::{AuditMark, fixtures, stays, wait_until};
use serde_json::json;

const MEMBERS: [Member; 2] =
    [Member { name: "c1", region: "us", zone: "us1" }, Member { name: "c2", region: "eu", zone: "eu1" }];
/// A member that is gone is noticed soon; everything else is as shipped.
const FLAGS: [&str; 4] = ["--probe-interval=1s", "--probe-timeout=1s", "--probe-hold=2s", "--log-level=warn"];
/// Requests at once of the hands that prepare and compare: as many as the controller has writers.
const PARALLEL: usize = 16;
const CHANGES: usize = 50;
/// When nothing was written for so long, nothing will be.
const QUIET: Duration = Duration::from_secs(2);
const LONG: Duration = Duration::from_secs(600);

#[tokio::main]
async fn main() -> Result<()> {
    let records = std::env::var("MCSDNS_BENCH_RECORDS").map_or(Ok(2000), |text| text.parse())?;
    let world = World::start(&MEMBERS).await?;
    world.domain("galactic", "example.com", json!({"unreachableGraceSeconds": 3600})).await?;
    prepare(&world, records).await?;
    println!("{records} records in 2 clusters, one API server and etcd each, on the machine of the controller");

    let alone = baseline(&world, records).await?;
    println!("the server alone      {alone:.0} writes a second (DNSEndpoints, {PARALLEL} at once)");

    let host = world.cluster("host")?;
    let mark = host.audit_mark().await?;
    let begin = Instant::now();
    let controller = Controller::launch(world.kubeconfig(), world.folder(), "first", &FLAGS)?;
    let endpoints = endpoints(&world.client("host").await?, "test");
    wait_until(LONG, "all DNSEndpoints", async || {
        let found = count(&endpoints).await?;
        ensure!(found == records, "{found} of {records}");
        Ok(())
    })
    .await?;
    println!("everything published  {:.1} s after the start of the controller", begin.elapsed().as_secs_f64());
    let (writes, seconds) = calm(&world, mark).await?;
    println!("its writes            {writes} in {seconds:.1} s: {:.0} a second", per_second(writes, seconds));
    println!("its memory            {}", memory(&controller)?);

    report("one change", changes(&world, &endpoints, 0).await?);

    world.cluster("c2")?.kill()?;
    let mark = host.audit_mark().await?;
    // The statuses of all records say that a cluster is out of reach; meanwhile the other one changes.
    let first = wait_until(LONG, "the controller to notice", async || {
        let writes = world.writes_since(mark).await?.len();
        ensure!(writes > 0, "no write yet");
        Ok(writes)
    })
    .await?;
    report("during the outage", changes(&world, &endpoints, 1).await?);
    let (writes, seconds) = calm(&world, mark).await?;
    println!("what the outage took  {writes} writes in {seconds:.1} s, {first} of them before the first change");
    ensure!(count(&endpoints).await? == records, "an outage has removed DNSEndpoints");

    controller.kill()?;
    let mark = host.audit_mark().await?;
    let controller = world.controller("second", &FLAGS).await?;
    let mut took = changes(&world, &endpoints, 2).await?;
    // The lease of the one that crashed has to run out.
    println!("after a crash         the first change took {:.1} s", took.remove(0) / 1e3);
    report("the next", took);
    let (writes, _) = calm(&world, mark).await?;
    println!("writes since          {writes} for {CHANGES} changes");
    controller.stop()
}

fn name(number: usize) -> String {
    format!("service-{number:05}")
}

fn address(number: usize, last: usize) -> String {
    format!("10.{}.{}.{last}", number / 250, number % 250)
}

/// Does something for every record, several at once.
async fn each<F: Future<Output = Result<()>>>(records: usize, what: impl Fn(usize) -> F) -> Result<()> {
    stream::iter((0..records).map(Ok)).try_for_each_concurrent(PARALLEL, what).await
}

async fn prepare(world: &World, records: usize) -> Result<()> {
    let host = world.client("host").await?;
    for (last, cluster) in (1..).zip(MEMBERS) {
        let client = world.client(cluster.name).await?;
        fixtures::namespace(&client, "test").await?;
        each(records, async |number| {
            let name = name(number);
            fixtures::load_balancer(&client, "test", &name, &[&address(number, last)]).await?;
            fixtures::endpoints(&client, "test", &name, 1, 0).await
        })
        .await?;
    }
    fixtures::namespace(&host, "test").await?;
    let api = world.ours("ServiceDNSRecord", "test").await?;
    each(records, async |number| {
        let object = json!({
            "apiVersion": "multiclusterdns.federation.k8s.io/v1alpha1",
            "kind": "ServiceDNSRecord",
            "metadata": {"name": name(number)},
            "spec": {"domainRef": "galactic"},
        });
        api.patch(&name(number), &PatchParams::apply("bench"), &Patch::Apply(&object)).await?;
        Ok(())
    })
    .await
}

/// How many there are, without fetching them.
async fn count(api: &Api<DynamicObject>) -> Result<usize> {
    let list = api.list_metadata(&ListParams::default().limit(1)).await?;
    Ok(list.items.len() + usize::try_from(list.metadata.remaining_item_count.unwrap_or_default())?)
}

/// Writes a second that the host takes when nobody has to think: objects like those of the controller.
async fn baseline(world: &World, records: usize) -> Result<f64> {
    let client = world.client("host").await?;
    fixtures::namespace(&client, "baseline").await?;
    let api = endpoints(&client, "baseline");
    let begin = Instant::now();
    each(records, async |number| {
        let own = name(number);
        let stem = format!("{own}.test.galactic.svc");
        let places = ["", "us.", "us1.us.", "eu.", "eu1.eu."];
        let list = places.map(|place| {
            json!({"dnsName": format!("{stem}.{place}example.com"), "recordType": "A", "recordTTL": 180,
                   "targets": [address(number, 1), address(number, 2)]})
        });
        let object = json!({
            "apiVersion": "externaldns.k8s.io/v1alpha1", "kind": "DNSEndpoint",
            "metadata": {"name": own}, "spec": {"endpoints": list},
        });
        api.patch(&own, &PatchParams::apply("bench"), &Patch::Apply(&object)).await?;
        Ok(())
    })
    .await?;
    let seconds = begin.elapsed().as_secs_f64();
    // The controller shall not have to look at them.
    api.delete_collection(&DeleteParams::default(), &ListParams::default()).await?;
    wait_until(LONG, "the baseline to be gone", async || {
        let left = count(&api).await?;
        ensure!(left == 0, "{left} are left");
        Ok(())
    })
    .await?;
    Ok(per_second(records, seconds))
}

/// Waits until the controller has stopped writing; how much it wrote since the mark and in how many seconds.
async fn calm(world: &World, mark: AuditMark) -> Result<(usize, f64)> {
    let mut known = usize::MAX;
    let writes = wait_until(LONG, "the controller to have nothing to write", async || {
        let before = known;
        stays(QUIET, "silence", async || Ok(())).await?;
        let writes = world.writes_since(mark).await?;
        known = writes.len();
        ensure!(known == before, "it has written {known} objects");
        Ok(writes)
    })
    .await?;
    let mut times = writes.iter().map(|write| write.received.parse::<Timestamp>()).collect::<Result<Vec<_>, _>>()?;
    times.sort();
    let seconds = match (times.first(), times.last()) {
        (Some(first), Some(last)) => last.duration_since(*first).as_secs_f64(),
        _ => 0.0,
    };
    Ok((writes.len(), seconds))
}

/// Changes the address of one Service in c1 after the other; milliseconds from sending each change until its new
/// DNSEndpoint has come by a watch.
async fn changes(world: &World, endpoints: &Api<DynamicObject>, round: usize) -> Result<Vec<f64>> {
    let client = world.client("c1").await?;
    let mut took = Vec::with_capacity(CHANGES);
    let start = endpoints.list_metadata(&ListParams::default().limit(1)).await?;
    let version = start.metadata.resource_version.context("a list without version")?;
    let mut watch = pin!(endpoints.watch(&WatchParams::default(), &version).await?);
    for number in 0..CHANGES {
        let new = format!("10.200.{round}.{}", number + 1);
        let name = name(number);
        let begin = Instant::now();
        fixtures::ingress_of(&client, "test", &name, &[&new]).await?;
        loop {
            let event = tokio::time::timeout(LONG, watch.try_next()).await??.context("the watch has ended")?;
            if let WatchEvent::Added(object) | WatchEvent::Modified(object) = event
                && object.metadata.name.as_deref() == Some(&format!("service-{name}"))
                && lines(&object).iter().any(|line| line.contains(&new))
            {
                break;
            }
        }
        took.push(begin.elapsed().as_secs_f64() * 1e3);
    }
    Ok(took)
}

fn report(what: &str, mut took: Vec<f64>) {
    took.sort_by(f64::total_cmp);
    let at = |share: usize| took.get(took.len() * share / 100).or_else(|| took.last()).copied().unwrap_or_default();
    println!(
        "{what:<21} {:.1} ms median, {:.1} ms at 90 %, {:.1} ms at most, of {}",
        at(50),
        at(90),
        at(100),
        took.len()
    );
}

fn per_second(count: usize, seconds: f64) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX)) / seconds.max(1e-9)
}

/// Resident memory, as the system gives it.
fn memory(controller: &Controller) -> Result<String> {
    let status = std::fs::read_to_string(format!("/proc/{}/status", controller.id()))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
    Ok(format!("{} resident", line.trim()))
}
