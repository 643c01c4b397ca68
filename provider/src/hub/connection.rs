//! Where a hub lives: connection names and what they resolve to (chapter 01 §4.6, §4.7).

use std::path::PathBuf;

use durabletask_storage::azure::{Connection, IdentitySettings};

use super::error::SettingsError;
use super::settings::AppSettings;

/// The storage of a hub. `Debug` hides secrets.
#[derive(Debug, Clone)]
pub enum StoreChoice {
    /// The embedded store in a file; `None` means `./.durabletask/{hub}.db`.
    Embedded {
        /// The file.
        path: Option<PathBuf>,
    },
    /// The embedded store in the memory of this process, gone with it.
    Memory,
    /// Azure Storage, or the emulator.
    Azure {
        /// The main account.
        main: Box<Connection>,
        /// The account of tables and blobs, if that is another one (§1.2).
        tracking: Option<Box<Connection>>,
    },
}

/// What the connection name `name` stands for: the first section that exists among the four that
/// the Functions host looks at (§4.6, R4-09).
pub(super) fn resolve_connection(
    app_settings: &AppSettings,
    name: &str,
) -> Result<Box<Connection>, SettingsError> {
    let sections = [
        format!("ConnectionStrings:AzureWebJobs{name}"),
        format!("AzureWebJobs{name}"),
        format!("ConnectionStrings:{name}"),
        name.to_owned(),
    ];
    for section in &sections {
        let connection = if let Some(text) = app_settings.get(section) {
            Connection::parse(text)
        } else if app_settings.has_children(section) {
            let mut identity = IdentitySettings::default();
            for (setting, value) in app_settings.children(section) {
                identity.set(setting, value);
            }
            identity.connection()
        } else {
            continue;
        };
        return connection
            .map(Box::new)
            .map_err(|source| SettingsError::BadConnection {
                section: section.replace(':', "__"),
                source,
            });
    }
    Err(SettingsError::Connection(name.to_owned()))
}
