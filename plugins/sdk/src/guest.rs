//! Between the bindings and the traits. Used by [`export!`](crate::export) and by [`testing`](crate::testing).

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    sync::OnceLock,
};

use crate::{
    Answer, AnswerKind, Ask, Fleet, Naming, Needs, Outcome, Place, Places, Policy, Refusal, Selection, State, Subject,
    Ttl, Zone,
    bindings::mcsdns::policy::types,
    fleet::Label,
    names::{Fallback, NameId},
    policy::read,
};

/// The policy as its configuration made it.
pub type Cell<P> = OnceLock<P>;

/// What the policy says about itself.
#[must_use]
pub fn describe<P: Policy>(cell: &Cell<P>, aspects: &[types::Aspect]) -> types::Description {
    let about = P::ABOUT;
    let needs = cell.get().map_or(about.needs, P::needs);
    let owned = |keys: &[&str]| keys.iter().map(|key| (*key).to_owned()).collect();
    types::Description {
        name: about.name.to_owned(),
        version: about.version.to_owned(),
        aspects: aspects.to_vec(),
        needs: types::Needs {
            addresses: needs.addresses,
            cluster_names: needs.cluster_names,
            cluster_labels: owned(needs.cluster_labels),
            annotations: owned(needs.annotations),
            fqdns: needs.fqdns,
            ready_endpoints: needs.ready_endpoints,
            state_age: needs.state_age,
        },
        config_schema: about.config_schema.map(str::to_owned),
    }
}

/// Makes the policy.
///
/// # Errors
/// When the configuration will not do, or there is one already.
pub fn configure<P: Policy>(cell: &Cell<P>, config: &str) -> Result<(), String> {
    #[cfg(target_family = "wasm")]
    crate::panics::log_them();
    let policy = read(config).map_err(|error| error.to_string())?;
    cell.set(policy).map_err(|_| "configured twice".to_owned())
}

/// The policy; one that nobody configured gets an empty configuration.
fn policy<P: Policy>(cell: &Cell<P>) -> Result<&P, types::Refusal> {
    if let Some(policy) = cell.get() {
        return Ok(policy);
    }
    #[cfg(target_family = "wasm")]
    crate::panics::log_them();
    let policy =
        read("{}").map_err(|error| types::Refusal { field: "configuration".to_owned(), message: error.to_string() })?;
    Ok(cell.get_or_init(|| policy))
}

fn refusal(refusal: Refusal) -> types::Refusal {
    types::Refusal { field: refusal.field, message: refusal.message }
}

pub(crate) fn subject(subject: &types::Subject) -> Subject<'_> {
    Subject {
        service: &subject.service,
        namespace: &subject.namespace,
        federation: &subject.federation,
        domain: &subject.domain,
        external_name: subject.external_name.as_deref(),
        dns_prefix: subject.dns_prefix.as_deref(),
        record_ttl: subject.record_ttl,
        annotations: &subject.annotations,
    }
}

pub(crate) fn places(places: &types::Places) -> Places<'_> {
    let zone = |(name, region): (_, &u32)| Zone { name, region: *region };
    Places {
        regions: places.regions.lines().collect(),
        zones: places.zones.lines().zip(&places.zone_regions).map(zone).collect(),
    }
}

/// Where the items of a cluster begin, from how many each has.
fn starts(counts: &[u32]) -> Vec<u32> {
    let mut starts = Vec::with_capacity(counts.len() + 1);
    let mut sum = 0_u32;
    starts.push(sum);
    starts.extend(counts.iter().map(|count| {
        sum = sum.saturating_add(*count);
        sum
    }));
    starts
}

fn fleet(fleet: types::Fleet, needs: &Needs) -> Fleet {
    let state = |state: &types::ClusterState| match state {
        types::ClusterState::Serving => State::Serving,
        types::ClusterState::NoReadyEndpoints => State::NoReadyEndpoints,
        types::ClusterState::NoAddress => State::NoAddress,
        types::ClusterState::NoService => State::NoService,
        types::ClusterState::Unreachable => State::Unreachable,
    };
    let address = |address: &types::Address| match *address {
        types::Address::Ipv4((a, b, c, d)) => IpAddr::V4(Ipv4Addr::new(a, b, c, d)),
        types::Address::Ipv6((a, b, c, d, e, f, g, h)) => IpAddr::V6(Ipv6Addr::new(a, b, c, d, e, f, g, h)),
    };
    let label = |label: types::ClusterLabel| Label { cluster: label.cluster, key: label.key, value: label.value };
    let mut labels: Vec<Label> = fleet.labels.into_iter().map(label).collect();
    // The host sends them in this order already; nothing happens then.
    labels.sort_by_key(|label| label.cluster);
    Fleet {
        states: fleet.states.iter().map(state).collect(),
        regions: fleet.regions,
        zone_starts: starts(&fleet.zone_counts),
        zones: fleet.zones,
        address_starts: starts(&fleet.address_counts),
        addresses: fleet.addresses.iter().map(address).collect(),
        ready_endpoints: fleet.ready_endpoints,
        ages: fleet.state_for_seconds,
        names: fleet.names,
        labels,
        label_keys: needs.cluster_labels,
    }
}

pub(crate) const fn place(place: types::Place) -> Place {
    match place {
        types::Place::Everywhere => Place::Everywhere,
        types::Place::Region(index) => Place::Region(index),
        types::Place::Zone(index) => Place::Zone(index),
    }
}

/// Asks for names.
///
/// # Errors
/// What the policy refuses.
pub fn names<P: Naming>(
    cell: &Cell<P>,
    about: &types::Subject,
    where_: &types::Places,
) -> Result<Vec<types::Name>, types::Refusal> {
    policy(cell)?.names(&subject(about), &places(where_)).map(names_of).map_err(refusal)
}

pub(crate) fn names_of(names: crate::Names) -> Vec<types::Name> {
    let name = |name: crate::Name| types::Name {
        fqdn: name.fqdn,
        place: match name.place {
            Place::Everywhere => types::Place::Everywhere,
            Place::Region(index) => types::Place::Region(index),
            Place::Zone(index) => types::Place::Zone(index),
        },
        fallback: match name.fallback {
            Fallback::Nothing => types::Fallback::Nothing,
            Fallback::AliasOf(NameId(name)) => types::Fallback::AliasOf(name),
            Fallback::AlwaysAliasOf(NameId(name)) => types::Fallback::AlwaysAliasOf(name),
        },
    };
    names.0.into_iter().map(name).collect()
}

/// Asks for decisions.
///
/// # Errors
/// What the policy refuses.
pub fn select<P: Selection>(
    cell: &Cell<P>,
    about: &types::Subject,
    where_: &types::Places,
    clusters: types::Fleet,
    questions: &[types::Question],
    fqdns: &[String],
) -> Result<Vec<types::Decision>, types::Refusal> {
    select_with(policy(cell)?, about, where_, clusters, questions, fqdns).map_err(refusal)
}

pub(crate) fn select_with<P: Selection>(
    policy: &P,
    about: &types::Subject,
    where_: &types::Places,
    clusters: types::Fleet,
    questions: &[types::Question],
    fqdns: &[String],
) -> Result<Vec<types::Decision>, Refusal> {
    let fleet = fleet(clusters, &policy.needs());
    let question = |question: &types::Question| {
        let fallback = match question.fallback {
            types::Fallback::Nothing => Fallback::Nothing,
            types::Fallback::AliasOf(name) => Fallback::AliasOf(NameId(name)),
            types::Fallback::AlwaysAliasOf(name) => Fallback::AlwaysAliasOf(NameId(name)),
        };
        (place(question.place), fallback)
    };
    let questions: Vec<_> = questions.iter().map(question).collect();
    let ask = Ask::new(subject(about), places(where_), &fleet, &questions, fqdns);
    let decisions = policy.select(&ask)?;
    let decision = |decision: crate::Decision| types::Decision {
        answer: answer(decision.answer),
        because: decision.because.into_owned(),
        recheck_after_seconds: decision.recheck_after_seconds,
    };
    Ok(decisions.into_iter().map(decision).collect())
}

fn answer(answer: Answer) -> types::Answer {
    let targets = |targets: Vec<crate::Target>| {
        let target = |target: crate::Target| types::Target { cluster: target.cluster.0, address: target.address };
        targets.into_iter().map(target).collect()
    };
    match answer {
        Answer::Clusters(clusters) => types::Answer::Clusters(clusters.into_iter().map(|cluster| cluster.0).collect()),
        Answer::Targets(all) => types::Answer::Targets(targets(all)),
        Answer::Sets(sets) => {
            let set = |set: crate::WeightedSet| types::WeightedSet {
                set_identifier: set.set_identifier,
                targets: targets(set.targets),
                provider_specific: set.provider_specific,
            };
            types::Answer::Sets(sets.into_iter().map(set).collect())
        }
        Answer::Otherwise => types::Answer::Otherwise,
        Answer::Keep => types::Answer::Keep,
    }
}

/// Asks for TTLs.
///
/// # Errors
/// What the policy refuses.
pub fn ttls<P: Ttl>(
    cell: &Cell<P>,
    about: &types::Subject,
    outcomes: &[types::Outcome],
) -> Result<types::TtlAnswer, types::Refusal> {
    let outcome = |outcome: &types::Outcome| Outcome {
        place: place(outcome.place),
        kind: match outcome.kind {
            types::AnswerKind::Targets => AnswerKind::Targets,
            types::AnswerKind::Sets => AnswerKind::Sets,
            types::AnswerKind::Alias => AnswerKind::Alias,
            types::AnswerKind::Kept => AnswerKind::Kept,
            types::AnswerKind::Nothing => AnswerKind::Nothing,
        },
        targets: outcome.targets,
        serving: outcome.serving,
        not_serving: outcome.not_serving,
        unreachable: outcome.unreachable,
        stable_for_seconds: outcome.stable_for_seconds,
    };
    let outcomes: Vec<_> = outcomes.iter().map(outcome).collect();
    let ttls = policy(cell)?.ttls(&subject(about), &outcomes).map_err(refusal)?;
    Ok(types::TtlAnswer { ttls: ttls.seconds, recheck_after_seconds: ttls.recheck_after_seconds })
}
