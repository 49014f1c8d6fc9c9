//! Everything that can be told about one record.

use std::sync::Arc;

use super::{
    Index,
    observe::Source,
    record::{Entry, Standing, Verdict},
    report,
};
use crate::{
    decision::{ClusterState, Place, Places},
    explain::{ExplainedCluster, ExplainedCondition, ExplainedName, Explanation},
    ids::ObjectKey,
    plan::Endpoint,
    planner::NameOutcome,
};

impl Index {
    /// Everything that can be told about a record.
    #[must_use]
    pub fn explain(&self, record: &ObjectKey) -> Option<Explanation> {
        let entry = self.records.get(record)?;
        let base = self.base(record, entry);
        let status = entry.status.as_deref();
        let conditions: Vec<ExplainedCondition> = status
            .map(|status| status.conditions.as_slice())
            .unwrap_or_default()
            .iter()
            .map(|condition| ExplainedCondition {
                kind: Arc::clone(&condition.kind),
                status: condition.status.as_str(),
                reason: Arc::clone(&condition.reason),
                message: Arc::clone(&condition.message),
            })
            .collect();
        let advice = status.map_or_else(Vec::new, |status| crate::explain::advice(record, status));
        Some(Explanation {
            record: record.to_string(),
            domain_ref: entry.spec.as_ref().map(|spec| Arc::clone(&spec.domain_ref)),
            domain: status.and_then(|status| status.domain.clone()),
            policy: entry.answered.as_ref().map(|(question, _)| Arc::clone(&question.policies.title)),
            conditions,
            clusters: clusters(entry),
            names: self.names(entry, &base),
            endpoints: base.to_vec(),
            advice,
        })
    }

    fn names(&self, entry: &Entry, base: &[Endpoint]) -> Vec<ExplainedName> {
        let Some((question, Verdict::Answer(checked))) = &entry.answered else {
            return Vec::new();
        };
        let kept = matches!(entry.standing, Standing::Kept(_) | Standing::Held(..));
        let planned = entry.plan.names.iter().zip(&checked.names);
        let mut names: Vec<ExplainedName> = planned
            .map(|(planned, checked)| {
                let own: Vec<&Endpoint> = base.iter().filter(|endpoint| endpoint.dns_name == planned.fqdn).collect();
                let mut because = checked.because.to_string();
                let mut add = |words: &str| {
                    if !because.is_empty() {
                        because.push_str("; ");
                    }
                    because.push_str(words);
                };
                match (&planned.outcome, kept && !own.is_empty()) {
                    (_, true) => add("kept as last published"),
                    (NameOutcome::Alias(to), _) => add(&format!("so the name follows {to}")),
                    (NameOutcome::Kept, _) => add("kept as last published"),
                    (NameOutcome::Nothing, _) => add("so the name is not published"),
                    (NameOutcome::Addresses | NameOutcome::Withheld(_), _) => {}
                }
                let refused = entry
                    .plan
                    .withheld
                    .iter()
                    .filter(|withheld| withheld.name == planned.fqdn)
                    .map(|withheld| (Arc::clone(&withheld.reason), Arc::clone(&withheld.message)))
                    .collect();
                ExplainedName {
                    name: Arc::clone(&planned.fqdn),
                    place: place(checked.place, &question.input.places),
                    answer: answer(&own),
                    ttl: own.first().map(|endpoint| endpoint.record_ttl),
                    because,
                    refused,
                }
            })
            .collect();
        for endpoint in base {
            if !names.iter().any(|name| name.name == endpoint.dns_name) {
                names.push(ExplainedName {
                    name: Arc::clone(&endpoint.dns_name),
                    place: String::new(),
                    answer: answer(&[endpoint]),
                    ttl: Some(endpoint.record_ttl),
                    because: "kept as last published".to_owned(),
                    refused: Vec::new(),
                });
            }
        }
        names
    }
}

fn clusters(entry: &Entry) -> Vec<ExplainedCluster> {
    entry
        .observations
        .iter()
        .map(|observation| ExplainedCluster {
            name: Arc::clone(&observation.cluster.0),
            region: observation.region.clone(),
            zones: observation.zones.to_vec(),
            state: observation.state,
            since: Some(report::whole(observation.since).to_string()),
            source: match observation.source {
                Source::Live => "live",
                Source::LastKnown => "last known",
                Source::Nothing => "nothing known",
            },
            addresses: observation.addresses.to_vec(),
            because: match (observation.problem.as_deref(), observation.state) {
                (Some((_, message)), _) => message.clone(),
                (None, ClusterState::Serving) => format!("{} ready endpoints", observation.ready),
                (None, ClusterState::NoService) => "no Service of that name".to_owned(),
                (None, _) => String::new(),
            },
        })
        .collect()
}

fn place(place: Place, places: &Places) -> String {
    let region = |index: u32| places.regions.get(index as usize).map_or("?", |region| &**region);
    match place {
        Place::Everywhere => "everywhere".to_owned(),
        Place::Region(index) => format!("region {}", region(index)),
        Place::Zone(index) => places
            .zones
            .get(index as usize)
            .map_or_else(String::new, |zone| format!("zone {} of {}", zone.name, region(zone.region))),
    }
}

fn answer(endpoints: &[&Endpoint]) -> String {
    if endpoints.is_empty() {
        return "nothing".to_owned();
    }
    let one = |endpoint: &&Endpoint| {
        let set = endpoint.set_identifier.as_ref().map_or_else(String::new, |set| format!(" [{set}]"));
        format!("{}{set} {}", endpoint.record_type.as_str(), endpoint.targets.to_strings().join(", "))
    };
    endpoints.iter().map(one).collect::<Vec<_>>().join("; ")
}
