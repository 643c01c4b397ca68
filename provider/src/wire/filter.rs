//! `OData` filters, column lists and continuation tokens (chapter 03 §6).

use durabletask_core::{EventType, OrchestrationStatus, Timestamp};
use durabletask_storage::{Continuation, Query};

use super::names;

/// Columns that queries without input or output ask for; `ETag` is no column, but .NET lists it.
const INSTANCE_COLUMNS: [&str; 17] = [
    "ExecutionId",
    "Name",
    "Version",
    "Input",
    "Output",
    "CustomStatus",
    "CreatedTime",
    "LastUpdatedTime",
    "CompletedTime",
    "RuntimeStatus",
    "ScheduledStartTime",
    "Generation",
    "Tags",
    "PartitionKey",
    "RowKey",
    "Timestamp",
    "ETag",
];

/// `{column} {operator} '{text}'` with quotes doubled.
fn compare(column: &str, operator: &str, text: &str) -> String {
    format!("{column} {operator} '{}'", text.replace('\'', "''"))
}

fn of_instance(instance_id: &str) -> String {
    compare("PartitionKey", "eq", &names::escape_key(instance_id))
}

fn of_execution(instance_id: &str, execution_id: &str) -> String {
    let execution = compare("ExecutionId", "eq", execution_id);
    format!("{} and {execution}", of_instance(instance_id))
}

/// History of an instance; with an execution id, only its rows and the sentinel (§6.2).
pub fn history(instance_id: &str, execution_id: Option<&str>) -> Query {
    let instance = of_instance(instance_id);
    Query::filter(match execution_id {
        None => instance,
        Some(id) => {
            let sentinel = compare("RowKey", "eq", names::SENTINEL_ROW_KEY);
            let execution = compare("ExecutionId", "eq", id);
            format!("{instance} and ({sentinel} or {execution})")
        }
    })
}

/// Keys of all history rows of an instance, for purge (§7.1).
pub fn history_keys(instance_id: &str) -> Query {
    let select = ["RowKey", "PartitionKey", "Timestamp"];
    Query {
        select: select.map(str::to_owned).to_vec(),
        ..Query::filter(of_instance(instance_id))
    }
}

/// All history rows of an instance, only what says which blobs they refer to.
pub fn blob_columns(instance_id: &str) -> Query {
    let blobs = super::large::MOVABLE_COLUMNS.iter();
    Query {
        select: blobs.map(|column| format!("{column}BlobName")).collect(),
        ..Query::filter(of_instance(instance_id))
    }
}

/// The `OrchestratorStarted` rows of an instance, for rewind (§7.3 step 1).
pub fn episodes(instance_id: &str) -> Query {
    let event = compare("EventType", "eq", EventType::OrchestratorStarted.name());
    Query::filter(format!("{} and {event}", of_instance(instance_id)))
}

/// The failures of an execution, for rewind (§7.3 step 2).
pub fn failures(instance_id: &str, execution_id: &str) -> Query {
    let status = compare(
        "OrchestrationStatus",
        "eq",
        OrchestrationStatus::Failed.name(),
    );
    let task = compare("EventType", "eq", EventType::TaskFailed.name());
    let child = compare("EventType", "eq", EventType::SubOrchestrationFailed.name());
    let execution = of_execution(instance_id, execution_id);
    Query::filter(format!("{execution} and ({status} or {task} or {child})"))
}

/// The decision with that task id, for rewind (§7.3 step 3).
pub fn decision(instance_id: &str, execution_id: &str, event_id: i32, event: EventType) -> Query {
    let execution = of_execution(instance_id, execution_id);
    let event = compare("EventType", "eq", event.name());
    Query::filter(format!("{execution} and EventId eq {event_id} and {event}"))
}

/// The rows of an execution with that event type, for repair (§5.6).
pub fn events_of_type(instance_id: &str, execution_id: &str, event: EventType) -> Query {
    let execution = of_execution(instance_id, execution_id);
    let event = compare("EventType", "eq", event.name());
    Query::filter(format!("{execution} and {event}"))
}

/// The activities of an execution and their answers, without payloads, for upkeep.
pub fn task_events(instance_id: &str, execution_id: &str) -> Query {
    use EventType::{TaskCompleted, TaskFailed, TaskScheduled};
    let events = [TaskScheduled, TaskCompleted, TaskFailed].map(EventType::name);
    let mut clauses = vec![of_execution(instance_id, execution_id)];
    clauses.extend(any_of("EventType", events.into_iter()));
    let columns = ["EventType", "EventId", "TaskScheduledId", "Name"];
    Query {
        filter: join(&clauses),
        select: columns.map(str::to_owned).to_vec(),
        ..Query::default()
    }
}

/// Status of one instance; `$select` without input unless it is wanted (§6.3).
pub fn instance(instance_id: &str, fetch_input: bool) -> Query {
    Query {
        select: instance_columns(fetch_input, true),
        top: Some(1),
        ..Query::filter(of_instance(instance_id))
    }
}

/// An instance's row by both keys, as purge asks for it (§7.1 step 1).
pub fn instance_to_purge(instance_id: &str) -> Query {
    Query::filter(format!("{} and RowKey eq ''", of_instance(instance_id)))
}

/// Any one history row of an execution, the sentinel included.
pub fn any_of_execution(instance_id: &str, execution_id: &str) -> Query {
    Query {
        top: Some(1),
        ..Query::filter(of_execution(instance_id, execution_id))
    }
}

/// Instances with one of these statuses, entities left out, whose rows say that they have not
/// changed since that time, for upkeep; without input and output.
pub fn unchanged_since(statuses: &[OrchestrationStatus], time: Timestamp) -> Query {
    let names = statuses.iter().map(|status| status.name());
    let mut clauses: Vec<_> = any_of("RuntimeStatus", names).into_iter().collect();
    clauses.push(format!("LastUpdatedTime le datetime'{time}'"));
    clauses.push(NO_ENTITIES.to_owned());
    Query {
        filter: join(&clauses),
        select: instance_columns(false, false),
        ..Query::default()
    }
}

/// Ids that do not start with `@`.
const NO_ENTITIES: &str = "PartitionKey lt '@' or PartitionKey ge 'A'";

/// All instances without any condition: `RowKey eq ''` (§6.4).
pub fn all_instances() -> Query {
    Query::filter("RowKey eq ''")
}

/// The columns to select; none if all are wanted.
fn instance_columns(input: bool, output: bool) -> Vec<String> {
    if input && output {
        return Vec::new();
    }
    let wanted = |column: &&str| match *column {
        "Input" => input,
        "Output" => output,
        _ => true,
    };
    let columns = INSTANCE_COLUMNS.into_iter().filter(wanted);
    columns.map(str::to_owned).collect()
}

/// Which instances to list, and what of them (§6.4).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstanceQuery {
    /// Created at or after; `None` and [`Timestamp::MIN`] mean any.
    pub created_from: Option<Timestamp>,
    /// Created at or before; `None` and [`Timestamp::MAX`] mean any.
    pub created_to: Option<Timestamp>,
    /// One of these statuses; empty means any.
    pub statuses: Vec<OrchestrationStatus>,
    /// One of these hubs; empty means any.
    pub hubs: Vec<String>,
    /// Ids that start so; raw. Empty means any.
    pub prefix: String,
    /// Leave out entities; without effect if `prefix` is given, as in .NET.
    pub exclude_entities: bool,
    /// This id only.
    pub instance_id: Option<String>,
    /// Whether to return inputs.
    pub fetch_input: bool,
    /// Whether to return outputs.
    pub fetch_output: bool,
}

impl Default for InstanceQuery {
    /// Everything, with input and output.
    fn default() -> Self {
        Self {
            created_from: None,
            created_to: None,
            statuses: Vec::new(),
            hubs: Vec::new(),
            prefix: String::new(),
            exclude_entities: false,
            instance_id: None,
            fetch_input: true,
            fetch_output: true,
        }
    }
}

impl InstanceQuery {
    /// The table query, without page size and continuation. Unlike .NET, it selects columns even
    /// if there is no condition (§6.4 TRAP).
    pub fn to_query(&self) -> Query {
        Query {
            filter: join(&self.clauses()),
            select: instance_columns(self.fetch_input, self.fetch_output),
            ..Query::default()
        }
    }

    fn clauses(&self) -> Vec<String> {
        let mut clauses = Vec::new();
        if let Some(from) = self.created_from.filter(|from| *from > Timestamp::MIN) {
            clauses.push(format!("CreatedTime ge datetime'{from}'"));
        }
        if let Some(to) = self.created_to.filter(|to| *to < Timestamp::MAX) {
            clauses.push(format!("CreatedTime le datetime'{to}'"));
        }
        let statuses = self.statuses.iter().map(|status| status.name());
        clauses.extend(any_of("RuntimeStatus", statuses));
        clauses.extend(any_of("TaskHubName", self.hubs.iter().map(String::as_str)));
        if !self.prefix.is_empty() {
            let start = names::escape_key(&self.prefix);
            clauses.push(compare("PartitionKey", "ge", &start));
            clauses.extend(after_prefix(&start).map(|end| compare("PartitionKey", "lt", &end)));
        } else if self.exclude_entities {
            clauses.push(NO_ENTITIES.to_owned());
        }
        clauses.extend(self.instance_id.as_deref().map(of_instance));
        clauses
    }
}

/// One clause that allows each of the values; none without values.
fn any_of<'v>(column: &str, values: impl Iterator<Item = &'v str>) -> Option<String> {
    let clauses: Vec<_> = values.map(|value| compare(column, "eq", value)).collect();
    (!clauses.is_empty()).then(|| clauses.join(" or "))
}

/// One clause stays as it is; several stand in parentheses.
fn join(clauses: &[String]) -> Option<String> {
    match clauses {
        [] => None,
        [clause] => Some(clause.clone()),
        _ => {
            let clauses: Vec<_> = clauses.iter().map(|clause| format!("({clause})")).collect();
            Some(clauses.join(" and "))
        }
    }
}

/// The least text, in UTF-16 order, that is greater than all texts with this prefix: .NET adds one
/// to the last UTF-16 unit. Where that gives half a surrogate pair, the text here is the least
/// valid one from there on. `None` if there is no such text.
fn after_prefix(prefix: &str) -> Option<String> {
    let mut end = prefix.to_owned();
    loop {
        let next = match end.pop()? {
            // The greatest unit: .NET would overflow; the character before decides.
            '\u{FFFF}' => continue,
            // UTF-16 sorts the surrogate pairs between these two.
            '\u{D7FF}' => '\u{10000}',
            char::MAX => '\u{E000}',
            char => char::from_u32(u32::from(char) + 1)?,
        };
        end.push(next);
        return Some(end);
    }
}

/// The token that users get for the next page (§6.5): both keys joined by a space.
pub fn continuation_token(continuation: &Continuation) -> String {
    let row = continuation.next_row_key.as_deref().unwrap_or_default();
    format!("{} {row}", continuation.next_partition_key)
}

/// The reverse; `None` starts over, as a token of at most one character does.
pub fn parse_continuation_token(token: &str) -> Option<Continuation> {
    if token.chars().count() <= 1 {
        return None;
    }
    let (partition, row) = token.split_once(' ').unwrap_or((token, ""));
    Some(Continuation {
        next_partition_key: partition.to_owned(),
        next_row_key: Some(row).filter(|row| !row.is_empty()).map(str::to_owned),
    })
}
