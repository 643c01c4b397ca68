//! Storage as a task hub needs it: queues, tables and blobs behind three small object-safe
//! traits, with errors by meaning, so that nothing above knows whether it talks to Azure or to an
//! embedded database.

pub mod azure;
mod blob;
mod clock;
pub mod conformance;
pub mod embedded;
pub mod env;
mod error;
mod failure;
mod limits;
mod queue;
mod table;
pub mod wrappers;

use std::sync::Arc;

pub use blob::{Blob, BlobInfo, BlobPage, Blobs, ContainerInfo, PutCondition};
pub use clock::ServiceClock;
pub use env::{Env, Scope, VirtualEnv};
pub use error::{ErrorKind, Result, StorageError};
pub use queue::{
    MAX_MESSAGE_BYTES, MAX_MESSAGES_PER_GET, MAX_VISIBILITY_SECONDS, MessageHandle, PeekedMessage,
    Queues, ReceivedMessage, SentMessage, UpdatedMessage,
};
pub use table::{
    Condition, Continuation, ETag, MAX_PAGE_ROWS, MAX_ROW_BYTES, MAX_STRING_UNITS,
    MAX_TRANSACTION_BYTES, MAX_TRANSACTION_ROWS, Page, Query, Row, RowKeys, Tables, Value, Write,
};

/// The three services of one storage account.
#[derive(Debug, Clone)]
pub struct Account {
    /// Queue service.
    pub queues: Arc<dyn Queues>,
    /// Table service.
    pub tables: Arc<dyn Tables>,
    /// Blob service.
    pub blobs: Arc<dyn Blobs>,
    /// The time by these services.
    pub clock: ServiceClock,
}
