//! What the loop tells whoever counts: raw values, so that this crate knows no metrics library.

use std::time::Duration;

use mcsdns_core::{
    decision::{PolicyFailure, PolicyRef},
    effect::Effect,
};

/// Hears of everything that is worth a counter or a histogram. Every method does nothing unless overridden, is called
/// on the threads that do the work, and must return at once.
pub trait Observer: Send + Sync + 'static {
    /// A decision was made (or not), `took` after a worker began it.
    fn decided(&self, policies: &PolicyRef, took: Duration, failure: Option<&PolicyFailure>) {
        let _ = (policies, took, failure);
    }
    /// A decision waited this long for a worker.
    fn waited(&self, wait: Duration) {
        let _ = wait;
    }
    /// A batch of facts was applied to the Index, which was locked for `took`.
    fn applied(&self, facts: usize, effects: usize, took: Duration) {
        let _ = (facts, effects, took);
    }
    /// The Index wants this done.
    fn effect(&self, effect: &Effect) {
        let _ = effect;
    }
    /// A host name was looked up; `answered` is false when it failed or was empty.
    fn resolved(&self, took: Duration, answered: bool) {
        let _ = (took, answered);
    }
}

impl Observer for () {}
