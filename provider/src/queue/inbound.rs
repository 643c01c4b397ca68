//! Receiving: from queue text to a message, blobs included.

use std::sync::Arc;

use durabletask_core::TaskMessage;

use super::held::HeldMessage;
use crate::TaskHub;
use crate::error::TaskHubError;
use crate::wire::large;
use crate::wire::message::{self, Decoded, MessageData};

/// A message that this worker holds, read.
#[derive(Debug, Clone)]
pub(crate) struct Inbound {
    /// To delete it or put it back.
    pub(crate) held: Arc<HeldMessage>,
    /// What it says.
    pub(crate) data: Arc<MessageData>,
    /// As it is in its queue, should it have to be set aside; only under `rust.poisonAfter`.
    pub(crate) text: Option<Arc<str>>,
}

impl Inbound {
    /// Event and target.
    pub(crate) fn message(&self) -> &TaskMessage {
        &self.data.message
    }

    /// The execution it is for; a blank id counts as none (chapter 04 §1.6).
    pub(crate) fn execution_id(&self) -> Option<&str> {
        self.message()
            .target
            .execution_id
            .as_deref()
            .filter(|id| !id.trim().is_empty())
    }

    /// Whether an orchestration decided to send it: no client, and no answer to a task.
    pub(crate) fn is_from_orchestration(&self) -> bool {
        let is_answer = self.message().event.answered_task().is_some();
        !is_answer && !self.data.sender.instance_id.trim().is_empty()
    }

    /// Whether it starts an execution.
    pub(crate) fn is_start(&self) -> bool {
        self.message().event.as_started().is_some()
    }
}

impl TaskHub {
    /// Reads the queue text of a held message, which counts what has to be fetched for it. Price:
    /// none, or one blob read for a large message.
    pub(crate) async fn read_message(
        &self,
        held: &HeldMessage,
        text: &str,
    ) -> Result<MessageData, TaskHubError> {
        let what = || format!("message {}", held.id);
        let json = message::from_queue_text(text)
            .map_err(|source| TaskHubError::unreadable(what(), source))?;
        let decoded =
            message::decode(&json).map_err(|source| TaskHubError::unreadable(what(), source))?;
        let blob = match decoded {
            Decoded::Message(data) => return Ok(*data),
            Decoded::InBlob { blob_name } => blob_name,
        };
        let json = self.get_large(&what(), &blob).await?;
        held.add_bytes(json.len());
        match message::decode(&json) {
            Ok(Decoded::Message(data)) => Ok(*data),
            Ok(Decoded::InBlob { .. }) => Err(TaskHubError::MissingBlob { what: what(), blob }),
            Err(source) => Err(TaskHubError::unreadable(what(), source)),
        }
    }

    /// The text in a blob of the large-message container. One blob transaction.
    pub(crate) async fn get_large(&self, what: &str, blob: &str) -> Result<String, TaskHubError> {
        let container = &self.tables().large_messages;
        let found = self.account().blobs.get_blob(container, blob).await?;
        let Some(found) = found else {
            return Err(TaskHubError::MissingBlob {
                what: what.to_owned(),
                blob: blob.to_owned(),
            });
        };
        large::gunzip(&found.content)
            .map_err(|source| TaskHubError::unreadable(format!("blob {blob} of {what}"), source))
    }
}
