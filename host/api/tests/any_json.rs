//! No JSON object, however odd, can break reading; and statuses survive being written and read.

// Helpers are not `#[test]` functions, so clippy.toml does not exempt them.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test may fail")]

use std::{net::IpAddr, sync::Arc};

use jiff::Timestamp;
use mcsdns_api::{
    convert::{
        ConfigMapObject, DnsEndpointObject, DomainObject, MemberObject, NodeObject, RecordObject, ServiceObject,
        SliceObject, Watched, from_value, local_object,
    },
    kubeconfig, schema, status,
};
use mcsdns_core::{
    decision::ClusterState,
    facts::Ingress,
    ids::{ClusterName, ObjectKey},
    plan::RecordType,
    status::{
        ActivePolicy, CandidatePolicy, ClusterDns, Condition, ConditionStatus, DomainStatus, MemberStatus,
        PolicyStatus, PublishedSummary, RecordStatus, ResolvedHost, Withheld,
    },
};
use proptest::{collection::vec, option, prelude::*, sample::select};
use serde_json::{Map, Value, json};

/// Keys that mean something somewhere, so that odd values end up in places that are read.
const KEYS: &[&str] = &[
    "metadata",
    "name",
    "namespace",
    "labels",
    "annotations",
    "ownerReferences",
    "managedFields",
    "creationTimestamp",
    "generation",
    "spec",
    "status",
    "type",
    "loadBalancer",
    "ingress",
    "ip",
    "hostname",
    "endpoints",
    "conditions",
    "ready",
    "domain",
    "domainRef",
    "recordTTL",
    "dnsPrefix",
    "policies",
    "minTTL",
    "whenEmpty",
    "kubeconfigSecretRef",
    "host",
    "zones",
    "region",
    "dns",
    "cluster",
    "since",
    "state",
    "resolved",
    "addresses",
    "published",
    "withheld",
    "targets",
    "dnsName",
    "recordType",
    "providerSpecific",
    "kubernetes.io/service-name",
    "value",
    "clusters",
    "users",
    "contexts",
    "user",
    "context",
    "token",
    "current-context",
    "server",
];

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        select(&["", "10.0.0.1", "::1", "a.example.com", "true", "LoadBalancer", "A", "2024-01-01T00:00:00Z"][..])
            .prop_map(str::to_owned),
        ".{0,8}",
    ]
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        (-1e300..1e300).prop_map(Value::from),
        text().prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 60, 6, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..5).prop_map(Value::from),
            vec((select(KEYS), inner), 0..6).prop_map(|entries| {
                let map: Map<String, Value> = entries.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
                Value::from(map)
            }),
        ]
    })
}

/// Reads the object from a value and from text, as a watch would; both must agree and say something.
fn reads<T: Watched>(object: &Value) {
    let read: T = from_value(object).unwrap();
    let from_text: T = serde_json::from_slice(&serde_json::to_vec(object).unwrap()).unwrap();
    assert_eq!(read.fact(), from_text.fact());
    assert_eq!(read.key(), from_text.key());
}

fn with_name(mut object: Value) -> Value {
    if !object.is_object() {
        object = json!({});
    }
    if !object["metadata"].is_object() {
        object["metadata"] = json!({});
    }
    object["metadata"]["name"] = json!("a");
    object
}

proptest! {
    #[test]
    fn no_object_breaks_reading(value in value()) {
        let object = with_name(value);
        reads::<RecordObject>(&object);
        reads::<DomainObject>(&object);
        reads::<MemberObject>(&object);
        reads::<ServiceObject>(&object);
        reads::<SliceObject>(&object);
        reads::<NodeObject>(&object);
        reads::<ConfigMapObject>(&object);
        reads::<DnsEndpointObject>(&object);
        let member: MemberObject = from_value(&object).unwrap();
        let _ = member.connection();
        for kind in ["ServiceDNSRecord", "Domain", "MemberCluster", "DNSEndpoint", "Service"] {
            let _ = schema::unknown_fields(kind, &object);
        }
    }

    #[test]
    fn no_value_breaks_reading_files_and_kubeconfigs(value in value()) {
        let _ = local_object(&value);
        let _ = kubeconfig::check(value.to_string().as_bytes(), true);
    }

    #[test]
    fn no_bytes_break_the_kubeconfig_check(bytes in vec(any::<u8>(), 0..200)) {
        let _ = kubeconfig::check(&bytes, false);
    }

    #[test]
    fn the_status_of_a_record_survives(status in record_status()) {
        let patch = status::record(&ObjectKey::new("n", "a"), &status);
        let mut object = serde_json::to_value(patch).unwrap();
        prop_assert_eq!(schema::unknown_fields("ServiceDNSRecord", &object), Vec::<String>::new());
        object["spec"] = json!({"domainRef": "d"});
        let read: RecordObject = from_value(&object).unwrap();
        prop_assert_eq!(read.fact().unwrap().status, Some(Arc::new(status)));
    }

    #[test]
    fn the_other_statuses_survive(
        conditions in conditions(), generation in 0..9_i64, region in option::of(label()), zones in labels(),
        nodes in any::<u32>(), policies in vec(policy_status(), 0..3),
    ) {
        let domain = DomainStatus {
            observed_generation: generation,
            conditions: conditions.clone(),
            policies: policies.clone(),
        };
        let object = serde_json::to_value(status::domain("n", "d", &domain)).unwrap();
        prop_assert_eq!(schema::unknown_fields("Domain", &object), Vec::<String>::new());
        let read: DomainObject = from_value(&object).unwrap();
        prop_assert_eq!(read.fact().unwrap().status, Some(Arc::new(domain)));

        let member = MemberStatus {
            observed_generation: generation, conditions, region, zones, version: Some("v1.36.3".into()), nodes, services: 7,
        };
        let object = serde_json::to_value(status::member("n", &ClusterName::new("c"), &member)).unwrap();
        prop_assert_eq!(schema::unknown_fields("MemberCluster", &object), Vec::<String>::new());
        let read: MemberObject = from_value(&object).unwrap();
        prop_assert_eq!(read.fact().unwrap().status, Some(Arc::new(member)));
    }
}

fn label() -> impl Strategy<Value = Arc<str>> {
    "[a-z][a-z0-9]{0,5}".prop_map(Arc::from)
}

fn labels() -> impl Strategy<Value = Vec<Arc<str>>> {
    vec(label(), 0..3)
}

fn time() -> impl Strategy<Value = Timestamp> {
    (0..4_000_000_000_i64, 0..1_000_000_000_i32).prop_map(|(seconds, nanos)| Timestamp::new(seconds, nanos).unwrap())
}

fn policy_status() -> impl Strategy<Value = PolicyStatus> {
    let active = (option::of(label()), label(), label(), label(), time()).prop_map(
        |(config_map, policy, digest, revision, since)| ActivePolicy { config_map, policy, digest, revision, since },
    );
    let optional = || option::of(label());
    let candidate = (optional(), optional(), optional(), optional(), label(), "[ -~]{0,30}", time()).prop_map(
        |(policy, digest, revision, rollout, verdict, message, since)| CandidatePolicy {
            policy,
            digest,
            revision,
            rollout,
            verdict,
            message: message.into(),
            since,
        },
    );
    (label(), option::of(label()), option::of(active), option::of(candidate))
        .prop_map(|(aspect, config_map, active, candidate)| PolicyStatus { aspect, config_map, active, candidate })
}

fn conditions() -> impl Strategy<Value = Vec<Condition>> {
    let status = select(&[ConditionStatus::True, ConditionStatus::False, ConditionStatus::Unknown][..]);
    let condition = (label(), status, label(), "[ -~]{0,30}", time(), 0..9_i64).prop_map(
        |(kind, status, reason, message, since, observed_generation)| Condition {
            kind,
            status,
            reason,
            message: message.into(),
            since,
            observed_generation,
        },
    );
    vec(condition, 0..4)
}

fn addresses() -> impl Strategy<Value = Vec<IpAddr>> {
    let v4 = (1..200_u8, any::<[u8; 3]>()).prop_map(|(a, [b, c, d])| IpAddr::from([a, b, c, d]));
    let v6 = any::<u16>().prop_map(|n| IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, n]));
    vec(prop_oneof![v4, v6], 0..4).prop_map(|mut all| {
        all.sort_unstable();
        all.dedup();
        all
    })
}

fn cluster() -> impl Strategy<Value = ClusterDns> {
    let states = [
        ClusterState::Serving,
        ClusterState::NoReadyEndpoints,
        ClusterState::NoAddress,
        ClusterState::NoService,
        ClusterState::Unreachable,
    ];
    (
        label(),
        option::of(label()),
        labels(),
        addresses(),
        labels(),
        addresses(),
        option::of(select(states.to_vec())),
        option::of(time()),
    )
        .prop_map(|(cluster, region, zones, ips, hosts, resolved, state, since)| {
            let mut ingress: Vec<Ingress> = ips.into_iter().map(Ingress::Ip).collect();
            ingress.extend(hosts.iter().cloned().map(Ingress::HostName));
            ingress.sort();
            ingress.dedup();
            ClusterDns {
                cluster: ClusterName(cluster),
                region,
                zones: zones.into(),
                ingress: ingress.into(),
                resolved: hosts
                    .into_iter()
                    .map(|hostname| ResolvedHost { hostname, addresses: resolved.clone().into() })
                    .collect(),
                state,
                since,
            }
        })
}

fn record_status() -> impl Strategy<Value = RecordStatus> {
    let types = [RecordType::A, RecordType::Aaaa, RecordType::Cname];
    let withheld = (label(), option::of(select(types.to_vec())), label(), label())
        .prop_map(|(name, record_type, reason, message)| Withheld { name, record_type, reason, message });
    let published = (option::of(label()), any::<u32>(), any::<u32>(), option::of(label())).prop_map(
        |(dns_endpoint, names, endpoints, policy)| PublishedSummary { dns_endpoint, names, endpoints, policy },
    );
    (option::of(label()), vec(cluster(), 0..4), 0..9_i64, conditions(), published, vec(withheld, 0..3)).prop_map(
        |(domain, mut dns, observed_generation, conditions, published, withheld)| {
            dns.sort_by(|a, b| a.cluster.cmp(&b.cluster));
            dns.dedup_by(|a, b| a.cluster == b.cluster);
            RecordStatus { domain, dns: dns.into(), observed_generation, conditions, published, withheld }
        },
    )
}
