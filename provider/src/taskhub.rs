//! An open task hub: accounts, names, settings, and what its users in this process share.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use durabletask_core::Timestamp;
use durabletask_core::episode::Stamps;
use durabletask_storage::{Account, Env};
use tokio::sync::Notify;

use crate::dispatch::WorkerContext;
use crate::error::TaskHubError;
use crate::hub::{HubError, HubSettings, create_hub, open_account};
use crate::queue::signal::Signal;
use crate::wire::large::LargeStore;
use crate::wire::names::{self, HubNames};

/// A task hub as this process sees it. Client and worker of one process should share it: then a
/// message put by one wakes the other's reader, and nobody waits for a poll (chapter 02 §6.2).
#[derive(Clone)]
pub struct TaskHub(Arc<Inner>);

struct Inner {
    env: Env,
    account: Account,
    names: HubNames,
    settings: HubSettings,
    tables: TableNames,
    large: LargeStore,
    /// Number of the last message that this process sent (chapter 02 §1.4).
    sequence: AtomicI64,
    /// The last stamp given out, in ticks.
    last_stamp: AtomicI64,
    signals: Mutex<BTreeMap<String, Arc<Signal>>>,
    /// Who waits in this process for an instance to end.
    waiting: Mutex<HashMap<String, Weak<Notify>>>,
    /// Workers of this process, which may have sessions in memory.
    workers: Mutex<Vec<Weak<WorkerContext>>>,
}

/// Table and container names, formatted once.
#[derive(Debug)]
pub(crate) struct TableNames {
    pub(crate) history: String,
    pub(crate) instances: String,
    pub(crate) large_messages: String,
    pub(crate) work_items: Arc<str>,
}

impl TaskHub {
    /// A handle on the hub that `settings` name. Creates nothing in storage. With a tracking store,
    /// `account` has its tables and blobs, as [`open_account`](crate::hub::open_account) makes it.
    pub fn new(env: Env, account: Account, settings: HubSettings) -> Self {
        let names = settings.names();
        let tables = TableNames {
            history: names.history_table(),
            instances: names.instances_table(),
            large_messages: names.large_message_container(),
            work_items: names.work_item_queue().into(),
        };
        let large = LargeStore::new(account.blobs.container_url(&tables.large_messages));
        Self(Arc::new(Inner {
            env,
            account,
            names,
            settings,
            tables,
            large,
            sequence: AtomicI64::new(0),
            last_stamp: AtomicI64::new(0),
            signals: Mutex::default(),
            waiting: Mutex::default(),
            workers: Mutex::default(),
        }))
    }

    /// Opens the storage that the settings choose, makes the hub in it if it is missing, and checks
    /// that the settings agree with the hub that is there. Price of an existing hub of four
    /// partitions: see [`create_hub`].
    pub async fn open(settings: HubSettings, env: &Env) -> Result<Self, HubError> {
        let account = open_account(&settings, env)?;
        create_hub(&account, &settings, env).await?;
        Ok(Self::new(env.clone(), account, settings))
    }

    /// The hub's name as configured.
    pub fn name(&self) -> &str {
        &self.0.names.hub
    }

    /// The hub's settings.
    pub fn settings(&self) -> &HubSettings {
        &self.0.settings
    }

    /// Names of everything that makes up the hub.
    pub fn names(&self) -> &HubNames {
        &self.0.names
    }

    /// Clock, randomness, tasks.
    pub fn env(&self) -> &Env {
        &self.0.env
    }

    /// Its queues, tables and blobs.
    pub fn account(&self) -> &Account {
        &self.0.account
    }

    pub(crate) fn tables(&self) -> &TableNames {
        &self.0.tables
    }

    pub(crate) fn large(&self) -> &LargeStore {
        &self.0.large
    }

    /// The control queue of an instance.
    pub(crate) fn control_queue_of(&self, instance_id: &str) -> String {
        let partition = names::partition_of(instance_id, self.0.settings.partition_count);
        self.0.names.control_queue(partition)
    }

    /// Seconds for which a received control message is hidden.
    pub(crate) fn control_visibility_seconds(&self) -> u32 {
        whole_seconds(self.0.settings.control_queue_visibility_timeout)
    }

    /// Seconds for which a received activity message is hidden.
    pub(crate) fn work_item_visibility_seconds(&self) -> u32 {
        whole_seconds(self.0.settings.work_item_queue_visibility_timeout)
    }

    /// Numbers for `count` messages, the first one returned.
    pub(crate) fn next_sequence_numbers(&self, count: usize) -> i64 {
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        self.0.sequence.fetch_add(count, Ordering::Relaxed) + 1
    }

    /// The current time, later than any that this process was given before: each event has a
    /// tick of its own, by which a commit of unknown outcome is recognised (design.md §6).
    pub(crate) fn stamp(&self) -> Timestamp {
        let now = self.0.env.now().ticks();
        let last = self
            .0
            .last_stamp
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |last| {
                Some(now.max(last + 1))
            })
            .unwrap_or_else(|last| last);
        Timestamp::from_ticks(now.max(last + 1))
    }

    /// A fresh id of 32 hex digits.
    pub(crate) fn new_id(&self) -> String {
        self.0.env.new_uuid().simple().to_string()
    }

    /// The signal of a queue's reader in this process.
    pub(crate) fn signal(&self, queue: &str) -> Arc<Signal> {
        let mut signals = self
            .0
            .signals
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(signal) = signals.get(queue) {
            return signal.clone();
        }
        let signal = Arc::<Signal>::default();
        signals.insert(queue.to_owned(), signal.clone());
        signal
    }

    /// Wakes the reader of that queue, if it is in this process.
    pub(crate) fn wake(&self, queue: &str) {
        self.signal(queue).set();
    }

    /// Registers a worker of this process.
    pub(crate) fn add_worker(&self, worker: &Arc<WorkerContext>) {
        let mut workers = self
            .0
            .workers
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        workers.retain(|worker| worker.strong_count() > 0);
        workers.push(Arc::downgrade(worker));
    }

    /// Drops what the workers of this process have in memory of an instance whose rows changed
    /// behind them.
    pub(crate) fn forget_session(&self, instance_id: &str) {
        let workers = self
            .0
            .workers
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        for worker in workers.iter().filter_map(Weak::upgrade) {
            worker.sessions.forget(instance_id);
        }
    }

    /// The error for an instance without a row.
    pub(crate) fn no_such_instance(&self, instance_id: &str) -> TaskHubError {
        TaskHubError::NoSuchInstance {
            instance_id: instance_id.to_owned(),
            hub: self.name().to_owned(),
        }
    }

    /// Registers somebody who waits for that instance in this process.
    pub(crate) fn wait_for(&self, instance_id: &str) -> Arc<Notify> {
        let mut waiting = self
            .0
            .waiting
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(notify) = waiting.get(instance_id).and_then(Weak::upgrade) {
            return notify;
        }
        // Waiters that went away leave dead entries, swept out when they have doubled the list: a
        // sweep at each newcomer would cost many waiters dear.
        if waiting.len() == waiting.capacity() {
            waiting.retain(|_, notify| notify.strong_count() > 0);
            let living = waiting.len();
            waiting.reserve(living + 1);
        }
        let notify = Arc::new(Notify::new());
        waiting.insert(instance_id.to_owned(), Arc::downgrade(&notify));
        notify
    }

    /// Tells those who wait for that instance to look at its row.
    pub(crate) fn instance_changed(&self, instance_id: &str) {
        let waiting = self
            .0
            .waiting
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(notify) = waiting.get(instance_id).and_then(Weak::upgrade) {
            notify.notify_waiters();
        }
    }
}

fn whole_seconds(timeout: Duration) -> u32 {
    u32::try_from(timeout.as_secs()).unwrap_or(u32::MAX).max(1)
}

/// The stamps of one episode.
impl Stamps for TaskHub {
    fn now(&mut self) -> Timestamp {
        self.stamp()
    }
}

impl fmt::Debug for TaskHub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaskHub")
            .field("name", &self.0.names.hub)
            .finish_non_exhaustive()
    }
}
