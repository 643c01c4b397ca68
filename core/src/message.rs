//! Messages: one event on its way to an instance or to a worker.

use crate::{HistoryEvent, OrchestrationInstance, Tags};

/// One event and whom it is for (chapter 02 §1.5).
#[derive(Debug, Clone, PartialEq)]
pub struct TaskMessage {
    /// The payload.
    pub event: HistoryEvent,
    /// The target. Without an execution id it reaches whichever execution runs.
    pub target: OrchestrationInstance,
    /// The sending orchestration's tags; set on activity and sub-orchestration messages.
    pub orchestration_tags: Option<Tags>,
}
