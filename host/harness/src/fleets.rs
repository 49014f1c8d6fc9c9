//! Questions of any size, made up: for the conformance suite, for benches, for tests.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    sync::Arc,
};

use mcsdns_core::decision::{Cluster, ClusterState, DecisionInput, Needs, Places, Subject, ZonePlace};

/// Most regions that are made up.
const REGIONS: u32 = 10;
/// Zones of each region.
const ZONES: u32 = 3;
/// Age of every state, in seconds, where ages are needed.
const AGE: u32 = 3600;

/// A record `web-frontend` in `shop-production`, asked of so many clusters in up to 10 regions of 3 zones, one zone each.
/// Every cluster serves one IPv4 address. What `needs` asks for beyond the minimum is there.
#[must_use]
pub fn fleet(clusters: u32, needs: &Needs) -> DecisionInput {
    let regions = clusters.clamp(1, REGIONS);
    let places = Places {
        regions: (0..regions).map(|region| Arc::from(format!("region-{region:02}"))).collect(),
        zones: (0..regions * ZONES)
            .map(|zone| ZonePlace { name: Arc::from(format!("zone-{zone:02}")), region: zone / ZONES })
            .collect(),
    };
    let zones = regions * ZONES;
    DecisionInput {
        subject: subject(needs),
        places: Arc::new(places),
        clusters: (0..clusters).map(|index| cluster(index, (index * ZONES + index / regions) % zones, needs)).collect(),
    }
}

/// The same with one cluster in ten that serves nothing and an IPv6 address at every third, as real fleets have it.
#[must_use]
pub fn mixed_fleet(clusters: u32, needs: &Needs) -> DecisionInput {
    let mut input = fleet(clusters, needs);
    for (index, cluster) in (0..).zip(&mut input.clusters) {
        if index % 3 == 0 {
            cluster.addresses = cluster.addresses.iter().copied().chain([ipv6(index)]).collect();
        }
        if index % 10 == 7 {
            set_state(cluster, ClusterState::NoReadyEndpoints);
        }
    }
    input
}

fn subject(needs: &Needs) -> Subject {
    Subject {
        service: Arc::from("web-frontend"),
        namespace: Arc::from("shop-production"),
        federation: Arc::from("galactic"),
        domain: Arc::from("example.com"),
        external_name: None,
        dns_prefix: None,
        record_ttl: Some(300),
        annotations: annotations(needs, ""),
    }
}

/// The annotations that are needed, all with this value; none when it is empty.
#[must_use]
pub fn annotations(needs: &Needs, value: &str) -> Vec<(Arc<str>, Arc<str>)> {
    let mut keys = needs.annotations.clone();
    keys.sort_unstable();
    keys.iter().filter(|_| !value.is_empty()).map(|key| (Arc::from(key.as_str()), Arc::from(value))).collect()
}

fn cluster(index: u32, zone: u32, needs: &Needs) -> Cluster {
    Cluster {
        name: Arc::from(format!("cluster-{index:04}")),
        region: Some(zone / ZONES),
        zones: [zone].into(),
        labels: Vec::new(),
        state: ClusterState::Serving,
        state_for_seconds: needs.state_age.then_some(AGE),
        ready_endpoints: if needs.ready_endpoints { 1 + index % 5 } else { 1 },
        addresses: [ipv4(index)].into(),
    }
}

/// An address out of 10.0.0.0/8.
#[must_use]
pub fn ipv4(index: u32) -> IpAddr {
    IpAddr::V4(Ipv4Addr::from_bits(0x0a00_0000 | (index & 0x00ff_ffff)))
}

/// An address out of fd00::/64.
#[must_use]
pub fn ipv6(index: u32) -> IpAddr {
    IpAddr::V6(Ipv6Addr::from_bits((0xfd00_u128 << 112) + u128::from(index)))
}

/// Puts a cluster into a state, with what the host offers of a cluster in that state: only serving clusters have
/// addresses and ready endpoints.
pub fn set_state(cluster: &mut Cluster, state: ClusterState) {
    cluster.state = state;
    if state != ClusterState::Serving {
        cluster.addresses = Arc::new([]);
        cluster.ready_endpoints = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fleets_are_in_order() {
        for clusters in [0, 1, 3, 10, 100, 1000] {
            for input in [fleet(clusters, &Needs::default()), mixed_fleet(clusters, &Needs::default())] {
                assert_eq!(input.check(), Ok(()));
                assert_eq!(input.clusters.len(), clusters as usize);
                assert!(input.clusters.is_sorted_by(|a, b| a.name < b.name));
            }
        }
        let zones: std::collections::HashSet<u32> =
            fleet(100, &Needs::default()).clusters.iter().flat_map(|cluster| cluster.zones.to_vec()).collect();
        assert_eq!(zones.len(), 30, "every zone has clusters");
    }

    #[test]
    fn what_is_needed_is_there() {
        let needs = Needs {
            state_age: true,
            ready_endpoints: true,
            annotations: vec!["b".into(), "a".into()],
            ..Needs::default()
        };
        let input = fleet(3, &needs);
        assert_eq!(input.clusters[2].state_for_seconds, Some(AGE));
        assert_eq!(input.clusters[2].ready_endpoints, 3);
        assert_eq!(annotations(&needs, "x")[0].0.as_ref(), "a");
        assert!(input.subject.annotations.is_empty());
    }
}
