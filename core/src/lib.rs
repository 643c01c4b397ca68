//! The nouns of durable orchestrations and the engine that replays them.
//!
//! Pure: history in, commands out. Nothing here reads a clock, draws a random number, spawns a
//! task or talks to anything; whoever calls in brings time and ids along.

mod failure;
mod ids;
mod status;
mod tags;
mod time;
mod trace;

pub use failure::FailureDetails;
pub use ids::{FIRE_AND_FORGET_TAG, OrchestrationInstance, ParentInstance, merge_tags};
pub use status::{OrchestrationStatus, UnknownStatus};
pub use tags::Tags;
pub use time::{Timestamp, TimestampError};
pub use trace::TraceContext;
