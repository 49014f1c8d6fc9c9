//! The loop.

use std::{
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use jiff::Timestamp;
use mcsdns_core::{effect::Effect, facts::Fact, index::Index};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::{
    clock::{Clock, SystemClock},
    decider::Decider,
    observe::Observer,
    resolve::{HostNames, Resolve, ResolveLimits},
    workers::{Job, Workers},
};

/// Where facts are sent, in batches. The channel is bounded: a source that is faster than the Index waits.
pub type FactSender = mpsc::Sender<Vec<Fact>>;
/// The other end of a [`FactSender`].
pub type FactReceiver = mpsc::Receiver<Vec<Fact>>;
/// Both ends.
pub type Channel = (FactSender, FactReceiver);

/// Batches that may wait. A batch is one watch event or one relist, so this is some milliseconds of work.
const CHANNEL: usize = 1024;
/// Batches that are applied before the effects so far are handed out.
const BATCHES_AT_ONCE: usize = 256;

/// A channel of the usual size.
#[must_use]
pub fn channel() -> Channel {
    mpsc::channel(CHANNEL)
}

/// Where effects go. Gets every effect that the loop does not carry out itself, in order.
pub trait Sink: Send + Sync + 'static {
    /// Takes one effect. Must never block: put it into a queue where the latest per key wins.
    fn effect(&self, effect: Effect);
}

impl<F: Fn(Effect) + Send + Sync + 'static> Sink for F {
    fn effect(&self, effect: Effect) {
        self(effect);
    }
}

/// What a runtime needs besides the Index, a sink and a decider.
#[derive(Clone)]
pub struct RuntimeOptions {
    /// Threads that make decisions.
    pub decide_threads: usize,
    /// Answers the host names of load balancers.
    pub resolver: Arc<dyn Resolve>,
    /// How often and how many at a time.
    pub resolve_limits: ResolveLimits,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Hears of everything that is worth counting.
    pub observer: Arc<dyn Observer>,
}

impl RuntimeOptions {
    /// One decision thread per core, the machine's clock, nobody counting.
    #[must_use]
    pub fn new(resolver: Arc<dyn Resolve>) -> Self {
        Self {
            decide_threads: std::thread::available_parallelism().map_or(1, usize::from),
            resolver,
            resolve_limits: ResolveLimits::default(),
            clock: Arc::new(SystemClock),
            observer: Arc::new(()),
        }
    }
}

/// A way into a running loop; cheap to clone.
#[derive(Clone)]
pub struct RuntimeHandle {
    facts: FactSender,
    index: Arc<Mutex<Index>>,
}

impl RuntimeHandle {
    /// Sends facts into the loop, beside the receiver that [`Runtime::run`] was given.
    #[must_use]
    pub fn facts(&self) -> FactSender {
        self.facts.clone()
    }

    /// Looks at the Index. The loop waits meanwhile: copy out what is needed and return.
    pub fn with_index<T>(&self, look: impl FnOnce(&Index) -> T) -> T {
        look(&lock(&self.index))
    }
}

/// The Index and all it needs to run.
pub struct Runtime<S, D> {
    index: Arc<Mutex<Index>>,
    sink: S,
    decider: Arc<D>,
    options: RuntimeOptions,
    inner: Channel,
}

impl<S: Sink, D: Decider> Runtime<S, D> {
    /// Puts the parts together; nothing runs yet.
    pub fn new(index: Index, sink: S, decider: Arc<D>, options: RuntimeOptions) -> Self {
        Self { index: Arc::new(Mutex::new(index)), sink, decider, options, inner: channel() }
    }

    /// A handle to this runtime, for `explain`, metrics and readiness.
    #[must_use]
    pub fn handle(&self) -> RuntimeHandle {
        RuntimeHandle { facts: self.inner.0.clone(), index: Arc::clone(&self.index) }
    }

    /// Runs until `shutdown`, or until every sender of `facts_rx` is gone.
    ///
    /// # Errors
    /// Threads for decisions could not be started.
    pub async fn run(self, mut facts_rx: FactReceiver, shutdown: CancellationToken) -> io::Result<()> {
        let Self { index, sink, decider, options, inner: (inner_tx, mut inner_rx) } = self;
        let workers = Workers::start(options.decide_threads, &decider, &options.observer, &inner_tx)?;
        let names = HostNames::new(
            Arc::clone(&options.resolver),
            options.resolve_limits.clone(),
            Arc::clone(&options.observer),
            inner_tx.clone(),
        );
        let mut turn = Turn { sink, workers, names, wake: None, options };
        let mut effects = Vec::new();

        loop {
            let clock = Arc::clone(&turn.options.clock);
            let wake = turn.wake;
            let mut batches = Vec::new();
            tokio::select! {
                biased;
                () = shutdown.cancelled() => break,
                Some(batch) = inner_rx.recv() => batches.push(batch),
                batch = facts_rx.recv() => match batch {
                    Some(batch) => batches.push(batch),
                    None => break,
                },
                () = sleep(&*clock, wake) => {}
            }
            while batches.len() < BATCHES_AT_ONCE
                && let Ok(batch) = inner_rx.try_recv().or_else(|_| facts_rx.try_recv())
            {
                batches.push(batch);
            }
            let now = clock.now();
            if turn.wake.is_some_and(|at| at <= now) {
                turn.wake = None;
            } else if batches.is_empty() {
                continue;
            }
            apply(&index, now, batches, &mut effects, &*turn.options.observer);
            for effect in effects.drain(..) {
                turn.carry_out(effect);
            }
        }

        let Turn { workers, names, .. } = turn;
        names.stop();
        workers.close();
        drop((inner_rx, facts_rx));
        // Not worth failing for: the process is about to end.
        let _ = tokio::task::spawn_blocking(move || workers.join()).await;
        Ok(())
    }
}

/// What the loop needs to carry out effects.
struct Turn<S> {
    sink: S,
    workers: Workers,
    names: HostNames,
    wake: Option<Timestamp>,
    options: RuntimeOptions,
}

impl<S: Sink> Turn<S> {
    fn carry_out(&mut self, effect: Effect) {
        self.options.observer.effect(&effect);
        match effect {
            Effect::Decide { record, hash, policies, domain, input } => {
                self.workers.ask(record, Job { hash, policies, domain, input, asked: Instant::now() });
            }
            Effect::Resolve(name) => self.names.resolve(name),
            Effect::Forget(name) => self.names.forget(&name),
            Effect::WakeAt(at) => self.wake = Some(at),
            other @ (Effect::ApplyEndpoints { .. }
            | Effect::DeleteEndpoints { .. }
            | Effect::RecordStatus { .. }
            | Effect::DomainStatus { .. }
            | Effect::MemberStatus { .. }
            | Effect::Notice { .. }) => self.sink.effect(other),
        }
    }
}

fn apply(
    index: &Mutex<Index>,
    now: Timestamp,
    batches: Vec<Vec<Fact>>,
    effects: &mut Vec<Effect>,
    observer: &dyn Observer,
) {
    let count = batches.iter().map(Vec::len).sum();
    let mut index = lock(index);
    let begun = Instant::now();
    index.apply_all(std::iter::once(Fact::Tick(now)).chain(batches.into_iter().flatten()), effects);
    let took = begun.elapsed();
    drop(index);
    observer.applied(count, effects.len(), took);
}

async fn sleep(clock: &dyn Clock, until: Option<Timestamp>) {
    match until {
        Some(at) => clock.sleep_until(at).await,
        None => std::future::pending().await,
    }
}

/// A panic while the Index was locked for looking leaves it as it was; one while it was being changed ended the loop.
fn lock(index: &Mutex<Index>) -> MutexGuard<'_, Index> {
    index.lock().unwrap_or_else(PoisonError::into_inner)
}
