//! A hub, and worker processes on it.

use std::collections::BTreeMap;
use std::process::Stdio;
use std::time::Duration;

use azurite_tests::{azurite, is_even, owners, unique_hub};
use durabletask_azurestorage::hub::{HubSettings, PartitionManagement, StoreChoice};
use durabletask_azurestorage::{HubClient, InstanceQuery, StartOptions, TaskHub};
use durabletask_core::OrchestrationStatus::{self, Pending, Running};
use durabletask_storage::Env;
use durabletask_storage::azure::Connection;
use futures::TryStreamExt;
use futures::future::join_all;
use tokio::process::{Child, Command};

pub(crate) const PARTITIONS: u32 = 4;

const MANAGERS: [PartitionManagement; 3] = [
    PartitionManagement::Table,
    PartitionManagement::Safe,
    PartitionManagement::Legacy,
];

/// Runs a test under the three managers at the same time: most of it is waiting.
pub(crate) async fn under_each_manager<F: Future<Output = ()>>(
    test: impl Fn(PartitionManagement) -> F,
) {
    join_all(MANAGERS.map(test)).await;
}

/// How patient the workers are, in seconds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Patience {
    /// Leases of partitions; renewed, and others looked at, at a third.
    pub(crate) lease: u64,
    /// Visibility timeout of both queues.
    pub(crate) visibility: u64,
    /// `maxQueuePollingInterval`.
    pub(crate) polling: u64,
}

pub(crate) struct Fleet {
    pub(crate) env: Env,
    pub(crate) client: HubClient,
    connection: String,
    patience: Patience,
}

impl Fleet {
    pub(crate) async fn new(stem: &str, manager: PartitionManagement, patience: Patience) -> Self {
        let connection = azurite::connection().await;
        let store = StoreChoice::Azure {
            main: Connection::parse(&connection).unwrap().into(),
            tracking: None,
        };
        let name = unique_hub(&format!("{stem}{}", manager.name()));
        let mut settings = HubSettings::new(name, 1)
            .with_store(store)
            .with_partition_count(PARTITIONS);
        settings.partition_management = manager;
        let env = Env::system();
        let hub = TaskHub::open(settings, &env).await.unwrap();
        Self {
            env,
            client: HubClient::new(hub),
            connection,
            patience,
        }
    }

    /// A worker of the soak, whose clock is fast by that much. It stops when its standard input
    /// closes.
    pub(crate) fn worker(&self, name: &str, clock_off_seconds: i64) -> Child {
        let Patience {
            lease,
            visibility,
            polling,
        } = self.patience;
        let manager = self.client.hub().settings().partition_management;
        let mut command = self.command(name, manager);
        for (flag, seconds) in [
            ("--lease", lease.cast_signed()),
            ("--visibility", visibility.cast_signed()),
            ("--polling", polling.cast_signed()),
            ("--clock-off", clock_off_seconds),
        ] {
            command.args([flag, &seconds.to_string()]);
        }
        command.spawn().unwrap()
    }

    /// A worker as it comes, not started.
    fn command(&self, name: &str, manager: PartitionManagement) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_soak"));
        command
            .args(["worker", "--task-hub", self.client.hub().name()])
            .args(["--worker-id", name, "--manager", manager.name()]);
        command
            .env(azurite::CONNECTION_VARIABLE, &self.connection)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .kill_on_drop(true);
        command
    }

    /// Asserts that workers with another manager do not start while there are some with this one.
    pub(crate) async fn refuses_other_managers(&self) {
        let active = self.client.hub().settings().partition_management;
        for other in MANAGERS.into_iter().filter(|other| *other != active) {
            let mut stranger = self.command("stranger", other);
            let ended = stranger.stderr(Stdio::piped()).output().await.unwrap();
            assert_eq!(ended.status.code(), Some(1), "{other:?}: {ended:?}");
            let words = String::from_utf8(ended.stderr).unwrap();
            let expected = format!(
                "workers with {} partition management are active",
                active.name()
            );
            assert!(words.contains(&expected), "{other:?}: {words}");
        }
    }

    /// Partitions by owner.
    pub(crate) async fn owners(&self) -> BTreeMap<String, usize> {
        owners(self.client.hub()).await.unwrap()
    }

    /// `Some` if these workers, and nobody else, share the partitions evenly.
    pub(crate) async fn is_shared_by(&self, workers: &[&str]) -> Option<()> {
        let owners = self.owners().await;
        let only_these = owners.keys().all(|owner| workers.contains(&owner.as_str()));
        (only_these && is_even(&owners, workers.len(), PARTITIONS as usize)).then_some(())
    }

    /// Starts that many instances, half of them chains, half fan-outs, and returns the outputs
    /// that they must have.
    pub(crate) async fn start(&self, instances: usize) -> BTreeMap<String, String> {
        let mut expected = BTreeMap::new();
        for number in 0..instances {
            let (kind, input, output) = [("Steps", "4", "4"), ("Squares", "8", "140")][number % 2];
            let id = format!("{kind}-{number}");
            let options = StartOptions {
                instance_id: Some(id.clone()),
                ..StartOptions::default()
            };
            let input = Some(input.to_owned());
            self.client.start(kind, input, options).await.unwrap();
            expected.insert(id, output.to_owned());
        }
        expected
    }

    /// Ids of the instances with one of these statuses.
    pub(crate) async fn with(&self, statuses: &[OrchestrationStatus]) -> Vec<String> {
        let query = InstanceQuery {
            statuses: statuses.to_vec(),
            ..InstanceQuery::default()
        };
        let found: Vec<_> = self.client.list(&query).try_collect().await.unwrap();
        found.into_iter().map(|i| i.status.instance_id).collect()
    }

    /// Ids of the instances that have not ended.
    pub(crate) async fn open(&self) -> Vec<String> {
        self.with(&[Pending, Running]).await
    }

    /// Runs `test` and returns how long that took.
    pub(crate) async fn time<F: Future<Output = ()>>(&self, test: F) -> Duration {
        let began = self.env.monotonic();
        test.await;
        self.env.monotonic().saturating_sub(began)
    }
}

/// Sends a process a signal: STOP or CONT.
pub(crate) async fn signal(process: &Child, signal: &str) {
    let id = process.id().unwrap().to_string();
    let arguments = ["-s", signal, &id];
    let sent = Command::new("kill").args(arguments).status().await.unwrap();
    assert!(sent.success(), "{arguments:?}");
}

/// Lets a worker stop cleanly.
pub(crate) async fn stop(mut worker: Child) {
    drop(worker.stdin.take());
    assert!(worker.wait().await.unwrap().success());
}
