//! Opening the storage that settings choose.

use durabletask_storage::{Account, Env};

use super::connection::StoreChoice;
use super::error::HubError;
use super::settings::HubSettings;

/// Opens the storage that the settings choose. Makes no request to a service; the embedded store's
/// file and folder are made if missing.
pub fn open_account(settings: &HubSettings, _env: &Env) -> Result<Account, HubError> {
    // ---- The one place where backends are plugged in. ----
    // With a tracking store, tables and blobs are the tracking account's and only queues the main
    // one's (§1.2).
    match &settings.store {
        StoreChoice::Embedded { .. } | StoreChoice::Memory => Err(HubError::Unavailable(
            "the embedded store is not built in yet".to_owned(),
        )),
        StoreChoice::Azure { .. } => Err(HubError::Unavailable(
            "Azure Storage is not built in yet".to_owned(),
        )),
    }
}
