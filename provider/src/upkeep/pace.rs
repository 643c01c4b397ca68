//! A steady pace for work that must not starve the rest.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use durabletask_storage::Env;

/// Hands out turns, evenly spaced.
#[derive(Debug)]
pub(crate) struct Pace {
    env: Env,
    interval: Duration,
    /// When the next turn is due, on the monotonic clock.
    next: Mutex<Duration>,
}

impl Pace {
    /// That many turns per second; 0 means without limit.
    pub(crate) fn per_second(env: &Env, turns: u32) -> Self {
        let interval = Duration::from_secs(1).checked_div(turns);
        Self {
            env: env.clone(),
            interval: interval.unwrap_or_default(),
            next: Mutex::new(env.monotonic()),
        }
    }

    /// Waits for the next turn.
    pub(crate) async fn turn(&self) {
        let wait = {
            let now = self.env.monotonic();
            let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
            let due = (*next).max(now);
            *next = due.saturating_add(self.interval);
            due.saturating_sub(now)
        };
        if !wait.is_zero() {
            self.env.sleep(wait).await;
        }
    }
}
