//! The whole system in one thread, in virtual time, with faults by seed.
//!
//! Workers and clients of the real code run over one account in memory, each behind a network of
//! its own that loses, delays and repeats requests; workers die at any poll, freeze, and are
//! stopped. Everything follows from the seed: the same seed gives the same run, step by step.

mod actors;
mod bounds;
mod client;
mod crew;
mod dice;
mod faults;
mod history;
mod look;
mod machine;
mod mutation;
mod network;
mod notes;
mod plot;
mod program;
mod run;
mod shrink;
mod trace;
mod unrest;

pub use faults::FaultId;
pub use mutation::{MUTATIONS, Mutation, all_but};
pub use run::{Options, Report, run};
pub use shrink::shrink;
