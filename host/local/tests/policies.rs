//! Policies in ConfigMaps, on a folder of manifests: the same rules as in a cluster.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test may fail by panicking"
)]

use std::{fs, path::Path, sync::LazyLock};

use jiff::Timestamp;
use mcsdns_bench::components::{MISBEHAVING, TTL_ONLY};
use mcsdns_core::{facts::PolicyNames, ids::ObjectKey, index::Settings, status::ConditionStatus};
use mcsdns_local::{
    cases::lines,
    fleet::Fleet,
    limits::Limits,
    policy::{self, LoadedPolicy},
    world::{World, WorldOptions},
};
use mcsdns_rollout::{Package, Pilot, PilotOptions, package::Case};
use mcsdns_runtime::SandboxDecider;
use tempfile::TempDir;

static POLICY: LazyLock<LoadedPolicy> = LazyLock::new(|| policy::load(None, None).unwrap());

fn pilot(defaults: PolicyNames) -> Pilot {
    let options = PilotOptions {
        namespace: "federation-system".into(),
        defaults,
        settings: Settings::default(),
        observer: std::sync::Arc::new(()),
    };
    POLICY.pilot(options).unwrap()
}

fn now() -> Timestamp {
    "2026-01-01T00:00:00Z".parse().unwrap()
}

/// A folder with one cluster that serves `web` and `api`.
struct Folder(TempDir);

impl Folder {
    fn new(domain: &str) -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        folder.domain("galactic", "example.com", domain);
        for record in ["web", "api"] {
            folder.record(record, "galactic");
        }
        folder.write(
            "clusters/c1/node.yaml",
            "apiVersion: v1\nkind: Node\nmetadata: {name: n, labels: {topology.kubernetes.io/region: us}}\n",
        );
        folder
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.0.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn domain(&self, name: &str, zone: &str, more: &str) {
        self.write(
            &format!("host/domain-{name}.yaml"),
            &format!(
                "apiVersion: multiclusterdns.federation.k8s.io/v1alpha1\nkind: Domain\nmetadata: {{name: {name}, namespace: federation-system}}\ndomain: {zone}\n{more}\n"
            ),
        );
    }

    fn record(&self, name: &str, domain: &str) {
        self.write(
            &format!("host/{name}.yaml"),
            &format!(
                "apiVersion: multiclusterdns.federation.k8s.io/v1alpha1\nkind: ServiceDNSRecord\nmetadata: {{name: {name}, namespace: test}}\nspec: {{domainRef: {domain}, allowServiceWithoutEndpoints: true}}\n"
            ),
        );
        self.write(
            &format!("clusters/c1/{name}.yaml"),
            &format!(
                "apiVersion: v1\nkind: Service\nmetadata: {{name: {name}, namespace: test}}\nspec: {{type: LoadBalancer}}\nstatus: {{loadBalancer: {{ingress: [{{ip: 10.0.0.1}}]}}}}\n"
            ),
        );
    }

    /// A ConfigMap with the policy that does as it is told, packed as `mcsdns policy pack` does.
    fn policy(&self, name: &str, deed: &str) {
        let package = Package { config: Some(format!("{deed:?}")), ..Package::new(name, MISBEHAVING.to_vec()) };
        self.pack(&package);
    }

    fn pack(&self, package: &Package) {
        let manifest = package.manifest("federation-system").unwrap();
        self.write(&format!("host/{}-policy.yaml", package.name), &serde_saphyr::to_string(&manifest).unwrap());
    }

    fn remove(&self, path: &str) {
        fs::remove_file(self.0.path().join(path)).unwrap();
    }

    fn fleet(&self) -> Fleet {
        fleet(self.0.path())
    }

    fn world(&self) -> World<'static, SandboxDecider> {
        self.world_with(PolicyNames::default())
    }

    fn world_with(&self, defaults: PolicyNames) -> World<'static, SandboxDecider> {
        let options = WorldOptions {
            now: now(),
            settings: Settings::default(),
            hosts: Default::default(),
            group: Default::default(),
        };
        World::with_pilot(self.fleet(), POLICY.reference.clone(), &*POLICY.decider, options, Some(pilot(defaults)))
            .unwrap()
            .0
    }
}

fn fleet(dir: &Path) -> Fleet {
    let fleet = Fleet::read(dir, &Limits::default(), now());
    assert!(fleet.problems.is_empty(), "{:#?}", fleet.problems);
    fleet
}

fn names(world: &World<'_, SandboxDecider>) -> Vec<String> {
    world.objects().iter().flat_map(lines).map(|line| line.split(' ').take(2).collect::<Vec<_>>().join(" ")).collect()
}

fn boxed() -> Vec<String> {
    ["api", "web"]
        .iter()
        .flat_map(|record| {
            let g = format!("{record}.test.galactic.svc");
            [format!("{g}.example.com 180"), format!("{g}.us.example.com 180")]
        })
        .collect()
}

fn short() -> Vec<String> {
    ["api.example.com 180", "web.example.com 180"].map(str::to_owned).to_vec()
}

fn ready(world: &World<'_, SandboxDecider>) -> String {
    let conditions = &world.domains()["galactic"].conditions;
    let ready = conditions.iter().find(|condition| &*condition.kind == "PoliciesReady");
    ready.map_or_else(String::new, |ready| format!("{} {}", ready.status.as_str(), ready.reason))
}

const NAMING: &str = "policies: {naming: short}";

#[test]
fn a_domain_is_decided_by_its_config_map() {
    let folder = Folder::new(NAMING);
    folder.policy("short", "behave");
    let world = folder.world();
    assert_eq!(names(&world), short());
    assert_eq!(ready(&world), "True PoliciesActive");
    let status = &world.domains()["galactic"].policies;
    assert_eq!(status.len(), 1);
    let active = status[0].active.as_ref().unwrap();
    assert_eq!((active.config_map.as_deref(), active.since), (Some("short"), now()));
    assert!(active.policy.starts_with("misbehaving "), "{active:?}");
    assert_eq!(world.policy_problems(), []);
    // Nothing more to write, also for a process that starts anew.
    let (world, writes) = world.restart(POLICY.reference.clone()).unwrap();
    assert_eq!((writes, names(&world)), (0, short()));
}

#[test]
fn without_its_config_map_a_new_domain_has_no_names_and_says_so() {
    let folder = Folder::new(NAMING);
    let world = folder.world();
    assert!(names(&world).is_empty());
    assert_eq!(ready(&world), "False PolicyUnavailable");
    let problems: Vec<String> = world.policy_problems().iter().map(ToString::to_string).collect();
    assert!(
        problems.len() == 1
            && problems[0].contains("domain-galactic.yaml:1: Domain galactic: ")
            && problems[0].contains("ConfigMap short does not exist"),
        "{problems:?}"
    );
    let status = &world.statuses()[&ObjectKey::new("test", "web")];
    let degraded = status.conditions.iter().find(|condition| &*condition.kind == "Degraded").unwrap();
    assert_eq!((degraded.status, &*degraded.reason), (ConditionStatus::True, "PolicyUnavailable"));
    // It comes, and so do the names.
    folder.policy("short", "behave");
    let mut world = world;
    world.change(folder.fleet()).unwrap();
    assert_eq!(names(&world), short());
}

#[test]
fn names_that_are_published_survive_every_bad_version_and_every_restart() {
    let folder = Folder::new(NAMING);
    folder.policy("short", "behave");
    let mut world = folder.world();
    for (deed, reason) in [
        ("panic-in-names", "CandidateRefused"),
        ("name-outside-domain", "CandidateRefused"),
        ("refuse-in-configure", "CandidateRefused"),
        ("name-malformed", "ApprovalNeeded"),
    ] {
        folder.policy("short", deed);
        world.change(folder.fleet()).unwrap();
        assert_eq!((names(&world), ready(&world)), (short(), format!("False {reason}")), "{deed}");
        // After a restart there is no good version in memory: nothing is decided, what is published stays.
        let (restarted, _) = world.restart(POLICY.reference.clone()).unwrap();
        world = restarted;
        assert_eq!((names(&world), ready(&world)), (short(), "False PolicyUnavailable".to_owned()), "{deed}");
        folder.record("new", "galactic");
        world.change(folder.fleet()).unwrap();
        assert_eq!(names(&world), short(), "{deed}: a new record got names");
        folder.remove("host/new.yaml");
        folder.remove("clusters/c1/new.yaml");
        folder.policy("short", "behave");
        world.change(folder.fleet()).unwrap();
        assert_eq!((names(&world), ready(&world)), (short(), "True PoliciesActive".to_owned()), "{deed}");
    }
    folder.remove("host/short-policy.yaml");
    world.change(folder.fleet()).unwrap();
    assert_eq!((names(&world), ready(&world)), (short(), "False PolicyMissing".to_owned()));
    let (world, _) = world.restart(POLICY.reference.clone()).unwrap();
    assert_eq!((names(&world), ready(&world)), (short(), "False PolicyUnavailable".to_owned()));
    // A second restart in the same state writes nothing more.
    let (_, writes) = world.restart(POLICY.reference.clone()).unwrap();
    assert_eq!(writes, 0);
}

#[test]
fn the_share_guard_asks_before_names_go() {
    let folder = Folder::new("");
    let mut world = folder.world();
    assert_eq!((names(&world), ready(&world)), (boxed(), String::new()));
    folder.policy("short", "behave");
    folder.domain("galactic", "example.com", NAMING);
    world.change(folder.fleet()).unwrap();
    assert_eq!((names(&world), ready(&world)), (boxed(), "False ApprovalNeeded".to_owned()));
    let candidate = world.domains()["galactic"].policies[0].candidate.clone().unwrap();
    assert!(candidate.message.contains("2 names added, 4 removed"), "{}", candidate.message);
    // Restarted in this state, the box goes on.
    let (mut world, writes) = world.restart(POLICY.reference.clone()).unwrap();
    assert_eq!((names(&world), writes), (boxed(), 0));
    // Allowed by the annotation.
    let path = folder.0.path().join("host/domain-galactic.yaml");
    let text = fs::read_to_string(&path).unwrap().replace(
        "namespace: federation-system",
        &format!(
            "namespace: federation-system, annotations: {{multiclusterdns.federation.k8s.io/allow-removal: \"{}\"}}",
            candidate.rollout.unwrap()
        ),
    );
    fs::write(path, text).unwrap();
    world.change(folder.fleet()).unwrap();
    assert_eq!((names(&world), ready(&world)), (short(), "True PoliciesActive".to_owned()));
}

#[test]
fn domains_have_policies_of_their_own_and_aspects_come_from_several() {
    let folder = Folder::new("policies: {naming: short, selection: select, ttl: ttl}");
    folder.policy("short", "behave");
    folder.policy("select", "fleet");
    folder.pack(&Package { config: Some("behave".to_owned()), ..Package::new("ttl", TTL_ONLY.to_vec()) });
    folder.domain("plain", "example.org", "");
    folder.record("plain", "plain");
    let world = folder.world();
    assert_eq!(
        names(&world),
        [
            "api.example.com 60",
            "plain.test.plain.svc.example.org 180",
            "plain.test.plain.svc.us.example.org 180",
            "web.example.com 60",
        ]
    );
    assert!(world.domains()["plain"].policies.is_empty());
    assert_eq!(world.domains()["galactic"].policies.len(), 3);
}

#[test]
fn a_config_map_that_nobody_names_is_still_looked_at() {
    let folder = Folder::new("");
    folder.pack(&Package { config: Some("{a: 1}".to_owned()), ..Package::new("unused", MISBEHAVING.to_vec()) });
    let world = folder.world();
    let problems: Vec<String> = world.policy_problems().iter().map(ToString::to_string).collect();
    assert!(problems.len() == 1 && problems[0].contains("ConfigMap unused: configuration:"), "{problems:?}");
    assert_eq!(names(&world), boxed());
}

#[test]
fn where_it_fails_the_box_may_answer() {
    let folder = Folder::new("policies: {naming: short, onFailure: default}");
    let world = folder.world();
    assert_eq!((names(&world), ready(&world)), (boxed(), "False PolicyUnavailable".to_owned()));
}

/// One record in one cluster, and what the policy must make of it.
fn case(endpoint: &str) -> Case {
    let domain = "apiVersion: multiclusterdns.federation.k8s.io/v1alpha1\nkind: Domain\nmetadata: {name: d}\ndomain: example.net\n";
    let record = "apiVersion: multiclusterdns.federation.k8s.io/v1alpha1\nkind: ServiceDNSRecord\nmetadata: {name: nginx, namespace: test}\nspec: {domainRef: d, allowServiceWithoutEndpoints: true}\n";
    let service = "apiVersion: v1\nkind: Service\nmetadata: {name: nginx, namespace: test}\nspec: {type: LoadBalancer}\nstatus: {loadBalancer: {ingress: [{ip: 10.9.8.7}]}}\n";
    let expected = format!("endpoints:\n  test/service-nginx:\n    - {endpoint}\n");
    let files = [
        ("host/domain.yaml", domain),
        ("host/nginx.yaml", record),
        ("clusters/c1/nginx.yaml", service),
        ("expected.yaml", &expected),
    ];
    Case {
        name: "one-cluster".to_owned(),
        files: files.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect(),
    }
}

#[test]
fn cases_that_come_with_a_policy_must_pass() {
    let folder = Folder::new(NAMING);
    let package = |endpoint| Package {
        config: Some("behave".to_owned()),
        cases: vec![case(endpoint)],
        ..Package::new("short", MISBEHAVING.to_vec())
    };
    // Selection is the policy's own here, TTL too: it answers all three questions.
    folder.pack(&package("nginx.example.net 60 A 10.9.8.7"));
    let mut world = folder.world();
    assert_eq!((names(&world), ready(&world)), (short(), "True PoliciesActive".to_owned()));
    folder.pack(&package("nginx.example.net 61 A 10.9.8.7"));
    world.change(folder.fleet()).unwrap();
    assert_eq!((names(&world), ready(&world)), (short(), "False CandidateRefused".to_owned()));
    let candidate = world.domains()["galactic"].policies[0].candidate.clone().unwrap();
    assert_eq!(&*candidate.verdict, "CaseFailed");
    for words in ["case one-cluster: ", "-    - nginx.example.net 61", "+    - nginx.example.net 60"] {
        assert!(candidate.message.contains(words), "{words}: {}", candidate.message);
    }
    assert!(!candidate.message.contains("/tmp"), "{}", candidate.message);
}

#[test]
fn names_that_two_records_want_are_told_before_they_are_lost() {
    let folder = Folder::new("");
    // The same Service in another namespace: the policy gives both the same name.
    for path in ["host/web.yaml", "clusters/c1/web.yaml"] {
        let text = fs::read_to_string(folder.0.path().join(path)).unwrap();
        folder.write(&path.replace("web", "web-prod"), &text.replace("namespace: test", "namespace: prod"));
    }
    let mut world = folder.world();
    folder.policy("short", "behave");
    folder.domain("galactic", "example.com", NAMING);
    world.change(folder.fleet()).unwrap();
    let message = world.domains()["galactic"].policies[0].candidate.clone().unwrap().message;
    assert!(
        message.contains("2 names added, 6 removed") && message.contains("1 names withheld by a rule"),
        "{message}"
    );
}

#[test]
fn the_whole_controller_may_have_other_policies_than_the_box() {
    let folder = Folder::new("");
    folder.policy("short", "behave");
    folder.domain("own", "example.org", "policies: {ttl: ttl}");
    folder.record("own", "own");
    folder.pack(&Package { config: Some("behave".to_owned()), ..Package::new("ttl", TTL_ONLY.to_vec()) });
    let world = folder.world_with(PolicyNames { naming: Some("short".into()), ..PolicyNames::default() });
    assert_eq!(names(&world), ["api.example.com 180", "own.example.org 60", "web.example.com 180"]);
    assert_eq!(ready(&world), "True PoliciesActive");
    let (world, writes) = world.restart(POLICY.reference.clone()).unwrap();
    assert_eq!((writes, ready(&world)), (0, "True PoliciesActive".to_owned()));
}
