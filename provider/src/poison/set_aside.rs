//! From a failure to the decision what becomes of the message.

use std::sync::Arc;

use durabletask_core::{ActivityOutcome, EventKind, FailureDetails};

use super::PoisonMessage;
use crate::client::HubClient;
use crate::dispatch::{Pending, Settle, WorkerContext};
use crate::error::TaskHubError;
use crate::hub::PoisonedInstance;
use crate::queue::held::HeldMessage;
use crate::queue::inbound::Inbound;
use crate::wire::message::{self, Decoded};

/// Error type of the failure that a caller sees of an activity whose message was set aside.
const POISON_ERROR: &str = "PoisonMessage";
/// Characters of an error that are kept: below the limit of a column whatever they are.
const MAX_ERROR_CHARS: usize = 4_000;

/// A message that this worker could not work off, through the message's own fault.
pub(crate) struct FailedMessage {
    pub(crate) held: Arc<HeldMessage>,
    /// As it is in its queue, if it may be set aside.
    pub(crate) text: Option<Arc<str>>,
    /// What it says, if it can be read.
    pub(crate) inbound: Option<Inbound>,
}

impl FailedMessage {
    /// A message that was read.
    pub(crate) fn of(inbound: Inbound) -> Self {
        Self {
            held: inbound.held.clone(),
            text: inbound.text.clone(),
            inbound: Some(inbound),
        }
    }
}

impl WorkerContext {
    /// Counts a failure: the message is put back with back-off, or set aside if it failed too
    /// often here. In the background. Price: one queue transaction; when set aside, one table and
    /// one queue transaction, and what it costs to tell the instance.
    pub(crate) fn fail_message(
        self: &Arc<Self>,
        failed: FailedMessage,
        error: &str,
        settling: &Pending,
    ) {
        let limit = self.hub.settings().poison_after;
        let FailedMessage {
            held,
            text,
            inbound,
        } = failed;
        let Some(text) = text.filter(|_| limit > 0) else {
            return self.abandon(held, settling);
        };
        let failures = self.failures.count(&held.id);
        if failures < limit {
            return self.abandon(held, settling);
        }
        let error: String = error.chars().take(MAX_ERROR_CHARS).collect();
        let (settling, pending) = (settling.clone(), settling.begin());
        let context = self.clone();
        drop(self.scope.spawn(async move {
            let set_aside = context.set_aside(&held, &text, inbound, failures, error);
            match set_aside.await {
                Ok(()) => {
                    context.failures.forget(&held.id);
                    context.settle(held, Settle::Delete, &settling);
                }
                Err(error) => {
                    tracing::error!(message_id = %held.id, %error, "a message could not be set aside and is put back");
                    context.abandon(held, &settling);
                }
            }
            drop(pending);
        }));
    }

    /// Keeps the message, then tells whoever waits for it, if that is asked for. The caller
    /// deletes it; dying before, it comes again and the same row is written again.
    async fn set_aside(
        self: &Arc<Self>,
        held: &HeldMessage,
        text: &str,
        inbound: Option<Inbound>,
        failures: u32,
        error: String,
    ) -> Result<(), TaskHubError> {
        let said = inbound.as_ref().map(Inbound::message);
        let poison = PoisonMessage {
            queue: held.queue().to_owned(),
            message_id: held.id.clone(),
            instance_id: said.map(|message| message.target.instance_id.clone()),
            event_type: said.map(|message| message.event.event_type().name().to_owned()),
            error,
            failures: i32::try_from(failures).unwrap_or(i32::MAX),
            set_aside_time: Some(self.hub.env().now()),
        };
        self.hub
            .put_poison(poison.to_row(text, blob_of(text)))
            .await?;
        tracing::error!(
            message_id = %held.id,
            queue = held.queue(),
            instance_id = poison.instance_id,
            failures,
            "a message failed too often and is set aside; `durabletask poison` lists it"
        );
        let Some(inbound) = inbound else {
            return Ok(());
        };
        match self.hub.settings().poisoned_instance {
            PoisonedInstance::Leave => Ok(()),
            PoisonedInstance::Fail => self.tell(&inbound, &poison).await,
        }
    }

    /// The caller of an activity sees it fail; any other instance is terminated, as no message
    /// can make it fail.
    async fn tell(
        self: &Arc<Self>,
        inbound: &Inbound,
        poison: &PoisonMessage,
    ) -> Result<(), TaskHubError> {
        let reason = format!(
            "a message ({}) failed {} times and was set aside: {}",
            poison.event_type.as_deref().unwrap_or_default(),
            poison.failures,
            poison.error
        );
        let message = inbound.message();
        match &message.event.kind {
            EventKind::TaskScheduled(_) => {
                let mut failure = FailureDetails::new(POISON_ERROR, reason);
                failure.is_non_retriable = true;
                let outcome = ActivityOutcome::Failed(failure);
                self.answer(inbound, message.event.event_id, outcome).await
            }
            // Another termination would not fare better.
            EventKind::ExecutionTerminated { .. } => Ok(()),
            _ => {
                let terminated = EventKind::ExecutionTerminated {
                    input: Some(reason),
                };
                let client = HubClient::new(self.hub.clone());
                client
                    .send_to_any(&message.target.instance_id, terminated)
                    .await
            }
        }
    }
}

/// The blob that holds a large message.
fn blob_of(text: &str) -> Option<String> {
    let json = message::from_queue_text(text).ok()?;
    match message::decode(&json) {
        Ok(Decoded::InBlob { blob_name }) => Some(blob_name),
        _ => None,
    }
}
