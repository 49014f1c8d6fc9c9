//! What is checked of every scenario.

use mcsdns_core::{
    decision::{Cluster, DecisionInput, DecisionOutput},
    planner::Plan,
};
use mcsdns_policy::{DecideError, PolicySet, RunError};

use super::{Scenario, ScenarioResult, Verdict};
use crate::{
    judge::{self, Bounds, judge},
    spending::{Ceiling, Spending},
};

/// Lines of a difference that are shown.
const SHOWN: usize = 12;

/// Names that are withheld which are listed one by one.
const LISTED: usize = 3;

/// Asks the question of a scenario in several ways.
pub(super) fn run(policies: &PolicySet, scenario: &Scenario, ceiling: &Ceiling) -> ScenarioResult {
    let mut result = ScenarioResult {
        name: scenario.name,
        description: scenario.description,
        verdict: Verdict::Passed,
        failures: Vec::new(),
        notes: Vec::new(),
        spending: Spending::default(),
    };
    match policies.decide(&scenario.input) {
        Ok(decided) => {
            result.spending.add(&decided);
            same_again(policies, scenario, &decided.output, &mut result);
            match judge(&scenario.input, &decided.output, &Bounds::default()) {
                Ok(plan) => {
                    publishable(scenario, &plan, &mut result);
                    any_order(policies, &scenario.input, &plan, &mut result);
                }
                Err(violation) => result.failures.push(format!("guard rails ({}): {violation}", violation.rule)),
            }
            result.failures.extend(ceiling.exceeded(&result.spending).into_iter().map(|text| format!("cost: {text}")));
        }
        Err(DecideError { aspect, error: RunError::Refused { field, message }, .. }) => {
            result.verdict = Verdict::Refused;
            result.notes.push(format!("{aspect} refused: {field}: {message}"));
        }
        Err(error) => {
            result.failures.push(format!("answers ({}): {}: {}", error.reason(), error.aspect, error.error));
            let said = error.log.iter().map(|line| format!("it had said: {}", line.message));
            result.notes.extend(said);
        }
    }
    if !result.failures.is_empty() {
        result.verdict = Verdict::Failed;
    }
    result
}

/// The same question has the same answer, word for word.
fn same_again(policies: &PolicySet, scenario: &Scenario, first: &DecisionOutput, result: &mut ScenarioResult) {
    match policies.decide(&scenario.input) {
        Ok(again) if again.output == *first => {}
        Ok(again) => {
            let (first, again) = (pretty(first), pretty(&again.output));
            result.failures.push(format!(
                "repeatable: the same question, asked twice, has two answers\n{}",
                difference(&first, &again, "first", "second")
            ));
        }
        Err(error) => result.failures.push(format!("repeatable: asked again, there is no answer: {error}")),
    }
}

/// Names of an ordinary record can be published.
fn publishable(scenario: &Scenario, plan: &Plan, result: &mut ScenarioResult) {
    if !scenario.ordinary {
        return;
    }
    let withheld = judge::withheld(plan);
    for (_, message) in withheld.iter().take(LISTED) {
        result.notes.push(format!("not published: {message}"));
    }
    if withheld.len() > LISTED {
        result.notes.push(format!("and {} more names that are not published", withheld.len() - LISTED));
    }
    if plan.names.is_empty() {
        result.notes.push("no names at all".to_owned());
    }
}

/// What is published does not depend on the order in which clusters are told. The host sorts them by name, so in another
/// order they have other names: a policy that sees names may go by them.
fn any_order(policies: &PolicySet, input: &DecisionInput, plan: &Plan, result: &mut ScenarioResult) {
    let count = input.clusters.len();
    if count < 2 {
        return;
    }
    let expected = judge::lines(&plan.endpoints);
    // Backwards, and dealt out into three heaps: between them every pair of neighbours is torn apart.
    let orders = [
        ("in reverse", (0..count).rev().collect::<Vec<_>>()),
        ("dealt into three heaps", (0..3).flat_map(|heap| (heap..count).step_by(3)).collect()),
    ];
    for (words, order) in orders {
        let other = reordered(input, &order);
        let answer = match policies.decide(&other) {
            Ok(decided) => decided.output,
            Err(error) => {
                result.failures.push(format!("order: with the clusters {words} there is no answer: {error}"));
                return;
            }
        };
        let found = match judge(&other, &answer, &Bounds::default()) {
            Ok(plan) => judge::lines(&plan.endpoints),
            Err(violation) => {
                result.failures.push(format!("order: with the clusters {words} a guard rail is broken: {violation}"));
                return;
            }
        };
        if found == expected {
            continue;
        }
        if policies.policy_ref().needs.cluster_names {
            result
                .notes
                .push(format!("the order of clusters ({words}) matters; this policy sees their names, so it may"));
        } else {
            result.failures.push(format!(
                "order: with the clusters {words} something else would be published\n{}",
                difference(&expected, &found, "sorted by name", words)
            ));
        }
        return;
    }
}

/// The clusters in that order, with names that are sorted again.
fn reordered(input: &DecisionInput, order: &[usize]) -> DecisionInput {
    let clusters = order.iter().filter_map(|from| input.clusters.get(*from)).zip(&input.clusters);
    let clusters = clusters.map(|(cluster, place)| Cluster { name: place.name.clone(), ..cluster.clone() }).collect();
    DecisionInput { clusters, ..input.clone() }
}

fn pretty(output: &DecisionOutput) -> Vec<String> {
    let lines = serde_json::to_string_pretty(output).unwrap_or_default();
    lines.lines().map(str::to_owned).collect()
}

/// A unified diff, shortened.
fn difference(before: &[String], after: &[String], before_title: &str, after_title: &str) -> String {
    let (before, after) = (before.join("\n") + "\n", after.join("\n") + "\n");
    let diff = similar::TextDiff::from_lines(&before, &after)
        .unified_diff()
        .context_radius(0)
        .header(before_title, after_title)
        .to_string();
    let mut lines: Vec<&str> = diff.lines().collect();
    let more = lines.len().saturating_sub(SHOWN);
    lines.truncate(SHOWN);
    let more = if more > 0 { format!("\n... and {more} lines more") } else { String::new() };
    format!("{}{more}", lines.join("\n"))
}
