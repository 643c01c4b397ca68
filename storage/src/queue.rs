//! Queues: messages that turn invisible when received and come back unless deleted.

use std::fmt::Debug;

use async_trait::async_trait;
use durabletask_core::Timestamp;

use crate::Result;

/// Messages one receive may return.
pub const MAX_MESSAGES_PER_GET: u32 = 32;
/// Longest visibility delay, in seconds: seven days.
pub const MAX_VISIBILITY_SECONDS: u32 = 604_800;
/// Largest message text, in bytes of UTF-8.
pub const MAX_MESSAGE_BYTES: usize = 65_536;

/// The queue service of one account. Each method is one billed transaction.
///
/// Times are whole seconds, as the service has them. Message texts are stored inside XML 1.0: a
/// text with characters that XML forbids is refused with [`ErrorKind::Invalid`](crate::ErrorKind).
#[async_trait]
pub trait Queues: Send + Sync + Debug {
    /// Makes the queue; true if it was not there before.
    async fn create_queue(&self, queue: &str) -> Result<bool>;

    /// Removes the queue and its messages; true if it was there.
    async fn delete_queue(&self, queue: &str) -> Result<bool>;

    /// Names of the queues that start with `prefix`, in order.
    async fn list_queues(&self, prefix: &str) -> Result<Vec<String>>;

    /// Adds a message that never expires, invisible for `invisible_seconds`. `None` and
    /// `Some(0)` differ only in the request that is sent. Durable when this returns; repeated by
    /// the retry rules, so that a message may arrive twice after an unknown outcome.
    async fn put_message(
        &self,
        queue: &str,
        text: &str,
        invisible_seconds: Option<u32>,
    ) -> Result<SentMessage>;

    /// Receives up to `count` (1 to [`MAX_MESSAGES_PER_GET`]) visible messages and hides them for
    /// `invisible_seconds` (1 to [`MAX_VISIBILITY_SECONDS`]), raising their dequeue counts.
    async fn get_messages(
        &self,
        queue: &str,
        count: u32,
        invisible_seconds: u32,
    ) -> Result<Vec<ReceivedMessage>>;

    /// Looks at up to `count` visible messages and changes nothing.
    async fn peek_messages(&self, queue: &str, count: u32) -> Result<Vec<PeekedMessage>>;

    /// Hides a held message for `invisible_seconds` from now (0 makes it visible), and replaces
    /// its text if one is given. The old pop receipt is void afterwards. Fails with `NotFound` or
    /// `PopReceiptMismatch` if the message is gone or held by somebody else.
    async fn update_message(
        &self,
        queue: &str,
        handle: &MessageHandle,
        text: Option<&str>,
        invisible_seconds: u32,
    ) -> Result<UpdatedMessage>;

    /// Removes a held message. Fails like [`Queues::update_message`].
    async fn delete_message(&self, queue: &str, handle: &MessageHandle) -> Result<()>;

    /// Roughly how many messages the queue holds, invisible ones included.
    async fn count_messages(&self, queue: &str) -> Result<u64>;
}

/// What is needed to update or delete a message.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct MessageHandle {
    /// The message's id, for ever the same.
    pub id: String,
    /// Proof of the latest receive, put or update; opaque.
    pub pop_receipt: String,
}

/// Answer to a put.
#[derive(Debug, Clone)]
pub struct SentMessage {
    /// Handle on the message, valid until it is received.
    pub handle: MessageHandle,
    /// Insertion time, by the service's clock, 1-s resolution on Azure.
    pub inserted: Timestamp,
    /// When the message becomes visible, by the service's clock, cut to whole seconds.
    pub next_visible: Timestamp,
}

/// A message received and hidden.
#[derive(Clone)]
pub struct ReceivedMessage {
    /// Handle on the message, valid until it is received again or updated.
    pub handle: MessageHandle,
    /// Insertion time, by the service's clock, 1-s resolution on Azure.
    pub inserted: Timestamp,
    /// When the message becomes visible again, by the service's clock, cut to whole seconds.
    pub next_visible: Timestamp,
    /// How often it was received, this time included.
    pub dequeue_count: u32,
    /// The text, unescaped.
    pub text: String,
}

impl Debug for ReceivedMessage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ReceivedMessage")
            .field("id", &self.handle.id)
            .field("dequeue_count", &self.dequeue_count)
            .field("bytes", &self.text.len())
            .finish_non_exhaustive()
    }
}

/// A message seen without receiving it.
#[derive(Clone)]
pub struct PeekedMessage {
    /// The message's id.
    pub id: String,
    /// Insertion time, by the service's clock.
    pub inserted: Timestamp,
    /// How often it was received.
    pub dequeue_count: u32,
    /// The text, unescaped.
    pub text: String,
}

impl Debug for PeekedMessage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PeekedMessage")
            .field("id", &self.id)
            .field("bytes", &self.text.len())
            .finish_non_exhaustive()
    }
}

/// Answer to an update.
#[derive(Debug, Clone)]
pub struct UpdatedMessage {
    /// Handle with the new pop receipt.
    pub handle: MessageHandle,
    /// When the message becomes visible again, by the service's clock, cut to whole seconds.
    pub next_visible: Timestamp,
}
