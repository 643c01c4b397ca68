//! When to send again, and what to say when that ends (design.md §6, "Unknown outcomes").

use std::time::Duration;

use super::attempt::{Failure, Sent};
use super::request::Request;
use crate::azure::options::{AzureOptions, RetryLimits};
use crate::env::Env;
use crate::error::{ErrorKind, StorageError};

/// Pauses are varied by this part, up and down, so that workers do not come back in step.
const JITTER: f64 = 0.25;
/// No attempt gets less time than this, however near the end of all is.
const SHORTEST_ATTEMPT: Duration = Duration::from_secs(1);

/// The attempts of one request.
pub(super) struct Tries<'a> {
    request: &'a Request,
    limits: &'a RetryLimits,
    env: &'a Env,
    began: Duration,
    number: u32,
    /// An attempt that could have had an effect went unanswered.
    unknown: bool,
    /// Some attempt left this machine.
    sent: bool,
}

impl<'a> Tries<'a> {
    pub(super) fn new(request: &'a Request, limits: &'a RetryLimits, env: &'a Env) -> Self {
        Self {
            request,
            limits,
            env,
            began: env.monotonic(),
            number: 1,
            unknown: false,
            sent: false,
        }
    }

    /// The attempt that is next or under way, from 1.
    pub(super) fn number(&self) -> u32 {
        self.number
    }

    /// How long the next attempt may take.
    pub(super) fn attempt_limit(&self, options: &AzureOptions) -> Duration {
        if self.request.lease {
            let left = self.limits.lease_total_limit.saturating_sub(self.elapsed());
            options
                .lease_attempt_limit
                .min(left)
                .max(SHORTEST_ATTEMPT.min(options.lease_attempt_limit))
        } else {
            options.attempt_limit
        }
    }

    /// A definite refusal, marked if it may be the echo of an earlier attempt.
    pub(super) fn refused(&self, error: StorageError) -> StorageError {
        if self.unknown {
            error.after_unknown()
        } else {
            error
        }
    }

    /// The pause before the next attempt, or the error if there is none.
    pub(super) fn next(&mut self, failure: Failure) -> Result<Duration, StorageError> {
        match failure.sent {
            Sent::No => {}
            Sent::Rejected => self.sent = true,
            Sent::Maybe => {
                self.sent = true;
                self.unknown |= self.request.repeat.has_effect();
            }
        }
        let max_attempts = if self.sent {
            self.limits.max_attempts
        } else {
            self.limits.max_connect_attempts
        };
        let total_limit = if self.request.lease {
            self.limits.lease_total_limit
        } else {
            self.limits.total_limit
        };
        let pause = failure
            .retry_after
            .unwrap_or_default()
            .max(self.own_pause());
        if failure.last || self.number >= max_attempts || self.elapsed() + pause > total_limit {
            return Err(self.give_up(failure));
        }
        tracing::info!(
            operation = self.request.operation,
            resource = self.request.resource,
            attempt = self.number,
            pause_ms = pause.as_millis(),
            reason = failure.detail,
            "storage request is repeated"
        );
        self.number += 1;
        Ok(pause)
    }

    fn own_pause(&self) -> Duration {
        let doublings = self.number.saturating_sub(1).min(16);
        let pause = self
            .limits
            .first_pause
            .saturating_mul(1 << doublings)
            .min(self.limits.longest_pause);
        pause.mul_f64(1.0 - JITTER + 2.0 * JITTER * self.env.random_unit())
    }

    fn elapsed(&self) -> Duration {
        self.env.monotonic().saturating_sub(self.began)
    }

    fn give_up(&self, failure: Failure) -> StorageError {
        let kind = if self.unknown {
            ErrorKind::UnknownOutcome
        } else {
            failure.kind
        };
        let times = match self.number {
            1 => String::new(),
            number => format!(" in {number} attempts"),
        };
        let mut error =
            StorageError::new(kind, self.request.operation, self.request.resource.clone())
                .with_detail(format!("{}{times}", failure.detail));
        if self.unknown {
            error = error.after_unknown();
        }
        if let Some(status) = failure.status {
            error = error.with_status(status);
        }
        if let Some(code) = failure.code {
            error = error.with_code(code);
        }
        if let Some(pause) = failure.retry_after {
            error = error.with_retry_after(pause);
        }
        match failure.source {
            Some(source) => error.with_source(source),
            None => error,
        }
    }
}
