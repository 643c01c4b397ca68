//! Running activities: from a held work-item message to the answer (chapter 02 §5).

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use durabletask_core::episode::task_failed_event;
use durabletask_core::{
    ActivityOutcome, ActivityWork, EventKind, HistoryEvent, TaskMessage, TaskScheduled,
};
use futures::FutureExt;
use tokio::sync::OwnedSemaphorePermit;

use super::WorkerContext;
use super::gate::not_found;
use crate::error::TaskHubError;
use crate::hub::Unregistered;
use crate::poison::FailedMessage;
use crate::queue::held::HeldMessage;
use crate::queue::inbound::Inbound;
use crate::queue::outbox::{SenderIdentity, Sending};

/// The episode that answers carry when the request had none (chapter 02 §1.4).
const UNKNOWN_EPISODE: i32 = -1;

impl WorkerContext {
    /// Runs a received activity in the background; the slot is free again when it has ended.
    pub(crate) fn start_activity(
        self: &Arc<Self>,
        held: Arc<HeldMessage>,
        text: String,
        slot: OwnedSemaphorePermit,
    ) {
        let context = self.clone();
        let running = self.running.begin();
        drop(self.scope.spawn(async move {
            if let Some(inbound) = context.read_held(held, text, &context.settling).await {
                let held = inbound.held.clone();
                let kept = inbound.clone();
                let ran = AssertUnwindSafe(context.run_activity(inbound)).catch_unwind();
                match ran.await {
                    Ok(Ok(())) => {}
                    Ok(Err(error)) => {
                        tracing::error!(
                            message_id = %held.id,
                            %error,
                            "an activity could not be answered and is put back; it runs again"
                        );
                        context.abandon(held, &context.settling);
                    }
                    Err(panic) => {
                        tracing::error!(message_id = %held.id, "an activity executor panicked");
                        context.fail_all(vec![kept], &*panic, &context.settling);
                    }
                }
            }
            drop((slot, running));
        }));
    }

    /// Runs one activity and sends its answer, then deletes the request. Price: two queue
    /// transactions beside the receive.
    async fn run_activity(self: &Arc<Self>, inbound: Inbound) -> Result<(), TaskHubError> {
        let Some(work) = activity_work(&inbound) else {
            tracing::error!(
                message_id = %inbound.held.id,
                event = inbound.message().event.event_type().name(),
                "a work item is no activity with a name and an instance"
            );
            let error = "is no activity with a name and an instance";
            self.fail_message(FailedMessage::of(inbound), error, &self.settling);
            return Ok(());
        };
        let task_id = work.task_id;
        if !self.activities.knows(&work.name) {
            if self.hub.settings().unregistered == Unregistered::Fail {
                let failure = not_found("activity", "ActivityTaskNotFound", &work.name);
                let outcome = ActivityOutcome::Failed(failure);
                self.answer(&inbound, task_id, outcome).await?;
                self.delete(vec![inbound], &self.settling);
                return Ok(());
            }
            let names = || self.activities.names();
            self.unknown
                .report("activity", &work.name, &inbound.held.id, names);
            self.abandon(inbound.held, &self.settling);
            return Ok(());
        }
        let outcome = match self.activities.run(work).await {
            Ok(outcome) => outcome,
            Err(error) => {
                tracing::error!(message_id = %inbound.held.id, %error, "an activity is put back");
                self.abandon(inbound.held, &self.settling);
                return Ok(());
            }
        };
        self.answer(&inbound, task_id, outcome).await?;
        self.delete(vec![inbound], &self.settling);
        Ok(())
    }

    /// Sends an activity's answer to its instance (chapter 02 §5.3). One queue transaction.
    pub(crate) async fn answer(
        &self,
        inbound: &Inbound,
        task_id: i32,
        outcome: ActivityOutcome,
    ) -> Result<(), TaskHubError> {
        let kind = match outcome {
            ActivityOutcome::Completed(result) => EventKind::TaskCompleted {
                task_scheduled_id: task_id,
                result,
            },
            ActivityOutcome::Failed(failure) => {
                task_failed_event(task_id, failure, self.hub.settings().error_mode)
            }
        };
        let target = inbound.message().target.clone();
        let sending = Sending {
            queue: self.hub.control_queue_of(&target.instance_id),
            message: TaskMessage {
                event: HistoryEvent::new(self.hub.stamp(), kind),
                target: target.clone(),
                orchestration_tags: None,
            },
            sequence_number: self.hub.next_sequence_numbers(1),
        };
        let sender = SenderIdentity {
            instance: target,
            episode: Some(inbound.data.episode.unwrap_or(UNKNOWN_EPISODE)),
        };
        self.hub.send(&sending, &sender).await?;
        Ok(())
    }
}

/// The work in a message; `None` unless it is a `TaskScheduled` with a name for an instance.
fn activity_work(inbound: &Inbound) -> Option<ActivityWork> {
    let message = inbound.message();
    let EventKind::TaskScheduled(scheduled) = &message.event.kind else {
        return None;
    };
    let TaskScheduled {
        name,
        version,
        input,
        parent_trace_context,
        tags,
    } = &**scheduled;
    let name = name.clone().filter(|name| !name.is_empty())?;
    if message.target.instance_id.is_empty() {
        return None;
    }
    Some(ActivityWork {
        instance: message.target.clone(),
        task_id: message.event.event_id,
        name,
        version: version.clone(),
        input: input.clone(),
        tags: tags.clone(),
        orchestration_tags: message.orchestration_tags.clone(),
        trace_context: parent_trace_context.clone(),
        dequeue_count: inbound.held.dequeue_count(),
    })
}
