//! Purging instances, by id and by filter (chapter 03 §7.1, §7.2).

use std::ops::ControlFlow;

use durabletask_core::{OrchestrationStatus, Timestamp};
use durabletask_storage::{Query, Row};
use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt};

use super::HubClient;
use crate::TaskHub;
use crate::error::TaskHubError;
use crate::tracking::purge::{PurgeCounts, PurgeTarget};
use crate::upkeep::pace::Pace;
use crate::wire::filter::{self, InstanceQuery};
use crate::wire::names;

/// Rows of one page of instances to purge, as in .NET.
const PAGE_ROWS: u32 = 100;
/// Instances purged per second unless another pace is asked for.
const DEFAULT_INSTANCES_PER_SECOND: u32 = 100;
/// Problems that a report keeps.
const MAX_KEPT_PROBLEMS: usize = 16;

/// Which instances to purge. The default is every finished one.
#[derive(Debug, Clone, Default)]
pub struct PurgeFilter {
    /// Whose current execution was created at or after this time.
    pub created_from: Option<Timestamp>,
    /// Whose current execution was created at or before this time.
    pub created_to: Option<Timestamp>,
    /// With one of these statuses; `None` means any that is final. Statuses of live instances
    /// count only if the purge is forced; a list of nothing else then matches nothing (.NET would
    /// purge everything, §7.2 TRAP).
    pub statuses: Option<Vec<OrchestrationStatus>>,
    /// Whose ids start so. Empty means any.
    pub prefix: String,
}

/// How to purge many instances.
#[derive(Debug, Clone)]
pub struct PurgeOptions {
    /// Count what matches and remove nothing.
    pub dry_run: bool,
    /// Remove live instances, too. Their messages and running activities go on and find nothing.
    pub force: bool,
    /// Instances purged per second, at most; 0 means without limit. Default 100.
    pub max_instances_per_second: u32,
    /// Instances purged at the same time; a third of `max_storage_operation_concurrency` if
    /// absent, as in .NET.
    pub max_concurrent_instances: Option<usize>,
}

impl Default for PurgeOptions {
    fn default() -> Self {
        Self {
            dry_run: false,
            force: false,
            max_instances_per_second: DEFAULT_INSTANCES_PER_SECOND,
            max_concurrent_instances: None,
        }
    }
}

/// How far a purge of many instances has come.
#[derive(Debug, Default)]
pub struct PurgeReport {
    /// Instances that matched so far.
    pub matched: u64,
    /// What was removed.
    pub removed: PurgeCounts,
    /// Instances that could not be purged.
    pub failed: u64,
    /// The first 16 of them, with the reason.
    pub problems: Vec<(String, TaskHubError)>,
    /// Whether all that matched was dealt with: false while it runs, if the caller stopped it, or
    /// if something failed. Calling again goes on with what is left.
    pub is_complete: bool,
}

impl HubClient {
    /// Removes an instance: history, blobs, and at last its row; nothing of other instances, its
    /// children included. What was removed; all zero if there is no such instance. Live instances
    /// (entities always are) are refused with [`TaskHubError::NotFinished`] unless `force` is set;
    /// a forced purge also removes what a purge by .NET that crashed has left without a row.
    ///
    /// After a crash the same call removes the rest. Price: one table transaction to find it, and
    /// what [`PurgeCounts::storage_requests`] says.
    pub async fn purge(&self, instance_id: &str, force: bool) -> Result<PurgeCounts, TaskHubError> {
        let hub = &self.hub;
        let query = filter::instance_to_purge(instance_id);
        let rows = hub.query_all(&hub.tables().instances, query).await?;
        let row = rows.first();
        if row.is_none() && !force {
            return Ok(PurgeCounts::default());
        }
        let status = row
            .and_then(status_of)
            .filter(|status| !status.is_terminal());
        if let Some(status) = status.filter(|_| !force) {
            return Err(TaskHubError::NotFinished {
                instance_id: instance_id.to_owned(),
                status,
            });
        }
        let target = PurgeTarget {
            instance_id,
            row,
            force,
        };
        hub.purge_target(&target).await
    }

    /// Removes every instance that matches, several at a time, at the pace of the options.
    /// `on_progress` sees the report after each instance and may break off; dropping the future
    /// breaks off, too. Instances that cannot be purged are reported and skipped. There is no
    /// state to lose: calling again goes on with what is left.
    ///
    /// Price: one table transaction per 100 instances that match (more if the table has to be
    /// scanned for few), and that of [`HubClient::purge`] for each.
    pub async fn purge_matching(
        &self,
        filter: &PurgeFilter,
        options: &PurgeOptions,
        on_progress: impl FnMut(&PurgeReport) -> ControlFlow<()>,
    ) -> Result<PurgeReport, TaskHubError> {
        let Some(query) = instances_to_purge(filter, options.force) else {
            return Ok(PurgeReport {
                is_complete: true,
                ..PurgeReport::default()
            });
        };
        self.hub
            .purge_found(query.to_query(), options, on_progress)
            .await
    }
}

/// `None` if nothing can match.
fn instances_to_purge(filter: &PurgeFilter, force: bool) -> Option<InstanceQuery> {
    let may_purge = |status: &OrchestrationStatus| force || status.is_terminal();
    let statuses: Vec<_> = match &filter.statuses {
        Some(statuses) => statuses.iter().copied().filter(may_purge).collect(),
        None if force => Vec::new(),
        None => OrchestrationStatus::ALL
            .into_iter()
            .filter(may_purge)
            .collect(),
    };
    if statuses.is_empty() && !(force && filter.statuses.is_none()) {
        return None;
    }
    Some(InstanceQuery {
        created_from: filter.created_from,
        created_to: filter.created_to,
        statuses,
        prefix: filter.prefix.clone(),
        fetch_input: false,
        fetch_output: false,
        ..InstanceQuery::default()
    })
}

fn status_of(row: &Row) -> Option<OrchestrationStatus> {
    let status = row.get_str("RuntimeStatus")?;
    status.parse().ok()
}

/// An instance row and what became of it.
type PurgedRow = (Row, Result<PurgeCounts, TaskHubError>);

impl TaskHub {
    /// Purges what a query of the Instances table finds.
    pub(crate) async fn purge_found(
        &self,
        query: Query,
        options: &PurgeOptions,
        mut on_progress: impl FnMut(&PurgeReport) -> ControlFlow<()>,
    ) -> Result<PurgeReport, TaskHubError> {
        let pace = Pace::per_second(self.env(), options.max_instances_per_second);
        let third = self.settings().max_storage_operation_concurrency / 3;
        let concurrent = options
            .max_concurrent_instances
            .unwrap_or(usize::try_from(third).unwrap_or(usize::MAX))
            .max(1);
        let rows = self.rows_of(Query {
            top: Some(PAGE_ROWS),
            ..query
        });
        let mut purged = rows
            .map(|row| self.purge_in_turn(row, options, &pace))
            .buffer_unordered(concurrent);
        let mut report = PurgeReport::default();
        while let Some(next) = purged.next().await {
            let (row, outcome) = next?;
            report.add(&row, outcome);
            if on_progress(&report).is_break() {
                return Ok(report);
            }
        }
        report.is_complete = report.failed == 0;
        Ok(report)
    }

    fn purge_in_turn<'a>(
        &'a self,
        row: Result<Row, TaskHubError>,
        options: &'a PurgeOptions,
        pace: &'a Pace,
    ) -> BoxFuture<'a, Result<PurgedRow, TaskHubError>> {
        async move {
            let row = row?;
            if options.dry_run {
                return Ok((row, Ok(PurgeCounts::default())));
            }
            pace.turn().await;
            let outcome = self.purge_row(&row, options.force).await;
            Ok((row, outcome))
        }
        .boxed()
    }

    async fn purge_row(&self, row: &Row, force: bool) -> Result<PurgeCounts, TaskHubError> {
        let instance_id = names::unescape_key(&row.partition_key).map_err(|source| {
            TaskHubError::unreadable(format!("instance row {}", row.partition_key), source)
        })?;
        let target = PurgeTarget {
            instance_id: &instance_id,
            row: Some(row),
            force,
        };
        self.purge_target(&target).await
    }
}

impl PurgeReport {
    fn add(&mut self, row: &Row, outcome: Result<PurgeCounts, TaskHubError>) {
        self.matched += 1;
        match outcome {
            Ok(counts) => self.removed += counts,
            Err(problem) => {
                self.failed += 1;
                if self.problems.len() < MAX_KEPT_PROBLEMS {
                    self.problems.push((row.partition_key.clone(), problem));
                }
            }
        }
    }
}
