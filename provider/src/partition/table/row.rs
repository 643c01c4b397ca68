//! One row of `{Hub}Partitions` (chapter 01 §5.3.1).

use durabletask_core::Timestamp;
use durabletask_storage::{ETag, Row, Value};

use crate::partition::PartitionId;

/// A partition's lease as stored. A column that is absent is `None`; an empty owner is an owner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LeaseRow {
    pub(crate) partition: PartitionId,
    /// The row key: the control queue's name.
    pub(crate) queue: String,
    pub(crate) current_owner: Option<String>,
    pub(crate) next_owner: Option<String>,
    pub(crate) owned_since: Option<Timestamp>,
    pub(crate) last_renewal: Option<Timestamp>,
    pub(crate) expires_at: Option<Timestamp>,
    pub(crate) is_draining: bool,
    /// The version read; a row without one cannot be written.
    pub(crate) etag: Option<ETag>,
}

impl LeaseRow {
    /// A row nobody ever owned, as hub creation inserts it.
    pub(crate) fn free(partition: PartitionId, queue: String) -> Self {
        Self {
            partition,
            queue,
            current_owner: None,
            next_owner: None,
            owned_since: None,
            last_renewal: None,
            expires_at: None,
            is_draining: false,
            etag: None,
        }
    }

    /// Reads a row; `None` if its key names no control queue of the hub `hub` (lower-case).
    pub(crate) fn read(hub: &str, row: &Row) -> Option<Self> {
        let text = |column| row.get_str(column).map(str::to_owned);
        Some(Self {
            partition: PartitionId::from_queue(hub, &row.row_key)?,
            queue: row.row_key.clone(),
            current_owner: text("CurrentOwner"),
            next_owner: text("NextOwner"),
            owned_since: time(row, "OwnedSince"),
            last_renewal: time(row, "LastRenewal"),
            expires_at: time(row, "ExpiresAt"),
            is_draining: matches!(row.get("IsDraining"), Some(Value::Bool(true))),
            etag: row.etag.clone(),
        })
    }

    /// The full entity: columns that are `None` are absent, so that a replace removes them.
    pub(crate) fn to_row(&self) -> Row {
        let mut row = Row::new("", self.queue.clone());
        row.set_some("CurrentOwner", self.current_owner.clone());
        row.set_some("NextOwner", self.next_owner.clone());
        row.set_some("OwnedSince", self.owned_since);
        row.set_some("LastRenewal", self.last_renewal);
        row.set_some("ExpiresAt", self.expires_at);
        row.set("IsDraining", self.is_draining);
        row
    }

    /// Whether somebody holds an unexpired lease at `now`.
    pub(crate) fn is_live(&self, now: Timestamp) -> bool {
        self.current_owner.is_some() && self.expires_at.is_some_and(|end| now < end)
    }
}

fn time(row: &Row, column: &str) -> Option<Timestamp> {
    match row.get(column)? {
        Value::DateTime(time) => Some(*time),
        Value::String(text) => text.parse().ok(),
        _ => None,
    }
}
