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
//! # #[tokio::main]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # use durabletask_worker::hub::{HubSettings, StoreChoice};
//! # let settings = HubSettings::new("docs", 1).with_store(StoreChoice::Memory);
//! # let env = durabletask_storage::Env::system();
//! # let hub = durabletask_worker::TaskHub::open(settings, &env).await?;
//! let worker = Worker::builder().orchestrator(hello_cities).activity(hello).build()?;
//! let running = worker.start(&hub);
//!
//! let client = Client::new(&hub);
//! let greetings = client.run(hello_cities, ()).await?;
//! assert_eq!(greetings, ["Hello Tokyo!", "Hello Seattle!", "Hello London!"]);
//! # running.stop().await?;
//! # Ok(())
//! # }
//! ```
//!
//! What an orchestrator may do, and what it must not, is told at [`OrchestrationContext`].

// So that the macros' paths also resolve in this crate's own tests.
#[cfg(test)]
extern crate self as durabletask_worker;

mod activity;
mod client;
mod context;
mod failure;
mod futures;
mod http;
mod joins;
mod operations;
mod options;
mod payload;
mod registry;
mod retry;
mod run;
mod running;
mod series;
mod shared;
mod shutdown;
mod task;
pub mod testing;
mod threads;
mod typed;
mod worker;

pub use ::futures::future::Either;
pub use durabletask_core::replay::{ContinueOptions, Flavour, ReceivedEvent};
pub use durabletask_core::{
    FailureDetails, HTTP_ACTIVITY_NAME, OrchestrationStatus, ParentInstance,
    TERMINATE_WITH_PARENT_TAG, Tags, Timestamp, TraceContext,
};
pub use durabletask_macros::{activity, orchestrator};

pub use crate::activity::ActivityContext;
pub use crate::client::{Client, ClientError};
pub use crate::context::OrchestrationContext;
pub use crate::failure::{Failure, Result, TIME_LIMIT_EXCEEDED};
pub use crate::futures::{Call, EventWait, Timer};
pub use crate::http::{HttpHeaders, HttpRequest, HttpResponse, TokenSource};
pub use crate::options::{CallOptions, ChildOptions};
pub use crate::registry::{DuplicateName, Registry};
pub use crate::retry::RetryPolicy;
pub use crate::running::RunningWorker;
pub use crate::shutdown::shutdown_signal;
pub use crate::task::{Activity, Argument, Orchestrator};
pub use crate::typed::TypedError;
pub use crate::worker::{Worker, WorkerBuilder, WorkerError};
pub use durabletask_azurestorage::{
    Finding, FindingKind, HubClient, InstancePage, InstanceQuery, InstanceStatus, ListedInstance,
    PurgeCounts, PurgeFilter, PurgeOptions, PurgeReport, ReplaceExisting, StartOptions,
    SweepOptions, SweepReport, TaskHub, TaskHubError, hub,
};

/// What most programs need.
pub mod prelude {
    pub use crate::{
        Activity, ActivityContext, CallOptions, ChildOptions, Client, Either, Failure,
        OrchestrationContext, Orchestrator, Result, RetryPolicy, TypedError, Worker, WorkerError,
        activity, orchestrator,
    };
}

#[doc(hidden)]
pub mod __private {
    pub use crate::task::IntoOutcome;
}
