//! Queues as a worker uses them: sending, receiving, holding, putting back.

pub(crate) mod control;
pub(crate) mod held;
pub(crate) mod inbound;
pub(crate) mod outbox;
pub(crate) mod registry;
pub(crate) mod signal;
pub(crate) mod workitems;
