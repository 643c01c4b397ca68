//! Sessions: instances in the memory of the worker that owns their partition.
//!
//! [`store`] routes messages to sessions and keeps idle ones within the memory budget, [`drive`]
//! works a session's messages off, [`judge`] decides what becomes of each message, [`start`]
//! weeds out start messages that are duplicates or too early, [`refuse`] treats what no episode
//! takes, [`commit`] runs an episode and makes it durable.

mod commit;
pub(crate) mod drive;
pub(crate) mod judge;
mod refuse;
pub(crate) mod start;
pub(crate) mod store;

use durabletask_core::OrchestrationRun;
use durabletask_core::episode::RuntimeState;
use durabletask_storage::ETag;

/// An instance as it was loaded or last committed.
pub(crate) struct Loaded {
    /// History and status.
    pub(crate) state: RuntimeState,
    /// The sentinel's version: the fence of the next commit. `None` if there is no sentinel.
    pub(crate) sentinel: Option<ETag>,
    /// The instance row's version, under `useInstanceTableEtag`.
    pub(crate) instance_etag: Option<ETag>,
    /// Blobs that this execution's history refers to.
    pub(crate) blobs: Vec<String>,
    /// The suspended orchestrator, if the executor keeps one.
    pub(crate) run: Option<Box<dyn OrchestrationRun>>,
    /// Whether this is straight from storage: only then a negative verdict counts.
    pub(crate) is_fresh: bool,
}

/// Bytes that every cached session costs beside its history (design.md §7.1).
const SESSION_OVERHEAD_BYTES: usize = 1_024;

impl Loaded {
    /// Bytes that count against the session budget.
    pub(crate) fn held_bytes(&self) -> usize {
        let run = self.run.as_ref().map_or(0, |run| run.held_bytes());
        self.state.encoded_bytes() + run + SESSION_OVERHEAD_BYTES
    }
}

impl std::fmt::Debug for Loaded {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Loaded")
            .field("execution_id", &self.state.execution_id())
            .field("is_fresh", &self.is_fresh)
            .field("has_run", &self.run.is_some())
            .finish_non_exhaustive()
    }
}
