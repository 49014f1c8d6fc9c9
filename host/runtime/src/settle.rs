//! The loop once, synchronously and without a network: facts in, all decisions made, effects out.

use std::{collections::BTreeMap, sync::Arc};

use mcsdns_core::{effect::Effect, facts::Fact, index::Index};

use crate::{decider::Decider, resolve::HostTable, workers::decide};

/// Rounds of answers that may lead to new questions. Facts lead to decisions and decisions to a plan, so three are
/// enough; a policy that asks for more than this is asked again and again for ever.
const ROUNDS: usize = 64;

/// The Index does not come to rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the decisions do not come to rest after {ROUNDS} rounds; please report this")]
pub struct SettleError;

impl SettleError {
    /// Stable, CamelCase.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        "Unsettled"
    }
}

/// Tells `index` the facts and answers everything it asks until it asks no more. Host names come from `hosts`; one that
/// is not in it does not resolve. What is left for others to do comes back, in order.
///
/// # Errors
/// [`SettleError`] when it does not come to rest.
pub fn settle<D: Decider + ?Sized>(
    index: &mut Index,
    facts: impl IntoIterator<Item = Fact>,
    decider: &D,
    hosts: &HostTable,
) -> Result<Vec<Effect>, SettleError> {
    let mut facts: Vec<Fact> = facts.into_iter().collect();
    let mut left = Vec::new();
    for _ in 0..ROUNDS {
        if facts.is_empty() {
            return Ok(left);
        }
        let mut effects = Vec::new();
        index.apply_all(facts.drain(..), &mut effects);
        // Only the latest question of a record counts.
        let mut questions = BTreeMap::new();
        for effect in effects {
            match effect {
                Effect::Decide { record, hash, policies, domain, input } => {
                    questions.insert(record, (hash, policies, domain, input));
                }
                Effect::Resolve(name) => {
                    let answer = hosts.answer(&name);
                    facts.push(Fact::HostName(name, answer));
                }
                Effect::Forget(_) | Effect::WakeAt(_) => {}
                other @ (Effect::ApplyEndpoints { .. }
                | Effect::DeleteEndpoints { .. }
                | Effect::RecordStatus { .. }
                | Effect::DomainStatus { .. }
                | Effect::MemberStatus { .. }
                | Effect::Notice { .. }) => left.push(other),
            }
        }
        for (record, (hash, policies, domain, input)) in questions {
            let result = decide(decider, &domain, &policies, &input).map(Arc::new);
            facts.push(Fact::Decided { record, hash, result });
        }
    }
    Err(SettleError)
}
