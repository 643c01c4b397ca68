//! Where a hub lives: connection names and what they resolve to (chapter 01 §4.6, §4.7).

use std::fmt;
use std::path::PathBuf;

use super::error::SettingsError;
use super::settings::AppSettings;

/// The storage of a hub.
#[derive(Debug, Clone, PartialEq, Eq)]
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
        main: Connection,
        /// The account of tables and blobs, if that is another one (§1.2).
        tracking: Option<Connection>,
    },
}

/// How to reach one storage account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Connection {
    /// A connection string, `UseDevelopmentStorage=true` included.
    String(Secret),
    /// An Entra identity.
    Identity(Box<IdentityConnection>),
}

/// An identity-based connection: the children of its section (§4.7).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct IdentityConnection {
    /// `accountName`: gives each service address not given below, in the public cloud.
    pub account_name: Option<String>,
    /// `blobServiceUri`
    pub blob_service_uri: Option<String>,
    /// `queueServiceUri`
    pub queue_service_uri: Option<String>,
    /// `tableServiceUri`
    pub table_service_uri: Option<String>,
    /// `credential`, lower-case: `managedidentity`, `workloadidentity`, …; none = automatic.
    pub credential: Option<String>,
    /// `clientId`, or `managedIdentityClientId`: user-assigned identity or application.
    pub client_id: Option<String>,
    /// `tenantId`
    pub tenant_id: Option<String>,
    /// `clientSecret`
    pub client_secret: Option<Secret>,
    /// `managedIdentityResourceId`
    pub managed_identity_resource_id: Option<String>,
    /// `managedIdentityObjectId`
    pub managed_identity_object_id: Option<String>,
    /// `tokenFilePath`
    pub token_file_path: Option<String>,
}

/// What the connection name `name` stands for: the first section that exists among the four that
/// the Functions host looks at (§4.6, R4-09).
pub(super) fn resolve_connection(
    app_settings: &AppSettings,
    name: &str,
) -> Result<Connection, SettingsError> {
    let sections = [
        format!("ConnectionStrings:AzureWebJobs{name}"),
        format!("AzureWebJobs{name}"),
        format!("ConnectionStrings:{name}"),
        name.to_owned(),
    ];
    for section in &sections {
        if let Some(text) = app_settings.get(section) {
            return Ok(Connection::String(Secret::new(text)));
        }
        if app_settings.has_children(section) {
            let identity = identity(app_settings, section)?;
            return Ok(Connection::Identity(Box::new(identity)));
        }
    }
    Err(SettingsError::Connection(name.to_owned()))
}

fn identity(
    app_settings: &AppSettings,
    section: &str,
) -> Result<IdentityConnection, SettingsError> {
    let get = |key: &str| {
        let value = app_settings.get(&format!("{section}:{key}"));
        value.map(str::to_owned)
    };
    let account_name = get("accountName");
    let service = |service: &'static str| match get(&format!("{service}ServiceUri")) {
        None if account_name.is_none() => Err(SettingsError::ConnectionService(
            section.replace(':', "__"),
            service,
        )),
        uri => Ok(uri),
    };
    Ok(IdentityConnection {
        blob_service_uri: service("blob")?,
        queue_service_uri: service("queue")?,
        table_service_uri: service("table")?,
        credential: get("credential").map(|kind| kind.to_ascii_lowercase()),
        client_id: get("clientId").or_else(|| get("managedIdentityClientId")),
        tenant_id: get("tenantId"),
        client_secret: get("clientSecret").map(Secret::new),
        managed_identity_resource_id: get("managedIdentityResourceId"),
        managed_identity_object_id: get("managedIdentityObjectId"),
        token_file_path: get("tokenFilePath"),
        account_name,
    })
}

/// Text that is never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps a secret.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The secret itself; keep it out of logs and errors.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}
