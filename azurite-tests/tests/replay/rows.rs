//! Comparing the rows of an episode, column by column.

use std::ops::Range;
use std::sync::Arc;

use durabletask_azurestorage::wire::history_row;
use durabletask_core::{EventKind, HistoryEvent};
use durabletask_storage::{Row, Value};
use serde_json::Value as Json;

use crate::histories::History;

/// Asserts that new events become the recorded rows. When they happened is not compared, but when
/// timers are due is.
pub(crate) fn assert_same_rows(
    history: &History,
    recorded: Range<usize>,
    events: &[Arc<HistoryEvent>],
) {
    // The event with which continue-as-new ended the execution before stands behind the start of
    // the next.
    let is_leftover = |at: usize| {
        at > 0
            && matches!(history.events[at].kind, EventKind::OrchestratorCompleted)
            && matches!(history.events[at - 1].kind, EventKind::ExecutionStarted(_))
            && at + 1 < recorded.end
    };
    let kept = recorded.clone().filter(|at| !is_leftover(*at));
    let recorded: Vec<&Row> = kept.map(|at| &history.rows[at]).collect();
    let names = |rows: &[&Row]| -> Vec<String> {
        let names = rows.iter().map(|row| row.get_str("EventType"));
        names
            .map(|name| name.unwrap_or_default().to_owned())
            .collect()
    };
    let ours: Vec<Row> = (0..)
        .zip(events)
        .map(|(at, event)| row(history, at, event))
        .collect();
    let ours: Vec<&Row> = ours.iter().collect();
    assert_eq!(names(&ours), names(&recorded), "{history}");
    for (ours, recorded) in ours.into_iter().zip(recorded) {
        let columns = ours.columns.keys().chain(recorded.columns.keys());
        for column in columns.filter(|column| *column != "_Timestamp") {
            let (ours, theirs) = (ours.get(column), recorded.get(column));
            assert!(
                is_same(column, ours, theirs)
                    || history.is_of_extension() && is_as_good(column, ours, theirs),
                "{history}: row {}: {column}\n.NET {theirs:?}\nours {ours:?}",
                recorded.row_key
            );
        }
    }
}

fn row(history: &History, sequence: u64, event: &HistoryEvent) -> Row {
    let execution = history
        .instance()
        .execution_id
        .as_deref()
        .unwrap_or_default();
    history_row::event_to_row(event, &history.rows[0].partition_key, sequence, execution)
}

/// Equal; payloads as JSON, because Json.NET escapes some characters that need no escape; failures
/// without their stack traces.
fn is_same(column: &str, ours: Option<&Value>, theirs: Option<&Value>) -> bool {
    if ours == theirs {
        return true;
    }
    let (Some(Value::String(ours)), Some(Value::String(theirs))) = (ours, theirs) else {
        return false;
    };
    let json = |text: &str| -> Option<Json> {
        let mut json = serde_json::from_str(text).ok()?;
        if column == "FailureDetails" {
            remove_traces(&mut json);
        }
        Some(json)
    };
    let is_json = ["Input", "Result", "FailureDetails"].contains(&column);
    is_json && json(ours).is_some() && json(ours) == json(theirs)
}

/// In-process functions leave out null results.
fn is_as_good(column: &str, ours: Option<&Value>, theirs: Option<&Value>) -> bool {
    column == "Result" && theirs.is_none() && ours == Some(&Value::from("null"))
}

fn remove_traces(failure: &mut Json) {
    if let Some(members) = failure.as_object_mut() {
        members.remove("StackTrace");
        if let Some(inner) = members.get_mut("InnerFailure") {
            remove_traces(inner);
        }
    }
}
