//! What each event does to an execution (chapter 04 §2.3).

use std::sync::Arc;

use super::mismatch::check;
use super::{Flavour, OpenTask, Replay, Step, TaskFailure, TaskId, TaskOutcome};
use crate::{Completion, EventKind, HistoryEvent, OrchestrationStatus, SPLIT_TIMER_ID, TaskFailed};

impl Replay {
    /// Handles one event; a step if user code can see it.
    pub(super) fn take_up(&mut self, event: Arc<HistoryEvent>) -> Option<Step> {
        if let EventKind::OrchestratorStarted = event.kind {
            self.now = event.timestamp;
            return None;
        }
        if self.suspension.is_some() && !ends_suspension(&event) {
            if !matches!(event.kind, EventKind::ExecutionSuspended { .. }) {
                self.parked_events.push(event);
            }
            return None;
        }
        match &event.kind {
            EventKind::ExecutionStarted(_) => {
                if self.started.is_none() {
                    let told = self.options.flavour;
                    self.flavour = told.unwrap_or_else(|| Flavour::of(&event, self.replaying));
                    self.started = Some(event);
                    return Some(Step::Start);
                }
            }
            EventKind::TaskScheduled(_)
            | EventKind::TimerCreated { .. }
            | EventKind::SubOrchestrationCreated(_)
            | EventKind::EventSent { .. } => self.confirm(&event),
            EventKind::TaskCompleted {
                task_scheduled_id,
                result,
            }
            | EventKind::SubOrchestrationCompleted {
                task_scheduled_id,
                result,
            } => {
                self.answered(*task_scheduled_id, &event.kind)?;
                return Some(resolved(
                    *task_scheduled_id,
                    TaskOutcome::Completed(result.clone()),
                ));
            }
            EventKind::TaskFailed(failed) | EventKind::SubOrchestrationFailed(failed) => {
                let open = self.answered(failed.task_scheduled_id, &event.kind)?;
                return Some(resolved(failed.task_scheduled_id, failure(failed, open)));
            }
            EventKind::TimerFired { timer_id, .. } => {
                self.answered(*timer_id, &event.kind)?;
                return Some(resolved(*timer_id, TaskOutcome::Fired));
            }
            EventKind::EventRaised(_) => {
                return self.waits.arrive(event).map(|wait| Step::Event { wait });
            }
            EventKind::ExecutionTerminated { input } => {
                self.end(Completion::new(
                    OrchestrationStatus::Terminated,
                    input.clone(),
                ));
            }
            EventKind::ExecutionSuspended { .. } => {
                self.suspension = Some(event);
                self.parked.append(&mut self.decisions);
            }
            EventKind::ExecutionResumed { .. } => self.resume(),
            EventKind::OrchestratorStarted
            | EventKind::OrchestratorCompleted
            | EventKind::ExecutionCompleted(_)
            | EventKind::ContinueAsNew(_)
            | EventKind::ExecutionRewound(_)
            | EventKind::Generic { .. }
            | EventKind::HistoryState { .. } => {}
        }
        None
    }

    /// A decision that history already has.
    fn confirm(&mut self, event: &HistoryEvent) {
        let id = event.event_id;
        if id == SPLIT_TIMER_ID {
            return;
        }
        match check(event, self.decisions.get(&id), self.last_call) {
            Ok(()) => {
                self.decisions.remove(&id);
            }
            Err(mismatch) => self.mismatch = Some(mismatch),
        }
    }

    /// The open task that this event answers, now closed. `None` for a duplicate, a cancelled
    /// timer, an unknown id or an answer of another kind: such events are ignored.
    fn answered(&mut self, id: i32, answer: &EventKind) -> Option<OpenTask> {
        let fits = matches!(
            (self.open.get(&id)?, answer),
            (
                OpenTask::Activity(_),
                EventKind::TaskCompleted { .. } | EventKind::TaskFailed(_)
            ) | (
                OpenTask::Child(_),
                EventKind::SubOrchestrationCompleted { .. } | EventKind::SubOrchestrationFailed(_)
            ) | (OpenTask::Timer, EventKind::TimerFired { .. })
        );
        if fits { self.open.remove(&id) } else { None }
    }

    /// Parked decisions come back, and parked events go first, with the replay flag and the time
    /// of the resuming episode.
    fn resume(&mut self) {
        self.suspension = None;
        self.decisions.append(&mut self.parked);
        for event in std::mem::take(&mut self.parked_events).into_iter().rev() {
            self.incoming.push_front((event, self.replaying));
        }
    }
}

/// Whether an event is handled in spite of a suspension.
const fn ends_suspension(event: &HistoryEvent) -> bool {
    matches!(
        event.kind,
        EventKind::ExecutionResumed { .. } | EventKind::ExecutionTerminated { .. }
    )
}

const fn resolved(id: i32, outcome: TaskOutcome) -> Step {
    Step::Resolved {
        task: TaskId(id),
        outcome,
    }
}

fn failure(failed: &TaskFailed, open: OpenTask) -> TaskOutcome {
    let (name, is_child) = match open {
        OpenTask::Activity(name) => (name, false),
        OpenTask::Child(name) => (name, true),
        OpenTask::Timer => (String::new(), false),
    };
    TaskOutcome::Failed(Box::new(TaskFailure {
        name,
        task: TaskId(failed.task_scheduled_id),
        is_child,
        reason: failed.reason.clone(),
        details: failed.details.clone(),
        failure: failed.failure.clone(),
    }))
}
