//! Writing history: batches of rows fenced by the sentinel (chapter 03 §3, design.md §6).

use std::sync::Arc;

use durabletask_core::HistoryEvent;
use durabletask_storage::{Condition, ETag, ErrorKind, MAX_TRANSACTION_BYTES, Row, RowKeys, Write};

use crate::TaskHub;
use crate::error::TaskHubError;
use crate::wire::{history_row, instance_row, large, names};

/// Event rows of one transaction, at most: 100 less the sentinel.
const MAX_BATCH_ROWS: usize = 99;
/// Bytes kept free in a transaction for the sentinel and the multipart frame.
const BATCH_FRAME_BYTES: usize = 128 * 1024;

/// New history of one execution.
#[derive(Debug)]
pub(crate) struct NewHistory<'a> {
    pub(crate) instance_id: &'a str,
    pub(crate) execution_id: &'a str,
    /// Sequence number of the first new event.
    pub(crate) first_row: u64,
    pub(crate) events: &'a [Arc<HistoryEvent>],
    /// The fence; `None` inserts the sentinel.
    pub(crate) sentinel: Option<ETag>,
}

/// How a history write ended, when storage answered.
#[derive(Debug)]
pub(crate) enum Written {
    /// Durable; the next fence.
    Committed(Option<ETag>),
    /// Somebody else wrote first, or purged, or an unknown outcome was resolved: whatever is in
    /// storage now, the session must be loaded anew (design.md §6).
    LoadAnew,
}

/// Rows of new events, and what left them for blobs.
#[derive(Debug, Default)]
pub(crate) struct PreparedRows {
    rows: Vec<Row>,
    /// By event: the URL of its moved payload, for the instance row.
    pub(crate) urls: Vec<Option<String>>,
    /// Blobs written for these rows.
    pub(crate) blobs: Vec<String>,
}

impl TaskHub {
    /// Makes the rows of new events and writes their large values to blobs, before any
    /// transaction. Price: one blob transaction per value above 60 KiB.
    pub(crate) async fn prepare_rows(
        &self,
        new: &NewHistory<'_>,
    ) -> Result<PreparedRows, TaskHubError> {
        let partition_key = names::escape_key(new.instance_id);
        let mut prepared = PreparedRows::default();
        for (offset, event) in (0_u64..).zip(new.events) {
            let sequence = new.first_row + offset;
            let mut row =
                history_row::event_to_row(event, &partition_key, sequence, new.execution_id);
            let moved = self.move_large_values(&mut row);
            let mut url = None;
            for value in moved {
                self.put_large(&value.blob_name, value.content.into())
                    .await?;
                if instance_row::PAYLOAD_COLUMNS.contains(&value.column) {
                    url = Some(self.large().url(&value.blob_name));
                }
                prepared.blobs.push(value.blob_name);
            }
            prepared.urls.push(url);
            prepared.rows.push(row);
        }
        Ok(prepared)
    }

    /// Writes prepared rows, each transaction fenced by the sentinel. Durable when this returns
    /// `Committed`. Price: one table transaction per 99 rows or about 3 MiB.
    pub(crate) async fn write_history(
        &self,
        new: &NewHistory<'_>,
        prepared: PreparedRows,
    ) -> Result<Written, TaskHubError> {
        let partition_key = names::escape_key(new.instance_id);
        let mut sentinel = new.sentinel.clone();
        let mut rows = prepared.rows.into_iter().peekable();
        while rows.peek().is_some() {
            let batch = next_batch(&mut rows);
            let completed = rows.peek().is_none().then(|| self.env().now());
            let fence = history_row::sentinel_to_row(&partition_key, new.execution_id, completed);
            let first = batch.first().cloned();
            let mut writes: Vec<Write> = batch.into_iter().map(Write::InsertOrReplace).collect();
            let is_fenced = self.settings().protections.sentinel_etag;
            writes.push(match sentinel.take() {
                _ if !is_fenced => Write::InsertOrMerge(fence),
                Some(etag) => Write::Merge(fence, Condition::Matches(etag)),
                None => Write::Insert(fence),
            });
            let (tables, table) = (&self.account().tables, &self.tables().history);
            let is_resolved = self.settings().protections.unknown_outcomes;
            let transacted = if is_resolved {
                self.until_answered(|| tables.transact(table, writes.clone()))
                    .await
            } else {
                tables.transact(table, writes).await
            };
            match transacted {
                Ok(mut etags) => sentinel = etags.pop().flatten(),
                Err(error) if error.is_conflict() || error.is_not_found() => {
                    let was_ours = error.is_after_unknown() && self.is_ours(first.as_ref()).await?;
                    tracing::warn!(
                        instance_id = new.instance_id,
                        was_ours,
                        %error,
                        "a history commit was refused; the session is loaded anew"
                    );
                    return Ok(Written::LoadAnew);
                }
                // Only where the simulator wants to see it go wrong.
                Err(error) if error.kind() == ErrorKind::UnknownOutcome && !is_resolved => {
                    sentinel = None;
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(Written::Committed(sentinel))
    }

    /// Whether the row at our first new row key is the one we wrote: events carry distinct
    /// ticks. One table transaction.
    async fn is_ours(&self, first: Option<&Row>) -> Result<bool, TaskHubError> {
        let Some(first) = first else {
            return Ok(false);
        };
        let keys = RowKeys {
            partition: &first.partition_key,
            row: &first.row_key,
        };
        let stored = self
            .account()
            .tables
            .get_row(&self.tables().history, keys)
            .await?;
        Ok(stored.is_some_and(|stored| {
            ["ExecutionId", "_Timestamp"]
                .iter()
                .all(|column| stored.get(column) == first.get(column))
        }))
    }
}

/// Rows of the next transaction (chapter 03 §3.3 step 3.6, and the service's real limit).
fn next_batch(rows: &mut std::iter::Peekable<impl Iterator<Item = Row>>) -> Vec<Row> {
    let mut batch = Vec::new();
    let mut estimate = 0;
    let mut body = BATCH_FRAME_BYTES;
    while let Some(row) = rows.peek() {
        let row_body = large::body_size(row);
        if !batch.is_empty() && body + row_body > MAX_TRANSACTION_BYTES {
            break;
        }
        body += row_body;
        estimate += large::size_estimate(row);
        batch.extend(rows.next());
        if batch.len() == MAX_BATCH_ROWS || estimate > large::MAX_BATCH_ESTIMATE {
            break;
        }
    }
    batch
}
