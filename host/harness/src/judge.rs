//! One decision by itself through the guard rails and the planner: what would be published if nothing else were there.

use std::sync::Arc;

use mcsdns_core::{
    decision::{DecisionInput, DecisionOutput},
    guard::{self, Limits, Violation},
    index::Settings,
    name::TxtAffix,
    plan::Endpoint,
    planner::{self, Context, Plan},
};
use serde::{Deserialize, Serialize};

/// What a decision is held to beside its input.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Bounds {
    /// Most names.
    pub max_names: usize,
    /// Most addresses per name.
    pub max_targets: usize,
    /// Least TTL in seconds; shorter ones are lengthened.
    pub min_ttl: u32,
    /// Largest TTL in seconds; longer ones are shortened.
    pub max_ttl: u32,
    /// Bytes that ExternalDNS's `--txt-prefix` and `--txt-suffix` add to the first label.
    pub txt_affix_length: usize,
    /// That affix contains `%{record_type}`.
    pub txt_affix_replaces_type: bool,
}

impl Default for Bounds {
    fn default() -> Self {
        Self::from(&Settings::default())
    }
}

impl From<&Settings> for Bounds {
    fn from(settings: &Settings) -> Self {
        Self {
            max_names: settings.max_names,
            max_targets: settings.max_targets,
            min_ttl: settings.min_ttl,
            max_ttl: settings.max_ttl,
            txt_affix_length: settings.txt_affix.label,
            txt_affix_replaces_type: settings.txt_affix.replaces_type,
        }
    }
}

/// Takes a decision through the guard rails and plans what it leads to.
///
/// # Errors
/// The first rule that the policy broke.
pub fn judge(input: &DecisionInput, output: &DecisionOutput, bounds: &Bounds) -> Result<Plan, Violation> {
    let limits = Limits {
        zone: &input.subject.domain,
        max_names: bounds.max_names,
        max_targets: bounds.max_targets,
        min_ttl: bounds.min_ttl,
        max_ttl: bounds.max_ttl,
    };
    let checked = guard::check(input, output, &limits)?;
    let affix = TxtAffix { label: bounds.txt_affix_length, replaces_type: bounds.txt_affix_replaces_type };
    Ok(planner::plan(
        &checked,
        &Context { published: &[], affix, taken_by: &|_| None, accounted: None, unplaced: false, unseen: false },
    ))
}

/// One line for an endpoint: `NAME TTL TYPE [SET] TARGET ... KEY=VALUE ...`, as in `expected.yaml`.
#[must_use]
pub fn line(endpoint: &Endpoint) -> String {
    format!("{} {}", endpoint.dns_name, rest(endpoint))
}

/// The same without the name.
#[must_use]
pub fn rest(endpoint: &Endpoint) -> String {
    let mut words = vec![endpoint.record_ttl.to_string(), endpoint.record_type.as_str().to_owned()];
    words.extend(endpoint.set_identifier.iter().map(|set| format!("[{set}]")));
    words.extend(endpoint.targets.to_strings());
    words.extend(endpoint.provider_specific.iter().map(|(key, value)| format!("{key}={value}")));
    words.join(" ")
}

/// All lines of a list of endpoints, in its order.
#[must_use]
pub fn lines(endpoints: &[Endpoint]) -> Vec<String> {
    endpoints.iter().map(line).collect()
}

/// Names that are wanted but would not be published, with the reason.
#[must_use]
pub fn withheld(plan: &Plan) -> Vec<(Arc<str>, Arc<str>)> {
    plan.withheld.iter().map(|withheld| (Arc::clone(&withheld.name), Arc::clone(&withheld.message))).collect()
}
