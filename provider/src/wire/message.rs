//! Queue messages: the envelope around one event (chapter 02 §1 and §2).

use std::borrow::Cow;

use durabletask_core::{OrchestrationInstance, TaskMessage};
use uuid::Uuid;

use super::WireError;

/// UTF-8 bytes of JSON up to which a message stays in the queue (chapter 02 §2.2).
pub const MAX_INLINE_BYTES: usize = 45 * 1024;

/// One message with its envelope (chapter 02 §1.4).
#[derive(Debug, Clone, PartialEq)]
pub struct MessageData {
    /// Fresh per message; part of the blob name of a large one.
    pub activity_id: Uuid,
    /// Event and target.
    pub message: TaskMessage,
    /// Counts the messages of the sending process; an ordering tie-breaker.
    pub sequence_number: i64,
    /// The sender's episode; `None` from clients.
    pub episode: Option<i32>,
    /// Who sent it. Clients: `InstanceId` and `ExecutionId` empty, i.e. `("", Some(""))`.
    pub sender: OrchestrationInstance,
}

/// What a queue message's text holds.
#[derive(Debug, Clone, PartialEq)]
pub enum Decoded {
    /// The message itself.
    Message(Box<MessageData>),
    /// Only the name of the blob that holds the message: gzip of the JSON that
    /// [`decode`] reads, in the large-message container.
    InBlob {
        /// Blob name within the container, not URL-encoded.
        blob_name: String,
    },
}

/// `QueueClientMessageEncoding`: how a message's JSON becomes queue text (chapter 02 §2.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TextEncoding {
    /// The JSON itself; .NET's default since 2.0.
    #[default]
    Utf8,
    /// Standard padded Base64 of it; all that workers up to 1.17.3 read.
    Base64,
}

/// The sender that clients write: both ids present and empty.
pub fn client_sender() -> OrchestrationInstance {
    OrchestrationInstance::new("", "")
}

/// The message's JSON, exactly as .NET writes it.
pub fn encode(data: &MessageData) -> String {
    let _ = data;
    todo!()
}

/// Reads JSON that is either a message or a blob wrapper.
pub fn decode(json: &str) -> Result<Decoded, WireError> {
    let _ = json;
    todo!()
}

/// The JSON that takes a large message's place in the queue (chapter 02 §2.3).
pub fn encode_wrapper(blob_name: &str) -> String {
    let _ = blob_name;
    todo!()
}

/// Whether a message of this JSON goes to a blob.
pub fn is_large(json: &str) -> bool {
    json.len() > MAX_INLINE_BYTES
}

/// The queue text of a message's or wrapper's JSON.
pub fn to_queue_text(json: String, encoding: TextEncoding) -> String {
    let _ = (json, encoding);
    todo!()
}

/// The JSON in a queue text of either encoding.
pub fn from_queue_text(text: &str) -> Result<Cow<'_, str>, WireError> {
    let _ = text;
    todo!()
}
