//! What a TTL policy is asked, and what it answers.

use crate::Place;

/// What came out of the selection for a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AnswerKind {
    /// Addresses.
    Targets,
    /// Several sets of addresses.
    Sets,
    /// A CNAME.
    Alias,
    /// What was published stays.
    Kept,
    /// Nothing.
    Nothing,
}

/// A name as far as its TTL can depend on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Outcome {
    /// The level it stands for.
    pub place: Place,
    /// What stands behind it.
    pub kind: AnswerKind,
    /// How many addresses.
    pub targets: u32,
    /// Clusters of the place that serve.
    pub serving: u32,
    /// Clusters of the place that do not serve, those without the Service included.
    pub not_serving: u32,
    /// Clusters of the place that cannot be reached.
    pub unreachable: u32,
    /// Seconds since any cluster of the place changed its state; needs [`Needs::state_age`](crate::Needs::state_age).
    pub stable_for_seconds: Option<u32>,
}

impl Outcome {
    /// A name of a place without clusters that stands for nothing; set what matters.
    #[must_use]
    pub const fn new(place: Place, kind: AnswerKind) -> Self {
        Self { place, kind, targets: 0, serving: 0, not_serving: 0, unreachable: 0, stable_for_seconds: None }
    }
}

/// The TTLs of a record.
///
/// ```
/// use mcsdns_policy_sdk::{AnswerKind, Outcome, Place, Ttls};
///
/// let outcomes = [Outcome::new(Place::Everywhere, AnswerKind::Targets), Outcome::new(Place::Region(0), AnswerKind::Alias)];
/// let ttls = Ttls::each(&outcomes, |name| if name.kind == AnswerKind::Alias { 30 } else { 300 }).recheck_after(60);
/// assert_eq!(ttls.seconds, [300, 30]);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Ttls {
    /// One per name, in their order. The host brings them within the bounds of the Domain.
    pub seconds: Vec<u32>,
    /// Ask again after so many seconds even if nothing has changed.
    pub recheck_after_seconds: Option<u32>,
}

impl Ttls {
    /// One for each name.
    #[must_use]
    pub fn each(outcomes: &[Outcome], ttl: impl FnMut(&Outcome) -> u32) -> Self {
        Self { seconds: outcomes.iter().map(ttl).collect(), recheck_after_seconds: None }
    }

    /// Asks again after so many seconds even if nothing has changed.
    #[must_use]
    pub const fn recheck_after(mut self, seconds: u32) -> Self {
        self.recheck_after_seconds = Some(seconds);
        self
    }
}
