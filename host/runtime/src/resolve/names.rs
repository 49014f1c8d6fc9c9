//! One task per needed host name.

use std::{
    collections::HashMap,
    hash::{BuildHasher, RandomState},
    net::IpAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use mcsdns_core::facts::{Fact, HostAnswer};
use tokio::{sync::Semaphore, task::AbortHandle};

use super::{Resolve, ResolveError, Resolved};
use crate::{observe::Observer, run::FactSender};

/// How often names are looked up, and how many at a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResolveLimits {
    /// An answer is used at least this long, however short its TTL.
    pub floor: Duration,
    /// An answer is used at most this long, however long its TTL.
    pub cap: Duration,
    /// First wait after a failure; doubled with each further one.
    pub retry_from: Duration,
    /// Longest wait after failures.
    pub retry_to: Duration,
    /// A lookup that takes longer has failed.
    pub timeout: Duration,
    /// Lookups at the same time.
    pub at_once: usize,
}

impl Default for ResolveLimits {
    fn default() -> Self {
        Self {
            floor: Duration::from_secs(5),
            cap: Duration::from_secs(300),
            retry_from: Duration::from_secs(1),
            retry_to: Duration::from_secs(60),
            timeout: Duration::from_secs(10),
            at_once: 64,
        }
    }
}

/// So many lookups in a row may miss one address family before the other alone is taken for the whole answer. Some name
/// servers never answer AAAA; others fail now and then, and then half an answer must not replace a whole one.
const HALF_ANSWERS: u32 = 3;

/// The names that are being resolved.
pub(crate) struct HostNames {
    shared: Arc<Shared>,
    tasks: HashMap<Arc<str>, AbortHandle>,
}

struct Shared {
    resolver: Arc<dyn Resolve>,
    limits: ResolveLimits,
    observer: Arc<dyn Observer>,
    permits: Semaphore,
    facts: FactSender,
}

impl HostNames {
    pub(crate) fn new(
        resolver: Arc<dyn Resolve>,
        limits: ResolveLimits,
        observer: Arc<dyn Observer>,
        facts: FactSender,
    ) -> Self {
        let permits = Semaphore::new(limits.at_once.max(1));
        Self { shared: Arc::new(Shared { resolver, limits, observer, permits, facts }), tasks: HashMap::new() }
    }

    /// Begins to resolve a name, unless that is being done already.
    pub(crate) fn resolve(&mut self, name: Arc<str>) {
        let shared = Arc::clone(&self.shared);
        self.tasks
            .entry(name)
            .or_insert_with_key(|name| tokio::spawn(keep_resolving(shared, Arc::clone(name))).abort_handle());
    }

    /// Stops resolving a name.
    pub(crate) fn forget(&mut self, name: &str) {
        if let Some(task) = self.tasks.remove(name) {
            task.abort();
        }
    }

    /// Stops everything.
    pub(crate) fn stop(mut self) {
        for (_, task) in self.tasks.drain() {
            task.abort();
        }
    }
}

async fn keep_resolving(shared: Arc<Shared>, name: Arc<str>) {
    let mut memory = Memory::default();
    loop {
        let answer = {
            // The semaphore is never closed; should it be, going on without a permit is harmless.
            let _permit = shared.permits.acquire().await;
            let begun = Instant::now();
            let timeout = shared.limits.timeout;
            let answer = tokio::time::timeout(timeout, shared.resolver.lookup(&name))
                .await
                .unwrap_or_else(|_| Resolved::failed(ResolveError::Timeout(timeout)));
            shared.observer.resolved(begun.elapsed(), answer.v4.is_ok() && answer.v6.is_ok());
            answer
        };
        let (say, wait) = memory.learn(answer, &shared.limits);
        if let Some(answer) = say {
            if let HostAnswer::Failed(message) = &answer {
                tracing::warn!(name = &*name, "cannot resolve the host name of a load balancer: {message}");
            }
            if shared.facts.send(vec![Fact::HostName(Arc::clone(&name), answer)]).await.is_err() {
                return;
            }
        }
        tokio::time::sleep(wait).await;
    }
}

/// What is known of one name.
#[derive(Default)]
struct Memory {
    said: Option<HostAnswer>,
    failures: u32,
    halves: u32,
}

impl Memory {
    /// What to tell about `answer`, if anything new, and when to ask again.
    fn learn(&mut self, answer: Resolved, limits: &ResolveLimits) -> (Option<HostAnswer>, Duration) {
        let ttl = answer.ttl;
        let half = answer.v4.is_ok() != answer.v6.is_ok();
        self.halves = if half { self.halves.saturating_add(1) } else { 0 };
        let verdict = match (answer.v4, answer.v6) {
            (Ok(v4), Ok(v6)) => Ok([v4, v6].concat()),
            (Ok(some), Err(_)) | (Err(_), Ok(some)) if !some.is_empty() && self.halves > HALF_ANSWERS => Ok(some),
            (Ok(_), Err(error)) => Err(format!("AAAA: {error}")),
            (Err(error), Ok(_)) => Err(format!("A: {error}")),
            (Err(v4), Err(v6)) if v4 == v6 => Err(v4.to_string()),
            (Err(v4), Err(v6)) => Err(format!("A: {v4}; AAAA: {v6}")),
        };
        let verdict = verdict.and_then(|addresses| sorted(addresses).ok_or_else(|| "it has no address".to_owned()));
        let wait = if verdict.is_ok() {
            self.failures = 0;
            ttl.clamp(limits.floor, limits.cap.max(limits.floor))
        } else {
            self.failures = self.failures.saturating_add(1);
            backoff(self.failures, limits)
        };
        let answer = match verdict {
            Ok(addresses) => HostAnswer::Addresses(addresses),
            Err(message) => HostAnswer::Failed(message),
        };
        let new = self.said.as_ref() != Some(&answer);
        if new {
            self.said = Some(answer.clone());
        }
        (new.then_some(answer), wait)
    }
}

fn sorted(mut addresses: Vec<IpAddr>) -> Option<Arc<[IpAddr]>> {
    addresses.sort_unstable();
    addresses.dedup();
    (!addresses.is_empty()).then(|| addresses.into())
}

/// 1, 2, 4 ... seconds up to the limit, less up to a quarter so that names that failed together are not asked together.
fn backoff(failures: u32, limits: &ResolveLimits) -> Duration {
    let doubled = limits.retry_from.saturating_mul(1 << failures.saturating_sub(1).min(16));
    let wait = doubled.min(limits.retry_to);
    let quarter = RandomState::new().hash_one(failures) % 256;
    let jitter = wait.as_secs_f64() * (quarter as f64) / 1024.0;
    wait.saturating_sub(Duration::from_secs_f64(jitter))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn some(addresses: &[&str]) -> Resolved {
        Resolved::addresses(addresses.iter().map(|a| ip(a)), Duration::from_secs(60))
    }

    fn addresses(addresses: &[&str]) -> Option<HostAnswer> {
        Some(HostAnswer::Addresses(addresses.iter().map(|a| ip(a)).collect()))
    }

    #[test]
    fn says_only_what_is_new() {
        let limits = ResolveLimits::default();
        let mut memory = Memory::default();
        let (said, wait) = memory.learn(some(&["10.0.0.10", "10.0.0.2", "::1"]), &limits);
        assert_eq!(said, addresses(&["10.0.0.2", "10.0.0.10", "::1"]));
        assert_eq!(wait, Duration::from_secs(60));
        assert_eq!(memory.learn(some(&["::1", "10.0.0.2", "10.0.0.10"]), &limits).0, None);
        let (said, _) = memory.learn(Resolved::failed(ResolveError::NoSuchName), &limits);
        assert_eq!(said, Some(HostAnswer::Failed("there is no such name".into())));
        assert_eq!(memory.learn(Resolved::failed(ResolveError::NoSuchName), &limits).0, None);
        assert_eq!(memory.learn(some(&["::1"]), &limits).0, addresses(&["::1"]));
    }

    #[test]
    fn an_empty_answer_is_a_failure() {
        let (said, _) = Memory::default().learn(some(&[]), &ResolveLimits::default());
        assert_eq!(said, Some(HostAnswer::Failed("it has no address".into())));
    }

    #[test]
    fn half_an_answer_counts_only_when_the_other_half_never_comes() {
        let limits = ResolveLimits::default();
        let half = || Resolved { v6: Err(ResolveError::Server("SERVFAIL".into())), ..some(&["10.0.0.1"]) };
        let mut memory = Memory::default();
        assert_eq!(memory.learn(half(), &limits).0, Some(HostAnswer::Failed("AAAA: SERVFAIL".into())));
        for _ in 1..HALF_ANSWERS {
            assert_eq!(memory.learn(half(), &limits).0, None);
        }
        assert_eq!(memory.learn(half(), &limits).0, addresses(&["10.0.0.1"]));
    }

    #[test]
    fn waits_within_bounds() {
        let limits = ResolveLimits::default();
        let mut answer = some(&["::1"]);
        answer.ttl = Duration::ZERO;
        assert_eq!(Memory::default().learn(answer.clone(), &limits).1, limits.floor);
        answer.ttl = Duration::MAX;
        assert_eq!(Memory::default().learn(answer, &limits).1, limits.cap);
        for failures in 1..100 {
            let wait = backoff(failures, &limits);
            assert!(wait <= limits.retry_to && wait >= limits.retry_from * 3 / 4, "{failures}: {wait:?}");
        }
        assert!(backoff(99, &limits) >= limits.retry_to * 3 / 4);
    }
}
