//! From settings to an open task hub.

use std::path::Path;

use durabletask_azurestorage::TaskHub;
use durabletask_azurestorage::hub::{
    HubError, HubSettings, SettingsError, SettingsSources, create_hub, open_account,
};
use durabletask_storage::Env;

/// A task hub cannot be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The settings are wrong.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// Storage cannot be opened, or the settings contradict the hub.
    #[error(transparent)]
    Hub(#[from] HubError),
}

/// Opens the task hub that `host.json`, `local.settings.json` and the environment name, in the
/// current folder, as a Functions host would read them; creates what is missing. Without a
/// connection name that is a hub in a local file.
pub async fn connect() -> Result<TaskHub, ConnectError> {
    let (settings, warnings) = SettingsSources::from_folder(Path::new("."))?.read()?;
    for warning in warnings {
        tracing::warn!("{warning}");
    }
    connect_with(settings, Env::system()).await
}

/// Opens the task hub that the settings name; creates what is missing.
pub async fn connect_with(settings: HubSettings, env: Env) -> Result<TaskHub, ConnectError> {
    if let Some(file) = settings.embedded_file() {
        tracing::info!(
            hub = settings.hub_name,
            file = %file.display(),
            "no connection is configured: the task hub is a local file"
        );
    }
    let account = open_account(&settings, &env)?;
    create_hub(&account, &settings, &env).await?;
    Ok(TaskHub::new(env, account, settings))
}
