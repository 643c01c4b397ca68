//! Real storage accounts, and Azurite.
//!
//! ```text
//! connection/  where the account is and how to prove who we are
//! transport/   one way there: signing, pooling, limits, retries, unknown outcomes
//! queue/ table/ blob/   the hot path's protocol, by hand
//! control/     create, delete, list and leases, by the 0.21 crates over the same transport
//! ```

mod blob;
mod connection;
mod control;
mod options;
mod queue;
mod table;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod transport;
mod xml;

use std::sync::Arc;

pub use connection::{Connection, ConnectionError, IdentitySettings, Secret};
pub use options::{AzureOptions, RetryLimits};
pub use transport::{Authority, ServiceTokens, web_client};

use crate::env::Env;
use crate::error::Result;
use crate::{Account, Blobs, Queues, Tables};
use transport::Transport;

/// A storage account reached over HTTP.
#[derive(Debug)]
pub enum AzureAccount {}

impl AzureAccount {
    /// The three services of the account, over one connection pool. Contacts nobody: a wrong key
    /// or address shows in the first operation. Needs a tokio runtime when used.
    pub fn connect(connection: &Connection, options: AzureOptions, env: Env) -> Result<Account> {
        let transport = Arc::new(Transport::new(connection, options, env)?);
        Ok(account(&transport))
    }
}

fn account(transport: &Arc<Transport>) -> Account {
    let queues: Arc<dyn Queues> = Arc::new(queue::AzureQueues::new(Arc::clone(transport)));
    let tables: Arc<dyn Tables> = Arc::new(table::AzureTables::new(Arc::clone(transport)));
    let blobs: Arc<dyn Blobs> = Arc::new(blob::AzureBlobs::new(Arc::clone(transport)));
    Account {
        queues,
        tables,
        blobs,
        clock: transport.clock().clone(),
    }
}
