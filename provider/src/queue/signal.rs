//! A flag that wakes the one reader of a queue.

use std::time::Duration;

use durabletask_storage::Env;
use futures::future::{Either, select};
use tokio::sync::Notify;

/// Says that something was put on a queue. Sticky for one waiter, does not count
/// (chapter 02 §6.2). A reader that ends sets it once more: its wake-up may have been meant for
/// the reader that follows.
#[derive(Debug, Default)]
pub(crate) struct Signal(Notify);

impl Signal {
    /// Wakes a waiter, or lets the next wait return at once.
    pub(crate) fn set(&self) {
        self.0.notify_one();
    }

    /// Waits for the flag and clears it.
    pub(crate) async fn wait(&self) {
        self.0.notified().await;
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
        let signalled = std::pin::pin!(signal.wait());
        let slept = std::pin::pin!(env.sleep(self.interval));
        let was_signalled = matches!(select(signalled, slept).await, Either::Left(_));
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
    use super::*;

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
