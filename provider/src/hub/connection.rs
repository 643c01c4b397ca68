//! Where a hub lives: connection names and what they resolve to (chapter 01 §4.6, §4.7).

use std::fmt;
use std::path::PathBuf;

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
