//! Activities that nobody will ever run: history waits for them, and no queue has their message.

use std::collections::BTreeMap;
use std::time::Duration;

use durabletask_core::EventType;
use durabletask_storage::Value;

use super::finding::FindingKind;
use crate::TaskHub;
use crate::error::TaskHubError;
use crate::wire::filter;
use crate::wire::instance_row::InstanceRow;

/// Time without a change after which an answer must have been worked off although other messages
/// are in the instance's control queue.
const LONGEST_ANSWER: Duration = Duration::from_secs(86_400);

impl TaskHub {
    /// The activities for which a running instance waits in vain. Their messages are gone: a queue
    /// was deleted or cleared, or they lay there for seven days while all workers stood still.
    ///
    /// Tasks are read before the queues are counted and again after: one that is open both times
    /// was open while no message of it was anywhere. Price: one queue transaction if any activity
    /// is under way in the hub, two otherwise, and then one or two table transactions.
    pub(super) async fn lost_tasks(
        &self,
        row: &InstanceRow,
        execution_id: &str,
    ) -> Result<Option<FindingKind>, TaskHubError> {
        let id = &row.instance_id;
        if !self.has_no_messages(row).await? {
            return Ok(None);
        }
        let before = self.open_tasks(id, execution_id).await?;
        if before.is_empty() || !self.has_no_messages(row).await? {
            return Ok(None);
        }
        let mut open = self.open_tasks(id, execution_id).await?;
        open.retain(|task, _| before.contains_key(task));
        let count = open.len();
        Ok(open
            .pop_first()
            .map(|(task_id, name)| FindingKind::LostTask {
                task_id,
                name,
                count,
            }))
    }

    /// Whether no queue can have an activity or answer of the instance. Counts include invisible
    /// messages, and are never too low.
    async fn has_no_messages(&self, row: &InstanceRow) -> Result<bool, TaskHubError> {
        if !self.is_queue_empty(&self.tables().work_items).await? {
            return Ok(false);
        }
        let control = self.control_queue_of(&row.instance_id);
        if self.is_queue_empty(&control).await? {
            return Ok(true);
        }
        let now = self.env().now();
        let touched = row.last_updated_time;
        Ok(touched.is_some_and(|time| now.saturating_since(time) >= LONGEST_ANSWER))
    }

    /// One that is missing has no messages.
    async fn is_queue_empty(&self, queue: &str) -> Result<bool, TaskHubError> {
        match self.account().queues.count_messages(queue).await {
            Err(error) if error.is_not_found() => Ok(true),
            counted => Ok(counted? == 0),
        }
    }

    /// Names of the activities that are scheduled and not answered, by task id.
    async fn open_tasks(
        &self,
        instance_id: &str,
        execution_id: &str,
    ) -> Result<BTreeMap<i32, String>, TaskHubError> {
        let query = filter::task_events(instance_id, execution_id);
        let rows = self.query_all(&self.tables().history, query).await?;
        let mut open = BTreeMap::new();
        let number = |value: Option<&Value>| match value {
            Some(Value::Int32(number)) => Some(*number),
            _ => None,
        };
        for row in &rows {
            if row.get_str("EventType") == Some(EventType::TaskScheduled.name()) {
                let name = row.get_str("Name").unwrap_or_default();
                let task = number(row.get("EventId"));
                open.extend(task.map(|task| (task, name.to_owned())));
            }
        }
        for row in &rows {
            if let Some(task) = number(row.get("TaskScheduledId")) {
                open.remove(&task);
            }
        }
        Ok(open)
    }
}
