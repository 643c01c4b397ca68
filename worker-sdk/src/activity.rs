//! What an activity sees of the world, and how it is run.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use ::futures::FutureExt as _;
use durabletask_core::{
    ActivityOutcome, ActivityWork, BoxFuture, FailureDetails, Tags, TraceContext,
};
use durabletask_storage::Env;

use tracing::Instrument as _;

use crate::failure::TIME_LIMIT_EXCEEDED;
use crate::run::panic_message;
use crate::{Activity, Failure, Result, payload};

/// One run of an activity.
///
/// An activity runs at least once: a worker that dies half-way, or whose answer is lost, leaves
/// it to be run again. [`orchestration_id`](Self::orchestration_id) and
/// [`task_id`](Self::task_id) name the call and make a good idempotency key.
#[derive(Debug, Clone)]
pub struct ActivityContext(Arc<ActivityWork>);

impl ActivityContext {
    /// The instance id of the orchestration that wants the result.
    pub fn orchestration_id(&self) -> &str {
        &self.0.instance.instance_id
    }

    /// The execution of the orchestration that wants the result.
    pub fn execution_id(&self) -> &str {
        self.0.instance.execution_id.as_deref().unwrap_or_default()
    }

    /// The number of this call in its orchestration's execution.
    pub fn task_id(&self) -> i32 {
        self.0.task_id
    }

    /// The name under which it was called.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// The version that was asked for, if any.
    pub fn version(&self) -> Option<&str> {
        let version = self.0.version.as_deref();
        version.filter(|version| !version.is_empty())
    }

    /// Tags of the call.
    pub fn tags(&self) -> Option<&Tags> {
        self.0.tags.as_ref()
    }

    /// Tags of the orchestration.
    pub fn orchestration_tags(&self) -> Option<&Tags> {
        self.0.orchestration_tags.as_ref()
    }

    /// The W3C trace context of this call, to pass on; `None` if its orchestration is not traced.
    pub fn trace_context(&self) -> Option<&TraceContext> {
        self.0.trace_context.as_ref()
    }

    /// How often the call was delivered, this time included: above 1 it may have run before.
    pub fn delivery_count(&self) -> u32 {
        self.0.dequeue_count
    }
}

/// Runs an activity of any type.
pub(crate) type RunActivity =
    Arc<dyn Fn(ActivityWork, Env) -> BoxFuture<'static, ActivityOutcome> + Send + Sync>;

pub(crate) fn run_of<A: Activity>(activity: A) -> RunActivity {
    let activity = Arc::new(activity);
    Arc::new(move |work, env| {
        let activity = Arc::clone(&activity);
        let trace = work.trace_context.as_ref();
        let span = tracing::info_span!(
            "activity",
            name = A::NAME,
            instance_id = work.instance.instance_id,
            task_id = work.task_id,
            trace_parent = trace.and_then(|trace| trace.trace_parent.as_deref()),
        );
        let ran = async move {
            // The input is read inside, where a panic of its `Deserialize` is caught too.
            let run = async {
                match A::TIME_LIMIT {
                    None => run(&*activity, work).await,
                    Some(limit) => {
                        let run = env.timeout(limit, run(&*activity, work)).await;
                        run.unwrap_or_else(|_| Err(overdue(A::NAME, limit)))
                    }
                }
            };
            match AssertUnwindSafe(run).catch_unwind().await {
                Ok(Ok(output)) => ActivityOutcome::Completed(Some(output)),
                Ok(Err(failure)) => ActivityOutcome::Failed(failure.into_details()),
                Err(panic) => {
                    ActivityOutcome::Failed(FailureDetails::new("panic", panic_message(&*panic)))
                }
            }
        };
        Box::pin(ran.instrument(span))
    })
}

fn overdue(name: &str, limit: Duration) -> Failure {
    let message = format!("the activity '{name}' exceeded its time limit of {limit:?}");
    Failure::new(TIME_LIMIT_EXCEEDED, message)
}

async fn run<A: Activity>(activity: &A, work: ActivityWork) -> Result<String, Failure> {
    let work = Arc::new(work);
    let input = payload::read_argument(work.input.as_deref(), || {
        format!("the input of '{}'", A::NAME)
    })?;
    let output = activity.run(ActivityContext(work), input).await?;
    payload::write(&output, || format!("the result of '{}'", A::NAME))
}
