//! One pass: read all rows, treat one after the other, balance (chapter 01 §5.3.3).

use durabletask_storage::{Condition, ErrorKind, Query, Result, StorageError, Write};

use super::balance::rows_to_ask_for;
use super::row::LeaseRow;
use super::run::Run;
use super::step::{Step, step};
use crate::partition::PartitionId;
use crate::partition::drain::Drain;

/// What a pass that succeeded leaves behind.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Outcome {
    /// We are draining, or wait for a partition: look again soon.
    pub(super) pending: bool,
    /// Some row still names us as its owner.
    pub(super) owns_rows: bool,
}

/// What balancing needs to know, gathered row by row.
#[derive(Default)]
struct Census {
    /// Rows ours or promised to us.
    mine: usize,
    /// Indexes of the rows of every other worker, workers in the order of their first row.
    others: Vec<(String, Vec<usize>)>,
}

impl Census {
    fn count(&mut self, worker: &str, row: usize) {
        match self.others.iter_mut().find(|(name, _)| name == worker) {
            Some((_, rows)) => rows.push(row),
            None => self.others.push((worker.to_owned(), vec![row])),
        }
    }
}

impl Run {
    /// One pass. May be dropped at any await: what it had not heard of, the next pass reads.
    pub(super) async fn pass(&mut self, stopping: bool) -> Result<Outcome> {
        let mut rows = self.read_rows().await?;
        self.lose_missing(&rows);
        let mut outcome = Outcome::default();
        let mut census = Census::default();
        for (index, row) in rows.iter_mut().enumerate() {
            self.treat(index, row, stopping, &mut census, &mut outcome)
                .await?;
            outcome.owns_rows |= self.is_mine(row);
        }
        if !stopping {
            for index in rows_to_ask_for(rows.len(), census.mine, &census.others) {
                if let Some(row) = rows.get_mut(index) {
                    self.ask(row).await?;
                    outcome.pending = true;
                }
            }
        }
        Ok(outcome)
    }

    /// All rows in order. A table that is gone has none: the hub was deleted.
    async fn read_rows(&self) -> Result<Vec<LeaseRow>> {
        let mut rows = Vec::new();
        let mut query = Query::default();
        loop {
            let page = match self.config.tables.query(&self.config.table, &query).await {
                Ok(page) => page,
                Err(error) if error.is_not_found() => return Ok(Vec::new()),
                Err(error) => return Err(error),
            };
            let leases = page.rows.iter();
            rows.extend(leases.filter_map(|row| LeaseRow::read(&self.config.hub, row)));
            query.continuation = page.continuation;
            if query.continuation.is_none() {
                return Ok(rows);
            }
        }
    }

    fn lose_missing(&mut self, rows: &[LeaseRow]) {
        let gone = |held: &&PartitionId| rows.iter().all(|row| row.partition != **held);
        let missing: Vec<_> = self.held.keys().filter(gone).copied().collect();
        for partition in missing {
            self.lose(partition);
        }
    }

    fn is_mine(&self, row: &LeaseRow) -> bool {
        row.current_owner.as_deref() == Some(self.config.worker_id.as_str())
    }

    async fn treat(
        &mut self,
        index: usize,
        row: &mut LeaseRow,
        stopping: bool,
        census: &mut Census,
        outcome: &mut Outcome,
    ) -> Result<()> {
        if !self.is_mine(row) {
            self.lose(row.partition);
        }
        let now = self.config.clock.now();
        let drain = self.drain_state(row.partition);
        match step(row, &self.config.worker_id, now, drain, stopping) {
            Step::Count(worker) => census.count(worker, index),
            Step::Leave => {}
            Step::Wait => {
                census.mine += 1;
                outcome.pending = true;
            }
            Step::Ask => {
                self.ask(row).await?;
                outcome.pending = true;
            }
            Step::Withdraw => {
                row.next_owner = None;
                self.write(row).await?;
            }
            Step::Claim => {
                // An expired lease of our own: what the host still has is of the old period.
                self.lose(row.partition);
                row.current_owner = Some(self.config.worker_id.clone());
                row.next_owner = None;
                row.owned_since = Some(now);
                census.mine += 1;
                self.renew(row, false).await?;
                self.read_queue(row).await?;
            }
            Step::Renew => {
                census.mine += 1;
                self.renew(row, false).await?;
                self.read_queue(row).await?;
            }
            Step::Drain => {
                outcome.pending = true;
                self.start_drain(row.partition);
                self.renew(row, true).await?;
            }
            Step::Release => {
                outcome.pending = true;
                self.release(row).await?;
            }
        }
        Ok(())
    }

    /// Puts us down as next owner; its owner drains and hands over.
    async fn ask(&self, row: &mut LeaseRow) -> Result<()> {
        row.next_owner = Some(self.config.worker_id.clone());
        self.write(row).await
    }

    /// Writes the row with a new end of its lease.
    async fn renew(&self, row: &mut LeaseRow, draining: bool) -> Result<()> {
        // Read first, so that our own view of the lease never outlasts what others read.
        let sent = self.config.env.monotonic();
        let now = self.config.clock.now();
        row.last_renewal = Some(now);
        row.expires_at = Some(now.saturating_add(self.config.lease));
        row.is_draining = draining;
        self.write(row).await?;
        self.ownership.renew(row.partition, sent);
        Ok(())
    }

    /// Makes sure that the host reads the queue of a row that was just written in our name. One
    /// whose reader has died would be owned and unread for ever, and others would respect that
    /// (R5-26).
    async fn read_queue(&mut self, row: &LeaseRow) -> Result<()> {
        if self.held.contains_key(&row.partition) {
            if self.host.is_reading(row.partition) {
                return Ok(());
            }
            tracing::error!(partition = %row.partition, "nobody reads an owned queue; starting again");
            self.held.remove(&row.partition);
            self.host.lost(row.partition);
        }
        self.config.queues.create_queue(&row.queue).await?;
        tracing::info!(partition = %row.partition, "partition acquired");
        self.held.insert(row.partition, None);
        self.host.acquired(row.partition);
        Ok(())
    }

    /// Starts the drain of this period of ownership unless it runs. What the host never had
    /// (a row of an earlier process with our name) drains at once as well.
    fn start_drain(&mut self, partition: PartitionId) {
        let drain = self.held.entry(partition).or_insert(None);
        if drain.is_none() {
            let wake = &self.signal.wake;
            *drain = Some(Drain::start(&self.scope, &self.host, partition, wake));
        }
    }

    /// Gives the row away: removes our name and nothing else.
    async fn release(&mut self, row: &mut LeaseRow) -> Result<()> {
        // From here on somebody else may own it, whether or not the answer comes.
        self.ownership.forget(row.partition);
        let drain = self.held.get(&row.partition).and_then(Option::as_ref);
        if drain.is_some_and(Drain::is_overdue) {
            tracing::error!(partition = %row.partition, "sessions did not finish in time");
            self.host.lost(row.partition);
        }
        row.current_owner = None;
        row.is_draining = false;
        self.write(row).await?;
        self.held.remove(&row.partition);
        tracing::info!(partition = %row.partition, "partition released");
        Ok(())
    }

    /// Replaces the row if it is still what was read (R5-10, R5-11).
    async fn write(&self, row: &mut LeaseRow) -> Result<()> {
        let etag = row.etag.clone().ok_or_else(|| {
            StorageError::new(ErrorKind::Corrupt, "write", self.config.table.clone())
                .with_detail("a row came without an ETag")
        })?;
        let write = Write::Replace(row.to_row(), Condition::Matches(etag));
        row.etag = self.config.tables.write(&self.config.table, write).await?;
        Ok(())
    }
}
