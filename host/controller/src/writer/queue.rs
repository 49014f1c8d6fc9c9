//! What is to be written, the latest per object, and in which order. Pure: time comes in from outside.
//!
//! Nothing waits behind a burst. Workers take alternately the oldest and the newest object, so a single change is written
//! at once although ten thousand others wait, and the oldest still moves on at half the speed or more. DNSEndpoints go
//! before statuses three times out of four, because they are what resolvers see.

use std::{
    collections::{BTreeSet, HashMap, VecDeque},
    hash::Hash,
    time::Duration,
};

use tokio::time::Instant;

use super::strain::Strain;

/// Which line an object waits in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lane {
    /// What is published.
    Names,
    /// What is said about it.
    Words,
}

/// What a worker gets.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Take<K, V> {
    /// Write this. Must be followed by [`Queue::done`] or [`Queue::retry`].
    Job {
        /// Of which object.
        key: K,
        /// What.
        value: V,
        /// Attempts for this object that failed in a row.
        failures: u32,
    },
    /// Nothing before then.
    At(Instant),
    /// Nothing until something is put in.
    Nothing,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Ready,
    Later(Instant),
    Busy,
}

#[derive(Debug)]
struct Slot<V> {
    lane: Lane,
    state: State,
    /// What waits. `None` only while busy, when nothing newer came.
    value: Option<V>,
    /// What is under way, to be repeated should it fail. `None` while busy: it was given up meanwhile.
    under_way: Option<V>,
    failures: u32,
}

/// The queue.
#[derive(Debug)]
pub(crate) struct Queue<K, V> {
    open: bool,
    slots: HashMap<K, Slot<V>>,
    /// Objects whose slot is ready. May name others too: an entry counts only when the slot agrees.
    names: VecDeque<K>,
    words: VecDeque<K>,
    later: BTreeSet<(Instant, K)>,
    busy: usize,
    turn: u64,
    /// The server asks all for patience, or is away.
    strain: Strain<K>,
}

impl<K: Hash + Ord + Clone, V: Clone> Queue<K, V> {
    /// Closed: nothing is taken in before [`Queue::open`].
    pub(crate) fn new() -> Self {
        Self {
            open: false,
            slots: HashMap::new(),
            names: VecDeque::new(),
            words: VecDeque::new(),
            later: BTreeSet::new(),
            busy: 0,
            turn: 0,
            strain: Strain::new(),
        }
    }

    pub(crate) fn open(&mut self) {
        self.open = true;
    }

    /// Drops everything and takes nothing in. What is under way ends by itself.
    pub(crate) fn close(&mut self) {
        self.open = false;
        self.names.clear();
        self.words.clear();
        self.later.clear();
        self.answered();
        self.slots.retain(|_, slot| {
            slot.value = None;
            slot.under_way = None;
            slot.state == State::Busy
        });
    }

    /// What is waited for or under way.
    pub(crate) fn keys(&self) -> impl Iterator<Item = &K> {
        self.slots.keys()
    }

    /// Ready, busy and to be retried.
    pub(crate) fn depth(&self) -> (usize, usize, usize) {
        let later = self.later.len();
        (self.slots.len().saturating_sub(later + self.busy), self.busy, later)
    }

    /// Takes in the latest for an object; what waited for it is forgotten. An object that is to be retried keeps its pause.
    pub(crate) fn put(&mut self, key: K, lane: Lane, value: V) {
        if !self.open {
            return;
        }
        match self.slots.get_mut(&key) {
            Some(slot) => slot.value = Some(value),
            None => {
                let slot = Slot { lane, state: State::Ready, value: Some(value), under_way: None, failures: 0 };
                self.slots.insert(key.clone(), slot);
                self.line(lane).push_back(key);
            }
        }
    }

    /// Nobody wants anything written for this object any more.
    pub(crate) fn forget(&mut self, key: &K) {
        self.forget_if(key, |_| true);
    }

    /// As [`Queue::forget`], unless what waits, or else is under way, is something else.
    pub(crate) fn forget_if(&mut self, key: &K, is: impl Fn(&V) -> bool) {
        if let Some(slot) = self.slots.get_mut(key) {
            slot.value.take_if(|value| is(value));
            slot.under_way.take_if(|value| is(value));
            if slot.value.is_some() {
                return;
            }
            match slot.state {
                State::Busy => return,
                State::Later(at) => drop(self.later.remove(&(at, key.clone()))),
                State::Ready => {}
            }
            self.slots.remove(key);
        }
    }

    /// The next job at time `now`.
    pub(crate) fn take(&mut self, now: Instant) -> Take<K, V> {
        if let Some(pause) = self.strain.pause(now) {
            return self.try_one().unwrap_or(Take::At(pause));
        }
        while let Some((at, key)) = self.later.first().cloned().filter(|(at, _)| *at <= now) {
            self.later.remove(&(at, key.clone()));
            self.make_ready(&key);
        }
        self.turn = self.turn.wrapping_add(1);
        let words_first = self.turn.is_multiple_of(4);
        let newest = self.turn.is_multiple_of(2);
        for lane in if words_first { [Lane::Words, Lane::Names] } else { [Lane::Names, Lane::Words] } {
            loop {
                let line = self.line(lane);
                let Some(key) = (if newest { line.pop_back() } else { line.pop_front() }) else {
                    break;
                };
                if let Some(job) = self.begin(key) {
                    return job;
                }
            }
        }
        self.later.first().map_or(Take::Nothing, |(at, _)| Take::At(*at))
    }

    /// In a pause: the newest object, if it has not failed itself.
    fn try_one(&mut self) -> Option<Take<K, V>> {
        for lane in [Lane::Names, Lane::Words] {
            while self.strain.may_try()
                && let Some(key) = self.line(lane).back().cloned()
            {
                let slot = self.slots.get(&key).filter(|slot| slot.state == State::Ready);
                if slot.is_some_and(|slot| slot.failures > 0) {
                    break;
                }
                self.line(lane).pop_back();
                if let Some(job) = self.begin(key) {
                    self.strain.tries();
                    return Some(job);
                }
            }
        }
        None
    }

    /// Hands out what is ready; a line may name what is not.
    fn begin(&mut self, key: K) -> Option<Take<K, V>> {
        let slot = self.slots.get_mut(&key).filter(|slot| slot.state == State::Ready)?;
        let value = slot.value.take()?;
        slot.state = State::Busy;
        slot.under_way = Some(value.clone());
        self.busy += 1;
        Some(Take::Job { failures: slot.failures, key, value })
    }

    /// A job ended and need not be repeated.
    pub(crate) fn done(&mut self, key: &K) {
        self.busy = self.busy.saturating_sub(1);
        let Some(slot) = self.slots.get_mut(key) else {
            return;
        };
        slot.failures = 0;
        slot.under_way = None;
        if slot.value.is_some() {
            self.make_ready(key);
        } else {
            self.slots.remove(key);
        }
    }

    /// A job failed and is to be repeated at `at`, unless something newer came meanwhile or it was given up; whether
    /// anything is still wanted. `hurry`: something newer need not wait, because what was written was the reason.
    pub(crate) fn retry(&mut self, key: &K, at: Instant, hurry: bool) -> bool {
        self.busy = self.busy.saturating_sub(1);
        let Some(slot) = self.slots.get_mut(key) else {
            return false;
        };
        let newer = slot.value.is_some();
        let again = slot.under_way.take();
        slot.value = slot.value.take().or(again);
        if slot.value.is_none() {
            self.slots.remove(key);
            return false;
        }
        slot.failures = slot.failures.saturating_add(1);
        if newer && hurry {
            self.make_ready(key);
        } else {
            slot.state = State::Later(at);
            self.later.insert((at, key.clone()));
        }
        true
    }

    /// An object failed for a reason that may be everybody's. When several have, one after the other, nobody writes until
    /// then.
    pub(crate) fn strained(&mut self, key: &K, until: Instant) {
        self.strain.failed(key, until);
    }

    /// The server answered: whoever still fails does so alone. Whether a pause ends with this.
    pub(crate) fn answered(&mut self) -> bool {
        self.strain.answered()
    }

    /// What waits to be repeated is tried now: the reason for waiting is gone.
    pub(crate) fn retry_now(&mut self) {
        self.answered();
        for (_, key) in std::mem::take(&mut self.later) {
            self.make_ready(&key);
        }
    }

    fn make_ready(&mut self, key: &K) {
        if let Some(slot) = self.slots.get_mut(key) {
            slot.state = State::Ready;
            let lane = slot.lane;
            self.line(lane).push_back(key.clone());
        }
    }

    fn line(&mut self, lane: Lane) -> &mut VecDeque<K> {
        match lane {
            Lane::Names => &mut self.names,
            Lane::Words => &mut self.words,
        }
    }
}

/// How long an object waits after so many failures.
pub(crate) fn wait(first: Duration, longest: Duration, failures: u32) -> Duration {
    crate::backoff::pause(first, longest, failures.saturating_add(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    type Q = Queue<u32, &'static str>;

    fn open() -> Q {
        let mut queue = Q::new();
        queue.open();
        queue
    }

    fn job(queue: &mut Q, now: Instant) -> (u32, &'static str) {
        match queue.take(now) {
            Take::Job { key, value, .. } => (key, value),
            other => panic!("{other:?}"),
        }
    }

    /// Three objects are under way together and fail for a reason that may be everybody's.
    fn strain(queue: &mut Q, now: Instant, until: Instant) {
        let failed: Vec<u32> = (0..3).map(|_| job(queue, now).0).collect();
        for key in failed {
            queue.strained(&key, until);
            queue.retry(&key, now, false);
        }
    }

    #[test]
    fn the_latest_wins() {
        let (mut queue, now) = (open(), Instant::now());
        queue.put(1, Lane::Names, "old");
        queue.put(1, Lane::Names, "new");
        assert_eq!(job(&mut queue, now), (1, "new"));
        assert_eq!(queue.take(now), Take::Nothing);
        queue.done(&1);
        assert_eq!(queue.take(now), Take::Nothing);
        assert_eq!(queue.depth(), (0, 0, 0));
    }

    #[test]
    fn one_object_is_written_by_one_worker_at_a_time() {
        let (mut queue, now) = (open(), Instant::now());
        queue.put(1, Lane::Names, "a");
        assert_eq!(job(&mut queue, now), (1, "a"));
        queue.put(1, Lane::Names, "b");
        queue.put(1, Lane::Names, "c");
        assert_eq!(queue.take(now), Take::Nothing);
        queue.done(&1);
        assert_eq!(job(&mut queue, now), (1, "c"));
    }

    #[test]
    fn a_single_change_does_not_wait_behind_a_burst() {
        let (mut queue, now) = (open(), Instant::now());
        (0..1000).for_each(|key| queue.put(key, Lane::Names, "burst"));
        for _ in 0..10 {
            queue.take(now);
        }
        queue.put(5000, Lane::Names, "single");
        let soon: Vec<u32> = (0..2).map(|_| job(&mut queue, now).0).collect();
        assert!(soon.contains(&5000), "{soon:?}");
    }

    #[test]
    fn the_oldest_moves_on_whatever_comes() {
        let (mut queue, now) = (open(), Instant::now());
        queue.put(0, Lane::Names, "oldest");
        let mut taken = Vec::new();
        for key in 1..=6 {
            queue.put(key, Lane::Names, "newer");
            taken.push(job(&mut queue, now).0);
        }
        assert!(taken.contains(&0), "{taken:?}");
    }

    #[test]
    fn words_are_not_starved_by_names() {
        let (mut queue, now) = (open(), Instant::now());
        (0..100).for_each(|key| queue.put(key, Lane::Names, "name"));
        (100..200).for_each(|key| queue.put(key, Lane::Words, "word"));
        let words = (0..40).filter(|_| job(&mut queue, now).1 == "word").count();
        assert_eq!(words, 10);
    }

    #[test]
    fn a_failure_comes_again_later_and_with_the_latest() {
        let (mut queue, now) = (open(), Instant::now());
        let later = now + Duration::from_secs(1);
        queue.put(1, Lane::Names, "a");
        let _ = job(&mut queue, now);
        queue.retry(&1, later, true);
        assert_eq!(queue.depth(), (0, 0, 1));
        assert_eq!(queue.take(now), Take::At(later));
        queue.put(1, Lane::Names, "b");
        assert_eq!(queue.take(now), Take::At(later), "the pause holds");
        assert_eq!(queue.take(later), Take::Job { key: 1, value: "b", failures: 1 });
        queue.done(&1);
        queue.put(1, Lane::Names, "c");
        assert_eq!(queue.take(later), Take::Job { key: 1, value: "c", failures: 0 });
    }

    #[test]
    fn something_newer_need_not_wait_when_the_content_was_refused() {
        let (mut queue, now) = (open(), Instant::now());
        let later = now + Duration::from_secs(60);
        for (hurry, expected) in [(true, Take::Job { key: 1, value: "b", failures: 1 }), (false, Take::At(later))] {
            queue.put(1, Lane::Names, "a");
            let _ = job(&mut queue, now);
            queue.put(1, Lane::Names, "b");
            queue.retry(&1, later, hurry);
            assert_eq!(queue.take(now), expected);
            queue.done(&1);
        }
    }

    #[test]
    fn a_pause_holds_everybody_and_ends() {
        let (mut queue, now) = (open(), Instant::now());
        let later = now + Duration::from_secs(1);
        (1..=3).for_each(|key| queue.put(key, Lane::Names, "a"));
        strain(&mut queue, now, later);
        assert_eq!(queue.take(now), Take::At(later));
        assert_eq!(job(&mut queue, later).1, "a");
        queue.strained(&1, later + Duration::from_secs(60));
        assert!(matches!(queue.take(later), Take::At(_)));
        queue.retry_now();
        assert_eq!(job(&mut queue, later).1, "a");
    }

    #[test]
    fn what_has_not_failed_is_tried_once_in_a_pause() {
        let (mut queue, now) = (open(), Instant::now());
        let later = now + Duration::from_secs(1);
        (1..=3).for_each(|key| queue.put(key, Lane::Names, "theirs"));
        strain(&mut queue, now, later);
        queue.put(4, Lane::Words, "another's");
        queue.put(5, Lane::Words, "another's");
        assert_eq!(job(&mut queue, now), (5, "another's"));
        assert_eq!(queue.take(now), Take::At(later), "only one");
        queue.done(&5);
        assert!(queue.answered());
        let left: BTreeSet<u32> = (0..4).map(|_| job(&mut queue, now).0).collect();
        assert_eq!(left, [1, 2, 3, 4].into());
    }

    #[test]
    fn forgotten_objects_are_not_written() {
        let (mut queue, now) = (open(), Instant::now());
        queue.put(1, Lane::Names, "a");
        queue.forget(&1);
        assert_eq!(queue.take(now), Take::Nothing);
        queue.put(1, Lane::Names, "b");
        let _ = job(&mut queue, now);
        queue.put(1, Lane::Names, "c");
        queue.forget(&1);
        queue.retry(&1, now, false);
        assert_eq!(queue.take(now), Take::Nothing);
        queue.put(2, Lane::Words, "d");
        let _ = job(&mut queue, now);
        queue.retry(&2, now + Duration::from_secs(1), false);
        queue.forget(&2);
        assert_eq!(queue.take(now), Take::Nothing);
        assert_eq!(queue.depth(), (0, 0, 0));
    }

    #[test]
    fn only_what_is_meant_is_forgotten() {
        let (mut queue, now) = (open(), Instant::now());
        queue.put(1, Lane::Names, "delete");
        queue.forget_if(&1, |value| *value == "apply");
        let _ = job(&mut queue, now);
        queue.put(1, Lane::Names, "apply");
        queue.forget_if(&1, |value| *value == "apply");
        queue.retry(&1, now, true);
        assert_eq!(job(&mut queue, now), (1, "delete"), "what is under way is repeated");
        queue.forget_if(&1, |value| *value == "delete");
        queue.retry(&1, now, true);
        assert_eq!(queue.take(now), Take::Nothing);
    }

    #[test]
    fn a_closed_queue_drops_everything() {
        let (mut queue, now) = (open(), Instant::now());
        (0..3).for_each(|key| queue.put(key, Lane::Names, "a"));
        let (busy, _) = job(&mut queue, now);
        queue.close();
        queue.put(9, Lane::Names, "a");
        assert_eq!(queue.take(now), Take::Nothing);
        queue.open();
        queue.retry(&busy, now, false);
        assert_eq!(queue.take(now), Take::Nothing);
        assert_eq!(queue.depth(), (0, 0, 0));
    }
}
