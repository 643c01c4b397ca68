//! Messages that no episode takes: nothing new in them, no such instance, or it has ended.

use durabletask_core::episode::{RuntimeState, answer_again};
use durabletask_core::{EventKind, OrchestrationStatus};

use super::Loaded;
use super::drive::{Driver, Left};
use super::judge::{self, MAX_PENDING_DELIVERIES};
use crate::error::TaskHubError;
use crate::queue::inbound::Inbound;
use crate::queue::outbox::{SenderIdentity, Sending};
use crate::wire::instance_row::InstanceRow;

impl Driver {
    /// Nothing to run: known messages go, and a row that a crash left behind is repaired.
    pub(super) async fn leave_alone(
        &self,
        loaded: Box<Loaded>,
        known: Vec<Inbound>,
    ) -> Result<Left, TaskHubError> {
        if loaded.is_fresh && !known.is_empty() {
            let hub = &self.context.hub;
            let row = hub.instance_row(&self.instance_id, false).await?;
            self.repair(&loaded.state, &loaded.blobs, row.as_ref())
                .await?;
        }
        self.answer_again(&loaded.state, &known).await?;
        self.delete(known);
        Ok(self.keep(loaded))
    }

    /// A parent that starts a finished child again did not commit the first call, and may have lost
    /// its answer: answers that no history expects are thrown away in the end. So it is told once
    /// more; one that it has already, it drops. One queue transaction, only for such a start.
    async fn answer_again(
        &self,
        state: &RuntimeState,
        messages: &[Inbound],
    ) -> Result<(), TaskHubError> {
        let is_call = |m: &Inbound| {
            let started = m.message().event.as_started();
            started.is_some_and(|started| started.parent.is_some())
        };
        if !messages.iter().any(is_call) {
            return Ok(());
        }
        let hub = &self.context.hub;
        let options = self.context.episode_options();
        let Some(message) = answer_again(state, &options, &mut hub.clone()) else {
            return Ok(());
        };
        let sender = SenderIdentity {
            instance: state
                .started()
                .map(|started| started.instance.clone())
                .unwrap_or_default(),
            episode: i32::try_from(state.episodes()).ok(),
        };
        let sending = Sending {
            queue: hub.control_queue_of(&message.target.instance_id),
            message,
            sequence_number: hub.next_sequence_numbers(1),
        };
        hub.send(&sending, &sender).await?;
        Ok(())
    }

    /// A message to an execution that is not the stored one may have made it so, and its commit may
    /// have stopped before the row was written. Two table transactions.
    async fn repair_current(&self) -> Result<(), TaskHubError> {
        let hub = &self.context.hub;
        let stored = hub.load_session(&self.instance_id, None).await?;
        let row = hub.instance_row(&self.instance_id, false).await?;
        self.repair(&stored.state, &stored.blobs, row.as_ref())
            .await
    }

    async fn repair(
        &self,
        state: &RuntimeState,
        blobs: &[String],
        row: Option<&InstanceRow>,
    ) -> Result<(), TaskHubError> {
        let hub = &self.context.hub;
        let repaired = hub.repair_row(&self.instance_id, state, blobs, row).await?;
        if repaired {
            hub.instance_changed(&self.instance_id);
        }
        Ok(())
    }

    /// Messages that no episode can take: no such instance, or it has ended (chapter 02 §4.6).
    ///
    /// Where we better .NET: a load for one execution says nothing about messages to whichever
    /// execution runs, so those are judged again on their own; and what was sent to a fresh
    /// execution whose start is still under way waits for it.
    pub(super) async fn refuse(
        &self,
        execution: Option<&str>,
        loaded: Box<Loaded>,
        messages: Vec<Inbound>,
    ) -> Result<Left, TaskHubError> {
        let (messages, deferred) = judge::split_unexecutable(&loaded.state, execution, messages);
        let left = Left {
            loaded: None,
            deferred,
        };
        let is_started = loaded.state.started().is_some();
        if !is_started && self.instance_id.starts_with('@') {
            tracing::warn!(
                instance_id = self.instance_id,
                "entities are not supported yet; the message is put back"
            );
            self.put_back(messages);
            return Ok(left);
        }
        if !is_started && execution.is_some() {
            if loaded.sentinel.is_some() {
                self.repair_current().await?;
            }
            self.drop_messages(messages);
            return Ok(left);
        }
        let row = self
            .context
            .hub
            .instance_row(&self.instance_id, false)
            .await?;
        if is_started {
            self.repair(&loaded.state, &loaded.blobs, row.as_ref())
                .await?;
            self.answer_again(&loaded.state, &messages).await?;
        }
        let unstarted = row.filter(|row| is_unstarted(row, &loaded.state));
        let messages = self.treat_unstarted(unstarted, messages).await?;
        self.drop_messages(messages);
        Ok(left)
    }

    /// An execution with a row and without history: a termination marks its row, other messages
    /// to whichever execution runs wait for its start. Returns what is left to drop.
    async fn treat_unstarted(
        &self,
        row: Option<InstanceRow>,
        messages: Vec<Inbound>,
    ) -> Result<Vec<Inbound>, TaskHubError> {
        let Some(row) = row else {
            return Ok(messages);
        };
        let termination = messages.iter().find_map(|inbound| {
            let event = &inbound.message().event;
            match &event.kind {
                EventKind::ExecutionTerminated { input } => Some((event.timestamp, input.clone())),
                _ => None,
            }
        });
        if let Some((stamped, reason)) = termination {
            let hub = &self.context.hub;
            hub.terminate_unstarted(&row, stamped, reason).await?;
            hub.instance_changed(&self.instance_id);
            return Ok(messages);
        }
        let is_pending = row.runtime_status == Some(OrchestrationStatus::Pending);
        let (waiting, rest) = messages.into_iter().partition(|inbound| {
            is_pending
                && inbound.execution_id().is_none()
                && inbound.held.dequeue_count() <= MAX_PENDING_DELIVERIES
        });
        self.put_back(waiting);
        Ok(rest)
    }

    fn drop_messages(&self, messages: Vec<Inbound>) {
        for inbound in &messages {
            tracing::info!(
                instance_id = self.instance_id,
                message_id = inbound.held.id,
                event = inbound.message().event.event_type().name(),
                "a message for an unknown or finished instance is dropped"
            );
        }
        self.delete(messages);
    }
}

/// Whether the row is of an execution that has no history yet.
fn is_unstarted(row: &InstanceRow, state: &RuntimeState) -> bool {
    match state.execution_id() {
        // Beside the history of an earlier execution only a re-creation can be meant.
        Some(loaded) => {
            row.runtime_status == Some(OrchestrationStatus::Pending)
                && row.execution_id.as_deref() != Some(loaded)
        }
        None => row
            .runtime_status
            .is_none_or(|status| !status.is_terminal()),
    }
}
