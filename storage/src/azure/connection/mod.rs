//! Where an account is and how to prove who we are: connection strings and identity settings.

mod endpoint;
mod error;
mod identity;
mod string;

use std::fmt;

pub(crate) use endpoint::is_loopback;
pub use error::ConnectionError;
pub use identity::IdentitySettings;
pub(crate) use identity::{Identity, ManagedId};

/// The account name of the emulator.
pub(crate) const EMULATOR_ACCOUNT: &str = "devstoreaccount1";
/// The emulator's published key; not a secret.
pub(crate) const EMULATOR_KEY: &str =
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";

/// One of the three services a task hub needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Service {
    Blob,
    Queue,
    Table,
}

impl Service {
    pub(crate) const ALL: [Self; 3] = [Self::Blob, Self::Queue, Self::Table];

    /// The label in host names: `account.blob.core.windows.net`.
    pub(crate) const fn label(self) -> &'static str {
        match self {
            Self::Blob => "blob",
            Self::Queue => "queue",
            Self::Table => "table",
        }
    }
}

/// Text that must never be printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps a key, signature or password.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(text)
    }
}

/// How requests are authorised.
#[derive(Debug, Clone)]
pub(crate) enum Credential {
    /// An account key, base64.
    SharedKey(Secret),
    /// A query string with a signature, without the leading `?`.
    Sas(Secret),
    /// Entra ID.
    Identity(Identity),
}

/// A storage account: three endpoints and a credential. `Debug` hides secrets.
#[derive(Debug, Clone)]
pub struct Connection {
    account: String,
    /// Blob, queue, table; no trailing slash, no query.
    endpoints: [String; 3],
    credential: Credential,
}

impl Connection {
    /// Reads a storage connection string in any of its forms: `UseDevelopmentStorage=true`
    /// (`DevelopmentStorageProxyUri`), account name and key, explicit endpoints, shared access
    /// signature. Names are compared without regard to case; unknown ones are ignored.
    pub fn parse(text: &str) -> Result<Self, ConnectionError> {
        string::parse(text)
    }

    /// The account's name, as in its host names.
    pub fn account_name(&self) -> &str {
        &self.account
    }

    /// The blob endpoint, without trailing slash.
    pub fn blob_endpoint(&self) -> &str {
        self.endpoint(Service::Blob)
    }

    /// The queue endpoint, without trailing slash.
    pub fn queue_endpoint(&self) -> &str {
        self.endpoint(Service::Queue)
    }

    /// The table endpoint, without trailing slash.
    pub fn table_endpoint(&self) -> &str {
        self.endpoint(Service::Table)
    }

    pub(crate) fn endpoint(&self, service: Service) -> &str {
        &self.endpoints[service as usize]
    }

    pub(crate) fn credential(&self) -> &Credential {
        &self.credential
    }
}
