//! The partition managers in virtual time: sharing, hand-over, crashes, conflicts (chapter 01 §5).

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test")]

mod app_lease;
mod blob;
mod machine;
mod reader;
mod sharing;
mod shutdown;
#[path = "../support/mod.rs"]
mod support;
mod trouble;
mod world;
