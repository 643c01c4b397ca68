//! All messages that a worker holds, and when each is renewed.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use durabletask_storage::{Env, Queues, ReceivedMessage};
use futures::StreamExt;
use futures::future::{pending, select};
use futures::stream::FuturesUnordered;
use tokio::sync::Notify;

use super::held::{HeldMessage, Renewed};

/// Renewals under way at the same time, at most.
const MAX_CONCURRENT_RENEWALS: usize = 16;
/// Pause before a renewal that failed is tried again, in seconds, if the message stays hidden for
/// that long.
const RENEWAL_RETRY_SECONDS: u64 = 5;
/// Pause of the renewal task when it has nothing to wait for, in seconds.
const IDLE_RENEWAL_SECONDS: u64 = 3_600;

/// All messages that this worker holds.
#[derive(Debug, Clone)]
pub(crate) struct HeldMessages(Arc<Registry>);

#[derive(Debug)]
pub(super) struct Registry {
    maps: Mutex<Maps>,
    /// A renewal may be due earlier than the renewal task thinks.
    added: Notify,
    /// Control messages in memory.
    buffered: AtomicUsize,
    /// What was read of them: their texts, and what was fetched for them.
    buffered_bytes: AtomicUsize,
    room: Notify,
}

/// How much may be in memory of control messages before receiving pauses, over all partitions.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BufferLimits {
    /// Messages: receiving goes on below this count.
    pub(crate) count: usize,
    /// Their queue texts and fetched blobs, once read: receiving goes on below that.
    pub(crate) bytes: usize,
}

/// Monotonic time at which to renew; the number keeps keys distinct.
pub(super) type DueKey = (Duration, u64);

#[derive(Debug, Default)]
struct Maps {
    by_id: HashMap<(Arc<str>, String), Weak<HeldMessage>>,
    due: BTreeMap<DueKey, Weak<HeldMessage>>,
    last_number: u64,
}

impl Registry {
    fn lock(&self) -> MutexGuard<'_, Maps> {
        self.maps.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Drops a settled message from all lists.
    pub(super) fn forget(&self, message: &HeldMessage, due: Option<DueKey>, bytes: usize) {
        let key = (message.queue.clone(), message.id.clone());
        let mut maps = self.lock();
        // A later delivery may have its place already.
        let is_it = |held: &Weak<HeldMessage>| std::ptr::eq(held.as_ptr(), message);
        if maps.by_id.get(&key).is_some_and(is_it) {
            maps.by_id.remove(&key);
        }
        if let Some(due) = due {
            maps.due.remove(&due);
        }
        drop(maps);
        if message.counts {
            self.buffered.fetch_sub(1, Ordering::AcqRel);
            self.buffered_bytes.fetch_sub(bytes, Ordering::AcqRel);
            self.room.notify_waiters();
        }
    }

    pub(super) fn add_bytes(&self, bytes: usize) {
        self.buffered_bytes.fetch_add(bytes, Ordering::AcqRel);
    }

    fn schedule(&self, message: &Arc<HeldMessage>, at: Duration) {
        let mut maps = self.lock();
        maps.last_number += 1;
        let key = (at, maps.last_number);
        maps.due.insert(key, Arc::downgrade(message));
        drop(maps);
        if message.plan_renewal(key) {
            self.added.notify_one();
        } else {
            self.lock().due.remove(&key);
        }
    }
}

impl HeldMessages {
    /// Holds nothing yet.
    pub(crate) fn new() -> Self {
        Self(Arc::new(Registry {
            maps: Mutex::default(),
            added: Notify::new(),
            buffered: AtomicUsize::new(0),
            buffered_bytes: AtomicUsize::new(0),
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
        let renew_at = env.monotonic() + renewal_pause(visibility_seconds);
        let key = (queue.clone(), received.handle.id.clone());
        let held = self.0.lock().by_id.get(&key).and_then(Weak::upgrade);
        if let Some(held) = held {
            if held.take_over(received) {
                self.0.schedule(&held, renew_at);
            }
            return None;
        }
        let message = Arc::new(HeldMessage::new(
            queue.clone(),
            &received,
            visibility_seconds,
            counts,
            Arc::downgrade(&self.0),
        ));
        if counts {
            self.0.buffered.fetch_add(1, Ordering::AcqRel);
        }
        self.0.lock().by_id.insert(key, Arc::downgrade(&message));
        self.0.schedule(&message, renew_at);
        Some((message, received.text))
    }

    /// Whether control messages in memory are below both limits (chapter 02 §3.8).
    pub(crate) fn has_room(&self, limits: BufferLimits) -> bool {
        self.0.buffered.load(Ordering::Acquire) < limits.count
            && self.buffered_bytes() < limits.bytes
    }

    /// Waits for room, which comes when messages are settled.
    pub(crate) async fn room(&self, limits: BufferLimits) {
        loop {
            let mut freed = std::pin::pin!(self.0.room.notified());
            freed.as_mut().enable();
            if self.has_room(limits) {
                return;
            }
            freed.await;
        }
    }

    /// Control messages that count against the buffer threshold.
    pub(crate) fn buffered(&self) -> usize {
        self.0.buffered.load(Ordering::Acquire)
    }

    /// Bytes of those messages.
    pub(crate) fn buffered_bytes(&self) -> usize {
        self.0.buffered_bytes.load(Ordering::Acquire)
    }

    /// Messages held, and renewals planned.
    pub(crate) fn counts(&self) -> (usize, usize) {
        let maps = self.0.lock();
        (maps.by_id.len(), maps.due.len())
    }

    /// Everything that is held now.
    pub(crate) fn all(&self) -> Vec<Arc<HeldMessage>> {
        let maps = self.0.lock();
        maps.by_id.values().filter_map(Weak::upgrade).collect()
    }

    /// Renews what is held at a third of its visibility timeout, for ever. A slow renewal holds
    /// up no other, up to 16 at a time.
    pub(crate) async fn renew_forever(self, env: Env, queues: Arc<dyn Queues>) {
        let mut under_way = FuturesUnordered::new();
        loop {
            let free = MAX_CONCURRENT_RENEWALS - under_way.len();
            let due = self.take_due(env.monotonic(), free);
            for message in due {
                under_way.push(self.renew_one(&env, &*queues, message));
            }
            let pause = if under_way.len() < MAX_CONCURRENT_RENEWALS {
                self.pause(env.monotonic())
            } else {
                Duration::from_secs(IDLE_RENEWAL_SECONDS)
            };
            let ended = std::pin::pin!(async {
                if under_way.next().await.is_none() {
                    pending::<()>().await;
                }
            });
            let added = std::pin::pin!(self.0.added.notified());
            let slept = std::pin::pin!(env.sleep(pause));
            select(ended, select(added, slept)).await;
        }
    }

    /// Takes out up to `count` messages whose renewal is due.
    fn take_due(&self, now: Duration, count: usize) -> Vec<Arc<HeldMessage>> {
        let mut due = Vec::new();
        let mut maps = self.0.lock();
        while due.len() < count
            && let Some(first) = maps.due.first_entry().filter(|entry| entry.key().0 <= now)
        {
            due.push(first.remove());
        }
        drop(maps);
        due.into_iter()
            .filter_map(|message| message.upgrade())
            .filter(|message| message.begin_renewal())
            .collect()
    }

    /// Time until the next renewal is due.
    fn pause(&self, now: Duration) -> Duration {
        let next = self.0.lock().due.keys().next().map(|(at, _)| *at);
        next.map_or(Duration::from_secs(IDLE_RENEWAL_SECONDS), |at| {
            at.saturating_sub(now)
        })
    }

    async fn renew_one(&self, env: &Env, queues: &dyn Queues, message: Arc<HeldMessage>) {
        let usual = renewal_pause(message.visibility_seconds());
        let pause = match message.renew(queues).await {
            Renewed::Yes => usual,
            Renewed::Lost => {
                tracing::warn!(
                    message_id = %message.id,
                    queue = %message.queue,
                    "lost a message while working on it; it is deleted or somebody else has it"
                );
                return;
            }
            Renewed::Failed(error) => {
                tracing::warn!(message_id = %message.id, %error, "could not renew a message");
                usual.min(Duration::from_secs(RENEWAL_RETRY_SECONDS))
            }
        };
        self.0.schedule(&message, env.monotonic() + pause);
    }
}

fn renewal_pause(visibility_seconds: u32) -> Duration {
    Duration::from_secs(u64::from(visibility_seconds)) / 3
}
