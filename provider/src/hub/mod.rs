//! A task hub: its settings, where it lives, making and removing it (chapter 01 §1, §4).

mod check;
mod connection;
mod creation;
mod deletion;
mod error;
mod open;
mod overview;
mod records;
mod settings;
mod task_hub_json;

pub use connection::StoreChoice;
pub use creation::create_hub;
pub use deletion::delete_hub;
pub use error::{HubError, SettingsError};
pub use open::open_account;
pub use overview::{
    HubOverview, LeaseKind, LeaseOverview, PartitionOverview, RecordState, find_hub, hub_overview,
};
pub use records::{HubRecords, hub_records};
#[doc(hidden)]
pub use settings::Protections;
pub use settings::{
    ErrorMode, HubSettings, MessageEncoding, OverridableStates, PartitionManagement,
    PoisonedInstance, RetentionSettings, SettingsSources, SettingsWarning, SweeperSettings,
    Unregistered, VersionFailure, VersionMatch,
};
pub use task_hub_json::TaskHubInfo;
