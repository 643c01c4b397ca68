//! Testing orchestrators: in memory, with mocked activities and skipped time, and against
//! histories that were recorded.
//!
//! ```
//! use std::time::Duration;
//!
//! use durabletask_worker::prelude::*;
//! use durabletask_worker::testing::TestHub;
//!
//! #[activity]
//! async fn ask(_: ActivityContext, question: String) -> Result<String> {
//!     Ok(format!("somebody was asked: {question}"))
//! }
//!
//! #[orchestrator]
//! async fn approval(ctx: OrchestrationContext, question: String) -> Result<bool> {
//!     ctx.call(ask, question).await?;
//!     let a_week = Duration::from_secs(7 * 24 * 3600);
//!     Ok(ctx.wait_event_timeout::<bool>("Answer", a_week).await?.unwrap_or(false))
//! }
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # futures::executor::block_on(async {
//! let mut hub = TestHub::new()
//!     .orchestrator(approval)
//!     .mock(ask, |question| Ok(format!("mocked: {question}")));
//!
//! let id = hub.start(approval, "May I?").await?;
//! hub.raise_event(&id, "Answer", &true).await?;
//! assert!(hub.output::<bool>(&id).await?);
//!
//! // Nobody answers: a week passes in no time.
//! assert!(!hub.run(approval, "May I?").await?);
//! # Ok(())
//! # })
//! # }
//! ```

mod clock;
mod hub;
mod mock;
mod replayer;

pub use hub::{ActivityCall, TestError, TestHub};
pub use replayer::{Agreement, ReplayError, Replayer};
