//! What every policy must get right, whatever it decides: the same question has the same answer, the order of clusters
//! changes nothing, no fleet is too small, too large or too odd, and whatever comes out passes the guard rails.

mod checks;
mod scenarios;

use mcsdns_core::decision::Needs;
use mcsdns_policy::PolicySet;
use serde::Serialize;

pub use self::scenarios::{Scenario, scenarios};
use crate::spending::{Ceiling, Spending};

/// How a scenario ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// As it must.
    Passed,
    /// The policy said that it will not answer this question. It may.
    Refused,
    /// Not as it must.
    Failed,
}

/// What was found in one scenario.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ScenarioResult {
    /// Its name.
    pub name: &'static str,
    /// What it shows, for people.
    pub description: &'static str,
    /// How it ended.
    pub verdict: Verdict,
    /// What is wrong: the check that failed, a colon, and in words.
    pub failures: Vec<String>,
    /// What is worth knowing and no failure.
    pub notes: Vec<String>,
    /// What it cost.
    pub spending: Spending,
}

/// The result of the suite for one policy with one configuration.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Conformance {
    /// One per scenario.
    pub scenarios: Vec<ScenarioResult>,
    /// What the most expensive of all decisions cost.
    pub spending: Spending,
}

impl Conformance {
    /// Whether nothing failed.
    #[must_use]
    pub fn passed(&self) -> bool {
        self.failed() == 0
    }

    /// How many scenarios failed.
    #[must_use]
    pub fn failed(&self) -> usize {
        self.scenarios.iter().filter(|scenario| scenario.verdict == Verdict::Failed).count()
    }
}

/// Runs the suite. `only` limits it to scenarios whose name contains that text.
#[must_use]
pub fn run(policies: &PolicySet, ceiling: &Ceiling, only: &str) -> Conformance {
    let needs: Needs = policies.policy_ref().needs;
    let all = scenarios(&needs);
    let mut results: Vec<ScenarioResult> = all
        .iter()
        .filter(|scenario| scenario.name.contains(only))
        .map(|scenario| checks::run(policies, scenario, ceiling))
        .collect();
    // A policy that refuses whatever it is asked breaks no rule and is good for nothing.
    if only.is_empty() && results.iter().all(|result| result.verdict == Verdict::Refused) {
        for result in &mut results {
            result.verdict = Verdict::Failed;
            result.failures.push("answers: the policy refuses every question of this suite".to_owned());
        }
    }
    let mut spending = Spending::default();
    results.iter().for_each(|result| spending.join(&result.spending));
    Conformance { scenarios: results, spending }
}
