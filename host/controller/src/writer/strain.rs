//! Whether a trouble is everybody's, and the pause of all that follows from it. Pure: time comes in from outside.
//!
//! An API server that throttles or went away refuses whatever it is sent, and should be left alone for a moment. But a webhook
//! may ask for patience for the objects of one namespace, and no connection survives a request that is too large: those
//! must hold up nobody else. What tells them apart is how many different objects fail without an answer in between.

use std::collections::BTreeSet;

use tokio::time::Instant;

/// So many different objects in a row make it everybody's trouble.
const SEVERAL: usize = 3;

#[derive(Debug)]
pub(crate) struct Strain<K> {
    /// Those that failed since the last answer.
    failed: BTreeSet<K>,
    /// Nobody writes before then.
    pause: Option<Instant>,
    /// In this pause one object that has not failed itself may be tried all the same: several may share a trouble of
    /// their own.
    trial: bool,
}

impl<K: Ord + Clone> Strain<K> {
    pub(crate) const fn new() -> Self {
        Self { failed: BTreeSet::new(), pause: None, trial: false }
    }

    /// An object failed for a reason that may be everybody's. When several have, all wait until then.
    pub(crate) fn failed(&mut self, key: &K, until: Instant) {
        if self.failed.len() < SEVERAL {
            self.failed.insert(key.clone());
        }
        if self.failed.len() >= SEVERAL {
            self.trial |= self.pause.is_none();
            self.pause = Some(self.pause.map_or(until, |pause| pause.max(until)));
        }
    }

    /// The server answered: whoever still fails does so alone. Whether a pause ends with this.
    pub(crate) fn answered(&mut self) -> bool {
        self.failed.clear();
        self.pause.take().is_some()
    }

    /// The end of the pause, if there is one.
    pub(crate) fn pause(&mut self, now: Instant) -> Option<Instant> {
        self.pause = self.pause.filter(|until| *until > now);
        self.pause
    }

    /// Whether an object may be tried in this pause.
    pub(crate) const fn may_try(&self) -> bool {
        self.trial
    }

    /// One is.
    pub(crate) const fn tries(&mut self) {
        self.trial = false;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn one_object_alone_holds_up_nobody_however_often_it_fails() {
        let (mut strain, now) = (Strain::new(), Instant::now());
        let later = now + Duration::from_secs(1);
        (0..100).for_each(|_| strain.failed(&1, later));
        strain.failed(&2, later);
        assert_eq!(strain.pause(now), None);
        strain.failed(&3, later);
        assert_eq!(strain.pause(now), Some(later));
        assert_eq!(strain.pause(later), None, "it ends");
        strain.failed(&1, later + Duration::from_secs(1));
        assert!(strain.pause(later).is_some(), "nobody has had an answer meanwhile");
    }

    #[test]
    fn an_answer_ends_it() {
        let (mut strain, now) = (Strain::new(), Instant::now());
        let later = now + Duration::from_secs(1);
        (1..=3).for_each(|key| strain.failed(&key, later));
        assert!(strain.may_try());
        strain.tries();
        strain.failed(&4, later);
        assert!(!strain.may_try(), "one for each pause");
        assert!(strain.answered() && !strain.answered());
        assert_eq!(strain.pause(now), None);
        (1..=2).for_each(|key| strain.failed(&key, later));
        assert_eq!(strain.pause(now), None, "counted from the start");
    }
}
