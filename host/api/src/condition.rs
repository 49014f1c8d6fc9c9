//! Conditions in the manner of `metav1.Condition`.

use mcsdns_core::status::{Condition as CoreCondition, ConditionStatus};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::lenient::{Field, List};

/// Longest message the schema takes, as in `metav1.Condition`.
pub(crate) const MAX_MESSAGE: usize = 32_768;
/// Longest reason the schema takes, as in `metav1.Condition`.
pub(crate) const MAX_REASON: usize = 1024;

/// One aspect of the state of the object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Condition {
    /// What the condition is about, in CamelCase.
    #[serde(rename = "type")]
    #[schemars(length(min = 1, max = 316))]
    pub kind: String,
    /// Whether it holds: True, False or Unknown.
    #[schemars(extend("enum" = ["True", "False", "Unknown"]))]
    pub status: String,
    /// Why, in one CamelCase word that does not change between releases.
    #[schemars(length(min = 1, max = 1024))]
    pub reason: String,
    /// Why, for people: names the object to look at and what to do.
    #[schemars(length(max = 32768))]
    pub message: String,
    /// When the status last changed.
    #[schemars(extend("format" = "date-time"), length(max = 64))]
    pub last_transition_time: String,
    /// The metadata.generation that was looked at.
    #[serde(default)]
    #[schemars(range(min = 0))]
    pub observed_generation: i64,
}

impl From<&CoreCondition> for Condition {
    fn from(condition: &CoreCondition) -> Self {
        Self {
            kind: condition.kind.to_string(),
            status: condition.status.as_str().to_owned(),
            reason: bounded(&condition.reason, MAX_REASON),
            message: bounded(&condition.message, MAX_MESSAGE),
            last_transition_time: condition.since.to_string(),
            observed_generation: condition.observed_generation,
        }
    }
}

/// At most `limit` bytes of `text`: a status that breaks its own schema would never be written.
pub(crate) fn bounded(text: &str, limit: usize) -> String {
    if text.len() <= limit {
        return text.to_owned();
    }
    let mut end = limit.saturating_sub('…'.len_utf8());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}…", text.get(..end).unwrap_or_default())
}

/// A condition as observed.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct ObservedCondition {
    #[serde(rename = "type")]
    kind: Field<String>,
    status: Field<String>,
    reason: Field<String>,
    message: Field<String>,
    last_transition_time: Field<String>,
    observed_generation: Field<i64>,
}

/// The conditions of a status; an entry without a type is nobody's and is dropped.
pub(crate) fn observed(conditions: &List<ObservedCondition>) -> Vec<CoreCondition> {
    conditions
        .each()
        .filter_map(|condition| {
            let text = |field: &Field<String>| field.good_text().unwrap_or_default();
            Some(CoreCondition {
                kind: condition.kind.good_text()?,
                status: match condition.status.good().map(String::as_str) {
                    Some("True") => ConditionStatus::True,
                    Some("False") => ConditionStatus::False,
                    _ => ConditionStatus::Unknown,
                },
                reason: text(&condition.reason),
                message: text(&condition.message),
                since: text(&condition.last_transition_time).parse().unwrap_or_default(),
                observed_generation: condition.observed_generation.number(),
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_texts_end_at_a_character() {
        let text = bounded(&"ä".repeat(20_000), MAX_MESSAGE);
        assert!(text.len() <= MAX_MESSAGE && text.ends_with("ä…"));
        assert_eq!(bounded("short", 5), "short");
    }
}
