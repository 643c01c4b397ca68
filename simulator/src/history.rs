//! Histories as they are written: append-only per execution, one outcome per task.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::Hasher as _;
use std::sync::{Mutex, MutexGuard, PoisonError};

use durabletask_azurestorage::wire::history_row;
use durabletask_azurestorage::wire::names::sequence_of;
use durabletask_core::{EventType, HistoryEvent};
use durabletask_storage::{Row, Write};

/// Remembers every history row that was ever written.
#[derive(Debug)]
pub(crate) struct HistoryWatch {
    table: String,
    rows: Mutex<Rows>,
    /// Instances with rows that were rewritten or removed since the last look.
    touched: Mutex<BTreeSet<String>>,
}

/// By instance, row key and execution.
type Rows = BTreeMap<(String, String, String), String>;

impl HistoryWatch {
    /// Watches that table.
    pub(crate) fn new(table: String) -> Self {
        Self {
            table,
            rows: Mutex::default(),
            touched: Mutex::default(),
        }
    }

    fn lock_touched(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.touched.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes note of rows that were written; what must not be about them.
    pub(crate) fn wrote(&self, table: &str, writes: &[Write]) -> Vec<String> {
        if table != self.table {
            return Vec::new();
        }
        let mut rows = self.rows.lock().unwrap_or_else(PoisonError::into_inner);
        let touched = writes
            .iter()
            .filter(|write| !matches!(write, Write::Insert(_) | Write::InsertOrReplace(_)))
            .filter(|write| sequence_of(write.keys().row).is_some())
            .map(|write| write.keys().partition.to_owned());
        self.lock_touched().extend(touched);
        writes
            .iter()
            .filter_map(|write| note(&mut rows, write))
            .collect()
    }
}

/// Histories as they were when they were last looked at.
#[derive(Debug, Default)]
pub(crate) struct Looks(BTreeMap<String, Look>);

#[derive(Debug)]
struct Look {
    execution: String,
    /// What each row says, in a number.
    rows: Vec<u64>,
}

impl Looks {
    /// Compares all history rows with what they were; what must not be.
    pub(crate) fn look(&mut self, watch: &HistoryWatch, rows: &[Row]) -> Vec<String> {
        let touched = std::mem::take(&mut *watch.lock_touched());
        let mut faults = Vec::new();
        for own in rows.chunk_by(|a, b| a.partition_key == b.partition_key) {
            let instance = &own[0].partition_key;
            let Some((look, events)) = Look::of(own) else {
                continue;
            };
            faults.extend(
                outcome_faults(&events)
                    .into_iter()
                    .map(|f| format!("{instance}: {f}")),
            );
            let before = self.0.get(instance).filter(|_| !touched.contains(instance));
            let before = before.filter(|before| before.execution == look.execution);
            if before.is_some_and(|before| !look.rows.starts_with(&before.rows)) {
                let execution = &look.execution;
                faults.push(format!(
                    "{instance}: history of {execution} did not only grow"
                ));
            }
            self.0.insert(instance.clone(), look);
        }
        faults
    }
}

impl Look {
    /// The current execution among the rows of an instance; none while a longer commit is under
    /// way.
    fn of(rows: &[Row]) -> Option<(Self, Vec<HistoryEvent>)> {
        let sentinel = rows.iter().find(|row| history_row::is_sentinel(row))?;
        let execution = history_row::execution_id(sentinel)?;
        let own: Vec<&Row> = rows
            .iter()
            .take_while(|row| history_row::execution_id(row) == Some(execution))
            .filter(|row| !history_row::is_sentinel(row))
            .collect();
        let look = Self {
            execution: execution.to_owned(),
            rows: own.iter().map(|row| digest(row)).collect(),
        };
        let events = own
            .iter()
            .filter_map(|row| history_row::row_to_event(row).ok());
        (!own.is_empty()).then(|| (look, events.collect()))
    }
}

fn digest(row: &Row) -> u64 {
    let mut hash = fnv::FnvHasher::default();
    hash.write(row.row_key.as_bytes());
    hash.write(format!("{:?}", row.columns).as_bytes());
    hash.finish()
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
    faults.extend(outcome_faults(&events));
    faults
}

/// Tasks with two outcomes, or with one that nobody asked for.
fn outcome_faults(events: &[HistoryEvent]) -> Vec<String> {
    let mut faults = Vec::new();
    let mut answered = BTreeSet::new();
    for event in events {
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
