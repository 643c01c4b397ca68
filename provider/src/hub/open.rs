//! Opening the storage that settings choose.

use durabletask_storage::azure::{AzureAccount, AzureOptions};
use durabletask_storage::embedded::EmbeddedStore;
use durabletask_storage::{Account, Env};

use super::connection::StoreChoice;
use super::error::HubError;
use super::settings::HubSettings;

/// Opens the storage that the settings choose. Asks no service; the embedded store's file and
/// folder are made if missing. Every call on [`StoreChoice::Memory`] makes an account of its own.
pub fn open_account(settings: &HubSettings, env: &Env) -> Result<Account, HubError> {
    let options = AzureOptions {
        max_concurrency: settings.max_storage_operation_concurrency as usize,
        ..AzureOptions::default()
    };
    let connect = |connection| AzureAccount::connect(connection, options.clone(), env.clone());
    let account = match &settings.store {
        StoreChoice::Memory => EmbeddedStore::in_memory(env.clone())?.account(),
        StoreChoice::Embedded { path } => {
            let file = path.clone().unwrap_or_else(|| settings.default_file());
            EmbeddedStore::open(file, env.clone())?.account()
        }
        StoreChoice::Azure {
            main,
            tracking: None,
        } => connect(main)?,
        StoreChoice::Azure {
            main,
            tracking: Some(tracking),
        } => {
            // Tables and blobs are the tracking account's, only queues the main one's (§1.2).
            let tracking = connect(tracking)?;
            Account {
                queues: connect(main)?.queues,
                ..tracking
            }
        }
    };
    Ok(account)
}

/// The main account of a hub whose tables are in another one; `None` if they are in the main one.
/// Asks no service.
pub(super) fn main_account(settings: &HubSettings, env: &Env) -> Result<Option<Account>, HubError> {
    match &settings.store {
        StoreChoice::Azure {
            main,
            tracking: Some(tracking),
        } if main.table_endpoint() != tracking.table_endpoint() => {
            let account = AzureAccount::connect(main, AzureOptions::default(), env.clone())?;
            Ok(Some(account))
        }
        _ => Ok(None),
    }
}
