//! The worker's heart in virtual time, by topic.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

#[path = "../support/mod.rs"]
mod support;

mod arrival;
mod commit_order;
mod crashes;
mod malformed;
mod renewal;
mod sessions;
mod starts;
mod unknown_outcomes;
