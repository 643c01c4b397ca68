//! Looking at many instances, and at histories (chapter 03 §6).

use std::sync::Arc;

use durabletask_core::{HistoryEvent, OrchestrationStatus};
use durabletask_storage::{MAX_PAGE_ROWS, Page, Query, Row};
use futures::stream::{self, BoxStream};
use futures::{StreamExt, TryStreamExt};

use super::HubClient;
use crate::TaskHub;
use crate::error::TaskHubError;
use crate::tracking::status::InstanceStatus;
use crate::wire::filter::{self, InstanceQuery};
use crate::wire::instance_row::InstanceRow;
use crate::wire::{history_json, names};

/// Rows of a page unless another number is asked for, as in the Functions extension.
const DEFAULT_PAGE_ROWS: u32 = 100;
/// Rows of the pages of a stream that fetches neither inputs nor outputs.
const SMALL_ROWS: u32 = MAX_PAGE_ROWS;
/// Instances of a list whose large values are fetched at the same time.
const MAX_CONCURRENT_FETCHES: usize = 8;

/// One instance of a list.
#[derive(Debug)]
pub struct ListedInstance {
    /// Where it stands, as far as that could be read.
    pub status: InstanceStatus,
    /// What could not be read: a column of its row, or the blob of its input or output. Then
    /// `status` has only id, execution, name and runtime status.
    pub problem: Option<TaskHubError>,
}

/// One page of a list.
#[derive(Debug)]
pub struct InstancePage {
    /// In ordinal order of the escaped ids. May be few or none although there are more pages.
    pub instances: Vec<ListedInstance>,
    /// Where the next page begins, the same text as in .NET; `None` at the end.
    pub continuation: Option<String>,
}

impl HubClient {
    /// One page of the instances that match, `page_size` at most (1 to 1000, 100 if absent), from
    /// where the page before ended. A row that cannot be read is reported in its place and does
    /// not hide the others.
    ///
    /// Nothing is indexed but the id: a query without `prefix` or `instance_id` scans the table.
    /// Price: one table transaction, and one blob read per input or output above 60 KiB.
    pub async fn list_page(
        &self,
        query: &InstanceQuery,
        page_size: Option<u32>,
        continuation: Option<&str>,
    ) -> Result<InstancePage, TaskHubError> {
        let page = self
            .hub
            .query_instances(Query {
                top: Some(checked_page_size(page_size)?),
                continuation: continuation.and_then(filter::parse_continuation_token),
                ..query.to_query()
            })
            .await?;
        let hub = &self.hub;
        let listed = stream::iter(page.rows).map(|row| hub.listed(row));
        let instances = listed.buffered(MAX_CONCURRENT_FETCHES);
        let instances = instances.try_collect().await?;
        let continuation = page.continuation.as_ref().map(filter::continuation_token);
        Ok(InstancePage {
            instances,
            continuation,
        })
    }

    /// All instances that match, page after page as the stream is read: no more than a page of
    /// rows, and the large values of eight instances, are in memory. Ends after the first error,
    /// which only storage as a whole can cause. Price: that of the pages.
    pub fn list(
        &self,
        query: &InstanceQuery,
    ) -> BoxStream<'static, Result<ListedInstance, TaskHubError>> {
        let rows = self.hub.instance_rows(query);
        let hub = self.hub.clone();
        rows.map_ok(move |row| {
            let hub = hub.clone();
            async move { hub.listed(row).await }
        })
        .try_buffered(MAX_CONCURRENT_FETCHES)
        .boxed()
    }

    /// The history of an instance's current execution, or of `execution_id` as far as it is still
    /// there; empty if there is none. Price: one table transaction per 1,000 events, and one blob
    /// read per value above 60 KiB.
    pub async fn history(
        &self,
        instance_id: &str,
        execution_id: Option<&str>,
    ) -> Result<Vec<Arc<HistoryEvent>>, TaskHubError> {
        Ok(self
            .hub
            .load_history(instance_id, execution_id)
            .await?
            .events)
    }

    /// [`HubClient::history`] as .NET's history query returns it: a JSON array of events.
    pub async fn history_json(
        &self,
        instance_id: &str,
        execution_id: Option<&str>,
    ) -> Result<String, TaskHubError> {
        let events = self.history(instance_id, execution_id).await?;
        Ok(history_json(events.iter().map(|event| &**event)))
    }
}

impl TaskHub {
    /// Rows of the Instances table, page after page: of 100, or of 1000 if they are small.
    pub(crate) fn instance_rows(
        &self,
        query: &InstanceQuery,
    ) -> BoxStream<'static, Result<Row, TaskHubError>> {
        let top = if query.fetch_input || query.fetch_output {
            DEFAULT_PAGE_ROWS
        } else {
            SMALL_ROWS
        };
        self.rows_of(Query {
            top: Some(top),
            ..query.to_query()
        })
    }

    /// What a query of the Instances table finds, page after page as the stream is read.
    pub(crate) fn rows_of(&self, query: Query) -> BoxStream<'static, Result<Row, TaskHubError>> {
        let pages = stream::try_unfold((self.clone(), Some(query)), |(hub, query)| async move {
            let Some(query) = query else {
                return Ok::<_, TaskHubError>(None);
            };
            let page = hub.query_instances(query.clone()).await?;
            let next = page.continuation.map(|continuation| Query {
                continuation: Some(continuation),
                ..query
            });
            Ok(Some((
                stream::iter(page.rows.into_iter().map(Ok)),
                (hub, next),
            )))
        });
        pages.try_flatten().boxed()
    }

    async fn query_instances(&self, query: Query) -> Result<Page, TaskHubError> {
        let table = &self.tables().instances;
        Ok(self.account().tables.query(table, &query).await?)
    }

    /// A row with its large values. Fails only if storage does.
    async fn listed(&self, row: Row) -> Result<ListedInstance, TaskHubError> {
        let read = match InstanceRow::from_row(&row) {
            Ok(instance) => self.status_of(instance).await,
            Err(source) => {
                let what = format!("instance row {}", row.partition_key);
                Err(TaskHubError::unreadable(what, source))
            }
        };
        match read {
            Ok(status) => Ok(ListedInstance {
                status,
                problem: None,
            }),
            Err(problem @ (TaskHubError::Unreadable { .. } | TaskHubError::MissingBlob { .. })) => {
                Ok(ListedInstance {
                    status: outline(row),
                    problem: Some(problem),
                })
            }
            Err(error) => Err(error),
        }
    }
}

/// What can be said of a row that cannot be read as a whole.
fn outline(row: Row) -> InstanceStatus {
    let text = |column| row.get_str(column).map(str::to_owned);
    let id = names::unescape_key(&row.partition_key);
    let status = row.get_str("RuntimeStatus");
    InstanceStatus {
        execution_id: text("ExecutionId"),
        name: text("Name"),
        runtime_status: status
            .and_then(|name| name.parse().ok())
            .unwrap_or(OrchestrationStatus::Pending),
        instance_id: id.unwrap_or(row.partition_key),
        version: None,
        input: None,
        output: None,
        custom_status: None,
        created_time: None,
        last_updated_time: None,
        completed_time: None,
        scheduled_start_time: None,
        generation: 0,
        tags: None,
    }
}

fn checked_page_size(page_size: Option<u32>) -> Result<u32, TaskHubError> {
    match page_size {
        None => Ok(DEFAULT_PAGE_ROWS),
        Some(size) if (1..=MAX_PAGE_ROWS).contains(&size) => Ok(size),
        Some(size) => Err(TaskHubError::InvalidArgument(format!(
            "a page cannot have {size} instances; ask for 1 to {MAX_PAGE_ROWS}"
        ))),
    }
}
