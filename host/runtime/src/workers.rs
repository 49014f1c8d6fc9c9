//! Threads that make decisions.
//!
//! The queue holds at most one question per record: a newer one replaces an older one that no worker has begun. A
//! worker that panics or a policy that traps costs that one decision.

use std::{
    collections::{HashMap, VecDeque},
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread::JoinHandle,
    time::Instant,
};

use mcsdns_core::{
    decision::{DecisionInput, DecisionOutput, InputHash, PolicyFailure, PolicyRef},
    facts::Fact,
    ids::ObjectKey,
};

use crate::{decider::Decider, observe::Observer, run::FactSender};

/// Room for a component's own stack (512 KiB at most) with plenty left for the host's part of the call.
const STACK: usize = 4 << 20;

/// One question.
pub(crate) struct Job {
    pub(crate) hash: InputHash,
    pub(crate) policies: PolicyRef,
    pub(crate) domain: Arc<str>,
    pub(crate) input: Arc<DecisionInput>,
    pub(crate) asked: Instant,
}

#[derive(Default)]
struct Queue {
    /// Records in the order in which they asked; each is also in `jobs`.
    order: VecDeque<ObjectKey>,
    jobs: HashMap<ObjectKey, Job>,
    closed: bool,
}

#[derive(Default)]
struct Shared {
    queue: Mutex<Queue>,
    more: Condvar,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next question; `None` when the workers are to stop.
    fn next(&self) -> Option<(ObjectKey, Job)> {
        let mut queue = self.lock();
        loop {
            if queue.closed {
                return None;
            }
            while let Some(record) = queue.order.pop_front() {
                if let Some(job) = queue.jobs.remove(&record) {
                    return Some((record, job));
                }
            }
            queue = self.more.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// The worker threads and their queue.
pub(crate) struct Workers {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

impl Workers {
    /// Starts `count` threads that answer into `facts`.
    pub(crate) fn start<D: Decider>(
        count: usize,
        decider: &Arc<D>,
        observer: &Arc<dyn Observer>,
        facts: &FactSender,
    ) -> io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let threads = (0..count.max(1))
            .map(|number| {
                let (shared, decider) = (Arc::clone(&shared), Arc::clone(decider));
                let (observer, facts) = (Arc::clone(observer), facts.clone());
                std::thread::Builder::new()
                    .name(format!("decide-{number}"))
                    .stack_size(STACK)
                    .spawn(move || work(&shared, &*decider, &*observer, &facts))
            })
            .collect::<Result<_, _>>()?;
        Ok(Self { shared, threads })
    }

    /// Puts a question into the queue, in place of an older one of the same record.
    pub(crate) fn ask(&self, record: ObjectKey, job: Job) {
        let mut queue = self.shared.lock();
        if queue.jobs.insert(record.clone(), job).is_none() {
            queue.order.push_back(record);
        }
        drop(queue);
        self.shared.more.notify_one();
    }

    /// Tells the threads to stop; what is still in the queue is dropped.
    pub(crate) fn close(&self) {
        self.shared.lock().closed = true;
        self.shared.more.notify_all();
    }

    /// Waits for the threads. Blocks as long as the decisions that are being made.
    pub(crate) fn join(mut self) {
        self.close();
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                tracing::error!("a decision thread ended with a panic");
            }
        }
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        self.close();
    }
}

fn work<D: Decider>(shared: &Shared, decider: &D, observer: &dyn Observer, facts: &FactSender) {
    while let Some((record, job)) = shared.next() {
        let begun = Instant::now();
        observer.waited(begun.duration_since(job.asked));
        let result = decide(decider, &job.domain, &job.policies, &job.input);
        observer.decided(&job.policies, begun.elapsed(), result.as_ref().err());
        let decided = Fact::Decided { record, hash: job.hash, result: result.map(Arc::new) };
        if facts.blocking_send(vec![decided]).is_err() {
            return;
        }
    }
}

/// Does something during which a panic must end nothing else; what it said is the error.
///
/// # Errors
/// Text of the panic.
pub fn caught<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|panic| {
        let text = panic.downcast_ref::<&str>().map(ToString::to_string);
        text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no message".to_owned())
    })
}

/// Makes one decision; a panic on the way is a failure of that decision and nothing else.
pub(crate) fn decide<D: Decider + ?Sized>(
    decider: &D,
    domain: &str,
    policies: &PolicyRef,
    input: &DecisionInput,
) -> Result<DecisionOutput, PolicyFailure> {
    caught(|| decider.decide(domain, policies, input)).unwrap_or_else(|text| {
        tracing::error!(policy = %policies.title, "a decision panicked: {text}");
        Err(PolicyFailure {
            policy: Arc::clone(&policies.title),
            reason: "HostPanic",
            message: format!("the host failed while asking the policy: {text}; please report this"),
        })
    })
}
