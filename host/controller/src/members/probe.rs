//! Whether an API server answers.
//!
//! A state counts only when it has lasted: so many failures in a row over so long a time, and then one success is enough
//! to come back. Any answer of an API server means that it is there, also one that forbids; one that does not accept the
//! credentials (401) leaves us as blind as none.

use std::time::Duration;

use jiff::Timestamp;
use kube::Client;
use mcsdns_core::facts::Reach;
use tokio::time::{Instant, timeout};

use crate::{
    options::ProbeOptions,
    trouble::{Kind, Trouble},
};

/// What came of one probe.
pub(crate) type Outcome = Result<(), Trouble>;

/// Asks once.
pub(crate) async fn ask(client: &Client, limit: Duration) -> Outcome {
    let Ok(request) = http::Request::get("/readyz").body(Vec::new()) else {
        return Err(Trouble::new(Kind::Garbage, "the request could not be built"));
    };
    match timeout(limit, client.request_text(request)).await {
        Err(_) => Err(Trouble::timeout(limit)),
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => judge(Trouble::from(&error)),
    }
}

fn judge(trouble: Trouble) -> Outcome {
    match trouble.kind {
        // It is there, and says what it thinks of us.
        Kind::Forbidden | Kind::NotFound | Kind::Throttled | Kind::Invalid | Kind::Conflict | Kind::Gone => Ok(()),
        Kind::Unauthorized | Kind::Server | Kind::Timeout | Kind::Unreachable | Kind::Garbage => Err(trouble),
    }
}

/// The version of the server, when it tells.
pub(crate) async fn version(client: &Client, limit: Duration) -> Result<String, Trouble> {
    match timeout(limit, client.apiserver_version()).await {
        Err(_) => Err(Trouble::timeout(limit)),
        Ok(Ok(info)) => Ok(crate::trouble::shorten(&info.git_version)),
        Ok(Err(error)) => Err(Trouble::from(&error)),
    }
}

/// What the probes so far come to.
#[derive(Debug)]
pub(crate) struct Standing {
    options: ProbeOptions,
    state: State,
    failures: u32,
    first_failure: Option<(Instant, Timestamp)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Unknown,
    Reachable,
    Unreachable(Kind),
}

/// What a probe changed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum News {
    /// The first success, or the first after it counted as unreachable.
    Back {
        /// Whether it was missed before: connections from then are not to be trusted.
        missed: bool,
    },
    /// It counts as unreachable from now on, or for another reason than before.
    Away(Reach),
}

impl Standing {
    pub(crate) fn new(options: ProbeOptions) -> Self {
        Self { options, state: State::Unknown, failures: 0, first_failure: None }
    }

    pub(crate) fn state(&self) -> State {
        self.state
    }

    /// Takes the outcome of one probe of `server` (for messages).
    pub(crate) fn note(&mut self, outcome: &Outcome, server: &str, now: (Instant, Timestamp)) -> Option<News> {
        match outcome {
            Ok(()) => {
                let before = std::mem::replace(&mut self.state, State::Reachable);
                let missed = std::mem::take(&mut self.failures) > 0;
                self.first_failure = None;
                match before {
                    State::Reachable => None,
                    State::Unknown | State::Unreachable(_) => Some(News::Back { missed }),
                }
            }
            Err(trouble) => {
                self.failures = self.failures.saturating_add(1);
                let (first, since) = *self.first_failure.get_or_insert(now);
                let lasts = now.0.saturating_duration_since(first);
                let counts = self.failures >= self.options.failures && lasts >= self.options.over;
                if !counts || self.state == State::Unreachable(trouble.kind) {
                    return None;
                }
                self.state = State::Unreachable(trouble.kind);
                Some(News::Away(away(trouble, server, since)))
            }
        }
    }
}

fn away(trouble: &Trouble, server: &str, since: Timestamp) -> Reach {
    let (reason, message) = match trouble.kind {
        Kind::Unauthorized => (
            "Unauthorized",
            format!(
                "{server} does not accept the credentials ({}); put a valid kubeconfig into the Secret",
                trouble.said
            ),
        ),
        Kind::Server => ("Unreachable", format!("{server} is not ready: {}", trouble.said)),
        Kind::Garbage => ("Unreachable", format!("{server} is not a Kubernetes API server: {}", trouble.said)),
        _ => ("Unreachable", format!("{server} does not answer: {}", trouble.said)),
    };
    Reach::Unreachable { reason, message, since }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fail(kind: Kind) -> Outcome {
        Err(Trouble::new(kind, "no"))
    }

    fn at(start: Instant, second: u64) -> (Instant, Timestamp) {
        let second_i = i64::try_from(second).unwrap();
        (start + Duration::from_secs(second), Timestamp::from_second(1_000_000 + second_i).unwrap())
    }

    /// Notes outcomes at seconds and collects what they changed.
    fn play(outcomes: &[(u64, Outcome)]) -> Vec<(u64, News)> {
        let start = Instant::now();
        let mut standing = Standing::new(ProbeOptions::default());
        let mut news = Vec::new();
        for (second, outcome) in outcomes {
            news.extend(standing.note(outcome, "https://c1", at(start, *second)).map(|new| (*second, new)));
        }
        news
    }

    fn since(news: &News) -> Option<i64> {
        match news {
            News::Away(Reach::Unreachable { since, .. }) => Some(since.as_second() - 1_000_000),
            _ => None,
        }
    }

    #[test]
    fn one_success_is_enough() {
        assert_eq!(play(&[(0, Ok(())), (5, Ok(()))]), [(0, News::Back { missed: false })]);
    }

    #[test]
    fn three_failures_over_ten_seconds_count() {
        let away = fail(Kind::Timeout);
        let news = play(&[(0, Ok(())), (5, away.clone()), (10, away.clone()), (15, away.clone()), (20, away)]);
        assert_eq!(news.len(), 2, "{news:?}");
        assert_eq!(news[1].0, 15);
        assert_eq!(since(&news[1].1), Some(5), "away since the first failure");
    }

    #[test]
    fn three_quick_failures_do_not_count() {
        let away = fail(Kind::Unreachable);
        let news = play(&[(0, away.clone()), (1, away.clone()), (2, away.clone()), (9, away.clone())]);
        assert_eq!(news, []);
        let news = play(&[(0, away.clone()), (1, away.clone()), (2, away.clone()), (10, away)]);
        assert_eq!(news.len(), 1);
    }

    #[test]
    fn two_slow_failures_do_not_count() {
        let away = fail(Kind::Timeout);
        assert_eq!(play(&[(0, away.clone()), (60, away)]), []);
    }

    #[test]
    fn a_success_starts_the_count_again() {
        let away = fail(Kind::Timeout);
        let news = play(&[(0, away.clone()), (5, away.clone()), (9, Ok(())), (10, away.clone()), (15, away)]);
        assert_eq!(news, [(9, News::Back { missed: true })]);
    }

    #[test]
    fn a_short_absence_is_no_news() {
        let news = play(&[(0, Ok(())), (5, fail(Kind::Timeout)), (6, Ok(())), (7, fail(Kind::Timeout)), (18, Ok(()))]);
        assert_eq!(news, [(0, News::Back { missed: false })]);
    }

    #[test]
    fn another_reason_is_news() {
        let (down, denied) = (fail(Kind::Unreachable), fail(Kind::Unauthorized));
        let news = play(&[(0, down.clone()), (5, down.clone()), (10, down), (15, denied.clone()), (20, denied)]);
        let reasons: Vec<_> = news
            .iter()
            .map(|(second, news)| match news {
                News::Away(Reach::Unreachable { reason, message, .. }) => {
                    (*second, *reason, message.contains("Secret"))
                }
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(reasons, [(10, "Unreachable", false), (15, "Unauthorized", true)]);
    }

    #[test]
    fn whoever_answers_is_there() {
        for kind in [Kind::Forbidden, Kind::NotFound, Kind::Throttled] {
            assert_eq!(judge(Trouble::new(kind, "")), Ok(()), "{kind:?}");
        }
        for kind in [Kind::Unauthorized, Kind::Server, Kind::Garbage] {
            assert!(judge(Trouble::new(kind, "")).is_err(), "{kind:?}");
        }
    }
}
