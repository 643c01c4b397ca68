//! History events: the entries of an instance's history and the payloads of messages.

use crate::{
    FailureDetails, OrchestrationInstance, OrchestrationStatus, ParentInstance, Tags, Timestamp,
    TraceContext,
};

/// The event id of every event that is not a decision of the orchestrator.
pub const NO_EVENT_ID: i32 = -1;

/// The timer id with which .NET splits an over-large episode; replay ignores it
/// (chapter 04 §1.9).
pub const SPLIT_TIMER_ID: i32 = -100;

/// One entry of a history, or the payload of one message (chapter 02 §1.7, chapter 03 §1.6).
///
/// All payload strings are opaque text; SDKs put JSON in them.
#[derive(Debug, Clone, PartialEq)]
pub struct HistoryEvent {
    /// Task id for decisions (`TaskScheduled`, `TimerCreated`, `SubOrchestrationCreated`,
    /// `EventSent`, `ExecutionCompleted`), [`NO_EVENT_ID`] for all others.
    pub event_id: i32,
    /// Whether a Core-like executor has processed it (chapter 03 §1.5). Without influence on
    /// replay.
    pub is_played: bool,
    /// When the event was created, on the machine that created it.
    pub timestamp: Timestamp,
    /// What happened.
    pub kind: EventKind,
}

/// What an event says.
#[derive(Debug, Clone, PartialEq)]
pub enum EventKind {
    /// The orchestration begins.
    ExecutionStarted(Box<ExecutionStarted>),
    /// The orchestration has ended.
    ExecutionCompleted(ExecutionCompleted),
    /// The execution ended to continue as new; .NET never stores it.
    ContinueAsNew(ExecutionCompleted),
    /// A client asked for termination.
    ExecutionTerminated {
        /// The reason, which becomes the output.
        input: Option<String>,
    },
    /// A client asked to suspend.
    ExecutionSuspended {
        /// The reason, shown as output meanwhile.
        reason: Option<String>,
    },
    /// A client asked to resume.
    ExecutionResumed {
        /// The reason, shown as output.
        reason: Option<String>,
    },
    /// Core's own rewind. Readable in histories; never sent (chapter 02 §1.7).
    ExecutionRewound(Box<ExecutionRewound>),
    /// The orchestrator scheduled an activity; also the message to run it.
    TaskScheduled(Box<TaskScheduled>),
    /// An activity answered.
    TaskCompleted {
        /// The task that is answered.
        task_scheduled_id: i32,
        /// Its result.
        result: Option<String>,
    },
    /// An activity failed.
    TaskFailed(Box<TaskFailed>),
    /// The orchestrator started a child.
    SubOrchestrationCreated(Box<SubOrchestrationCreated>),
    /// A child answered.
    SubOrchestrationCompleted {
        /// The task that is answered.
        task_scheduled_id: i32,
        /// The child's output.
        result: Option<String>,
    },
    /// A child failed or was terminated.
    SubOrchestrationFailed(Box<TaskFailed>),
    /// The orchestrator started a timer.
    TimerCreated {
        /// When it is due.
        fire_at: Timestamp,
    },
    /// A timer fired. Its event is stamped with the time at which the timer was *created*.
    TimerFired {
        /// The timer's task id.
        timer_id: i32,
        /// When it was due.
        fire_at: Timestamp,
    },
    /// An episode begins; its timestamp is the orchestrator's time.
    OrchestratorStarted,
    /// An episode ends.
    OrchestratorCompleted,
    /// The orchestrator sent an event to another instance.
    EventSent {
        /// The target's instance id.
        instance_id: Option<String>,
        /// The event's name.
        name: Option<String>,
        /// The event's payload.
        input: Option<String>,
    },
    /// An external event arrived.
    EventRaised(Box<EventRaised>),
    /// Wakes the instance and says nothing (rewinds, anchors); also what rewinds leave behind.
    Generic {
        /// The reason or note.
        data: Option<String>,
    },
    /// Defined by Core, used by nobody.
    HistoryState {
        /// JSON text.
        state: Option<String>,
    },
}

/// The orchestration begins.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ExecutionStarted {
    /// The instance and the execution that this event begins.
    pub instance: OrchestrationInstance,
    /// Who wants the result.
    pub parent: Option<ParentInstance>,
    /// The orchestrator's name.
    pub name: Option<String>,
    /// The orchestrator's version; `Some("")` and `None` both mean unversioned.
    pub version: Option<String>,
    /// Input text.
    pub input: Option<String>,
    /// Tags, inherited by children.
    pub tags: Option<Tags>,
    /// Legacy correlation document, kept as it is.
    pub correlation: Option<String>,
    /// The starter's trace context.
    pub parent_trace_context: Option<TraceContext>,
    /// Not to run before this time.
    pub scheduled_start_time: Option<Timestamp>,
    /// How often clients have re-created the instance; `None` for children and continue-as-new.
    pub generation: Option<i32>,
    /// Whether continue-as-new asked for a fresh trace.
    pub generate_new_trace: bool,
}

/// The orchestration has ended.
#[derive(Debug, Clone, PartialEq)]
pub struct ExecutionCompleted {
    /// How it ended.
    pub status: OrchestrationStatus,
    /// Output text, failure message, or new input (continue-as-new).
    pub result: Option<String>,
    /// The failure, in the failure-details error mode.
    pub failure: Option<FailureDetails>,
}

/// Core's own rewind.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ExecutionRewound {
    /// Why.
    pub reason: Option<String>,
    /// The parent's new execution id.
    pub parent_execution_id: Option<String>,
    /// The rewound child.
    pub instance_id: Option<String>,
    /// Trace context of whoever rewinds.
    pub parent_trace_context: Option<TraceContext>,
}

/// The orchestrator scheduled an activity.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TaskScheduled {
    /// The activity's name.
    pub name: Option<String>,
    /// The activity's version.
    pub version: Option<String>,
    /// Input: by convention a JSON array of the arguments.
    pub input: Option<String>,
    /// Trace id of the orchestration with a span id for this call.
    pub parent_trace_context: Option<TraceContext>,
    /// Tags of the call.
    pub tags: Option<Tags>,
}

/// An activity or a child failed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TaskFailed {
    /// The task that is answered.
    pub task_scheduled_id: i32,
    /// The failure's message.
    pub reason: Option<String>,
    /// The serialised exception, in the exceptions error mode.
    pub details: Option<String>,
    /// The failure, in the failure-details error mode.
    pub failure: Option<FailureDetails>,
}

/// The orchestrator started a child.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SubOrchestrationCreated {
    /// The child orchestrator's name.
    pub name: Option<String>,
    /// The child orchestrator's version.
    pub version: Option<String>,
    /// The child's instance id.
    pub instance_id: Option<String>,
    /// The child's input, if inputs are stored in history.
    pub input: Option<String>,
    /// The span id of the call.
    pub client_span_id: Option<String>,
    /// The child's merged tags.
    pub tags: Option<Tags>,
}

/// An external event arrived.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct EventRaised {
    /// The event's name.
    pub name: Option<String>,
    /// The event's payload.
    pub input: Option<String>,
    /// The sender's trace context.
    pub parent_trace_context: Option<TraceContext>,
}

macro_rules! event_types {
    ($($number:literal $name:literal $variant:ident;)*) => {
        /// The type of an event, with .NET's names and numbers (chapter 02 §1.6).
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[allow(missing_docs, reason = "the names are the documentation")]
        pub enum EventType { $($variant = $number,)* }

        impl EventType {
            /// All of them, in the order of their numbers.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The name in the `EventType` column and in blob names.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// The number in queue messages and history queries.
            pub const fn number(self) -> i32 {
                self as i32
            }

            /// The type of that name, compared exactly.
            pub fn from_name(name: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|kind| kind.name() == name)
            }
        }
    };
}

event_types! {
    0 "ExecutionStarted" ExecutionStarted;
    1 "ExecutionCompleted" ExecutionCompleted;
    3 "ExecutionTerminated" ExecutionTerminated;
    4 "TaskScheduled" TaskScheduled;
    5 "TaskCompleted" TaskCompleted;
    6 "TaskFailed" TaskFailed;
    7 "SubOrchestrationInstanceCreated" SubOrchestrationCreated;
    8 "SubOrchestrationInstanceCompleted" SubOrchestrationCompleted;
    9 "SubOrchestrationInstanceFailed" SubOrchestrationFailed;
    10 "TimerCreated" TimerCreated;
    11 "TimerFired" TimerFired;
    12 "OrchestratorStarted" OrchestratorStarted;
    13 "OrchestratorCompleted" OrchestratorCompleted;
    14 "EventSent" EventSent;
    15 "EventRaised" EventRaised;
    16 "ContinueAsNew" ContinueAsNew;
    17 "GenericEvent" Generic;
    18 "HistoryState" HistoryState;
    19 "ExecutionSuspended" ExecutionSuspended;
    20 "ExecutionResumed" ExecutionResumed;
    21 "ExecutionRewound" ExecutionRewound;
}

impl HistoryEvent {
    /// An event without task id, not yet played.
    pub const fn new(timestamp: Timestamp, kind: EventKind) -> Self {
        Self::with_id(NO_EVENT_ID, timestamp, kind)
    }

    /// A decision with its task id, not yet played.
    pub const fn with_id(event_id: i32, timestamp: Timestamp, kind: EventKind) -> Self {
        Self {
            event_id,
            is_played: false,
            timestamp,
            kind,
        }
    }

    /// The type of the event.
    pub const fn event_type(&self) -> EventType {
        match &self.kind {
            EventKind::ExecutionStarted(_) => EventType::ExecutionStarted,
            EventKind::ExecutionCompleted(_) => EventType::ExecutionCompleted,
            EventKind::ContinueAsNew(_) => EventType::ContinueAsNew,
            EventKind::ExecutionTerminated { .. } => EventType::ExecutionTerminated,
            EventKind::ExecutionSuspended { .. } => EventType::ExecutionSuspended,
            EventKind::ExecutionResumed { .. } => EventType::ExecutionResumed,
            EventKind::ExecutionRewound(_) => EventType::ExecutionRewound,
            EventKind::TaskScheduled(_) => EventType::TaskScheduled,
            EventKind::TaskCompleted { .. } => EventType::TaskCompleted,
            EventKind::TaskFailed(_) => EventType::TaskFailed,
            EventKind::SubOrchestrationCreated(_) => EventType::SubOrchestrationCreated,
            EventKind::SubOrchestrationCompleted { .. } => EventType::SubOrchestrationCompleted,
            EventKind::SubOrchestrationFailed(_) => EventType::SubOrchestrationFailed,
            EventKind::TimerCreated { .. } => EventType::TimerCreated,
            EventKind::TimerFired { .. } => EventType::TimerFired,
            EventKind::OrchestratorStarted => EventType::OrchestratorStarted,
            EventKind::OrchestratorCompleted => EventType::OrchestratorCompleted,
            EventKind::EventSent { .. } => EventType::EventSent,
            EventKind::EventRaised(_) => EventType::EventRaised,
            EventKind::Generic { .. } => EventType::Generic,
            EventKind::HistoryState { .. } => EventType::HistoryState,
        }
    }

    /// The task that this event answers: activity, child or timer.
    pub fn answered_task(&self) -> Option<i32> {
        match &self.kind {
            EventKind::TaskCompleted {
                task_scheduled_id, ..
            }
            | EventKind::SubOrchestrationCompleted {
                task_scheduled_id, ..
            } => Some(*task_scheduled_id),
            EventKind::TaskFailed(failed) | EventKind::SubOrchestrationFailed(failed) => {
                Some(failed.task_scheduled_id)
            }
            EventKind::TimerFired { timer_id, .. } => Some(*timer_id),
            _ => None,
        }
    }

    /// About how many bytes the event takes: its longest texts and a round sum for the rest.
    pub fn held_bytes(&self) -> usize {
        let len = |text: &Option<String>| text.as_ref().map_or(0, String::len);
        let texts = match &self.kind {
            EventKind::ExecutionStarted(start) => len(&start.input) + len(&start.name),
            EventKind::ExecutionCompleted(end) | EventKind::ContinueAsNew(end) => len(&end.result),
            EventKind::ExecutionTerminated { input: text }
            | EventKind::ExecutionSuspended { reason: text }
            | EventKind::ExecutionResumed { reason: text }
            | EventKind::TaskCompleted { result: text, .. }
            | EventKind::SubOrchestrationCompleted { result: text, .. }
            | EventKind::EventSent { input: text, .. }
            | EventKind::Generic { data: text }
            | EventKind::HistoryState { state: text } => len(text),
            EventKind::TaskScheduled(task) => len(&task.input) + len(&task.name),
            EventKind::SubOrchestrationCreated(child) => len(&child.input) + len(&child.name),
            EventKind::EventRaised(event) => len(&event.input) + len(&event.name),
            EventKind::TaskFailed(failed) | EventKind::SubOrchestrationFailed(failed) => {
                let chain = failed.failure.iter().flat_map(FailureDetails::chain);
                let failures: usize = chain
                    .map(|failure| failure.error_message.len() + len(&failure.stack_trace))
                    .sum();
                len(&failed.reason) + len(&failed.details) + failures
            }
            EventKind::ExecutionRewound(_)
            | EventKind::TimerCreated { .. }
            | EventKind::TimerFired { .. }
            | EventKind::OrchestratorStarted
            | EventKind::OrchestratorCompleted => 0,
        };
        size_of::<Self>() + texts + 64
    }

    /// The start data, if this event begins an execution.
    pub fn as_started(&self) -> Option<&ExecutionStarted> {
        match &self.kind {
            EventKind::ExecutionStarted(started) => Some(started),
            _ => None,
        }
    }
}
