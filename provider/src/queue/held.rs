//! Messages that this worker holds: renewed while they are held, then deleted or put back.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use durabletask_core::Timestamp;
use durabletask_storage::{
    ErrorKind, MAX_VISIBILITY_SECONDS, MessageHandle, Queues, ReceivedMessage, StorageError,
};
use tokio::sync::Notify;

use super::registry::{DueKey, Registry};

/// Longest pause after which a message that was put back comes again, in seconds.
const MAX_PUT_BACK_SECONDS: u32 = 600;

/// Seconds for which a message is put back: 2, 4, 8 … 600 by dequeue count (chapter 02 §3.5).
pub(crate) fn put_back_seconds(dequeue_count: u32) -> u32 {
    1_u32
        .checked_shl(dequeue_count)
        .map_or(MAX_PUT_BACK_SECONDS, |seconds| {
            seconds.min(MAX_PUT_BACK_SECONDS)
        })
}

/// A received message until it is deleted or put back. While a clone lives, the message is kept
/// invisible; when the last clone is dropped, it comes back after its visibility timeout.
#[derive(Debug)]
pub(crate) struct HeldMessage {
    /// The queue that it came from.
    pub(super) queue: Arc<str>,
    visibility_seconds: u32,
    /// Insertion time by the service's clock, whole seconds.
    pub(crate) inserted: Timestamp,
    /// Message id, for logs.
    pub(crate) id: String,
    state: Mutex<HeldState>,
    /// A renewal has ended.
    renewed: Notify,
    owner: Weak<Registry>,
    /// Set for control-queue messages, which count against the limits of the buffer.
    pub(super) counts: bool,
}

#[derive(Debug)]
struct HeldState {
    handle: MessageHandle,
    dequeue_count: u32,
    next_visible: Timestamp,
    /// What was read of it.
    bytes: usize,
    settled: bool,
    renewal: Renewal,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Renewal {
    /// Waits for its time.
    Due(DueKey),
    /// The request is out: nobody knows which receipt is valid.
    UnderWay,
    /// None is planned: settled, or lost to somebody else.
    Stopped,
}

/// How a renewal ended.
#[derive(Debug)]
pub(super) enum Renewed {
    /// Hidden for another timeout.
    Yes,
    /// Deleted, or handed to somebody else.
    Lost,
    /// Storage could not do it now.
    Failed(StorageError),
}

impl HeldMessage {
    pub(super) fn new(
        queue: Arc<str>,
        received: &ReceivedMessage,
        visibility_seconds: u32,
        counts: bool,
        owner: Weak<Registry>,
    ) -> Self {
        Self {
            queue,
            visibility_seconds,
            inserted: received.inserted,
            id: received.handle.id.clone(),
            state: Mutex::new(HeldState {
                handle: received.handle.clone(),
                dequeue_count: received.dequeue_count,
                next_visible: received.next_visible,
                bytes: 0,
                settled: false,
                renewal: Renewal::Stopped,
            }),
            renewed: Notify::new(),
            owner,
            counts,
        }
    }

    /// How often the message was delivered, this time included.
    pub(crate) fn dequeue_count(&self) -> u32 {
        self.lock().dequeue_count
    }

    /// The queue it is in.
    pub(crate) fn queue(&self) -> &str {
        &self.queue
    }

    /// When the service makes it visible again.
    pub(crate) fn next_visible(&self) -> Timestamp {
        self.lock().next_visible
    }

    /// Seconds for which each receive and renewal hides it.
    pub(crate) fn visibility_seconds(&self) -> u32 {
        self.visibility_seconds
    }

    fn lock(&self) -> MutexGuard<'_, HeldState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends renewals and claims the right to delete the message or put it back; false if that was
    /// claimed before.
    pub(crate) fn settle(&self) -> bool {
        let (renewal, bytes) = {
            let mut state = self.lock();
            if std::mem::replace(&mut state.settled, true) {
                return false;
            }
            (state.renewal, state.bytes)
        };
        if let Some(registry) = self.owner.upgrade() {
            let due = match renewal {
                Renewal::Due(key) => Some(key),
                Renewal::UnderWay | Renewal::Stopped => None,
            };
            registry.forget(self, due, bytes);
        }
        true
    }

    /// Counts what is read of it, queue text or blob, towards the limit of what is buffered.
    pub(crate) fn add_bytes(&self, bytes: usize) {
        let mut state = self.lock();
        // Whoever settles it takes off what is counted by then.
        if self.counts
            && !state.settled
            && let Some(registry) = self.owner.upgrade()
        {
            state.bytes += bytes;
            registry.add_bytes(bytes);
        }
    }

    /// Deletes the message. Gone already, or handed to somebody else, is success: either way it
    /// is not ours any more. One queue transaction.
    pub(crate) async fn delete(&self, queues: &dyn Queues) -> Result<(), StorageError> {
        let mut handle = self.settled_handle().await;
        loop {
            let deleted = queues.delete_message(&self.queue, &handle).await;
            match self.next_attempt(deleted, &handle)? {
                Some(current) => handle = current,
                None => return Ok(()),
            }
        }
    }

    /// Makes the message visible again after `seconds`. Gone already, or handed to somebody else,
    /// is success. One queue transaction.
    pub(crate) async fn put_back(
        &self,
        queues: &dyn Queues,
        seconds: u32,
    ) -> Result<(), StorageError> {
        let seconds = seconds.min(MAX_VISIBILITY_SECONDS);
        let mut handle = self.settled_handle().await;
        loop {
            let updated = queues
                .update_message(&self.queue, &handle, None, seconds)
                .await;
            match self.next_attempt(updated.map(drop), &handle)? {
                Some(current) => handle = current,
                None => return Ok(()),
            }
        }
    }

    /// Puts the message back with the back-off of its dequeue count.
    pub(crate) async fn abandon(&self, queues: &dyn Queues) -> Result<(), StorageError> {
        self.put_back(queues, put_back_seconds(self.dequeue_count()))
            .await
    }

    /// The receipt, once no renewal is under way that would void it. Only for a settled message:
    /// no renewal begins any more.
    async fn settled_handle(&self) -> MessageHandle {
        loop {
            let mut renewed = std::pin::pin!(self.renewed.notified());
            renewed.as_mut().enable();
            {
                let state = self.lock();
                if state.renewal != Renewal::UnderWay {
                    return state.handle.clone();
                }
            }
            renewed.await;
        }
    }

    /// The receipt to try next, if the one that was used is void and a later delivery brought
    /// another.
    fn next_attempt(
        &self,
        outcome: Result<(), StorageError>,
        used: &MessageHandle,
    ) -> Result<Option<MessageHandle>, StorageError> {
        match outcome {
            Err(error) if error.kind() == ErrorKind::PopReceiptMismatch => {
                let current = self.lock().handle.clone();
                Ok((current != *used).then_some(current))
            }
            Err(error) if !error.is_not_found() => Err(error),
            _ => Ok(None),
        }
    }

    /// Takes over a delivery of the same message: its receipt is the valid one. True if a renewal
    /// must be planned again.
    pub(super) fn take_over(&self, received: ReceivedMessage) -> bool {
        let mut state = self.lock();
        state.handle = received.handle;
        state.dequeue_count = received.dequeue_count;
        state.next_visible = received.next_visible;
        state.renewal == Renewal::Stopped && !state.settled
    }

    /// Notes when it is renewed next; false if it is settled.
    pub(super) fn plan_renewal(&self, key: DueKey) -> bool {
        let mut state = self.lock();
        if !state.settled {
            state.renewal = Renewal::Due(key);
        }
        !state.settled
    }

    /// Marks its renewal as begun; false if it is settled, or one is under way.
    pub(super) fn begin_renewal(&self) -> bool {
        let mut state = self.lock();
        let begins = !state.settled && state.renewal != Renewal::UnderWay;
        if begins {
            state.renewal = Renewal::UnderWay;
        }
        begins
    }

    /// Hides it for another visibility timeout. One queue transaction.
    pub(super) async fn renew(&self, queues: &dyn Queues) -> Renewed {
        let under_way = UnderWay(self);
        let handle = self.lock().handle.clone();
        let updated = queues
            .update_message(&self.queue, &handle, None, self.visibility_seconds)
            .await;
        let mut state = self.lock();
        // A delivery that came in between has the newer receipt.
        let is_current = state.handle == handle;
        let renewed = match updated {
            Ok(updated) if is_current => {
                state.handle = updated.handle;
                state.next_visible = updated.next_visible;
                Renewed::Yes
            }
            Err(error)
                if is_current
                    && matches!(
                        error.kind(),
                        ErrorKind::NotFound | ErrorKind::PopReceiptMismatch
                    ) =>
            {
                Renewed::Lost
            }
            Err(error) if is_current => Renewed::Failed(error),
            _ => Renewed::Yes,
        };
        drop(state);
        drop(under_way);
        renewed
    }
}

/// A renewal that has begun; ends when it is answered or given up.
struct UnderWay<'a>(&'a HeldMessage);

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.lock().renewal = Renewal::Stopped;
        self.0.renewed.notify_waiters();
    }
}

impl Drop for HeldMessage {
    fn drop(&mut self) {
        let _ = self.settle();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_put_back_as_dotnet_does() {
        // covers: C02-8
        let seconds: Vec<u32> = (1..=11).map(put_back_seconds).collect();
        assert_eq!(seconds, [2, 4, 8, 16, 32, 64, 128, 256, 512, 600, 600]);
        assert_eq!(put_back_seconds(400), 600);
    }
}
