//! What a running controller wrote down, as if it had been read from the member clusters again.
//!
//! `ServiceDNSRecord.status.dns` says of every cluster what counted for the last decision: state, since when, region,
//! zones, addresses. From that the objects are made up that lead to the same observations, so that the one Index can be
//! asked what another policy would have made of them. What statuses do not say is not there: a cluster has one ready
//! endpoint where there may be many.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr},
    sync::Arc,
};

use jiff::Timestamp;
use mcsdns_core::{
    decision::ClusterState,
    facts::{Domain, Ingress, Member, Node, Published, Record, Service, Slice},
    ids::{ClusterName, ObjectKey},
    status::ClusterDns,
};
use mcsdns_local::fleet::{ClusterObjects, Fleet};
use mcsdns_runtime::HostTable;

/// Stands for the addresses of a cluster that has some and does not serve; they are offered to nobody.
const SOME_ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));

/// The fleet behind these records, and the addresses of its host names.
#[must_use]
pub fn fleet(
    records: BTreeMap<ObjectKey, Record>,
    domains: BTreeMap<Arc<str>, Domain>,
    members: BTreeMap<ClusterName, Member>,
    published: BTreeMap<ObjectKey, Published>,
    now: Timestamp,
) -> (Fleet, HostTable) {
    let mut clusters: BTreeMap<ClusterName, ClusterObjects> = BTreeMap::new();
    let mut hosts = HostTable::default();
    for (key, record) in &records {
        for dns in record.status.iter().flat_map(|status| &*status.dns) {
            // A cluster that is no member any more counts for nothing.
            if members.contains_key(&dns.cluster) {
                add(clusters.entry(dns.cluster.clone()).or_default(), key, dns, now);
            }
            for host in &dns.resolved {
                host.addresses.iter().for_each(|address| hosts.insert(&host.hostname, *address));
            }
        }
    }
    for name in members.keys() {
        clusters.entry(name.clone()).or_insert_with(|| ClusterObjects {
            outage: Some((now, "no record says anything about it yet".to_owned())),
            incomplete: true,
            ..ClusterObjects::default()
        });
    }
    (Fleet { records, domains, members, published, clusters, ..Fleet::default() }, hosts)
}

fn add(cluster: &mut ClusterObjects, record: &ObjectKey, dns: &ClusterDns, now: Timestamp) {
    let zones = dns.zones.iter().map(|zone| Some(Arc::clone(zone)));
    let zones: Vec<Option<Arc<str>>> = if dns.zones.is_empty() { vec![None] } else { zones.collect() };
    for zone in zones {
        let name = format!("{}.{}", zone.as_deref().unwrap_or_default(), dns.region.as_deref().unwrap_or_default());
        cluster.nodes.insert(name.into(), Node { region: dns.region.clone(), zone });
    }
    let (ingress, ready): (Arc<[Ingress]>, u32) = match dns.state.unwrap_or(ClusterState::Unreachable) {
        ClusterState::Serving => (Arc::clone(&dns.ingress), 1),
        ClusterState::NoReadyEndpoints => ([Ingress::Ip(SOME_ADDRESS)].into(), 0),
        ClusterState::NoAddress => ([].into(), 1),
        ClusterState::NoService => return,
        ClusterState::Unreachable => {
            let since = dns.since.unwrap_or(now);
            let earlier = cluster.outage.take().map_or(since, |(other, _)| other.min(since));
            cluster.outage = Some((earlier, format!("the controller cannot reach it since {earlier}")));
            (Arc::clone(&dns.ingress), 1)
        }
    };
    let service = Service { load_balancer: true, kind: "LoadBalancer".into(), ingress, refused: Vec::new() };
    cluster.services.insert(record.clone(), Ok(service));
    if ready > 0 {
        cluster.slices.insert(record.clone(), Ok(Slice { service: Arc::clone(&record.name), ready }));
    }
}

#[cfg(test)]
mod tests {
    use mcsdns_core::{
        facts::{DomainSpec, Meta, RecordSpec},
        index::Settings,
        status::RecordStatus,
    };
    use mcsdns_local::world::{World, WorldOptions};

    use super::*;
    use crate::{
        judge,
        recorder::Recorder,
        workbench::{Candidate, Workbench},
    };

    fn dns(cluster: &str, region: &str, state: ClusterState, address: &str) -> ClusterDns {
        ClusterDns {
            cluster: ClusterName::new(cluster),
            region: Some(region.into()),
            zones: [format!("{region}1").into()].into(),
            ingress: match address.parse() {
                Ok(address) => [Ingress::Ip(address)].into(),
                Err(_) => [].into(),
            },
            resolved: Vec::new(),
            state: Some(state),
            since: None,
        }
    }

    #[test]
    fn what_was_observed_is_observed_again() {
        let key = ObjectKey::new("shop", "web");
        let meta = || Meta { uid: "".into(), generation: 1, created: None, deleting: false };
        let status = RecordStatus {
            dns: [
                dns("a", "eu", ClusterState::Serving, "198.51.100.1"),
                dns("b", "us", ClusterState::NoReadyEndpoints, ""),
                dns("c", "us", ClusterState::NoService, ""),
                dns("d", "ap", ClusterState::NoAddress, ""),
                dns("gone", "ap", ClusterState::Serving, "198.51.100.9"),
            ]
            .into(),
            ..RecordStatus::default()
        };
        let record = Record {
            meta: meta(),
            annotations: Vec::new(),
            spec: Ok(RecordSpec { domain_ref: "prod".into(), ..RecordSpec::default() }),
            status: Some(status.into()),
        };
        let domain = Domain {
            meta: meta(),
            spec: Ok(DomainSpec { domain: "example.com".into(), ..DomainSpec::default() }),
            status: None,
        };
        let now: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let members = ["a", "b", "c", "d"].map(|name| (ClusterName::new(name), Member::default()));
        let (fleet, hosts) = fleet(
            [(key.clone(), record)].into(),
            [("prod".into(), domain)].into(),
            members.into(),
            BTreeMap::new(),
            now,
        );
        let set = Workbench::new().unwrap().load(&Candidate::boxed()).unwrap().set;
        let recorder = Recorder::with(&set);
        let options = WorldOptions { now, settings: Settings::default(), hosts, group: Default::default() };
        let (world, _) = World::new(fleet, set.policy_ref(), &recorder, options).unwrap();
        let states: Vec<ClusterState> =
            recorder.take().last().unwrap().input.clusters.iter().map(|it| it.state).collect();
        assert_eq!(
            states,
            [ClusterState::Serving, ClusterState::NoReadyEndpoints, ClusterState::NoService, ClusterState::NoAddress]
        );
        let (_, endpoints) = world.endpoints().next().unwrap();
        let lines = judge::lines(endpoints);
        assert!(lines.contains(&"web.shop.prod.svc.eu.example.com 180 A 198.51.100.1".to_owned()), "{lines:?}");
        assert!(
            lines.contains(&"web.shop.prod.svc.us.example.com 180 CNAME web.shop.prod.svc.example.com".to_owned()),
            "{lines:?}"
        );
        assert!(lines.iter().all(|line| !line.contains("192.0.2.1")), "{lines:?}");
    }
}
