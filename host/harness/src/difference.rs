//! What would change in the published names, name by name.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use mcsdns_core::{
    facts::{self, Owner, Record},
    ids::ObjectKey,
    plan::Endpoint,
    status::{ConditionStatus, RecordStatus},
};
use mcsdns_local::{
    fleet::Fleet,
    world::{World, WorldError, WorldOptions},
};
use mcsdns_policy::PolicySet;
use serde::Serialize;

use crate::{judge, recorder::Recorder, spending::Spending};

/// What becomes of a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// It would be there in addition.
    Added,
    /// It would be gone.
    Removed,
    /// Something else would stand behind it.
    Changed,
}

/// One name that would change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NameChange {
    /// The name.
    pub name: String,
    /// `namespace/name` of the record it belongs to, afterwards if it has one.
    pub record: String,
    /// What becomes of it.
    pub kind: Kind,
    /// What is published: `TTL TYPE TARGET ...`, one per type.
    pub before: Vec<String>,
    /// What would be published.
    pub after: Vec<String>,
}

/// A record that the new policy leaves in trouble it is not in now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Trouble {
    /// `namespace/name`.
    pub record: String,
    /// `TYPE=STATUS REASON`, or `Withheld REASON`.
    pub what: String,
    /// For people.
    pub message: String,
}

/// What would change.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// Names that would be there in addition.
    pub added: usize,
    /// Names that would be gone.
    pub removed: usize,
    /// Names behind which something else would stand.
    pub changed: usize,
    /// Names that stay as they are.
    pub unchanged: usize,
    /// Records that were looked at.
    pub records: usize,
    /// Each change, sorted by name.
    pub names: Vec<NameChange>,
    /// Records in new trouble.
    pub troubles: Vec<Trouble>,
    /// What the decisions of the new policy cost.
    pub spending: Spending,
}

impl Difference {
    /// Whether nothing would change.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.names.is_empty() && self.troubles.is_empty()
    }
}

/// What is published, by record.
pub type Published = BTreeMap<ObjectKey, Arc<[Endpoint]>>;

/// Compares what is published before and after.
#[must_use]
pub fn between(before: &Published, after: &Published) -> Difference {
    let (before, after) = (by_name(before), by_name(after));
    let mut difference = Difference::default();
    for name in before.keys().chain(after.keys()).collect::<BTreeSet<_>>() {
        let (kind, record, old, new) = match (before.get(name), after.get(name)) {
            (Some(old), Some(new)) if old == new => {
                difference.unchanged += 1;
                continue;
            }
            (Some(old), Some(new)) => (Kind::Changed, &new.0, old.1.clone(), new.1.clone()),
            (None, Some(new)) => (Kind::Added, &new.0, Vec::new(), new.1.clone()),
            (Some(old), None) => (Kind::Removed, &old.0, old.1.clone(), Vec::new()),
            (None, None) => continue,
        };
        match kind {
            Kind::Added => difference.added += 1,
            Kind::Removed => difference.removed += 1,
            Kind::Changed => difference.changed += 1,
        }
        let change = NameChange { name: (*name).to_owned(), record: record.clone(), kind, before: old, after: new };
        difference.names.push(change);
    }
    difference
}

type ByName<'a> = BTreeMap<&'a str, (String, Vec<String>)>;

fn by_name(published: &Published) -> ByName<'_> {
    let mut names: ByName<'_> = BTreeMap::new();
    for (record, endpoints) in published {
        for endpoint in &**endpoints {
            let entry = names.entry(&endpoint.dns_name).or_insert_with(|| (record.to_string(), Vec::new()));
            entry.1.push(judge::rest(endpoint));
        }
    }
    names
}

/// The fleet with what `policies` publish for it.
///
/// # Errors
/// When the world does not come to rest.
pub fn published_by(fleet: Fleet, policies: &Arc<PolicySet>, options: WorldOptions) -> Result<Fleet, WorldError> {
    let recorder = Recorder::default();
    Ok(World::new(fleet, recorder.put(policies), &recorder, options)?.0.into_fleet())
}

/// What would change if `new` decided: a process is started with it and finds what the fleet says is published, as a
/// controller would.
///
/// # Errors
/// When the world does not come to rest.
pub fn what_if(fleet: Fleet, new: &Arc<PolicySet>, options: WorldOptions) -> Result<Difference, WorldError> {
    let recorder = Recorder::default();
    let before = published(&fleet);
    let statuses: BTreeMap<ObjectKey, Arc<RecordStatus>> =
        fleet.records.iter().filter_map(|(key, record)| Some((key.clone(), record.status.clone()?))).collect();
    let (world, _) = World::new(fleet, recorder.put(new), &recorder, options)?;
    let after = world.endpoints().map(|(record, endpoints)| (record, endpoints.into())).collect();
    let mut difference = between(&before, &after);
    difference.records = world.fleet().records.len();
    difference.troubles = troubles(&statuses, world.statuses());
    recorder.take().iter().filter_map(|made| made.result.as_ref().ok()).for_each(|it| difference.spending.add(it));
    Ok(difference)
}

/// Looks at the records of these Domains only; what is published for others is left out, too.
pub fn keep_domains(fleet: &mut Fleet, domains: &[String]) {
    let wanted = |record: &Record| match &record.spec {
        Ok(spec) => domains.iter().any(|domain| *domain == *spec.domain_ref),
        Err(_) => false,
    };
    fleet.records.retain(|_, record| wanted(record));
    let records = &fleet.records;
    fleet
        .published
        .retain(|key, published| record_of(key, &published.owner).is_none_or(|it| records.contains_key(&it)));
}

fn published(fleet: &Fleet) -> Published {
    let ours = |(key, published): (&ObjectKey, &facts::Published)| {
        Some((record_of(key, &published.owner)?, Arc::clone(&published.endpoints)))
    };
    fleet.published.iter().filter_map(ours).collect()
}

/// The record that a DNSEndpoint belongs to; `None` when it is not ours.
fn record_of(object: &ObjectKey, owner: &Owner) -> Option<ObjectKey> {
    match owner {
        Owner::Record { name, .. } => Some(ObjectKey::new(Arc::clone(&object.namespace), Arc::clone(name))),
        Owner::Adoptable | Owner::Foreign(_) => None,
    }
}

/// Conditions and withheld names that are new.
fn troubles(
    before: &BTreeMap<ObjectKey, Arc<RecordStatus>>,
    after: &BTreeMap<ObjectKey, Arc<RecordStatus>>,
) -> Vec<Trouble> {
    let mut troubles = Vec::new();
    for (key, status) in after {
        let known: BTreeSet<String> =
            before.get(key).map(|status| said(status).map(|(what, _)| what).collect()).unwrap_or_default();
        for (what, message) in said(status) {
            if !known.contains(&what) {
                troubles.push(Trouble { record: key.to_string(), what, message });
            }
        }
    }
    troubles
}

fn said(status: &RecordStatus) -> impl Iterator<Item = (String, String)> {
    let conditions = status.conditions.iter().filter_map(|condition| {
        let wanted = if &*condition.kind == "Degraded" { ConditionStatus::False } else { ConditionStatus::True };
        let what = format!("{}={} {}", condition.kind, condition.status.as_str(), condition.reason);
        (condition.status != wanted).then(|| (what, condition.message.to_string()))
    });
    let withheld = status
        .withheld
        .iter()
        .map(|withheld| (format!("Withheld {} {}", withheld.reason, withheld.name), withheld.message.to_string()));
    conditions.chain(withheld)
}

#[cfg(test)]
mod tests {
    use mcsdns_core::plan::{RecordType, Targets};

    use super::*;

    fn endpoint(name: &str, address: &str) -> Endpoint {
        Endpoint {
            dns_name: name.into(),
            record_type: RecordType::A,
            set_identifier: None,
            targets: Targets::Addresses([address.parse().unwrap()].into()),
            record_ttl: 60,
            provider_specific: Vec::new(),
        }
    }

    #[test]
    fn every_name_is_counted_once() {
        let key = ObjectKey::new("shop", "web");
        let before = Published::from([(
            key.clone(),
            [endpoint("a", "10.0.0.1"), endpoint("b", "10.0.0.1"), endpoint("c", "10.0.0.1")].into(),
        )]);
        let after = Published::from([(
            key,
            [endpoint("b", "10.0.0.1"), endpoint("c", "10.0.0.2"), endpoint("d", "10.0.0.1")].into(),
        )]);
        let difference = between(&before, &after);
        assert_eq!((difference.added, difference.removed, difference.changed, difference.unchanged), (1, 1, 1, 1));
        let changed = difference.names.iter().find(|change| change.kind == Kind::Changed).unwrap();
        assert_eq!((&changed.before[0], &changed.after[0]), (&"60 A 10.0.0.1".into(), &"60 A 10.0.0.2".into()));
        assert!(between(&before, &before).is_empty());
    }
}
