//! The policy in the box without a sandbox: the same pure functions, from and to the same types.

use mcsdns_core::decision::{Answer, ClusterState, Decision, DecisionInput, DecisionOutput, Fallback, Name, Place};
use mcsdns_default_policy as policy;

/// Decides as the component would.
#[must_use]
pub fn decide(input: &DecisionInput) -> DecisionOutput {
    let subject = subject(input);
    let regions: Vec<&str> = input.places.regions.iter().map(|region| &**region).collect();
    let zones: Vec<_> =
        input.places.zones.iter().map(|zone| policy::Zone { name: &zone.name, region: zone.region }).collect();
    let places = policy::Places { regions: &regions, zones: &zones };
    let names: Vec<Name> = policy::naming::names(&subject, &places).into_iter().map(name).collect();
    let decisions = select(input, &places, &names);
    // The host prepares these for any policy, so they belong to the price.
    let outcomes = mcsdns_policy::outcomes(input, &names, &decisions);
    let ttls = policy::ttl::ttls(&subject, outcomes.len());
    DecisionOutput { names, decisions, ttls, recheck_after_seconds: None }
}

fn subject(input: &DecisionInput) -> policy::Subject<'_> {
    policy::Subject {
        service: &input.subject.service,
        namespace: &input.subject.namespace,
        federation: &input.subject.federation,
        domain: &input.subject.domain,
        external_name: input.subject.external_name.as_deref(),
        dns_prefix: input.subject.dns_prefix.as_deref(),
        record_ttl: input.subject.record_ttl,
    }
}

fn name(name: policy::naming::Name) -> Name {
    Name {
        fqdn: name.fqdn,
        place: match name.place {
            policy::Place::Everywhere => Place::Everywhere,
            policy::Place::Region(index) => Place::Region(index),
            policy::Place::Zone(index) => Place::Zone(index),
        },
        fallback: match name.fallback {
            policy::Fallback::Nothing => Fallback::Nothing,
            policy::Fallback::AliasOf(index) => Fallback::AliasOf(index),
            policy::Fallback::AlwaysAliasOf(index) => Fallback::AlwaysAliasOf(index),
        },
    }
}

fn select(input: &DecisionInput, places: &policy::Places<'_>, names: &[Name]) -> Vec<Decision> {
    let count = |length: usize| u32::try_from(length).unwrap_or(u32::MAX);
    let capacity = input.clusters.len();
    let mut regions = Vec::with_capacity(capacity);
    let mut unreachable = Vec::with_capacity(capacity);
    let mut zone_counts = Vec::with_capacity(capacity);
    let mut zones = Vec::with_capacity(capacity);
    let mut address_counts = Vec::with_capacity(capacity);
    for cluster in &input.clusters {
        regions.push(cluster.region.unwrap_or(policy::selection::NO_REGION));
        unreachable.push(cluster.state == ClusterState::Unreachable);
        zone_counts.push(count(cluster.zones.len()));
        zones.extend_from_slice(&cluster.zones);
        address_counts.push(count(cluster.addresses.len()));
    }
    let fleet = policy::selection::Fleet {
        regions: &regions,
        unreachable: &unreachable,
        zone_counts: &zone_counts,
        zones: &zones,
        address_counts: &address_counts,
    };
    let asked = names.iter().map(|name| {
        let place = match name.place {
            Place::Everywhere => policy::Place::Everywhere,
            Place::Region(index) => policy::Place::Region(index),
            Place::Zone(index) => policy::Place::Zone(index),
        };
        let fallback = match name.fallback {
            Fallback::Nothing => policy::Fallback::Nothing,
            Fallback::AliasOf(index) => policy::Fallback::AliasOf(index),
            Fallback::AlwaysAliasOf(index) => policy::Fallback::AlwaysAliasOf(index),
        };
        (place, fallback)
    });
    policy::selection::select(places, &fleet, asked)
        .into_iter()
        .map(|decision| Decision {
            answer: match decision.answer {
                policy::selection::Answer::Clusters(clusters) => Answer::Clusters(clusters),
                policy::selection::Answer::Otherwise => Answer::Otherwise,
            },
            because: decision.because,
            recheck_after_seconds: None,
        })
        .collect()
}
