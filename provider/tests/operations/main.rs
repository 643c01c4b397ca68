//! Client and upkeep operations on a hub in memory: against the recordings of .NET, and in virtual
//! time (chapter 02 §7, chapter 03 §6 and §7, design.md §8).

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test")]

#[path = "../wire/golden.rs"]
mod golden;
#[path = "../support/mod.rs"]
mod support;

mod hub;
mod purge;
mod query;
mod rewind;
mod upkeep;
