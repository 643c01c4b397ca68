//! What durable orchestrations cost: throughput, latency, CPU time, memory, storage transactions;
//! how long a replay takes; and how many storage calls lie between two activities.
//!
//! The program `bench` prints them; the tests pin those that do not depend on the machine.

pub mod heap;
pub mod hop;
pub mod load;
pub mod process;
pub mod replay;
pub mod report;
pub mod stage;
pub mod waiting;
pub mod workload;

/// Whatever can go wrong in a benchmark.
pub type Error = Box<dyn std::error::Error + Send + Sync>;
