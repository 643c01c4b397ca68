//! Bringing an instance row that is behind its history up to date (chapter 03 §3.6, design.md §6).

use std::sync::Arc;

use durabletask_core::episode::{RuntimeState, is_derived_id, is_later_generation};
use durabletask_core::{EventType, HistoryEvent, OrchestrationStatus};
use durabletask_storage::{Condition, Row, Write};

use crate::TaskHub;
use crate::error::TaskHubError;
use crate::session::{KnownRow, Loaded};
use crate::wire::instance_row::{self, Checkpoint, InstanceRow};
use crate::wire::names;

impl TaskHub {
    /// Brings an instance row that is missing or does not show its history up to date. True if it
    /// did. Price: two table transactions and those of a long history, one more to write.
    ///
    /// The row is read first and written over that version only: if it is still the same, then
    /// the history that was read since is the newer one, whoever else is at work.
    ///
    /// .NET repairs the rows of finished executions only, and only if they name that execution.
    pub(crate) async fn repair(&self, instance_id: &str) -> Result<bool, TaskHubError> {
        let row = self.instance_row(instance_id, false).await?;
        let loaded = self.load_session(instance_id, None).await?;
        if loaded.state.execution_id().is_none() {
            return Ok(false);
        }
        let write = match KnownRow::of(row.as_ref(), &loaded.state) {
            KnownRow::Missing => Write::Insert(self.whole_row(instance_id, &loaded, None)),
            KnownRow::Is {
                etag,
                is_behind: true,
            } => Write::Merge(
                self.whole_row(instance_id, &loaded, row.as_ref()),
                Condition::Matches(etag),
            ),
            _ => return Ok(false),
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
        self.instance_changed(instance_id);
        Ok(true)
    }

    /// The row as all of the history has it.
    fn whole_row(&self, instance_id: &str, loaded: &Loaded, row: Option<&InstanceRow>) -> Row {
        let state = &loaded.state;
        let completed = state
            .events()
            .iter()
            .rfind(|event| event.event_type() == EventType::ExecutionCompleted);
        let checkpoint = Checkpoint {
            instance_id,
            execution_id: state.execution_id().unwrap_or_default(),
            custom_status: state.custom_status(),
            hub: self.name(),
            now: completed.map_or_else(|| self.env().now(), |event| event.timestamp),
            replaces_blobs: false,
        };
        let events = (0_u64..)
            .zip(state.events())
            .map(|(sequence, event)| (&**event, self.url_of_event(sequence, &loaded.blobs)));
        let mut repaired = instance_row::checkpoint_row(&checkpoint, events);
        if row.is_some() && state.custom_status().is_none() {
            // Not known here, so not to be overwritten.
            repaired.columns.remove("CustomStatus");
        }
        repaired
    }

    /// The URL of the payload of the event in that row, if it was moved to one of these blobs.
    pub(super) fn url_of_event(&self, sequence: u64, blobs: &[String]) -> Option<String> {
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

impl KnownRow {
    /// What a row says to a session with that history. Read at the same time, either may be the
    /// newer one; writes under both their versions tell.
    pub(crate) fn of(row: Option<&InstanceRow>, state: &RuntimeState) -> Self {
        let Some((row, etag)) = row.and_then(|row| Some((row, row.etag.clone()?))) else {
            return Self::Missing;
        };
        let is_same = row.execution_id.as_deref() == state.execution_id();
        if state.started().is_some() && !is_same && is_of_next(row, state) {
            return Self::OfNext;
        }
        let is_behind = state.started().is_some() && (!is_same || is_out_of_step(row, state));
        Self::Is { etag, is_behind }
    }
}

/// Whether the row of the same execution shows another state than the history.
fn is_out_of_step(row: &InstanceRow, state: &RuntimeState) -> bool {
    let differs = row.runtime_status != Some(state.status());
    if row.is_pending() && row.completed_time.is_some() {
        // A rewound run stays Pending until it ends, as with .NET.
        return differs && state.status().is_terminal();
    }
    let has_ended = row
        .runtime_status
        .is_some_and(OrchestrationStatus::is_terminal);
    if has_ended && !state.status().is_terminal() {
        // A rewind is under way, or was cut off: the next one finds the instance by its failure.
        return false;
    }
    let last = state.events().last().map(|event| event.timestamp);
    differs || row.last_updated_time != last
}

/// Whether a Pending row is that of an execution that a client has created after the one with this
/// history, and not that of an execution which this one continued before its row was written.
fn is_of_next(row: &InstanceRow, state: &RuntimeState) -> bool {
    let (Some(stored), Some(asked), Some(started)) =
        (state.execution_id(), &row.execution_id, state.started())
    else {
        return false;
    };
    let is_created_later = match started.generation {
        Some(own) => row.generation != Some(own),
        // Continue-as-new takes no such number along. Our ids tell all the same; of .NET's, only
        // clocks do.
        None if is_derived_id(stored) => true,
        None => {
            let is_start = |event: &&Arc<HistoryEvent>| event.as_started().is_some();
            let start = state.events().iter().find(is_start);
            row.created_time > start.map(|event| event.timestamp)
        }
    };
    row.is_pending() && is_created_later && !is_later_generation(stored, asked)
}
