//! The member clusters: what they reported, where they are, and the places of the whole fleet.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use jiff::{SignedDuration, Timestamp};

use crate::{
    decision::{Places, ZonePlace},
    facts::{Malformed, Member, Node, Reach, Service, Slice},
    ids::{ClusterName, ObjectKey},
    name,
    status::MemberStatus,
};

/// Where a cluster is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Location {
    pub(super) region: Option<Arc<str>>,
    /// Sorted.
    pub(super) zones: Arc<[Arc<str>]>,
    /// The nodes do not agree: all regions they name.
    pub(super) mixed: Vec<Arc<str>>,
    /// Regions and zones that are no DNS label, as written.
    pub(super) invalid: Vec<String>,
    /// It has nodes, but none of them says where it is any more: this is what was known before.
    pub(super) remembered: bool,
    /// Zones that get no names: there are more than a cluster may have.
    pub(super) surplus: usize,
}

/// Which lists of a cluster have been read as a whole since it was lost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct ReadAgain {
    services: bool,
    slices: bool,
}

impl ReadAgain {
    const BOTH: Self = Self { services: true, slices: true };
}

/// Most zones of one cluster that get names. Where Nodes carry a label for each rack or host, every record of the fleet would
/// otherwise have a name for each.
pub(super) const MAX_ZONES: usize = 100;

/// How many times as long a cluster may take that has neither answered nor failed often enough.
const UNKNOWN_WINDOWS: i64 = 4;

/// One member cluster.
#[derive(Debug)]
pub(super) struct Cluster {
    pub(super) member: Member,
    pub(super) added: Timestamp,
    pub(super) reach: Reach,
    /// It answers again, but what is known of it is from before it was lost: it counts as unreachable until both lists
    /// have been read again.
    pub(super) returning: Option<Reach>,
    /// Which of `services` and `slices` have been read as a whole since it was lost.
    pub(super) read_again: ReadAgain,
    pub(super) nodes: Option<BTreeMap<Arc<str>, Node>>,
    pub(super) services: Option<HashMap<ObjectKey, Service>>,
    /// How many of them are of type LoadBalancer; follows `services`.
    pub(super) load_balancers: u32,
    pub(super) slices: Option<HashMap<ObjectKey, Slice>>,
    /// Ready endpoints per Service; follows `slices`.
    pub(super) ready: HashMap<ObjectKey, u32>,
    pub(super) malformed: BTreeMap<(&'static str, String), String>,
    pub(super) watch_failures: BTreeMap<&'static str, String>,
    pub(super) location: Location,
    /// Its indexes into the places of the fleet.
    pub(super) region_index: Option<u32>,
    pub(super) zone_indexes: Arc<[u32]>,
    pub(super) status_sent: Option<Arc<MemberStatus>>,
}

impl Cluster {
    pub(super) fn new(member: Member, now: Timestamp) -> Self {
        Self {
            member,
            added: now,
            reach: Reach::Unknown,
            returning: None,
            read_again: ReadAgain::default(),
            nodes: None,
            services: None,
            load_balancers: 0,
            slices: None,
            ready: HashMap::new(),
            malformed: BTreeMap::new(),
            watch_failures: BTreeMap::new(),
            location: Location::default(),
            region_index: None,
            zone_indexes: Arc::new([]),
            status_sent: None,
        }
    }

    /// Takes what is known of how it can be reached; whether that is news.
    pub(super) fn set_reach(&mut self, reach: Reach) -> bool {
        let back = !matches!(reach, Reach::Unreachable { .. });
        match (&self.reach, &reach) {
            (Reach::Unreachable { .. }, _) if back && self.synced() && self.read_again != ReadAgain::BOTH => {
                self.returning = Some(reach);
                return false;
            }
            // The words of a failed connection may differ each time, and only another kind of failure is news. Those about a
            // kubeconfig are about what it says now.
            (
                Reach::Unreachable { reason: old, message: was, .. },
                Reach::Unreachable { reason: new, message: is, .. },
            ) if old == new && (was == is || matches!(*new, "Unreachable" | "Timeout")) => {
                return self.returning.take().is_some();
            }
            (Reach::Unreachable { .. }, _) => {}
            (_, Reach::Unreachable { .. }) => self.read_again = ReadAgain::default(),
            (old, new) if old == new => return false,
            _ => {}
        }
        self.returning = None;
        self.reach = reach;
        true
    }

    /// A list has been read as a whole; whether a cluster that was lost is back by that.
    pub(super) fn note_read(&mut self, services: bool, slices: bool) -> bool {
        self.read_again.services |= services;
        self.read_again.slices |= slices;
        if self.read_again != ReadAgain::BOTH {
            return false;
        }
        self.returning.take().is_some_and(|reach| {
            self.reach = reach;
            true
        })
    }

    /// Why Services or endpoints are not watched at present: what is known of them may be out of date.
    pub(super) fn unwatched(&self) -> Option<&str> {
        ["services", "endpointslices"].iter().find_map(|kind| self.watch_failures.get(kind)).map(String::as_str)
    }

    /// Services and endpoints have been read; what they say is knowledge, not ignorance.
    pub(super) fn synced(&self) -> bool {
        self.services.is_some() && self.slices.is_some()
    }

    /// Until when it counts as just added and not yet read: its last known state counts, without alarm. Longer while it
    /// does not answer, because some failures have to come together before that is said.
    pub(super) fn starting_until(&self, window_seconds: i64) -> Option<Timestamp> {
        let window = if self.reach == Reach::Unknown { UNKNOWN_WINDOWS * window_seconds } else { window_seconds };
        let started =
            self.synced() || matches!(self.reach, Reach::Unreachable { .. }) || !self.watch_failures.is_empty();
        (!started).then(|| self.added.checked_add(SignedDuration::from_secs(window)).ok()).flatten()
    }

    /// Whether it still does.
    pub(super) fn starting(&self, now: Timestamp, window_seconds: i64) -> bool {
        self.starting_until(window_seconds).is_some_and(|until| now < until)
    }

    /// Where it is: the override, else its nodes, else what was known before.
    pub(super) fn locate(&self, remembered: Option<&Location>) -> Location {
        let mut location = Location::default();
        let region = self.member.region.as_deref().filter(|region| !region.is_empty());
        let zones = self.member.zones.as_deref().filter(|zones| !zones.is_empty());
        let nodes = self.nodes.as_ref().filter(|nodes| !nodes.is_empty());
        // A cluster without nodes says nothing about where it is.
        let memory = || self.member.status.as_ref().map(|status| (status.region.clone(), status.zones.clone()));
        let (known_region, known_zones) = match memory() {
            Some((region, zones)) if region.is_some() || !zones.is_empty() => (region, zones),
            _ => remembered.map_or((None, Vec::new()), |l| (l.region.clone(), l.zones.to_vec())),
        };

        location.region = match (region, nodes) {
            (Some(region), _) => label(region, &mut location.invalid),
            (None, Some(nodes)) => {
                let mut votes: BTreeMap<Arc<str>, usize> = BTreeMap::new();
                let mut invalid = BTreeSet::new();
                for region in nodes.values().filter_map(|node| node.region.as_deref()).filter(|r| !r.is_empty()) {
                    let mut bad = Vec::new();
                    match label(region, &mut bad) {
                        Some(region) => *votes.entry(region).or_default() += 1,
                        None => invalid.extend(bad),
                    }
                }
                location.invalid.extend(invalid);
                if votes.len() > 1 {
                    location.mixed = votes.keys().cloned().collect();
                }
                // Nodes get their labels some seconds after they register, from the cloud's controller.
                location.remembered = votes.is_empty() && location.invalid.is_empty() && known_region.is_some();
                if location.remembered {
                    known_region
                } else {
                    // The most frequent; among equals the one it was in, else the first by name, whatever the order.
                    let here = self.location.region.as_ref().or(known_region.as_ref()).cloned();
                    let rank = |(region, count): &(Arc<str>, usize)| (*count, Some(region) == here.as_ref());
                    votes.into_iter().rev().max_by_key(rank).map(|(region, _)| region)
                }
            }
            (None, None) => known_region,
        };
        let mut found = BTreeSet::new();
        match (zones, nodes) {
            (Some(zones), _) => found.extend(zones.iter().filter_map(|zone| label(zone, &mut location.invalid))),
            (None, Some(_)) if location.remembered => found.extend(known_zones),
            (None, Some(nodes)) => {
                let mut invalid = BTreeSet::new();
                for node in nodes.values() {
                    let here = region.is_some()
                        || node
                            .region
                            .as_deref()
                            .is_some_and(|r| Some(name::normalise(r).as_str()) == location.region.as_deref());
                    if let Some(zone) = node.zone.as_deref().filter(|zone| here && !zone.is_empty()) {
                        let mut bad = Vec::new();
                        found.extend(label(zone, &mut bad));
                        invalid.extend(bad);
                    }
                }
                location.invalid.extend(invalid);
            }
            (None, None) => found.extend(known_zones),
        }
        location.surplus = found.len().saturating_sub(MAX_ZONES);
        while found.len() > MAX_ZONES {
            found.pop_last();
        }
        location.zones = if location.region.is_some() { found.into_iter().collect() } else { Arc::new([]) };
        location
    }

    /// A Service appeared, changed or went, after the first list; whether that is news.
    pub(super) fn set_service(&mut self, key: &ObjectKey, service: Option<Service>) -> bool {
        let Some(services) = self.services.as_mut() else { return false };
        if services.get(key) == service.as_ref() {
            return false;
        }
        let counts = |service: Option<&Service>| u32::from(service.is_some_and(|service| service.load_balancer));
        self.load_balancers += counts(service.as_ref());
        let old = match service {
            Some(service) => services.insert(key.clone(), service),
            None => services.remove(key),
        };
        self.load_balancers = self.load_balancers.saturating_sub(counts(old.as_ref()));
        true
    }

    /// A slice appeared, changed or went; keeps the sums.
    pub(super) fn set_slice(&mut self, key: ObjectKey, slice: Option<Slice>) -> Vec<ObjectKey> {
        let mut touched = Vec::new();
        let slices = self.slices.get_or_insert_default();
        let namespace = Arc::clone(&key.namespace);
        let old = match slice.clone() {
            Some(slice) => slices.insert(key, slice),
            None => slices.remove(&key),
        };
        if old == slice {
            return touched;
        }
        for (slice, sign) in [(old, false), (slice, true)] {
            let Some(slice) = slice else { continue };
            let service = ObjectKey { namespace: Arc::clone(&namespace), name: Arc::clone(&slice.service) };
            let sum = self.ready.entry(service.clone()).or_default();
            *sum = if sign { sum.saturating_add(slice.ready) } else { sum.saturating_sub(slice.ready) };
            if *sum == 0 {
                self.ready.remove(&service);
            }
            touched.push(service);
        }
        touched
    }

    pub(super) fn note_malformed(&mut self, kind: &'static str, key: &ObjectKey, problem: Option<&Malformed>) -> bool {
        let slot = (kind, key.to_string());
        match problem {
            Some(problem) => self.malformed.insert(slot, problem.message.clone()).as_ref() != Some(&problem.message),
            None => self.malformed.remove(&slot).is_some(),
        }
    }
}

/// Region or zone as a label of a name: lower case, else refused.
fn label(text: &str, invalid: &mut Vec<String>) -> Option<Arc<str>> {
    let lower = text.to_ascii_lowercase();
    match name::check_label(&lower) {
        Ok(()) => Some(lower.into()),
        Err(_) => {
            invalid.push(text.to_owned());
            None
        }
    }
}

/// Builds the places of the fleet and gives every cluster its indexes.
pub(super) fn places(clusters: &mut BTreeMap<ClusterName, Cluster>) -> Places {
    let regions: BTreeSet<Arc<str>> = clusters.values().filter_map(|c| c.location.region.clone()).collect();
    let regions: Vec<Arc<str>> = regions.into_iter().collect();
    let index_of = |region: &Arc<str>| regions.binary_search(region).ok().and_then(|i| u32::try_from(i).ok());
    let mut zones: BTreeSet<(u32, Arc<str>)> = BTreeSet::new();
    for cluster in clusters.values() {
        if let Some(region) = cluster.location.region.as_ref().and_then(index_of) {
            zones.extend(cluster.location.zones.iter().map(|zone| (region, Arc::clone(zone))));
        }
    }
    let zones: Vec<(u32, Arc<str>)> = zones.into_iter().collect();
    for cluster in clusters.values_mut() {
        cluster.region_index = cluster.location.region.as_ref().and_then(index_of);
        cluster.zone_indexes = match cluster.region_index {
            Some(region) => cluster
                .location
                .zones
                .iter()
                .filter_map(|zone| zones.binary_search(&(region, Arc::clone(zone))).ok())
                .filter_map(|i| u32::try_from(i).ok())
                .collect(),
            None => Arc::new([]),
        };
    }
    Places { zones: zones.into_iter().map(|(region, name)| ZonePlace { name, region }).collect(), regions }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cluster(nodes: &[(&str, &str)]) -> Cluster {
        let mut cluster = Cluster::new(Member::default(), Timestamp::UNIX_EPOCH);
        let node = |(i, (region, zone)): (usize, &(&str, &str))| {
            let text = |t: &str| (!t.is_empty()).then(|| Arc::from(t));
            (Arc::from(format!("n{i}")), Node { region: text(region), zone: text(zone) })
        };
        cluster.nodes = Some(nodes.iter().enumerate().map(node).collect());
        cluster
    }

    #[test]
    fn the_region_of_most_nodes_and_its_zones() {
        let location = cluster(&[("us", "us2"), ("EU", "eu1"), ("us", "US1"), ("", "x")]).locate(None);
        assert_eq!(location.region.as_deref(), Some("us"));
        assert_eq!(location.zones.iter().map(|z| &**z).collect::<Vec<_>>(), ["us1", "us2"]);
        assert_eq!(location.mixed.len(), 2);
    }

    #[test]
    fn a_tie_does_not_depend_on_order() {
        let a = cluster(&[("us", "us1"), ("eu", "eu1")]).locate(None);
        let b = cluster(&[("eu", "eu1"), ("us", "us1")]).locate(None);
        assert_eq!(a, b);
        assert_eq!(a.region.as_deref(), Some("eu"));
        // One Node more that is elsewhere moves nothing.
        let mut us = cluster(&[("us", "us1")]);
        us.location = us.locate(None);
        us.nodes = cluster(&[("us", "us1"), ("eu", "eu1")]).nodes;
        assert_eq!(us.locate(None).region.as_deref(), Some("us"));
        us.location = Location::default();
        let remembered = Location { region: Some("us".into()), ..Location::default() };
        assert_eq!(us.locate(Some(&remembered)).region.as_deref(), Some("us"), "nor after a restart");
    }

    #[test]
    fn what_is_no_label_is_told() {
        let location = cluster(&[("us_west", "a b")]).locate(None);
        assert_eq!(location.region, None);
        assert_eq!(location.invalid, ["us_west"]);
    }

    #[test]
    fn the_override_wins_and_memory_stands_in_for_missing_nodes() {
        let mut c = cluster(&[("us", "us1")]);
        c.member.region = Some("Moon".into());
        assert_eq!(c.locate(None).region.as_deref(), Some("moon"));
        c.member = Member::default();
        c.nodes = None;
        let remembered = Location { region: Some("us".into()), zones: Arc::new(["us1".into()]), ..Location::default() };
        assert_eq!(c.locate(Some(&remembered)), remembered);
    }

    #[test]
    fn nodes_without_labels_leave_a_cluster_where_it_was() {
        let remembered = Location { region: Some("us".into()), zones: Arc::new(["us1".into()]), ..Location::default() };
        let location = cluster(&[("", "")]).locate(Some(&remembered));
        assert_eq!(location, Location { remembered: true, ..remembered.clone() });
        assert_eq!(cluster(&[("", "")]).locate(None).region, None);
        // One node is enough to know better.
        assert_eq!(cluster(&[("", ""), ("eu", "eu1")]).locate(Some(&remembered)).region.as_deref(), Some("eu"));
    }

    #[test]
    fn no_cluster_has_more_zones_than_a_record_can_have_names() {
        let zones: Vec<String> = (0..MAX_ZONES + 7).map(|i| format!("rack-{i:04}")).collect();
        let nodes: Vec<(&str, &str)> = zones.iter().map(|zone| ("us", zone.as_str())).collect();
        let location = cluster(&nodes).locate(None);
        assert_eq!((location.zones.len(), location.surplus), (MAX_ZONES, 7));
        assert_eq!(&*location.zones[0], "rack-0000");
    }

    #[test]
    fn ready_endpoints_are_summed_over_slices() {
        let mut c = cluster(&[]);
        let service = ObjectKey::new("ns", "web");
        let slice = |ready| Some(Slice { service: "web".into(), ready });
        c.set_slice(ObjectKey::new("ns", "a"), slice(2));
        c.set_slice(ObjectKey::new("ns", "b"), slice(1));
        assert_eq!(c.ready.get(&service), Some(&3));
        c.set_slice(ObjectKey::new("ns", "a"), slice(0));
        c.set_slice(ObjectKey::new("ns", "b"), None);
        assert_eq!(c.ready.get(&service), None);
    }
}
