//! Messages that no episode takes: nothing new in them, no such instance, or it has ended.

use durabletask_core::EventKind;
use durabletask_core::episode::{RuntimeState, answer_again};

use super::Loaded;
use super::drive::{Driver, Left};
use super::judge;
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
        let repairs = loaded.is_fresh && !known.is_empty() && loaded.is_row_behind();
        if repairs {
            self.context.hub.repair(&self.instance_id).await?;
        }
        self.answer_again(&loaded.state, &known).await?;
        self.delete(known);
        // The version that is known of the row is no longer its.
        Ok(if repairs {
            Left::default()
        } else {
            self.keep(loaded)
        })
    }

    /// A parent that starts a finished child again did not commit the first call, and may have lost
    /// its answer: answers that no history expects are thrown away in the end. A child that is woken
    /// after a rewind and has ended had not committed its failure when it was rewound, or has run
    /// before its parent was. So the parent is told once more; what it has already, it drops. One
    /// queue transaction, only for such messages.
    async fn answer_again(
        &self,
        state: &RuntimeState,
        messages: &[Inbound],
    ) -> Result<(), TaskHubError> {
        let is_call = |m: &Inbound| match &m.message().event.kind {
            EventKind::ExecutionStarted(started) => started.parent.is_some(),
            EventKind::Generic { .. } => m.execution_id().is_none(),
            _ => false,
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
        let hub = &self.context.hub;
        let mut row = loaded.read_row.clone();
        // A message to an execution that is not the stored one may have made it so, and its commit
        // may have stopped before the row was written.
        let is_doubtful = loaded.is_row_behind() || (!is_started && loaded.sentinel.is_some());
        if !loaded.is_fresh || (is_doubtful && hub.repair(&self.instance_id).await?) {
            row = hub
                .instance_row(&self.instance_id, false)
                .await?
                .map(Box::new);
        }
        if is_started {
            self.answer_again(&loaded.state, &messages).await?;
        }
        let is_unknown = row.is_none() && !is_started && loaded.sentinel.is_none();
        let unstarted = row.filter(|row| is_unstarted(row, &loaded));
        let messages = self.treat_unstarted(unstarted, messages).await?;
        // A child has no row before its first commit, and what it sends to itself, or its parent
        // to it, may come before that. .NET drops it.
        let (early, strays): (Vec<_>, Vec<_>) = messages.into_iter().partition(|inbound| {
            is_unknown && inbound.is_from_orchestration() && !judge::has_waited(inbound)
        });
        self.put_back(early);
        self.drop_messages(strays);
        Ok(left)
    }

    /// An execution with a row and without history: a termination marks its row, other messages
    /// for it, or for whichever execution runs, wait for its start as long as the row is Pending.
    /// Returns what is left to drop.
    async fn treat_unstarted(
        &self,
        row: Option<Box<InstanceRow>>,
        messages: Vec<Inbound>,
    ) -> Result<Vec<Inbound>, TaskHubError> {
        let Some(row) = row else {
            return Ok(messages);
        };
        let (own, foreign): (Vec<_>, Vec<_>) = messages.into_iter().partition(|inbound| {
            let wanted = inbound.execution_id();
            wanted.is_none() || wanted == row.execution_id.as_deref()
        });
        let termination = own.iter().find_map(|inbound| {
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
            return Ok([own, foreign].concat());
        }
        // Also if the row says Running: it was committed after the history was read.
        self.put_back(own);
        Ok(foreign)
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
fn is_unstarted(row: &InstanceRow, loaded: &Loaded) -> bool {
    match loaded.state.execution_id() {
        Some(loaded) => row.is_pending() && row.execution_id.as_deref() != Some(loaded),
        // Beside the history of another execution only a re-creation can be meant.
        None if loaded.sentinel.is_some() => row.is_pending(),
        None => row
            .runtime_status
            .is_none_or(|status| !status.is_terminal()),
    }
}
