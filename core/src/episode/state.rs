//! The history of one execution in memory (chapter 04 §1.2).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::{
    EventKind, EventType, ExecutionCompleted, ExecutionStarted, FIRE_AND_FORGET_TAG, HistoryEvent,
    OrchestrationStatus, TERMINATE_WITH_PARENT_TAG,
};

/// The events of one execution, those that are durable and those that an episode has added, with
/// what is asked about them all the time.
#[derive(Debug, Clone)]
pub struct RuntimeState {
    events: Vec<Arc<HistoryEvent>>,
    past: usize,
    started: Option<Arc<HistoryEvent>>,
    /// Status carried by the completion event, if there is one.
    completion: Option<Arc<HistoryEvent>>,
    status: OrchestrationStatus,
    custom_status: Option<String>,
    ids: BTreeSet<i32>,
    /// Decisions that a rewind took out of the replay: the last episode that made each.
    rewound: BTreeMap<i32, u32>,
    answered: BTreeSet<(TaskKind, i32)>,
    episodes: u32,
    bytes: usize,
    replayed: bool,
}

impl Default for RuntimeState {
    fn default() -> Self {
        Self {
            events: Vec::new(),
            past: 0,
            started: None,
            completion: None,
            status: OrchestrationStatus::Running,
            custom_status: None,
            ids: BTreeSet::new(),
            rewound: BTreeMap::new(),
            answered: BTreeSet::new(),
            episodes: 0,
            bytes: 0,
            replayed: true,
        }
    }
}

impl RuntimeState {
    /// An instance without history.
    pub fn new() -> Self {
        Self::default()
    }

    /// A history as it was read, and the custom status of the instance row if it is known. Until
    /// an episode has replayed it, it may hold decisions without rows.
    pub fn load(
        history: impl IntoIterator<Item = Arc<HistoryEvent>>,
        custom_status: Option<String>,
    ) -> Self {
        let mut state = Self {
            custom_status,
            ..Self::default()
        };
        for event in history {
            state.add(event);
        }
        state.past = state.events.len();
        state.replayed = state.events.is_empty();
        state
    }

    /// All events, durable ones first.
    pub fn events(&self) -> &[Arc<HistoryEvent>] {
        &self.events
    }

    /// Events that are durable.
    pub fn past_events(&self) -> &[Arc<HistoryEvent>] {
        self.events.get(..self.past).unwrap_or_default()
    }

    /// Events that an episode has added.
    pub fn new_events(&self) -> &[Arc<HistoryEvent>] {
        self.events.get(self.past..).unwrap_or_default()
    }

    /// The new events are durable now.
    pub fn committed(&mut self) {
        self.past = self.events.len();
    }

    /// The start of this execution.
    pub fn started(&self) -> Option<&ExecutionStarted> {
        self.started.as_deref().and_then(HistoryEvent::as_started)
    }

    pub(super) fn shared_start(&self) -> Option<Arc<HistoryEvent>> {
        self.started.clone()
    }

    /// This execution's id, once it has started.
    pub fn execution_id(&self) -> Option<&str> {
        self.started()?.instance.execution_id.as_deref()
    }

    /// Where the execution stands, by its events.
    pub const fn status(&self) -> OrchestrationStatus {
        self.status
    }

    /// How it ended.
    pub fn completed(&self) -> Option<&ExecutionCompleted> {
        match self.completion.as_deref().map(|event| &event.kind) {
            Some(EventKind::ExecutionCompleted(end) | EventKind::ContinueAsNew(end)) => Some(end),
            _ => None,
        }
    }

    /// The custom status, JSON text.
    pub fn custom_status(&self) -> Option<&str> {
        self.custom_status.as_deref()
    }

    /// How many episodes the history holds: the number that messages carry as `Episode`.
    pub const fn episodes(&self) -> u32 {
        self.episodes
    }

    /// Whether any event has that task id: the test for answers that came before the history
    /// that expects them (chapter 02 §4.5 c). A rewound decision does not count until it is made
    /// again; with .NET it does.
    pub fn has_event_with_id(&self, id: i32) -> bool {
        self.ids.contains(&id)
    }

    /// Whether this execution already holds an answer to the task that this event answers.
    /// Answers that came before their task, or that are of another kind, do not count: replay
    /// ignores them, so the right one must still get in.
    pub fn holds_answer(&self, answer: &HistoryEvent) -> bool {
        answer_to(answer).is_some_and(|task| self.answered.contains(&task))
    }

    /// Instance ids of children without answer that end with their parent.
    pub(super) fn dependent_children(&self) -> impl Iterator<Item = &str> {
        self.events.iter().filter_map(|event| {
            let EventKind::SubOrchestrationCreated(child) = &event.kind else {
                return None;
            };
            let tags = child.tags.as_ref()?;
            let depends = tags.get(TERMINATE_WITH_PARENT_TAG).is_some()
                && tags.get(FIRE_AND_FORGET_TAG).is_none();
            let is_open = !self.answered.contains(&(TaskKind::Child, event.event_id));
            child.instance_id.as_deref().filter(|_| depends && is_open)
        })
    }

    /// Whether this answers what a rewind took out of the replay, and not what was asked again
    /// since: task ids are reused. A failure that was recorded and rewound has the same stamp; an
    /// activity's answer carries the `episode` that asked for it, which for the second run is
    /// greater than any that asked before. Of tasks that the first commit of a generation asked
    /// for, the number says nothing (it counts the generation before), so their answers pass.
    pub fn is_rewound(&self, answer: &HistoryEvent, episode: Option<i32>) -> bool {
        let Some((kind, id)) = answer_to(answer) else {
            return false;
        };
        let asked_before = match (kind, self.rewound.get(&id), episode) {
            (TaskKind::Activity, Some(last), Some(episode)) => {
                episode > 0 && u32::try_from(episode).is_ok_and(|episode| episode <= *last)
            }
            _ => false,
        };
        let is_recorded = |event: &Arc<HistoryEvent>| {
            matches!(event.kind, EventKind::Generic { .. }) && event.timestamp == answer.timestamp
        };
        // Only a rewound history is searched.
        !self.rewound.is_empty() && (asked_before || self.events.iter().any(is_recorded))
    }

    /// Whether history already holds an event of the same type, name, payload and timestamp: a
    /// message that was delivered again after its episode was committed.
    pub fn holds_same_event(&self, event: &HistoryEvent) -> bool {
        self.events
            .iter()
            .rev()
            .any(|held| held.timestamp == event.timestamp && same_payload(&held.kind, &event.kind))
    }

    /// Whether any message deserves an episode, even one that says nothing new: history was not
    /// replayed since it was read, or stops in the middle of an episode.
    pub fn needs_episode(&self) -> bool {
        self.started.is_some()
            && self.completion.is_none()
            && (!self.replayed || self.stops_mid_episode())
    }

    /// Whether history ends without OrchestratorCompleted: a commit broke off between its
    /// transactions, or tasks of an episode still run from memory.
    pub fn stops_mid_episode(&self) -> bool {
        self.events
            .last()
            .is_some_and(|event| !matches!(event.kind, EventKind::OrchestratorCompleted))
    }

    /// About how many bytes the history takes, for the budget of sessions.
    pub const fn encoded_bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn set_custom_status(&mut self, status: Option<String>) {
        self.custom_status = status;
    }

    /// An executor has seen all of history, so every decision has its row.
    pub(super) const fn mark_replayed(&mut self) {
        self.replayed = true;
    }

    /// The state without its new events.
    pub(super) fn without_new_events(mut self) -> Self {
        self.events.truncate(self.past);
        Self {
            replayed: self.replayed,
            ..Self::load(self.events, self.custom_status)
        }
    }

    pub(super) fn add(&mut self, event: Arc<HistoryEvent>) {
        self.bytes = self.bytes.saturating_add(event.held_bytes());
        // What rewind makes of a decision; the message that wakes an instance has no id.
        let is_rewound = matches!(event.kind, EventKind::Generic { .. });
        if event.event_id >= 0 && is_rewound {
            self.ids.remove(&event.event_id);
            self.rewound.insert(event.event_id, self.episodes);
        } else if event.event_id >= 0 {
            self.ids.insert(event.event_id);
        }
        if let Some(task) = answer_to(&event).filter(|(_, id)| self.ids.contains(id)) {
            self.answered.insert(task);
        }
        match &event.kind {
            EventKind::OrchestratorStarted => self.episodes = self.episodes.saturating_add(1),
            EventKind::ExecutionStarted(_) if self.started.is_none() => {
                self.started = Some(Arc::clone(&event));
            }
            EventKind::ExecutionCompleted(end) | EventKind::ContinueAsNew(end)
                if self.is_ended_by(end) =>
            {
                self.status = end.status;
                self.completion = Some(Arc::clone(&event));
            }
            EventKind::ExecutionSuspended { .. } if self.completion.is_none() => {
                self.status = OrchestrationStatus::Suspended;
            }
            EventKind::ExecutionResumed { .. } if self.completion.is_none() => {
                self.status = OrchestrationStatus::Running;
            }
            _ => {}
        }
        self.events.push(event);
    }

    /// The first end counts, except that termination beats continue-as-new.
    fn is_ended_by(&self, end: &ExecutionCompleted) -> bool {
        self.completed().is_none_or(|first| {
            first.status == OrchestrationStatus::ContinuedAsNew
                && end.status == OrchestrationStatus::Terminated
        })
    }
}

/// What a task does, as far as its answers tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum TaskKind {
    Activity,
    Child,
    Timer,
}

/// The task that an event answers. `None` also for negative ids, which are no tasks: a split
/// timer fires once for every split.
pub(super) fn answer_to(event: &HistoryEvent) -> Option<(TaskKind, i32)> {
    let kind = match event.event_type() {
        EventType::TaskCompleted | EventType::TaskFailed => TaskKind::Activity,
        EventType::SubOrchestrationCompleted | EventType::SubOrchestrationFailed => TaskKind::Child,
        EventType::TimerFired => TaskKind::Timer,
        _ => return None,
    };
    event
        .answered_task()
        .filter(|id| *id >= 0)
        .map(|id| (kind, id))
}

/// The same type, name and payload. Trace contexts are left out of the comparison.
fn same_payload(one: &EventKind, other: &EventKind) -> bool {
    match (one, other) {
        (EventKind::EventRaised(one), EventKind::EventRaised(other)) => {
            (&one.name, &one.input) == (&other.name, &other.input)
        }
        _ => one == other,
    }
}
