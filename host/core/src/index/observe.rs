//! What is known of one cluster for one record, and how well it is known.

use std::{net::IpAddr, sync::Arc};

use jiff::Timestamp;

use super::{fleet::Cluster, hosts::Hosts};
use crate::{
    decision::ClusterState,
    facts::{Ingress, Reach, RecordSpec},
    ids::{ClusterName, ObjectKey},
    plan::Endpoint,
    reason::Reason,
    status::{ClusterDns, ResolvedHost},
};

/// Where the knowledge comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// Watched right now.
    Live,
    /// Watched until it became unreachable, or remembered in the record's status.
    LastKnown,
    /// Nothing is known.
    Nothing,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Observation {
    pub(super) cluster: ClusterName,
    pub(super) state: ClusterState,
    pub(super) since: Timestamp,
    pub(super) source: Source,
    pub(super) region: Option<Arc<str>>,
    pub(super) zones: Arc<[Arc<str>]>,
    pub(super) ready: u32,
    /// What counts of the load balancer, also when unreachable.
    pub(super) ingress: Arc<[Ingress]>,
    pub(super) resolved: Vec<ResolvedHost>,
    /// What a policy may choose from.
    pub(super) addresses: Arc<[IpAddr]>,
    /// All addresses the cluster is known to have or have had; for [`crate::planner::Context::accounted`].
    pub(super) accounted: Arc<[IpAddr]>,
    /// When this process saw the cluster last, it did not have the Service. A status that says so is no proof: it may be
    /// older than what was published.
    pub(super) gone: bool,
    /// Something about it is unknown: published addresses may be its own.
    pub(super) blind: bool,
    /// Unreachable for longer than the grace period: counts as having nothing.
    pub(super) expired: bool,
    /// When an unreachable cluster's addresses stop counting.
    pub(super) expires: Option<Timestamp>,
    /// Reason and words for people; `None` while it serves and all is well.
    pub(super) problem: Option<Box<(Reason, String)>>,
}

/// What an observation is made from.
pub(super) struct View<'a> {
    pub(super) record: &'a ObjectKey,
    pub(super) spec: &'a RecordSpec,
    pub(super) hosts: &'a Hosts,
    pub(super) now: Timestamp,
    /// `None`: for ever.
    pub(super) grace_seconds: Option<u32>,
    pub(super) starting_seconds: i64,
}

/// What the load balancer of a cluster offers.
struct Offer {
    state: ClusterState,
    ready: u32,
    ingress: Arc<[Ingress]>,
    source: Source,
    problem: Option<(Reason, String)>,
    /// Every address of the Service, also when it does not count.
    all: Arc<[Ingress]>,
}

/// Observes `cluster` for the record; `before` is the previous observation, from memory or from the record's status.
pub(super) fn observe(
    view: &View<'_>,
    name: &ClusterName,
    cluster: &Cluster,
    before: Option<&ClusterDns>,
) -> Observation {
    let mut offer = match unreadable(view.record, cluster) {
        _ if !cluster.synced() => remembered(view, name, cluster, before),
        Some((kind, object, why)) => {
            let mut offer = remembered(view, name, cluster, before);
            let words = format!("cluster {name}: {kind} {object} cannot be read ({why}); its last known state counts");
            offer.problem = Some((Reason::ObjectMalformed, words));
            offer
        }
        None => live(view, name, cluster),
    };
    let hosts = look_up(view.hosts, &offer.ingress, before);
    if let Some(why) = cluster.unwatched().filter(|_| offer.source == Source::Live) {
        offer.source = Source::LastKnown;
        let words = format!("cluster {name}: {why}; its last known state counts");
        offer.problem.get_or_insert((Reason::ClusterForbidden, words));
    }
    // What a status remembers may be older than what was published last: a process can die between the two writes.
    let mut blind = offer.source != Source::Live || !hosts.unresolved.is_empty();
    if offer.state == ClusterState::Serving && hosts.addresses.is_empty() {
        offer.state = ClusterState::NoAddress;
    }
    if let Some((host, why)) = hosts.unresolved.first() {
        offer.problem = Some((
            Reason::HostNameUnresolved,
            format!("cluster {name}: host name {host} of Service {} could not be resolved: {why}", view.record),
        ));
    }

    let mut accounted: Vec<IpAddr> = hosts.addresses.clone();
    accounted.extend(ips(&offer.all));
    if let Some(before) = before {
        accounted.extend(ips(&before.ingress));
        accounted.extend(before.resolved.iter().flat_map(|host| host.addresses.iter().copied()));
    }

    let gone = offer.state == ClusterState::NoService && offer.source == Source::Live;
    let serving = offer.state == ClusterState::Serving;
    let mut addresses = if serving { hosts.addresses } else { Vec::new() };
    let (mut expired, mut expires, mut down_since) = (false, None, None);
    let remembered_down = offer.state == ClusterState::Unreachable;
    if let Reach::Unreachable { reason, message, since } = &cluster.reach {
        let words = match cluster.unwatched().filter(|_| cluster.returning.is_some()) {
            Some(why) => (Reason::ClusterForbidden, format!("cluster {name} answers again, but {why}")),
            None => (Reason::ClusterUnreachable, format!("cluster {name} cannot be reached ({reason}): {message}")),
        };
        offer.problem = Some(words);
        down_since = Some(*since);
    }
    if down_since.is_some() || remembered_down {
        offer.state = ClusterState::Unreachable;
        // What was recorded before a restart is the truth about when it began.
        let since = match before {
            Some(ClusterDns { state: Some(ClusterState::Unreachable), since: Some(since), .. }) => {
                down_since.map_or(*since, |down| down.min(*since))
            }
            _ => down_since.unwrap_or(view.now).min(view.now),
        };
        down_since = Some(since);
        if remembered_down && offer.source == Source::LastKnown {
            addresses = look_up(view.hosts, &offer.ingress, before).addresses;
        }
        let ends = view
            .grace_seconds
            .and_then(|grace| since.checked_add(jiff::SignedDuration::from_secs(i64::from(grace))).ok());
        expired = ends.is_some_and(|ends| ends <= view.now);
        expires = ends.filter(|_| !expired);
        if expired {
            addresses.clear();
        }
        // A cluster that answers but was never read stays unknown, however long that takes.
        blind &= !(expired && matches!(cluster.reach, Reach::Unreachable { .. }));
    }
    let addresses = distinct(addresses, &[]);
    let accounted = distinct(accounted, &[&addresses]);

    let since = super::report::whole(match (down_since, before) {
        (Some(since), _) => since,
        (None, Some(ClusterDns { state: Some(state), since: Some(since), .. })) if *state == offer.state => *since,
        _ => view.now,
    });
    Observation {
        cluster: name.clone(),
        state: offer.state,
        since,
        source: if offer.source == Source::Live && offer.state == ClusterState::Unreachable {
            Source::LastKnown
        } else {
            offer.source
        },
        region: cluster.location.region.clone(),
        zones: Arc::clone(&cluster.location.zones),
        ready: offer.ready,
        resolved: hosts.resolved,
        ingress: offer.ingress,
        addresses,
        accounted,
        gone,
        blind,
        expired,
        expires,
        problem: offer.problem.map(Box::new),
    }
}

/// An object of the record that cannot be read and has no good content from before: not knowing is not the same as
/// there being none.
fn unreadable<'a>(record: &ObjectKey, cluster: &'a Cluster) -> Option<(&'static str, &'a str, &'a str)> {
    if cluster.malformed.is_empty() {
        return None;
    }
    let service = cluster.services.as_ref().is_some_and(|services| services.contains_key(record));
    let ready = cluster.ready.contains_key(record);
    // Controllers name slices after their Service.
    let slices = format!("{record}-");
    cluster.malformed.iter().find_map(|((kind, object), why)| {
        let ours = match *kind {
            "Service" => !service && *object == record.to_string(),
            _ => service && !ready && object.starts_with(&slices),
        };
        ours.then_some((*kind, object.as_str(), why.as_str()))
    })
}

fn live(view: &View<'_>, name: &ClusterName, cluster: &Cluster) -> Offer {
    let nothing: Arc<[Ingress]> = Arc::new([]);
    let record = view.record;
    let service = cluster.services.as_ref().and_then(|services| services.get(record));
    let ready = cluster.ready.get(record).copied().unwrap_or(0);
    let offer = |state, ingress, all, problem| Offer { state, ready, ingress, all, source: Source::Live, problem };
    let Some(service) = service else {
        return offer(ClusterState::NoService, Arc::clone(&nothing), nothing, None);
    };
    let malformed = cluster.malformed.get(&("Service", record.to_string()));
    if !service.load_balancer {
        let problem = (
            Reason::NotLoadBalancer,
            format!("cluster {name}: Service {record} is of type {}; only LoadBalancer brings addresses", service.kind),
        );
        return offer(ClusterState::NoService, Arc::clone(&nothing), nothing, Some(problem));
    }
    let all = Arc::clone(&service.ingress);
    if all.is_empty() {
        let problem = match service.refused.first() {
            Some(refused) => (
                Reason::AddressRefused,
                format!(
                    "cluster {name}: Service {record} reports `{refused}`, which is neither an address nor a host name"
                ),
            ),
            None => (
                Reason::NoAddress,
                format!(
                    "cluster {name}: Service {record} has no load-balancer address yet (status.loadBalancer.ingress)"
                ),
            ),
        };
        return offer(ClusterState::NoAddress, nothing, all, Some(problem));
    }
    if ready == 0 && !view.spec.allow_service_without_endpoints {
        let problem = (
            Reason::NoReadyEndpoints,
            format!(
                "cluster {name}: Service {record} has no ready endpoints (EndpointSlices labelled kubernetes.io/service-name={})",
                record.name
            ),
        );
        return offer(ClusterState::NoReadyEndpoints, nothing, all, Some(problem));
    }
    let problem = match (malformed, service.refused.first()) {
        (Some(malformed), _) => Some((
            Reason::ObjectMalformed,
            format!("cluster {name}: Service {record} cannot be read ({malformed}); its last good content counts"),
        )),
        (None, Some(refused)) => Some((
            Reason::AddressRefused,
            format!(
                "cluster {name}: Service {record} reports `{refused}`, which is neither an address nor a host name"
            ),
        )),
        (None, None) => None,
    };
    offer(ClusterState::Serving, Arc::clone(&all), all, problem)
}

/// Not read yet: what the record's status remembers.
fn remembered(view: &View<'_>, name: &ClusterName, cluster: &Cluster, before: Option<&ClusterDns>) -> Offer {
    let problem = (!cluster.starting(view.now, view.starting_seconds)).then(|| {
        let why = cluster.watch_failures.values().next();
        let reason = if why.is_some() { Reason::ClusterForbidden } else { Reason::ClusterNotSynced };
        let why = why.map_or_else(|| "it has not been read yet".to_owned(), Clone::clone);
        (reason, format!("cluster {name}: {why}; its last known state counts"))
    });
    // "Unreachable, with nothing" is also what is written of a cluster that was never seen: that is no knowledge.
    let known = before.filter(|dns| dns.state != Some(ClusterState::Unreachable) || !dns.ingress.is_empty());
    match known {
        Some(before) => Offer {
            state: before.state.unwrap_or(if before.ingress.is_empty() {
                ClusterState::NoAddress
            } else {
                // Written by the original, which knew no states.
                ClusterState::Serving
            }),
            ready: 0,
            ingress: Arc::clone(&before.ingress),
            all: Arc::clone(&before.ingress),
            source: Source::LastKnown,
            problem,
        },
        None => Offer {
            state: ClusterState::Unreachable,
            ready: 0,
            ingress: Arc::new([]),
            all: Arc::new([]),
            source: Source::Nothing,
            problem,
        },
    }
}

/// Sorted and without duplicates; shares the memory of an equal list.
fn distinct(mut addresses: Vec<IpAddr>, known: &[&Arc<[IpAddr]>]) -> Arc<[IpAddr]> {
    addresses.sort_unstable();
    addresses.dedup();
    match known.iter().find(|known| known[..] == addresses[..]) {
        Some(known) => Arc::clone(known),
        None => addresses.into(),
    }
}

struct Lookup {
    addresses: Vec<IpAddr>,
    resolved: Vec<ResolvedHost>,
    unresolved: Vec<(Arc<str>, String)>,
}

/// Addresses behind an ingress list: its own and those of its host names, as resolved now or remembered.
fn look_up(hosts: &Hosts, ingress: &[Ingress], before: Option<&ClusterDns>) -> Lookup {
    let mut lookup = Lookup { addresses: Vec::new(), resolved: Vec::new(), unresolved: Vec::new() };
    for entry in ingress {
        match entry {
            Ingress::Ip(address) => lookup.addresses.push(*address),
            Ingress::HostName(hostname) => {
                let host = hosts.get(hostname);
                let known = host.and_then(|host| host.addresses.clone()).or_else(|| {
                    before?
                        .resolved
                        .iter()
                        .find(|remembered| remembered.hostname == *hostname)
                        .map(|remembered| Arc::clone(&remembered.addresses))
                });
                match known {
                    Some(addresses) => {
                        lookup.addresses.extend(addresses.iter().copied());
                        lookup.resolved.push(ResolvedHost { hostname: Arc::clone(hostname), addresses });
                    }
                    None => {
                        let why = host.and_then(|host| host.failing.clone());
                        lookup
                            .unresolved
                            .push((Arc::clone(hostname), why.unwrap_or_else(|| "no answer yet".to_owned())));
                    }
                }
            }
        }
    }
    lookup
}

fn ips(ingress: &[Ingress]) -> impl Iterator<Item = IpAddr> + '_ {
    ingress.iter().filter_map(|entry| match entry {
        Ingress::Ip(address) => Some(*address),
        Ingress::HostName(_) => None,
    })
}

impl Observation {
    /// What the cluster is known to have had stays accounted for as long as it is published: it may have been looked at
    /// more than once before the policies answered.
    pub(super) fn go_on_accounting(&mut self, seen: &Self, published: &[Endpoint]) {
        let lost = seen.accounted.iter().filter(|address| self.accounted.binary_search(address).is_err());
        let lost: Vec<IpAddr> =
            lost.filter(|a| published.iter().any(|e| e.targets.addresses().contains(a))).copied().collect();
        if !lost.is_empty() {
            self.accounted = distinct(self.accounted.iter().copied().chain(lost).collect(), &[&seen.accounted]);
        }
    }

    /// Whether this is what the status says.
    pub(super) fn is_as(&self, status: &ClusterDns) -> bool {
        self.cluster == status.cluster
            && self.region == status.region
            && self.zones == status.zones
            && self.ingress == status.ingress
            && self.resolved == status.resolved
            && Some(self.state) == status.state
            && Some(self.since) == status.since
    }

    /// As it goes into the status; also what the next observation compares with.
    pub(super) fn to_status(&self) -> ClusterDns {
        ClusterDns {
            cluster: self.cluster.clone(),
            region: self.region.clone(),
            zones: Arc::clone(&self.zones),
            ingress: Arc::clone(&self.ingress),
            resolved: self.resolved.clone(),
            state: Some(self.state),
            since: Some(self.since),
        }
    }
}
