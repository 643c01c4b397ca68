//! Looking through a hub for damage.

use std::ops::ControlFlow;
use std::time::Duration;

use durabletask_core::OrchestrationStatus::{ContinuedAsNew, Pending, Running, Suspended};
use durabletask_storage::MAX_PAGE_ROWS;
use futures::StreamExt;

use super::finding::{Finding, FindingKind};
use super::pace::Pace;
use crate::HubClient;
use crate::error::TaskHubError;
use crate::hub::SweeperSettings;
use crate::wire::filter;

/// Time without a change after which an instance is looked at (design.md §8).
pub(super) const MIN_QUIET: Duration = Duration::from_secs(10 * 60);
/// Instances or blobs looked at per second unless another pace is asked for.
const DEFAULT_ITEMS_PER_SECOND: u32 = 100;

/// How to sweep.
#[derive(Debug, Clone)]
pub struct SweepOptions {
    /// Report what is wrong and change nothing.
    pub dry_run: bool,
    /// Instances and blobs looked at per second, at most; 0 means without limit. Default 100.
    pub max_items_per_second: u32,
    /// Look for running instances whose activities are in no queue, at the price of one to four
    /// transactions more for each quiet instance. Default false.
    pub lost_tasks: bool,
}

impl Default for SweepOptions {
    fn default() -> Self {
        Self {
            dry_run: false,
            max_items_per_second: DEFAULT_ITEMS_PER_SECOND,
            lost_tasks: false,
        }
    }
}

impl From<&SweeperSettings> for SweepOptions {
    fn from(settings: &SweeperSettings) -> Self {
        Self {
            dry_run: false,
            max_items_per_second: settings.max_items_per_second,
            lost_tasks: false,
        }
    }
}

/// How far a sweep has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SweepReport {
    /// Instances looked at: those that have not changed for 10 minutes and have not ended.
    pub instances: u64,
    /// Blobs looked at.
    pub blobs: u64,
    /// Things that were wrong.
    pub found: u64,
    /// Those that were repaired.
    pub repaired: u64,
    /// Whether everything was looked at.
    pub is_complete: bool,
}

/// One sweep under way.
pub(super) struct Sweep<'a> {
    pub(super) client: &'a HubClient,
    pub(super) options: &'a SweepOptions,
    pub(super) pace: Pace,
    pub(super) report: SweepReport,
    on_step: &'a mut (dyn FnMut(&SweepReport, Option<&Finding>) -> ControlFlow<()> + Send),
}

impl Sweep<'_> {
    /// Counts and tells what was found, or that nothing was; whether to go on.
    pub(super) fn step(&mut self, finding: Option<&Finding>) -> ControlFlow<()> {
        if let Some(finding) = finding {
            self.report.found += 1;
            self.report.repaired += u64::from(finding.is_repaired);
        }
        (self.on_step)(&self.report, finding)
    }
}

impl HubClient {
    /// Looks through the hub once and repairs, within the limits of what is safe beside running
    /// workers: starts that got lost, rewinds that were cut off, rows that do not show the end of
    /// their history, blobs that nothing refers to. `on_step` is called after each instance and
    /// blob, with what was found if anything was, and may break off; so does dropping the future.
    /// Nothing is remembered: the next sweep begins anew.
    ///
    /// Price: one table transaction per 1,000 instances that have not ended and have been quiet for
    /// 10 minutes, one or two for each of them, five or so per repair; one blob transaction per
    /// 5,000 blobs, two table transactions per instance that has blobs older than 30 days, one blob
    /// transaction per deletion.
    pub async fn sweep(
        &self,
        options: &SweepOptions,
        mut on_step: impl FnMut(&SweepReport, Option<&Finding>) -> ControlFlow<()> + Send,
    ) -> Result<SweepReport, TaskHubError> {
        let mut sweep = Sweep {
            client: self,
            options,
            pace: Pace::per_second(self.hub().env(), options.max_items_per_second),
            report: SweepReport::default(),
            on_step: &mut on_step,
        };
        let instances = sweep.instances().await?;
        if instances.is_continue() && sweep.orphans().await?.is_continue() {
            sweep.report.is_complete = true;
        }
        Ok(sweep.report)
    }
}

impl Sweep<'_> {
    async fn instances(&mut self) -> Result<ControlFlow<()>, TaskHubError> {
        let hub = self.client.hub();
        let quiet_since = hub.env().now().saturating_sub(MIN_QUIET);
        let live = [Running, Pending, Suspended, ContinuedAsNew];
        let mut query = filter::unchanged_since(&live, quiet_since);
        query.top = Some(MAX_PAGE_ROWS);
        let mut rows = hub.rows_of(query);
        while let Some(row) = rows.next().await {
            let row = row?;
            self.pace.turn().await;
            self.report.instances += 1;
            let finding = match self.client.look_at(&row, self.options).await {
                Ok(finding) => finding,
                Err(
                    problem @ (TaskHubError::Unreadable { .. } | TaskHubError::MissingBlob { .. }),
                ) => Some(Finding {
                    instance_id: row.partition_key,
                    kind: FindingKind::Unreadable(problem),
                    is_repaired: false,
                }),
                Err(error) => return Err(error),
            };
            if self.step(finding.as_ref()).is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        Ok(ControlFlow::Continue(()))
    }
}
