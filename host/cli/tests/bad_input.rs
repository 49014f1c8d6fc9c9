//! Manifests that are too large, of the wrong kind of text, or endless: each is refused by name, within bounds, and the
//! rest is rendered.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may fail by panicking"
)]

use std::{
    fmt::Write as _,
    fs,
    path::Path,
    process::{Command, Output},
};

use tempfile::TempDir;

/// A folder in which one record has one Service.
fn folder() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    for path in ["host", "clusters/c1"] {
        fs::create_dir_all(dir.path().join(path)).unwrap();
    }
    let write = |path: &str, text: &str| fs::write(dir.path().join(path), text).unwrap();
    write(
        "host/all.yaml",
        "apiVersion: multiclusterdns.federation.k8s.io/v1alpha1
kind: Domain
metadata: {name: galactic, namespace: federation-system}
domain: example.com
---
apiVersion: multiclusterdns.federation.k8s.io/v1alpha1
kind: ServiceDNSRecord
metadata: {name: nginx, namespace: test}
spec: {domainRef: galactic}
",
    );
    write(
        "clusters/c1/all.yaml",
        "apiVersion: v1
kind: Node
metadata: {name: n, labels: {topology.kubernetes.io/region: us, topology.kubernetes.io/zone: us1}}
---
apiVersion: v1
kind: Service
metadata: {name: nginx, namespace: test}
spec: {type: LoadBalancer}
status: {loadBalancer: {ingress: [{ip: 192.0.2.1}]}}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: nginx-1, namespace: test, labels: {kubernetes.io/service-name: nginx}}
addressType: IPv4
endpoints: [{addresses: [10.0.0.1], conditions: {ready: true}}]
",
    );
    dir
}

fn render(dir: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_mcsdns"))
        .args(["render", "-o", "yaml", "-f"])
        .arg(dir)
        .env_remove("KUBECONFIG")
        .output()
        .unwrap()
}

/// Renders, expects these words among the errors, and the record of the folder among the results.
fn told(dir: &TempDir, words: &[&str]) {
    let output = render(dir.path());
    let (text, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(1), "{errors}");
    for words in words {
        assert!(errors.contains(words), "{words}: {errors}");
    }
    assert!(text.contains("nginx.test.galactic.svc.example.com") && text.contains("192.0.2.1"), "{text}{errors}");
    assert!(errors.len() < 20_000, "{} bytes of errors", errors.len());
}

#[test]
fn a_file_of_one_gigabyte() {
    let dir = folder();
    // Sparse: nothing is written, and nothing must be read.
    let file = fs::File::create(dir.path().join("clusters/c1/huge.yaml")).unwrap();
    file.set_len(1 << 30).unwrap();
    told(&dir, &["huge.yaml", "1073741824", "16777216"]);
}

#[test]
fn a_slice_of_a_million_endpoints() {
    let dir = folder();
    let mut slice = "apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: big-1, namespace: test, labels: {kubernetes.io/service-name: big}}
addressType: IPv4
endpoints:
"
    .to_owned();
    for _ in 0..1_000_000 {
        slice.push_str("- addresses: []\n");
    }
    assert!(slice.len() < 16 << 20, "small enough to be read at all");
    fs::write(dir.path().join("clusters/c1/slice.yaml"), slice).unwrap();
    told(&dir, &["slice.yaml", "endpoints"]);
}

#[test]
fn an_object_of_a_million_endpoints_in_the_host() {
    let dir = folder();
    let mut object = "apiVersion: externaldns.k8s.io/v1alpha1
kind: DNSEndpoint
metadata: {name: big, namespace: test}
spec:
  endpoints:
"
    .to_owned();
    for i in 0..1_000_000 {
        writeln!(object, "  - {{dnsName: n{i}.example.com, recordType: A, targets: [192.0.2.1]}}").unwrap();
    }
    fs::write(dir.path().join("host/endpoints.yaml"), object).unwrap();
    told(&dir, &["endpoints.yaml"]);
}

#[test]
fn text_that_is_no_utf8() {
    let dir = folder();
    fs::write(dir.path().join("clusters/c1/latin.yaml"), b"apiVersion: v1\nkind: Node\nmetadata: {name: caf\xe9}\n")
        .unwrap();
    told(&dir, &["latin.yaml:3", "UTF-8"]);
}

#[test]
fn anchors_that_multiply() {
    let dir = folder();
    let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..12 {
        let list = vec![format!("*a{}", level - 1); 10].join(", ");
        writeln!(text, "a{level}: &a{level} [{list}]").unwrap();
    }
    fs::write(dir.path().join("clusters/c1/bomb.yaml"), text).unwrap();
    told(&dir, &["bomb.yaml"]);
}

#[test]
fn nesting_without_end() {
    let dir = folder();
    fs::write(dir.path().join("clusters/c1/deep.yaml"), "[".repeat(1_000_000)).unwrap();
    told(&dir, &["deep.yaml"]);
}
