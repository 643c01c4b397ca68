//! Worker processes on one hub, under each of the three partition managers: how they share it, and
//! what comes of the work of one that is killed or stands still.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests may panic, too"
)]

mod fleet;
mod heirs;
mod sharing;
mod zombies;
