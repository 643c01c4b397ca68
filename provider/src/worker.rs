//! A worker: reads the queues it owns, runs what it finds, and stops cleanly.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use durabletask_core::{ActivityExecutor, OrchestrationExecutor};
use durabletask_storage::Scope;
use futures::StreamExt;
use tokio::sync::Semaphore;

use crate::TaskHub;
use crate::dispatch::names::UnknownNames;
use crate::dispatch::{Pending, WorkerContext};
use crate::error::TaskHubError;
use crate::hub::Unregistered;
use crate::partition::{PartitionHost, PartitionId, PartitionManager};
use crate::poison::Failures;
use crate::queue::control::ControlQueue;
use crate::queue::held::HeldMessage;
use crate::queue::registry::HeldMessages;
use crate::session::store::SessionStore;

/// Longest time a clean stop waits for work under way, in seconds. With the time to hand back what
/// did not end it stays below 10 s (design.md §6).
const STOP_SECONDS: u64 = 8;
/// Longest time that handing back takes, in seconds.
const HAND_BACK_SECONDS: u64 = 1;
/// Messages handed back at the same time, at most.
const MAX_CONCURRENT_HAND_BACKS: usize = 16;

/// Runs the orchestrations and activities of one task hub in this process.
///
/// Several workers, .NET ones among them, may share a hub. Dropping a worker without
/// [`HubWorker::stop`] is a crash: what it held comes back after the visibility timeouts.
pub struct HubWorker {
    context: Arc<WorkerContext>,
    manager: Arc<dyn PartitionManager>,
}

/// User code that a worker runs.
#[derive(Clone)]
pub struct Executors {
    /// Runs orchestrators.
    pub orchestrators: Arc<dyn OrchestrationExecutor>,
    /// Runs activities.
    pub activities: Arc<dyn ActivityExecutor>,
}

impl fmt::Debug for Executors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Executors")
            .field("orchestrators", &self.orchestrators.names())
            .field("activities", &self.activities.names())
            .finish()
    }
}

impl HubWorker {
    /// Starts reading: partitions as the manager acquires them, activities at once unless the
    /// executor runs none. All tasks belong to a scope of their own under the hub's [`Env`](durabletask_storage::Env). The hub
    /// must exist in storage.
    pub fn start(hub: TaskHub, executors: Executors, manager: Arc<dyn PartitionManager>) -> Self {
        let settings = hub.settings();
        let slots = |count: u32| usize::try_from(count).unwrap_or(usize::MAX).max(1);
        let budget = usize::try_from(settings.session_budget_bytes()).unwrap_or(usize::MAX);
        let context = Arc::new(WorkerContext {
            scope: hub.env().scope(),
            orchestrators: executors.orchestrators,
            activities: executors.activities,
            held: HeldMessages::new(),
            sessions: SessionStore::new(budget),
            ownership: manager.ownership(),
            orchestration_slots: Semaphore::new(slots(settings.max_concurrent_orchestrators)),
            activity_slots: Arc::new(Semaphore::new(slots(settings.max_concurrent_activities))),
            unknown: UnknownNames::default(),
            failures: Failures::default(),
            settling: Pending::default(),
            reading: Pending::default(),
            running: Pending::default(),
            is_stopping: AtomicBool::new(false),
            hub,
        });
        context.hub.add_worker(&context);
        let scope = &context.scope;
        let queues = context.hub.account().queues.clone();
        let env = context.hub.env().clone();
        drop(scope.spawn(context.held.clone().renew_forever(env, queues)));
        // Who can run no activity would only hold up those of others (R5-04).
        let fails_unknown = context.hub.settings().unregistered == Unregistered::Fail;
        if fails_unknown || !context.activities.names().is_empty() {
            drop(scope.spawn(context.clone().read_work_items()));
        }
        drop(scope.spawn(context.clone().keep_retention()));
        drop(scope.spawn(context.clone().keep_sweeping()));
        let host = Arc::new(Partitions {
            context: context.clone(),
            queues: Mutex::default(),
        });
        manager.start(scope, host);
        Self { context, manager }
    }

    /// Stops cleanly: takes nothing new, lets running work end (8 s at most), releases the
    /// partitions, hands the rest back. True if all work ended in time.
    pub async fn stop(&self) -> Result<bool, TaskHubError> {
        let context = &self.context;
        context.is_stopping.store(true, Ordering::Release);
        context.hub.wake(&context.hub.tables().work_items);
        let env = context.hub.env();
        let limit = Duration::from_secs(STOP_SECONDS);
        let work = async {
            let released = self.manager.stop();
            let ran = async {
                // What is received now is handed back.
                context.reading.finished().await;
                context.running.finished().await;
            };
            let (released, ()) = futures::future::join(released, ran).await;
            if let Err(error) = released {
                tracing::warn!(%error, "partitions were not released");
            }
            context.settling.finished().await;
        };
        let in_time = env.timeout(limit, work).await.is_ok();
        if !in_time {
            tracing::warn!(
                activities = context.running.count(),
                sessions = context.sessions.counts().0,
                "stopped with work under way; it runs again elsewhere"
            );
        }
        // Held beyond the abort, which drops them with the tasks that work on them.
        let held = context.held.all();
        context.scope.abort();
        // Not a closure over references, so that stopping can be spawned.
        let hand_backs: Vec<_> = held.into_iter().map(|held| self.hand_back(held)).collect();
        let handed_back = futures::stream::iter(hand_backs)
            .buffer_unordered(MAX_CONCURRENT_HAND_BACKS)
            .for_each(|()| std::future::ready(()));
        let limit = Duration::from_secs(HAND_BACK_SECONDS);
        let _ = env.timeout(limit, handed_back).await;
        Ok(in_time)
    }

    /// Makes a message visible whose work was cut off; it comes back anyway, but later.
    async fn hand_back(&self, held: Arc<HeldMessage>) {
        if held.settle()
            && let Err(error) = held.put_back(&*self.hub().account().queues, 0).await
        {
            tracing::warn!(message_id = %held.id, %error, "could not hand back a message");
        }
    }

    /// Stops at once, like a crash: whatever was under way comes back after its visibility
    /// timeout.
    pub fn abort(&self) {
        self.context.scope.abort();
    }

    pub(crate) fn context(&self) -> &WorkerContext {
        &self.context
    }

    /// The hub it works for.
    pub fn hub(&self) -> &TaskHub {
        &self.context.hub
    }

    /// The scope of all its tasks.
    pub fn scope(&self) -> &Scope {
        &self.context.scope
    }

    /// The partitions it owns, in order.
    pub fn partitions(&self) -> Vec<PartitionId> {
        self.context.ownership.owned()
    }
}

impl fmt::Debug for HubWorker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HubWorker")
            .field("hub", &self.context.hub)
            .finish_non_exhaustive()
    }
}

/// The control queues that this worker reads.
struct Partitions {
    context: Arc<WorkerContext>,
    queues: Mutex<Vec<Arc<ControlQueue>>>,
}

impl Partitions {
    /// Takes a partition's queue off the list and stops its reader; the queue, if it was there.
    fn release(&self, partition: PartitionId) -> Option<Arc<ControlQueue>> {
        let mut queues = self.queues.lock().unwrap_or_else(PoisonError::into_inner);
        let position = queues.iter().position(|q| q.partition == partition)?;
        let queue = queues.swap_remove(position);
        queue.release();
        Some(queue)
    }

    /// Forgets the partition's sessions and hands back what nobody worked on.
    fn forget(&self, partition: PartitionId, settling: &Pending) {
        for inbound in self.context.sessions.forget_partition(partition) {
            self.context.hand_back(inbound, settling);
        }
    }

    /// Stops reading and drops everything of the partition.
    fn drop_partition(&self, partition: PartitionId) {
        drop(self.release(partition));
        self.forget(partition, &self.context.settling);
    }
}

#[async_trait]
impl PartitionHost for Partitions {
    fn acquired(&self, partition: PartitionId) {
        self.drop_partition(partition);
        let name: Arc<str> = self
            .context
            .hub
            .names()
            .control_queue(partition.index())
            .into();
        let signal = self.context.hub.signal(&name);
        let queue = Arc::new(ControlQueue::new(partition, name, signal));
        self.queues
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(queue.clone());
        tracing::info!(%partition, "acquired a partition");
        let context = self.context.clone();
        let reader = queue.begin_reading();
        drop(self.context.scope.spawn(async move {
            context.read_control_queue(queue).await;
            drop(reader);
        }));
    }

    fn is_reading(&self, partition: PartitionId) -> bool {
        let queues = self.queues.lock().unwrap_or_else(PoisonError::into_inner);
        let queue = queues.iter().find(|queue| queue.partition == partition);
        queue.is_some_and(|queue| queue.is_being_read())
    }

    async fn drain(&self, partition: PartitionId) {
        let queue = self.release(partition);
        let settling = Pending::default();
        self.forget(partition, &settling);
        if let Some(queue) = queue {
            queue.reading.finished().await;
        }
        // What the reader routed in its last moments.
        self.forget(partition, &settling);
        // Drivers wait for the deletes of their messages.
        self.context.sessions.drained(partition).await;
        // What was routed again while the last sessions ended.
        self.forget(partition, &settling);
        settling.finished().await;
        tracing::info!(%partition, "drained a partition");
    }

    fn lost(&self, partition: PartitionId) {
        self.drop_partition(partition);
        tracing::info!(%partition, "a partition is no longer ours");
    }
}
