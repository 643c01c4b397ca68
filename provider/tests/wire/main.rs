//! The wire codecs against recordings of .NET, against arbitrary data, and against garbage.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on should stop here"
)]

mod arbitrary;
mod filters;
mod garbage;
mod golden;
mod instances;
mod messages;
mod names;
mod rows;
