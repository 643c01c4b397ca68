//! What came of the load, judged from the instance rows and the History table.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use durabletask_azurestorage::{HubClient, InstanceQuery, InstanceStatus, TaskHubError};
use durabletask_core::{EventKind, HistoryEvent, OrchestrationStatus};
use futures::TryStreamExt;

/// What is wrong, a line for each.
#[derive(Debug, Default)]
pub struct Verdict {
    /// Instances that ended as they had to.
    pub finished: usize,
    /// Instances that are gone, or ended otherwise than they had to.
    pub lost: Vec<String>,
    /// Tasks and instances with a second outcome.
    pub doubled: Vec<String>,
    /// Instances that have not ended.
    pub stuck: Vec<String>,
}

impl Verdict {
    /// Whether nothing is wrong.
    pub fn is_good(&self) -> bool {
        self.lost.is_empty() && self.doubled.is_empty() && self.stuck.is_empty()
    }

    /// Judges all instances of the hub; `started` has the expected outputs.
    pub async fn of(
        client: &HubClient,
        started: &BTreeMap<String, String>,
    ) -> Result<Self, TaskHubError> {
        let listed: Vec<_> = client.list(&InstanceQuery::default()).try_collect().await?;
        let mut verdict = Self::default();
        let mut rows = BTreeMap::new();
        for instance in listed {
            let id = instance.status.instance_id.clone();
            if let Some(problem) = instance.problem {
                verdict.lost.push(format!("{id}: {problem}"));
            }
            rows.insert(id, instance.status);
        }
        let mut known: BTreeSet<String> = started.keys().cloned().collect();
        for (id, row) in &rows {
            let history = client.history(id, None).await?;
            let twice = second_outcomes(&history);
            verdict
                .doubled
                .extend(twice.into_iter().map(|what| format!("{id}: {what}")));
            known.extend(children(&history));
            if !row.runtime_status.is_terminal() {
                let last = history.last().map_or("nothing", |e| e.event_type().name());
                let status = row.runtime_status;
                let so_far = history.len();
                let line = format!("{id} is {status} after {so_far} events, {last} at the end");
                verdict.stuck.push(line);
            }
        }
        for (id, output) in started {
            match rows.get(id) {
                None => verdict.lost.push(format!("{id} has no row")),
                Some(row) => verdict.judge(row, output),
            }
        }
        for id in rows.keys().filter(|id| !known.contains(*id)) {
            verdict
                .doubled
                .push(format!("{id}: a child that no history knows"));
        }
        Ok(verdict)
    }

    fn judge(&mut self, row: &InstanceStatus, output: &str) {
        if !row.runtime_status.is_terminal() {
            return;
        }
        let is_right = row.runtime_status == OrchestrationStatus::Completed
            && row.output.as_deref() == Some(output);
        if is_right {
            self.finished += 1;
        } else {
            let (id, status) = (&row.instance_id, row.runtime_status);
            let seen: String = row.output.iter().flat_map(|o| o.chars()).take(80).collect();
            self.lost
                .push(format!("{id} is {status} with another output: {seen}"));
        }
    }
}

/// Instances that a history says it created.
fn children(history: &[Arc<HistoryEvent>]) -> impl Iterator<Item = String> {
    history.iter().filter_map(|event| match &event.kind {
        EventKind::SubOrchestrationCreated(created) => created.instance_id.clone(),
        _ => None,
    })
}

/// Everything in a history that happened twice and must not.
fn second_outcomes(history: &[Arc<HistoryEvent>]) -> Vec<String> {
    let mut counts: BTreeMap<String, u32> = BTreeMap::new();
    for event in history {
        let name = event.event_type().name();
        let what = match &event.kind {
            EventKind::ExecutionStarted(_) | EventKind::ExecutionCompleted(_) => name.to_owned(),
            EventKind::TaskScheduled(_)
            | EventKind::SubOrchestrationCreated(_)
            | EventKind::TimerCreated { .. }
            | EventKind::EventSent { .. } => format!("decision {}", event.event_id),
            EventKind::TaskCompleted {
                task_scheduled_id, ..
            }
            | EventKind::SubOrchestrationCompleted {
                task_scheduled_id, ..
            } => format!("outcome of {task_scheduled_id}"),
            EventKind::TaskFailed(failed) | EventKind::SubOrchestrationFailed(failed) => {
                format!("outcome of {}", failed.task_scheduled_id)
            }
            EventKind::TimerFired { timer_id, .. } => format!("outcome of {timer_id}"),
            // The load never sends an instance the same event twice.
            EventKind::EventRaised(raised) => {
                format!("event {}", raised.input.as_deref().unwrap_or_default())
            }
            _ => continue,
        };
        *counts.entry(what).or_default() += 1;
    }
    let twice = counts.into_iter().filter(|(_, count)| *count > 1);
    twice
        .map(|(what, count)| format!("{what}, {count} times"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use durabletask_core::{NO_EVENT_ID, TaskFailed, TaskScheduled, Timestamp};

    fn event(event_id: i32, kind: EventKind) -> Arc<HistoryEvent> {
        Arc::new(HistoryEvent {
            event_id,
            is_played: false,
            timestamp: Timestamp::MIN,
            kind,
        })
    }

    fn completed(task_scheduled_id: i32) -> Arc<HistoryEvent> {
        let kind = EventKind::TaskCompleted {
            task_scheduled_id,
            result: None,
        };
        event(NO_EVENT_ID, kind)
    }

    #[test]
    fn a_second_outcome_is_seen_of_whatever_kind_it_is() {
        let scheduled = |id| {
            event(
                id,
                EventKind::TaskScheduled(Box::<TaskScheduled>::default()),
            )
        };
        let failed = TaskFailed {
            task_scheduled_id: 1,
            ..TaskFailed::default()
        };
        let mut history = vec![scheduled(0), scheduled(1), completed(1), completed(0)];
        assert!(second_outcomes(&history).is_empty());
        history.push(event(NO_EVENT_ID, EventKind::TaskFailed(Box::new(failed))));
        assert_eq!(second_outcomes(&history), ["outcome of 1, 2 times"]);
        history.push(scheduled(0));
        assert_eq!(second_outcomes(&history).len(), 2);
    }
}
