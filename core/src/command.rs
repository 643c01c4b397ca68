//! Commands: what an orchestrator decided in an episode.

use crate::{
    FailureDetails, HistoryEvent, OrchestrationInstance, OrchestrationStatus, Tags, Timestamp,
};

/// A decision with its task id. Ids come from one counter per execution, starting at 0, in
/// program order (chapter 04 §2.1).
#[derive(Debug, Clone, PartialEq)]
pub struct Command {
    /// The task id, which becomes the event id of the history row.
    pub id: i32,
    /// What to do.
    pub action: Action,
}

/// What the orchestrator wants done (chapter 04 §1.8).
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Run an activity.
    ScheduleTask {
        /// The activity's name.
        name: String,
        /// The activity's version; `None` is written as the orchestration's own.
        version: Option<String>,
        /// Input text: a JSON array of the arguments.
        input: Option<String>,
        /// Tags of the call.
        tags: Option<Tags>,
    },
    /// Start a timer.
    CreateTimer {
        /// When it is due.
        fire_at: Timestamp,
    },
    /// Start a child orchestration.
    CreateSubOrchestration {
        /// The child orchestrator's name.
        name: String,
        /// The child orchestrator's version; `None` is written as
        /// [`EpisodeOptions::child_version`](crate::episode::EpisodeOptions::child_version).
        version: Option<String>,
        /// The child's instance id; `None` or blank lets the engine make
        /// `{execution id}:{task id}`.
        instance_id: Option<String>,
        /// Input text.
        input: Option<String>,
        /// Tags of the call, merged with the parent's.
        tags: Option<Tags>,
    },
    /// Send an event to another instance.
    SendEvent {
        /// The target, usually without execution id.
        target: OrchestrationInstance,
        /// The event's name.
        name: String,
        /// The event's payload.
        input: Option<String>,
    },
    /// End the execution.
    Complete(Box<Completion>),
}

/// How an execution ends.
#[derive(Debug, Clone, PartialEq)]
pub struct Completion {
    /// Completed, Failed, Terminated or `ContinuedAsNew`.
    pub status: OrchestrationStatus,
    /// Output text, failure message, termination reason, or the next execution's input.
    pub result: Option<String>,
    /// The serialised exception for the parent, in the exceptions error mode. Not stored.
    pub details: Option<String>,
    /// The failure.
    pub failure: Option<FailureDetails>,
    /// Only a parent is told details and failure; the instance's output is the result alone, as
    /// in-process functions leave it (chapter 04 §4.5).
    pub is_bare: bool,
    /// The next execution's version, if it changes.
    pub new_version: Option<String>,
    /// Events for the next execution, whole.
    pub carryover: Vec<HistoryEvent>,
    /// Whether the next execution begins a new trace.
    pub new_trace: bool,
}

impl Completion {
    /// An end with that status and result and nothing else.
    pub const fn new(status: OrchestrationStatus, result: Option<String>) -> Self {
        Self {
            status,
            result,
            details: None,
            failure: None,
            is_bare: false,
            new_version: None,
            carryover: Vec::new(),
            new_trace: false,
        }
    }
}
