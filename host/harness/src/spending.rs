//! What decisions cost, and what they may cost.

use mcsdns_core::decision::{Answer, DecisionOutput};
use mcsdns_policy::{Budget, Decided};
use serde::{Deserialize, Serialize};

/// The most that any decision of a group cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Spending {
    /// Decisions in the group.
    pub decisions: u64,
    /// Fuel of the most expensive one.
    pub fuel: u64,
    /// Linear memory of the largest one, in bytes.
    pub memory_bytes: u64,
    /// Time of the longest one, in microseconds; with a fresh instance, as always.
    pub micros: u64,
    /// Size of the longest answer, in bytes, as the interface lays it out.
    pub answer_bytes: u64,
}

impl Spending {
    /// Adds one decision.
    pub fn add(&mut self, decided: &Decided) {
        self.join(&Self {
            decisions: 1,
            fuel: decided.cost.fuel,
            memory_bytes: decided.cost.memory_bytes,
            micros: u64::from(decided.cost.total_micros),
            answer_bytes: answer_bytes(&decided.output),
        });
    }

    /// Adds another group.
    pub fn join(&mut self, other: &Self) {
        self.decisions += other.decisions;
        self.fuel = self.fuel.max(other.fuel);
        self.memory_bytes = self.memory_bytes.max(other.memory_bytes);
        self.micros = self.micros.max(other.micros);
        self.answer_bytes = self.answer_bytes.max(other.answer_bytes);
    }
}

/// What an author says that a decision may cost at most, below the budget. Time is not among it: it depends on the
/// machine, fuel does not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Ceiling {
    /// Fuel of any decision.
    pub max_fuel: Option<u64>,
    /// Linear memory of any decision, in bytes.
    pub max_memory_bytes: Option<u64>,
    /// Size of any answer, in bytes.
    pub max_answer_bytes: Option<u64>,
}

impl Ceiling {
    /// The stricter one in each respect.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        let stricter = |a: Option<u64>, b: Option<u64>| a.into_iter().chain(b).min();
        Self {
            max_fuel: stricter(self.max_fuel, other.max_fuel),
            max_memory_bytes: stricter(self.max_memory_bytes, other.max_memory_bytes),
            max_answer_bytes: stricter(self.max_answer_bytes, other.max_answer_bytes),
        }
    }

    /// What is above it, one sentence each.
    #[must_use]
    pub fn exceeded(&self, spending: &Spending) -> Vec<String> {
        [
            ("fuel", "--max-fuel", spending.fuel, self.max_fuel),
            ("bytes of memory", "--max-memory", spending.memory_bytes, self.max_memory_bytes),
            ("bytes of answer", "--max-answer", spending.answer_bytes, self.max_answer_bytes),
        ]
        .into_iter()
        .filter_map(|(what, flag, spent, most)| {
            let most = most.filter(|most| spent > *most)?;
            Some(format!("a decision took {spent} {what}, the ceiling ({flag}) is {most}"))
        })
        .collect()
    }
}

/// Share of the budget that the most expensive decision took, in percent: fuel, memory, answer.
#[must_use]
pub fn shares(spending: &Spending, budget: &Budget) -> [f64; 3] {
    let share = |spent: u64, limit: u64| if limit == 0 { 0.0 } else { spent as f64 * 100.0 / limit as f64 };
    [
        share(spending.fuel, budget.fuel),
        share(spending.memory_bytes, u64::from(budget.memory_bytes)),
        share(spending.answer_bytes, u64::from(budget.output_bytes)),
    ]
}

/// Size of an answer as the canonical ABI lays it out in the memory of the policy: what it hands to the host.
#[must_use]
pub fn answer_bytes(output: &DecisionOutput) -> u64 {
    let names = output.names.iter().map(|name| 28 + name.fqdn.len());
    let decisions = output.decisions.iter().map(|decision| {
        let answer = match &decision.answer {
            Answer::Clusters(clusters) => 4 * clusters.len(),
            Answer::Targets(targets) => 8 * targets.len(),
            Answer::Sets(sets) => sets
                .iter()
                .map(|set| {
                    let properties = set.provider_specific.iter().map(|(key, value)| 16 + key.len() + value.len());
                    24 + set.set_identifier.len() + 8 * set.targets.len() + properties.sum::<usize>()
                })
                .sum(),
            Answer::Otherwise | Answer::Keep => 0,
        };
        28 + decision.because.len() + answer
    });
    let bytes = names.chain(decisions).sum::<usize>() + 4 * output.ttls.len();
    u64::try_from(bytes).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_expensive_counts() {
        let one = Spending { decisions: 1, fuel: 10, memory_bytes: 5, micros: 3, answer_bytes: 1 };
        let mut all = one;
        all.join(&Spending { decisions: 2, fuel: 7, memory_bytes: 9, micros: 1, answer_bytes: 4 });
        assert_eq!(all, Spending { decisions: 3, fuel: 10, memory_bytes: 9, micros: 3, answer_bytes: 4 });
    }

    #[test]
    fn a_ceiling_names_what_is_above_it() {
        let ceiling = Ceiling { max_fuel: Some(9), max_memory_bytes: Some(100), max_answer_bytes: None };
        let spending = Spending { fuel: 10, memory_bytes: 100, answer_bytes: 1 << 30, ..Spending::default() };
        assert_eq!(ceiling.exceeded(&spending), ["a decision took 10 fuel, the ceiling (--max-fuel) is 9"]);
        let both = ceiling.and(Ceiling { max_fuel: Some(20), max_answer_bytes: Some(1), ..Ceiling::default() });
        assert_eq!((both.max_fuel, both.max_answer_bytes), (Some(9), Some(1)));
    }
}
