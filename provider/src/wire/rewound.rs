//! History rows before and after a rewind (chapter 03 §7.3). Rows are changed in place, so that
//! columns which this program does not know survive.

use std::collections::BTreeSet;

use durabletask_core::{EventType, FIRE_AND_FORGET_TAG, OrchestrationStatus};
use durabletask_storage::Row;

use super::{WireError, columns, history_row};

/// How the reason of a rewritten row begins.
const REWOUND: &str = "Rewound: ";

/// What a row among the failures of an execution says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// The activity with that task id failed.
    Task(i32),
    /// The sub-orchestration with that task id failed.
    Child(i32),
    /// The orchestration failed, or had failed before an earlier rewind.
    Orchestration,
}

/// What a row says that [`filter::failures`](super::filter::failures) found.
pub fn failure_of(row: &Row) -> Result<Failure, WireError> {
    let task_id =
        || columns::int(row, "TaskScheduledId")?.ok_or(WireError::MissingMember("TaskScheduledId"));
    Ok(match history_row::event_type(row)? {
        EventType::TaskFailed => Failure::Task(task_id()?),
        EventType::SubOrchestrationFailed => Failure::Child(task_id()?),
        _ => Failure::Orchestration,
    })
}

/// Takes a row out of the replay: it becomes a `GenericEvent` whose reason names what it was.
pub fn blank(row: &mut Row) -> Result<(), WireError> {
    mark(row)?;
    row.set("EventType", EventType::Generic.name());
    Ok(())
}

/// Marks a row and leaves it in the replay: the parent goes on waiting for that child.
pub fn mark(row: &mut Row) -> Result<(), WireError> {
    let reason = format!("{REWOUND}{}", history_row::event_type(row)?.name());
    row.set("Reason", reason);
    Ok(())
}

/// Whether a rewind rewrote the row.
pub fn is_marked(row: &Row) -> bool {
    row.get_str("Reason")
        .is_some_and(|reason| reason.starts_with(REWOUND))
}

/// Decisions of an execution that have no answer and are not waiting for a child that is rewound
/// with it. Nobody waits for a child that was started without.
pub fn unanswered(rows: Vec<Row>) -> Vec<Row> {
    use EventType::{
        SubOrchestrationCompleted, SubOrchestrationCreated, SubOrchestrationFailed, TaskCompleted,
        TaskFailed, TaskScheduled, TimerCreated, TimerFired,
    };
    let id = |row: &Row, column| columns::int(row, column).ok().flatten();
    let answered: BTreeSet<i32> = rows
        .iter()
        .filter_map(|row| match history_row::event_type(row).ok()? {
            TaskCompleted | TaskFailed | SubOrchestrationCompleted | SubOrchestrationFailed => {
                id(row, "TaskScheduledId")
            }
            TimerFired => id(row, "TimerId"),
            _ => None,
        })
        .collect();
    let is_open = |row: &Row| {
        let is_decision = matches!(
            history_row::event_type(row),
            Ok(TaskScheduled | SubOrchestrationCreated | TimerCreated)
        );
        let tags = row.get_str("Tags").unwrap_or_default();
        is_decision
            && !is_marked(row)
            && !tags.contains(FIRE_AND_FORGET_TAG)
            && id(row, "EventId").is_some_and(|id| !answered.contains(&id))
    };
    rows.into_iter().filter(is_open).collect()
}

/// The child that a `SubOrchestrationInstanceCreated` row started.
pub fn child_of(row: &Row) -> Result<&str, WireError> {
    row.get_str("InstanceId")
        .ok_or(WireError::MissingMember("InstanceId"))
}

/// Whether an execution was rewound and has not run since: its rows, in order and without the
/// sentinel, end in the rewritten completion and the `OrchestratorCompleted` that followed it.
pub fn is_asleep(rows: &[Row]) -> bool {
    let [.., completion, last] = rows else {
        return false;
    };
    let failed = completion.get_str("OrchestrationStatus");
    history_row::event_type(last).ok() == Some(EventType::OrchestratorCompleted)
        && history_row::event_type(completion).ok() == Some(EventType::Generic)
        && failed == Some(OrchestrationStatus::Failed.name())
        && is_marked(completion)
}
