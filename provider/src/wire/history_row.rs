//! Rows of the History table (chapter 03 §1 and §2).

use durabletask_core::{EventType, HistoryEvent, OrchestrationStatus, Timestamp};
use durabletask_storage::{Row, Value};

use super::event::{self, Members, ReadObject, Source};
use super::objects::Object;
use super::{WireError, columns, names};

type Result<T> = std::result::Result<T, WireError>;

const EVENT_TYPE: &str = "EventType";
const EXECUTION_ID: &str = "ExecutionId";
const IS_CHECKPOINT_COMPLETE: &str = "IsCheckpointComplete";
const CHECKPOINT_COMPLETED: &str = "CheckpointCompletedTimestamp";

/// The row of an event, without regard to size
/// ([`large::move_large_values`](super::large::move_large_values) applies afterwards).
///
/// `sequence` counts from 0 within the execution. Whether inputs of tasks and children are stored
/// is a setting (chapter 03 §1.6): the caller leaves them out of the event.
pub fn event_to_row(
    event: &HistoryEvent,
    partition_key: &str,
    sequence: u64,
    execution_id: &str,
) -> Row {
    let mut row = Row::new(partition_key, names::event_row_key(sequence));
    event::write(event, &mut Columns(&mut row));
    row.set(EXECUTION_ID, execution_id);
    row
}

/// The event of a row; values in blobs must be back in their columns
/// ([`large::moved_columns`](super::large::moved_columns)). Columns that the event type does not
/// have are ignored, so a rewound row reads as [`EventKind::Generic`](durabletask_core::EventKind).
pub fn row_to_event(row: &Row) -> Result<HistoryEvent> {
    let event_type = event_type(row)?;
    let event_id = columns::int(row, "EventId")?.unwrap_or(0);
    event::read(event_type, event_id, &mut FromColumns(row))
}

/// The `EventType` column, by name or number.
pub fn event_type(row: &Row) -> Result<EventType> {
    let name = columns::text(row, EVENT_TYPE)?.ok_or(WireError::MissingMember(EVENT_TYPE))?;
    EventType::from_name(&name)
        .or_else(|| event::from_number(name.parse().ok()?))
        .ok_or_else(|| WireError::UnknownEventType(name.chars().take(100).collect()))
}

/// The `ExecutionId` column: the execution that an event row or a sentinel belongs to.
pub fn execution_id(row: &Row) -> Option<&str> {
    row.get_str(EXECUTION_ID)
}

/// Nulls are left out, except that class-typed columns then hold the text `null`; the event's own
/// `Timestamp` goes to `_Timestamp`, because the service owns that name.
struct Columns<'r>(&'r mut Row);

impl Members for Columns<'_> {
    fn text(&mut self, name: &'static str, value: Option<&str>) {
        self.0.set_some(name, value);
    }

    fn int(&mut self, name: &'static str, value: Option<i32>) {
        self.0.set_some(name, value);
    }

    fn flag(&mut self, name: &'static str, value: bool) {
        self.0.set(name, value);
    }

    fn date(&mut self, name: &'static str, value: Option<Timestamp>) {
        self.0.set_some(column_of(name), value);
    }

    fn event_type(&mut self, value: EventType) {
        self.0.set(EVENT_TYPE, value.name());
    }

    fn status(&mut self, name: &'static str, value: OrchestrationStatus) {
        self.0.set(name, value.name());
    }

    fn object(&mut self, name: &'static str, value: Option<Object<'_>>) {
        let json = value.map_or_else(|| "null".to_owned(), Object::to_column);
        self.0.set(name, json);
    }
}

/// The column of a date member.
fn column_of(member: &'static str) -> &'static str {
    match member {
        "Timestamp" => "_Timestamp",
        _ => member,
    }
}

struct FromColumns<'r>(&'r Row);

impl Source for FromColumns<'_> {
    fn text(&mut self, name: &'static str) -> Result<Option<String>> {
        columns::text(self.0, name)
    }

    fn int(&mut self, name: &'static str) -> Result<Option<i32>> {
        columns::int(self.0, name)
    }

    fn flag(&mut self, name: &'static str) -> Result<bool> {
        columns::flag(self.0, name)
    }

    fn date(&mut self, name: &'static str) -> Result<Option<Timestamp>> {
        columns::date(self.0, column_of(name))
    }

    fn status(&mut self, name: &'static str) -> Result<Option<OrchestrationStatus>> {
        match self.0.get(name) {
            None => Ok(None),
            Some(Value::String(text)) => {
                let status = text.parse().map_err(|_| WireError::Corrupt(name))?;
                Ok(Some(status))
            }
            Some(_) => Err(WireError::Corrupt(name)),
        }
    }

    fn object<T>(&mut self, name: &'static str, read: ReadObject<T>) -> Result<Option<T>> {
        columns::object(self.0, name, read)
    }
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
    row.row_key == names::SENTINEL_ROW_KEY
}

/// The sentinel to write with a batch; `completed` is the current time for the last batch of a
/// commit, `None` for earlier ones, whose merge keeps the time of the commit before.
pub fn sentinel_to_row(
    partition_key: &str,
    execution_id: &str,
    completed: Option<Timestamp>,
) -> Row {
    let mut row = Row::new(partition_key, names::SENTINEL_ROW_KEY);
    row.set(EXECUTION_ID, execution_id);
    row.set(IS_CHECKPOINT_COMPLETE, completed.is_some());
    row.set_some(CHECKPOINT_COMPLETED, completed);
    row
}

/// Reads a sentinel row; missing columns are fine.
pub fn row_to_sentinel(row: &Row) -> Result<Sentinel> {
    Ok(Sentinel {
        execution_id: columns::text(row, EXECUTION_ID)?,
        is_checkpoint_complete: columns::flag(row, IS_CHECKPOINT_COMPLETE)?,
        checkpoint_completed: columns::date(row, CHECKPOINT_COMPLETED)?,
    })
}
