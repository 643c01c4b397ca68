//! A hub in memory, empty or as .NET had left it at some point of a recording.

use std::sync::Arc;
use std::time::Duration;

use durabletask_azurestorage::hub::{HubSettings, create_hub};
use durabletask_azurestorage::{HubClient, TaskHub};
use durabletask_storage::embedded::EmbeddedStore;
use durabletask_storage::wrappers::{Arguments, Latency, Operation, RecordedCall, Recording};
use durabletask_storage::{Account, Env, Row, Value, VirtualEnv, Write};

use crate::golden::{Request, RowWrite};

/// Calls that a recording keeps.
const MAX_CALLS: usize = 10_000;

/// What a call takes.
pub(crate) const CALL: Duration = Duration::from_millis(10);

/// A hub with a client whose calls are recorded.
pub(crate) struct TestHub {
    pub(crate) hub: TaskHub,
    pub(crate) client: HubClient,
    pub(crate) recording: Arc<Recording>,
    /// The same storage, unrecorded.
    pub(crate) account: Account,
}

/// Runs a test in virtual time.
pub(crate) fn run(test: impl AsyncFnOnce(Env)) {
    let time = VirtualEnv::new(7);
    time.block_on(test(time.env())).unwrap();
    assert_eq!(time.panics().texts, Vec::<String>::new());
}

/// Runs `test` with a crash after 1, 2, 3 … half calls, until it says that its operation ended
/// before the crash; how many crashes there were.
pub(crate) fn at_every_crash_point(test: impl AsyncFn(Env, u32) -> bool) -> u32 {
    let mut half_calls = 0;
    let mut was_cut = true;
    while was_cut {
        half_calls += 1;
        run(async |env| was_cut = test(env, half_calls).await);
    }
    half_calls - 1
}

impl TestHub {
    pub(crate) async fn new(env: &Env, name: &str) -> Self {
        Self::with(env, HubSettings::new(name, 2)).await
    }

    pub(crate) async fn with(env: &Env, settings: HubSettings) -> Self {
        let store = EmbeddedStore::in_memory(env.clone()).unwrap();
        let account = store.account();
        create_hub(&account, &settings, env).await.unwrap();
        let (recorded, recording) = Recording::wrap(account.clone(), MAX_CALLS);
        let slow = Latency::wrap(recorded, env.clone(), CALL);
        let hub = TaskHub::new(env.clone(), slow, settings);
        Self {
            client: HubClient::new(hub.clone()),
            hub,
            recording,
            account,
        }
    }

    /// Repeats .NET's row writes; its ETags do not matter here.
    pub(crate) async fn repeat(&self, requests: &[Request]) {
        for request in requests {
            for RowWrite {
                method, table, row, ..
            } in request.row_writes()
            {
                if table.ends_with("Partitions") {
                    continue;
                }
                let write = match method.as_str() {
                    "PATCH" | "MERGE" => Write::InsertOrMerge(row),
                    "POST" | "PUT" => Write::InsertOrReplace(row),
                    _ => continue,
                };
                self.account.tables.write(&table, write).await.unwrap();
            }
        }
    }

    /// Lets an operation make half as many calls, one after the other, then drops it as a crash
    /// would, an odd number after the effect of a call and before its answer; false if it ended
    /// before.
    pub(crate) async fn crash_after<T>(
        &self,
        half_calls: u32,
        operation: impl Future<Output = T>,
    ) -> bool {
        let limit = CALL / 2 * half_calls + CALL / 4;
        self.hub.env().timeout(limit, operation).await.is_err()
    }

    pub(crate) fn instances(&self) -> String {
        self.hub.names().instances_table()
    }

    pub(crate) fn history(&self) -> String {
        self.hub.names().history_table()
    }

    /// All rows of an instance's history, sentinel last.
    pub(crate) async fn history_rows(&self, instance_id: &str) -> Vec<Row> {
        let query = durabletask_azurestorage::wire::filter::history(instance_id, None);
        let page = self.account.tables.query(&self.history(), &query).await;
        page.unwrap().rows
    }

    /// What was asked of storage since the last look, in words.
    pub(crate) fn asked(&self) -> Vec<String> {
        assert_eq!(self.recording.missed_calls(), 0);
        self.recording.take().iter().map(our_words).collect()
    }
}

/// A recorded request in words that both sides can say; `None` for what is not compared.
pub(crate) fn their_words(request: &Request) -> Option<String> {
    let path = request.path.trim_start_matches('/');
    let name = path.split(['(', '?']).next().unwrap_or_default();
    if name.ends_with("Partitions") {
        return None;
    }
    match (request.service.as_str(), request.method.as_str()) {
        ("table", "GET") => Some(format!(
            "query {name} filter {:?} select {:?} top {:?}",
            request.parameter("$filter").unwrap_or_default(),
            request.parameter("$select").unwrap_or_default(),
            request.parameter("$top").unwrap_or_default(),
        )),
        ("table", "POST") if name == "$batch" => {
            let writes = request.row_writes();
            Some(format!("transaction of {}", writes.len()))
        }
        ("table", "DELETE") => Some(format!("delete {name}")),
        ("table", method) => {
            let write = request.row_writes().pop()?;
            let condition = match write.if_match.as_deref() {
                None => "",
                Some("*") => " if it exists",
                Some(_) => " if it matches",
            };
            Some(format!(
                "{method} {name}{condition} {}",
                row_words(&write.row)
            ))
        }
        ("queue", "POST") => {
            let text = request.message_texts().remove(0);
            let queue = path.split('/').next().unwrap_or_default();
            Some(format!("put {queue} {}", message_words(&text)))
        }
        ("blob", "GET") if path.contains("comp=list") => Some("list blobs".to_owned()),
        ("blob", "DELETE") => Some(format!("delete blob {path}")),
        _ => None,
    }
}

fn our_words(call: &RecordedCall) -> String {
    let name = &call.resource;
    match (call.operation, &call.arguments) {
        (Operation::Query, Arguments::Query(query)) => format!(
            "query {name} filter {:?} select {:?} top {:?}",
            query.filter.as_deref().unwrap_or_default(),
            query.select.join(","),
            query.top.map(|top| top.to_string()).unwrap_or_default(),
        ),
        (Operation::Transact, Arguments::Writes(writes)) => {
            format!("transaction of {}", writes.len())
        }
        (Operation::Write, Arguments::Writes(writes)) => write_words(name, &writes[0]),
        (Operation::PutMessage, Arguments::Put { text, .. }) => {
            format!("put {name} {}", message_words(text))
        }
        (Operation::ListBlobs, _) => "list blobs".to_owned(),
        (Operation::DeleteBlob, _) => format!("delete blob {name}"),
        (operation, _) => format!("{operation} {name}"),
    }
}

fn write_words(table: &str, write: &Write) -> String {
    use durabletask_storage::Condition::{Exists, Matches};
    let (method, condition, row) = match write {
        Write::Insert(row) => ("POST", "", row),
        Write::InsertOrReplace(row) => ("PUT", "", row),
        Write::InsertOrMerge(row) => ("PATCH", "", row),
        Write::Replace(row, Exists) => ("PUT", " if it exists", row),
        Write::Replace(row, Matches(_)) => ("PUT", " if it matches", row),
        Write::Merge(row, Exists) => ("PATCH", " if it exists", row),
        Write::Merge(row, Matches(_)) => ("PATCH", " if it matches", row),
        Write::Delete { .. } => return format!("delete {table}"),
    };
    format!("{method} {table}{condition} {}", row_words(row))
}

/// Keys and typed values; `LastUpdatedTime` differs from run to run.
fn row_words(row: &Row) -> String {
    let columns: Vec<_> = row
        .columns
        .iter()
        .map(|(name, value)| match value {
            Value::DateTime(_) if name == "LastUpdatedTime" => format!("{name} now"),
            _ => format!("{name} {value:?}"),
        })
        .collect();
    format!("{}/{}: {columns:?}", row.partition_key, row.row_key)
}

/// A message without what differs from run to run.
fn message_words(text: &str) -> String {
    let mut json: serde_json::Value = serde_json::from_str(text).unwrap();
    json["ActivityId"] = "id".into();
    json["SequenceNumber"] = 0.into();
    json["TaskMessage"]["Event"]["Timestamp"] = "now".into();
    json.to_string()
}
