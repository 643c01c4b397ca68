//! A task hub: its settings, where it lives, making and removing it (chapter 01 §1, §4).

mod connection;
mod creation;
mod error;
mod settings;

pub use connection::{Connection, IdentityConnection, Secret, StoreChoice};
pub use creation::{create_hub, delete_hub, open_account};
pub use error::{HubError, SettingsError};
pub use settings::{
    ErrorMode, HubSettings, MessageEncoding, OverridableStates, PartitionManagement, Unregistered,
    VersionFailure, VersionMatch,
};
