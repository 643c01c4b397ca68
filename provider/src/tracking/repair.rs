//! Bringing an instance row that is behind its history up to date (chapter 03 §3.6, design.md §6).

use std::sync::Arc;

use durabletask_core::episode::RuntimeState;
use durabletask_core::{EventType, HistoryEvent};
use durabletask_storage::{Condition, Write};

use crate::TaskHub;
use crate::error::TaskHubError;
use crate::wire::instance_row::{self, Checkpoint};

impl TaskHub {
    /// Rewrites the row if it is missing, or shows an older state of the same execution. True if
    /// it did. Price: two table transactions at most.
    ///
    /// `state` must be straight from storage. .NET repairs finished instances only.
    pub(crate) async fn repair_row(
        &self,
        instance_id: &str,
        state: &RuntimeState,
        blobs: &[String],
    ) -> Result<bool, TaskHubError> {
        let (Some(execution_id), Some(last)) = (state.execution_id(), state.events().last()) else {
            return Ok(false);
        };
        let row = self.instance_row(instance_id, false).await?;
        let etag = row.as_ref().and_then(|row| row.etag.clone());
        let is_behind = row.is_none_or(|row| {
            let is_same = row.execution_id.as_deref() == Some(execution_id);
            let shows = row.runtime_status;
            // A rewound run stays Pending until it ends, as with .NET.
            let differs = shows != Some(state.status()) && state.status().is_terminal();
            let is_older = row
                .last_updated_time
                .is_none_or(|updated| updated < last.timestamp);
            is_same && (differs || is_older)
        });
        if !is_behind {
            return Ok(false);
        }
        let completed = state
            .events()
            .iter()
            .rfind(|event| event.event_type() == EventType::ExecutionCompleted);
        let checkpoint = Checkpoint {
            instance_id,
            execution_id,
            custom_status: state.custom_status(),
            hub: self.name(),
            now: completed.map_or_else(|| self.env().now(), |event| event.timestamp),
            replaces_blobs: false,
        };
        let events = state
            .events()
            .iter()
            .map(|event| (&**event, self.url_of(event, blobs)));
        let mut row = instance_row::checkpoint_row(&checkpoint, events);
        if state.custom_status().is_none() {
            // Not known here, so not to be overwritten.
            row.columns.remove("CustomStatus");
        }
        let table = &self.tables().instances;
        let write = match etag {
            Some(etag) => Write::Merge(row, Condition::Matches(etag)),
            None => Write::Insert(row),
        };
        match self.account().tables.write(table, write).await {
            Ok(_) => {}
            // Written or purged since it was read: by somebody who knew more.
            Err(error) if error.is_conflict() || error.is_not_found() => return Ok(false),
            Err(error) => return Err(error.into()),
        }
        tracing::info!(
            instance_id,
            "brought an instance row up to date with its history"
        );
        Ok(true)
    }

    /// The URL of an event's moved payload, by the names of the execution's blobs.
    fn url_of(&self, event: &Arc<HistoryEvent>, blobs: &[String]) -> Option<String> {
        let kind = event.event_type();
        let ending = match kind {
            EventType::ExecutionStarted => "-Input.json.gz",
            EventType::ExecutionCompleted => "-Result.json.gz",
            _ => return None,
        };
        let middle = format!("-{}-", kind.name());
        blobs
            .iter()
            .find(|blob| blob.ends_with(ending) && blob.contains(&middle))
            .map(|blob| self.large().url(blob))
    }
}
