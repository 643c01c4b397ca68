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

use crate::wire::instance_row::InstanceRow;

/// An instance as it was loaded or last committed.
pub(crate) struct Loaded {
    /// History and status.
    pub(crate) state: RuntimeState,
    /// The sentinel's version: the fence of the next commit. `None` if there is no sentinel.
    pub(crate) sentinel: Option<ETag>,
    /// What is known of the instance row: the fence of its next write.
    pub(crate) row: KnownRow,
    /// The instance row as it was read beside the history; not kept in memory.
    pub(crate) read_row: Option<Box<InstanceRow>>,
    /// Blobs that this execution's history refers to.
    pub(crate) blobs: Vec<String>,
    /// The suspended orchestrator, if the executor keeps one.
    pub(crate) run: Option<Box<dyn OrchestrationRun>>,
    /// Whether this is straight from storage: only then a negative verdict counts.
    pub(crate) is_fresh: bool,
}

/// What a session knows of its instance row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum KnownRow {
    /// There is none; the next write inserts it.
    Missing,
    /// It has this version. If it `is_behind` the history, it is next written from all of it.
    Is { etag: ETag, is_behind: bool },
    /// It is that of an execution that a client has created to follow this one, and is left alone.
    OfNext,
}

/// Bytes that every cached session costs beside its history (design.md §7.1).
const SESSION_OVERHEAD_BYTES: usize = 1_024;

impl Loaded {
    /// Takes note of the instance row, which was read beside the history.
    pub(crate) fn see_row(&mut self, row: Option<InstanceRow>) {
        self.row = KnownRow::of(row.as_ref(), &self.state);
        self.read_row = row.map(Box::new);
    }

    /// Whether the row does not show this history.
    pub(crate) fn is_row_behind(&self) -> bool {
        match self.row {
            KnownRow::Missing => self.state.started().is_some(),
            KnownRow::Is { is_behind, .. } => is_behind,
            KnownRow::OfNext => false,
        }
    }

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
