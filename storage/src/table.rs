//! Tables: rows under two keys, ETags, and transactions within one partition.

use std::collections::BTreeMap;
use std::fmt::{self, Debug};

use async_trait::async_trait;
use bytes::Bytes;
use durabletask_core::Timestamp;
use uuid::Uuid;

use crate::Result;

/// Operations one transaction may hold.
pub const MAX_TRANSACTION_ROWS: usize = 100;
/// Bytes one transaction's body may have: 4 MiB.
pub const MAX_TRANSACTION_BYTES: usize = 4 * 1024 * 1024;
/// Bytes one row may have: 1 MiB.
pub const MAX_ROW_BYTES: usize = 1024 * 1024;
/// UTF-16 code units one string column may have: 32 Ki (64 KiB).
pub const MAX_STRING_UNITS: usize = 32 * 1024;
/// Rows one page of a query may have.
pub const MAX_PAGE_ROWS: u32 = 1_000;

/// The table service of one account. Each method is one billed transaction.
#[async_trait]
pub trait Tables: Send + Sync + Debug {
    /// Makes the table; true if it was not there before.
    async fn create_table(&self, table: &str) -> Result<bool>;

    /// Removes the table and its rows; true if it was there.
    async fn delete_table(&self, table: &str) -> Result<bool>;

    /// Names of the tables that start with `prefix`, in order.
    async fn list_tables(&self, prefix: &str) -> Result<Vec<String>>;

    /// One row by its keys; `None` if there is no such row. `NotFound` means the table is missing.
    async fn get_row(&self, table: &str, keys: RowKeys<'_>) -> Result<Option<Row>>;

    /// One page of rows, in ascending order of partition key, then row key. A page may be short
    /// or empty and still have a continuation.
    async fn query(&self, table: &str, query: &Query) -> Result<Page>;

    /// Carries out one write; the row's new ETag, `None` after a delete. Durable when this
    /// returns.
    async fn write(&self, table: &str, write: Write) -> Result<Option<ETag>>;

    /// Carries out up to [`MAX_TRANSACTION_ROWS`] writes to distinct rows of one partition, all or
    /// none; the new ETags in the same order. A refusal names the operation that failed
    /// ([`StorageError::failed_index`](crate::StorageError::failed_index)).
    async fn transact(&self, table: &str, writes: Vec<Write>) -> Result<Vec<Option<ETag>>>;
}

/// A row's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RowKeys<'a> {
    /// The partition key, as stored.
    pub partition: &'a str,
    /// The row key, as stored; may be empty.
    pub row: &'a str,
}

/// A row version; opaque text.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ETag(pub String);

/// A typed column value.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// `Edm.String`
    String(String),
    /// `Edm.Int32`
    Int32(i32),
    /// `Edm.Int64`
    Int64(i64),
    /// `Edm.Double`
    Double(f64),
    /// `Edm.Boolean`
    Bool(bool),
    /// `Edm.DateTime`
    DateTime(Timestamp),
    /// `Edm.Guid`
    Guid(Uuid),
    /// `Edm.Binary`
    Binary(Bytes),
}

impl Value {
    /// The Edm type's name without `Edm.`.
    pub const fn edm_type(&self) -> &'static str {
        match self {
            Self::String(_) => "String",
            Self::Int32(_) => "Int32",
            Self::Int64(_) => "Int64",
            Self::Double(_) => "Double",
            Self::Bool(_) => "Boolean",
            Self::DateTime(_) => "DateTime",
            Self::Guid(_) => "Guid",
            Self::Binary(_) => "Binary",
        }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::String(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::String(text)
    }
}

impl From<i32> for Value {
    fn from(number: i32) -> Self {
        Self::Int32(number)
    }
}

impl From<bool> for Value {
    fn from(flag: bool) -> Self {
        Self::Bool(flag)
    }
}

impl From<Timestamp> for Value {
    fn from(stamp: Timestamp) -> Self {
        Self::DateTime(stamp)
    }
}

/// A row: keys, columns by name, and after a read its ETag and last write.
#[derive(Clone, PartialEq, Default)]
pub struct Row {
    /// The partition key, as stored.
    pub partition_key: String,
    /// The row key, as stored.
    pub row_key: String,
    /// All other columns except `Timestamp`. A missing value is a missing column.
    pub columns: BTreeMap<String, Value>,
    /// The version that was read; ignored in writes.
    pub etag: Option<ETag>,
    /// The system column `Timestamp`: when the service last wrote the row; ignored in writes.
    pub written: Option<Timestamp>,
}

impl Row {
    /// A row without columns.
    pub fn new(partition_key: impl Into<String>, row_key: impl Into<String>) -> Self {
        Self {
            partition_key: partition_key.into(),
            row_key: row_key.into(),
            ..Self::default()
        }
    }

    /// The row's name.
    pub fn keys(&self) -> RowKeys<'_> {
        RowKeys {
            partition: &self.partition_key,
            row: &self.row_key,
        }
    }

    /// Sets a column.
    pub fn set(&mut self, column: impl Into<String>, value: impl Into<Value>) {
        self.columns.insert(column.into(), value.into());
    }

    /// Sets a column unless the value is missing.
    pub fn set_some(&mut self, column: &str, value: Option<impl Into<Value>>) {
        if let Some(value) = value {
            self.set(column, value);
        }
    }

    /// A column's value.
    pub fn get(&self, column: &str) -> Option<&Value> {
        self.columns.get(column)
    }

    /// A string column; `None` if missing or of another type.
    pub fn get_str(&self, column: &str) -> Option<&str> {
        match self.columns.get(column) {
            Some(Value::String(text)) => Some(text),
            _ => None,
        }
    }
}

impl Debug for Row {
    /// Keys and column names; never values.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Row")
            .field("partition_key", &self.partition_key)
            .field("row_key", &self.row_key)
            .field("columns", &self.columns.keys().collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}

/// When a write of an existing row applies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    /// The row exists (`If-Match: *`).
    Exists,
    /// The row has this version.
    Matches(ETag),
}

/// One change of one row.
#[derive(Debug, Clone, PartialEq)]
pub enum Write {
    /// Fails with `AlreadyExists` if the row is there.
    Insert(Row),
    /// Writes the row whatever was there; old columns vanish.
    InsertOrReplace(Row),
    /// Writes the given columns, keeps others; makes the row if needed.
    InsertOrMerge(Row),
    /// Replaces an existing row; `NotFound` or `PreconditionFailed` otherwise.
    Replace(Row, Condition),
    /// Writes the given columns of an existing row; `NotFound` or `PreconditionFailed` otherwise.
    Merge(Row, Condition),
    /// Removes a row; `NotFound` or `PreconditionFailed` otherwise.
    Delete {
        /// The row's partition key.
        partition_key: String,
        /// The row's row key.
        row_key: String,
        /// When to delete.
        condition: Condition,
    },
}

impl Write {
    /// The name of the row to be written.
    pub fn keys(&self) -> RowKeys<'_> {
        match self {
            Self::Insert(row)
            | Self::InsertOrReplace(row)
            | Self::InsertOrMerge(row)
            | Self::Replace(row, _)
            | Self::Merge(row, _) => row.keys(),
            Self::Delete {
                partition_key,
                row_key,
                ..
            } => RowKeys {
                partition: partition_key,
                row: row_key,
            },
        }
    }

    /// The columns to be written; none in a delete.
    pub(crate) fn row(&self) -> Option<&Row> {
        match self {
            Self::Insert(row)
            | Self::InsertOrReplace(row)
            | Self::InsertOrMerge(row)
            | Self::Replace(row, _)
            | Self::Merge(row, _) => Some(row),
            Self::Delete { .. } => None,
        }
    }
}

/// What to look for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Query {
    /// `OData` filter text (chapter 03 §6.1), not URL-encoded.
    pub filter: Option<String>,
    /// Columns to return; empty means all. Keys, ETag and time always come.
    pub select: Vec<String>,
    /// Rows a page may have, at most [`MAX_PAGE_ROWS`]; `None` leaves it to the service.
    pub top: Option<u32>,
    /// Where the previous page ended.
    pub continuation: Option<Continuation>,
}

impl Query {
    /// All columns of the rows that match.
    pub fn filter(filter: impl Into<String>) -> Self {
        Self {
            filter: Some(filter.into()),
            ..Self::default()
        }
    }
}

/// Where a page ended: the two response headers, opaque (chapter 03 §6.5).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Continuation {
    /// `x-ms-continuation-NextPartitionKey`
    pub next_partition_key: String,
    /// `x-ms-continuation-NextRowKey`
    pub next_row_key: Option<String>,
}

/// One page of a query.
#[derive(Debug, Clone, Default)]
pub struct Page {
    /// Rows in ascending order.
    pub rows: Vec<Row>,
    /// Where to go on; `None` at the end.
    pub continuation: Option<Continuation>,
}
