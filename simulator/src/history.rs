//! Histories as they are written: append-only per execution, one outcome per task.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use durabletask_azurestorage::wire::history_row;
use durabletask_core::{EventType, HistoryEvent};
use durabletask_storage::{Row, Write};

/// Remembers every history row that was ever written.
#[derive(Debug)]
pub(crate) struct HistoryWatch {
    table: String,
    rows: Mutex<Rows>,
}

/// By instance, row key and execution.
type Rows = BTreeMap<(String, String, String), String>;

impl HistoryWatch {
    /// Watches that table.
    pub(crate) fn new(table: String) -> Self {
        Self {
            table,
            rows: Mutex::default(),
        }
    }

    /// Takes note of rows that were written; what must not be about them.
    pub(crate) fn wrote(&self, table: &str, writes: &[Write]) -> Vec<String> {
        if table != self.table {
            return Vec::new();
        }
        let mut rows = self.rows.lock().unwrap_or_else(PoisonError::into_inner);

        writes
            .iter()
            .filter_map(|write| note(&mut rows, write))
            .collect()
    }
}

fn note(rows: &mut Rows, write: &Write) -> Option<String> {
    let (partition, row_key) = (write.keys().partition, write.keys().row);
    match write {
        Write::Delete { .. } => {
            rows.retain(|(p, r, _), _| p != partition || r != row_key);
            None
        }
        Write::InsertOrReplace(row) if !history_row::is_sentinel(row) => {
            let execution = history_row::execution_id(row).unwrap_or_default();
            let key = (
                partition.to_owned(),
                row_key.to_owned(),
                execution.to_owned(),
            );
            let text = format!("{:?}", row.columns);
            let before = rows.insert(key, text.clone())?;
            (before != text).then(|| {
                let kind = history_row::event_type(row).map(EventType::name);
                format!("{partition}/{row_key} of {execution} is overwritten by {kind:?}")
            })
        }
        // Rewind rewrites rows in place.
        _ => None,
    }
}

/// An event in a word.
fn told(event: &HistoryEvent) -> String {
    let task = event.answered_task().unwrap_or(event.event_id);
    format!("{}({task})", event.event_type().name())
}

/// What is wrong with the history of one execution, which has ended.
pub(crate) fn faults_of(rows: &[&Row]) -> Vec<String> {
    let mut faults = Vec::new();
    let mut events: Vec<HistoryEvent> = Vec::new();
    for (n, row) in rows.iter().enumerate() {
        if row.row_key != durabletask_azurestorage::wire::names::event_row_key(n as u64) {
            faults.push(format!("row {n} has the key {}", row.row_key));
        }
        match history_row::row_to_event(row) {
            Ok(event) => events.push(event),
            Err(error) => faults.push(format!("row {n} cannot be read: {error}")),
        }
    }
    let count = |kind| events.iter().filter(|e| e.event_type() == kind).count();
    for kind in [EventType::ExecutionStarted, EventType::ExecutionCompleted] {
        if count(kind) != 1 {
            faults.push(format!("{} events of type {}", count(kind), kind.name()));
        }
    }
    let (begun, ended) = (
        count(EventType::OrchestratorStarted),
        count(EventType::OrchestratorCompleted),
    );
    // What continue-as-new begins with holds one more.
    if begun != ended && begun + 1 != ended {
        faults.push(format!("{begun} episodes began and {ended} ended"));
    }
    let mut answered = std::collections::BTreeSet::new();
    for event in &events {
        if let Some(task) = event.answered_task()
            && task >= 0
        {
            if !answered.insert(task) {
                let kinds: Vec<_> = events.iter().map(told).collect();
                faults.push(format!("task {task} has two outcomes: {}", kinds.join(" ")));
            }
            if !events.iter().any(|asked| asked.event_id == task) {
                faults.push(format!(
                    "task {task} has an outcome and was never scheduled"
                ));
            }
        }
    }
    faults
}
