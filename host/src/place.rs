//! Which hub a command is about, and the way to it.

use std::path::Path;

use durabletask_azurestorage::TaskHub;
use durabletask_azurestorage::hub::{
    HubSettings, SettingsSources, StoreChoice, find_hub, open_account,
};
use durabletask_storage::{Account, Env};

use crate::cli;
use crate::failure::Failure;

/// Settings of the hub. A connection name that is configured and has no value is an error; the
/// embedded store is used only where none is configured, and then it is told.
pub(crate) fn settings(place: &cli::Place) -> Result<HubSettings, Failure> {
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
    Ok(settings)
}

/// The storage of a hub that has to exist. Makes nothing, not even the embedded store's file.
pub(crate) async fn existing(settings: &HubSettings, env: &Env) -> Result<Account, Failure> {
    let missing = || Failure::NoSuchHub(settings.hub_name.clone());
    let file = settings.embedded_file();
    let is_there = file.is_none_or(|file| file.exists());
    if !is_there || matches!(settings.store, StoreChoice::Memory) {
        return Err(missing());
    }
    let account = open_account(settings, env)?;
    if find_hub(&account, settings, env).await? {
        Ok(account)
    } else {
        Err(missing())
    }
}

/// A hub that has to exist.
pub(crate) async fn existing_hub(settings: HubSettings, env: &Env) -> Result<TaskHub, Failure> {
    let account = existing(&settings, env).await?;
    Ok(TaskHub::new(env.clone(), account, settings))
}
