//! Reading instance rows, and terminating what never started (chapter 03 §5 and §6.3).

use durabletask_core::{OrchestrationStatus, Tags, Timestamp};
use durabletask_storage::{Condition, ETag, StorageError, Write};

use crate::TaskHub;
use crate::error::TaskHubError;
use crate::wire::instance_row::{self, InstanceRow};
use crate::wire::message::{self, Decoded};
use crate::wire::{filter, large};

/// Where an instance stands, as clients see it.
#[derive(Debug, Clone, PartialEq)]
pub struct InstanceStatus {
    /// The instance.
    pub instance_id: String,
    /// Its current execution.
    pub execution_id: Option<String>,
    /// The orchestrator's name.
    pub name: Option<String>,
    /// The orchestrator's version.
    pub version: Option<String>,
    /// Where it stands.
    pub runtime_status: OrchestrationStatus,
    /// Input text, resolved from its blob if asked for.
    pub input: Option<String>,
    /// Output text, failure text, or the reason of a termination, suspension or resumption.
    pub output: Option<String>,
    /// Custom status, JSON text.
    pub custom_status: Option<String>,
    /// When the current execution was started.
    pub created_time: Option<Timestamp>,
    /// When its row was last changed, roughly.
    pub last_updated_time: Option<Timestamp>,
    /// When it ended. Stale on an instance that was rewound or restarted and still runs.
    pub completed_time: Option<Timestamp>,
    /// Not to run before this time.
    pub scheduled_start_time: Option<Timestamp>,
    /// How often clients re-created it.
    pub generation: i32,
    /// Its tags.
    pub tags: Option<Tags>,
}

impl TaskHub {
    /// An instance's row, without input unless asked for; `None` if there is no such instance.
    /// One table transaction.
    pub(crate) async fn instance_row(
        &self,
        instance_id: &str,
        fetch_input: bool,
    ) -> Result<Option<InstanceRow>, TaskHubError> {
        let page = self
            .account()
            .tables
            .query(
                &self.tables().instances,
                &filter::instance(instance_id, fetch_input),
            )
            .await?;
        page.rows
            .first()
            .map(InstanceRow::from_row)
            .transpose()
            .map_err(|source| {
                TaskHubError::unreadable(format!("instance row {instance_id}"), source)
            })
    }

    /// Where an instance stands; `None` if there is no such instance. Price: one table
    /// transaction, and one blob read for each of input (if asked for) and output above 60 KiB.
    pub async fn status(
        &self,
        instance_id: &str,
        fetch_input: bool,
    ) -> Result<Option<InstanceStatus>, TaskHubError> {
        match self.instance_row(instance_id, fetch_input).await? {
            Some(row) => self.status_of(row).await.map(Some),
            None => Ok(None),
        }
    }

    /// A row as clients see it: large values resolved, as the setting says.
    pub(crate) async fn status_of(&self, row: InstanceRow) -> Result<InstanceStatus, TaskHubError> {
        let what = format!("instance row {}", row.instance_id);
        let runtime_status = row.runtime_status.unwrap_or(OrchestrationStatus::Pending);
        let input = if self.settings().fetch_large_messages_automatically {
            self.input_of(&row).await?
        } else {
            row.input
        };
        Ok(InstanceStatus {
            execution_id: row.execution_id,
            name: row.name,
            version: row.version,
            runtime_status,
            input,
            output: if self.settings().fetch_large_messages_automatically {
                self.resolve_value(&what, row.output).await?
            } else {
                row.output
            },
            custom_status: row.custom_status,
            created_time: row.created_time,
            last_updated_time: row.last_updated_time,
            completed_time: row.completed_time,
            scheduled_start_time: row.scheduled_start_time,
            generation: row.generation.unwrap_or(0),
            tags: row.tags,
            instance_id: row.instance_id,
        })
    }

    /// The input that a row stands for. Price: one blob read if it is above 60 KiB.
    pub(crate) async fn input_of(&self, row: &InstanceRow) -> Result<Option<String>, TaskHubError> {
        let what = format!("instance row {}", row.instance_id);
        match (&row.input_blob_name, row.input.as_deref()) {
            // .NET shows an empty input until the first checkpoint (chapter 03 §4.5).
            (Some(blob), Some("")) => self.get_large(&what, blob).await.map(Some),
            _ => self.resolve_value(&what, row.input.clone()).await,
        }
    }

    async fn resolve_value(
        &self,
        what: &str,
        value: Option<String>,
    ) -> Result<Option<String>, TaskHubError> {
        let Some(text) = value else {
            return Ok(None);
        };
        let Some(blob) = self.large().blob_of_url(&text) else {
            return Ok(Some(text));
        };
        let content = self.get_large(what, &blob).await?;
        if !large::is_start_message_blob(&blob) {
            return Ok(Some(content));
        }
        match message::decode(&content) {
            Ok(Decoded::Message(data)) => Ok(data
                .message
                .event
                .as_started()
                .and_then(|started| started.input.clone())),
            Ok(Decoded::InBlob { .. }) => Ok(None),
            Err(source) => Err(TaskHubError::unreadable(
                format!("blob {blob} of {what}"),
                source,
            )),
        }
    }

    /// Marks an instance that never started as terminated (chapter 03 §5.5), unless its row has
    /// changed since `seen`: then this fails. .NET does not look. One table transaction.
    pub(crate) async fn terminate_unstarted(
        &self,
        seen: &InstanceRow,
        stamped: Timestamp,
        reason: Option<String>,
    ) -> Result<(), TaskHubError> {
        let now = self.env().now();
        let mut row = instance_row::termination_row(&seen.instance_id, stamped, reason, now);
        let moved = self.move_large_values(&mut row);
        self.large().refer_by_url(&mut row, &moved);
        for value in moved {
            self.put_large(&value.blob_name, value.content.into())
                .await?;
        }
        let condition = seen
            .etag
            .clone()
            .map_or(Condition::Exists, Condition::Matches);
        self.write_instance(Write::Merge(row, condition)).await?;
        Ok(())
    }

    /// Writes an instance row, repeated until it is answered. One table transaction.
    pub(crate) async fn write_instance(&self, write: Write) -> Result<Option<ETag>, StorageError> {
        let table = &self.tables().instances;
        self.until_answered(|| self.account().tables.write(table, write.clone()))
            .await
    }
}
