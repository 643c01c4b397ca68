//! Calls that are tried again when they fail.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use durabletask_core::replay::{
    self, AfterFailure, CallSite, Replay, RetryLoop, SubOrchestrationCall, TaskId, TaskOutcome,
};
use durabletask_core::{Tags, Timestamp};

use crate::Failure;
use crate::series::Goes;

type Handler = Arc<dyn Fn(&Failure) -> bool + Send + Sync>;

/// When a failed activity or child orchestration is called again.
///
/// Every pause is a durable timer. After the last attempt has failed there is one more timer, due
/// at once, which .NET's histories have too. Failures that are
/// [non-retriable](Failure::non_retriable) are not retried.
///
/// ```
/// use std::time::Duration;
///
/// use durabletask_worker::prelude::*;
///
/// #[activity]
/// async fn charge(_: ActivityContext, cents: u32) -> Result<u32> {
///     Ok(cents)
/// }
///
/// #[orchestrator]
/// async fn order(ctx: OrchestrationContext, cents: u32) -> Result<u32> {
///     let patient = RetryPolicy::new(5, Duration::from_secs(1))
///         .backoff(2.0)
///         .max_interval(Duration::from_secs(60))
///         .only_if(|failure| failure.details().error_type != "Shop.Declined");
///     ctx.call_with(charge, cents, CallOptions::new().retry(patient)).await
/// }
/// ```
#[derive(Clone)]
#[must_use]
pub struct RetryPolicy {
    policy: replay::RetryPolicy,
    handler: Option<Handler>,
}

impl RetryPolicy {
    /// So many attempts in all, the first included, with this pause between them.
    pub fn new(max_attempts: u32, first_interval: Duration) -> Self {
        Self {
            policy: replay::RetryPolicy::new(max_attempts, first_interval),
            handler: None,
        }
    }

    /// Makes each pause that many times as long as the one before.
    pub fn backoff(mut self, coefficient: f64) -> Self {
        self.policy.backoff_coefficient = coefficient;
        self
    }

    /// The longest pause; 6 days if it is longer, or not given.
    pub fn max_interval(mut self, longest: Duration) -> Self {
        self.policy.max_interval = Some(longest);
        self
    }

    /// Does not retry failures that come this long after the call or later. An attempt under way
    /// is not interrupted.
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.policy.timeout = Some(limit);
        self
    }

    /// Retries only failures of which `handler` says so. It is run again in every replay and
    /// follows the rules of orchestrator code; a panic counts as no.
    pub fn only_if(mut self, handler: impl Fn(&Failure) -> bool + Send + Sync + 'static) -> Self {
        self.handler = Some(Arc::new(handler));
        self
    }

    pub(crate) const fn policy(&self) -> &replay::RetryPolicy {
        &self.policy
    }
}

impl fmt::Debug for RetryPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RetryPolicy")
            .field("policy", &self.policy)
            .field("has_handler", &self.handler.is_some())
            .finish()
    }
}

/// What is called, once or again and again.
#[derive(Debug, Clone)]
pub(crate) enum Called {
    Activity {
        name: String,
        version: Option<String>,
        input: String,
        tags: Option<Tags>,
    },
    Child(SubOrchestrationCall),
}

impl Called {
    /// Makes the call: a new task.
    pub(crate) fn call(self, replay: &mut Replay, at: CallSite) -> TaskId {
        match self {
            Self::Activity {
                name,
                version,
                input,
                tags,
            } => replay.schedule_task(&name, version.as_deref(), Some(input), tags, at),
            Self::Child(call) => replay.create_sub_orchestration(call, at),
        }
    }
}

/// A retried call under way: an attempt, or the timer behind one.
pub(crate) struct Retried {
    called: Called,
    at: CallSite,
    retries: RetryLoop,
    handler: Option<Handler>,
    /// The failure that the timer after the last attempt holds back.
    last: Option<TaskOutcome>,
}

impl Retried {
    pub(crate) fn new(called: Called, policy: RetryPolicy, now: Timestamp, at: CallSite) -> Self {
        Self {
            called,
            at,
            retries: RetryLoop::new(policy.policy, now),
            handler: policy.handler,
            last: None,
        }
    }

    /// What the handler says about a failure. It is user code: to be called without any lock.
    pub(crate) fn ask(&self, outcome: &TaskOutcome) -> bool {
        match (&self.handler, outcome) {
            (Some(handler), TaskOutcome::Failed(failed)) => {
                let failure = Failure::of_task((**failed).clone());
                catch_unwind(AssertUnwindSafe(|| handler(&failure))).unwrap_or(false)
            }
            _ => true,
        }
    }

    /// Takes up the answer to the current task.
    pub(crate) fn answered(
        mut self,
        outcome: TaskOutcome,
        retries_it: bool,
        replay: &mut Replay,
    ) -> Goes<Self> {
        let next = match &outcome {
            TaskOutcome::Completed(_) => return Goes::Ends(outcome),
            TaskOutcome::Fired => match self.last.take() {
                Some(failure) => return Goes::Ends(failure),
                None => self.called.clone().call(replay, self.at),
            },
            TaskOutcome::Failed(failed) => {
                let is_final = failed.failure.as_ref().is_some_and(|f| f.is_non_retriable);
                let after = self.retries.failed(replay.now(), is_final, || retries_it);
                let due = match after {
                    AfterFailure::Fail => return Goes::Ends(outcome),
                    AfterFailure::Retry(due) => due,
                    AfterFailure::FailAfterTimer(due) => {
                        self.last = Some(outcome);
                        due
                    }
                };
                replay.create_timer(due, self.at)
            }
        };
        Goes::On(next, self)
    }
}
