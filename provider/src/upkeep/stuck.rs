//! Instances that stand still for no good reason.

use durabletask_core::{
    EventKind, EventType, ExecutionStarted, HistoryEvent, OrchestrationInstance,
    OrchestrationStatus, Tags, TaskMessage,
};
use durabletask_storage::{Condition, Row, Write};

use super::finding::{Finding, FindingKind};
use super::sweep::{MIN_QUIET, SweepOptions};
use crate::HubClient;
use crate::TaskHub;
use crate::error::TaskHubError;
use crate::queue::outbox::{SenderIdentity, Sending};
use crate::wire::filter;
use crate::wire::instance_row::{self, InstanceRow};

impl HubClient {
    /// What is wrong with an instance that has been quiet for a while and has not ended; repairs
    /// it unless this is a dry run. One or two table transactions if nothing is.
    pub(super) async fn look_at(
        &self,
        row: &Row,
        options: &SweepOptions,
    ) -> Result<Option<Finding>, TaskHubError> {
        let hub = self.hub();
        let row = InstanceRow::from_row(row).map_err(|source| {
            TaskHubError::unreadable(format!("instance row {}", row.partition_key), source)
        })?;
        let Some(execution_id) = row.execution_id.as_deref() else {
            return Ok(None);
        };
        let id = &row.instance_id;
        let mut asleep = None;
        let found = if row.is_pending() && !hub.has_history(id, execution_id).await? {
            if !hub.is_start_overdue(&row) {
                return Ok(None);
            }
            FindingKind::LostStart
        } else if hub.has_ended(id, execution_id).await? {
            FindingKind::StaleStatus
        } else if row.is_pending()
            && let Some(found) = hub.asleep(id, execution_id).await?
        {
            asleep = Some(found);
            FindingKind::SleepingRewind
        } else {
            let is_running = row.runtime_status == Some(OrchestrationStatus::Running);
            if !is_running || !options.lost_tasks {
                return Ok(None);
            }
            match hub.lost_tasks(&row, execution_id).await? {
                Some(lost) => lost,
                None => return Ok(None),
            }
        };
        let is_repaired = !options.dry_run
            && found.is_repairable()
            && match found {
                FindingKind::LostStart => hub.start_again(id, execution_id).await?,
                FindingKind::StaleStatus => hub.repair(id).await?,
                _ if hub.claim(&row).await? => {
                    let data = Some("woken by the sweeper after a rewind".to_owned());
                    // Children that sleep are found by themselves.
                    let mut woken = hub.ended_children(asleep.as_ref()).await?;
                    woken.push(id.clone());
                    for id in woken {
                        let data = data.clone();
                        self.send_to_any(&id, EventKind::Generic { data }).await?;
                    }
                    true
                }
                _ => false,
            };
        Ok(Some(Finding {
            instance_id: row.instance_id,
            kind: found,
            is_repaired,
        }))
    }
}

impl TaskHub {
    async fn has_history(
        &self,
        instance_id: &str,
        execution_id: &str,
    ) -> Result<bool, TaskHubError> {
        let query = filter::any_of_execution(instance_id, execution_id);
        let rows = self.query_all(&self.tables().history, query).await?;
        Ok(!rows.is_empty())
    }

    async fn has_ended(&self, instance_id: &str, execution_id: &str) -> Result<bool, TaskHubError> {
        let completed = EventType::ExecutionCompleted;
        let query = filter::events_of_type(instance_id, execution_id, completed);
        let rows = self.query_all(&self.tables().history, query).await?;
        Ok(!rows.is_empty())
    }

    /// Whether an instance without history should have run by now. Each further attempt waits
    /// twice as long as the one before: perhaps the message is there and nobody takes it, and then
    /// copies would only pile up.
    fn is_start_overdue(&self, row: &InstanceRow) -> bool {
        let now = self.env().now();
        let is_due = row
            .scheduled_start_time
            .is_none_or(|due| now.saturating_since(due) >= MIN_QUIET);
        let (Some(created), Some(touched)) = (row.created_time, row.last_updated_time) else {
            return is_due;
        };
        let waited = touched.saturating_since(created);
        is_due && now.saturating_since(touched) >= waited.max(MIN_QUIET)
    }

    /// Sends the start message of a Pending row again, with the same execution id, generation and
    /// time (design.md §8). False if the instance changed meanwhile.
    async fn start_again(
        &self,
        instance_id: &str,
        execution_id: &str,
    ) -> Result<bool, TaskHubError> {
        let Some(row) = self.instance_row(instance_id, true).await? else {
            return Ok(false);
        };
        let is_same = row.execution_id.as_deref() == Some(execution_id);
        if !is_same || !row.is_pending() || !self.is_start_overdue(&row) {
            return Ok(false);
        }
        let tags = self.tags_of(&row).await?;
        let input = self.input_of(&row).await?;
        if !self.claim(&row).await? {
            return Ok(false);
        }
        let target = OrchestrationInstance::new(instance_id, execution_id);
        let stamped = row.created_time.unwrap_or_else(|| self.stamp());
        let started = ExecutionStarted {
            instance: target.clone(),
            name: row.name,
            version: row.version,
            input,
            tags,
            scheduled_start_time: row.scheduled_start_time,
            generation: row.generation,
            ..ExecutionStarted::default()
        };
        let sending = Sending {
            queue: self.control_queue_of(instance_id),
            message: TaskMessage {
                target,
                event: HistoryEvent::new(stamped, EventKind::ExecutionStarted(Box::new(started))),
                orchestration_tags: None,
            },
            sequence_number: self.next_sequence_numbers(1),
        };
        self.send(&sending, &SenderIdentity::client()).await?;
        tracing::info!(instance_id, "sent the start of a stuck instance again");
        Ok(true)
    }

    /// The tags that a row stands for, which .NET may have moved to a blob.
    async fn tags_of(&self, row: &InstanceRow) -> Result<Option<Tags>, TaskHubError> {
        let Some(blob) = &row.tags_blob_name else {
            return Ok(row.tags.clone());
        };
        let what = format!("instance row {}", row.instance_id);
        let mut column = Row::new("", "");
        column.set("Tags", self.get_large(&what, blob).await?);
        let read = InstanceRow::from_row(&column);
        read.map(|row| row.tags)
            .map_err(|source| TaskHubError::unreadable(format!("blob {blob} of {what}"), source))
    }

    /// Marks a row that is about to get a message, under its ETag: of several sweepers one sends,
    /// and none again for a while. False if it changed meanwhile.
    async fn claim(&self, row: &InstanceRow) -> Result<bool, TaskHubError> {
        let Some(etag) = row.etag.clone() else {
            return Ok(false);
        };
        let mark = instance_row::touch_row(&row.instance_id, self.env().now());
        let write = Write::Merge(mark, Condition::Matches(etag));
        let tables = &self.account().tables;
        match tables.write(&self.tables().instances, write).await {
            Ok(_) => Ok(true),
            Err(error) if error.is_conflict() || error.is_not_found() => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}
