//! Rows of the Instances table (chapter 03 §5).

use durabletask_core::{
    EventKind, ExecutionCompleted, ExecutionStarted, HistoryEvent, OrchestrationStatus, Tags,
    Timestamp,
};
use durabletask_storage::{ETag, MAX_STRING_UNITS, Row};

use super::objects::{self, Object};
use super::{WireError, columns, names};

/// Columns of history rows whose value an instance row may carry, or refer to by URL.
pub const PAYLOAD_COLUMNS: [&str; 3] = ["Input", "Result", "Reason"];

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
    /// Custom status text as stored: the text `null` for none, missing on some entity rows.
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
    /// How often clients re-created the instance; .NET takes a missing value for 0.
    pub generation: Option<i32>,
    /// Tags.
    pub tags: Option<Tags>,
    /// The hub as its writers spell it.
    pub task_hub_name: Option<String>,
    /// Blob of an input moved at creation; `input` is empty until the first commit.
    pub input_blob_name: Option<String>,
    /// Blob of tags moved at creation; then `tags` is `None`.
    pub tags_blob_name: Option<String>,
    /// The row's version.
    pub etag: Option<ETag>,
}

impl InstanceRow {
    /// Reads a row; unknown columns are ignored, missing ones are fine.
    pub fn from_row(row: &Row) -> Result<Self, WireError> {
        let status = columns::text(row, "RuntimeStatus")?;
        let id = names::unescape_key(&row.partition_key);
        Ok(Self {
            // A key that nobody should have written must not hide the rows beside it.
            instance_id: id.unwrap_or_else(|_| row.partition_key.clone()),
            execution_id: columns::text(row, "ExecutionId")?,
            name: columns::text(row, "Name")?,
            version: columns::text(row, "Version")?,
            input: columns::text(row, "Input")?,
            output: columns::text(row, "Output")?,
            custom_status: columns::text(row, "CustomStatus")?,
            created_time: columns::date(row, "CreatedTime")?,
            last_updated_time: columns::date(row, "LastUpdatedTime")?,
            completed_time: columns::date(row, "CompletedTime")?,
            runtime_status: status.and_then(|name| name.parse().ok()),
            scheduled_start_time: columns::date(row, "ScheduledStartTime")?,
            generation: columns::int(row, "Generation")?,
            tags: columns::object(row, "Tags", objects::read_tags)?,
            task_hub_name: columns::text(row, "TaskHubName")?,
            input_blob_name: columns::text(row, "InputBlobName")?,
            tags_blob_name: columns::text(row, "TagsBlobName")?,
            etag: row.etag.clone(),
        })
    }

    /// Whether the row says Pending.
    pub fn is_pending(&self) -> bool {
        self.runtime_status == Some(OrchestrationStatus::Pending)
    }

    /// The custom status that the orchestration set; `None` for the text `null`.
    pub fn custom_status(&self) -> Option<&str> {
        self.custom_status.as_deref().filter(|text| *text != "null")
    }

    /// The row with these columns; missing values are left out, except that missing tags are the
    /// text `null`.
    pub fn to_row(&self) -> Row {
        let mut row = instance_row(&self.instance_id);
        row.set_some("ExecutionId", self.execution_id.as_deref());
        row.set_some("Name", self.name.as_deref());
        row.set_some("Version", self.version.as_deref());
        row.set_some("Input", self.input.as_deref());
        row.set_some("Output", self.output.as_deref());
        row.set_some("CustomStatus", self.custom_status.as_deref());
        row.set_some("CreatedTime", self.created_time);
        row.set_some("LastUpdatedTime", self.last_updated_time);
        row.set_some("CompletedTime", self.completed_time);
        row.set_some(
            "RuntimeStatus",
            self.runtime_status.map(OrchestrationStatus::name),
        );
        row.set_some("ScheduledStartTime", self.scheduled_start_time);
        row.set_some("Generation", self.generation);
        set_tags(&mut row, self.tags.as_ref());
        row.set_some("TaskHubName", self.task_hub_name.as_deref());
        row.set_some("InputBlobName", self.input_blob_name.as_deref());
        row.set_some("TagsBlobName", self.tags_blob_name.as_deref());
        row
    }
}

/// The empty row of an instance.
fn instance_row(instance_id: &str) -> Row {
    Row::new(names::escape_key(instance_id), names::INSTANCE_ROW_KEY)
}

fn set_tags(row: &mut Row, tags: Option<&Tags>) {
    let json = tags.map_or_else(|| "null".to_owned(), |tags| Object::Tags(tags).to_column());
    row.set("Tags", json);
}

fn set_status(row: &mut Row, status: OrchestrationStatus) {
    row.set("RuntimeStatus", status.name());
}

/// The row that a client writes at creation (chapter 03 §5.2): Insert, or Replace with the ETag of
/// the row that was there. `created` is the start event's timestamp, `message_blob_url` the URL of
/// the message's blob if the message itself is large.
/// [`large::move_large_values`](super::large::move_large_values) applies afterwards.
pub fn creation_row(
    start: &ExecutionStarted,
    created: Timestamp,
    message_blob_url: Option<String>,
    hub: &str,
    now: Timestamp,
) -> Row {
    InstanceRow {
        instance_id: start.instance.instance_id.clone(),
        execution_id: start.instance.execution_id.clone(),
        name: start.name.clone(),
        version: start.version.clone(),
        input: message_blob_url.or_else(|| start.input.clone()),
        created_time: Some(created),
        last_updated_time: Some(now),
        runtime_status: Some(OrchestrationStatus::Pending),
        scheduled_start_time: start.scheduled_start_time,
        generation: start.generation,
        tags: start.tags.clone(),
        task_hub_name: Some(hub.to_owned()),
        ..InstanceRow::default()
    }
    .to_row()
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
/// holds its moved value (`Input`, `Result` or `Reason`), if one was moved; `LastUpdatedTime` is
/// the last one's time.
pub fn checkpoint_row<'e>(
    checkpoint: &Checkpoint<'_>,
    new_events: impl IntoIterator<Item = (&'e HistoryEvent, Option<String>)>,
) -> Row {
    let mut row = instance_row(checkpoint.instance_id);
    row.set("CustomStatus", checkpoint.custom_status.unwrap_or("null"));
    row.set("ExecutionId", checkpoint.execution_id);
    row.set("TaskHubName", checkpoint.hub);
    for (event, url) in new_events {
        row.set("LastUpdatedTime", event.timestamp);
        apply(&mut row, event, url, checkpoint);
    }
    row
}

/// What one new event changes.
fn apply(row: &mut Row, event: &HistoryEvent, url: Option<String>, checkpoint: &Checkpoint<'_>) {
    match &event.kind {
        EventKind::ExecutionStarted(started) => {
            set_start(row, started, event.timestamp);
            set_status(row, OrchestrationStatus::Running);
            row.set_some("Generation", started.generation);
            row.set_some("Input", url.or_else(|| started.input.clone()));
            if checkpoint.replaces_blobs && row.get("Input").is_none() {
                row.set("Input", "");
            }
        }
        EventKind::ExecutionCompleted(completed) | EventKind::ContinueAsNew(completed) => {
            set_status(row, completed.status);
            if matches!(event.kind, EventKind::ExecutionCompleted(_)) {
                row.set("CompletedTime", checkpoint.now);
            }
            row.set_some("Output", url.or_else(|| output_of(completed)));
        }
        EventKind::ExecutionTerminated { input } => {
            set_status(row, OrchestrationStatus::Terminated);
            row.set("CompletedTime", checkpoint.now);
            row.set_some("Output", url.or_else(|| input.clone()));
        }
        EventKind::ExecutionSuspended { reason } => {
            set_status(row, OrchestrationStatus::Suspended);
            row.set_some("Output", url.or_else(|| reason.clone()));
        }
        EventKind::ExecutionResumed { reason } => {
            set_status(row, OrchestrationStatus::Running);
            row.set_some("Output", url.or_else(|| reason.clone()));
        }
        _ => {}
    }
}

/// Columns that a start event decides.
fn set_start(row: &mut Row, started: &ExecutionStarted, created: Timestamp) {
    row.set_some("Name", started.name.as_deref());
    row.set_some("Version", started.version.as_deref());
    row.set("CreatedTime", created);
    row.set_some("ScheduledStartTime", started.scheduled_start_time);
    set_tags(row, started.tags.as_ref());
}

/// The failure as text, else the result. .NET does not check the failure text's size, and the
/// write fails after history was committed (chapter 03 §4.5 TRAP); here it is cut.
fn output_of(completed: &ExecutionCompleted) -> Option<String> {
    match &completed.failure {
        Some(failure) => Some(cut_to_column(failure.to_string())),
        None => completed.result.clone(),
    }
}

/// Cuts a text so that it fits a string column.
fn cut_to_column(mut text: String) -> String {
    let mut units = 0;
    let end = text.char_indices().find(|(_, char)| {
        units += char.len_utf16();
        units > MAX_STRING_UNITS
    });
    if let Some((end, _)) = end {
        text.truncate(end);
    }
    text
}

/// The columns to merge (the row must exist) when an instance without history is terminated
/// (chapter 03 §5.5). `terminated` is the event's timestamp. If the reason is large,
/// [`large::move_large_values`](super::large::move_large_values) and then
/// [`LargeStore::refer_by_url`](super::large::LargeStore::refer_by_url) apply afterwards.
pub fn termination_row(
    instance_id: &str,
    terminated: Timestamp,
    reason: Option<String>,
    now: Timestamp,
) -> Row {
    let mut row = instance_row(instance_id);
    set_status(&mut row, OrchestrationStatus::Terminated);
    row.set("LastUpdatedTime", terminated);
    row.set("CompletedTime", now);
    row.set_some("Output", reason);
    row
}

/// The columns to merge (the row must exist) after a rewind (chapter 03 §7.3 step 4).
pub fn rewind_row(instance_id: &str, now: Timestamp) -> Row {
    let mut row = instance_row(instance_id);
    set_status(&mut row, OrchestrationStatus::Pending);
    row.set("LastUpdatedTime", now);
    row
}

/// The column to merge when upkeep has done something for an instance that still waits.
pub fn touch_row(instance_id: &str, now: Timestamp) -> Row {
    let mut row = instance_row(instance_id);
    row.set("LastUpdatedTime", now);
    row
}
