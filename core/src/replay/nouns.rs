//! What executors and replay say to each other.

use std::panic::Location;
use std::time::Duration;

use crate::{FailureDetails, HistoryEvent, Tags};

/// Where user code made a durable call.
pub type CallSite = &'static Location<'static>;

/// Which kind of .NET orchestrator an orchestrator agrees with, id by id (chapter 04 §0).
///
/// Usually told from history itself, see [`Flavour::of`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Flavour {
    /// Ours: the isolated GUIDs and long timers, Core's child ids and failure texts.
    #[default]
    Rust,
    /// Plain `DurableTask.Core`: timers are never split.
    Core,
    /// Durable Functions in process, and the shim for Python 1.x and JavaScript: long timers and
    /// failure texts of their own.
    InProc,
    /// Durable Functions isolated: ids of children are deterministic GUIDs.
    Isolated,
}

impl Flavour {
    /// The flavour of an execution that began with that event, which is history if `replaying`:
    ///
    /// - stored as not played: a Functions host had a worker of another process run its first
    ///   episode, which is [`Isolated`](Self::Isolated); everybody else stores it as played.
    /// - without a version, which Functions hosts leave out (from extension 3 on, unless
    ///   `defaultVersion` is set) and others write as empty: [`InProc`](Self::InProc).
    /// - else ours. Plain Core looks the same, and differs in nothing but the longest timers.
    ///
    /// The event never changes, so that every replay of an execution comes to the same answer.
    pub fn of(start: &HistoryEvent, replaying: bool) -> Self {
        let has_version = start.as_started().is_none_or(|s| s.version.is_some());
        if replaying && !start.is_played {
            Self::Isolated
        } else if has_version {
            Self::Rust
        } else {
            Self::InProc
        }
    }
}

/// How an execution is replayed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReplayOptions {
    /// Whose habits to follow, if history shall not tell ([`Flavour::of`]).
    pub flavour: Option<Flavour>,
    /// Pause before a durable HTTP call asks again, if the answer does not say how long
    /// (`httpSettings.defaultAsyncRequestSleepTimeMilliseconds`).
    pub http_poll_pause: Duration,
}

/// Default of [`ReplayOptions::http_poll_pause`], as in Durable Functions.
const HTTP_POLL_PAUSE_SECONDS: u64 = 30;

impl Default for ReplayOptions {
    fn default() -> Self {
        Self {
            flavour: None,
            http_poll_pause: Duration::from_secs(HTTP_POLL_PAUSE_SECONDS),
        }
    }
}

/// The number of a durable call, from one counter per execution (chapter 04 §2.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TaskId(pub i32);

/// One wait for an external event. Takes no number from the task counter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WaitId(pub u64);

/// Something that user code can see. Poll it until nothing moves, then ask for the next.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// The orchestrator begins; name, input and the rest are in [`Replay::started`](super::Replay::started).
    Start,
    /// A task has its answer.
    Resolved {
        /// Which.
        task: TaskId,
        /// How it ended.
        outcome: TaskOutcome,
    },
    /// An external event is there for this wait; [`Replay::take_event`](super::Replay::take_event) hands it out.
    Event {
        /// Which.
        wait: WaitId,
    },
}

/// How a task ended.
#[derive(Debug, Clone, PartialEq)]
pub enum TaskOutcome {
    /// An activity or a child, with its result text.
    Completed(Option<String>),
    /// An activity or a child failed.
    Failed(Box<TaskFailure>),
    /// A timer fired.
    Fired,
}

/// A failed activity or child, with everything that some writer may have left out
/// (chapter 04 §4.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskFailure {
    /// The name that the orchestrator called.
    pub name: String,
    /// The task.
    pub task: TaskId,
    /// Whether it was a child orchestration.
    pub is_child: bool,
    /// The failure's message.
    pub reason: Option<String>,
    /// The serialised exception or free text.
    pub details: Option<String>,
    /// The structured failure.
    pub failure: Option<FailureDetails>,
}

/// A call of a child orchestration.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SubOrchestrationCall {
    /// The orchestrator's name.
    pub name: String,
    /// Its version.
    pub version: Option<String>,
    /// Its instance id; `None` or blank for the default of the flavour.
    pub instance_id: Option<String>,
    /// Input text.
    pub input: Option<String>,
    /// Tags of the call.
    pub tags: Option<Tags>,
    /// Start it and never hear from it again (chapter 04 §6.6).
    pub fire_and_forget: bool,
}

/// What a continue-as-new may change besides the input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContinueOptions {
    /// The next execution's version, if it changes.
    pub new_version: Option<String>,
    /// Whether events that nobody has taken travel along; the default, unlike .NET's in-process
    /// flavour, because what was received must not vanish.
    pub keep_events: bool,
    /// Whether the next execution begins a new trace.
    pub new_trace: bool,
}

impl Default for ContinueOptions {
    fn default() -> Self {
        Self {
            new_version: None,
            keep_events: true,
            new_trace: false,
        }
    }
}

/// How the orchestrator function ended.
#[derive(Debug, Clone, PartialEq)]
pub enum Finish {
    /// With an output text.
    Completed(Option<String>),
    /// With a failure. `message` becomes the result, `details` reaches only the parent.
    Failed {
        /// The failure's message.
        message: String,
        /// The structured failure.
        failure: FailureDetails,
        /// The serialised exception, if the executor has one of its own.
        details: Option<String>,
        /// The instance's output is the message alone; only a parent is told the failure.
        is_bare: bool,
    },
}
