//! Several workers on one hub in virtual time, over storage that is slow and may fail.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use durabletask_azurestorage::hub::{
    HubSettings, PartitionManagement, StoreChoice, create_hub, open_account,
};
use durabletask_azurestorage::partition::{
    Ownership, PartitionHost, PartitionId, PartitionManager, partition_manager,
};
use durabletask_storage::wrappers::Network;
use durabletask_storage::{Account, Env, Query, Row, Scope, VirtualEnv};

use crate::machine::Machine;

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

    fn is_reading(&self, partition: PartitionId) -> bool {
        self.reading.lock().unwrap().contains(&partition.index())
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

/// One worker on a machine of its own.
pub(crate) struct Worker {
    pub(crate) host: Arc<Host>,
    pub(crate) manager: Arc<dyn PartitionManager>,
    pub(crate) ownership: Ownership,
    pub(crate) network: Arc<Network>,
    pub(crate) machine: Arc<Machine>,
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
    pub(crate) account: Account,
    views: Views,
}

/// Every worker's view of what it owns, for the invariant.
#[derive(Debug, Clone, Default)]
struct Views {
    by_name: Arc<Mutex<BTreeMap<String, Ownership>>>,
    /// With the legacy manager a theft takes effect before its victim knows (R5-34).
    may_overlap: bool,
}

impl Views {
    fn check(&self) {
        let mut owners = BTreeMap::new();
        for (name, view) in self.by_name.lock().unwrap().iter() {
            for partition in view.owned() {
                let other = owners.insert(partition, name.clone());
                if let Some(other) = other.filter(|_| !self.may_overlap) {
                    panic!("{partition} has two owners: {other} and {name}");
                }
            }
        }
    }
}

impl World {
    /// A worker on this hub, not started; its drains take `drain_time`.
    pub(crate) fn worker(&self, name: &str, drain_time: Duration) -> Worker {
        self.worker_on(
            Machine::new(&self.env, 0.0),
            name,
            drain_time,
            &self.settings,
        )
    }

    /// The same on that machine and with these settings.
    pub(crate) fn worker_on(
        &self,
        machine: Arc<Machine>,
        name: &str,
        drain_time: Duration,
        settings: &HubSettings,
    ) -> Worker {
        let env = machine.env();
        let (account, network) = Network::wrap(self.account.clone(), env.clone());
        let manager = partition_manager(&account, settings, name, &env);
        let ownership = manager.ownership();
        // A worker of the same name takes the place of one that crashed.
        let mut views = self.views.by_name.lock().unwrap();
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
            network,
            scope: env.scope(),
            machine,
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

/// Runs a test on a new hub of the table manager with that many partitions.
pub(crate) fn on_hub<F: Future<Output = ()>>(
    seed: u64,
    partitions: u32,
    test: impl FnOnce(World) -> F,
) {
    on_hub_of(PartitionManagement::Table, seed, partitions, test);
}

/// The same with another manager.
pub(crate) fn on_hub_of<F: Future<Output = ()>>(
    management: PartitionManagement,
    seed: u64,
    partitions: u32,
    test: impl FnOnce(World) -> F,
) {
    let time = VirtualEnv::new(seed);
    let env = time.env();
    let mut settings = HubSettings::new("PairHub", 1)
        .with_store(StoreChoice::Memory)
        .with_partition_count(partitions);
    settings.partition_management = management;
    settings.use_app_lease = false;
    let outcome = time.block_on(async {
        let account = open_account(&settings, &env).unwrap();
        create_hub(&account, &settings, &env).await.unwrap();
        let world = World {
            env: env.clone(),
            settings,
            account,
            views: Views {
                may_overlap: management == PartitionManagement::Legacy,
                ..Views::default()
            },
        };
        test(world).await;
    });
    outcome.unwrap_or_else(|stalled| panic!("{management:?}, seed {seed}: {stalled}"));
    assert_eq!(time.panics().texts, Vec::<String>::new(), "seed {seed}");
}

/// Most minus fewest partitions, and their sum.
pub(crate) fn spread(workers: &[&Worker]) -> (usize, usize) {
    let counts = workers.iter().map(|worker| worker.reading().len());
    let (most, fewest) = (counts.clone().max().unwrap(), counts.clone().min().unwrap());
    (most - fewest, counts.sum())
}
