//! Tests of replay by topic. Orchestrators are plans of the harness.

mod flavour;
mod guids;
mod matching;
mod size;
mod timers;
mod waits;
