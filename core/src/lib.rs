//! The nouns of durable orchestrations and the engine that replays them.
//!
//! Pure: history in, commands out. Nothing here reads a clock, draws a random number, spawns a
//! task or talks to anything; whoever calls in brings time and ids along.

mod command;
pub mod episode;
mod event;
mod executor;
mod failure;
#[cfg(test)]
mod harness;
pub mod http_date;
mod ids;
mod message;
pub mod replay;
mod status;
mod tags;
mod text;
mod time;
pub mod time_span;
mod trace;
mod version;

pub use command::{Action, Command, Completion};
pub use event::{
    EventKind, EventRaised, EventType, ExecutionCompleted, ExecutionRewound, ExecutionStarted,
    HistoryEvent, NO_EVENT_ID, SPLIT_TIMER_ID, SubOrchestrationCreated, TaskFailed, TaskScheduled,
};
pub use executor::{
    ActivityExecutor, ActivityOutcome, ActivityWork, BoxFuture, EpisodeResult, EpisodeWork,
    ExecutorError, HTTP_ACTIVITY_NAME, OrchestrationExecutor, OrchestrationRun,
};
pub use failure::FailureDetails;
pub use ids::{
    FIRE_AND_FORGET_TAG, OrchestrationInstance, ParentInstance, TERMINATE_WITH_PARENT_TAG,
    merge_tags,
};
pub use message::TaskMessage;
pub use status::{OrchestrationStatus, UnknownStatus};
pub use tags::{MAX_TAG_BYTES, Tags};
pub use time::{Timestamp, TimestampError};
pub use trace::TraceContext;
pub use version::compare_versions;
