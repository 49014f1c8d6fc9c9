//! Growing pauses between attempts.

use std::time::Duration;

use tokio::time::Instant;

/// Pauses that double from `first` to `longest`, each with jitter so that many that failed together do not come back
/// together.
///
/// It starts again from `first` when the last failure is long ago: a success in between says little, because a list that
/// works followed by a watch that does not would otherwise be repeated for ever at the shortest pause.
#[derive(Clone, Debug)]
pub(crate) struct Backoff {
    first: Duration,
    longest: Duration,
    failures: u32,
    last: Option<Instant>,
}

impl Backoff {
    pub(crate) fn new(first: Duration, longest: Duration) -> Self {
        Self { first, longest, failures: 0, last: None }
    }

    /// The pause after a failure that happens now.
    pub(crate) fn failed(&mut self) -> Duration {
        self.failed_at(Instant::now())
    }

    fn failed_at(&mut self, now: Instant) -> Duration {
        let calm = self.longest * 2;
        if self.last.is_some_and(|last| now.duration_since(last) > calm) {
            self.failures = 0;
        }
        self.last = Some(now);
        self.failures = self.failures.saturating_add(1);
        pause(self.first, self.longest, self.failures)
    }

    /// The thing that failed has been replaced by another.
    pub(crate) fn reset(&mut self) {
        self.failures = 0;
        self.last = None;
    }
}

/// The pause after so many failures in a row: half of it certain, half of it chance.
pub(crate) fn pause(first: Duration, longest: Duration, failures: u32) -> Duration {
    let doublings = failures.saturating_sub(1).min(20);
    let full = first.saturating_mul(1 << doublings).min(longest);
    full.mul_f64(0.5 + fastrand::f64() / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest() {
        let (first, longest) = (Duration::from_millis(100), Duration::from_secs(1));
        for (failures, full) in [(1, 100), (2, 200), (3, 400), (4, 800), (5, 1000), (4_000_000, 1000)] {
            let got = pause(first, longest, failures);
            let full = Duration::from_millis(full);
            assert!(got >= full / 2 && got <= full, "{failures}: {got:?}");
        }
    }

    #[test]
    fn it_starts_again_after_a_calm_time() {
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(1));
        let now = Instant::now();
        for _ in 0..8 {
            backoff.failed_at(now);
        }
        assert!(backoff.failed_at(now) >= Duration::from_millis(500));
        assert!(backoff.failed_at(now + Duration::from_secs(3)) <= Duration::from_millis(100));
    }
}
