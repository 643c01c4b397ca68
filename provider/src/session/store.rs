//! Which messages go to which session, and which sessions stay in memory.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::Loaded;
use crate::partition::PartitionId;
use crate::queue::inbound::Inbound;

/// Messages that are worked on together: one episode's input.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    /// The execution they are for; `None` while all of them take any.
    pub(crate) execution: Option<String>,
    /// In the order in which they were routed.
    pub(crate) messages: Vec<Inbound>,
}

impl Batch {
    fn has_start(&self) -> bool {
        self.messages.iter().any(Inbound::is_start)
    }

    /// Whether a message that starts nothing may join (chapter 02 §4.2 step 2).
    fn takes(&self, execution: Option<&str>) -> bool {
        match (execution, self.execution.as_deref()) {
            (None, _) | (_, None) => true,
            (Some(wanted), Some(own)) => wanted == own,
        }
    }

    fn add(&mut self, inbound: Inbound) {
        if self.execution.is_none() {
            self.execution = inbound.execution_id().map(str::to_owned);
        }
        self.messages.push(inbound);
    }
}

/// What a session works on next.
#[derive(Debug)]
pub(crate) struct Work {
    pub(crate) partition: PartitionId,
    pub(crate) batch: Batch,
    /// The session as it is in memory, if the batch may go on from there.
    pub(crate) loaded: Option<Box<Loaded>>,
}

/// One instance that has messages, is worked on, or is cached.
#[derive(Debug)]
struct Session {
    partition: PartitionId,
    /// It has a driver task, perhaps still waiting for a slot.
    is_busy: bool,
    /// Its driver works on a batch: the execution of that batch is the active one.
    is_working: bool,
    /// The partition was lost, or the instance changed behind us: forget what is loaded when the
    /// driver comes back.
    is_stale: bool,
    /// The execution that is loaded or worked on.
    execution: Option<String>,
    /// Messages for that execution: they go on from memory.
    joined: Vec<Inbound>,
    /// Messages that ask for a load of their own, in order.
    batches: VecDeque<Batch>,
    /// Present while idle and cached.
    loaded: Option<Box<Loaded>>,
    /// Bytes of what is loaded, here or in the driver, as they were last counted.
    bytes: usize,
    /// Position among idle sessions.
    idle: Option<u64>,
}

impl Session {
    fn new(partition: PartitionId) -> Self {
        Self {
            partition,
            is_busy: false,
            is_working: false,
            is_stale: false,
            execution: None,
            joined: Vec::new(),
            batches: VecDeque::new(),
            loaded: None,
            bytes: 0,
            idle: None,
        }
    }

    /// Chapter 02 §4.2.
    fn add(&mut self, inbound: Inbound) {
        if inbound.is_start() {
            self.batches.push_back(Batch::default());
        } else {
            let wanted = inbound.execution_id();
            // First, so that nothing overtakes a message that waits for the driver to begin.
            if let Some(batch) = self.batches.iter_mut().rev().find(|b| b.takes(wanted)) {
                batch.add(inbound);
                return;
            }
            let is_active = self.is_working || self.loaded.is_some();
            if is_active
                && !self.is_stale
                && (wanted.is_none() || wanted == self.execution.as_deref())
            {
                self.joined.push(inbound);
                return;
            }
            self.batches.push_back(Batch::default());
        }
        if let Some(batch) = self.batches.back_mut() {
            batch.add(inbound);
        }
    }

    fn has_messages(&self) -> bool {
        !self.joined.is_empty() || !self.batches.is_empty()
    }

    fn next_batch(&mut self) -> Option<Batch> {
        if self.joined.is_empty() {
            return self.batches.pop_front();
        }
        let mut batch = Batch::default();
        for inbound in self.joined.drain(..) {
            batch.add(inbound);
        }
        Some(batch)
    }

    /// Whether a batch may go on from what is in memory.
    fn may_resume(&self, batch: &Batch) -> bool {
        !batch.has_start() && (batch.execution.is_none() || batch.execution == self.execution)
    }
}

/// All sessions of a worker.
#[derive(Debug)]
pub(crate) struct SessionStore {
    inner: Mutex<Inner>,
    budget_bytes: usize,
    /// A session became idle or smaller, or was forgotten.
    changed: Notify,
}

#[derive(Debug, Default)]
struct Inner {
    sessions: HashMap<String, Session>,
    /// Idle sessions, least recently used first.
    idle: BTreeMap<u64, String>,
    idle_bytes: usize,
    /// What is loaded of the sessions that have a driver.
    busy_bytes: usize,
    busy_count: usize,
    clock: u64,
}

impl Inner {
    /// Makes an idle session a busy one, as far as memory goes.
    fn unpark(&mut self, instance_id: &str) {
        if let Some(session) = self.sessions.get_mut(instance_id)
            && let Some(position) = session.idle.take()
        {
            self.idle.remove(&position);
            self.idle_bytes = self.idle_bytes.saturating_sub(session.bytes);
            self.busy_bytes += session.bytes;
        }
    }

    /// Makes a busy session idle, or drops it if nothing of it is loaded.
    fn park(&mut self, instance_id: &str) {
        self.busy_count = self.busy_count.saturating_sub(1);
        self.clock += 1;
        let Some(session) = self.sessions.get_mut(instance_id) else {
            return;
        };
        session.is_busy = false;
        if session.loaded.is_none() {
            self.sessions.remove(instance_id);
            return;
        }
        session.idle = Some(self.clock);
        self.busy_bytes = self.busy_bytes.saturating_sub(session.bytes);
        self.idle_bytes += session.bytes;
        self.idle.insert(self.clock, instance_id.to_owned());
    }

    /// Counts anew what is loaded of a busy session.
    fn weigh(&mut self, instance_id: &str, bytes: usize) {
        if let Some(session) = self.sessions.get_mut(instance_id) {
            let before = std::mem::replace(&mut session.bytes, bytes);
            self.busy_bytes = (self.busy_bytes + bytes).saturating_sub(before);
        }
    }

    /// Forgets what is loaded of a session that is not idle any more, now or when its driver comes
    /// back with it.
    #[must_use = "dropping user code may take a while and must not hold the lock"]
    fn make_stale(&mut self, instance_id: &str) -> Option<Box<Loaded>> {
        let session = self.sessions.get_mut(instance_id)?;
        session.is_stale = true;
        let loaded = session.loaded.take();
        let is_busy = session.is_busy;
        if loaded.is_some() {
            self.weigh(instance_id, 0);
        }
        if !is_busy {
            self.sessions.remove(instance_id);
        }
        loaded
    }

    /// Forgets idle sessions, least recently used first, until the budget holds or all that is
    /// left is busy.
    #[must_use = "dropping user code may take a while and must not hold the lock"]
    fn evict(&mut self, budget_bytes: usize) -> Vec<Session> {
        let mut evicted = Vec::new();
        while self.idle_bytes.saturating_add(self.busy_bytes) > budget_bytes
            && let Some((_, instance_id)) = self.idle.pop_first()
        {
            if let Some(session) = self.sessions.remove(&instance_id) {
                self.idle_bytes = self.idle_bytes.saturating_sub(session.bytes);
                evicted.push(session);
            }
        }
        evicted
    }
}

impl SessionStore {
    /// Has `budget_bytes` for all that is loaded: idle sessions go as soon as busy ones need their
    /// place, and while busy ones alone take more there is no [`SessionStore::room`].
    pub(crate) fn new(budget_bytes: usize) -> Self {
        Self {
            inner: Mutex::default(),
            budget_bytes,
            changed: Notify::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a message; true if the caller must start a driver for its instance.
    pub(crate) fn route(&self, partition: PartitionId, inbound: Inbound) -> bool {
        let instance_id = inbound.message().target.instance_id.clone();
        let mut inner = self.lock();
        inner.unpark(&instance_id);
        let session = inner
            .sessions
            .entry(instance_id)
            .or_insert_with(|| Session::new(partition));
        session.partition = partition;
        session.add(inbound);
        if session.is_busy {
            return false;
        }
        session.is_busy = true;
        inner.busy_count += 1;
        true
    }

    /// The next batch of an instance whose driver is free.
    pub(crate) fn next(&self, instance_id: &str) -> Option<Work> {
        let mut inner = self.lock();
        let session = inner.sessions.get_mut(instance_id)?;
        let batch = session.next_batch()?;
        let loaded = session.loaded.take();
        let (resumed, dropped) = if session.may_resume(&batch) {
            (loaded, None)
        } else {
            (None, loaded)
        };
        // Until it is loaded, the session is known by what the batch asks for.
        session.execution = resumed
            .as_ref()
            .and_then(|loaded| loaded.state.execution_id().map(str::to_owned))
            .or_else(|| batch.execution.clone());
        session.is_stale = false;
        session.is_working = true;
        let work = Work {
            partition: session.partition,
            batch,
            loaded: resumed,
        };
        if dropped.is_some() {
            inner.weigh(instance_id, 0);
        }
        drop(inner);
        // Dropping user code may take a while and must not hold the lock.
        drop(dropped);
        Some(work)
    }

    /// Ends the work of an instance's driver, and keeps what is loaded in memory as the budget
    /// allows; false if messages have come meanwhile.
    pub(crate) fn park(&self, instance_id: &str) -> bool {
        let mut inner = self.lock();
        let session = inner.sessions.get(instance_id);
        if session.is_some_and(Session::has_messages) {
            return false;
        }
        inner.park(instance_id);
        let evicted = inner.evict(self.budget_bytes);
        drop(inner);
        self.changed.notify_waiters();
        drop(evicted);
        true
    }

    /// Names the execution that the driver has loaded, so that messages for it join, and counts
    /// its bytes; idle sessions make room for them.
    pub(crate) fn identify(&self, instance_id: &str, execution: Option<&str>, bytes: usize) {
        let mut inner = self.lock();
        if let Some(session) = inner.sessions.get_mut(instance_id) {
            session.execution = execution.map(str::to_owned);
        }
        inner.weigh(instance_id, bytes);
        let evicted = inner.evict(self.budget_bytes);
        drop(inner);
        drop(evicted);
    }

    /// Gives back what a driver worked on: `loaded` if the next batch may go on from it, and
    /// messages that want to be routed again (chapter 02 §4.11).
    pub(crate) fn release(
        &self,
        instance_id: &str,
        loaded: Option<Box<Loaded>>,
        deferred: Vec<Inbound>,
    ) {
        let mut dropped = None;
        let evicted = {
            let mut inner = self.lock();
            let Some(session) = inner.sessions.get_mut(instance_id) else {
                return;
            };
            let waiting = std::mem::take(&mut session.joined);
            if session.is_stale {
                dropped = loaded;
            } else {
                session.loaded = loaded;
            }
            session.execution = session
                .loaded
                .as_ref()
                .and_then(|loaded| loaded.state.execution_id().map(str::to_owned));
            // If nothing is loaded, what waits forms batches of its own.
            session.is_working = false;
            for inbound in deferred.into_iter().chain(waiting) {
                session.add(inbound);
            }
            let bytes = session.loaded.as_ref().map_or(0, |l| l.held_bytes());
            inner.weigh(instance_id, bytes);
            inner.evict(self.budget_bytes)
        };
        self.changed.notify_waiters();
        drop((dropped, evicted));
    }

    /// Drops all sessions of a partition that is given up or lost; busy ones when their driver
    /// comes back. Returns the messages that nobody worked on.
    pub(crate) fn forget_partition(&self, partition: PartitionId) -> Vec<Inbound> {
        let mut waiting = Vec::new();
        let mut dropped = Vec::new();
        let mut inner = self.lock();
        let ids: Vec<String> = inner
            .sessions
            .iter()
            .filter(|(_, session)| session.partition == partition)
            .map(|(id, _)| id.clone())
            .collect();
        for id in ids {
            inner.unpark(&id);
            let Some(session) = inner.sessions.get_mut(&id) else {
                continue;
            };
            waiting.append(&mut session.joined);
            waiting.extend(session.batches.drain(..).flat_map(|batch| batch.messages));
            dropped.push(inner.make_stale(&id));
        }
        drop(inner);
        self.changed.notify_waiters();
        drop(dropped);
        waiting
    }

    /// Drops what is loaded of one instance (purge, rewind, re-creation in this process).
    pub(crate) fn forget(&self, instance_id: &str) {
        let mut inner = self.lock();
        inner.unpark(instance_id);
        let dropped = inner.make_stale(instance_id);
        drop(inner);
        self.changed.notify_waiters();
        drop(dropped);
    }

    /// Waits until no driver works for that partition.
    pub(crate) async fn drained(&self, partition: PartitionId) {
        self.until(|inner| {
            let mut sessions = inner.sessions.values();
            !sessions.any(|session| session.is_busy && session.partition == partition)
        })
        .await;
    }

    /// Whether what is loaded of busy sessions is within the budget.
    pub(crate) fn has_room(&self) -> bool {
        self.lock().busy_bytes <= self.budget_bytes
    }

    /// Waits for room. It comes: a busy session needs no message that is not here yet.
    pub(crate) async fn room(&self) {
        self.until(|inner| inner.busy_bytes <= self.budget_bytes)
            .await;
    }

    async fn until(&self, holds: impl Fn(&Inner) -> bool) {
        loop {
            let mut changed = std::pin::pin!(self.changed.notified());
            changed.as_mut().enable();
            if holds(&self.lock()) {
                return;
            }
            changed.await;
        }
    }

    /// All sessions, and the bytes of those that are idle and of the others.
    pub(crate) fn sizes(&self) -> (usize, usize, usize) {
        let inner = self.lock();
        (inner.sessions.len(), inner.idle_bytes, inner.busy_bytes)
    }

    /// Sessions with work under way, and idle ones in memory.
    pub(crate) fn counts(&self) -> (usize, usize) {
        let inner = self.lock();
        (inner.busy_count, inner.idle.len())
    }
}

#[cfg(test)]
mod tests;
