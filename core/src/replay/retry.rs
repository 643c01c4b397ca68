//! Retried tasks: a series of attempts and timers, as Core makes them (chapter 04 §5).

use std::time::Duration;

use crate::Timestamp;

/// Longest pause between two attempts, in seconds: 6 days, what a queue can hold back with a day
/// to spare. Such timers are never split, by no flavour.
pub const MAX_PAUSE_SECONDS: u64 = 6 * 86_400;

/// When to try again, and how often.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RetryPolicy {
    /// Pause after the first failure.
    pub first_interval: Duration,
    /// Attempts in all, the first included; 0 counts as 1.
    pub max_attempts: u32,
    /// By what each pause is longer than the one before; 1 keeps them equal.
    pub backoff_coefficient: f64,
    /// Longest pause; none is longer than 6 days.
    pub max_interval: Option<Duration>,
    /// Time after the call at which a failure is not retried any more. A running attempt is not
    /// interrupted.
    pub timeout: Option<Duration>,
}

impl RetryPolicy {
    /// So many attempts in all, with equal pauses.
    pub const fn new(max_attempts: u32, first_interval: Duration) -> Self {
        Self {
            first_interval,
            max_attempts,
            backoff_coefficient: 1.0,
            max_interval: None,
            timeout: None,
        }
    }

    fn pause_after(&self, failed_attempts: u32) -> Duration {
        let longest = Duration::from_secs(MAX_PAUSE_SECONDS);
        let longest = self.max_interval.map_or(longest, |max| max.min(longest));
        let exponent = i32::try_from(failed_attempts.saturating_sub(1)).unwrap_or(i32::MAX);
        let seconds = self.first_interval.as_secs_f64() * self.backoff_coefficient.powi(exponent);
        // Neither a number nor in range: the longest there is.
        Duration::try_from_secs_f64(seconds).map_or(longest, |pause| pause.min(longest))
    }
}

/// What follows a failed attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AfterFailure {
    /// A timer that is due then, and another attempt when it fires.
    Retry(Timestamp),
    /// A timer that is due at once, and the failure when it fires: what Core does after the last
    /// attempt, and what histories therefore hold.
    FailAfterTimer(Timestamp),
    /// The failure, now.
    Fail,
}

/// One retried call under way.
#[derive(Debug, Clone)]
pub struct RetryLoop {
    policy: RetryPolicy,
    began: Timestamp,
    failed_attempts: u32,
}

impl RetryLoop {
    /// A call that is made at that orchestrator time.
    pub const fn new(policy: RetryPolicy, now: Timestamp) -> Self {
        Self {
            policy,
            began: now,
            failed_attempts: 0,
        }
    }

    /// An attempt failed. `retries_it` says whether this failure is worth another attempt; it is
    /// only asked where .NET asks its handler: not after the last attempt, not about failures
    /// that are not to be retried.
    pub fn failed(
        &mut self,
        now: Timestamp,
        is_non_retriable: bool,
        retries_it: impl FnOnce() -> bool,
    ) -> AfterFailure {
        self.failed_attempts = self.failed_attempts.saturating_add(1);
        if is_non_retriable {
            return AfterFailure::Fail;
        }
        if self.failed_attempts >= self.policy.max_attempts {
            return AfterFailure::FailAfterTimer(now);
        }
        if !retries_it() || self.has_timed_out(now) {
            return AfterFailure::Fail;
        }
        match self.policy.pause_after(self.failed_attempts) {
            Duration::ZERO => AfterFailure::Fail,
            pause => AfterFailure::Retry(now.saturating_add(pause)),
        }
    }

    fn has_timed_out(&self, now: Timestamp) -> bool {
        let timeout = self.policy.timeout;
        timeout.is_some_and(|timeout| now >= self.began.saturating_add(timeout))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Timestamp = Timestamp::from_ticks(638_000_000_000_000_000);

    fn after(seconds: u64) -> Timestamp {
        START.saturating_add(Duration::from_secs(seconds))
    }

    #[test]
    fn pauses_grow_up_to_the_longest_and_the_last_failure_has_a_timer_of_its_own() {
        let mut policy = RetryPolicy::new(5, Duration::from_secs(1));
        policy.backoff_coefficient = 2.0;
        policy.max_interval = Some(Duration::from_secs(3));
        let mut retry = RetryLoop::new(policy, START);
        let said: Vec<_> = (0..5)
            .map(|_| retry.failed(START, false, || true))
            .collect();
        assert_eq!(
            said,
            [
                AfterFailure::Retry(after(1)),
                AfterFailure::Retry(after(2)),
                AfterFailure::Retry(after(3)),
                AfterFailure::Retry(after(3)),
                AfterFailure::FailAfterTimer(START),
            ]
        );
    }

    #[test]
    fn a_refusal_a_timeout_and_a_final_failure_end_it_without_a_timer() {
        let mut policy = RetryPolicy::new(2, Duration::from_secs(1));
        policy.timeout = Some(Duration::from_secs(10));
        let fresh = || RetryLoop::new(policy, START);
        assert_eq!(fresh().failed(START, true, || true), AfterFailure::Fail);
        assert_eq!(fresh().failed(START, false, || false), AfterFailure::Fail);
        assert_eq!(
            fresh().failed(after(10), false, || true),
            AfterFailure::Fail
        );
        assert_eq!(
            fresh().failed(after(9), false, || true),
            AfterFailure::Retry(after(10))
        );
        policy.max_attempts = 1;
        let mut only = RetryLoop::new(policy, START);
        let asked = only.failed(START, false, || unreachable!("after the last attempt"));
        assert_eq!(asked, AfterFailure::FailAfterTimer(START));
        let mut last = RetryLoop::new(policy, START);
        assert_eq!(last.failed(START, true, || true), AfterFailure::Fail);
    }

    #[test]
    fn absurd_policies_pause_six_days_at_most() {
        let mut policy = RetryPolicy::new(u32::MAX, Duration::MAX);
        policy.backoff_coefficient = f64::NAN;
        let mut retry = RetryLoop::new(policy, START);
        let six_days = AfterFailure::Retry(after(MAX_PAUSE_SECONDS));
        assert_eq!(retry.failed(START, false, || true), six_days);
        policy.first_interval = Duration::ZERO;
        policy.backoff_coefficient = 1.0;
        let mut retry = RetryLoop::new(policy, START);
        assert_eq!(retry.failed(START, false, || true), AfterFailure::Fail);
    }
}
