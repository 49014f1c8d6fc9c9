//! One decision, written down so that it can be made again: the exact question, who answered it, and what came out.
//!
//! The form is described in docs/policies.md. It is versioned: a reader refuses what it does not know, and what was
//! written once stays readable.

use std::{collections::BTreeSet, fmt::Write as _};

use mcsdns_core::{
    decision::{DecisionInput, DecisionOutput, InputProblem, Needs, PolicyFailure},
    guard::Violation,
};
use mcsdns_policy::{Aspect, Digest, PolicySet};
use serde::{Deserialize, Serialize};

use crate::{
    judge::{self, Bounds, judge},
    recorder::Heard,
};

/// The only version so far.
pub const VERSION: u32 = 1;

/// What a bundle says that it is.
pub const KIND: &str = "mcsdns-decision";

/// Largest bundle that is read, in bytes.
pub const BUNDLE_BYTES: u64 = 64 << 20;

/// One decision.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Bundle {
    /// [`KIND`].
    pub kind: String,
    /// [`VERSION`].
    pub version: u32,
    /// The program that wrote it, for people.
    pub written_by: String,
    /// The time that the decision was made for, RFC 3339.
    pub time: String,
    /// `namespace/name` of the record.
    pub record: String,
    /// Name of the Domain.
    pub domain: String,
    /// Who answered.
    pub policies: Vec<Answerer>,
    /// What the policies wanted to be told; labels in the question refer to its list of keys.
    pub needs: Needs,
    /// What the answer was held to.
    pub bounds: Bounds,
    /// The question.
    pub input: DecisionInput,
    /// The answer; absent when only what is published is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<Answered>,
    /// What was published for the record when the bundle was written, as lines `NAME TTL TYPE TARGET ...`. It may depend on
    /// more than this decision.
    pub published: Vec<String>,
}

/// A policy that answered for an aspect.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Answerer {
    /// `naming`, `selection` or `ttl`.
    pub aspect: String,
    /// Name and version.
    pub title: String,
    /// sha256 of the component; absent when not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// sha256 of the configuration as the policy received it; absent when it had none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config_digest: Option<String>,
}

/// What came out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Answered {
    /// An answer, as the policy gave it.
    Output(DecisionOutput),
    /// There was none.
    Failure {
        /// Stable.
        reason: String,
        /// For people.
        message: String,
    },
}

/// A bundle cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BundleError {
    /// It is not JSON of that form.
    #[error("not a bundle: {0}")]
    Malformed(#[from] serde_json::Error),
    /// It is something else.
    #[error("not a bundle: its kind is `{0}`, not `{KIND}`")]
    Kind(String),
    /// It was written by a newer program.
    #[error("version {0} of bundles is not known, only {VERSION}; use a newer mcsdns")]
    Version(u32),
    /// Its question refers to what is not there.
    #[error("input.{0}")]
    Input(#[from] InputProblem),
}

impl BundleError {
    /// Stable, CamelCase.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Malformed(_) => "BundleMalformed",
            Self::Kind(_) => "BundleKind",
            Self::Version(_) => "BundleVersion",
            Self::Input(error) => error.reason(),
        }
    }
}

/// What every version says first.
#[derive(Deserialize)]
struct Head {
    kind: String,
    version: u32,
}

impl Bundle {
    /// Writes down a decision that these policies made.
    #[must_use]
    pub fn of(heard: &Heard, policies: &PolicySet, bounds: Bounds, time: &str, published: Vec<String>) -> Self {
        Self {
            kind: KIND.to_owned(),
            version: VERSION,
            written_by: concat!("mcsdns ", env!("CARGO_PKG_VERSION")).to_owned(),
            time: time.to_owned(),
            record: format!("{}/{}", heard.input.subject.namespace, heard.input.subject.service),
            domain: heard.domain.to_string(),
            policies: answerers(policies),
            needs: policies.policy_ref().needs,
            bounds,
            input: heard.input.as_ref().clone(),
            answer: Some(answered(&heard.result)),
            published,
        }
    }

    /// Reads a bundle.
    ///
    /// # Errors
    /// When it is none, is of a version that is not known, or its question makes no sense.
    pub fn read(text: &str) -> Result<Self, BundleError> {
        let head: Head = serde_json::from_str(text)?;
        if head.kind != KIND {
            return Err(BundleError::Kind(head.kind.chars().take(100).collect()));
        }
        if head.version != VERSION {
            return Err(BundleError::Version(head.version));
        }
        let bundle: Self = serde_json::from_str(text)?;
        bundle.input.check()?;
        Ok(bundle)
    }

    /// As it is written to a file.
    #[must_use]
    pub fn to_json(&self) -> String {
        let mut text = serde_json::to_string_pretty(self).unwrap_or_default();
        text.push('\n');
        text
    }
}

/// Who answers for each aspect.
#[must_use]
pub fn answerers(policies: &PolicySet) -> Vec<Answerer> {
    Aspect::ALL
        .into_iter()
        .map(|aspect| {
            let policy = policies.policy(aspect);
            Answerer {
                aspect: aspect.to_string(),
                title: policy.title(),
                digest: Some(policy.digest().to_string()),
                config_digest: policy.config().map(|config| Digest::of(config.as_bytes()).to_string()),
            }
        })
        .collect()
}

fn answered(result: &Result<DecisionOutput, PolicyFailure>) -> Answered {
    match result {
        Ok(output) => Answered::Output(output.clone()),
        Err(PolicyFailure { reason, message, .. }) => {
            Answered::Failure { reason: (*reason).to_owned(), message: message.clone() }
        }
    }
}

/// A decision made again.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Replay {
    /// Whether the very policies that made the decision made it again.
    pub same_policies: bool,
    /// Who made it.
    pub policies_then: Vec<Answerer>,
    /// Who made it again.
    pub policies_now: Vec<Answerer>,
    /// What it led to: lines `NAME TTL TYPE TARGET ...`, or the one line of what went wrong.
    pub then: Vec<String>,
    /// What it leads to.
    pub now: Vec<String>,
    /// Whether both lead to the same.
    pub same: bool,
    /// Whether the answers are the same word for word, reasons included.
    pub same_answer: bool,
    /// What the policies now want to be told and the bundle does not know, in words.
    pub missing: Vec<String>,
    /// Fuel that it took.
    pub fuel: u64,
    /// Time that it took, in microseconds.
    pub micros: u64,
}

impl Replay {
    /// What has changed, as a unified diff; empty when nothing has.
    #[must_use]
    pub fn difference(&self) -> String {
        let text = |lines: &[String]| {
            lines.iter().fold(String::new(), |mut text, line| {
                // Writing into a String cannot fail.
                let _ = writeln!(text, "{line}");
                text
            })
        };
        let (then, now) = (text(&self.then), text(&self.now));
        if then == now {
            return String::new();
        }
        similar::TextDiff::from_lines(&then, &now).unified_diff().context_radius(2).header("then", "now").to_string()
    }
}

/// Makes the decision of a bundle again.
#[must_use]
pub fn replay(bundle: &Bundle, policies: &PolicySet) -> Replay {
    let needs = policies.policy_ref().needs;
    let result = policies.decide(&asked_with(bundle, &needs));
    let (cost, result) = match result {
        Ok(decided) => (decided.cost, Ok(decided.output)),
        Err(error) => (Default::default(), Err(error.into())),
    };
    let (now, policies_now) = (answered(&result), answerers(policies));
    let (then, same_answer) = match &bundle.answer {
        Some(then) => (consequence(bundle, then), *then == now),
        // Then only what was published can be compared.
        None => (bundle.published.clone(), true),
    };
    let lines = consequence(bundle, &now);
    let same_policies = bundle.policies == policies_now;
    let known: BTreeSet<&String> = then.iter().collect();
    Replay {
        same_policies,
        policies_then: bundle.policies.clone(),
        policies_now,
        same: known == lines.iter().collect() && (same_answer || !same_policies),
        then,
        now: lines,
        same_answer,
        missing: missing(&bundle.needs, &needs),
        fuel: cost.fuel,
        micros: u64::from(cost.total_micros),
    }
}

/// The question as policies with these needs are asked it: labels go by their place in the list of keys.
fn asked_with(bundle: &Bundle, needs: &Needs) -> DecisionInput {
    let mut input = bundle.input.clone();
    for cluster in &mut input.clusters {
        cluster.labels = cluster
            .labels
            .iter()
            .filter_map(|(key, value)| {
                let key = bundle.needs.cluster_labels.get(usize::try_from(*key).ok()?)?;
                let place = needs.cluster_labels.iter().position(|needed| needed == key)?;
                Some((u32::try_from(place).ok()?, value.clone()))
            })
            .collect();
        cluster.labels.sort();
    }
    input
}

/// What is needed now and was not told then.
fn missing(then: &Needs, now: &Needs) -> Vec<String> {
    let keys = |what: &str, then: &[String], now: &[String]| {
        let new: Vec<String> =
            now.iter().filter(|key| !then.contains(key)).map(|key| format!("{what} {key}")).collect();
        new
    };
    let mut missing = keys("the label", &then.cluster_labels, &now.cluster_labels);
    missing.extend(keys("the annotation", &then.annotations, &now.annotations));
    if now.ready_endpoints && !then.ready_endpoints {
        missing.push("numbers of ready endpoints".to_owned());
    }
    if now.state_age && !then.state_age {
        missing.push("ages of states".to_owned());
    }
    missing
}

/// What an answer leads to when nothing else is there.
fn consequence(bundle: &Bundle, answer: &Answered) -> Vec<String> {
    match answer {
        Answered::Output(output) => match judge(&bundle.input, output, &bundle.bounds) {
            Ok(plan) => {
                let withheld = judge::withheld(&plan).into_iter().map(|(name, why)| format!("{name} withheld: {why}"));
                judge::lines(&plan.endpoints).into_iter().chain(withheld).collect()
            }
            Err(violation) => vec![broken(&violation)],
        },
        Answered::Failure { reason, message } => vec![format!("no answer ({reason}): {message}")],
    }
}

fn broken(violation: &Violation) -> String {
    format!("refused by the guard rails ({}): {violation}", violation.rule)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        fleets::mixed_fleet,
        workbench::{Candidate, Workbench},
    };

    fn bundle() -> (Bundle, std::sync::Arc<PolicySet>) {
        let set = Workbench::new().unwrap().load(&Candidate::boxed()).unwrap().set;
        let input = mixed_fleet(5, &set.policy_ref().needs);
        let result = Ok(set.decide(&input).unwrap().output);
        let heard = Heard { domain: "prod".into(), policies: set.policy_ref(), input: input.into(), result };
        (Bundle::of(&heard, &set, Bounds::default(), "2026-01-01T00:00:00Z", Vec::new()), set)
    }

    #[test]
    fn a_bundle_survives_being_written() {
        let (bundle, set) = bundle();
        let read = Bundle::read(&bundle.to_json()).unwrap();
        assert_eq!(read, bundle);
        let replay = replay(&read, &set);
        assert!(replay.same && replay.same_answer && replay.same_policies && replay.fuel > 0, "{replay:?}");
        assert_eq!(replay.difference(), "");
    }

    #[test]
    fn another_answer_is_a_difference() {
        let (mut bundle, set) = bundle();
        let Some(Answered::Output(output)) = &mut bundle.answer else { panic!() };
        output.ttls[0] = 7;
        let replay = replay(&bundle, &set);
        assert!(!replay.same && replay.same_policies);
        assert!(replay.difference().contains(" 7 A "), "{}", replay.difference());
    }

    #[test]
    fn what_is_no_bundle_is_refused() {
        let (bundle, _) = bundle();
        let json = |change: &dyn Fn(&mut serde_json::Value)| {
            let mut value = serde_json::to_value(&bundle).unwrap();
            change(&mut value);
            Bundle::read(&value.to_string()).unwrap_err()
        };
        assert_eq!(Bundle::read("{").unwrap_err().reason(), "BundleMalformed");
        assert_eq!(json(&|value| value["version"] = 2.into()).reason(), "BundleVersion");
        assert_eq!(json(&|value| value["kind"] = "Pod".into()).reason(), "BundleKind");
        assert_eq!(json(&|value| value["more"] = 1.into()).reason(), "BundleMalformed");
        let error = json(&|value| value["input"]["clusters"][0]["region"] = 99.into());
        assert_eq!(error.to_string(), "input.clusters[0].region is 99, but there are only 5 regions");
    }
}
