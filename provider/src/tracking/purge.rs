//! Removing what an instance has left in storage (chapter 03 §7.1).

use std::ops::AddAssign;
use std::time::Duration;

use durabletask_storage::{
    BlobInfo, Condition, MAX_TRANSACTION_ROWS, Query, Row, StorageError, Write,
};
use futures::{StreamExt, TryStreamExt, stream};

use crate::TaskHub;
use crate::error::TaskHubError;
use crate::wire::{filter, large, names};

/// Delete transactions of one instance under way at the same time, as in .NET.
const MAX_CONCURRENT_TRANSACTIONS: usize = 10;
/// Attempts to purge an instance by force that goes on changing, beside the first.
const MAX_FORCED_ATTEMPTS: usize = 10;
/// Blob deletes of one instance under way at the same time.
const MAX_CONCURRENT_BLOB_DELETES: usize = 10;
/// Seconds by which the clocks of blobs and tables of one account may differ.
const MAX_CLOCK_DIFFERENCE_SECONDS: u64 = 5;

/// What purges removed and what it cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PurgeCounts {
    /// Instances whose rows are gone.
    pub instances: u64,
    /// History rows, sentinels included.
    pub rows: u64,
    /// Blobs of large values and messages.
    pub blobs: u64,
    /// Storage transactions, counted as .NET does: without those that found the instances.
    pub storage_requests: u64,
}

impl AddAssign for PurgeCounts {
    fn add_assign(&mut self, other: Self) {
        self.instances += other.instances;
        self.rows += other.rows;
        self.blobs += other.blobs;
        self.storage_requests += other.storage_requests;
    }
}

/// The instance to purge, as it was found.
#[derive(Debug)]
pub(crate) struct PurgeTarget<'a> {
    pub(crate) instance_id: &'a str,
    /// Its row; `None` if only the rest of an interrupted purge is there.
    pub(crate) row: Option<&'a Row>,
    /// Whether it is removed whatever happens to it meanwhile.
    pub(crate) force: bool,
}

impl PurgeTarget<'_> {
    fn takes(&self, blob: &BlobInfo) -> bool {
        names::owner_of_blob(&blob.name).as_deref() == Some(self.instance_id)
            && !self.may_be_newer(blob)
    }

    fn changed(&self) -> TaskHubError {
        TaskHubError::ChangedMeanwhile {
            instance_id: self.instance_id.to_owned(),
        }
    }

    /// Whether the blob may belong to an execution that was started after the instance row was
    /// read. Messages to the finished one may come at any time and go with it.
    fn may_be_newer(&self, blob: &BlobInfo) -> bool {
        let finished = self.row.and_then(|row| row.written);
        let (Some(written), Some(finished), false) = (blob.written, finished, self.force) else {
            return false;
        };
        let difference = Duration::from_secs(MAX_CLOCK_DIFFERENCE_SECONDS);
        written > finished.saturating_add(difference)
            && (large::is_start_message_blob(&blob.name) || !names::is_message_blob(&blob.name))
    }
}

impl TaskHub {
    /// Removes history and blobs, then the instance row: after a crash in between, the same call
    /// removes the rest. An instance that is started again meanwhile fails with
    /// [`TaskHubError::ChangedMeanwhile`] and keeps what is its own, unless the purge is forced.
    ///
    /// Each row goes by the version that was read, also by force: a delete that lands late must
    /// not hit the rows of an instance that was created anew.
    ///
    /// Price: one table transaction per 1,000 history rows to find them and one per 100 to delete
    /// them, one for the instance row, and another one if history is younger than it; one blob transaction per page of the list (two lists if the
    /// id has characters that are escaped) and one per blob.
    pub(crate) async fn purge_target(
        &self,
        target: &PurgeTarget<'_>,
    ) -> Result<PurgeCounts, TaskHubError> {
        let PurgeTarget {
            instance_id, force, ..
        } = *target;
        let mut purged = self.purge_as_read(target).await;
        for _ in 0..MAX_FORCED_ATTEMPTS {
            if !force || !matches!(purged, Err(TaskHubError::ChangedMeanwhile { .. })) {
                break;
            }
            let query = filter::instance_to_purge(instance_id);
            let rows = self.query_all(&self.tables().instances, query).await?;
            let again = PurgeTarget {
                instance_id,
                row: rows.first(),
                force,
            };
            purged = self.purge_as_read(&again).await;
        }
        purged
    }

    async fn purge_as_read(&self, target: &PurgeTarget<'_>) -> Result<PurgeCounts, TaskHubError> {
        let history = self.purge_history(target);
        let blobs = self.purge_blobs(target);
        let (history, blobs) = futures::future::try_join(history, blobs).await?;
        let mut counts = history;
        counts += blobs;
        if let Some(row) = target.row {
            let write = delete(row);
            let table = &self.tables().instances;
            counts.storage_requests += 1;
            match self.account().tables.write(table, write).await {
                Ok(_) => counts.instances += 1,
                // Somebody else purged it, too.
                Err(error) if error.is_not_found() => {}
                Err(error) => return Err(refused(target, error)),
            }
        }
        self.forget_session(target.instance_id);
        self.instance_changed(target.instance_id);
        Ok(counts)
    }

    async fn purge_history(&self, target: &PurgeTarget<'_>) -> Result<PurgeCounts, TaskHubError> {
        let mut counts = PurgeCounts::default();
        let mut query = Some(filter::history_keys(target.instance_id));
        while let Some(asked) = query.take() {
            let tables = &self.account().tables;
            let page = tables.query(&self.tables().history, &asked).await?;
            counts.storage_requests += 1;
            self.check_still_finished(target, &page.rows).await?;
            query = page.continuation.map(|continuation| Query {
                continuation: Some(continuation),
                ..asked
            });
            let batches = page.rows.chunks(MAX_TRANSACTION_ROWS);
            let deletes: Vec<_> = batches.map(|rows| self.delete_rows(target, rows)).collect();
            let mut deletes = stream::iter(deletes).buffer_unordered(MAX_CONCURRENT_TRANSACTIONS);
            while let Some(deleted) = deletes.try_next().await? {
                counts += deleted;
            }
        }
        Ok(counts)
    }

    /// Fails if rows that were listed belong to an execution that was started after the instance row
    /// was read: then that row has changed. Only rows younger than it can; else this costs nothing,
    /// and for them one table transaction.
    async fn check_still_finished(
        &self,
        target: &PurgeTarget<'_>,
        listed: &[Row],
    ) -> Result<(), TaskHubError> {
        let Some(row) = target.row.filter(|_| !target.force) else {
            return Ok(());
        };
        if listed.iter().all(|listed| listed.written <= row.written) {
            return Ok(());
        }
        let now = self.instance_row(target.instance_id, false).await?;
        if now.is_some_and(|now| now.etag != row.etag) {
            return Err(target.changed());
        }
        Ok(())
    }

    /// All at once; where one row is missing or changed, one by one.
    async fn delete_rows(
        &self,
        target: &PurgeTarget<'_>,
        rows: &[Row],
    ) -> Result<PurgeCounts, TaskHubError> {
        let (tables, table) = (&self.account().tables, &self.tables().history);
        let writes = rows.iter().map(delete);
        let mut counts = PurgeCounts {
            storage_requests: 1,
            ..PurgeCounts::default()
        };
        match tables.transact(table, writes.collect()).await {
            Ok(deleted) => {
                counts.rows += deleted.len() as u64;
                return Ok(counts);
            }
            Err(error) if error.is_not_found() => {}
            Err(error) => return Err(refused(target, error)),
        }
        for row in rows {
            counts.storage_requests += 1;
            match tables.write(table, delete(row)).await {
                Ok(_) => counts.rows += 1,
                Err(error) if error.is_not_found() => {}
                Err(error) => return Err(refused(target, error)),
            }
        }
        Ok(counts)
    }

    async fn purge_blobs(&self, target: &PurgeTarget<'_>) -> Result<PurgeCounts, TaskHubError> {
        let mut counts = PurgeCounts::default();
        let (blobs, container) = (&self.account().blobs, &self.tables().large_messages);
        for prefix in names::blob_prefixes(target.instance_id) {
            let mut marker = None;
            loop {
                let listed = blobs
                    .list_blobs(container, &prefix, marker.as_deref())
                    .await;
                counts.storage_requests += 1;
                let page = match listed {
                    Ok(page) => page,
                    // Made with the first large value.
                    Err(error) if error.is_not_found() => break,
                    Err(error) => return Err(error.into()),
                };
                let deletes: Vec<_> = page
                    .blobs
                    .iter()
                    .filter(|blob| target.takes(blob))
                    .map(|blob| blobs.delete_blob(container, &blob.name, None))
                    .collect();
                let mut deletes =
                    stream::iter(deletes).buffer_unordered(MAX_CONCURRENT_BLOB_DELETES);
                while let Some(was_there) = deletes.try_next().await? {
                    counts.storage_requests += 1;
                    counts.blobs += u64::from(was_there);
                }
                marker = page.marker;
                if marker.is_none() {
                    break;
                }
            }
        }
        Ok(counts)
    }
}

/// Rows that have changed since they were read belong to a new execution.
fn delete(row: &Row) -> Write {
    Write::Delete {
        partition_key: row.partition_key.clone(),
        row_key: row.row_key.clone(),
        condition: row
            .etag
            .clone()
            .map_or(Condition::Exists, Condition::Matches),
    }
}

fn refused(target: &PurgeTarget<'_>, error: StorageError) -> TaskHubError {
    if error.is_conflict() {
        target.changed()
    } else {
        error.into()
    }
}
