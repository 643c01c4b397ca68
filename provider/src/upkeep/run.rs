//! Upkeep by itself, beside a worker.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use super::sweep::SweepOptions;
use crate::HubClient;
use crate::dispatch::WorkerContext;
use crate::partition::PartitionId;

/// The partition whose owner does the upkeep of the whole hub.
const UPKEEP_PARTITION: PartitionId = PartitionId::new(0);

/// Time after the start of a worker at which upkeep is due first, also for workers that do not
/// live as long as the interval.
const FIRST_DELAY: Duration = Duration::from_secs(5 * 60);

impl WorkerContext {
    /// Purges what has expired, time and again, if the settings name an age.
    pub(crate) async fn keep_retention(self: Arc<Self>) {
        let retention = self.hub.settings().retention.clone();
        if retention.ages().is_empty() {
            return;
        }
        let client = HubClient::new(self.hub.clone());
        let mut pause = retention.interval.min(FIRST_DELAY);
        while self.wait_for_upkeep(pause).await {
            pause = retention.interval;
            let purged = client
                .purge_expired(&retention, false, |_| self.may_go_on())
                .await;
            match purged {
                Ok(reports) => {
                    let instances: u64 = reports.iter().map(|r| r.removed.instances).sum();
                    let failed: u64 = reports.iter().map(|report| report.failed).sum();
                    if instances + failed > 0 {
                        tracing::info!(instances, failed, "purged what has expired");
                    }
                }
                Err(error) => tracing::warn!(%error, "could not purge what has expired"),
            }
        }
    }

    /// Sweeps, time and again, if the settings say so.
    pub(crate) async fn keep_sweeping(self: Arc<Self>) {
        let sweeper = self.hub.settings().sweeper.clone();
        if !sweeper.enabled {
            return;
        }
        let client = HubClient::new(self.hub.clone());
        let options = SweepOptions::from(&sweeper);
        let mut pause = sweeper.interval.min(FIRST_DELAY);
        while self.wait_for_upkeep(pause).await {
            pause = sweeper.interval;
            let swept = client
                .sweep(&options, |_, finding| {
                    if let Some(finding) = finding {
                        tracing::warn!(is_repaired = finding.is_repaired, %finding, "sweeping");
                    }
                    self.may_go_on()
                })
                .await;
            match swept {
                Ok(report) => tracing::debug!(?report, "swept the hub"),
                Err(error) => tracing::warn!(%error, "could not sweep the hub"),
            }
        }
    }

    /// Waits until upkeep is due and this worker's; false when the worker stops.
    async fn wait_for_upkeep(&self, pause: Duration) -> bool {
        loop {
            self.hub.env().sleep(pause).await;
            if self.is_stopping() {
                return false;
            }
            if self.ownership.is_fresh(UPKEEP_PARTITION) {
                return true;
            }
        }
    }

    fn may_go_on(&self) -> ControlFlow<()> {
        if self.is_stopping() || !self.ownership.is_fresh(UPKEEP_PARTITION) {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    }
}
