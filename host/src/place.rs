//! Which hub a command is about, and the way to it.

use std::path::Path;

use durabletask_azurestorage::TaskHub;
use durabletask_azurestorage::hub::{
    HubSettings, SettingsSources, StoreChoice, find_hub, hub_records, open_account,
};
use durabletask_storage::{Account, Env};

use crate::cli;
use crate::failure::Failure;

/// Keys that say how many partitions a hub has, and how its workers share them.
const COUNT_KEY: &str = "storageProvider.partitionCount";
const MANAGER_KEYS: [&str; 2] = [
    "storageProvider.useTablePartitionManagement",
    "storageProvider.useLegacyPartitionManagement",
];

/// The hub that the command line, files and environment name.
#[derive(Clone)]
pub(crate) struct Place {
    settings: HubSettings,
    /// Whether they say how many partitions it has, …
    says_count: bool,
    /// … and how they are shared. What they do not say, the hub does.
    says_manager: bool,
}

impl Place {
    /// Reads the settings. A connection name that is configured and has no value is an error; the
    /// embedded store is used only where none is configured, and then it is told.
    pub(crate) fn read(place: &cli::Place) -> Result<Self, Failure> {
        let mut sources = SettingsSources::from_folder(Path::new("."))?;
        if let Some(name) = &place.task_hub {
            sources = sources.with_override("hubName", name);
        }
        if let Some(name) = &place.connection {
            sources = sources.with_override("storageProvider.connectionName", name);
        }
        let (settings, warnings) = sources.read()?;
        for warning in warnings {
            eprintln!("warning: {warning}");
        }
        if let Some(file) = settings.embedded_file() {
            let name = &settings.hub_name;
            eprintln!("Task hub {name} in the embedded store {}.", file.display());
        }
        let [table, legacy] = MANAGER_KEYS;
        Ok(Self {
            says_count: sources.sets(COUNT_KEY)?,
            says_manager: sources.sets(table)? || sources.sets(legacy)?,
            settings,
        })
    }

    /// The storage, and the settings as far as they are said, the rest as the hub has it.
    pub(crate) async fn open(self, env: &Env) -> Result<(Account, HubSettings), Failure> {
        let account = self.account(env)?;
        let mut settings = self.settings;
        if self.says_count && self.says_manager {
            return Ok((account, settings));
        }
        let records = hub_records(&account, &settings).await?;
        if let Some(management) = records.partition_management.filter(|_| !self.says_manager) {
            settings.partition_management = management;
        }
        if let Some(count) = records.partition_count.filter(|_| !self.says_count) {
            settings.partition_count = count;
        }
        Ok((account, settings))
    }

    /// The storage, unseen.
    pub(crate) fn account(&self, env: &Env) -> Result<Account, Failure> {
        Ok(open_account(&self.settings, env)?)
    }

    /// Storage and settings of a hub that has to exist. Makes nothing, not even the embedded store's file.
    pub(crate) async fn existing(self, env: &Env) -> Result<(Account, HubSettings), Failure> {
        let name = self.settings.hub_name.clone();
        let file = self.settings.embedded_file();
        let is_there = file.is_none_or(|file| file.exists());
        if !is_there || matches!(self.settings.store, StoreChoice::Memory) {
            return Err(Failure::NoSuchHub(name));
        }
        let (account, settings) = self.open(env).await?;
        if find_hub(&account, &settings, env).await? {
            Ok((account, settings))
        } else {
            Err(Failure::NoSuchHub(name))
        }
    }

    /// A hub that has to exist.
    pub(crate) async fn existing_hub(self, env: &Env) -> Result<TaskHub, Failure> {
        let (account, settings) = self.existing(env).await?;
        Ok(TaskHub::new(env.clone(), account, settings))
    }
}
