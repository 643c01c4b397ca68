//! Layers around an account: they see every call, delay it, fail it, count it or write
//! it down.

mod faulty;
mod latency;
mod layered;
mod metered;
mod network;
mod operation;
mod recording;

pub use faulty::{Fate, Faults, Faulty, SeenCall, Trouble};
pub use latency::Latency;
pub use metered::{Metered, Prices};
pub use network::Network;
pub use operation::{Operation, Service};
pub use recording::{Arguments, Outcome, RecordedCall, Recording};
