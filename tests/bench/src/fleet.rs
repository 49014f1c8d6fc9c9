//! Decision inputs of any size.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    sync::Arc,
};

use mcsdns_core::decision::{Cluster, ClusterState, DecisionInput, Places, Subject, ZonePlace};

/// Regions of a large fleet.
const REGIONS: u32 = 10;
/// Zones of each region.
const ZONES: u32 = 3;

/// A fleet of so many clusters in up to 10 regions of 3 zones, each cluster in one zone; one in ten serves nothing, and
/// every third has an IPv6 address beside its IPv4 address.
#[must_use]
pub fn fleet(clusters: u32) -> DecisionInput {
    let regions = clusters.clamp(1, REGIONS);
    let places = Places {
        regions: (0..regions).map(|region| Arc::from(format!("region-{region:02}"))).collect(),
        zones: (0..regions * ZONES)
            .map(|zone| ZonePlace { name: Arc::from(format!("zone-{:02}", zone)), region: zone / ZONES })
            .collect(),
    };
    let cluster = |index: u32| {
        let zone = index % (regions * ZONES);
        let serves = index % 10 != 7;
        let mut addresses = Vec::new();
        if serves {
            addresses.push(IpAddr::V4(Ipv4Addr::from_bits(0x0a00_0000 + index)));
            if index.is_multiple_of(3) {
                addresses.push(IpAddr::V6(Ipv6Addr::from_bits((0xfd00_u128 << 112) + u128::from(index))));
            }
        }
        Cluster {
            name: Arc::from(format!("cluster-{index:04}")),
            region: Some(zone / ZONES),
            zones: [zone].into(),
            labels: Vec::new(),
            state: if serves { ClusterState::Serving } else { ClusterState::NoReadyEndpoints },
            state_for_seconds: None,
            ready_endpoints: u32::from(serves),
            addresses: addresses.into(),
        }
    };
    DecisionInput {
        subject: Subject {
            service: Arc::from("web-frontend"),
            namespace: Arc::from("shop-production"),
            federation: Arc::from("galactic"),
            domain: Arc::from("example.com"),
            external_name: None,
            dns_prefix: None,
            record_ttl: Some(300),
            annotations: Vec::new(),
        },
        places: Arc::new(places),
        clusters: (0..clusters).map(cluster).collect(),
    }
}
