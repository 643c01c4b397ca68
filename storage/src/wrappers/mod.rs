//! Layers around an account: they see every call, delay it, count it or write it down.

mod latency;
mod layered;
mod metered;
mod network;
mod operation;
mod recording;

pub use latency::Latency;
pub use metered::{Metered, Prices};
pub use network::Network;
pub use operation::{Operation, Service};
pub use recording::{Arguments, Outcome, RecordedCall, Recording};
