//! Work items to executors: what all tasks of one worker share.

pub(crate) mod activities;
pub(crate) mod episodes;
mod gate;
pub(crate) mod names;

use std::any::Any;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use durabletask_core::{ActivityExecutor, OrchestrationExecutor};
use durabletask_storage::Scope;
use tokio::sync::{Notify, Semaphore};

use crate::TaskHub;
use crate::partition::{Ownership, PartitionId};
use crate::poison::{FailedMessage, Failures};
use crate::queue::held::HeldMessage;
use crate::queue::inbound::Inbound;
use crate::queue::registry::HeldMessages;
use crate::session::drive::Driver;
use crate::session::store::SessionStore;
use names::UnknownNames;

/// One worker: its hub, executors, sessions and limits.
pub(crate) struct WorkerContext {
    pub(crate) hub: TaskHub,
    pub(crate) scope: Scope,
    pub(crate) orchestrators: Arc<dyn OrchestrationExecutor>,
    pub(crate) activities: Arc<dyn ActivityExecutor>,
    pub(crate) held: HeldMessages,
    pub(crate) sessions: SessionStore,
    pub(crate) ownership: Ownership,
    /// Episodes that may run at once.
    pub(crate) orchestration_slots: Semaphore,
    /// Activities that may run at once.
    pub(crate) activity_slots: Arc<Semaphore>,
    pub(crate) unknown: UnknownNames,
    pub(crate) failures: Failures,
    /// Deletes and put-backs under way that only a stop waits for.
    pub(crate) settling: Pending,
    /// The reader of the work-item queue.
    pub(crate) reading: Pending,
    /// Activities under way.
    pub(crate) running: Pending,
    /// No new activity is taken.
    pub(crate) is_stopping: AtomicBool,
}

impl WorkerContext {
    /// Whether the worker is shutting down.
    pub(crate) fn is_stopping(&self) -> bool {
        self.is_stopping.load(Ordering::Acquire)
    }

    /// Hands a message to its instance's session, and starts a driver if none is at work.
    pub(crate) fn route(self: &Arc<Self>, partition: PartitionId, inbound: Inbound) {
        let instance_id = inbound.message().target.instance_id.clone();
        if self.sessions.route(partition, inbound) {
            let context = self.clone();
            drop(self.scope.spawn(Driver::new(context, instance_id).drive()));
        }
    }

    /// Deletes messages in the background.
    pub(crate) fn delete(self: &Arc<Self>, messages: Vec<Inbound>, settling: &Pending) {
        for inbound in messages {
            self.settle(inbound.held, Settle::Delete, settling);
        }
    }

    /// Puts messages back with the back-off of their dequeue counts, in the background.
    pub(crate) fn abandon_all(self: &Arc<Self>, messages: Vec<Inbound>, settling: &Pending) {
        for inbound in messages {
            self.abandon(inbound.held, settling);
        }
    }

    /// Counts a failure of each message, because working on them panicked with that.
    pub(crate) fn fail_all(
        self: &Arc<Self>,
        messages: Vec<Inbound>,
        panic: &(dyn Any + Send),
        settling: &Pending,
    ) {
        let error = format!("panicked: {}", panic_text(panic));
        for inbound in messages {
            self.fail_message(FailedMessage::of(inbound), &error, settling);
        }
    }

    /// Puts a message back with back-off, in the background.
    pub(crate) fn abandon(self: &Arc<Self>, held: Arc<HeldMessage>, settling: &Pending) {
        self.settle(held, Settle::Abandon, settling);
    }

    /// Makes a message that nobody worked on visible at once, in the background.
    pub(crate) fn hand_back(self: &Arc<Self>, inbound: Inbound, settling: &Pending) {
        self.settle(inbound.held, Settle::HandBack, settling);
    }

    /// Settles a message in the background; `settling` counts it meanwhile. Does nothing if it
    /// was settled before.
    pub(crate) fn settle(
        self: &Arc<Self>,
        held: Arc<HeldMessage>,
        how: Settle,
        settling: &Pending,
    ) {
        if !held.settle() {
            return;
        }
        let pending = settling.begin();
        let context = self.clone();
        drop(self.scope.spawn(async move {
            let queues = &*context.hub.account().queues;
            let outcome = match how {
                Settle::Delete => held.delete(queues).await,
                Settle::Abandon => held.abandon(queues).await,
                Settle::HandBack => held.put_back(queues, 0).await,
            };
            if let Err(error) = outcome {
                tracing::warn!(
                    message_id = %held.id,
                    %error,
                    "could not settle a message; it comes back after its visibility timeout"
                );
            }
            drop(pending);
        }));
    }
}

/// What a panic said.
fn panic_text(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("without a text")
}

impl fmt::Debug for WorkerContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WorkerContext")
            .field("hub", &self.hub)
            .finish_non_exhaustive()
    }
}

/// What becomes of a held message.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Settle {
    /// It is done with.
    Delete,
    /// It comes again after the back-off of its dequeue count.
    Abandon,
    /// It is visible at once.
    HandBack,
}

/// Counts background work, so that shutdown can wait for it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Pending(Arc<PendingInner>);

#[derive(Debug, Default)]
struct PendingInner {
    count: AtomicUsize,
    ended: Notify,
}

/// One piece of background work; ends when dropped.
#[derive(Debug)]
pub(crate) struct PendingGuard(Arc<PendingInner>);

impl Pending {
    /// Counts one more until the guard is dropped.
    pub(crate) fn begin(&self) -> PendingGuard {
        self.0.count.fetch_add(1, Ordering::AcqRel);
        PendingGuard(self.0.clone())
    }

    /// Waits until nothing is under way.
    pub(crate) async fn finished(&self) {
        loop {
            let mut ended = std::pin::pin!(self.0.ended.notified());
            ended.as_mut().enable();
            if self.0.count.load(Ordering::Acquire) == 0 {
                return;
            }
            ended.await;
        }
    }

    /// How many are under way.
    pub(crate) fn count(&self) -> usize {
        self.0.count.load(Ordering::Acquire)
    }
}

impl Drop for PendingGuard {
    fn drop(&mut self) {
        if self.0.count.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.0.ended.notify_waiters();
        }
    }
}
