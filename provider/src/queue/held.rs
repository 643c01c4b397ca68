//! Messages that this worker holds: renewed while they are held, then deleted or put back.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use durabletask_core::Timestamp;
use durabletask_storage::{
    Env, ErrorKind, MAX_VISIBILITY_SECONDS, MessageHandle, Queues, ReceivedMessage, StorageError,
};
use futures::StreamExt;
use futures::future::{Either, select};
use tokio::sync::Notify;

/// Renewals under way at the same time, at most.
const MAX_CONCURRENT_RENEWALS: usize = 16;
/// Pause before a renewal that failed is tried again, in seconds.
const RENEWAL_RETRY_SECONDS: u64 = 5;
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
    queue: Arc<str>,
    visibility_seconds: u32,
    /// Insertion time by the service's clock, whole seconds.
    pub(crate) inserted: Timestamp,
    /// Message id, for logs.
    pub(crate) id: String,
    state: Mutex<HeldState>,
    owner: Weak<Registry>,
    /// Set for control-queue messages, which count against the buffer threshold.
    counts: bool,
}

#[derive(Debug)]
struct HeldState {
    handle: MessageHandle,
    dequeue_count: u32,
    next_visible: Timestamp,
    settled: bool,
}

impl HeldMessage {
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

    fn lock(&self) -> std::sync::MutexGuard<'_, HeldState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends renewals and claims the right to delete the message or put it back; false if that was
    /// claimed before.
    pub(crate) fn settle(&self) -> bool {
        let was_settled = std::mem::replace(&mut self.lock().settled, true);
        if !was_settled && let Some(registry) = self.owner.upgrade() {
            registry.forget(self);
        }
        !was_settled
    }

    /// Deletes the message. Gone already, or handed to somebody else, is success: either way it
    /// is not ours any more. One queue transaction.
    pub(crate) async fn delete(&self, queues: &dyn Queues) -> Result<(), StorageError> {
        let mut handle = self.lock().handle.clone();
        loop {
            let Err(error) = queues.delete_message(&self.queue, &handle).await else {
                return Ok(());
            };
            match error.kind() {
                ErrorKind::NotFound => return Ok(()),
                // A renewal or a second delivery may have changed the receipt meanwhile.
                ErrorKind::PopReceiptMismatch => {
                    let current = self.lock().handle.clone();
                    if current == handle {
                        return Ok(());
                    }
                    handle = current;
                }
                _ => return Err(error),
            }
        }
    }

    /// Makes the message visible again after `seconds`. Gone already is success. One queue
    /// transaction.
    pub(crate) async fn put_back(
        &self,
        queues: &dyn Queues,
        seconds: u32,
    ) -> Result<(), StorageError> {
        let handle = self.lock().handle.clone();
        match queues
            .update_message(
                &self.queue,
                &handle,
                None,
                seconds.min(MAX_VISIBILITY_SECONDS),
            )
            .await
        {
            Err(error)
                if !matches!(
                    error.kind(),
                    ErrorKind::NotFound | ErrorKind::PopReceiptMismatch
                ) =>
            {
                Err(error)
            }
            _ => Ok(()),
        }
    }

    /// Puts the message back with the back-off of its dequeue count.
    pub(crate) async fn abandon(&self, queues: &dyn Queues) -> Result<(), StorageError> {
        self.put_back(queues, put_back_seconds(self.dequeue_count()))
            .await
    }

    async fn renew(&self, queues: &dyn Queues) -> Result<(), StorageError> {
        let handle = {
            let state = self.lock();
            if state.settled {
                return Ok(());
            }
            state.handle.clone()
        };
        let updated = queues
            .update_message(&self.queue, &handle, None, self.visibility_seconds)
            .await?;
        let mut state = self.lock();
        // A delivery that came in between has the newer receipt.
        if state.handle == handle {
            state.handle = updated.handle;
            state.next_visible = updated.next_visible;
        }
        Ok(())
    }
}

impl Drop for HeldMessage {
    fn drop(&mut self) {
        let _ = self.settle();
    }
}

/// All messages that this worker holds.
#[derive(Debug, Clone)]
pub(crate) struct HeldMessages(Arc<Registry>);

#[derive(Debug)]
struct Registry {
    maps: Mutex<Maps>,
    /// A renewal may be due earlier than the renewal task thinks.
    added: Notify,
    /// Messages that count against the buffer threshold.
    buffered: AtomicUsize,
    room: Notify,
}

#[derive(Debug, Default)]
struct Maps {
    by_id: HashMap<(Arc<str>, String), Weak<HeldMessage>>,
    /// By monotonic time at which to renew; the number keeps keys distinct.
    due: BTreeMap<(Duration, u64), Weak<HeldMessage>>,
    last_number: u64,
}

impl Registry {
    fn lock(&self) -> std::sync::MutexGuard<'_, Maps> {
        self.maps.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn forget(&self, message: &HeldMessage) {
        self.lock()
            .by_id
            .remove(&(message.queue.clone(), message.id.clone()));
        if message.counts {
            self.buffered.fetch_sub(1, Ordering::AcqRel);
            self.room.notify_waiters();
        }
    }

    fn schedule(&self, message: Weak<HeldMessage>, at: Duration) {
        let mut maps = self.lock();
        maps.last_number += 1;
        let key = (at, maps.last_number);
        maps.due.insert(key, message);
        drop(maps);
        self.added.notify_one();
    }
}

impl HeldMessages {
    /// Holds nothing yet.
    pub(crate) fn new() -> Self {
        Self(Arc::new(Registry {
            maps: Mutex::default(),
            added: Notify::new(),
            buffered: AtomicUsize::new(0),
            room: Notify::new(),
        }))
    }

    /// Takes a received message under renewal. `None` if this worker holds it already: then the
    /// held one takes over the fresh pop receipt (chapter 02 §4.2 step 4).
    pub(crate) fn hold(
        &self,
        env: &Env,
        queue: &Arc<str>,
        received: ReceivedMessage,
        visibility_seconds: u32,
        counts: bool,
    ) -> Option<(Arc<HeldMessage>, String)> {
        let key = (queue.clone(), received.handle.id.clone());
        let held = self.0.lock().by_id.get(&key).and_then(Weak::upgrade);
        if let Some(held) = held {
            let mut state = held.lock();
            state.handle = received.handle;
            state.dequeue_count = received.dequeue_count;
            state.next_visible = received.next_visible;
            return None;
        }
        let message = Arc::new(HeldMessage {
            queue: queue.clone(),
            visibility_seconds,
            inserted: received.inserted,
            id: received.handle.id.clone(),
            state: Mutex::new(HeldState {
                handle: received.handle,
                dequeue_count: received.dequeue_count,
                next_visible: received.next_visible,
                settled: false,
            }),
            owner: Arc::downgrade(&self.0),
            counts,
        });
        if counts {
            self.0.buffered.fetch_add(1, Ordering::AcqRel);
        }
        let weak = Arc::downgrade(&message);
        self.0.lock().by_id.insert(key, weak.clone());
        self.0
            .schedule(weak, env.monotonic() + renewal_pause(visibility_seconds));
        Some((message, received.text))
    }

    /// Waits until fewer than `threshold` control messages are buffered (chapter 02 §3.8).
    pub(crate) async fn room_below(&self, threshold: usize) {
        loop {
            let mut freed = std::pin::pin!(self.0.room.notified());
            freed.as_mut().enable();
            if self.0.buffered.load(Ordering::Acquire) < threshold {
                return;
            }
            freed.await;
        }
    }

    /// Everything that is held now.
    pub(crate) fn all(&self) -> Vec<Arc<HeldMessage>> {
        let maps = self.0.lock();
        maps.by_id.values().filter_map(Weak::upgrade).collect()
    }

    /// Renews what is held at a third of its visibility timeout, for ever.
    pub(crate) async fn renew_forever(self, env: Env, queues: Arc<dyn Queues>) {
        loop {
            let (due, next) = self.take_due(env.monotonic());
            futures::stream::iter(due)
                .for_each_concurrent(MAX_CONCURRENT_RENEWALS, |message| {
                    self.renew_one(&env, &*queues, message)
                })
                .await;
            let pause = next.map_or(Duration::from_secs(3600), |at| {
                at.saturating_sub(env.monotonic())
            });
            let added = std::pin::pin!(self.0.added.notified());
            let slept = std::pin::pin!(env.sleep(pause));
            match select(added, slept).await {
                Either::Left(_) | Either::Right(_) => {}
            }
        }
    }

    fn take_due(&self, now: Duration) -> (Vec<Arc<HeldMessage>>, Option<Duration>) {
        let mut maps = self.0.lock();
        let later = maps.due.split_off(&(now, u64::MAX));
        let due = std::mem::replace(&mut maps.due, later);
        let next = maps.due.keys().next().map(|(at, _)| *at);
        drop(maps);
        (
            due.into_values()
                .filter_map(|weak| weak.upgrade())
                .collect(),
            next,
        )
    }

    async fn renew_one(&self, env: &Env, queues: &dyn Queues, message: Arc<HeldMessage>) {
        let pause = match message.renew(queues).await {
            Ok(()) => renewal_pause(message.visibility_seconds),
            Err(error)
                if matches!(
                    error.kind(),
                    ErrorKind::NotFound | ErrorKind::PopReceiptMismatch
                ) =>
            {
                tracing::warn!(
                    message_id = %message.id,
                    queue = %message.queue,
                    "lost a message while working on it; it is deleted or somebody else has it"
                );
                return;
            }
            Err(error) => {
                tracing::warn!(message_id = %message.id, %error, "could not renew a message");
                Duration::from_secs(RENEWAL_RETRY_SECONDS)
            }
        };
        if !message.lock().settled {
            self.0
                .schedule(Arc::downgrade(&message), env.monotonic() + pause);
        }
    }
}

fn renewal_pause(visibility_seconds: u32) -> Duration {
    Duration::from_secs(u64::from(visibility_seconds)) / 3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_put_back_as_dotnet_does() {
        let seconds: Vec<u32> = (1..=11).map(put_back_seconds).collect();
        assert_eq!(seconds, [2, 4, 8, 16, 32, 64, 128, 256, 512, 600, 600]);
        assert_eq!(put_back_seconds(400), 600);
    }
}
