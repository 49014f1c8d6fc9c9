//! Conversions, and that no object can break them.

use std::{net::IpAddr, sync::Arc};

use kube::{Resource, core::ObjectList};
use mcsdns_core::{
    decision::ClusterState,
    facts::{Ingress, Owner, WhenEmpty},
    ids::ObjectKey,
    plan::{Endpoint, RecordType, Targets},
};
use serde_json::{Value, json};

use super::*;
use crate::{
    API_VERSION,
    endpoint::{EndpointGroup, dns_endpoint},
    metadata::{ANNOTATION_ADOPT, LABEL_PUBLISH, SERVICE_NAME},
};

// By value, because every call makes its own with `json!`.
#[expect(clippy::needless_pass_by_value)]
fn read<T: Watched>(value: Value) -> T {
    from_value(&value).unwrap()
}

fn fact<T: Watched>(value: Value) -> T::Fact {
    read::<T>(value).fact().unwrap()
}

fn ips(all: &[&str]) -> Vec<Ingress> {
    all.iter().map(|ip| Ingress::Ip(ip.parse().unwrap())).collect()
}

fn host(name: &str) -> Ingress {
    Ingress::HostName(name.into())
}

#[test]
fn a_record() {
    let object: RecordObject = read(json!({
        "metadata": {"name": "nginx", "namespace": "test", "uid": "u", "generation": 2, "annotations": {"b": "2", "a": "1"}},
        "spec": {"domainRef": "galactic", "recordTTL": 300, "dnsPrefix": "", "externalName": "web", "future": [1]},
    }));
    assert_eq!(object.key(), ObjectKey::new("test", "nginx"));
    let record = object.fact().unwrap();
    let spec = record.spec.unwrap();
    assert_eq!((&*spec.domain_ref, spec.record_ttl), ("galactic", Some(300)));
    assert_eq!((spec.dns_prefix, spec.external_name.as_deref()), (None, Some("web")));
    assert!(!spec.allow_service_without_endpoints && record.status.is_none());
    let keys: Vec<_> = record.annotations.iter().map(|(key, _)| &**key).collect();
    assert_eq!(keys, ["a", "b"]);
}

#[test]
fn what_is_wrong_with_a_record_is_named() {
    for (spec, message) in [
        (json!(null), "spec is missing"),
        (json!("x"), "spec: expected an object, found a text"),
        (json!({}), "spec.domainRef is missing"),
        (json!({"domainRef": 1}), "spec.domainRef: expected a text, found a number"),
        (json!({"domainRef": "d", "recordTTL": "300"}), "spec.recordTTL: expected a whole number, found a text"),
        (json!({"domainRef": "d", "dnsPrefix": ["a"]}), "spec.dnsPrefix: expected a text, found a list"),
        (json!({"domainRef": "d", "externalName": false}), "spec.externalName: expected a text, found true or false"),
        (
            json!({"domainRef": "d", "allowServiceWithoutEndpoints": "yes"}),
            "spec.allowServiceWithoutEndpoints: expected true or false, found a text",
        ),
    ] {
        let record = fact::<RecordObject>(json!({"metadata": {"name": "a"}, "spec": spec}));
        assert_eq!(record.spec.unwrap_err().message, message);
    }
}

#[test]
fn the_status_of_the_original_is_a_memory() {
    let record = fact::<RecordObject>(json!({
        "metadata": {"name": "a"}, "spec": {"domainRef": "d"},
        "status": {"domain": "example.com", "dns": [
            {"cluster": "c2", "region": "eu", "zones": ["eu1"], "loadBalancer": {"ingress": [{"hostname": "B.example."}, {"ip": "10.0.0.10"}, {"ip": "10.0.0.2"}]}},
            {"cluster": "c1", "region": "us", "zones": ["us1"], "loadBalancer": {}},
            {"region": "nowhere"}, 7,
        ]},
    }));
    let status = record.status.unwrap();
    let [c1, c2] = &*status.dns else {
        panic!("{:?}", status.dns);
    };
    assert_eq!((c1.cluster.as_str(), c1.state, c1.ingress.len()), ("c1", None, 0));
    let mut expected = ips(&["10.0.0.2", "10.0.0.10"]);
    expected.push(host("b.example"));
    assert_eq!((c2.cluster.as_str(), &*c2.ingress), ("c2", &*expected));
}

#[test]
fn half_a_status_is_better_than_none() {
    let record = fact::<RecordObject>(json!({
        "metadata": {"name": "a"}, "spec": {"domainRef": "d"},
        "status": {"domain": 5, "observedGeneration": "x", "conditions": [{"type": "Accepted", "status": "Maybe"}, {}],
            "published": [], "withheld": [{"name": "a", "type": "TXT"}],
            "dns": [{"cluster": "c", "state": "asleep", "since": "noon", "loadBalancer": {"ingress": "x"},
                     "resolved": [{"hostname": "h", "addresses": ["10.0.0.1", "x"]}, {"addresses": []}]}]},
    }));
    let status = record.status.unwrap();
    assert_eq!((&status.domain, status.observed_generation), (&None, 0));
    assert_eq!(status.conditions.len(), 1);
    assert_eq!(status.withheld[0].record_type, None);
    assert_eq!((status.dns[0].state, status.dns[0].since), (None, None));
    assert_eq!(status.dns[0].resolved.len(), 1);
    assert_eq!(status.dns[0].resolved[0].addresses.len(), 1);
}

#[test]
fn a_domain() {
    let object: DomainObject = read(json!({
        "metadata": {"name": "galactic", "namespace": "n"}, "domain": "Example.com.", "nameServer": "ns",
        "policies": {"naming": "mine", "ttl": ""}, "whenEmpty": "withdraw", "unreachableGraceSeconds": -1,
        "minTTL": 5, "maxTTL": 50,
    }));
    assert_eq!(&*object.key(), "galactic");
    let policies = object.policies().unwrap();
    assert_eq!((policies.naming.as_deref(), policies.ttl), (Some("mine"), None));
    let spec = object.fact().unwrap().spec.unwrap();
    assert_eq!(&*spec.domain, "Example.com.");
    assert_eq!(spec.when_empty, WhenEmpty::Withdraw);
    assert_eq!((spec.unreachable_grace_seconds, spec.min_ttl, spec.max_ttl), (Some(-1), Some(5), Some(50)));
}

#[test]
fn what_is_wrong_with_a_domain_is_named() {
    for (field, value, message) in [
        ("domain", json!(null), "domain is missing"),
        ("domain", json!(""), "domain is missing"),
        ("domain", json!(5), "domain: expected a text, found a number"),
        ("whenEmpty", json!("drop"), "whenEmpty: expected keep or withdraw, found `drop`"),
        ("minTTL", json!(1.5), "minTTL: expected a whole number, found a fraction"),
        ("maxTTL", json!([]), "maxTTL: expected a whole number, found a list"),
        ("unreachableGraceSeconds", json!("5m"), "unreachableGraceSeconds: expected a whole number, found a text"),
        ("policies", json!("x"), "policies: expected an object, found a text"),
        ("policies", json!({"ttl": 5}), "policies.ttl: expected a text, found a number"),
        ("metadata", json!({"name": "d", "labels": 5}), "metadata.labels: expected an object, found a number"),
    ] {
        let mut object = json!({"metadata": {"name": "d"}, "domain": "example.com"});
        object[field] = value;
        let domain = fact::<DomainObject>(object);
        assert_eq!(domain.spec.unwrap_err().message, message);
    }
}

#[test]
fn a_member() {
    let object: MemberObject = read(json!({
        "metadata": {"name": "c1", "labels": {"tier": "gold"}},
        "spec": {"kubeconfigSecretRef": {"name": "s", "key": "k"}, "region": "RegionOne", "zones": ["b", "a", "b"], "insecureSkipTLSVerify": "Allow"},
        "status": {"region": "r", "zones": ["z"], "nodes": 3, "services": -1, "kubernetesVersion": "v1.36.3"},
    }));
    assert_eq!(
        object.connection(),
        Ok(Connection::Secret { name: "s".into(), key: Some("k".into()), allow_insecure: true })
    );
    let member = object.fact().unwrap();
    assert_eq!(member.region.as_deref(), Some("RegionOne"));
    assert_eq!(member.zones, Some(vec!["a".into(), "b".into()]));
    assert_eq!(member.labels, [("tier".into(), "gold".into())]);
    let status = member.status.unwrap();
    assert_eq!((status.nodes, status.services), (3, 0));
}

#[test]
fn how_a_member_is_reached() {
    let connection = |spec: Value| read::<MemberObject>(json!({"metadata": {"name": "m"}, "spec": spec})).connection();
    assert_eq!(connection(json!({"host": {}})), Ok(Connection::Host));
    for (spec, message) in [
        (json!(null), "spec is missing"),
        (json!({}), "spec: set exactly one of kubeconfigSecretRef and host"),
        (
            json!({"host": {}, "kubeconfigSecretRef": {"name": "a"}}),
            "spec: set exactly one of kubeconfigSecretRef and host",
        ),
        (json!({"host": true}), "spec.host: expected an object, found true or false"),
        (json!({"kubeconfigSecretRef": {}}), "spec.kubeconfigSecretRef.name is missing"),
        (
            json!({"host": {}, "insecureSkipTLSVerify": "yes"}),
            "spec.insecureSkipTLSVerify: expected Refuse or Allow, found `yes`",
        ),
    ] {
        assert_eq!(connection(spec).unwrap_err().message, message);
    }
}

#[test]
fn places_of_a_member_that_cannot_be_read() {
    for (spec, message) in [
        (json!({"region": 5}), "spec.region: expected a text, found a number"),
        (json!({"zones": "a"}), "spec.zones: expected a list, found a text"),
        (json!({"zones": ["a", 5]}), "spec.zones[1]: expected a text, found a number"),
    ] {
        let member = fact::<MemberObject>(json!({"metadata": {"name": "m"}, "spec": spec}));
        assert_eq!(member.malformed.unwrap().message, message);
    }
}

#[test]
fn both_generations_of_node_labels() {
    let node = |labels: Value| fact::<NodeObject>(json!({"metadata": {"name": "n", "labels": labels}}));
    let new = node(json!({
        "topology.kubernetes.io/region": "us", "topology.kubernetes.io/zone": "",
        "failure-domain.beta.kubernetes.io/region": "old", "failure-domain.beta.kubernetes.io/zone": "us1",
    }));
    assert_eq!((new.region.as_deref(), new.zone.as_deref()), (Some("us"), Some("us1")));
    assert_eq!(node(json!(5)).region, None);
    assert!(NodeObject::metadata_api());
}

#[test]
fn a_slice_counts_what_is_ready_or_does_not_say() {
    let slice = |endpoints: Value| {
        let object = json!({"metadata": {"name": "s", "namespace": "n", "labels": {"kubernetes.io/service-name": "nginx"}}, "endpoints": endpoints});
        fact::<SliceObject>(object).map(|slice| slice.ready)
    };
    assert_eq!(
        slice(json!([
            {"conditions": {"ready": true}}, {"conditions": {"ready": false}}, {"conditions": {"ready": null}},
            {"conditions": {}}, {}, {"conditions": null}, null,
        ])),
        Ok(5)
    );
    assert_eq!(slice(json!(null)), Ok(0));
    for (endpoints, message) in [
        (json!("x"), "endpoints: expected a list, found a text"),
        (json!([{}, 5]), "endpoints[1]: expected an object, found a number"),
        (json!([{"conditions": []}]), "endpoints[0].conditions: expected an object, found a list"),
        (
            json!([{"conditions": {"ready": "no"}}]),
            "endpoints[0].conditions.ready: expected true or false, found a text",
        ),
    ] {
        assert_eq!(slice(endpoints).unwrap_err().message, message);
    }
    assert!(read::<SliceObject>(json!({"metadata": {"name": "s"}})).fact().is_none());
}

#[test]
fn addresses_of_a_service() {
    let service = fact::<ServiceObject>(json!({
        "metadata": {"name": "nginx", "namespace": "test"},
        "spec": {"type": "LoadBalancer", "ports": [{"port": 80}]},
        "status": {"loadBalancer": {"ingress": [
            {"ip": "10.0.0.10", "ipMode": "VIP"}, {"ip": "10.0.0.2"}, {"ip": "10.0.0.10"},
            {"ip": "2001:DB8::1", "hostname": "A9.US-west-2.elb.amazonaws.com."},
            {"hostname": "10.0.0.3"}, {"ip": "::ffff:10.0.0.4"}, {}, {"ip": "", "hostname": ""},
            {"ip": "10.0.0"}, {"ip": "0.0.0.0"}, {"ip": "::"}, {"ip": "224.0.0.1"}, {"hostname": "*.a"}, {"hostname": "a_b.c"}, {"ip": 5}, 6,
        ]}},
    }))
    .unwrap();
    assert!(service.load_balancer);
    let mut expected = ips(&["10.0.0.2", "10.0.0.3", "10.0.0.4", "10.0.0.10", "2001:db8::1"]);
    expected.push(host("a9.us-west-2.elb.amazonaws.com"));
    assert_eq!(&*service.ingress, &*expected);
    assert_eq!(
        service.refused,
        [
            "10.0.0",
            "0.0.0.0",
            "::",
            "224.0.0.1",
            "*.a",
            "a_b.c",
            "status.loadBalancer.ingress[14].ip: expected a text, found a number",
            "status.loadBalancer.ingress[15]: expected an object, found a number",
        ]
    );
}

#[test]
fn services_of_other_types_and_bad_ones() {
    let service = |spec: Value, status: Value| {
        fact::<ServiceObject>(json!({"metadata": {"name": "a"}, "spec": spec, "status": status}))
    };
    let plain = service(json!({}), json!(null)).unwrap();
    assert_eq!((plain.load_balancer, &*plain.kind), (false, "ClusterIP"));
    for (spec, status, message) in [
        (json!(5), json!({}), "spec: expected an object, found a number"),
        (json!({"type": {}}), json!({}), "spec.type: expected a text, found an object"),
        (json!({}), json!([]), "status: expected an object, found a list"),
        (json!({}), json!({"loadBalancer": "x"}), "status.loadBalancer: expected an object, found a text"),
        (
            json!({}),
            json!({"loadBalancer": {"ingress": {}}}),
            "status.loadBalancer.ingress: expected a list, found an object",
        ),
    ] {
        assert_eq!(service(spec, status).unwrap_err().message, message);
    }
}

fn endpoint(name: &str, record_type: RecordType, targets: Targets) -> Endpoint {
    Endpoint {
        dns_name: name.into(),
        record_type,
        set_identifier: None,
        targets,
        record_ttl: 300,
        provider_specific: Vec::new(),
    }
}

fn addresses(all: &[&str]) -> Targets {
    let all: Vec<IpAddr> = all.iter().map(|ip| ip.parse().unwrap()).collect();
    Targets::Addresses(all.into())
}

fn ours() -> Vec<Endpoint> {
    let mut weighted = endpoint("b.example.com", RecordType::Aaaa, addresses(&["2001:db8::1"]));
    weighted.set_identifier = Some("one".into());
    weighted.provider_specific = vec![("aws/weight".into(), "10".into())];
    vec![
        endpoint("a.example.com", RecordType::A, addresses(&["10.0.0.2", "10.0.0.10"])),
        weighted,
        endpoint("c.example.com", RecordType::Cname, Targets::Name("a.example.com".into())),
    ]
}

fn written(uid: &str) -> Value {
    let key = ObjectKey::new("test", "nginx");
    serde_json::to_value(dns_endpoint(&key, uid, &ours(), EndpointGroup::ExternalDns)).unwrap()
}

/// As the API server returns it.
fn stored(uid: &str) -> Value {
    let mut object = written(uid);
    object["metadata"]["uid"] = json!("e");
    object["metadata"]["generation"] = json!(3);
    object
}

#[test]
fn what_we_write_comes_back_as_ours() {
    let published = fact::<DnsEndpointObject>(stored("r"));
    assert_eq!(published.owner, Owner::Record { name: "nginx".into(), uid: "r".into() });
    assert!(published.metadata_in_order);
    assert_eq!((&*published.uid, published.generation), ("e", 3));
    assert_eq!(*published.endpoints, *ours());
}

#[test]
fn without_an_api_server_there_is_no_owner_reference() {
    let object = written("");
    assert_eq!(object["metadata"]["ownerReferences"], Value::Null);
    let published = fact::<DnsEndpointObject>(object);
    assert_eq!(published.owner, Owner::Record { name: "nginx".into(), uid: "".into() });
    assert!(published.metadata_in_order);
}

#[test]
fn edits_by_hand_are_seen() {
    let edited = |edit: fn(&mut Value)| {
        let mut object = stored("r");
        edit(&mut object);
        fact::<DnsEndpointObject>(object)
    };
    for (what, edit) in [
        ("label", (|o| o["metadata"]["labels"][LABEL_PUBLISH] = json!("false")) as fn(&mut Value)),
        ("owner", |o| o["metadata"]["ownerReferences"] = json!(null)),
        ("endpoint labels", |o| o["spec"]["endpoints"][0]["labels"] = json!({"a": "b"})),
        ("new field", |o| o["spec"]["endpoints"][0]["weight"] = json!(5)),
        ("type", |o| o["spec"]["endpoints"][0]["recordType"] = json!("TXT")),
        ("targets", |o| o["spec"]["endpoints"][0]["targets"] = json!([])),
        ("family", |o| o["spec"]["endpoints"][0]["targets"] = json!(["::1"])),
        ("alias", |o| o["spec"]["endpoints"][2]["targets"] = json!(["a", "b"])),
        ("null", |o| o["spec"]["endpoints"][0] = json!(null)),
        ("list", |o| o["spec"]["endpoints"] = json!(5)),
    ] {
        let published = edited(edit);
        assert!(matches!(published.owner, Owner::Record { .. }), "{what}");
        assert!(!published.metadata_in_order, "{what}");
    }
    for (what, edit) in [
        ("name", (|o| o["spec"]["endpoints"][0]["dnsName"] = json!("A.example.com")) as fn(&mut Value)),
        ("ttl", |o| o["spec"]["endpoints"][0]["recordTTL"] = json!(-1)),
        ("no ttl", |o| o["spec"]["endpoints"][0]["recordTTL"] = json!(null)),
        ("dot", |o| o["spec"]["endpoints"][2]["targets"] = json!(["a.example.com."])),
        ("property", |o| o["spec"]["endpoints"][1]["providerSpecific"] = json!([])),
        ("set", |o| o["spec"]["endpoints"][1]["setIdentifier"] = json!("two")),
    ] {
        assert_ne!(*edited(edit).endpoints, *ours(), "{what}");
    }
    let reordered = edited(|o| {
        o["spec"]["endpoints"].as_array_mut().unwrap().reverse();
        let targets = o["spec"]["endpoints"][2]["targets"].as_array_mut().unwrap();
        targets.reverse();
    });
    assert_eq!(*reordered.endpoints, *ours());
}

#[test]
fn a_type_we_never_write_is_kept_apart() {
    let mut object = stored("r");
    object["spec"]["endpoints"][0]["recordType"] = json!("TXT");
    let published = fact::<DnsEndpointObject>(object);
    let targets: Arc<[String]> = ["type TXT", "10.0.0.2", "10.0.0.10"].map(str::to_owned).into();
    assert!(published.endpoints.iter().any(|e| e.targets == Targets::Other(targets.clone())));
}

#[test]
fn whose_a_dns_endpoint_is() {
    let owner = |metadata: Value| {
        let mut object = json!({"metadata": {"name": "service-nginx", "namespace": "test", "uid": "e"}});
        for (key, value) in metadata.as_object().unwrap() {
            object["metadata"][key] = value.clone();
        }
        fact::<DnsEndpointObject>(object).owner
    };
    let foreign = |who: &str| Owner::Foreign(who.into());
    assert_eq!(owner(json!({})), foreign("unknown"));
    assert_eq!(
        owner(json!({"managedFields": [{"manager": "external-dns", "subresource": "status"}, {"manager": "helm"}]})),
        foreign("helm")
    );
    let reference =
        json!([{"apiVersion": "apps/v1", "kind": "Deployment", "name": "d", "uid": "x", "controller": true}]);
    assert_eq!(owner(json!({"ownerReferences": reference})), foreign("Deployment d"));
    let marks = json!({"app.kubernetes.io/managed-by": "mcsdns", LABEL_PUBLISH: "true"});
    assert_eq!(owner(json!({"ownerReferences": reference, "labels": marks})), foreign("Deployment d"));
    assert_eq!(owner(json!({"annotations": {ANNOTATION_ADOPT: "true"}})), Owner::Adoptable);
    assert_eq!(owner(json!({"labels": marks})), Owner::Record { name: "nginx".into(), uid: "".into() });
    let reference = json!([{"apiVersion": API_VERSION, "kind": "ServiceDNSRecord", "name": "nginx", "uid": "x", "controller": true}]);
    assert_eq!(owner(json!({"ownerReferences": reference})), Owner::Record { name: "nginx".into(), uid: "x".into() });
}

#[test]
fn a_name_too_long_for_a_label() {
    let name = "n".repeat(70);
    let key = ObjectKey::new("test", name.as_str());
    let object = dns_endpoint(&key, "r", &ours(), EndpointGroup::Guide);
    let metadata = &object.metadata;
    assert!(metadata.labels.as_ref().unwrap().values().all(|value| value.len() <= 63));
    assert_eq!(metadata.annotations.as_ref().unwrap().get(SERVICE_NAME), Some(&name));
    assert_eq!(object.api_version, API_VERSION);
    let published = fact::<DnsEndpointObject>(serde_json::to_value(object).unwrap());
    assert!(published.metadata_in_order);
}

#[test]
fn one_bad_object_does_not_spoil_a_list() {
    let list: ObjectList<ServiceObject> = serde_json::from_value(json!({
        "apiVersion": "v1", "kind": "ServiceList", "metadata": {"resourceVersion": "5"},
        "items": [
            {"metadata": {"name": "good"}, "spec": {"type": "LoadBalancer"}},
            {"metadata": {"name": "bad", "labels": [1]}, "spec": "x"},
        ],
    }))
    .unwrap();
    let facts: Vec<_> = list.items.iter().map(|item| item.fact().unwrap()).collect();
    assert!(facts[0].is_ok() && facts[1].is_err());
    assert_eq!(list.items[1].key().name.as_ref(), "bad");
}

#[test]
fn objects_from_files() {
    let object = |api_version: &str, kind: &str| {
        local_object(&json!({"apiVersion": api_version, "kind": kind, "metadata": {"name": "a"}})).unwrap()
    };
    assert!(matches!(object(API_VERSION, "ServiceDNSRecord"), LocalObject::Record(_)));
    assert!(matches!(object(API_VERSION, "Domain"), LocalObject::Domain(_)));
    assert!(matches!(object(API_VERSION, "MemberCluster"), LocalObject::Member(_)));
    assert!(matches!(object(API_VERSION, "DNSEndpoint"), LocalObject::DnsEndpoint(EndpointGroup::Guide, _)));
    assert!(matches!(
        object("externaldns.k8s.io/v1alpha1", "DNSEndpoint"),
        LocalObject::DnsEndpoint(EndpointGroup::ExternalDns, _)
    ));
    assert!(matches!(object("v1", "Service"), LocalObject::Service(_)));
    assert!(matches!(object("v1", "Node"), LocalObject::Node(_)));
    assert!(matches!(object("discovery.k8s.io/v1", "EndpointSlice"), LocalObject::Slice(_)));
    assert!(matches!(object("v1", "ConfigMap"), LocalObject::ConfigMap(_)));
    assert!(matches!(object("v1", "Secret"), LocalObject::Other { .. }));
    for (value, message) in [
        (json!([]), "apiVersion is missing; every Kubernetes object has one"),
        (json!({"apiVersion": "v1"}), "kind is missing; every Kubernetes object has one"),
        (json!({"apiVersion": "v1", "kind": "Node"}), "metadata.name is missing"),
        (
            json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": 5}}),
            "metadata.name: expected a text, found a number",
        ),
    ] {
        assert_eq!(local_object(&value).unwrap_err().message, message);
    }
}

#[test]
fn watched_types_know_their_resource() {
    assert_eq!(ServiceObject::url_path(&(), None), "/api/v1/services");
    assert_eq!(SliceObject::url_path(&(), Some("a")), "/apis/discovery.k8s.io/v1/namespaces/a/endpointslices");
    assert_eq!(RecordObject::url_path(&(), None), "/apis/multiclusterdns.federation.k8s.io/v1alpha1/servicednsrecords");
    assert_eq!(
        DnsEndpointObject::url_path(&EndpointGroup::ExternalDns, None),
        "/apis/externaldns.k8s.io/v1alpha1/dnsendpoints"
    );
    let resource = EndpointGroup::Guide.api_resource();
    assert_eq!((resource.kind.as_str(), resource.api_version.as_str()), ("DNSEndpoint", API_VERSION));
}

#[test]
fn states_have_words() {
    for state in [
        ClusterState::Serving,
        ClusterState::NoReadyEndpoints,
        ClusterState::NoAddress,
        ClusterState::NoService,
        ClusterState::Unreachable,
    ] {
        let text = crate::status::state_text(state);
        assert_eq!(crate::status::state_from_text(text), Some(state));
        assert_eq!(serde_json::to_value(state).unwrap(), json!(text));
    }
}
