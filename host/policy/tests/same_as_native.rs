//! The policy in the box answers in the sandbox exactly as it does natively, and both as the tables say.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may fail by panicking"
)]

mod common;

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    sync::Arc,
};

use common::DEFAULT;
use mcsdns_bench::{fleet::fleet, native};
use mcsdns_core::decision::{
    Answer, Cluster, ClusterState, DecisionInput, DecisionOutput, Fallback, Places, Subject, ZonePlace,
};
use proptest::prelude::*;

/// Decides both ways; the answers must be one.
fn decide(input: &DecisionInput) -> DecisionOutput {
    let sandboxed = DEFAULT.decide(input).unwrap().output;
    assert_eq!(sandboxed, native::decide(input));
    sandboxed
}

#[test]
fn fleets_of_all_sizes() {
    for clusters in [0, 1, 2, 3, 10, 100, 1000] {
        let output = decide(&fleet(clusters));
        assert_eq!(output.names.len(), output.decisions.len());
    }
}

/// c1 and c2 of the tables: `us` with `us1` (and perhaps `us2`), `eu` with `eu1`.
fn places() -> Places {
    let zone = |name: &str, region| ZonePlace { name: Arc::from(name), region };
    Places { regions: vec![Arc::from("eu"), Arc::from("us")], zones: vec![zone("eu1", 0), zone("us1", 1)] }
}

fn cluster(name: &str, region: u32, zones: &[u32], addresses: &[&str]) -> Cluster {
    Cluster {
        name: Arc::from(name),
        region: Some(region),
        zones: zones.into(),
        labels: Vec::new(),
        state: if addresses.is_empty() { ClusterState::NoAddress } else { ClusterState::Serving },
        state_for_seconds: None,
        ready_endpoints: 1,
        addresses: addresses.iter().map(|address| address.parse().unwrap()).collect(),
    }
}

fn input(places: Places, clusters: Vec<Cluster>) -> DecisionInput {
    let subject = Subject {
        service: Arc::from("nginx"),
        namespace: Arc::from("test"),
        federation: Arc::from("galactic"),
        domain: Arc::from("example.com"),
        external_name: None,
        dns_prefix: None,
        record_ttl: None,
        annotations: Vec::new(),
    };
    DecisionInput { subject, places: Arc::new(places), clusters }
}

/// A decision the way the tables write it: name, then addresses or the alias, one line each; names that end in nothing
/// are left out.
fn table(input: &DecisionInput) -> Vec<String> {
    let output = decide(input);
    let addresses = |answer: &Answer| match answer {
        Answer::Clusters(clusters) => {
            let mut all: Vec<IpAddr> =
                clusters.iter().flat_map(|index| &*input.clusters[*index as usize].addresses).copied().collect();
            all.sort();
            all.iter().map(IpAddr::to_string).collect::<Vec<_>>().join(",")
        }
        Answer::Otherwise => String::new(),
        answer => panic!("{answer:?}"),
    };
    let serves: Vec<String> = output.decisions.iter().map(|decision| addresses(&decision.answer)).collect();
    let published = |mut index: usize| loop {
        match output.names[index].fallback {
            _ if !serves[index].is_empty() => return true,
            Fallback::Nothing => return false,
            Fallback::AliasOf(next) | Fallback::AlwaysAliasOf(next) => index = next as usize,
        }
    };
    let mut lines: Vec<String> = (0..output.names.len())
        .filter(|index| published(*index))
        .map(|index| {
            let name = &output.names[index];
            let (what, ttl) = match (serves[index].as_str(), name.fallback) {
                ("", Fallback::AliasOf(to) | Fallback::AlwaysAliasOf(to)) => {
                    (format!("CNAME {}", output.names[to as usize].fqdn), output.ttls[index])
                }
                (addresses, _) => (format!("A {addresses}"), output.ttls[index]),
            };
            format!("{} {ttl} {what}", name.fqdn)
        })
        .collect();
    lines.sort();
    lines
}

const L1: &str = "10.20.30.1";
const L2: &str = "10.20.30.2";
const L3: &str = "10.20.30.3";

/// "both" of the table.
fn both() -> DecisionInput {
    input(places(), vec![cluster("c1", 1, &[1], &[L1]), cluster("c2", 0, &[0], &[L2])])
}

const BOTH: [&str; 5] = [
    "nginx.test.galactic.svc.eu.example.com 180 A 10.20.30.2",
    "nginx.test.galactic.svc.eu1.eu.example.com 180 A 10.20.30.2",
    "nginx.test.galactic.svc.example.com 180 A 10.20.30.1,10.20.30.2",
    "nginx.test.galactic.svc.us.example.com 180 A 10.20.30.1",
    "nginx.test.galactic.svc.us1.us.example.com 180 A 10.20.30.1",
];

#[test]
fn no_clusters() {
    assert!(table(&input(Places::default(), Vec::new())).is_empty());
}

#[test]
fn one_cluster() {
    let places =
        Places { regions: vec![Arc::from("us")], zones: vec![ZonePlace { name: Arc::from("us1"), region: 0 }] };
    let mut input = input(places, vec![cluster("c1", 0, &[0], &[L1])]);
    let expected = |ttl| {
        [
            "nginx.test.galactic.svc.example.com",
            "nginx.test.galactic.svc.us.example.com",
            "nginx.test.galactic.svc.us1.us.example.com",
        ]
        .map(|name| format!("{name} {ttl} A 10.20.30.1"))
    };
    assert_eq!(table(&input), expected(180));
    input.subject.record_ttl = Some(300);
    assert_eq!(table(&input), expected(300));
}

#[test]
fn both_clusters() {
    assert_eq!(table(&both()), BOTH);
}

#[test]
fn one_cluster_without_address() {
    let mut input = both();
    input.clusters[1] = cluster("c2", 0, &[0], &[]);
    assert_eq!(
        table(&input),
        [
            "nginx.test.galactic.svc.eu.example.com 180 CNAME nginx.test.galactic.svc.example.com",
            "nginx.test.galactic.svc.eu1.eu.example.com 180 CNAME nginx.test.galactic.svc.eu.example.com",
            "nginx.test.galactic.svc.example.com 180 A 10.20.30.1",
            "nginx.test.galactic.svc.us.example.com 180 A 10.20.30.1",
            "nginx.test.galactic.svc.us1.us.example.com 180 A 10.20.30.1",
        ]
    );
}

#[test]
fn no_address_at_all() {
    let mut input = both();
    input.clusters = vec![cluster("c1", 1, &[1], &[]), cluster("c2", 0, &[0], &[])];
    input.subject.dns_prefix = Some(Arc::from("foo"));
    assert!(table(&input).is_empty());
}

#[test]
fn several_addresses() {
    let mut input = both();
    input.clusters[0] = cluster("c1", 1, &[1], &[L1, L3]);
    let table = table(&input);
    assert!(table.contains(&"nginx.test.galactic.svc.example.com 180 A 10.20.30.1,10.20.30.2,10.20.30.3".to_owned()));
    assert!(table.contains(&"nginx.test.galactic.svc.us1.us.example.com 180 A 10.20.30.1,10.20.30.3".to_owned()));
}

#[test]
fn a_prefix_and_an_external_name() {
    let mut input = both();
    input.subject.dns_prefix = Some(Arc::from("foo"));
    let prefix = "foo.example.com 180 CNAME nginx.test.galactic.svc.example.com";
    assert_eq!(table(&input), [[prefix].as_slice(), BOTH.as_slice()].concat());
    input.subject.dns_prefix = None;
    input.subject.external_name = Some(Arc::from("foo"));
    assert_eq!(table(&input), BOTH.map(|line| line.replacen("nginx", "foo", 1)));
}

#[test]
fn several_zones() {
    let mut input = both();
    let mut places = places();
    places.zones.push(ZonePlace { name: Arc::from("us2"), region: 1 });
    input.places = Arc::new(places);
    input.clusters[0].zones = [1, 2].into();
    let second = "nginx.test.galactic.svc.us2.us.example.com 180 A 10.20.30.1";
    assert_eq!(table(&input), [BOTH.as_slice(), [second].as_slice()].concat());
}

fn label() -> impl Strategy<Value = Arc<str>> {
    "[a-z][a-z0-9-]{0,20}".prop_map(Arc::from)
}

fn any_cluster(regions: u32, zones: u32) -> impl Strategy<Value = Cluster> {
    let state = prop_oneof![
        Just(ClusterState::Serving),
        Just(ClusterState::NoReadyEndpoints),
        Just(ClusterState::NoAddress),
        Just(ClusterState::NoService),
        Just(ClusterState::Unreachable),
    ];
    let address = prop_oneof![
        any::<u32>().prop_map(|bits| IpAddr::V4(Ipv4Addr::from_bits(bits))),
        any::<u128>().prop_map(|bits| IpAddr::V6(Ipv6Addr::from_bits(bits))),
    ];
    // One beyond the last: the host never says so, and a policy must survive it all the same.
    let region = prop::option::of(0..=regions);
    let zones = prop::collection::vec(0..=zones, 0..4);
    (label(), region, zones, state, any::<u32>(), prop::collection::vec(address, 0..4)).prop_map(
        |(name, region, zones, state, ready_endpoints, addresses)| Cluster {
            name,
            region,
            zones: zones.into(),
            labels: Vec::new(),
            state,
            state_for_seconds: None,
            ready_endpoints,
            addresses: addresses.into(),
        },
    )
}

prop_compose! {
    fn any_places()(
        regions in prop::collection::vec(label(), 0..6)
    )(
        zones in prop::collection::vec((label(), 0..=u32::try_from(regions.len()).unwrap()), 0..12),
        regions in Just(regions),
    ) -> Places {
        Places { regions, zones: zones.into_iter().map(|(name, region)| ZonePlace { name, region }).collect() }
    }
}

prop_compose! {
    fn any_input()(places in any_places())(
        subject in (label(), label(), label(), "[a-z.]{1,30}", prop::option::of(label()),
                    prop::option::of("[*a-zäß.]{0,40}"), prop::option::of(any::<u32>())),
        clusters in prop::collection::vec(
            any_cluster(u32::try_from(places.regions.len()).unwrap(), u32::try_from(places.zones.len()).unwrap()), 0..20),
        places in Just(places),
    ) -> DecisionInput {
        let (service, namespace, federation, domain, external_name, dns_prefix, record_ttl) = subject;
        DecisionInput {
            subject: Subject {
                service,
                namespace,
                federation,
                domain: Arc::from(domain),
                external_name,
                dns_prefix: dns_prefix.map(Arc::from),
                record_ttl,
                annotations: Vec::new(),
            },
            places: Arc::new(places),
            clusters,
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]
    #[test]
    fn whatever_the_input(input in any_input()) {
        prop_assert_eq!(&DEFAULT.decide(&input).unwrap().output, &native::decide(&input));
    }
}
