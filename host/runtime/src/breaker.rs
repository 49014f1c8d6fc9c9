//! Stops asking policies that keep failing.
//!
//! A policy that runs into its time limit costs that time for every record, again and again. After failures of several records
//! in a row it is left alone for a while, then asked once; if that works all is well again, else the pause doubles. One record
//! that fails again and again is told of, but others go on: it is asked less and less by itself.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Mutex, MutexGuard, PoisonError},
};

use jiff::{SignedDuration, Timestamp};
use mcsdns_core::{decision::PolicyFailure, ids::ObjectKey};

/// The first time after which a record without an answer is to ask again, in seconds; it doubles each time.
const FIRST_RECHECK: u32 = 5;
/// The longest.
const LONGEST_RECHECK: u32 = 300;
/// A record that was not heard of for so long is gone, or waits for nothing: it would have asked twice.
const FORGET: SignedDuration = SignedDuration::from_secs(660);

/// When to stop and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BreakerLimits {
    /// Records that fail in a row after which policies are left alone, and failures of one record in a row after which they
    /// count as failing.
    pub failures: u32,
    /// The first pause; each that follows is twice as long.
    pub first_pause: SignedDuration,
    /// The longest pause.
    pub longest_pause: SignedDuration,
}

impl Default for BreakerLimits {
    fn default() -> Self {
        Self { failures: 5, first_pause: SignedDuration::from_secs(1), longest_pause: SignedDuration::from_secs(60) }
    }
}

/// Counts failures in a row.
#[derive(Debug)]
pub(crate) struct Breaker {
    limits: BreakerLimits,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Records that failed since one was answered, while there is no pause.
    in_a_row: BTreeSet<ObjectKey>,
    pause: Option<Pause>,
    /// Records whose last question has no answer.
    without: HashMap<ObjectKey, Without>,
    /// Those of them for which the policies keep failing.
    stuck: BTreeSet<ObjectKey>,
    /// What was told last: whether they fail.
    failing: bool,
    swept: Option<Timestamp>,
}

/// Left alone.
#[derive(Debug)]
struct Pause {
    until: Timestamp,
    /// How many there were, this one included.
    count: u32,
    /// Asked once; whoever else comes is sent away until the answer is there, or until then.
    trying: bool,
    last: PolicyFailure,
}

/// A record whose last question has no answer.
#[derive(Debug)]
struct Without {
    /// Questions in a row without an answer, whether they were put or not.
    questions: u32,
    /// Failures in a row.
    failures: u32,
    last: Option<PolicyFailure>,
    heard: Timestamp,
}

/// How an attempt ended.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Outcome<'a> {
    /// With an answer.
    Answered,
    /// The policies said no, so they are well.
    Refused,
    /// By somebody else's fault.
    Lost,
    /// By the policies' fault.
    Failed(&'a PolicyFailure),
}

/// What an answer changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// They keep failing.
    Failing(PolicyFailure),
    /// They do so no more.
    Well,
}

impl Breaker {
    pub(crate) fn new(limits: BreakerLimits) -> Self {
        Self { limits, state: Mutex::default() }
    }

    /// Whether to ask about a record; else the failure that is told instead.
    pub(crate) fn admit(&self, record: &ObjectKey, now: Timestamp) -> Result<(), PolicyFailure> {
        let mut state = self.lock();
        let longest = after(now, self.limits.longest_pause);
        let Some(pause) = &mut state.pause else { return Ok(()) };
        // A pause that ends later than any can begin now is from before the clock was set back.
        if pause.until > now && pause.until <= longest {
            let last = pause.last.clone();
            let without = state.miss(record, now);
            // Its own failure if it has one: words that change with the pauses of others would be writes.
            return Err(without.last.clone().unwrap_or(last));
        }
        // An attempt that never comes back must not be the last one.
        (pause.until, pause.trying) = (longest, true);
        Ok(())
    }

    /// An attempt that was admitted ended. `tell` is called in the order in which things happen.
    pub(crate) fn note(&self, record: &ObjectKey, outcome: Outcome<'_>, now: Timestamp, tell: impl FnOnce(Change)) {
        let mut state = self.lock();
        match outcome {
            Outcome::Answered => {
                state.without.remove(record);
                state.recover(record);
            }
            Outcome::Refused => {
                let without = state.miss(record, now);
                (without.failures, without.last) = (0, None);
                state.recover(record);
            }
            Outcome::Lost => {
                state.miss(record, now);
                if let Some(pause) = state.pause.as_mut().filter(|pause| pause.trying) {
                    (pause.until, pause.trying) = (now, false);
                }
            }
            Outcome::Failed(failure) => {
                let without = state.miss(record, now);
                without.failures = without.failures.saturating_add(1);
                without.last = Some(failure.clone());
                if without.failures >= self.limits.failures {
                    state.stuck.insert(record.clone());
                }
                self.fail(&mut state, record, failure, now);
            }
        }
        if state.swept.is_none_or(|swept| age(swept, now) >= FORGET) {
            state.sweep(now);
        }
        state.settle(tell);
    }

    fn fail(&self, state: &mut State, record: &ObjectKey, failure: &PolicyFailure, now: Timestamp) {
        match &mut state.pause {
            None => {
                state.in_a_row.insert(record.clone());
                if state.in_a_row.len() >= self.limits.failures as usize {
                    state.in_a_row.clear();
                    let until = after(now, self.limits.first_pause);
                    state.pause = Some(Pause { until, count: 1, trying: false, last: failure.clone() });
                }
            }
            Some(pause) if pause.trying => {
                let count = pause.count.saturating_add(1);
                let doubled = self.limits.first_pause.checked_mul(1 << pause.count.min(20));
                let length = doubled.unwrap_or(self.limits.longest_pause).min(self.limits.longest_pause);
                *pause = Pause { until: after(now, length), count, trying: false, last: failure.clone() };
            }
            // Asked before it was left alone.
            Some(_) => {}
        }
    }

    /// In how many seconds a record that has no answer, or one of somebody else, is to ask again.
    pub(crate) fn recheck(&self, record: &ObjectKey) -> u32 {
        let questions = self.lock().without.get(record).map_or(1, |without| without.questions);
        // As the Index does after failures: 5 s, 10 s, 20 s ... 5 min.
        (FIRST_RECHECK << questions.clamp(1, 7).saturating_sub(1)).min(LONGEST_RECHECK)
    }

    /// Forgets records that do not ask any more, such as those that were deleted: nobody else would end what they began.
    pub(crate) fn forget(&self, now: Timestamp, tell: impl FnOnce(Change)) {
        let mut state = self.lock();
        state.sweep(now);
        state.settle(tell);
    }

    /// Begins anew.
    pub(crate) fn reset(&self, tell: impl FnOnce(Change)) {
        let mut state = self.lock();
        *state = State { failing: state.failing, ..State::default() };
        state.settle(tell);
    }

    /// Why the policies count as failing, if they do.
    pub(crate) fn failing(&self) -> Option<PolicyFailure> {
        let state = self.lock();
        state.failing.then(|| state.why()).flatten()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Policies fail while they are left alone, or while they keep failing for any record.
    fn why(&self) -> Option<PolicyFailure> {
        let of_one = || self.stuck.first().and_then(|record| self.without.get(record)?.last.clone());
        self.pause.as_ref().map(|pause| pause.last.clone()).or_else(of_one)
    }

    fn settle(&mut self, tell: impl FnOnce(Change)) {
        let failing = self.pause.is_some() || !self.stuck.is_empty();
        if self.failing == failing {
            return;
        }
        self.failing = failing;
        tell(self.why().map_or(Change::Well, Change::Failing));
    }

    fn miss(&mut self, record: &ObjectKey, now: Timestamp) -> &mut Without {
        let nothing = Without { questions: 0, failures: 0, last: None, heard: now };
        let without = self.without.entry(record.clone()).or_insert(nothing);
        without.questions = without.questions.saturating_add(1);
        without.heard = now;
        without
    }

    /// The policies were well about a record.
    fn recover(&mut self, record: &ObjectKey) {
        self.stuck.remove(record);
        self.in_a_row.clear();
        self.pause = None;
    }

    fn sweep(&mut self, now: Timestamp) {
        self.swept = Some(now);
        for without in self.without.values_mut() {
            // The clock may have been set back.
            without.heard = without.heard.min(now);
        }
        self.without.retain(|_, without| age(without.heard, now) < FORGET);
        let without = &self.without;
        self.in_a_row.retain(|record| without.contains_key(record));
        self.stuck.retain(|record| without.contains_key(record));
        if self.without.is_empty() {
            // Whoever comes next is asked, and nobody waits for it.
            self.pause = None;
        }
    }
}

fn after(now: Timestamp, pause: SignedDuration) -> Timestamp {
    now.checked_add(pause).unwrap_or(now)
}

/// Negative after the clock was set back, which counts as long ago.
fn age(then: Timestamp, now: Timestamp) -> SignedDuration {
    if then > now { SignedDuration::MAX } else { now.duration_since(then) }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).unwrap()
    }

    fn record(i: u32) -> ObjectKey {
        ObjectKey::new("test", format!("web-{i}"))
    }

    fn failure() -> PolicyFailure {
        PolicyFailure { policy: "p".into(), reason: "Timeout", message: "naming: still running".to_owned() }
    }

    fn failing() -> Option<Change> {
        Some(Change::Failing(failure()))
    }

    fn note(breaker: &Breaker, i: u32, outcome: Outcome<'_>, now: Timestamp) -> Option<Change> {
        let change = RefCell::new(None);
        breaker.note(&record(i), outcome, now, |told| *change.borrow_mut() = Some(told));
        change.into_inner()
    }

    /// As many records fail, one after the other.
    fn fail(breaker: &Breaker, records: u32, now: Timestamp) -> Option<Change> {
        let mut change = None;
        for i in 0..records {
            breaker.admit(&record(i), now).unwrap();
            change = note(breaker, i, Outcome::Failed(&failure()), now);
        }
        change
    }

    fn forget(breaker: &Breaker, now: Timestamp) -> Option<Change> {
        let change = RefCell::new(None);
        breaker.forget(now, |told| *change.borrow_mut() = Some(told));
        change.into_inner()
    }

    #[test]
    fn one_success_begins_the_count_anew() {
        let breaker = Breaker::new(BreakerLimits { failures: 5, ..BreakerLimits::default() });
        assert_eq!(fail(&breaker, 4, at(0)), None);
        assert_eq!(note(&breaker, 9, Outcome::Answered, at(0)), None);
        assert_eq!(fail(&breaker, 4, at(0)), None);
        assert_eq!(note(&breaker, 9, Outcome::Refused, at(0)), None);
        assert_eq!(fail(&breaker, 5, at(0)), failing());
        assert_eq!(breaker.admit(&record(9), at(0)), Err(failure()));
    }

    #[test]
    fn pauses_double_up_to_the_longest() {
        let breaker = Breaker::new(BreakerLimits::default());
        fail(&breaker, 5, at(0));
        let mut now = 0;
        for pause in [1, 2, 4, 8, 16, 32, 60, 60, 60] {
            assert!(breaker.admit(&record(7), at(now + pause - 1)).is_err(), "{pause}");
            now += pause;
            assert!(breaker.admit(&record(7), at(now)).is_ok(), "{pause}");
            assert_eq!(note(&breaker, 7, Outcome::Failed(&failure()), at(now)), None);
        }
    }

    #[test]
    fn one_is_asked_and_the_others_wait_for_the_answer() {
        let breaker = Breaker::new(BreakerLimits::default());
        fail(&breaker, 5, at(0));
        assert!(breaker.admit(&record(7), at(1)).is_ok());
        assert!(breaker.admit(&record(8), at(1)).is_err());
        assert_eq!(note(&breaker, 7, Outcome::Answered, at(1)), Some(Change::Well));
        assert!(breaker.admit(&record(8), at(1)).is_ok() && breaker.admit(&record(9), at(1)).is_ok());
    }

    #[test]
    fn an_attempt_that_never_comes_back_is_not_the_last() {
        let breaker = Breaker::new(BreakerLimits::default());
        fail(&breaker, 5, at(0));
        assert!(breaker.admit(&record(7), at(1)).is_ok());
        assert!(breaker.admit(&record(7), at(60)).is_err());
        assert!(breaker.admit(&record(7), at(61)).is_ok());
        // What somebody else is to blame for proves nothing, and the next one may try at once.
        assert_eq!(note(&breaker, 7, Outcome::Lost, at(61)), None);
        assert!(breaker.admit(&record(8), at(61)).is_ok());
        assert!(breaker.admit(&record(9), at(61)).is_err());
    }

    #[test]
    fn answers_that_come_late_do_no_harm() {
        let breaker = Breaker::new(BreakerLimits::default());
        fail(&breaker, 5, at(0));
        assert_eq!(note(&breaker, 7, Outcome::Failed(&failure()), at(0)), None);
        assert!(breaker.admit(&record(7), at(1)).is_ok());
    }

    #[test]
    fn one_record_that_keeps_failing_is_told_of_and_holds_up_nobody() {
        let breaker = Breaker::new(BreakerLimits::default());
        for i in 0..4 {
            assert_eq!(fail(&breaker, 1, at(i)), None);
        }
        assert_eq!(fail(&breaker, 1, at(4)), failing());
        for i in 5..100 {
            assert_eq!(breaker.admit(&record(1), at(i)), Ok(()), "others are left alone, too");
            assert_eq!(fail(&breaker, 1, at(i)), None);
        }
        // That others are well does not make it so.
        assert_eq!(note(&breaker, 1, Outcome::Answered, at(100)), None);
        assert_eq!(breaker.failing(), Some(failure()));
        assert_eq!(note(&breaker, 0, Outcome::Answered, at(100)), Some(Change::Well));
        assert_eq!(breaker.failing(), None);
    }

    #[test]
    fn what_deleted_records_began_ends() {
        let breaker = Breaker::new(BreakerLimits::default());
        for i in 0..5 {
            fail(&breaker, 1, at(i));
        }
        assert_eq!(forget(&breaker, at(4 + 659)), None);
        assert_eq!(forget(&breaker, at(4 + 660)), Some(Change::Well));
        // The same for a pause after which nobody asks any more.
        assert_eq!(fail(&breaker, 5, at(1000)), failing());
        assert_eq!(forget(&breaker, at(1659)), None);
        assert!(breaker.admit(&record(3), at(1000)).is_err());
        assert_eq!(forget(&breaker, at(1660)), Some(Change::Well));
        assert!(breaker.admit(&record(3), at(1660)).is_ok());
        // Whoever still asks keeps it.
        assert_eq!(fail(&breaker, 5, at(2000)), failing());
        assert!(breaker.admit(&record(3), at(2600)).is_ok());
        assert!(breaker.admit(&record(4), at(2600)).is_err());
        assert_eq!(forget(&breaker, at(2700)), None);
    }

    #[test]
    fn records_without_an_answer_ask_less_and_less() {
        let breaker = Breaker::new(BreakerLimits::default());
        let mut seconds = Vec::new();
        for i in 0..9 {
            note(&breaker, 0, Outcome::Failed(&failure()), at(i));
            seconds.push(breaker.recheck(&record(0)));
        }
        assert_eq!(seconds, [5, 10, 20, 40, 80, 160, 300, 300, 300]);
        // Also when they are only sent away.
        fail(&breaker, 5, at(10));
        assert!(breaker.admit(&record(8), at(10)).is_err());
        assert!(breaker.admit(&record(8), at(10)).is_err());
        assert_eq!(breaker.recheck(&record(8)), 10);
        note(&breaker, 0, Outcome::Answered, at(11));
        note(&breaker, 0, Outcome::Lost, at(12));
        assert_eq!(breaker.recheck(&record(0)), 5);
    }

    #[test]
    fn a_clock_that_is_set_back_prolongs_no_pause() {
        let breaker = Breaker::new(BreakerLimits::default());
        fail(&breaker, 5, at(100_000));
        assert!(breaker.admit(&record(3), at(100_000)).is_err());
        assert!(breaker.admit(&record(3), at(0)).is_ok());
    }
}
