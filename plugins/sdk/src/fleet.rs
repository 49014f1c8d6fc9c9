//! The clusters.

use std::{net::IpAddr, ops::Range};

use crate::subject::{at, count};

/// What is known of one cluster for this record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    /// It has addresses and ready endpoints.
    Serving,
    /// It has addresses but no ready endpoint.
    NoReadyEndpoints,
    /// Its Service has no load-balancer address.
    NoAddress,
    /// It has no such Service.
    NoService,
    /// It cannot be reached. For a grace period it still offers its last known addresses.
    Unreachable,
}

/// Which cluster of the fleet; ids are for one decision only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ClusterId(pub(crate) u32);

impl ClusterId {
    /// Its place in the order of the fleet, for tables of one's own.
    #[must_use]
    pub fn index(self) -> usize {
        to_usize(self.0)
    }
}

/// A label that was asked for.
#[derive(Clone, Debug)]
pub(crate) struct Label {
    pub(crate) cluster: u32,
    pub(crate) key: u32,
    pub(crate) value: String,
}

/// Every cluster, sorted by name, column by column as they come from the host.
#[derive(Clone, Debug, Default)]
pub struct Fleet {
    pub(crate) states: Vec<State>,
    pub(crate) regions: Vec<u32>,
    /// Where the zones of a cluster begin in `zones`; one more than there are clusters.
    pub(crate) zone_starts: Vec<u32>,
    pub(crate) zones: Vec<u32>,
    /// Where the addresses of a cluster begin in `addresses`; one more than there are clusters.
    pub(crate) address_starts: Vec<u32>,
    pub(crate) addresses: Vec<IpAddr>,
    pub(crate) ready_endpoints: Vec<u32>,
    pub(crate) ages: Vec<u32>,
    pub(crate) names: Vec<String>,
    /// Sorted by cluster.
    pub(crate) labels: Vec<Label>,
    pub(crate) label_keys: &'static [&'static str],
}

impl Fleet {
    /// How many clusters there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.states.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.states.is_empty()
    }

    /// All clusters, sorted by name.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Cluster<'_>> + Clone {
        (0..count(self.states.len())).map(|index| Cluster { fleet: self, index })
    }

    /// A cluster.
    #[must_use]
    pub const fn get(&self, id: ClusterId) -> Cluster<'_> {
        Cluster { fleet: self, index: id.0 }
    }

    /// A cluster by its name; needs [`Needs::cluster_names`](crate::Needs::cluster_names).
    #[must_use]
    pub fn named(&self, name: &str) -> Option<Cluster<'_>> {
        let index = self.names.binary_search_by(|known| known.as_str().cmp(name)).ok()?;
        Some(Cluster { fleet: self, index: count(index) })
    }
}

/// Where things of a cluster stand in a column.
fn range(starts: &[u32], index: u32) -> Range<usize> {
    let place = |index| at(starts, index).copied().and_then(|at| usize::try_from(at).ok()).unwrap_or_default();
    place(index)..place(index.saturating_add(1))
}

/// One cluster of the fleet.
#[derive(Clone, Copy, Debug)]
pub struct Cluster<'a> {
    fleet: &'a Fleet,
    index: u32,
}

impl<'a> Cluster<'a> {
    /// For answers.
    #[must_use]
    pub const fn id(&self) -> ClusterId {
        ClusterId(self.index)
    }

    /// What is known of it.
    #[must_use]
    pub fn state(&self) -> State {
        at(&self.fleet.states, self.index).copied().unwrap_or(State::NoService)
    }

    /// Whether it serves the record.
    #[must_use]
    pub fn is_serving(&self) -> bool {
        self.state() == State::Serving
    }

    /// Whether it offers addresses: it serves, or became unreachable a short while ago and is remembered.
    #[must_use]
    pub fn offers(&self) -> bool {
        self.address_count() > 0
    }

    /// How many addresses it offers.
    #[must_use]
    pub fn address_count(&self) -> u32 {
        count(range(&self.fleet.address_starts, self.index).len())
    }

    /// The addresses it offers; needs [`Needs::addresses`](crate::Needs::addresses).
    #[must_use]
    pub fn addresses(&self) -> &'a [IpAddr] {
        self.fleet.addresses.get(range(&self.fleet.address_starts, self.index)).unwrap_or_default()
    }

    /// Its name; needs [`Needs::cluster_names`](crate::Needs::cluster_names), empty otherwise.
    #[must_use]
    pub fn name(&self) -> &'a str {
        at(&self.fleet.names, self.index).map_or("", String::as_str)
    }

    /// Index of its region among the places, if it is known.
    #[must_use]
    pub fn region(&self) -> Option<u32> {
        at(&self.fleet.regions, self.index).copied().filter(|region| *region != NO_REGION)
    }

    /// Indexes of its zones among the places.
    #[must_use]
    pub fn zones(&self) -> &'a [u32] {
        self.fleet.zones.get(range(&self.fleet.zone_starts, self.index)).unwrap_or_default()
    }

    /// Its label by that key; needs [`Needs::cluster_labels`](crate::Needs::cluster_labels) with the key.
    #[must_use]
    pub fn label(&self, key: &str) -> Option<&'a str> {
        let key = count(self.fleet.label_keys.iter().position(|known| *known == key)?);
        self.labels_by_index().find(|(known, _)| *known == key).map(|(_, value)| value)
    }

    /// Its labels that were asked for: key and value.
    pub fn labels(&self) -> impl Iterator<Item = (&'static str, &'a str)> {
        let keys = self.fleet.label_keys;
        self.labels_by_index().filter_map(move |(key, value)| Some((*at(keys, key)?, value)))
    }

    fn labels_by_index(&self) -> impl Iterator<Item = (u32, &'a str)> {
        let all = &self.fleet.labels;
        let index = self.index;
        let first = all.partition_point(|label| label.cluster < index);
        let own = all.iter().skip(first).take_while(move |label| label.cluster == index);
        own.map(|label| (label.key, label.value.as_str()))
    }

    /// How many endpoints are ready; needs [`Needs::ready_endpoints`](crate::Needs::ready_endpoints), 0 otherwise.
    #[must_use]
    pub fn ready_endpoints(&self) -> u32 {
        at(&self.fleet.ready_endpoints, self.index).copied().unwrap_or_default()
    }

    /// For how many seconds it has been in its state; needs [`Needs::state_age`](crate::Needs::state_age), 0 otherwise.
    #[must_use]
    pub fn state_age(&self) -> u32 {
        at(&self.fleet.ages, self.index).copied().unwrap_or_default()
    }
}

/// How the interface says that a region is not known.
pub(crate) const NO_REGION: u32 = u32::MAX;

/// The clusters of every place, found in one pass.
#[derive(Clone, Debug)]
pub(crate) struct Roster {
    regions: Groups,
    zones: Groups,
}

impl Roster {
    pub(crate) fn new(fleet: &Fleet, regions: usize, zones: usize) -> Self {
        let in_region = |cluster: Cluster<'_>, put: &mut dyn FnMut(u32)| cluster.region().into_iter().for_each(put);
        let in_zone = |cluster: Cluster<'_>, put: &mut dyn FnMut(u32)| cluster.zones().iter().copied().for_each(put);
        Self { regions: Groups::new(fleet, regions, in_region), zones: Groups::new(fleet, zones, in_zone) }
    }

    pub(crate) fn region(&self, index: u32) -> &[u32] {
        self.regions.of(index)
    }

    pub(crate) fn zone(&self, index: u32) -> &[u32] {
        self.zones.of(index)
    }
}

/// Clusters by group: one list, and where each group begins in it.
#[derive(Clone, Debug)]
struct Groups {
    starts: Vec<u32>,
    clusters: Vec<u32>,
}

impl Groups {
    fn new(fleet: &Fleet, groups: usize, of: impl Fn(Cluster<'_>, &mut dyn FnMut(u32))) -> Self {
        // Counted first, so that each list is made once and in its final size.
        let mut starts = vec![0_u32; groups + 1];
        for cluster in fleet.iter() {
            of(cluster, &mut |group| {
                if let Some(size) = starts.get_mut(to_usize(group).saturating_add(1)) {
                    *size += 1;
                }
            });
        }
        let mut sum = 0;
        for start in &mut starts {
            sum += *start;
            *start = sum;
        }
        let mut next = starts.clone();
        let mut clusters = vec![0; to_usize(sum)];
        for cluster in fleet.iter() {
            of(cluster, &mut |group| {
                // The last start is the end of everything and not a group.
                if let Some(at) = next.get_mut(to_usize(group)).filter(|_| to_usize(group) < groups) {
                    if let Some(slot) = clusters.get_mut(to_usize(*at)) {
                        *slot = cluster.index;
                    }
                    *at += 1;
                }
            });
        }
        Self { starts, clusters }
    }

    fn of(&self, group: u32) -> &[u32] {
        self.clusters.get(range(&self.starts, group)).unwrap_or_default()
    }
}

fn to_usize(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fleet(regions: &[u32], zones: &[&[u32]]) -> Fleet {
        let mut fleet = Fleet { zone_starts: vec![0], address_starts: vec![0], ..Fleet::default() };
        for (region, zones) in regions.iter().zip(zones) {
            fleet.states.push(State::Serving);
            fleet.regions.push(*region);
            fleet.zones.extend_from_slice(zones);
            fleet.zone_starts.push(count(fleet.zones.len()));
            fleet.address_starts.push(0);
        }
        fleet
    }

    #[test]
    fn every_place_has_its_clusters() {
        let fleet = fleet(&[1, 0, NO_REGION, 1, 9], &[&[1, 2], &[0], &[], &[2], &[7]]);
        let roster = Roster::new(&fleet, 2, 3);
        assert_eq!((roster.region(0), roster.region(1), roster.region(2)), (&[1][..], &[0, 3][..], &[][..]));
        assert_eq!((roster.zone(0), roster.zone(1), roster.zone(2)), (&[1][..], &[0][..], &[0, 3][..]));
        assert_eq!(roster.zone(3), &[] as &[u32], "a zone that is not there has nobody");
        assert_eq!(fleet.get(ClusterId(2)).region(), None);
        assert_eq!(fleet.get(ClusterId(0)).zones(), [1, 2]);
    }

    #[test]
    fn a_cluster_that_is_not_there_offers_nothing() {
        let fleet = fleet(&[], &[]);
        let cluster = fleet.get(ClusterId(5));
        assert!(!cluster.offers() && !cluster.is_serving() && cluster.zones().is_empty() && cluster.name().is_empty());
    }
}
