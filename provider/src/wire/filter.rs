//! `OData` filters, column lists and continuation tokens (chapter 03 §6).

use durabletask_core::{EventType, OrchestrationStatus, Timestamp};
use durabletask_storage::{Continuation, Query};

/// History of an instance; with an execution id, only its rows and the sentinel (§6.2).
pub fn history(instance_id: &str, execution_id: Option<&str>) -> Query {
    let _ = (instance_id, execution_id);
    todo!()
}

/// Keys of all history rows of an instance, for purge (§7.1).
pub fn history_keys(instance_id: &str) -> Query {
    let _ = instance_id;
    todo!()
}

/// The `OrchestratorStarted` rows of an instance, for rewind (§7.3 step 1).
pub fn episodes(instance_id: &str) -> Query {
    let _ = instance_id;
    todo!()
}

/// The failures of an execution, for rewind (§7.3 step 2).
pub fn failures(instance_id: &str, execution_id: &str) -> Query {
    let _ = (instance_id, execution_id);
    todo!()
}

/// The decision with that task id, for rewind (§7.3 step 3).
pub fn decision(instance_id: &str, execution_id: &str, event_id: i32, event: EventType) -> Query {
    let _ = (instance_id, execution_id, event_id, event);
    todo!()
}

/// The single row of an execution with that event type, for repair (§5.6).
pub fn event_of_type(instance_id: &str, execution_id: &str, event: EventType) -> Query {
    let _ = (instance_id, execution_id, event);
    todo!()
}

/// Status of one instance; `$select` without input unless it is wanted (§6.3).
pub fn instance(instance_id: &str, fetch_input: bool) -> Query {
    let _ = (instance_id, fetch_input);
    todo!()
}

/// An instance's row by both keys, as purge asks for it (§7.1 step 1).
pub fn instance_to_purge(instance_id: &str) -> Query {
    let _ = instance_id;
    todo!()
}

/// All instances without any condition: `RowKey eq ''` (§6.4).
pub fn all_instances() -> Query {
    Query::filter("RowKey eq ''")
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
    /// The table query. Unlike .NET, `$select` is sent even if there is no condition (§6.4 TRAP).
    pub fn to_query(&self) -> Query {
        todo!()
    }
}

/// The token that users get for the next page (§6.5).
pub fn continuation_token(continuation: &Continuation) -> String {
    let _ = continuation;
    todo!()
}

/// The reverse; `None` starts over, as a token of at most one character does.
pub fn parse_continuation_token(token: &str) -> Option<Continuation> {
    let _ = token;
    todo!()
}
