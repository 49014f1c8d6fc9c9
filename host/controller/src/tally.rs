//! How many records are in which condition: counted from the Index when somebody asks.

use std::collections::BTreeMap;

use mcsdns_core::{reason::Reason, status::RecordStatus};
use mcsdns_runtime::RuntimeHandle;

use crate::metrics::Metrics;

/// Records that are looked at while the loop waits. A look takes some microseconds.
const AT_ONCE: usize = 256;

/// Number of records by condition and its status, and of names that are withheld by reason.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) conditions: BTreeMap<(&'static str, &'static str), i64>,
    pub(crate) withheld: BTreeMap<&'static str, i64>,
}

const CONDITIONS: [&str; 3] = ["Accepted", "Programmed", "Degraded"];
const REASONS: [Reason; 9] = [
    Reason::NameConflict,
    Reason::NameTooLong,
    Reason::LabelTooLongForFallback,
    Reason::NameInvalid,
    Reason::NameOutsideDomain,
    Reason::AliasNotPublished,
    Reason::TypeConflict,
    Reason::TooManyTargets,
    Reason::PolicyViolation,
];

impl Tally {
    fn add(&mut self, status: &RecordStatus) {
        for condition in &status.conditions {
            // Labels are bounded whatever a status says.
            if let Some(kind) = CONDITIONS.into_iter().find(|kind| **kind == *condition.kind) {
                *self.conditions.entry((kind, condition.status.as_str())).or_default() += 1;
            }
        }
        for withheld in &status.withheld {
            let known = REASONS.iter().find(|reason| reason.as_str() == &*withheld.reason);
            *self.withheld.entry(known.map_or("Other", |reason| reason.as_str())).or_default() += 1;
        }
    }
}

/// Counts, a few records at a time so that the loop never waits for long.
pub(crate) async fn tally(index: &RuntimeHandle, metrics: &Metrics) {
    let records = index.with_index(|index| index.records());
    let mut tally = Tally::default();
    for some in records.chunks(AT_ONCE) {
        index.with_index(|index| {
            some.iter().filter_map(|record| index.status(record)).for_each(|status| tally.add(&status));
        });
        tokio::task::yield_now().await;
    }
    metrics.records(&tally);
}

#[cfg(test)]
mod tests {
    use mcsdns_core::status::{Condition, ConditionStatus, Withheld};

    use super::*;

    #[test]
    fn labels_are_bounded() {
        let condition = |kind, status| Condition::new(kind, status, Reason::Accepted, "");
        let withheld =
            |reason: &str| Withheld { name: "a".into(), record_type: None, reason: reason.into(), message: "".into() };
        let status = RecordStatus {
            conditions: vec![
                condition("Accepted", ConditionStatus::True),
                condition("SomethingElse", ConditionStatus::True),
            ],
            withheld: vec![withheld("NameTooLong"), withheld("whatever"), withheld("more")],
            ..RecordStatus::default()
        };
        let mut tally = Tally::default();
        tally.add(&status);
        assert_eq!(tally.conditions, BTreeMap::from([(("Accepted", "True"), 1)]));
        assert_eq!(tally.withheld, BTreeMap::from([("NameTooLong", 1), ("Other", 2)]));
    }
}
