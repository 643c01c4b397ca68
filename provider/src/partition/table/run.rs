//! The loop of passes, from start to the release of the last partition (chapter 01 §5.3.2).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use durabletask_storage::Scope;

use super::pass::Outcome;
use super::{CLOCK_MARGIN, Config};
use crate::partition::background::{STOP_LIMIT, Signal};
use crate::partition::drain::{Drain, DrainState};
use crate::partition::{Ownership, PartitionHost, PartitionId, StopError};

/// Pause after a pass that saw a drain or waits for a partition.
const PENDING_PAUSE: Duration = Duration::from_secs(1);
/// Failed passes in a row that are repeated without a pause.
const HASTY_FAILURES: u32 = 9;

/// The state of one loop.
pub(super) struct Run {
    pub(super) config: Arc<Config>,
    pub(super) ownership: Ownership,
    pub(super) host: Arc<dyn PartitionHost>,
    pub(super) scope: Scope,
    pub(super) signal: Arc<Signal>,
    /// Partitions that the host reads or drains.
    pub(super) held: BTreeMap<PartitionId, Option<Drain>>,
}

impl Run {
    pub(super) fn new(
        config: Arc<Config>,
        ownership: Ownership,
        host: Arc<dyn PartitionHost>,
        scope: Scope,
        signal: Arc<Signal>,
    ) -> Self {
        Self {
            config,
            ownership,
            host,
            scope,
            signal,
            held: BTreeMap::new(),
        }
    }

    /// Passes until a stop has released everything.
    pub(super) async fn run(mut self) -> Result<(), StopError> {
        let env = self.config.env.clone();
        let mut failures = 0;
        let mut succeeded = env.monotonic();
        let mut stop_began = None;
        loop {
            let stopping = self.signal.is_stopping();
            let started = env.monotonic();
            let pause = if let Some(outcome) = self.limited_pass(stopping).await {
                (failures, succeeded) = (0, started);
                if stopping && !outcome.owns_rows {
                    return Ok(());
                }
                if outcome.pending {
                    PENDING_PAUSE
                } else {
                    self.config.pass_interval
                }
            } else {
                failures += 1;
                if failures <= HASTY_FAILURES {
                    Duration::ZERO
                } else {
                    self.config.pass_interval
                }
            };
            if stopping {
                let began = *stop_began.get_or_insert(started);
                if let Some(outcome) = self.given_up(began, failures, succeeded) {
                    self.lose_all();
                    return outcome;
                }
            }
            self.lose_stale();
            let pause = pause.min(self.ownership.until_stale().unwrap_or(pause));
            let _ = env.timeout(pause, self.signal.wake.notified()).await;
        }
    }

    /// How a stop ends that cannot be orderly; `None` while there is hope. `began` and `succeeded`
    /// are when the stop and the last good pass began.
    fn given_up(
        &self,
        began: Duration,
        failures: u32,
        succeeded: Duration,
    ) -> Option<Result<(), StopError>> {
        let now = self.config.env.monotonic();
        let counted_on = self.config.lease.saturating_sub(CLOCK_MARGIN);
        if failures > 0 && now.saturating_sub(succeeded) >= counted_on {
            return Some(Err(StopError::Unreachable));
        }
        if failures > 0 && self.held.is_empty() {
            return Some(Ok(()));
        }
        (now.saturating_sub(began) >= STOP_LIMIT)
            .then(|| Err(StopError::TimedOut(STOP_LIMIT.as_secs())))
    }

    /// One pass within its time limit; `None` if it failed.
    async fn limited_pass(&mut self, stopping: bool) -> Option<Outcome> {
        let env = self.config.env.clone();
        let limit = self.config.pass_limit;
        match env.timeout(limit, self.pass(stopping)).await {
            Ok(Ok(outcome)) => Some(outcome),
            Ok(Err(error)) if error.is_conflict() => {
                tracing::debug!(%error, "another worker changed a partition row first");
                None
            }
            Ok(Err(error)) => {
                tracing::warn!(%error, "a pass over the partition table failed");
                None
            }
            Err(elapsed) => {
                tracing::warn!(%elapsed, "a pass over the partition table took too long");
                None
            }
        }
    }

    /// How far the drain of a partition is.
    pub(super) fn drain_state(&self, partition: PartitionId) -> DrainState {
        match self.held.get(&partition) {
            Some(Some(drain)) => drain.state(),
            Some(None) | None => DrainState::None,
        }
    }

    /// Drops a partition that the host still has.
    pub(super) fn lose(&mut self, partition: PartitionId) {
        if self.held.remove(&partition).is_some() {
            tracing::warn!(%partition, "partition lost");
            self.ownership.forget(partition);
            self.host.lost(partition);
        }
    }

    /// Drops what was not renewed for a whole lease (R5-06).
    fn lose_stale(&mut self) {
        for partition in self.ownership.take_stale() {
            self.lose(partition);
        }
    }

    fn lose_all(&mut self) {
        let held: Vec<_> = self.held.keys().copied().collect();
        for partition in held {
            self.lose(partition);
        }
    }
}
