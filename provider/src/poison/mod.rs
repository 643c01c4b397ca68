//! Messages that nobody can work off: set aside in a table of our own, looked at, put back.
//!
//! .NET puts such a message back for ever. With `rust.poisonAfter` a worker counts how often it
//! saw a message fail, because it cannot be read or because what it asks for crashes the worker's
//! code, and after so many failures moves it to the table `{Hub}Poison`, with all of its text.
//! Unknown names, answers that come too early and aborted episodes are no failures.

mod failures;
mod set_aside;

use bytes::Bytes;
use durabletask_core::Timestamp;
use durabletask_storage::{Condition, Query, Row, RowKeys, StorageError, Value, Write};

use crate::client::HubClient;
use crate::error::TaskHubError;
use crate::taskhub::TaskHub;

pub(crate) use failures::Failures;
pub(crate) use set_aside::FailedMessage;

const INSTANCE: &str = "InstanceId";
const EVENT: &str = "EventType";
const ERROR: &str = "Error";
const FAILURES: &str = "Failures";
const SET_ASIDE: &str = "SetAsideTime";
const BLOB: &str = "BlobName";
/// UTF-8 bytes of the queue text: 64 KiB at most, as much as a binary column holds.
const TEXT: &str = "Text";

/// A message that was set aside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PoisonMessage {
    /// The queue it was in.
    pub queue: String,
    /// Its id there.
    pub message_id: String,
    /// The instance it is for, if it could be read.
    pub instance_id: Option<String>,
    /// Its event type, if it could be read.
    pub event_type: Option<String>,
    /// What went wrong the last time.
    pub error: String,
    /// How often the worker that set it aside saw it fail.
    pub failures: i32,
    /// When it was set aside.
    pub set_aside_time: Option<Timestamp>,
}

impl HubClient {
    /// Messages that were set aside, without their texts. One table transaction per 1,000.
    pub async fn poison_messages(&self) -> Result<Vec<PoisonMessage>, TaskHubError> {
        let columns = [INSTANCE, EVENT, ERROR, FAILURES, SET_ASIDE];
        let rows = self.hub().poison_rows(&columns).await?;
        Ok(rows.iter().map(PoisonMessage::from_row).collect())
    }

    /// The text of a message that was set aside, as it was in its queue; `None` if it is not
    /// there any more. One table transaction.
    pub async fn poison_text(
        &self,
        queue: &str,
        message_id: &str,
    ) -> Result<Option<String>, TaskHubError> {
        self.hub().poison_text(queue, message_id).await
    }

    /// Puts a message that was set aside back into its queue; false if it is not there any more.
    /// Should the caller die in between, it may be there a second time, which its instance
    /// recognises. One queue and two table transactions.
    pub async fn requeue_poison(
        &self,
        queue: &str,
        message_id: &str,
    ) -> Result<bool, TaskHubError> {
        let hub = self.hub();
        let Some(text) = hub.poison_text(queue, message_id).await? else {
            return Ok(false);
        };
        let queues = &hub.account().queues;
        queues.put_message(queue, &text, None).await?;
        hub.wake(queue);
        let delete = Write::Delete {
            partition_key: queue.to_owned(),
            row_key: message_id.to_owned(),
            condition: Condition::Exists,
        };
        let table = hub.names().poison_table();
        match hub.account().tables.write(&table, delete).await {
            Err(error) if !error.is_not_found() => Err(error.into()),
            // Somebody else put it back at the same time.
            _ => Ok(true),
        }
    }
}

impl PoisonMessage {
    /// Tolerant: what is missing is empty.
    fn from_row(row: &Row) -> Self {
        let text = |column| row.get_str(column).map(str::to_owned);
        let failures = match row.get(FAILURES) {
            Some(Value::Int32(failures)) => *failures,
            _ => 0,
        };
        let set_aside_time = match row.get(SET_ASIDE) {
            Some(Value::DateTime(time)) => Some(*time),
            _ => None,
        };
        Self {
            queue: row.partition_key.clone(),
            message_id: row.row_key.clone(),
            instance_id: text(INSTANCE),
            event_type: text(EVENT),
            error: text(ERROR).unwrap_or_default(),
            failures,
            set_aside_time,
        }
    }

    fn to_row(&self, text: &str, blob: Option<String>) -> Row {
        let mut row = Row::new(self.queue.as_str(), self.message_id.as_str());
        row.set(ERROR, self.error.as_str());
        row.set(FAILURES, self.failures);
        row.set(TEXT, Value::Binary(Bytes::copy_from_slice(text.as_bytes())));
        if let Some(time) = self.set_aside_time {
            row.set(SET_ASIDE, Value::DateTime(time));
        }
        for (column, value) in [
            (INSTANCE, self.instance_id.clone()),
            (EVENT, self.event_type.clone()),
            (BLOB, blob),
        ] {
            if let Some(value) = value {
                row.set(column, value);
            }
        }
        row
    }
}

impl TaskHub {
    /// Blobs that hold messages which were set aside. One table transaction per 1,000.
    pub(crate) async fn poison_blobs(&self) -> Result<Vec<String>, TaskHubError> {
        let rows = self.poison_rows(&[BLOB]).await?;
        let blob = |row: &Row| row.get_str(BLOB).map(str::to_owned);
        Ok(rows.iter().filter_map(blob).collect())
    }

    async fn poison_rows(&self, columns: &[&str]) -> Result<Vec<Row>, StorageError> {
        let query = Query {
            select: columns.iter().map(|column| (*column).to_owned()).collect(),
            ..Query::default()
        };
        match self.query_all(&self.names().poison_table(), query).await {
            // It is made with the first message.
            Err(error) if error.is_not_found() => Ok(Vec::new()),
            rows => rows,
        }
    }

    async fn poison_text(
        &self,
        queue: &str,
        message_id: &str,
    ) -> Result<Option<String>, TaskHubError> {
        let keys = RowKeys {
            partition: queue,
            row: message_id,
        };
        let table = self.names().poison_table();
        let row = match self.account().tables.get_row(&table, keys).await {
            Err(error) if error.is_not_found() => None,
            row => row?,
        };
        let Some(row) = row else {
            return Ok(None);
        };
        let text = match row.get(TEXT) {
            Some(Value::Binary(bytes)) => String::from_utf8(bytes.to_vec()).ok(),
            _ => None,
        };
        text.map(Some).ok_or_else(|| {
            let what = format!("poison message {message_id}");
            TaskHubError::unreadable(what, crate::wire::WireError::Corrupt(TEXT))
        })
    }

    /// Keeps a message for humans. One table transaction, three for the first one of a hub.
    async fn put_poison(&self, row: Row) -> Result<(), StorageError> {
        let (tables, table) = (&self.account().tables, self.names().poison_table());
        match tables
            .write(&table, Write::InsertOrReplace(row.clone()))
            .await
        {
            Err(error) if error.is_not_found() => {
                tables.create_table(&table).await?;
                tables.write(&table, Write::InsertOrReplace(row)).await?;
            }
            written => drop(written?),
        }
        Ok(())
    }
}
