//! Several workers on one hub in virtual time, over storage that is slow and may fail.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use durabletask_azurestorage::hub::{HubSettings, StoreChoice, create_hub, open_account};
use durabletask_azurestorage::partition::{
    Ownership, PartitionHost, PartitionId, PartitionManager, TablePartitionManager,
};
use durabletask_storage::{
    Account, ETag, Env, ErrorKind, Page, Query, Result, Row, RowKeys, Scope, StorageError, Tables,
    VirtualEnv, Write,
};

/// What can go wrong between one worker and storage.
#[derive(Debug, Default)]
pub(crate) struct Trouble {
    /// Calls of 1000 that fail before they reach storage, and as many whose answer is lost.
    pub(crate) per_mille: AtomicU32,
    /// Nothing gets through.
    pub(crate) cut: AtomicBool,
}

/// Tables at the other end of a network.
#[derive(Debug)]
struct Far {
    inner: Arc<dyn Tables>,
    env: Env,
    trouble: Arc<Trouble>,
}

impl Far {
    /// A way of 1 to 20 ms, which fails as often as the trouble says.
    async fn way(&self, operation: &'static str, lost: ErrorKind) -> Result<()> {
        let millis = 1 + self.env.random_u64() % 20;
        self.env.sleep(Duration::from_millis(millis)).await;
        let draw = u32::try_from(self.env.random_u64() % 1000).unwrap();
        let fails = draw < self.trouble.per_mille.load(Ordering::Relaxed);
        if fails || self.trouble.cut.load(Ordering::Relaxed) {
            return Err(StorageError::new(lost, operation, "table"));
        }
        Ok(())
    }

    async fn call<T>(
        &self,
        operation: &'static str,
        call: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        self.way(operation, ErrorKind::Unreachable).await?;
        let answer = call.await;
        self.way(operation, ErrorKind::UnknownOutcome).await?;
        answer
    }
}

#[async_trait]
impl Tables for Far {
    async fn create_table(&self, table: &str) -> Result<bool> {
        self.call("create_table", self.inner.create_table(table))
            .await
    }

    async fn delete_table(&self, table: &str) -> Result<bool> {
        self.call("delete_table", self.inner.delete_table(table))
            .await
    }

    async fn list_tables(&self, prefix: &str) -> Result<Vec<String>> {
        self.call("list_tables", self.inner.list_tables(prefix))
            .await
    }

    async fn get_row(&self, table: &str, keys: RowKeys<'_>) -> Result<Option<Row>> {
        self.call("get_row", self.inner.get_row(table, keys)).await
    }

    async fn query(&self, table: &str, query: &Query) -> Result<Page> {
        self.call("query", self.inner.query(table, query)).await
    }

    async fn write(&self, table: &str, write: Write) -> Result<Option<ETag>> {
        self.call("write", self.inner.write(table, write)).await
    }

    async fn transact(&self, table: &str, writes: Vec<Write>) -> Result<Vec<Option<ETag>>> {
        self.call("transact", self.inner.transact(table, writes))
            .await
    }
}

/// What a worker does with its partitions.
#[derive(Debug)]
pub(crate) struct Host {
    env: Env,
    drain_time: Duration,
    views: Views,
    /// Partitions whose queues are read.
    pub(crate) reading: Mutex<BTreeSet<u32>>,
    /// What happened, with virtual seconds.
    pub(crate) events: Mutex<Vec<(f64, String)>>,
}

impl Host {
    fn note(&self, event: &str, partition: PartitionId) {
        let seconds = self.env.monotonic().as_secs_f64();
        let text = format!("{event} {partition}");
        self.events.lock().unwrap().push((seconds, text));
    }
}

#[async_trait]
impl PartitionHost for Host {
    fn acquired(&self, partition: PartitionId) {
        self.note("acquired", partition);
        // The one moment at which a partition may come to have two owners.
        self.views.check();
        let new = self.reading.lock().unwrap().insert(partition.index());
        assert!(new, "{partition} was being read already");
    }

    async fn drain(&self, partition: PartitionId) {
        self.note("drain", partition);
        self.reading.lock().unwrap().remove(&partition.index());
        self.env.sleep(self.drain_time).await;
        self.note("drained", partition);
    }

    fn lost(&self, partition: PartitionId) {
        self.note("lost", partition);
        self.reading.lock().unwrap().remove(&partition.index());
    }
}

/// One worker.
pub(crate) struct Worker {
    pub(crate) host: Arc<Host>,
    pub(crate) manager: TablePartitionManager,
    pub(crate) ownership: Ownership,
    pub(crate) trouble: Arc<Trouble>,
    scope: Scope,
}

impl Worker {
    /// Indexes of the partitions whose queues it reads.
    pub(crate) fn reading(&self) -> BTreeSet<u32> {
        self.host.reading.lock().unwrap().clone()
    }

    /// Starts, or starts again.
    pub(crate) fn start(&self) {
        self.manager.start(&self.scope, self.host.clone());
    }

    /// Dies without a word.
    pub(crate) fn crash(&self) {
        self.scope.abort();
    }

    /// When an event happened for the first time, in virtual seconds.
    pub(crate) fn time_of(&self, event: &str) -> Option<f64> {
        let events = self.host.events.lock().unwrap();
        let found = events.iter().find(|(_, text)| text == event);
        found.map(|(seconds, _)| *seconds)
    }
}

/// A hub and its storage.
pub(crate) struct World {
    pub(crate) env: Env,
    pub(crate) settings: HubSettings,
    account: Account,
    views: Views,
}

/// Every worker's view of what it owns, for the invariant.
#[derive(Debug, Clone, Default)]
struct Views(Arc<Mutex<BTreeMap<String, Ownership>>>);

impl Views {
    fn check(&self) {
        let mut owners = BTreeMap::new();
        for (name, view) in self.0.lock().unwrap().iter() {
            for partition in view.owned() {
                if let Some(other) = owners.insert(partition, name.clone()) {
                    panic!("{partition} has two owners: {other} and {name}");
                }
            }
        }
    }
}

impl World {
    /// A worker on this hub, not started; its drains take `drain_time`.
    pub(crate) fn worker(&self, name: &str, drain_time: Duration) -> Worker {
        let trouble = Arc::new(Trouble::default());
        let account = Account {
            tables: Arc::new(Far {
                inner: self.account.tables.clone(),
                env: self.env.clone(),
                trouble: trouble.clone(),
            }),
            ..self.account.clone()
        };
        let manager = TablePartitionManager::new(&account, &self.settings, name, &self.env);
        let ownership = manager.ownership();
        // A worker of the same name takes the place of one that crashed.
        let mut views = self.views.0.lock().unwrap();
        views.insert(name.to_owned(), ownership.clone());
        drop(views);
        let host = Host {
            env: self.env.clone(),
            drain_time,
            views: self.views.clone(),
            reading: Mutex::default(),
            events: Mutex::default(),
        };
        Worker {
            host: Arc::new(host),
            manager,
            ownership,
            trouble,
            scope: self.env.scope(),
        }
    }

    /// A worker that drains in no time, started.
    pub(crate) fn started(&self, name: &str) -> Worker {
        let worker = self.worker(name, Duration::ZERO);
        worker.start();
        worker
    }

    /// Lets time pass and checks every 200 ms that no partition has two owners.
    pub(crate) async fn pass(&self, seconds: f64) {
        let end = self.env.monotonic() + Duration::from_secs_f64(seconds);
        while self.env.monotonic() < end {
            let left = end.saturating_sub(self.env.monotonic());
            self.env.sleep(left.min(Duration::from_millis(200))).await;
            self.views.check();
        }
    }

    /// The rows of the partition table.
    pub(crate) async fn rows(&self) -> Vec<Row> {
        let table = self.settings.names().partitions_table();
        let page = self.account.tables.query(&table, &Query::default()).await;
        page.unwrap().rows
    }
}

/// Runs a test on a new hub with that many partitions.
pub(crate) fn on_hub<F: Future<Output = ()>>(
    seed: u64,
    partitions: u32,
    test: impl FnOnce(World) -> F,
) {
    let time = VirtualEnv::new(seed);
    let env = time.env();
    let settings = HubSettings::new("PairHub", 1)
        .with_store(StoreChoice::Memory)
        .with_partition_count(partitions);
    let outcome = time.block_on(async {
        let account = open_account(&settings, &env).unwrap();
        create_hub(&account, &settings, &env).await.unwrap();
        let world = World {
            env: env.clone(),
            settings,
            account,
            views: Views::default(),
        };
        test(world).await;
    });
    outcome.unwrap_or_else(|stalled| panic!("seed {seed}: {stalled}"));
    assert_eq!(time.panics().texts, Vec::<String>::new(), "seed {seed}");
}

/// Most minus fewest partitions, and their sum.
pub(crate) fn spread(workers: &[&Worker]) -> (usize, usize) {
    let counts = workers.iter().map(|worker| worker.reading().len());
    let (most, fewest) = (counts.clone().max().unwrap(), counts.clone().min().unwrap());
    (most - fewest, counts.sum())
}
