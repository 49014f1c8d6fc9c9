//! How many instances may be alive, and when time must be measured.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// Counts the instances that are alive. The pool of the sandbox refuses when it is empty; here callers wait instead.
///
/// The clock of the engine asks the same counter whether anything runs, so that an idle process sleeps.
#[derive(Debug)]
pub(crate) struct Permits {
    state: Mutex<State>,
    total: u32,
    /// A permit came back.
    returned: Condvar,
    /// Something runs again, or the engine is gone.
    woken: Condvar,
}

#[derive(Debug)]
struct State {
    free: u32,
    /// The clock sleeps until it is woken.
    clock_sleeps: bool,
    closed: bool,
}

/// The right to have so many instances alive.
#[derive(Debug)]
pub(crate) struct Permit<'a> {
    permits: &'a Permits,
    count: u32,
}

impl Permits {
    pub(crate) fn new(total: u32) -> Self {
        Self {
            state: Mutex::new(State { free: total, clock_sleeps: false, closed: false }),
            total,
            returned: Condvar::new(),
            woken: Condvar::new(),
        }
    }

    /// Waits until `count` instances may be made. A decision takes all it needs at once: taking them one by one, two
    /// decisions could wait for each other for ever.
    pub(crate) fn acquire(&self, count: u32) -> Permit<'_> {
        let count = count.min(self.total);
        let mut state = self.lock();
        while state.free < count {
            state = self.returned.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.free -= count;
        if state.clock_sleeps {
            state.clock_sleeps = false;
            self.woken.notify_one();
        }
        Permit { permits: self, count }
    }

    /// Whether nothing runs.
    pub(crate) fn idle(&self) -> bool {
        self.lock().free == self.total
    }

    /// For the clock: waits until something runs. `false` when the engine is gone.
    pub(crate) fn sleep_until_work(&self) -> bool {
        let mut state = self.lock();
        while !state.closed && state.free == self.total {
            state.clock_sleeps = true;
            state = self.woken.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.clock_sleeps = false;
        !state.closed
    }

    /// The engine is gone; the clock may stop.
    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.woken.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        self.permits.lock().free += self.count;
        // Waiters may need different numbers, so each must look for itself.
        self.permits.returned.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::{
            Arc,
            atomic::{AtomicU32, Ordering},
            mpsc,
        },
        thread,
    };

    use super::*;

    #[test]
    fn no_more_run_than_there_are_permits() {
        let permits = Arc::new(Permits::new(3));
        let running = Arc::new(AtomicU32::new(0));
        let threads: Vec<_> = (0..8)
            .map(|index| {
                let (permits, running) = (Arc::clone(&permits), Arc::clone(&running));
                thread::spawn(move || {
                    for _ in 0..200 {
                        let wanted = 1 + index % 3;
                        let _permit = permits.acquire(wanted);
                        assert!(running.fetch_add(wanted, Ordering::SeqCst) + wanted <= 3);
                        thread::yield_now();
                        running.fetch_sub(wanted, Ordering::SeqCst);
                    }
                })
            })
            .collect();
        for thread in threads {
            thread.join().unwrap();
        }
        assert!(permits.idle());
    }

    #[test]
    fn more_than_there_are_is_as_many_as_there_are() {
        let permits = Permits::new(2);
        let permit = permits.acquire(3);
        assert!(!permits.idle());
        drop(permit);
        assert!(permits.idle());
    }

    #[test]
    fn work_wakes_the_clock_and_the_end_stops_it() {
        let permits = Arc::new(Permits::new(1));
        let (woken, hears) = mpsc::channel();
        let (idle, may_sleep) = mpsc::channel();
        let clock = {
            let permits = Arc::clone(&permits);
            thread::spawn(move || {
                woken.send(permits.sleep_until_work()).unwrap();
                may_sleep.recv().unwrap();
                permits.sleep_until_work()
            })
        };
        while !permits.lock().clock_sleeps {
            thread::yield_now();
        }
        let permit = permits.acquire(1);
        assert!(hears.recv().unwrap());
        drop(permit);
        idle.send(()).unwrap();
        permits.close();
        assert!(!clock.join().unwrap());
    }
}
