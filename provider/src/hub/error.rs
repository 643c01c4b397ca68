//! What can be wrong with settings and hubs.

use std::path::PathBuf;

use durabletask_storage::StorageError;
use durabletask_storage::azure::ConnectionError;

/// A setting that cannot be used. Each message says what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SettingsError {
    /// A settings file exists but cannot be read.
    #[error("{file} cannot be read; make it readable or remove it", file = .file.display())]
    File {
        /// The file.
        file: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// A settings file is not a JSON object.
    #[error("{file} is not a JSON object: {problem}; correct the file")]
    Json {
        /// The file's name.
        file: String,
        /// Where and what.
        problem: String,
    },
    /// The file's values are encrypted.
    #[error("{file} is encrypted; run `func settings decrypt` and try again")]
    Encrypted {
        /// The file's name.
        file: String,
    },
    /// A value has the wrong type or is out of range.
    #[error("{key} is {value:?}; write {allowed}")]
    Value {
        /// The key, from the root of `host.json`.
        key: String,
        /// The value found.
        value: String,
        /// What is allowed.
        allowed: String,
    },
    /// The hub name breaks the rules of storage.
    #[error(
        "extensions.durableTask.hubName is {0:?}; write 3 to 49 letters (a to z) and digits, a letter first"
    )]
    HubName(String),
    /// A deployment slot without a hub of its own.
    #[error(
        "slot {0} has no task hub of its own; set extensions.durableTask.hubName to a name that no other slot uses"
    )]
    Slot(String),
    /// Both older and table partition management were asked for.
    #[error(
        "storageProvider.useTablePartitionManagement and .useLegacyPartitionManagement are both true; set one of them to false"
    )]
    TwoPartitionManagers,
    /// Another storage provider.
    #[error(
        "storageProvider.type is {0:?}; write \"AzureStorage\" or leave it out, other providers are not supported"
    )]
    Provider(String),
    /// A connection name without a value.
    #[error(
        "the storage connection {0:?} has no value; set AzureWebJobs{0} or {0} in the environment or under Values in local.settings.json"
    )]
    Connection(String),
    /// A connection that has a value which cannot be used.
    #[error("the storage connection {section} cannot be used: {source}")]
    BadConnection {
        /// The app setting.
        section: String,
        /// What is wrong; shows no secret.
        source: ConnectionError,
    },
}

/// A hub cannot be opened, made or removed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HubError {
    /// A setting is wrong.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// The hub has another number of partitions.
    #[error(
        "task hub {hub} has {found} partitions, but partitionCount is {configured}; set storageProvider.partitionCount to {found} for all workers and clients, or use another hub"
    )]
    PartitionCount {
        /// The hub.
        hub: String,
        /// Partitions it has.
        found: u32,
        /// Partitions the settings ask for.
        configured: u32,
    },
    /// Workers of provider 1.x share the partitions in the main account.
    #[error(
        "hub {hub} has a tracking store, and workers share its partitions in table {table} of the main account, as provider 1.x does; update or stop those workers, or two workers will own each partition"
    )]
    PartitionsInMainAccount {
        /// The hub.
        hub: String,
        /// The table.
        table: String,
    },
    /// Workers with another way of sharing partitions are at work.
    #[error(
        "workers with {found} partition management are active on task hub {hub}, this one is set to {configured}; use the same for all, or stop the others and wait 60 s"
    )]
    OtherManager {
        /// The hub.
        hub: String,
        /// What is active.
        found: &'static str,
        /// What the settings ask for.
        configured: &'static str,
    },
    /// `taskhub.json` is not readable.
    #[error(
        "{blob} is not what any worker writes; delete that blob, or say `durabletask doctor --repair`"
    )]
    TaskHubJson {
        /// Container and blob.
        blob: String,
        /// The cause.
        source: serde_json::Error,
    },
    /// Storage failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
}
