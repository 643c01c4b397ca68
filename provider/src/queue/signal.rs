//! A flag that wakes the one reader of a queue.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use durabletask_storage::Env;
use futures::future::{Either, select};
use tokio::sync::Notify;

/// Times of one queue that are kept in mind, the earliest; a message that is visible later than all
/// of them is found by polling, unless they have passed before the next one is sent.
const MAX_DUE_TIMES: usize = 256;

/// Says that something was put on a queue. Sticky for one waiter, does not count
/// (chapter 02 §6.2). A reader that ends sets it once more: its wake-up may have been meant for
/// the reader that follows.
///
/// What was sent invisible, such as a timer, sets it when it is due (.NET's is found by polling).
#[derive(Debug, Default)]
pub(crate) struct Signal {
    flag: Notify,
    /// Monotonic times at which it is set.
    due: Mutex<BTreeSet<Duration>>,
    /// The earliest of them is another one.
    replanned: Notify,
}

impl Signal {
    /// Wakes a waiter, or lets the next wait return at once.
    pub(crate) fn set(&self) {
        self.flag.notify_one();
    }

    /// Does so at that monotonic time.
    pub(crate) fn set_at(&self, now: Duration, at: Duration) {
        // So that times which no reader has waited for do not fill the list.
        if self.take_due(now) || at <= now {
            self.set();
        }
        let mut due = self.due();
        let first = due.first().copied();
        if at > now {
            due.insert(at);
        }
        if due.len() > MAX_DUE_TIMES {
            due.pop_last();
        }
        if due.first().copied() != first {
            self.replanned.notify_one();
        }
    }

    /// Whether a time has passed; forgets those that have.
    pub(crate) fn take_due(&self, now: Duration) -> bool {
        let mut due = self.due();
        let before = due.len();
        due.retain(|at| *at > now);
        due.len() < before
    }

    fn due(&self) -> MutexGuard<'_, BTreeSet<Duration>> {
        self.due.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for the flag, at most for `limit`, and clears it; whether it was set.
    async fn wait(&self, env: &Env, limit: Duration) -> bool {
        let end = env.monotonic() + limit;
        loop {
            let now = env.monotonic();
            if self.take_due(now) {
                return true;
            }
            let until = self.due().first().map_or(end, |at| end.min(*at));
            let set = std::pin::pin!(self.flag.notified());
            let slept = std::pin::pin!(env.sleep(until.saturating_sub(now)));
            let replanned = std::pin::pin!(self.replanned.notified());
            match select(set, select(slept, replanned)).await {
                Either::Left(_) => return true,
                Either::Right((Either::Left(_), _)) if until == end => return self.take_due(end),
                Either::Right(_) => {}
            }
        }
    }
}

/// Shortest pause between two polls of an idle queue, in milliseconds.
const MIN_POLL_INTERVAL_MS: u64 = 50;

/// How long to wait after an empty poll: growing pauses with jitter, cut short by the queue's
/// [`Signal`]. The same sequence as .NET's (chapter 02 §6.1).
#[derive(Debug)]
pub(crate) struct PollBackoff {
    interval: Duration,
    exponent: u32,
    max_interval: Duration,
}

impl PollBackoff {
    /// Starts with no pause; never pauses longer than `max_interval`.
    pub(crate) fn new(max_interval: Duration) -> Self {
        Self {
            interval: Duration::ZERO,
            exponent: 0,
            max_interval: max_interval.max(Duration::from_millis(MIN_POLL_INTERVAL_MS)),
        }
    }

    /// Waits for the signal, at most the current interval.
    pub(crate) async fn wait(&mut self, env: &Env, signal: &Signal) {
        let was_signalled = signal.wait(env, self.interval).await;
        let min = Duration::from_millis(MIN_POLL_INTERVAL_MS);
        if was_signalled {
            self.interval = min;
            self.exponent = 1;
        } else if self.interval < self.max_interval {
            self.grow(min, env.random_unit());
        }
    }

    fn grow(&mut self, min: Duration, random_unit: f64) {
        let mut next = min;
        if self.exponent > 0 {
            let jitter = 0.8 + 0.4 * random_unit;
            let factor = jitter * 2_f64.powi(i32::try_from(self.exponent - 1).unwrap_or(i32::MAX));
            // Beyond the longest pause the exact value does not matter, and must not overflow.
            next += min.mul_f64(factor.min(1e6));
        }
        if next < self.max_interval {
            self.interval = next;
            self.exponent += 1;
        } else {
            self.interval = self.max_interval;
        }
    }
}

#[cfg(test)]
mod tests {
    use durabletask_storage::VirtualEnv;

    use super::*;

    #[test]
    fn the_earliest_due_times_are_kept_and_wake_a_reader_that_sleeps_already() {
        let seconds = Duration::from_secs;
        let time = VirtualEnv::new(1);
        let env = time.env();
        let ended = time.block_on(async {
            let signal = Signal::default();
            // Never read: they leave nothing behind.
            for _ in 0..3 {
                signal.set_at(env.monotonic(), env.monotonic() + seconds(1));
                env.sleep(seconds(2)).await;
            }
            // A reader does so before it receives.
            assert!(signal.take_due(env.monotonic()));
            assert_eq!(signal.due().len(), 0);
            assert!(signal.wait(&env, seconds(100)).await);
            assert!(!signal.wait(&env, seconds(100)).await, "it counted");
            let began = env.monotonic();
            let plan = async {
                for after in (1..=1_000).rev() {
                    signal.set_at(env.monotonic(), began + seconds(after));
                }
                assert_eq!(signal.due().len(), MAX_DUE_TIMES);
            };
            let wait = signal.wait(&env, seconds(100));
            assert!(futures::future::join(wait, plan).await.0);
            assert_eq!(env.monotonic(), began + seconds(1));
            assert!(!signal.wait(&env, Duration::from_millis(500)).await);
            assert!(signal.wait(&env, Duration::from_millis(500)).await);
            assert_eq!(env.monotonic(), began + seconds(2));
        });
        assert!(ended.is_ok());
    }

    #[test]
    fn pauses_grow_as_recorded() {
        let mut backoff = PollBackoff::new(Duration::from_secs(1));
        let mut pauses = Vec::new();
        for _ in 0..9 {
            pauses.push(backoff.interval.as_millis());
            if backoff.interval < backoff.max_interval {
                backoff.grow(Duration::from_millis(50), 0.5);
            }
        }
        assert_eq!(pauses, [0, 50, 100, 150, 250, 450, 850, 1000, 1000]);
    }
}
