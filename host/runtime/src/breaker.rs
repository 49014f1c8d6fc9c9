//! Stops asking policies that keep failing.
//!
//! A policy that runs into its time limit costs that time for every record, again and again. After some failures in a row it
//! is left alone for a while, then asked once; if that works all is well again, else the pause doubles.

use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::{SignedDuration, Timestamp};
use mcsdns_core::decision::PolicyFailure;

/// When to stop and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BreakerLimits {
    /// Failures in a row after which policies are left alone.
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

#[derive(Debug)]
enum State {
    /// Asked as usual.
    Closed { failures: u32 },
    /// Left alone until then.
    Open { until: Timestamp, pauses: u32, last: PolicyFailure },
    /// Asked once; whoever else comes is sent away until the answer is there, or until then.
    Trying { until: Timestamp, pauses: u32, last: PolicyFailure },
}

/// What an answer changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// Left alone from now on.
    Opened(PolicyFailure),
    /// Asked as usual again.
    Closed,
}

impl Breaker {
    pub(crate) const fn new(limits: BreakerLimits) -> Self {
        Self { limits, state: Mutex::new(State::Closed { failures: 0 }) }
    }

    /// Whether to ask; else the failure that was the last straw.
    pub(crate) fn admit(&self, now: Timestamp) -> Result<(), PolicyFailure> {
        let mut state = self.lock();
        match &*state {
            State::Closed { .. } => Ok(()),
            State::Open { until, last, .. } | State::Trying { until, last, .. } if *until > now => Err(last.clone()),
            State::Open { pauses, last, .. } | State::Trying { pauses, last, .. } => {
                // An attempt that never comes back must not be the last one.
                let until = after(now, self.limits.longest_pause);
                *state = State::Trying { until, pauses: *pauses, last: last.clone() };
                Ok(())
            }
        }
    }

    /// An attempt that was admitted ended. Failures that are nobody's fault count as neither.
    pub(crate) fn note(&self, outcome: Result<(), &PolicyFailure>, now: Timestamp) -> Option<Change> {
        let mut state = self.lock();
        match (outcome, &mut *state) {
            (Ok(()), State::Closed { failures }) => {
                *failures = 0;
                None
            }
            // Asked before it was left alone, and answered since.
            (Ok(()), State::Open { .. } | State::Trying { .. }) => {
                *state = State::Closed { failures: 0 };
                Some(Change::Closed)
            }
            (Err(failure), State::Closed { failures }) => {
                *failures += 1;
                if *failures < self.limits.failures {
                    return None;
                }
                let until = after(now, self.limits.first_pause);
                *state = State::Open { until, pauses: 1, last: failure.clone() };
                Some(Change::Opened(failure.clone()))
            }
            (Err(failure), State::Trying { pauses, .. }) => {
                let pauses = pauses.saturating_add(1);
                let doubled = self.limits.first_pause.checked_mul(1 << pauses.saturating_sub(1).min(20));
                let pause = doubled.unwrap_or(self.limits.longest_pause).min(self.limits.longest_pause);
                *state = State::Open { until: after(now, pause), pauses, last: failure.clone() };
                None
            }
            // Asked before it was left alone.
            (Err(_), State::Open { .. }) => None,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn after(now: Timestamp, pause: SignedDuration) -> Timestamp {
    now.checked_add(pause).unwrap_or(now)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).unwrap()
    }

    fn failure() -> PolicyFailure {
        PolicyFailure { policy: "p".into(), reason: "Timeout", message: "naming: still running".to_owned() }
    }

    fn fail(breaker: &Breaker, times: u32, now: Timestamp) -> Option<Change> {
        let mut change = None;
        for _ in 0..times {
            breaker.admit(now).unwrap();
            change = breaker.note(Err(&failure()), now);
        }
        change
    }

    #[test]
    fn one_success_begins_the_count_anew() {
        let breaker = Breaker::new(BreakerLimits::default());
        for _ in 0..10 {
            assert_eq!(fail(&breaker, 4, at(0)), None);
            assert_eq!(breaker.note(Ok(()), at(0)), None);
        }
        assert_eq!(fail(&breaker, 5, at(0)), Some(Change::Opened(failure())));
        assert_eq!(breaker.admit(at(0)), Err(failure()));
    }

    #[test]
    fn pauses_double_up_to_the_longest() {
        let breaker = Breaker::new(BreakerLimits::default());
        fail(&breaker, 5, at(0));
        let mut now = 0;
        for pause in [1, 2, 4, 8, 16, 32, 60, 60, 60] {
            assert!(breaker.admit(at(now + pause - 1)).is_err(), "{pause}");
            now += pause;
            assert!(breaker.admit(at(now)).is_ok(), "{pause}");
            assert_eq!(breaker.note(Err(&failure()), at(now)), None);
        }
    }

    #[test]
    fn one_is_asked_and_the_others_wait_for_the_answer() {
        let breaker = Breaker::new(BreakerLimits::default());
        fail(&breaker, 5, at(0));
        assert!(breaker.admit(at(1)).is_ok());
        assert!(breaker.admit(at(1)).is_err());
        assert_eq!(breaker.note(Ok(()), at(1)), Some(Change::Closed));
        assert!(breaker.admit(at(1)).is_ok() && breaker.admit(at(1)).is_ok());
    }

    #[test]
    fn an_attempt_that_never_comes_back_is_not_the_last() {
        let breaker = Breaker::new(BreakerLimits::default());
        fail(&breaker, 5, at(0));
        assert!(breaker.admit(at(1)).is_ok());
        assert!(breaker.admit(at(60)).is_err());
        assert!(breaker.admit(at(61)).is_ok());
    }

    #[test]
    fn answers_that_come_late_do_no_harm() {
        let breaker = Breaker::new(BreakerLimits::default());
        fail(&breaker, 5, at(0));
        assert_eq!(breaker.note(Err(&failure()), at(0)), None);
        assert!(breaker.admit(at(1)).is_ok());
    }
}
