//! The task hub on storage, byte-compatible with .NET's `DurableTask.AzureStorage`.

pub mod hub;
pub mod partition;
pub mod wire;
