//! What a worker has in memory, counted: for tests that its limits hold.

use crate::dispatch::WorkerContext;
use crate::worker::HubWorker;

/// Counts of one instant.
#[doc(hidden)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gauges {
    /// Control messages received and not yet settled: what counts against
    /// `control_queue_buffer_threshold`.
    pub control_messages: usize,
    /// Their bytes: what counts against `control_queue_buffer_max_bytes`.
    pub control_message_bytes: usize,
    /// All messages held, activities' included.
    pub held_messages: usize,
    /// Renewals planned for them.
    pub planned_renewals: usize,
    /// Activities that run, or are about to.
    pub activities: usize,
    /// Instances known, busy or kept in memory.
    pub sessions: usize,
    /// Those with messages or an episode under way.
    pub busy_sessions: usize,
    /// Those that are only kept in memory.
    pub idle_sessions: usize,
    /// What the idle ones count against `session_cache_max_bytes`.
    pub idle_bytes: usize,
    /// What the busy ones do.
    pub busy_bytes: usize,
}

impl HubWorker {
    /// What it has in memory now.
    #[doc(hidden)]
    pub fn gauges(&self) -> Gauges {
        let WorkerContext {
            held,
            sessions,
            running,
            ..
        } = self.context();
        let (held_messages, planned_renewals) = held.counts();
        let (busy_sessions, idle_sessions) = sessions.counts();
        let (sessions, idle_bytes, busy_bytes) = sessions.sizes();
        Gauges {
            control_messages: held.buffered(),
            control_message_bytes: held.buffered_bytes(),
            held_messages,
            planned_renewals,
            activities: running.count(),
            sessions,
            busy_sessions,
            idle_sessions,
            idle_bytes,
            busy_bytes,
        }
    }
}
