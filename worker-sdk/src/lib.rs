//! Durable orchestrations in Rust.
//!
//! ```
//! use durabletask_worker::prelude::*;
//!
//! #[orchestrator]
//! async fn hello_cities(ctx: OrchestrationContext, _: ()) -> Result<Vec<String>> {
//!     let mut greetings = Vec::new();
//!     for city in ["Tokyo", "Seattle", "London"] {
//!         greetings.push(ctx.call(hello, city).await?);
//!     }
//!     Ok(greetings)
//! }
//!
//! #[activity]
//! async fn hello(_: ActivityContext, city: String) -> Result<String> {
//!     Ok(format!("Hello {city}!"))
//! }
//!
//! # fn shown() {
//! #[tokio::main]
//! async fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let hub = durabletask_worker::connect().await?;
//!     let worker = Worker::builder().orchestrator(hello_cities).activity(hello).build()?;
//!     Ok(worker.run(&hub).await?)
//! }
//! # }
//! ```
//!
//! What an orchestrator may do is told at [`OrchestrationContext`]. Elsewhere, or in the same
//! process, a client starts it and waits for its output; here in a hub in memory:
//!
//! ```
//! use durabletask_worker::prelude::*;
//! use durabletask_worker::{Env, HubSettings, StoreChoice, connect_with};
//!
//! #[orchestrator]
//! async fn twice(ctx: OrchestrationContext, n: u32) -> Result<u32> {
//!     ctx.call(double, n).await
//! }
//!
//! #[activity]
//! async fn double(_: ActivityContext, n: u32) -> Result<u32> {
//!     Ok(2 * n)
//! }
//!
//! # #[tokio::main]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let settings = HubSettings::new("docs", 1).with_store(StoreChoice::Memory);
//! let hub = connect_with(settings, Env::system()).await?;
//! let worker = Worker::builder().orchestrator(twice).activity(double).build()?.start(&hub)?;
//!
//! let client = Client::new(&hub);
//! let id = client.start(twice, 21).await?;
//! let output: u32 = client.wait(&id, None).await?;
//! assert_eq!(output, 42);
//! worker.stop().await?;
//! # Ok(())
//! # }
//! ```

// So that the macros' paths also resolve in this crate's own tests.
#[cfg(test)]
extern crate self as durabletask_worker;

mod activity;
mod client;
mod connect;
mod context;
mod failure;
mod futures;
mod options;
mod payload;
mod registry;
mod run;
mod shared;
mod shutdown;
mod task;
mod threads;
mod worker;

pub use ::futures::future::Either;
pub use durabletask_azurestorage::hub::{HubSettings, StoreChoice};
pub use durabletask_azurestorage::{InstanceStatus, StartOptions, TaskHub};
pub use durabletask_core::replay::ReceivedEvent;
pub use durabletask_core::{FailureDetails, OrchestrationStatus, ParentInstance, Tags, Timestamp};
pub use durabletask_macros::{activity, orchestrator};
pub use durabletask_storage::Env;

pub use crate::activity::ActivityContext;
pub use crate::client::{Client, ClientError};
pub use crate::connect::{ConnectError, connect, connect_with};
pub use crate::context::OrchestrationContext;
pub use crate::failure::{Failure, Result};
pub use crate::futures::{Call, EventWait, Timer};
pub use crate::options::{CallOptions, ChildOptions};
pub use crate::registry::{DuplicateName, Registry};
pub use crate::shutdown::shutdown_signal;
pub use crate::task::{Activity, Argument, Orchestrator};
pub use crate::worker::{RunningWorker, Worker, WorkerBuilder, WorkerError};

/// What most programs need.
pub mod prelude {
    pub use crate::{
        Activity, ActivityContext, CallOptions, ChildOptions, Client, Either, Failure,
        OrchestrationContext, Orchestrator, Result, Worker, activity, orchestrator,
    };
}

#[doc(hidden)]
pub mod __private {
    pub use crate::task::IntoOutcome;
}
