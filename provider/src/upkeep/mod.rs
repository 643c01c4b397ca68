//! What keeps a hub tidy: retention and the sweeper (design.md §8).
//!
//! Both only do what any client may do at any time, row by row under the ETag that was read, so
//! that two of them, or one that is cut off anywhere, do no harm. A worker runs them by itself, if
//! its settings say so, while it owns partition 0: then one worker of the hub does it, without
//! another lease to pay for. Where a .NET worker owns partition 0, nobody does; then run
//! [`HubClient::sweep`](crate::HubClient::sweep) and
//! [`HubClient::purge_expired`](crate::HubClient::purge_expired) from a program of your own.

mod finding;
mod lost_task;
mod orphans;
pub(crate) mod pace;
mod retention;
mod run;
mod stuck;
mod sweep;

pub use finding::{Finding, FindingKind};
pub use sweep::{SweepOptions, SweepReport};
