//! The history of one execution in memory (chapter 04 §1.2).

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::{EventKind, HistoryEvent, OrchestrationStatus};

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
    answered: BTreeSet<i32>,
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
    pub fn started(&self) -> Option<&crate::ExecutionStarted> {
        self.started.as_deref().and_then(HistoryEvent::as_started)
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
    pub fn completed(&self) -> Option<&crate::ExecutionCompleted> {
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
    /// that expects them (chapter 02 §4.5 c). Rewound events count, as with .NET.
    pub fn has_event_with_id(&self, id: i32) -> bool {
        self.ids.contains(&id)
    }

    /// Whether this execution already holds an answer to that task.
    pub fn is_answered(&self, task: i32) -> bool {
        self.answered.contains(&task)
    }

    /// Whether history already holds an event of the same type, name, payload and timestamp: a
    /// message that was delivered again after its episode was committed.
    pub fn holds_same_event(&self, event: &HistoryEvent) -> bool {
        todo!()
    }

    /// Whether history was read and no episode has replayed it yet: it may leave decisions
    /// without rows, so any message deserves an episode, duplicates included.
    pub const fn is_replayed(&self) -> bool {
        self.replayed
    }

    /// Whether any message deserves an episode, even one that says nothing new: history was not
    /// replayed since it was read, or stops in the middle of an episode.
    pub fn needs_episode(&self) -> bool {
        todo!()
    }

    /// About how many bytes the history takes, for the budget of sessions.
    pub const fn encoded_bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn add(&mut self, event: Arc<HistoryEvent>) {
        todo!()
    }
}
