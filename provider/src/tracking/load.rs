//! Loading an instance's history (chapter 03 §6.2).

use std::sync::Arc;

use durabletask_core::HistoryEvent;
use durabletask_core::episode::RuntimeState;
use durabletask_storage::{ETag, Query, Row, StorageError};
use futures::{StreamExt, TryStreamExt, stream};

use crate::TaskHub;
use crate::error::TaskHubError;
use crate::session::{KnownRow, Loaded};
use crate::wire::{filter, history_row, large};

/// Blobs read at the same time while one history is loaded.
const MAX_CONCURRENT_BLOB_READS: usize = 16;

/// What a load found.
#[derive(Debug)]
pub(crate) struct History {
    /// The events of one execution in order; empty if the expected one is not there.
    pub(crate) events: Vec<Arc<HistoryEvent>>,
    /// The sentinel's version, whichever execution it names.
    pub(crate) sentinel: Option<ETag>,
    /// Blobs that the events refer to.
    pub(crate) blobs: Vec<String>,
}

impl TaskHub {
    /// The history of the current execution, or of `execution_id` alone. Price: one table
    /// transaction per 1,000 rows, one blob read per moved value.
    pub(crate) async fn load_history(
        &self,
        instance_id: &str,
        execution_id: Option<&str>,
    ) -> Result<History, TaskHubError> {
        let rows = self
            .query_all(
                &self.tables().history,
                filter::history(instance_id, execution_id),
            )
            .await?;
        let sentinel_row = rows.iter().rfind(|row| history_row::is_sentinel(row));
        let sentinel = sentinel_row.and_then(|row| row.etag.clone());
        let current = match sentinel_row {
            Some(row) => history_row::execution_id(row),
            // Very old or damaged partitions have no sentinel.
            None if execution_id.is_none() => rows.first().and_then(history_row::execution_id),
            None => None,
        };
        if rows.is_empty()
            || current.is_none()
            || execution_id.is_some_and(|id| Some(id) != current)
        {
            return Ok(History {
                events: Vec::new(),
                sentinel,
                blobs: Vec::new(),
            });
        }
        let current = current.map(str::to_owned);
        let own: Vec<Row> = rows
            .into_iter()
            .filter(|row| !history_row::is_sentinel(row))
            .take_while(|row| history_row::execution_id(row) == current.as_deref())
            .collect();
        let (events, blobs) = self.read_events(own).await?;
        Ok(History {
            events,
            sentinel,
            blobs,
        })
    }

    /// A session's state from storage, without its instance row.
    pub(crate) async fn load_session(
        &self,
        instance_id: &str,
        execution_id: Option<&str>,
    ) -> Result<Box<Loaded>, TaskHubError> {
        let history = self.load_history(instance_id, execution_id).await?;
        Ok(Box::new(Loaded {
            state: RuntimeState::load(history.events, None),
            sentinel: history.sentinel,
            row: KnownRow::Missing,
            read_row: None,
            blobs: history.blobs,
            run: None,
            is_fresh: true,
        }))
    }

    /// A session's state from storage, and what its instance row says. Price: that of
    /// [`load_history`](Self::load_history) and one table transaction.
    pub(crate) async fn load_with_row(
        &self,
        instance_id: &str,
        execution_id: Option<&str>,
    ) -> Result<Box<Loaded>, TaskHubError> {
        let load = self.load_session(instance_id, execution_id);
        let row = self.instance_row(instance_id, false);
        let (mut loaded, row) = futures::future::try_join(load, row).await?;
        loaded.see_row(row);
        Ok(loaded)
    }

    /// All pages of a query. One table transaction per page.
    pub(crate) async fn query_all(
        &self,
        table: &str,
        mut query: Query,
    ) -> Result<Vec<Row>, StorageError> {
        let mut rows = Vec::new();
        loop {
            let page = self.account().tables.query(table, &query).await?;
            rows.extend(page.rows);
            let Some(continuation) = page.continuation else {
                return Ok(rows);
            };
            query.continuation = Some(continuation);
        }
    }

    async fn read_events(
        &self,
        rows: Vec<Row>,
    ) -> Result<(Vec<Arc<HistoryEvent>>, Vec<String>), TaskHubError> {
        let mut blobs = Vec::new();
        for row in &rows {
            blobs.extend(large::moved_columns(row).into_iter().map(|(_, blob)| blob));
        }
        let rows = if blobs.is_empty() {
            rows
        } else {
            stream::iter(rows.into_iter().map(|row| self.resolve(row)))
                .buffered(MAX_CONCURRENT_BLOB_READS)
                .try_collect()
                .await?
        };
        let events = rows
            .iter()
            .map(|row| {
                history_row::row_to_event(row)
                    .map(Arc::new)
                    .map_err(|source| TaskHubError::unreadable(row_name(row), source))
            })
            .collect::<Result<_, _>>()?;
        Ok((events, blobs))
    }

    /// Puts moved values back into their columns (chapter 03 §4.5).
    async fn resolve(&self, mut row: Row) -> Result<Row, TaskHubError> {
        for (column, blob) in large::moved_columns(&row) {
            let text = self.get_large(&row_name(&row), &blob).await?;
            row.set(column, text);
        }
        Ok(row)
    }
}

pub(super) fn row_name(row: &Row) -> String {
    format!("history row {}/{}", row.partition_key, row.row_key)
}
