//! A hub with a worker and a client in this process, its storage calls counted.

use std::path::PathBuf;
use std::sync::Arc;

use durabletask_azurestorage::hub::{
    HubSettings, SettingsSources, StoreChoice, create_hub, delete_hub, open_account,
};
use durabletask_storage::Env;
use durabletask_storage::wrappers::{Metered, Prices};
use durabletask_worker::{Client, RunningWorker, TaskHub, Worker};

use crate::{Error, workload};

/// Where a hub is measured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Store {
    /// The embedded store in memory.
    Memory,
    /// The embedded store in a file; `None` for a fresh one in the temporary folder.
    File(Option<PathBuf>),
    /// Azure Storage or Azurite: the environment variable that holds the connection string.
    Azure(String),
}

/// Settings that matter for speed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Control queues, 1 to 16.
    pub partitions: u32,
    /// Activities and episodes that may run at once, each.
    pub concurrency: u32,
}

/// An open hub with its worker. Close it with [`Stage::close`], else it stays in storage.
#[derive(Debug)]
pub struct Stage {
    env: Env,
    hub: TaskHub,
    worker: RunningWorker,
    metered: Arc<Metered>,
    temporary_folder: Option<PathBuf>,
}

impl Stage {
    /// Makes a hub of its own there and starts a worker on it.
    pub async fn open(store: &Store, limits: Limits) -> Result<Self, Error> {
        Self::open_with(store, limits, |_| ()).await
    }

    /// The same, with other settings changed too.
    pub async fn open_with(
        store: &Store,
        limits: Limits,
        change: impl FnOnce(&mut HubSettings),
    ) -> Result<Self, Error> {
        let env = Env::system();
        let name = format!("bench{:08x}", env.random_u64() & 0xffff_ffff);
        let mut settings = HubSettings::new(&name, 2).with_partition_count(limits.partitions);
        settings.max_concurrent_activities = limits.concurrency;
        settings.max_concurrent_orchestrators = limits.concurrency;
        let mut temporary_folder = None;
        settings.store = match store {
            Store::Memory => StoreChoice::Memory,
            Store::File(Some(path)) => StoreChoice::Embedded {
                path: Some(path.clone()),
            },
            Store::File(None) => {
                let folder = std::env::temp_dir().join(&name);
                let path = Some(folder.join("hub.db"));
                temporary_folder = Some(folder);
                StoreChoice::Embedded { path }
            }
            Store::Azure(connection) => azure(connection)?,
        };
        change(&mut settings);
        let account = open_account(&settings, &env)?;
        create_hub(&account, &settings, &env).await?;
        let (account, metered) = Metered::wrap(account);
        let hub = TaskHub::new(env.clone(), account, settings);
        let worker = Worker::builder()
            .orchestrator(workload::hello_sequence_5)
            .orchestrator(workload::fan_out)
            .orchestrator(workload::waiting)
            .activity(workload::hello)
            .activity(workload::square)
            .build()?
            .start(&hub);
        Ok(Self {
            env,
            hub,
            worker,
            metered,
            temporary_folder,
        })
    }

    /// A client of the hub.
    pub fn client(&self) -> Client {
        Client::new(&self.hub)
    }

    /// Clock and tasks.
    pub fn env(&self) -> &Env {
        &self.env
    }

    /// Storage calls so far.
    pub fn prices(&self) -> Prices {
        self.metered.snapshot()
    }

    /// Stops the worker and removes the hub.
    pub async fn close(self) -> Result<(), Error> {
        self.worker.stop().await?;
        delete_hub(self.hub.account(), self.hub.settings()).await?;
        drop(self.hub);
        if let Some(folder) = self.temporary_folder {
            std::fs::remove_dir_all(folder)?;
        }
        Ok(())
    }
}

/// The account whose connection string that environment variable holds.
fn azure(connection: &str) -> Result<StoreChoice, Error> {
    let value = std::env::var(connection).unwrap_or_default();
    let (settings, _) = SettingsSources::none()
        .with_variable(connection, value)
        .with_override("storageProvider.connectionName", connection)
        .read()?;
    Ok(settings.store)
}
