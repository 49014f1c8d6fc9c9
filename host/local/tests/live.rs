//! The local loop on real files, with real DNS questions.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may fail by panicking"
)]

use std::{
    fs,
    net::IpAddr,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use mcsdns_core::index::Settings;
use mcsdns_local::live::{Local, LocalError, LocalEvent, LocalOptions, StoreError, Written};
use mcsdns_rollout::Package;
use mcsdns_runtime::{HostTable, Resolve, ResolveError, Resolved, resolve::HickoryResolver};
use tokio::{task::JoinHandle, time::timeout};
use tokio_util::sync::CancellationToken;

const SOON: Duration = Duration::from_secs(30);
const G: &str = "nginx.test.galactic.svc.example.com";

fn service(name: &str, address: &str, ready: bool) -> String {
    format!(
        "apiVersion: v1
kind: Service
metadata: {{name: {name}, namespace: test}}
spec: {{type: LoadBalancer}}
status: {{loadBalancer: {{ingress: [{{ip: {address}}}]}}}}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {{name: {name}-1, namespace: test, labels: {{kubernetes.io/service-name: {name}}}}}
addressType: IPv4
endpoints: [{{addresses: [10.1.0.1], conditions: {{ready: {ready}}}}}]
"
    )
}

fn record(name: &str) -> String {
    format!(
        "apiVersion: multiclusterdns.federation.k8s.io/v1alpha1
kind: ServiceDNSRecord
metadata: {{name: {name}, namespace: test}}
spec: {{domainRef: galactic}}
"
    )
}

const DOMAIN: &str = "apiVersion: multiclusterdns.federation.k8s.io/v1alpha1
kind: Domain
metadata: {name: galactic, namespace: federation-system}
domain: example.com
";

fn node(region: &str) -> String {
    format!("apiVersion: v1\nkind: Node\nmetadata: {{name: n, labels: {{topology.kubernetes.io/region: {region}}}}}\n")
}

/// A folder with two clusters.
struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        folder.write("host/domain.yaml", DOMAIN);
        folder.write("host/nginx.yaml", &record("nginx"));
        for (cluster, region, address) in [("c1", "us", "10.20.30.1"), ("c2", "eu", "10.20.30.2")] {
            folder.write(&format!("clusters/{cluster}/node.yaml"), &node(region));
            folder.write(&format!("clusters/{cluster}/nginx.yaml"), &service("nginx", address, true));
        }
        folder
    }

    fn path(&self, path: &str) -> PathBuf {
        self.0.path().join(path)
    }

    /// Writes in place, the careless way.
    fn write(&self, path: &str, text: &str) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// Everything that was written, with the identity of the files.
    fn written(&self) -> Vec<(PathBuf, u64)> {
        fn walk(dir: &Path, found: &mut Vec<(PathBuf, u64)>) {
            for entry in fs::read_dir(dir).into_iter().flatten().map(Result::unwrap) {
                let path = entry.path();
                if path.is_dir() {
                    walk(&path, found);
                } else if path.file_name().unwrap() != "lock" {
                    found.push((path.clone(), std::os::unix::fs::MetadataExt::ino(&fs::metadata(&path).unwrap())));
                }
            }
        }
        let mut found = Vec::new();
        walk(&self.path(".mcsdns"), &mut found);
        found.sort();
        found
    }
}

type Events = Arc<Mutex<Vec<LocalEvent>>>;

struct Running {
    dns: HickoryResolver,
    address: std::net::SocketAddr,
    events: Events,
    shutdown: CancellationToken,
    task: JoinHandle<Result<(), LocalError>>,
}

async fn set_up(folder: &Folder, events: &Events) -> Result<Local, LocalError> {
    let events = Arc::clone(events);
    Local::new(LocalOptions {
        dir: folder.0.path().to_owned(),
        out: None,
        dns: Some("127.0.0.1:0".parse().unwrap()),
        settings: Settings::default(),
        group: Default::default(),
        namespace: "federation-system".to_owned(),
        resolver: Arc::new(HostTable::default()),
        policy: mcsdns_local::policy::load(None, None).unwrap(),
        report: Arc::new(move |event| events.lock().unwrap().push(event)),
    })
    .await
}

impl Running {
    async fn start(folder: &Folder) -> Self {
        let events = Events::default();
        let local = set_up(folder, &events).await.unwrap();
        let address = local.dns().unwrap();
        let shutdown = CancellationToken::new();
        let task = tokio::spawn(local.run(shutdown.clone()));
        Self { dns: HickoryResolver::server(address).unwrap(), address, events, shutdown, task }
    }

    async fn stop(self) {
        self.shutdown.cancel();
        timeout(SOON, self.task).await.expect("the loop does not end").unwrap().unwrap();
    }

    async fn ask(&self, name: &str) -> Resolved {
        self.dns.lookup(name).await
    }

    async fn addresses(&self, name: &str) -> Vec<IpAddr> {
        let mut addresses = self.ask(name).await.v4.unwrap_or_default();
        addresses.sort();
        addresses
    }

    async fn until(&self, name: &str, expected: &[&str]) {
        let expected: Vec<IpAddr> = expected.iter().map(|address| address.parse().unwrap()).collect();
        let begun = Instant::now();
        loop {
            let found = self.addresses(name).await;
            if found == expected {
                return;
            }
            assert!(
                begun.elapsed() < SOON,
                "{name}: {found:?} instead of {expected:?}\n{:#?}",
                self.events.lock().unwrap()
            );
            tokio::task::yield_now().await;
        }
    }

    async fn heard(&self, what: &str, fits: impl Fn(&LocalEvent) -> bool) {
        let begun = Instant::now();
        while !self.events.lock().unwrap().iter().any(&fits) {
            assert!(begun.elapsed() < SOON, "never heard of {what}:\n{:#?}", self.events.lock().unwrap());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    fn count(&self, fits: impl Fn(&LocalEvent) -> bool) -> usize {
        self.events.lock().unwrap().iter().filter(|event| fits(event)).count()
    }

    async fn programmed(&self, folder: &Folder, text: &str) {
        let file = folder.path(".mcsdns/status/servicednsrecords/test/nginx.yaml");
        let begun = Instant::now();
        while !fs::read_to_string(&file).is_ok_and(|status| status.contains(text)) {
            assert!(begun.elapsed() < SOON, "{:?}", fs::read_to_string(&file));
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn files_lead_to_answers_and_a_restart_writes_nothing() {
    let folder = Folder::new();
    let running = Running::start(&folder).await;
    running.until(G, &["10.20.30.1", "10.20.30.2"]).await;
    running.until("nginx.test.galactic.svc.eu.example.com", &["10.20.30.2"]).await;
    assert_eq!(running.ask("nobody.example.com").await.v4, Err(ResolveError::NoSuchName));
    assert_eq!(running.ask(G).await.v6, Ok(Vec::new()));
    assert!(matches!(running.ask("example.org").await.v4, Err(ResolveError::Server(_))));
    assert_eq!(running.ask(G).await.ttl, Duration::from_secs(180));

    // Failover: the region follows the others.
    folder.write("clusters/c2/nginx.yaml", &service("nginx", "10.20.30.2", false));
    running.until("nginx.test.galactic.svc.eu.example.com", &["10.20.30.1"]).await;
    running.programmed(&folder, "reason: NoReadyEndpoints").await;
    running.stop().await;

    let before = folder.written();
    assert!(before.iter().any(|(path, _)| path.ends_with("dnsendpoints/test/service-nginx.yaml")), "{before:?}");
    let again = Running::start(&folder).await;
    again.until("nginx.test.galactic.svc.eu.example.com", &["10.20.30.1"]).await;
    // A change after the start shows that the start is over.
    folder.write("clusters/c1/other.yaml", &service("other", "10.20.30.9", true));
    folder.write("host/other.yaml", &record("other"));
    again.until("other.test.galactic.svc.example.com", &["10.20.30.9"]).await;
    assert_eq!(
        again.count(|event| matches!(event, LocalEvent::Wrote(Written::DnsEndpoint(o)) if &*o.name == "service-nginx")),
        0
    );
    again.stop().await;
    let after = folder.written();
    for file in before {
        let member = file.0.components().any(|part| part.as_os_str() == "memberclusters");
        assert!(member || after.contains(&file), "{} was written again", file.0.display());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_happens_to_a_file_withdraws_by_accident() {
    let folder = Folder::new();
    let running = Running::start(&folder).await;
    let both = ["10.20.30.1", "10.20.30.2"];
    running.until(G, &both).await;
    running.programmed(&folder, "reason: Programmed").await;
    // From here on the name never loses an address.
    let watch = |running: &Running| {
        let dns = running.dns.clone();
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        let task = tokio::spawn(async move {
            let mut asked = 0;
            while !stopped.is_cancelled() {
                let addresses = dns.lookup(G).await.v4.unwrap();
                assert_eq!(addresses.len(), 2, "{addresses:?}");
                asked += 1;
            }
            asked
        });
        (stop, task)
    };
    let (stop, task) = watch(&running);
    let good = fs::read_to_string(folder.path("clusters/c2/nginx.yaml")).unwrap();
    // Broken, then emptied, then gone, then written in pieces.
    folder.write("clusters/c2/nginx.yaml", "{ this is : not [ yaml");
    running.heard("the broken file", |e| matches!(e, LocalEvent::Problem(p) if p.reason == "InvalidYaml")).await;
    folder.write("clusters/c2/nginx.yaml", "");
    fs::remove_file(folder.path("clusters/c2/nginx.yaml")).unwrap();
    folder.write("clusters/c2/nginx.yaml", good.split("---").next().unwrap());
    folder.write("clusters/c2/nginx.yaml", &good);
    running.heard("its repair", |event| matches!(event, LocalEvent::Solved(_))).await;
    // The Domain and the record, too.
    folder.write("host/domain.yaml", "kind: [");
    running
        .heard("the broken Domain", |e| matches!(e, LocalEvent::Problem(p) if p.path.ends_with("domain.yaml")))
        .await;
    folder.write("host/domain.yaml", DOMAIN);
    folder.write("host/nginx.yaml", "\u{0}");
    running.heard("the broken record", |e| matches!(e, LocalEvent::Problem(p) if p.path.ends_with("nginx.yaml"))).await;
    folder.write("host/nginx.yaml", &record("nginx"));
    // And the folder of all clusters.
    fs::rename(folder.path("clusters"), folder.path("away")).unwrap();
    running.heard("the missing folder", |e| matches!(e, LocalEvent::Problem(p) if p.path.ends_with("clusters"))).await;
    fs::rename(folder.path("away"), folder.path("clusters")).unwrap();
    stop.cancel();
    assert!(task.await.unwrap() > 10);
    // A change on purpose still gets through.
    fs::remove_dir_all(folder.path("clusters/c2")).unwrap();
    running.until(G, &["10.20.30.1"]).await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_with_broken_manifests_keeps_what_is_published() {
    let folder = Folder::new();
    let running = Running::start(&folder).await;
    running.until(G, &["10.20.30.1", "10.20.30.2"]).await;
    running.programmed(&folder, "reason: Programmed").await;
    running.stop().await;
    let before = fs::read_to_string(folder.path(".mcsdns/dnsendpoints/test/service-nginx.yaml")).unwrap();

    folder.write("host/nginx.yaml", "\u{0}\u{1}");
    folder.write("clusters/c2/nginx.yaml", "\u{0}\u{1}");
    let again = Running::start(&folder).await;
    again.until(G, &["10.20.30.1", "10.20.30.2"]).await;
    folder.write("host/other.yaml", &record("other"));
    folder.write("clusters/c1/other.yaml", &service("other", "10.20.30.9", true));
    again.until("other.test.galactic.svc.example.com", &["10.20.30.9"]).await;
    again.until(G, &["10.20.30.1", "10.20.30.2"]).await;
    assert_eq!(fs::read_to_string(folder.path(".mcsdns/dnsendpoints/test/service-nginx.yaml")).unwrap(), before);
    // Once everything can be read, what is there counts.
    folder.write("host/nginx.yaml", &record("nginx"));
    folder.write("clusters/c2/nginx.yaml", &service("nginx", "10.20.30.3", true));
    again.until(G, &["10.20.30.1", "10.20.30.3"]).await;
    again.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_edited_by_hand_is_repaired_and_what_is_deleted_goes() {
    let folder = Folder::new();
    let running = Running::start(&folder).await;
    let both = ["10.20.30.1", "10.20.30.2"];
    running.until(G, &both).await;
    running.programmed(&folder, "reason: Programmed").await;
    let file = folder.path(".mcsdns/dnsendpoints/test/service-nginx.yaml");
    let good = fs::read_to_string(&file).unwrap();
    for meddling in [Some(good.replace("10.20.30.1", "10.66.66.66")), None, Some("{".to_owned())] {
        match meddling {
            Some(text) => fs::write(&file, text).unwrap(),
            None => fs::remove_file(&file).unwrap(),
        }
        let begun = Instant::now();
        while fs::read_to_string(&file).ok().as_ref() != Some(&good) {
            assert!(begun.elapsed() < SOON, "not repaired: {:?}", fs::read_to_string(&file));
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
    running.until(G, &both).await;
    fs::remove_file(folder.path("host/nginx.yaml")).unwrap();
    let begun = Instant::now();
    while file.exists() {
        assert!(begun.elapsed() < SOON, "the DNSEndpoint stays");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    running.until(G, &[]).await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_of_them_do_not_share_a_folder() {
    let folder = Folder::new();
    let running = Running::start(&folder).await;
    running.until(G, &["10.20.30.1", "10.20.30.2"]).await;
    let second = set_up(&folder, &Events::default()).await;
    assert!(matches!(second.err(), Some(LocalError::Store(StoreError::InUse(_)))));
    assert!(running.address.ip().is_loopback());
    running.stop().await;
    assert!(set_up(&folder, &Events::default()).await.is_ok());
}

fn policy(deed: &str) -> String {
    let component = mcsdns_bench::components::MISBEHAVING.to_vec();
    let package = Package { config: Some(format!("{deed:?}")), ..Package::new("short", component) };
    serde_saphyr::to_string(&package.manifest("federation-system").unwrap()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_policy_of_a_domain_is_a_file_like_any_other() {
    let folder = Folder::new();
    folder.write("host/domain.yaml", &format!("{DOMAIN}policies: {{naming: short, maxRemovedPercent: 100}}\n"));
    folder.write("host/short.yaml", &policy("behave"));
    let running = Running::start(&folder).await;
    running.until("nginx.example.com", &["10.20.30.1", "10.20.30.2"]).await;
    // A bad version is refused in words, and nothing changes.
    folder.write("host/short.yaml", &policy("panic-in-names"));
    let refused = |event: &LocalEvent| matches!(event, LocalEvent::Notice { reason, warning: true, note, .. } if &**reason == "CandidateRefused" && note.contains("crashed"));
    running.heard("the refusal", refused).await;
    running.until("nginx.example.com", &["10.20.30.1", "10.20.30.2"]).await;
    // Back to the good one, and then to the box.
    folder.write("host/short.yaml", &policy("behave"));
    folder.write("host/domain.yaml", DOMAIN);
    running.heard("the share guard", |event| {
        matches!(event, LocalEvent::Notice { reason, .. } if &**reason == "ApprovalNeeded")
    })
    .await;
    folder.write("host/domain.yaml", &format!("{DOMAIN}policies: {{maxRemovedPercent: 100}}\n"));
    running.until(G, &["10.20.30.1", "10.20.30.2"]).await;
    running.stop().await;
}
