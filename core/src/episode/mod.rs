//! From messages to a commit plan: the dispatcher of one episode (chapter 04 §1).
//!
//! A pure state machine that asynchronous code drives: [`Episode::begin`] sorts the messages into
//! the state, the caller lets an executor run [`Episode::work`], [`Episode::apply`] turns the
//! decisions into history and messages, as often as the execution continues as new, and
//! [`Episode::into_plan`] says what has to become durable, and in which order.

mod convert;
mod errors;
mod reconcile;
mod state;
mod trace;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use crate::{
    EpisodeResult, EpisodeWork, EventKind, HistoryEvent, OrchestrationInstance,
    OrchestrationStatus, TaskMessage, Timestamp,
};

pub use errors::{ErrorMode, exception_text, task_failed_event};
pub use state::RuntimeState;

/// Time and ids, which the engine does not make itself.
pub trait Stamps {
    /// The current time, one 100-ns tick later at least than the time it gave before. Two
    /// commits of one worker can be told apart by it (design: unknown outcomes).
    fn now(&mut self) -> Timestamp;

    /// A new execution id: 32 random lower-case hex digits.
    fn new_execution_id(&mut self) -> String;
}

/// How episodes are recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct EpisodeOptions {
    /// Whether inputs of activities and children are kept in history (`IncludeParameters`).
    pub include_parameters: bool,
    /// What failure events carry.
    pub error_mode: ErrorMode,
}

/// What to do with a batch of messages.
#[derive(Debug)]
pub enum Begun {
    /// Run the orchestrator.
    Run(Box<Episode>),
    /// There is nothing to run.
    Discard(Discarded),
}

/// A batch of messages that starts no episode.
#[derive(Debug)]
pub struct Discarded {
    /// The state as it was.
    pub state: RuntimeState,
    /// The messages as they were.
    pub messages: Vec<TaskMessage>,
    /// Why.
    pub reason: DiscardReason,
}

/// Why a batch of messages starts no episode (chapter 02 §4.6, chapter 04 §1.3, §1.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DiscardReason {
    /// No history and no start among the messages.
    NoSuchInstance,
    /// History without a start, and none among the messages.
    InvalidHistory,
    /// The execution has ended. The instance row may need repair.
    Finished,
    /// Every message is for another execution, a second start or a duplicate, and history leaves
    /// nothing to do.
    NothingNew,
}

/// What follows after decisions were taken up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// The execution continued as new: open a fresh run and give it [`Episode::work`] again.
    RunAgain,
    /// The episode is over: ask for the plan.
    Done,
}

/// A message on its way out.
#[derive(Debug, Clone, PartialEq)]
pub enum Outbound {
    /// To the control queue of its target.
    ToInstance(TaskMessage),
    /// A `TimerFired` to the instance's own control queue, held back until it is due.
    Timer(TaskMessage),
    /// To the work-item queue.
    Activity(TaskMessage),
}

/// What has to become durable: messages first, then rows, then the instance row.
#[derive(Debug)]
pub struct CommitPlan {
    /// In the order of chapter 02 §8.1 step 4: to instances, timers, activities; within each in
    /// the order of their decision.
    pub outbound: Vec<Outbound>,
    /// The state with the new events, which stay its new events until
    /// [`RuntimeState::committed`].
    pub state: RuntimeState,
    /// Index of the row of the first new event: how many rows stay as they are.
    pub first_row: usize,
    /// Whether the execution continued as new: rows start over at 0 under the old sentinel.
    pub execution_changed: bool,
    /// Whether the execution has ended.
    pub finished: bool,
}

/// One episode, or several when the execution continues as new, in the making.
#[derive(Debug)]
pub struct Episode {
    instance: OrchestrationInstance,
    state: RuntimeState,
    options: EpisodeOptions,
    outbound: convert::Outboxes,
    /// Whether messages or continue-as-new added events; otherwise an episode without decisions
    /// leaves no trace.
    moved: bool,
    execution_changed: bool,
}

impl Episode {
    /// Sorts messages into the state and opens an episode, unless there is nothing to run.
    pub fn begin(
        state: RuntimeState,
        messages: Vec<TaskMessage>,
        options: &EpisodeOptions,
        stamps: &mut dyn Stamps,
    ) -> Begun {
        todo!()
    }

    /// The work of a fresh run: all of history, then this episode.
    pub fn work(&self) -> EpisodeWork {
        todo!()
    }

    /// The work of a run that has seen all of history: this episode only.
    pub fn resume_work(&self) -> EpisodeWork {
        todo!()
    }

    /// Takes up what the orchestrator decided.
    ///
    /// A gate in front of the executor (versions, unknown names that should fail) calls this with
    /// a completion of its own instead of running the orchestrator.
    pub fn apply(&mut self, result: EpisodeResult, stamps: &mut dyn Stamps) -> Next {
        todo!()
    }

    /// What has to become durable. `None` new events mean that nothing has: the messages told
    /// nothing new, and history left nothing to decide.
    pub fn into_plan(self) -> CommitPlan {
        todo!()
    }
}
