//! From effects to writes on the host cluster.
//!
//! Effects go into a queue that keeps the latest per object ([`queue`]); workers carry them out with server-side apply
//! ([`apply`]), as fast as the API server takes them. Nothing is written unless this process leads: the queue is closed
//! then, and every request ends before the lease can pass on. A write that fails is retried for as long as it is wanted.

pub(crate) mod apply;
pub(crate) mod events;
pub(crate) mod failures;
pub(crate) mod queue;
mod strain;

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use mcsdns_core::{
    effect::{About, Effect, endpoint_name},
    facts::Fact,
    ids::{ClusterName, ObjectKey},
    plan::Endpoint,
    status::{DomainStatus, MemberStatus, RecordStatus},
};
use mcsdns_runtime::{FactSender, Sink};
use tokio::{
    sync::{Notify, mpsc, watch},
    time::{Instant, sleep_until, timeout},
};
use tokio_util::sync::CancellationToken;

use self::{
    apply::{Applier, Done},
    failures::Failures,
    queue::{Lane, Queue, Take},
};
use crate::{
    lease::Term,
    metrics::Metrics,
    options::WriterOptions,
    tasks::Tasks,
    trouble::{Kind, Trouble},
};

/// The object that is written.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Target {
    /// A DNSEndpoint, by its own name.
    Endpoints(ObjectKey),
    /// The status of a record.
    RecordStatus(ObjectKey),
    /// The status of a Domain.
    DomainStatus(Arc<str>),
    /// The status of a member cluster.
    MemberStatus(ClusterName),
}

/// What is written.
#[derive(Clone, Debug)]
pub(crate) enum Job {
    Apply { record: ObjectKey, uid: Arc<str>, endpoints: Arc<[Endpoint]> },
    Delete { uid: Arc<str> },
    RecordStatus(Arc<RecordStatus>),
    DomainStatus(Arc<DomainStatus>),
    MemberStatus(Arc<MemberStatus>),
}

impl Target {
    /// The record that it belongs to, if it does to one.
    fn record(&self) -> Option<ObjectKey> {
        match self {
            Self::Endpoints(object) => Some(record_of(object)),
            Self::RecordStatus(record) => Some(record.clone()),
            Self::DomainStatus(_) | Self::MemberStatus(_) => None,
        }
    }
}

impl Job {
    /// For metrics.
    const fn kind(&self) -> &'static str {
        match self {
            Self::Apply { .. } => "apply-endpoints",
            Self::Delete { .. } => "delete-endpoints",
            Self::RecordStatus(_) => "record-status",
            Self::DomainStatus(_) => "domain-status",
            Self::MemberStatus(_) => "member-status",
        }
    }
}

/// Something to tell people.
#[derive(Clone, Debug)]
pub(crate) struct Notice {
    pub(crate) about: About,
    pub(crate) warning: bool,
    pub(crate) reason: Arc<str>,
    pub(crate) note: String,
}

/// Notices that may wait for the API server; more are dropped and counted.
const NOTICES: usize = 1000;

/// The queue and what the workers share.
pub(crate) struct Writer {
    queue: Mutex<Queue<Target, Job>>,
    more: Notify,
    failures: Mutex<Failures>,
    /// Why DNSEndpoints cannot be written at all.
    unserved: Mutex<Option<String>>,
    notices: mpsc::Sender<Notice>,
    term: watch::Receiver<Option<Term>>,
    options: WriterOptions,
    metrics: Arc<Metrics>,
}

impl Writer {
    /// Closed at first; notices come out of the receiver.
    pub(crate) fn new(
        options: WriterOptions,
        term: watch::Receiver<Option<Term>>,
        metrics: Arc<Metrics>,
    ) -> (Arc<Self>, mpsc::Receiver<Notice>) {
        let (notices, receiver) = mpsc::channel(NOTICES);
        let writer = Self {
            queue: Mutex::new(Queue::new()),
            more: Notify::new(),
            failures: Mutex::default(),
            unserved: Mutex::new(None),
            notices,
            term,
            options,
            metrics,
        };
        (Arc::new(writer), receiver)
    }

    fn queue(&self) -> MutexGuard<'_, Queue<Target, Job>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes effects in, from now on.
    pub(crate) fn open(&self) {
        self.queue().open();
    }

    /// Drops what waits and takes nothing in. What failed so far is nobody's business any more: the Index hears that.
    #[must_use]
    pub(crate) fn close(&self) -> Vec<Fact> {
        self.queue().close();
        self.count();
        lock(&self.failures).clear()
    }

    /// A record is gone: what would be written for it is not wanted any more.
    pub(crate) fn forget(&self, record: &ObjectKey) {
        let mut queue = self.queue();
        queue.forget(&Target::RecordStatus(record.clone()));
        // A deletion stays wanted.
        queue.forget_if(&Target::Endpoints(object(record)), |job| matches!(job, Job::Apply { .. }));
        drop(queue);
        lock(&self.failures).forget(record);
        self.count();
    }

    /// As [`Writer::forget`], for every record but these.
    pub(crate) fn forget_others(&self, present: &BTreeSet<&ObjectKey>) {
        let is_gone = |record: &ObjectKey| !present.contains(record);
        // Whatever fails waits here to be tried again.
        let gone: BTreeSet<ObjectKey> =
            self.queue().keys().filter_map(Target::record).filter(|record| is_gone(record)).collect();
        for record in gone {
            self.forget(&record);
        }
    }

    /// Whether DNSEndpoints can be written; `Some` says why not.
    pub(crate) fn endpoints_served(&self, unserved: Option<String>) {
        let served = unserved.is_none();
        let before = std::mem::replace(&mut *lock(&self.unserved), unserved);
        if before.is_some() && served {
            self.queue().retry_now();
            self.more.notify_waiters();
        }
    }

    fn put(&self, target: Target, lane: Lane, job: Job) {
        self.queue().put(target, lane, job);
        self.more.notify_one();
        self.count();
    }

    fn count(&self) {
        let (ready, busy, later) = self.queue().depth();
        self.metrics.queue_is(ready, busy, later);
    }

    /// Starts the workers; they end when cancelled, after the request they are at, and not before.
    pub(crate) fn start(
        self: &Arc<Self>,
        applier: &Arc<Applier>,
        facts: &FactSender,
        cancel: &CancellationToken,
    ) -> Tasks {
        let mut tasks = Tasks::default();
        for _ in 0..self.options.workers {
            let (writer, applier) = (Arc::clone(self), Arc::clone(applier));
            let (facts, cancel) = (facts.clone(), cancel.clone());
            tasks.spawn("a writer", async move { writer.work(&applier, &facts, &cancel).await });
        }
        tasks
    }

    async fn work(&self, applier: &Applier, facts: &FactSender, cancel: &CancellationToken) {
        while !cancel.is_cancelled() {
            let more = self.more.notified();
            tokio::pin!(more);
            // Whoever puts something in from here on wakes this worker, also before it waits.
            more.as_mut().enable();
            let take = self.queue().take(Instant::now());
            match take {
                Take::Job { key, value, failures } => {
                    if let Some(fact) = self.carry_out(applier, key, value, failures).await {
                        // Nobody takes facts any more: the loop has ended, and so will this.
                        let _ = facts.send(vec![fact]).await;
                    }
                }
                Take::At(at) => tokio::select! {
                    () = more => {}
                    () = sleep_until(at) => {}
                    () = cancel.cancelled() => {}
                },
                Take::Nothing => tokio::select! {
                    () = more => {}
                    () = cancel.cancelled() => {}
                },
            }
        }
    }

    /// Writes one object, and puts it back into the queue when that failed.
    async fn carry_out(&self, applier: &Applier, target: Target, job: Job, failed: u32) -> Option<Fact> {
        let allowed = self.term.borrow().as_ref().and_then(|term| term.allows(self.options.timeout));
        let Some(limit) = allowed else {
            // The lease ran out. Either it is renewed in a moment, or the queue is about to be closed.
            self.queue().retry(&target, Instant::now() + LAPSE, false);
            return None;
        };
        let kind = job.kind();
        let begun = Instant::now();
        let unserved = lock(&self.unserved).clone().filter(|_| matches!(job, Job::Apply { .. }));
        let outcome = match unserved {
            Some(why) => Err(Trouble::new(Kind::NotFound, &why)),
            None => match timeout(limit, applier.apply(&target, &job)).await {
                Ok(outcome) => outcome,
                Err(_) => Err(Trouble::timeout(limit)),
            },
        };
        if let (Ok(Done::Written), Target::Endpoints(object)) = (&outcome, &target) {
            match &job {
                Job::Apply { endpoints, .. } => {
                    tracing::info!(dnsendpoint = %object, endpoints = endpoints.len(), "written");
                }
                _ => tracing::info!(dnsendpoint = %object, "deleted"),
            }
        }
        let result = match &outcome {
            Ok(Done::Written) => "ok",
            Ok(Done::Gone) => "gone",
            Ok(Done::Foreign) => "foreign",
            Err(trouble) => trouble.kind.as_str(),
        };
        self.metrics.wrote(kind, result, begun.elapsed());
        let fact = self.settle(&target, failed, outcome);
        self.count();
        fact
    }

    fn settle(&self, target: &Target, failed: u32, outcome: Result<Done, Trouble>) -> Option<Fact> {
        let Err(trouble) = outcome else {
            let fact = lock(&self.failures).note(target, None);
            let mut queue = self.queue();
            queue.done(target);
            if queue.answered() {
                self.more.notify_waiters();
            }
            return fact;
        };
        if failed == 0 {
            tracing::debug!(?target, reason = trouble.kind.as_str(), "write failed: {}", trouble.said);
        }
        let options = &self.options;
        let pause = queue::wait(options.retry_first, options.retry_longest, failed);
        let now = Instant::now();
        let mut queue = self.queue();
        let (pause, hurry, over) = match trouble.kind {
            // One object may have this to itself: a webhook that asks for patience, a request that no connection survives.
            Kind::Unreachable | Kind::Throttled => {
                let asked = trouble.retry_after.map_or(pause, |asked| pause.max(asked.min(options.retry_longest)));
                let pause = if trouble.kind == Kind::Unreachable { pause.min(MOST_PATIENCE) } else { asked };
                queue.strained(target, now + pause.min(MOST_PATIENCE));
                (pause, false, false)
            }
            Kind::Timeout | Kind::Server | Kind::Unauthorized => (pause, false, false),
            Kind::Forbidden | Kind::NotFound | Kind::Conflict | Kind::Gone | Kind::Invalid | Kind::Garbage => {
                (pause, true, queue.answered())
            }
        };
        let wanted = queue.retry(target, now + pause, hurry);
        // What nobody wants any more is nobody's failure. Both under the lock: whoever forgets it comes before or after.
        let fact = if wanted { lock(&self.failures).note(target, Some(&trouble)) } else { None };
        drop(queue);
        if over {
            self.more.notify_waiters();
        } else {
            self.more.notify_one();
        }
        fact
    }
}

/// How soon to look again whether the lease was renewed.
const LAPSE: std::time::Duration = std::time::Duration::from_millis(500);
/// A server that is away is asked at least this often.
const MOST_PATIENCE: std::time::Duration = std::time::Duration::from_secs(5);

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The DNSEndpoint of a record.
pub(crate) fn object(record: &ObjectKey) -> ObjectKey {
    ObjectKey::new(Arc::clone(&record.namespace), endpoint_name(&record.name))
}

/// The record of a DNSEndpoint.
fn record_of(object: &ObjectKey) -> ObjectKey {
    let prefix = endpoint_name("");
    let name = object.name.strip_prefix(prefix.as_str()).unwrap_or(&object.name);
    ObjectKey::new(Arc::clone(&object.namespace), name)
}

/// What the loop hands its effects to.
pub(crate) struct WriterSink(pub(crate) Arc<Writer>);

impl Sink for WriterSink {
    fn effect(&self, effect: Effect) {
        let writer = &self.0;
        match effect {
            Effect::ApplyEndpoints { record, uid, endpoints } => {
                let target = Target::Endpoints(object(&record));
                writer.put(target, Lane::Names, Job::Apply { record, uid, endpoints });
            }
            Effect::DeleteEndpoints { object, uid } => {
                writer.put(Target::Endpoints(object), Lane::Names, Job::Delete { uid });
            }
            Effect::RecordStatus { record, status } => {
                writer.put(Target::RecordStatus(record), Lane::Words, Job::RecordStatus(status));
            }
            Effect::DomainStatus { domain, status } => {
                writer.put(Target::DomainStatus(domain), Lane::Words, Job::DomainStatus(status));
            }
            Effect::MemberStatus { member, status } => {
                writer.put(Target::MemberStatus(member), Lane::Words, Job::MemberStatus(status));
            }
            Effect::Notice { about, warning, reason, note } => {
                let leads = writer.term.borrow().is_some();
                if leads {
                    tell(&about, warning, &reason, &note);
                }
                if leads && writer.notices.try_send(Notice { about, warning, reason, note }).is_err() {
                    writer.metrics.event("dropped");
                }
            }
            // The loop carries these out itself.
            Effect::Decide { .. } | Effect::Resolve(_) | Effect::Forget(_) | Effect::WakeAt(_) => {}
        }
    }
}

/// What becomes an Event, in the log.
fn tell(about: &About, warning: bool, reason: &str, note: &str) {
    let (kind, name) = match about {
        About::Record(record, _) => ("servicednsrecord", record.to_string()),
        About::Domain(domain, _) => ("domain", domain.to_string()),
        About::Member(member, _) => ("membercluster", member.to_string()),
    };
    if warning {
        tracing::warn!(kind, name, reason, "{note}");
    } else {
        tracing::info!(kind, name, reason, "{note}");
    }
}

#[cfg(test)]
mod tests;
