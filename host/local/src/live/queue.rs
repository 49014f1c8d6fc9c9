//! What waits for the keeper: effects, of which the latest per object wins, and word that files have changed.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use mcsdns_core::{
    effect::Effect,
    ids::{ClusterName, ObjectKey},
};
use mcsdns_runtime::Sink;

/// Notices that may wait; of more, the oldest are dropped.
const NOTICES: usize = 1000;

/// Which object a write is for. DNSEndpoints come before the statuses that speak of them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Target {
    Endpoints(ObjectKey),
    Record(ObjectKey),
    Domain(std::sync::Arc<str>),
    Member(ClusterName),
}

#[derive(Debug, Default)]
struct State {
    writes: BTreeMap<Target, Effect>,
    notices: VecDeque<Effect>,
    look: bool,
    stop: bool,
}

/// The queue; the runtime puts effects in, the keeper takes them out.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    state: Mutex<State>,
    more: Condvar,
}

/// What the keeper is to do.
#[derive(Debug, Default)]
pub(crate) struct Work {
    pub(crate) writes: BTreeMap<Target, Effect>,
    pub(crate) notices: VecDeque<Effect>,
    /// Files may have changed.
    pub(crate) look: bool,
    /// This is the last work.
    pub(crate) stop: bool,
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Files may have changed.
    pub(crate) fn look(&self) {
        self.lock().look = true;
        self.more.notify_one();
    }

    /// Everything that is queued is to be done, and nothing more.
    pub(crate) fn stop(&self) {
        self.lock().stop = true;
        self.more.notify_one();
    }

    /// Takes everything, waiting for something until `until`.
    pub(crate) fn take(&self, until: Instant) -> Work {
        let mut state = self.lock();
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let something = !state.writes.is_empty() || !state.notices.is_empty() || state.look || state.stop;
            if something || left.is_zero() {
                return Work {
                    writes: std::mem::take(&mut state.writes),
                    notices: std::mem::take(&mut state.notices),
                    look: std::mem::take(&mut state.look),
                    stop: state.stop,
                };
            }
            let wait = left.min(Duration::from_secs(60));
            state = self.more.wait_timeout(state, wait).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

/// The object an effect is for; `None` for what is not written.
pub(crate) fn target(effect: &Effect) -> Option<Target> {
    Some(match effect {
        Effect::ApplyEndpoints { record, .. } => Target::Endpoints(ObjectKey::new(
            std::sync::Arc::clone(&record.namespace),
            mcsdns_core::effect::endpoint_name(&record.name),
        )),
        Effect::DeleteEndpoints { object, .. } => Target::Endpoints(object.clone()),
        Effect::RecordStatus { record, .. } => Target::Record(record.clone()),
        Effect::DomainStatus { domain, .. } => Target::Domain(std::sync::Arc::clone(domain)),
        Effect::MemberStatus { member, .. } => Target::Member(member.clone()),
        Effect::Decide { .. } | Effect::Resolve(_) | Effect::Forget(_) | Effect::WakeAt(_) | Effect::Notice { .. } => {
            return None;
        }
    })
}

/// The queue as the loop sees it.
pub(crate) struct QueueSink(pub(crate) std::sync::Arc<Queue>);

impl Sink for QueueSink {
    fn effect(&self, effect: Effect) {
        let mut state = self.0.lock();
        match target(&effect) {
            Some(target) => {
                state.writes.insert(target, effect);
            }
            None => {
                if state.notices.len() == NOTICES {
                    state.notices.pop_front();
                }
                state.notices.push_back(effect);
            }
        }
        drop(state);
        self.0.more.notify_one();
    }
}
