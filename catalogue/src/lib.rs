//! Twins of the .NET orchestrations and activities whose runs were recorded: the same names,
//! inputs and outputs, and the same durable calls in the same order, so that they replay recorded
//! histories and share a hub with the .NET worker that made them. Entities excepted.

mod activities;
mod orchestrations;

pub use activities::{Flaky, big, double, fail, say_hello};
pub use orchestrations::{
    big_data, catching, child, eternal, event_or_timeout, failing, failing_parent, fan_out,
    fragile, fragile_parent, hello_sequence, hello_sequence5, mailbox, parent, retrying,
    retrying_sub, sender, status, timer,
};

use durabletask_worker::{Worker, WorkerBuilder, WorkerError};

/// A worker of the whole catalogue. [`Flaky`] counts its calls per worker, as .NET's does per
/// process.
pub fn worker() -> Result<Worker, WorkerError> {
    builder().build()
}

/// The same, not yet built.
pub fn builder() -> WorkerBuilder {
    builder_with(Flaky::default())
}

/// The same with an activity that may count the calls of several workers.
pub fn builder_with(flaky: Flaky) -> WorkerBuilder {
    Worker::builder()
        .activity(say_hello)
        .activity(double)
        .activity(big)
        .activity(fail)
        .activity(flaky)
        .orchestrator(hello_sequence)
        .orchestrator(hello_sequence5)
        .orchestrator(fan_out)
        .orchestrator(child)
        .orchestrator(parent)
        .orchestrator(failing_parent)
        .orchestrator(timer)
        .orchestrator(event_or_timeout)
        .orchestrator(failing)
        .orchestrator(catching)
        .orchestrator(retrying)
        .orchestrator(retrying_sub)
        .orchestrator(eternal)
        .orchestrator(sender)
        .orchestrator(big_data)
        .orchestrator(fragile)
        .orchestrator(fragile_parent)
        .orchestrator(mailbox)
        .orchestrator(status)
}
