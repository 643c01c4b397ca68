//! The table manager in virtual time: sharing, hand-over, crashes, conflicts (chapter 01 §5.3).

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test")]

mod sharing;
mod shutdown;
mod trouble;
mod world;
