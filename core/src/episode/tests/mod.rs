//! Tests of episodes: worked histories, lifecycle, conversions, and random programs.

mod convert;
mod histories;
mod lifecycle;
mod messages;
mod random;
mod state;
