//! Making and removing a hub (chapter 01 §1.4 to §1.7).

use durabletask_storage::{Account, Env};

use super::error::HubError;
use super::settings::HubSettings;

/// Opens the storage that the settings choose. Makes no request.
pub fn open_account(_settings: &HubSettings, _env: &Env) -> Result<Account, HubError> {
    // PLACE FOR BACKENDS: the embedded store and Azure are plugged in here.
    Err(HubError::Unavailable("no storage backend yet".to_owned()))
}

/// Makes what is missing of the hub.
pub async fn create_hub(
    _account: &Account,
    _settings: &HubSettings,
    _env: &Env,
) -> Result<(), HubError> {
    Ok(())
}

/// Removes the hub with all it holds.
pub async fn delete_hub(_account: &Account, _settings: &HubSettings) -> Result<(), HubError> {
    Ok(())
}
