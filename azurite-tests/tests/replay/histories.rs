//! Recorded histories.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use durabletask_azurestorage::wire::{history_row, large};
use durabletask_core::{EventKind, HistoryEvent, OrchestrationInstance};
use durabletask_storage::Row;

use crate::golden;

/// What history holds of one execution.
pub(crate) struct History {
    scenario: String,
    /// Without the sentinel, with large values back in their columns.
    pub(crate) rows: Vec<Row>,
    pub(crate) events: Vec<Arc<HistoryEvent>>,
}

/// All histories that a scenario left.
pub(crate) fn of(scenario: &str) -> Vec<History> {
    let hub = golden::hub(scenario);
    let mut instances: BTreeMap<&str, Vec<Row>> = BTreeMap::new();
    let tables = hub.tables.iter();
    let tables = tables.filter(|(name, _)| name.ends_with("History"));
    for row in tables.flat_map(|(_, rows)| rows) {
        if !history_row::is_sentinel(row) {
            let rows = instances.entry(&row.partition_key).or_default();
            rows.push(resolved(row, &hub));
        }
    }
    let histories = instances.into_values().map(|mut rows| {
        rows.sort_by(|a, b| a.row_key.cmp(&b.row_key));
        let events = rows
            .iter()
            .map(|row| history_row::row_to_event(row).unwrap());
        History {
            scenario: scenario.to_owned(),
            events: events.map(Arc::new).collect(),
            rows,
        }
    });
    histories.collect()
}

/// The row with its large values.
fn resolved(row: &Row, hub: &golden::Hub) -> Row {
    let mut row = row.clone();
    for (column, blob) in large::moved_columns(&row) {
        let found = hub.blobs.iter().find(|(name, _)| name.ends_with(&blob));
        let (_, content) = found.unwrap();
        row.set(column, large::gunzip(content).unwrap());
        row.columns.remove(&format!("{column}BlobName"));
    }
    row
}

impl History {
    fn started(&self) -> &durabletask_core::ExecutionStarted {
        let mut events = self.events.iter();
        events.find_map(|event| event.as_started()).unwrap()
    }

    pub(crate) fn name(&self) -> &str {
        self.started().name.as_deref().unwrap()
    }

    pub(crate) fn instance(&self) -> &OrchestrationInstance {
        &self.started().instance
    }

    pub(crate) fn is_of_extension(&self) -> bool {
        self.scenario.starts_with("ext-")
    }

    /// Whether rows of tasks and children hold their inputs.
    pub(crate) fn keeps_inputs(&self) -> bool {
        let mut events = self.events.iter();
        events.any(|event| match &event.kind {
            EventKind::TaskScheduled(task) => task.input.is_some(),
            EventKind::SubOrchestrationCreated(child) => child.input.is_some(),
            _ => false,
        })
    }

    pub(crate) fn is_of_entity(&self) -> bool {
        self.instance().instance_id.starts_with('@')
    }

    /// The episodes, each from its OrchestratorStarted on.
    pub(crate) fn episodes(&self) -> Vec<Range<usize>> {
        let is_start = |event: &HistoryEvent| matches!(event.kind, EventKind::OrchestratorStarted);
        let starts: Vec<usize> = (0..self.events.len())
            .filter(|at| is_start(&self.events[*at]))
            .collect();
        let ends = starts.iter().skip(1).copied().chain([self.events.len()]);
        starts
            .iter()
            .copied()
            .zip(ends)
            .map(|(start, end)| start..end)
            .collect()
    }

    /// Whether an episode is as .NET wrote it: no rewind has edited its rows, and they were not
    /// laid down by hand, as those before the wake-up are in the `wake-…` recordings.
    pub(crate) fn is_whole(&self, episode: Range<usize>) -> bool {
        let is_rewound = |row: &Row| {
            let reason = row.get_str("Reason").unwrap_or_default();
            reason.starts_with("Rewound: ")
        };
        let wakes = |event: &Arc<HistoryEvent>| matches!(event.kind, EventKind::Generic { .. });
        let is_laid_down =
            self.scenario.starts_with("wake-") && !self.events[..episode.end].iter().any(wakes);
        !is_laid_down && !self.rows[episode].iter().any(is_rewound)
    }
}

impl fmt::Display for History {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}: {} {}",
            self.scenario,
            self.name(),
            self.instance().instance_id
        )
    }
}
