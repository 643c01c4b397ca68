//! Rows of the Instances table (chapter 03 §5).

use durabletask_core::{HistoryEvent, OrchestrationStatus, Tags, Timestamp};
use durabletask_storage::{ETag, Row};

use super::WireError;

/// An instance's row (chapter 03 §5.1). Any column may be missing: a merge writes only some.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct InstanceRow {
    /// The raw id, unescaped from the partition key.
    pub instance_id: String,
    /// The current execution.
    pub execution_id: Option<String>,
    /// The orchestrator's name; an entity's instance id.
    pub name: Option<String>,
    /// The orchestrator's version.
    pub version: Option<String>,
    /// Input text, or a blob's URL ([`LargeStore::blob_of_url`](super::large::LargeStore)).
    pub input: Option<String>,
    /// Result, failure text or reason, or a blob's URL.
    pub output: Option<String>,
    /// Custom status text; .NET writes the text `null` for none, which reads as `None`.
    pub custom_status: Option<String>,
    /// Time of the current execution's start event.
    pub created_time: Option<Timestamp>,
    /// Time of the last committed event, mostly.
    pub last_updated_time: Option<Timestamp>,
    /// When it ended; stale values of earlier runs may show.
    pub completed_time: Option<Timestamp>,
    /// The status; `None` if missing or of unknown name.
    pub runtime_status: Option<OrchestrationStatus>,
    /// Not to run before this time.
    pub scheduled_start_time: Option<Timestamp>,
    /// How often clients re-created the instance; missing means 0.
    pub generation: i32,
    /// Tags.
    pub tags: Option<Tags>,
    /// The hub as its writers spell it.
    pub task_hub_name: Option<String>,
    /// Blob of an input moved at creation ([`creation_row`]); then `input` is empty.
    pub input_blob_name: Option<String>,
    /// Blob of tags moved at creation; then `tags` is `None`.
    pub tags_blob_name: Option<String>,
    /// The row's version.
    pub etag: Option<ETag>,
}

impl InstanceRow {
    /// Reads a row; unknown columns are ignored, missing ones are fine.
    pub fn from_row(row: &Row) -> Result<Self, WireError> {
        let _ = row;
        todo!()
    }
}

/// The row that a client writes at creation (chapter 03 §5.2): Insert, or Replace with the ETag of
/// the row that was there. `start` must be an `ExecutionStarted` event; `message_blob_url` is the
/// URL of the message's blob if the message itself is large.
/// [`large::move_large_values`](super::large::move_large_values) applies afterwards.
pub fn creation_row(
    start: &HistoryEvent,
    message_blob_url: Option<String>,
    hub: &str,
    now: Timestamp,
) -> Row {
    let _ = (start, message_blob_url, hub, now);
    todo!()
}

/// What every write of a commit carries (chapter 03 §5.4).
#[derive(Debug, Clone, Copy)]
pub struct Checkpoint<'a> {
    /// Raw instance id.
    pub instance_id: &'a str,
    /// The committed execution.
    pub execution_id: &'a str,
    /// Custom status text; `None` is written as the text `null`.
    pub custom_status: Option<&'a str>,
    /// The hub as configured.
    pub hub: &'a str,
    /// Becomes `CompletedTime` if the orchestration ends.
    pub now: Timestamp,
    /// Whether blobs of the previous execution will be deleted after this commit: then a missing
    /// new input is written as empty text, so that no URL of a deleted blob stays behind
    /// (chapter 03 §4.5, last TRAP).
    pub replaces_blobs: bool,
}

/// The row to insert-or-merge after a commit. Each new event comes with the URL of the blob that
/// holds its moved value (`Input`, `Result` or `Reason`), if one was moved.
pub fn checkpoint_row<'e>(
    checkpoint: &Checkpoint<'_>,
    new_events: impl IntoIterator<Item = (&'e HistoryEvent, Option<String>)>,
) -> Row {
    let _ = (checkpoint, new_events.into_iter().count());
    todo!()
}

/// The columns to merge (row must exist) when an instance without history is terminated
/// (chapter 03 §5.5); `terminated` must be an `ExecutionTerminated` event.
pub fn termination_row(
    instance_id: &str,
    terminated: &HistoryEvent,
    reason_blob_url: Option<String>,
    now: Timestamp,
) -> Row {
    let _ = (instance_id, terminated, reason_blob_url, now);
    todo!()
}

/// The row to insert-or-merge when a finished instance's row is behind its history
/// (chapter 03 §5.6). `include_input` if the row did not exist.
#[derive(Debug, Clone, Default)]
pub struct RepairUrls {
    /// URL of the input's history blob, if the input was moved.
    pub input: Option<String>,
    /// URL of the result's history blob, if the result was moved.
    pub output: Option<String>,
}

/// See [`RepairUrls`]; `None` unless the history holds a start and ends in a terminal status.
pub fn repair_row(
    history: &[HistoryEvent],
    custom_status: Option<&str>,
    hub: &str,
    include_input: bool,
    urls: RepairUrls,
) -> Option<Row> {
    let _ = (history, custom_status, hub, include_input, urls);
    todo!()
}
