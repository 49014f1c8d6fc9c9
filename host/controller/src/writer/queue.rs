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
    /// The server asked for patience, or is away: nobody writes before then.
    pause: Option<Instant>,
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
            pause: None,
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
        self.pause = None;
        self.slots.retain(|_, slot| {
            slot.value = None;
            slot.under_way = None;
            slot.state == State::Busy
        });
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
        while let Some((at, key)) = self.later.first().cloned().filter(|(at, _)| *at <= now) {
            self.later.remove(&(at, key.clone()));
            self.make_ready(&key);
        }
        if let Some(pause) = self.pause {
            if pause > now {
                return Take::At(pause);
            }
            self.pause = None;
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
                if let Some(slot) = self.slots.get_mut(&key)
                    && slot.state == State::Ready
                    && let Some(value) = slot.value.take()
                {
                    slot.state = State::Busy;
                    slot.under_way = Some(value.clone());
                    self.busy += 1;
                    return Take::Job { failures: slot.failures, key, value };
                }
            }
        }
        self.later.first().map_or(Take::Nothing, |(at, _)| Take::At(*at))
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

    /// A job failed and is to be repeated at `at`, unless something newer came meanwhile or it was given up. `hurry`:
    /// something newer need not wait, because what was written was the reason.
    pub(crate) fn retry(&mut self, key: &K, at: Instant, hurry: bool) {
        self.busy = self.busy.saturating_sub(1);
        let Some(slot) = self.slots.get_mut(key) else {
            return;
        };
        let newer = slot.value.is_some();
        let again = slot.under_way.take();
        slot.value = slot.value.take().or(again);
        if slot.value.is_none() {
            self.slots.remove(key);
            return;
        }
        slot.failures = slot.failures.saturating_add(1);
        if newer && hurry {
            self.make_ready(key);
        } else {
            slot.state = State::Later(at);
            self.later.insert((at, key.clone()));
        }
    }

    /// Nobody writes for this long.
    pub(crate) fn pause(&mut self, until: Instant) {
        self.pause = Some(self.pause.map_or(until, |pause| pause.max(until)));
    }

    /// What waits to be repeated is tried now: the reason for waiting is gone.
    pub(crate) fn retry_now(&mut self) {
        self.pause = None;
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
        queue.put(1, Lane::Names, "a");
        queue.pause(later);
        assert_eq!(queue.take(now), Take::At(later));
        assert_eq!(job(&mut queue, later), (1, "a"));
        queue.retry(&1, later + Duration::from_secs(60), false);
        queue.pause(later + Duration::from_secs(60));
        queue.retry_now();
        assert_eq!(job(&mut queue, later), (1, "a"));
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
