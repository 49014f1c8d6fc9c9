//! Who of several replicas writes: one Lease, held by the leader and renewed while it lives.
//!
//! What must never happen is that two write at a time. No clock of another machine is trusted: a candidate takes over when
//! *it* has seen no renewal for the whole duration of the lease, and a leader counts from before it *sent* its last
//! successful renewal. So the leader's view always ends first. It begins no write after the renew deadline, and gives each
//! request no longer than the rest of the lease.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::{
    api::coordination::v1::{Lease, LeaseSpec},
    apimachinery::pkg::apis::meta::v1::MicroTime,
};
use kube::{
    Api, Client,
    api::{ObjectMeta, PostParams},
};
use tokio::{
    sync::watch,
    time::{Instant, sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use crate::{
    options::LeaderOptions,
    trouble::{Kind, Trouble},
};

/// How long this process may write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Term {
    /// Nobody else does.
    Always,
    /// As long as the lease lasts.
    Until {
        /// No write may begin after this.
        begin: Instant,
        /// No write may still be under way after this.
        end: Instant,
    },
}

impl Term {
    /// How long a write that begins now may take; `None`: it must not begin.
    pub(crate) fn allows(&self, wanted: Duration) -> Option<Duration> {
        self.allows_at(Instant::now(), wanted)
    }

    fn allows_at(&self, now: Instant, wanted: Duration) -> Option<Duration> {
        match self {
            Self::Always => Some(wanted),
            Self::Until { begin, end } => (now < *begin).then(|| wanted.min(end.saturating_duration_since(now))),
        }
    }
}

/// The view of the Lease from this process.
pub(crate) struct Election {
    api: Api<Lease>,
    identity: String,
    options: LeaderOptions,
    term: watch::Sender<Option<Term>>,
    /// The Lease as last seen, and when it was first seen so.
    seen: Option<(Lease, Instant)>,
    /// When the last successful renewal was sent.
    renewed: Option<Instant>,
    /// The trouble that was last said.
    said: Option<Kind>,
}

/// What a look at the Lease came to.
enum Step {
    Leading,
    Following,
}

impl Election {
    /// Takes part in the election once it runs; `term` tells how it stands.
    pub(crate) fn new(
        client: Client,
        namespace: &str,
        options: LeaderOptions,
        term: watch::Sender<Option<Term>>,
    ) -> Self {
        let identity = options.identity.clone().unwrap_or_else(own_identity);
        let api = Api::namespaced(client, namespace);
        Self { api, identity, options, term, seen: None, renewed: None, said: None }
    }

    /// Runs until cancelled. The Lease is kept then: [`Election::release`] gives it up once nothing is written any more.
    pub(crate) async fn run(&mut self, cancel: &CancellationToken) {
        cancel.clone().run_until_cancelled(self.go()).await;
    }

    async fn go(&mut self) {
        loop {
            let limit = self.attempt_limit();
            let outcome = match timeout(limit, self.attempt()).await {
                Ok(outcome) => outcome,
                Err(_) => Err(Trouble::timeout(limit)),
            };
            let pause = match outcome {
                Ok(Step::Leading) => self.options.renew_period,
                Ok(Step::Following) => {
                    self.step_down("another replica has the lease");
                    self.options.retry_period
                }
                Err(trouble) => {
                    self.say(&trouble);
                    self.options.retry_period
                }
            };
            // Candidates that fell silent together must not ask together for ever.
            let pause = pause.mul_f64(0.8 + 0.2 * fastrand::f64());
            match self.deadline() {
                Some(deadline) if deadline <= Instant::now() => {
                    self.step_down("the lease could not be renewed in time")
                }
                Some(deadline) => tokio::select! {
                    () = sleep(pause) => {}
                    () = tokio::time::sleep_until(deadline) => self.step_down("the lease could not be renewed in time"),
                },
                None => sleep(pause).await,
            }
        }
    }

    /// Gives the Lease up, so that another replica need not wait for its end. Only after the last write.
    pub(crate) async fn release(mut self) {
        let led = self.renewed.is_some();
        self.step_down("shutting down");
        if !led {
            return;
        }
        let (limit, name) = (self.options.retry_period, self.options.lease.clone());
        match timeout(limit, self.give_up()).await {
            Ok(Ok(())) => tracing::info!(lease = name, "lease released"),
            Ok(Err(trouble)) => tracing::warn!(lease = name, "lease not released: {}", trouble.said),
            Err(_) => tracing::warn!(lease = name, "lease not released within {limit:?}"),
        }
    }

    /// Read again first: the end may have come in the middle of a renewal.
    async fn give_up(&self) -> Result<(), Trouble> {
        let Some(mut lease) = self.api.get_opt(&self.options.lease).await? else {
            return Ok(());
        };
        let Some(spec) = lease.spec.as_mut().filter(|spec| spec.holder_identity.as_deref() == Some(&self.identity))
        else {
            return Ok(());
        };
        spec.holder_identity = None;
        spec.lease_duration_seconds = Some(1);
        spec.renew_time = Some(MicroTime(Timestamp::now()));
        self.api.replace(&self.options.lease, &PostParams::default(), &lease).await?;
        Ok(())
    }

    fn deadline(&self) -> Option<Instant> {
        self.renewed.map(|renewed| renewed + self.options.renew_deadline)
    }

    /// A leader leaves room for a second attempt before its deadline.
    fn attempt_limit(&self) -> Duration {
        let half = self.options.renew_deadline / 2;
        match self.deadline() {
            Some(deadline) => {
                half.min(deadline.saturating_duration_since(Instant::now())).max(Duration::from_millis(100))
            }
            None => half,
        }
    }

    fn step_down(&mut self, why: &str) {
        if self.renewed.take().is_some() {
            self.term.send_replace(None);
            tracing::warn!(lease = self.options.lease, "no longer the leader: {why}");
        }
    }

    fn say(&mut self, trouble: &Trouble) {
        if self.said.replace(trouble.kind) == Some(trouble.kind) {
            return;
        }
        let hint = match trouble.kind {
            Kind::Forbidden => "; grant get, create and update on leases in the controller's namespace (deploy/)",
            _ => "",
        };
        tracing::warn!(lease = self.options.lease, reason = trouble.kind.as_str(), "lease: {}{hint}", trouble.said);
    }

    async fn attempt(&mut self) -> Result<Step, Trouble> {
        // A leader renews what it knows. Only when somebody changed it, it looks.
        if self.renewed.is_some()
            && let Some((lease, _)) = self.seen.clone()
        {
            match self.write(lease).await {
                Err(trouble) if trouble.kind == Kind::Conflict || trouble.kind == Kind::NotFound => {}
                outcome => return outcome,
            }
        }
        let found = self.api.get_opt(&self.options.lease).await?;
        let lease = self.look(found);
        match lease {
            None => {
                let metadata = ObjectMeta { name: Some(self.options.lease.clone()), ..ObjectMeta::default() };
                self.write(Lease { metadata, spec: None }).await
            }
            Some(lease) if self.may_take(&lease) => match self.write(lease).await {
                Err(trouble) if trouble.kind == Kind::Conflict => Ok(Step::Following),
                outcome => outcome,
            },
            Some(_) => {
                self.said = None;
                Ok(Step::Following)
            }
        }
    }

    /// Notes the Lease and since when it is so.
    fn look(&mut self, found: Option<Lease>) -> Option<Lease> {
        let version = |lease: &Lease| lease.metadata.resource_version.clone();
        match (&found, &self.seen) {
            (Some(new), Some((old, _))) if version(new) == version(old) => {}
            (Some(new), _) => self.seen = Some((new.clone(), Instant::now())),
            (None, _) => self.seen = None,
        }
        found
    }

    fn may_take(&self, lease: &Lease) -> bool {
        let Some(spec) = &lease.spec else {
            return true;
        };
        let holder = spec.holder_identity.as_deref().unwrap_or("");
        if holder.is_empty() || holder == self.identity {
            return true;
        }
        let seconds = spec.lease_duration_seconds.and_then(|seconds| u64::try_from(seconds).ok());
        let lasts = seconds.map_or(self.options.lease_duration, Duration::from_secs);
        self.seen.as_ref().is_some_and(|(_, at)| at.elapsed() >= lasts)
    }

    /// Takes or renews the Lease, if it is still as it was seen.
    async fn write(&mut self, mut lease: Lease) -> Result<Step, Trouble> {
        let now = MicroTime(Timestamp::now());
        let exists = lease.metadata.resource_version.is_some();
        let before = lease.spec.take().unwrap_or_default();
        let mine = before.holder_identity.as_deref() == Some(self.identity.as_str());
        lease.spec = Some(LeaseSpec {
            holder_identity: Some(self.identity.clone()),
            lease_duration_seconds: Some(whole_seconds(self.options.lease_duration)),
            acquire_time: if mine { before.acquire_time } else { Some(now.clone()) },
            renew_time: Some(now),
            lease_transitions: Some(before.lease_transitions.unwrap_or(0).saturating_add(i32::from(!mine))),
            ..before
        });
        let sent = Instant::now();
        let params = PostParams::default();
        let written = if exists {
            self.api.replace(&self.options.lease, &params, &lease).await?
        } else {
            self.api.create(&params, &lease).await?
        };
        self.seen = Some((written, sent));
        self.said = None;
        if self.renewed.replace(sent).is_none() {
            tracing::info!(lease = self.options.lease, identity = self.identity, "now the leader");
        }
        // The last moments of the lease are left for what is already on the wire.
        let spare = self.options.lease_duration.saturating_sub(self.options.renew_deadline) / 5;
        self.term.send_replace(Some(Term::Until {
            begin: sent + self.options.renew_deadline,
            end: sent + self.options.lease_duration.saturating_sub(spare),
        }));
        Ok(Step::Leading)
    }
}

fn whole_seconds(duration: Duration) -> i32 {
    i32::try_from(duration.as_millis().div_ceil(1000)).unwrap_or(i32::MAX)
}

/// The name of the pod (its host name), and something random because a name may come back.
fn own_identity() -> String {
    let name = std::env::var("POD_NAME")
        .or_else(|_| std::env::var("HOSTNAME"))
        .ok()
        .or_else(|| std::fs::read_to_string("/proc/sys/kernel/hostname").ok());
    let name = name.as_deref().map_or("mcsdns", str::trim);
    format!("{name}_{:08x}", fastrand::u32(..))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_term_ends_before_the_lease_can_pass_on() {
        let (now, second) = (Instant::now(), Duration::from_secs(1));
        let term = Term::Until { begin: now + second * 10, end: now + second * 14 };
        let wanted = second * 10;
        assert_eq!(term.allows_at(now, wanted), Some(wanted));
        assert_eq!(term.allows_at(now + second * 9, wanted), Some(second * 5));
        assert_eq!(term.allows_at(now + second * 10, wanted), None);
        assert_eq!(Term::Always.allows_at(now + second * 100, wanted), Some(wanted));
    }

    #[test]
    fn identities_differ() {
        assert_ne!(own_identity(), own_identity());
    }
}
