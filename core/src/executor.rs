//! The seam between the provider and whatever runs user code: the Rust SDK, or a remote SDK.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use crate::{Command, FailureDetails, HistoryEvent, OrchestrationInstance, Tags, TraceContext};

/// Name of the activity that sends an HTTP request for an orchestrator. A Functions host runs it
/// itself; a Rust worker does if it is told to (chapter 05 §8.1).
pub const HTTP_ACTIVITY_NAME: &str = "BuiltIn::HttpActivity";

/// A boxed future that may move between threads.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Runs orchestrators.
pub trait OrchestrationExecutor: Send + Sync {
    /// A run of that orchestrator, not yet started, or `None` if the name is not registered.
    fn open(&self, name: &str, version: Option<&str>) -> Option<Box<dyn OrchestrationRun>>;

    /// Whether an orchestrator of that name is registered with exactly that version, which is not
    /// empty. It is then run even if it is newer than the worker's own version.
    fn declares(&self, _name: &str, _version: &str) -> bool {
        false
    }

    /// The registered names in order, for messages about unknown ones.
    fn names(&self) -> Vec<String>;
}

/// One execution of an orchestrator in memory. Dropping it destroys the suspended user code and
/// records nothing.
pub trait OrchestrationRun: Send {
    /// Takes up events that this run has not seen and returns what the orchestrator decided.
    ///
    /// A fresh run gets the whole history; a run that is kept between episodes (a sticky session)
    /// gets only the new events, `past` being empty then. After an error the run is dropped.
    fn execute(&mut self, work: EpisodeWork)
    -> BoxFuture<'_, Result<EpisodeResult, ExecutorError>>;

    /// Bytes that the suspended orchestrator holds, roughly, for the session budget.
    fn held_bytes(&self) -> usize;
}

/// The events of one episode.
#[derive(Debug, Clone)]
pub struct EpisodeWork {
    /// The instance and its current execution.
    pub instance: OrchestrationInstance,
    /// History that this run has not seen, replayed silently.
    pub past: Vec<Arc<HistoryEvent>>,
    /// The events of this episode, from OrchestratorStarted on. Their `is_played` is already what
    /// history will say; an executor tells replay from the list that an event is in.
    pub new: Vec<Arc<HistoryEvent>>,
}

/// What an orchestrator decided.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct EpisodeResult {
    /// Decisions that are not in history yet, in ascending order of their ids.
    pub commands: Vec<Command>,
    /// The custom status as it stands now, JSON text; replaces the stored one, `None` included.
    pub custom_status: Option<String>,
}

/// An episode that must not be committed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ExecutorError {
    /// The orchestrator did something that cannot be replayed, such as awaiting what is not
    /// durable. The messages are put back and the error is logged.
    #[error("the episode was aborted: {0}")]
    Aborted(String),
    /// The executor is shutting down or lost its connection. The messages are put back.
    #[error("the executor is gone: {0}")]
    Unavailable(String),
}

/// Runs activities.
pub trait ActivityExecutor: Send + Sync {
    /// Whether that activity is registered.
    fn knows(&self, name: &str) -> bool;

    /// The registered names in order, for messages about unknown ones.
    fn names(&self) -> Vec<String>;

    /// Runs a registered activity to its end. Panics of user code are failures, not errors.
    fn run(&self, work: ActivityWork)
    -> BoxFuture<'static, Result<ActivityOutcome, ExecutorError>>;
}

/// One activity to run.
#[derive(Debug, Clone)]
pub struct ActivityWork {
    /// The orchestration that wants the result.
    pub instance: OrchestrationInstance,
    /// Its task id of this call.
    pub task_id: i32,
    /// The activity's name.
    pub name: String,
    /// The activity's version.
    pub version: Option<String>,
    /// Input text: a JSON array of the arguments, by convention.
    pub input: Option<String>,
    /// Tags of the call.
    pub tags: Option<Tags>,
    /// Tags of the orchestration.
    pub orchestration_tags: Option<Tags>,
    /// The caller's trace context.
    pub trace_context: Option<TraceContext>,
    /// How often the message was delivered, this time included; above 1 it may have run before.
    pub dequeue_count: u32,
}

/// How an activity ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ActivityOutcome {
    /// With a result text.
    Completed(Option<String>),
    /// With a failure; the error mode decides which columns carry it.
    Failed(FailureDetails),
}
