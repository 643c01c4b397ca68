//! The task hub on storage, byte-compatible with .NET's `DurableTask.AzureStorage`.

mod client;
mod dispatch;
mod error;
mod gauges;
pub mod hub;
pub mod partition;
mod poison;
mod queue;
pub mod scale;
mod session;
mod taskhub;
mod tracking;
mod upkeep;
pub mod wire;
mod worker;

pub use client::{
    HubClient, InstancePage, ListedInstance, PurgeFilter, PurgeOptions, PurgeReport,
    ReplaceExisting, StartOptions,
};
pub use error::TaskHubError;
#[doc(hidden)]
pub use gauges::Gauges;
pub use poison::PoisonMessage;
pub use taskhub::TaskHub;
pub use tracking::purge::PurgeCounts;
pub use tracking::status::InstanceStatus;
pub use upkeep::{Finding, FindingKind, SweepOptions, SweepReport};
pub use wire::filter::InstanceQuery;
pub use worker::{Executors, HubWorker};
