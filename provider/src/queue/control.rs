//! The reader of one control queue.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use durabletask_storage::ReceivedMessage;
use futures::future::{join_all, select};
use tokio::sync::Notify;

use super::held::HeldMessage;
use super::inbound::Inbound;
use super::registry::BufferLimits;
use super::signal::{PollBackoff, Signal};
use crate::dispatch::{Pending, PendingGuard, Settle, WorkerContext};
use crate::error::TaskHubError;
use crate::partition::PartitionId;
use crate::poison::FailedMessage;

/// One owned partition's queue, from the reader's point of view.
#[derive(Debug)]
pub(crate) struct ControlQueue {
    pub(crate) partition: PartitionId,
    pub(crate) name: Arc<str>,
    signal: Arc<Signal>,
    /// Set when the partition is given up or lost: no further receive.
    released: AtomicBool,
    release: Notify,
    /// The reader, and messages that it puts back.
    pub(crate) reading: Pending,
    /// The reader alone, from before its first receive until it ends or dies.
    reader: Pending,
}

impl ControlQueue {
    /// The queue of a partition that was just acquired. Its first receive does not wait.
    pub(crate) fn new(partition: PartitionId, name: Arc<str>, signal: Arc<Signal>) -> Self {
        signal.set();
        Self {
            partition,
            name,
            signal,
            released: AtomicBool::new(false),
            release: Notify::new(),
            reading: Pending::default(),
            reader: Pending::default(),
        }
    }

    /// Stops the reader before its next receive.
    pub(crate) fn release(&self) {
        self.released.store(true, Ordering::Release);
        self.release.notify_waiters();
        self.signal.set();
    }

    /// Counts the reader until the guard is dropped.
    pub(crate) fn begin_reading(&self) -> PendingGuard {
        self.reader.begin()
    }

    /// Whether its reader lives.
    pub(crate) fn is_being_read(&self) -> bool {
        self.reader.count() > 0
    }

    /// Waits for `what`, at most until the partition is given up or lost.
    async fn unless_released(&self, what: impl Future<Output = ()>) {
        let mut release = std::pin::pin!(self.release.notified());
        release.as_mut().enable();
        if !self.is_released() {
            select(std::pin::pin!(what), release).await;
        }
    }

    /// Whether the partition is given up or lost.
    pub(crate) fn is_released(&self) -> bool {
        self.released.load(Ordering::Acquire)
    }
}

impl WorkerContext {
    /// Receives messages of one control queue and hands them to their sessions until the queue is
    /// released (chapter 02 §4.1), while there is room for more. Price: one queue transaction per
    /// receive.
    pub(crate) async fn read_control_queue(self: Arc<Self>, queue: Arc<ControlQueue>) {
        let settings = self.hub.settings();
        let mut backoff = PollBackoff::new(settings.max_queue_polling_interval);
        let env = self.hub.env();
        let reading = queue.reading.begin();
        while !queue.is_released() {
            queue.unless_released(self.room(self.buffer_limits())).await;
            if !self.ownership.is_fresh(queue.partition) {
                // Perhaps somebody else's by now (R5-06): after a stand-still of this process the
                // manager has to look first. Whatever came now would be handed back, and be
                // delivered once more for nothing.
                queue.unless_released(env.sleep(STALE_PAUSE)).await;
                continue;
            }
            if queue.is_released() {
                break;
            }
            // Whatever became visible until now, this receive finds.
            queue.signal.take_due(env.monotonic());
            let received = self
                .hub
                .account()
                .queues
                .get_messages(
                    &queue.name,
                    settings.control_queue_batch_size,
                    self.hub.control_visibility_seconds(),
                )
                .await;
            match received {
                Ok(messages) if messages.is_empty() => {
                    queue
                        .unless_released(backoff.wait(env, &queue.signal))
                        .await;
                }
                Ok(messages) => {
                    self.take_in(&queue, messages).await;
                    queue.signal.set();
                }
                Err(error) => {
                    tracing::error!(queue = %queue.name, %error, "could not receive messages");
                    // A queue that fails at once must not be asked in a tight loop.
                    queue.unless_released(env.sleep(FAILED_RECEIVE_PAUSE)).await;
                }
            }
        }
        queue.signal.set();
        drop(reading);
    }

    /// Reads, sorts and routes one batch (chapter 02 §4.1 steps 3 to 6). One bad message is put
    /// back alone. Where large values fill the memory, the rest of the batch is read when there is
    /// some again, in the order in which it was sent. That comes: what was read is at work.
    async fn take_in(self: &Arc<Self>, queue: &ControlQueue, messages: Vec<ReceivedMessage>) {
        let seconds = self.hub.control_visibility_seconds();
        let held = messages.into_iter().filter_map(|message| {
            self.held
                .hold(self.hub.env(), &queue.name, message, seconds, true)
        });
        let mut held: Vec<_> = held.collect();
        held.sort_by_key(|(held, _)| held.inserted);
        let mut unread = held.into_iter().peekable();
        let mut batch = Vec::new();
        while unread.peek().is_some() && !queue.is_released() {
            let reads = unread.by_ref().take(MAX_CONCURRENT_READS);
            let reads = reads.map(|(held, text)| self.read_held(held, text, &queue.reading));
            batch.extend(join_all(reads).await.into_iter().flatten());
            let limits = BufferLimits {
                // The unread messages count there too.
                count: usize::MAX,
                ..self.buffer_limits()
            };
            if unread.peek().is_some() && !self.has_room(limits) {
                self.route_sorted(queue, std::mem::take(&mut batch));
                queue.unless_released(self.room(limits)).await;
            }
        }
        self.route_sorted(queue, batch);
        for (held, _) in unread {
            self.settle(held, Settle::HandBack, &queue.reading);
        }
    }

    fn route_sorted(self: &Arc<Self>, queue: &ControlQueue, mut batch: Vec<Inbound>) {
        batch.sort_by_key(|inbound| (inbound.held.inserted, inbound.data.sequence_number));
        for inbound in batch {
            if queue.is_released() {
                self.hand_back(inbound, &queue.reading);
            } else {
                self.route(queue.partition, inbound);
            }
        }
    }

    fn buffer_limits(&self) -> BufferLimits {
        let settings = self.hub.settings();
        BufferLimits {
            count: usize::try_from(settings.control_queue_buffer_threshold).unwrap_or(usize::MAX),
            bytes: usize::try_from(settings.control_queue_buffer_max_bytes).unwrap_or(usize::MAX),
        }
    }

    /// Whether there is memory for more messages, and for the sessions that they want loaded.
    fn has_room(&self, limits: BufferLimits) -> bool {
        self.held.has_room(limits) && self.sessions.has_room()
    }

    async fn room(&self, limits: BufferLimits) {
        while !self.has_room(limits) {
            self.held.room(limits).await;
            self.sessions.room().await;
        }
    }

    /// Reads a held message; one that cannot be read is put back with back-off or set aside, never
    /// just deleted.
    pub(crate) async fn read_held(
        self: &Arc<Self>,
        held: Arc<HeldMessage>,
        text: String,
        settling: &Pending,
    ) -> Option<Inbound> {
        held.add_bytes(text.len());
        let read = self.hub.read_message(&held, &text).await;
        let text = (self.hub.settings().poison_after > 0).then(|| text.into());
        match read {
            Ok(data) => Some(Inbound {
                held,
                data: Arc::new(data),
                text,
            }),
            Err(error) => {
                tracing::error!(
                    message_id = %held.id,
                    dequeue_count = held.dequeue_count(),
                    %error,
                    "a message cannot be read"
                );
                if matches!(error, TaskHubError::Storage(_)) {
                    self.abandon(held, settling);
                } else {
                    let failed = FailedMessage {
                        held,
                        text,
                        inbound: None,
                    };
                    self.fail_message(failed, &error.to_string(), settling);
                }
                None
            }
        }
    }
}

/// Pause after a receive that failed although storage's own retries were used up.
pub(crate) const FAILED_RECEIVE_PAUSE: Duration = Duration::from_secs(1);
/// Pause of a reader whose ownership is no longer certain, until it is renewed or lost.
const STALE_PAUSE: Duration = Duration::from_millis(200);
/// Messages of one queue that are read at once: beyond the buffer's limit in bytes goes at most what
/// so many of them hold.
const MAX_CONCURRENT_READS: usize = 8;
