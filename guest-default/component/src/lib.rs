//! The policy in the box as a component: `mcsdns-default-policy` behind the bindings of `mcsdns:policy`.

#[cfg(target_family = "wasm")]
mod allocator;

/// Generated from `wit/v0.1.0`.
#[allow(missing_docs, clippy::all, reason = "generated code")]
mod bindings {
    wit_bindgen::generate!({
        world: "policy",
        path: "../../wit/v0.1.0",
        generate_all,
    });
}

use bindings::{
    exports::mcsdns::policy::{lifecycle, naming, selection, ttl},
    mcsdns::policy::types,
};
use mcsdns_default_policy as policy;

/// Implements the world.
struct Component;

bindings::export!(Component with_types_in bindings);

impl lifecycle::Guest for Component {
    fn describe() -> types::Description {
        types::Description {
            name: "default".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            aspects: vec![types::Aspect::Naming, types::Aspect::Selection, types::Aspect::Ttl],
            needs: types::Needs {
                addresses: false,
                annotations: Vec::new(),
                cluster_labels: Vec::new(),
                cluster_names: false,
                fqdns: false,
                ready_endpoints: false,
                state_age: false,
            },
            config_schema: None,
        }
    }

    fn configure(_config: String) -> Result<(), String> {
        Err("the default policy takes no configuration".to_owned())
    }
}

impl naming::Guest for Component {
    fn names(subject: types::Subject, places: types::Places) -> Result<Vec<types::Name>, types::Refusal> {
        let regions = regions(&places);
        let zones = zones(&places);
        let names = policy::naming::names(&view(&subject), &policy::Places { regions: &regions, zones: &zones });
        Ok(names
            .into_iter()
            .map(|name| types::Name {
                fqdn: name.fqdn,
                place: match name.place {
                    policy::Place::Everywhere => types::Place::Everywhere,
                    policy::Place::Region(index) => types::Place::Region(index),
                    policy::Place::Zone(index) => types::Place::Zone(index),
                },
                fallback: match name.fallback {
                    policy::Fallback::Nothing => types::Fallback::Nothing,
                    policy::Fallback::AliasOf(index) => types::Fallback::AliasOf(index),
                    policy::Fallback::AlwaysAliasOf(index) => types::Fallback::AlwaysAliasOf(index),
                },
            })
            .collect())
    }
}

impl selection::Guest for Component {
    fn select(
        _subject: types::Subject,
        places: types::Places,
        fleet: types::Fleet,
        questions: Vec<types::Question>,
        _fqdns: Vec<String>,
    ) -> Result<Vec<types::Decision>, types::Refusal> {
        let regions = regions(&places);
        let zones = zones(&places);
        let unreachable: Vec<bool> =
            fleet.states.iter().map(|state| *state == types::ClusterState::Unreachable).collect();
        let decisions = policy::selection::select(
            &policy::Places { regions: &regions, zones: &zones },
            &policy::selection::Fleet {
                regions: &fleet.regions,
                unreachable: &unreachable,
                zone_counts: &fleet.zone_counts,
                zones: &fleet.zones,
                address_counts: &fleet.address_counts,
            },
            questions.iter().map(|question| {
                let place = match question.place {
                    types::Place::Everywhere => policy::Place::Everywhere,
                    types::Place::Region(index) => policy::Place::Region(index),
                    types::Place::Zone(index) => policy::Place::Zone(index),
                };
                let fallback = match question.fallback {
                    types::Fallback::Nothing => policy::Fallback::Nothing,
                    types::Fallback::AliasOf(index) => policy::Fallback::AliasOf(index),
                    types::Fallback::AlwaysAliasOf(index) => policy::Fallback::AlwaysAliasOf(index),
                };
                (place, fallback)
            }),
        );
        Ok(decisions
            .into_iter()
            .map(|decision| types::Decision {
                answer: match decision.answer {
                    policy::selection::Answer::Clusters(clusters) => types::Answer::Clusters(clusters),
                    policy::selection::Answer::Otherwise => types::Answer::Otherwise,
                },
                because: decision.because,
                recheck_after_seconds: None,
            })
            .collect())
    }
}

impl ttl::Guest for Component {
    fn ttls(subject: types::Subject, outcomes: Vec<types::Outcome>) -> Result<types::TtlAnswer, types::Refusal> {
        Ok(types::TtlAnswer { ttls: policy::ttl::ttls(&view(&subject), outcomes.len()), recheck_after_seconds: None })
    }
}

/// The part of a subject that the policy looks at.
fn view(subject: &types::Subject) -> policy::Subject<'_> {
    policy::Subject {
        service: &subject.service,
        namespace: &subject.namespace,
        federation: &subject.federation,
        domain: &subject.domain,
        external_name: subject.external_name.as_deref(),
        dns_prefix: subject.dns_prefix.as_deref(),
        record_ttl: subject.record_ttl,
    }
}

fn regions(places: &types::Places) -> Vec<&str> {
    places.regions.lines().collect()
}

fn zones(places: &types::Places) -> Vec<policy::Zone<'_>> {
    let zone = |(name, region): (_, &u32)| policy::Zone { name, region: *region };
    places.zones.lines().zip(&places.zone_regions).map(zone).collect()
}
