//! Between the host's words and those of this version.

use std::net::IpAddr;

use mcsdns_core::decision::{
    Answer, AnswerKind, Cluster, ClusterState, Decision, Fallback, Name, Needs, Outcome, Place, Places, Subject,
    Target, WeightedSet,
};

use super::bindings::mcsdns::policy::types;
use crate::{
    error::Aspect,
    policy::Description,
    versions::{Refusal, View},
};

/// Stands for "not known" among the indexes of regions.
const NO_REGION: u32 = u32::MAX;

/// A length as the interface counts.
fn count(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

pub(super) fn subject<'a>(subject: &'a Subject, annotations: &'a [(&'a str, &'a str)]) -> types::Subject<'a> {
    types::Subject {
        service: &subject.service,
        namespace: &subject.namespace,
        federation: &subject.federation,
        domain: &subject.domain,
        external_name: subject.external_name.as_deref(),
        dns_prefix: subject.dns_prefix.as_deref(),
        record_ttl: subject.record_ttl,
        annotations,
    }
}

/// The annotations that this policy asked for; the record carries those that any policy asked for.
pub(super) fn annotations<'a>(subject: &'a Subject, view: &View) -> Vec<(&'a str, &'a str)> {
    subject
        .annotations
        .iter()
        .filter(|(key, _)| view.needs.annotations.iter().any(|needed| **needed == **key))
        .map(|(key, value)| (&**key, &**value))
        .collect()
}

/// The places, with names one per line.
#[derive(Debug, Default)]
pub(super) struct Lines {
    regions: String,
    zones: String,
    zone_regions: Vec<u32>,
}

impl Lines {
    pub(super) fn new(places: &Places) -> Self {
        Self {
            regions: lines(places.regions.iter().map(|region| &**region)),
            zones: lines(places.zones.iter().map(|zone| &*zone.name)),
            zone_regions: places.zones.iter().map(|zone| zone.region).collect(),
        }
    }

    pub(super) fn places(&self) -> types::Places<'_> {
        types::Places { regions: &self.regions, zones: &self.zones, zone_regions: &self.zone_regions }
    }
}

/// The words, one per line.
fn lines<'a>(words: impl Iterator<Item = &'a str> + Clone) -> String {
    let mut text = String::with_capacity(words.clone().map(|word| word.len() + 1).sum());
    for word in words {
        text.push_str(word);
        text.push('\n');
    }
    text
}

/// The clusters column by column, with what the policy asked for.
#[derive(Debug, Default)]
pub(super) struct Columns<'a> {
    states: Vec<types::ClusterState>,
    regions: Vec<u32>,
    zone_counts: Vec<u32>,
    zones: Vec<u32>,
    address_counts: Vec<u32>,
    addresses: Vec<types::Address>,
    ready_endpoints: Vec<u32>,
    state_for_seconds: Vec<u32>,
    names: Vec<&'a str>,
    labels: Vec<types::ClusterLabel<'a>>,
}

impl<'a> Columns<'a> {
    pub(super) fn new(clusters: &'a [Cluster], view: &'a View) -> Self {
        let capacity = clusters.len();
        let mut columns = Self {
            states: Vec::with_capacity(capacity),
            regions: Vec::with_capacity(capacity),
            zone_counts: Vec::with_capacity(capacity),
            zones: Vec::with_capacity(capacity),
            address_counts: Vec::with_capacity(capacity),
            ..Self::default()
        };
        for cluster in clusters {
            columns.states.push(state(cluster.state));
            columns.regions.push(cluster.region.unwrap_or(NO_REGION));
            columns.zone_counts.push(count(cluster.zones.len()));
            columns.zones.extend_from_slice(&cluster.zones);
            columns.address_counts.push(count(cluster.addresses.len()));
        }
        if view.needs.addresses {
            columns.addresses = clusters.iter().flat_map(|cluster| &*cluster.addresses).map(address).collect();
        }
        if view.needs.ready_endpoints {
            columns.ready_endpoints = clusters.iter().map(|cluster| cluster.ready_endpoints).collect();
        }
        if view.needs.state_age {
            columns.state_for_seconds =
                clusters.iter().map(|cluster| cluster.state_for_seconds.unwrap_or_default()).collect();
        }
        if view.needs.cluster_names {
            columns.names = clusters.iter().map(|cluster| &*cluster.name).collect();
        }
        if !view.label_keys.is_empty() {
            columns.labels = labels(clusters, &view.label_keys).collect();
        }
        columns
    }

    pub(super) fn fleet(&'a self) -> types::Fleet<'a> {
        types::Fleet {
            states: &self.states,
            regions: &self.regions,
            zone_counts: &self.zone_counts,
            zones: &self.zones,
            address_counts: &self.address_counts,
            addresses: &self.addresses,
            ready_endpoints: &self.ready_endpoints,
            state_for_seconds: &self.state_for_seconds,
            names: &self.names,
            labels: &self.labels,
        }
    }
}

/// The labels that this policy asked for, by its own numbers.
fn labels<'a>(clusters: &'a [Cluster], keys: &'a [Option<u32>]) -> impl Iterator<Item = types::ClusterLabel<'a>> + 'a {
    (0..).zip(clusters).flat_map(move |(cluster, it)| {
        it.labels.iter().filter_map(move |(collected, value)| {
            let key = (*keys.get(usize::try_from(*collected).ok()?)?)?;
            Some(types::ClusterLabel { cluster, key, value })
        })
    })
}

fn state(state: ClusterState) -> types::ClusterState {
    match state {
        ClusterState::Serving => types::ClusterState::Serving,
        ClusterState::NoReadyEndpoints => types::ClusterState::NoReadyEndpoints,
        ClusterState::NoAddress => types::ClusterState::NoAddress,
        ClusterState::NoService => types::ClusterState::NoService,
        ClusterState::Unreachable => types::ClusterState::Unreachable,
    }
}

fn address(address: &IpAddr) -> types::Address {
    match address {
        IpAddr::V4(v4) => types::Address::Ipv4(v4.octets().into()),
        IpAddr::V6(v6) => types::Address::Ipv6(v6.segments().into()),
    }
}

fn place(place: Place) -> types::Place {
    match place {
        Place::Everywhere => types::Place::Everywhere,
        Place::Region(index) => types::Place::Region(index),
        Place::Zone(index) => types::Place::Zone(index),
    }
}

fn place_back(place: types::Place) -> Place {
    match place {
        types::Place::Everywhere => Place::Everywhere,
        types::Place::Region(index) => Place::Region(index),
        types::Place::Zone(index) => Place::Zone(index),
    }
}

pub(super) fn name(name: types::Name) -> Name {
    Name {
        fqdn: name.fqdn,
        place: place_back(name.place),
        fallback: match name.fallback {
            types::Fallback::Nothing => Fallback::Nothing,
            types::Fallback::AliasOf(index) => Fallback::AliasOf(index),
            types::Fallback::AlwaysAliasOf(index) => Fallback::AlwaysAliasOf(index),
        },
    }
}

pub(super) fn question(name: &Name) -> types::Question {
    types::Question {
        place: place(name.place),
        fallback: match name.fallback {
            Fallback::Nothing => types::Fallback::Nothing,
            Fallback::AliasOf(index) => types::Fallback::AliasOf(index),
            Fallback::AlwaysAliasOf(index) => types::Fallback::AlwaysAliasOf(index),
        },
    }
}

pub(super) fn decision(decision: types::Decision) -> Decision {
    let targets = |targets: Vec<types::Target>| {
        targets.into_iter().map(|target| Target { cluster: target.cluster, address: target.address }).collect()
    };
    Decision {
        answer: match decision.answer {
            types::Answer::Clusters(clusters) => Answer::Clusters(clusters),
            types::Answer::Targets(list) => Answer::Targets(targets(list)),
            types::Answer::Sets(sets) => Answer::Sets(
                sets.into_iter()
                    .map(|set| WeightedSet {
                        set_identifier: set.set_identifier,
                        targets: targets(set.targets),
                        provider_specific: set.provider_specific,
                    })
                    .collect(),
            ),
            types::Answer::Otherwise => Answer::Otherwise,
            types::Answer::Keep => Answer::Keep,
        },
        because: decision.because,
        recheck_after_seconds: decision.recheck_after_seconds,
    }
}

pub(super) fn outcome(outcome: &Outcome, view: &View) -> types::Outcome {
    types::Outcome {
        place: place(outcome.place),
        kind: match outcome.kind {
            AnswerKind::Targets => types::AnswerKind::Targets,
            AnswerKind::Sets => types::AnswerKind::Sets,
            AnswerKind::Alias => types::AnswerKind::Alias,
            AnswerKind::Kept => types::AnswerKind::Kept,
            AnswerKind::Nothing => types::AnswerKind::Nothing,
        },
        targets: outcome.targets,
        serving: outcome.serving,
        not_serving: outcome.not_serving,
        unreachable: outcome.unreachable,
        stable_for_seconds: outcome.stable_for_seconds.filter(|_| view.needs.state_age),
    }
}

pub(super) fn refusal(refusal: types::Refusal) -> Refusal {
    Refusal { field: refusal.field, message: refusal.message }
}

pub(super) fn description(description: types::Description) -> Description {
    let needs = description.needs;
    Description {
        name: description.name,
        version: description.version,
        aspects: description
            .aspects
            .into_iter()
            .map(|aspect| match aspect {
                types::Aspect::Naming => Aspect::Naming,
                types::Aspect::Selection => Aspect::Selection,
                types::Aspect::Ttl => Aspect::Ttl,
            })
            .collect(),
        needs: Needs {
            addresses: needs.addresses,
            cluster_names: needs.cluster_names,
            cluster_labels: needs.cluster_labels,
            annotations: needs.annotations,
            ready_endpoints: needs.ready_endpoints,
            state_age: needs.state_age,
        },
        fqdns: needs.fqdns,
        config_schema: description.config_schema,
    }
}
