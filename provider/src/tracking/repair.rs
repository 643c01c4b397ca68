//! Bringing an instance row that is behind its history up to date (chapter 03 §3.6, design.md §6).

use std::sync::Arc;

use durabletask_core::episode::RuntimeState;
use durabletask_core::{EventType, HistoryEvent, OrchestrationStatus};
use durabletask_storage::{Condition, Write};

use crate::TaskHub;
use crate::error::TaskHubError;
use crate::wire::instance_row::{self, Checkpoint, InstanceRow};
use crate::wire::names;

impl TaskHub {
    /// Rewrites the row if it is missing, or shows an older state of the same execution or an
    /// earlier execution, unless it has changed since it was read. True if it did. Price: one
    /// table transaction at most.
    ///
    /// `state` and `row` must be straight from storage. .NET repairs the rows of finished
    /// executions only, and only if they name that execution.
    pub(crate) async fn repair_row(
        &self,
        instance_id: &str,
        state: &RuntimeState,
        blobs: &[String],
        row: Option<&InstanceRow>,
    ) -> Result<bool, TaskHubError> {
        let Some(execution_id) = state.execution_id() else {
            return Ok(false);
        };
        if !row.is_none_or(|row| is_behind(row, execution_id, state)) {
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
        let events = (0_u64..)
            .zip(state.events())
            .map(|(sequence, event)| (&**event, self.url_of_event(sequence, blobs)));
        let mut repaired = instance_row::checkpoint_row(&checkpoint, events);
        if row.is_some() && state.custom_status().is_none() {
            // Not known here, so not to be overwritten.
            repaired.columns.remove("CustomStatus");
        }
        let write = match row.map(|row| row.etag.clone()) {
            Some(Some(etag)) => Write::Merge(repaired, Condition::Matches(etag)),
            Some(None) => Write::InsertOrMerge(repaired),
            None => Write::Insert(repaired),
        };
        match self.write_instance(write).await {
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

    /// The URL of the payload of the event in that row, if it was moved to one of these blobs.
    fn url_of_event(&self, sequence: u64, blobs: &[String]) -> Option<String> {
        let start = format!("history-{}-", names::event_row_key(sequence));
        let is_of_event = |blob: &&String| {
            let name = blob.rsplit('/').next().unwrap_or_default();
            let ends = |column| name.ends_with(&format!("-{column}.json.gz"));
            name.starts_with(&start) && instance_row::PAYLOAD_COLUMNS.into_iter().any(ends)
        };
        blobs
            .iter()
            .find(is_of_event)
            .map(|blob| self.large().url(blob))
    }
}

fn is_behind(row: &InstanceRow, execution_id: &str, state: &RuntimeState) -> bool {
    if row.execution_id.as_deref() != Some(execution_id) {
        return is_followed(row, state);
    }
    // A rewound run stays Pending until it ends, as with .NET.
    let differs = row.runtime_status != Some(state.status()) && state.status().is_terminal();
    let last = state.events().last().map(|event| event.timestamp);
    differs || row.last_updated_time < last
}

/// Whether the row's execution was followed by that of the history, which is written first. A
/// Pending row is more often that of an execution that a client has just created and that has no
/// history yet; if not, the history is of an execution that was created later, and by no client.
fn is_followed(row: &InstanceRow, state: &RuntimeState) -> bool {
    let is_start = |event: &&Arc<HistoryEvent>| event.as_started().is_some();
    let start = state.events().iter().find(is_start);
    let is_later = start.is_some_and(|start| Some(start.timestamp) > row.created_time);
    let is_by_client = state.started().is_some_and(|s| s.generation.is_some());
    row.runtime_status != Some(OrchestrationStatus::Pending) || (is_later && !is_by_client)
}
