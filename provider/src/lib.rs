//! The task hub on storage, byte-compatible with .NET's `DurableTask.AzureStorage`.

mod client;
mod dispatch;
mod error;
pub mod hub;
pub mod partition;
mod queue;
mod session;
mod taskhub;
mod tracking;
pub mod wire;
mod worker;

pub use client::{HubClient, ReplaceExisting, StartOptions};
pub use error::TaskHubError;
pub use taskhub::TaskHub;
pub use tracking::status::InstanceStatus;
pub use worker::{Executors, HubWorker};
