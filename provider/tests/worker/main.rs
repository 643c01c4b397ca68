//! The worker's heart in virtual time, by topic.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

#[path = "../support/mod.rs"]
mod support;

mod arrival;
mod commit_order;
mod crashes;
mod generations;
mod handover;
mod large;
mod limits;
mod malformed;
mod memory;
mod renewal;
mod repair;
mod secrets;
mod sessions;
mod soak;
mod starts;
mod stop;
mod unknown_outcomes;
