//! Rows of the History table (chapter 03 §1 and §2).

use durabletask_core::{HistoryEvent, Timestamp};
use durabletask_storage::Row;

use super::WireError;

/// The row of an event: `sequence` counts from 0 within the execution.
pub fn event_to_row(
    event: &HistoryEvent,
    partition_key: &str,
    sequence: u64,
    execution_id: &str,
) -> Row {
    let _ = (event, partition_key, sequence, execution_id);
    todo!()
}

/// The event of a row; values in blobs must be back in their columns
/// ([`large::moved_columns`](super::large::moved_columns)).
pub fn row_to_event(row: &Row) -> Result<HistoryEvent, WireError> {
    let _ = row;
    todo!()
}

/// The `ExecutionId` column: the execution that an event row or a sentinel belongs to.
pub fn execution_id(row: &Row) -> Option<&str> {
    row.get_str("ExecutionId")
}

/// What the sentinel row says (chapter 03 §2).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Sentinel {
    /// The execution whose events were committed last.
    pub execution_id: Option<String>,
    /// Whether the last batch was the last of its commit.
    pub is_checkpoint_complete: bool,
    /// When the last complete commit was made.
    pub checkpoint_completed: Option<Timestamp>,
}

/// Whether a row of the History table is the sentinel.
pub fn is_sentinel(row: &Row) -> bool {
    row.row_key == super::names::SENTINEL_ROW_KEY
}

/// The sentinel to write with a batch; `completed` is the current time for the last batch of a
/// commit, `None` for earlier ones.
pub fn sentinel_to_row(
    partition_key: &str,
    execution_id: &str,
    completed: Option<Timestamp>,
) -> Row {
    let _ = (partition_key, execution_id, completed);
    todo!()
}

/// Reads a sentinel row; missing columns are fine.
pub fn row_to_sentinel(row: &Row) -> Result<Sentinel, WireError> {
    let _ = row;
    todo!()
}
