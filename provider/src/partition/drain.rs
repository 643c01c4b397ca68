//! Waiting for a partition's sessions to finish before it is handed over.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use durabletask_storage::Scope;
use futures::future::{AbortHandle, abortable};
use tokio::sync::Notify;

use super::{PartitionHost, PartitionId};

/// How long sessions may take to finish before the partition is handed over all the same (§5.3.3,
/// R5-38).
const DRAIN_LIMIT: Duration = Duration::from_secs(60);

/// How far this worker's own drain of a partition is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum DrainState {
    /// None was started in this period of ownership.
    None,
    /// Sessions are finishing.
    Running,
    /// Nothing is in flight any more, or the wait was given up.
    Done,
}

/// One drain, of one period of ownership (R5-25). Dropping it ends the wait.
#[derive(Debug)]
pub(super) struct Drain {
    /// Unset while sessions finish; then whether they did.
    outcome: Arc<OnceLock<bool>>,
    abort: AbortHandle,
}

impl Drain {
    /// Tells the host to drain; `wake` is notified at the end.
    pub(super) fn start(
        scope: &Scope,
        host: &Arc<dyn PartitionHost>,
        partition: PartitionId,
        wake: &Arc<Notify>,
    ) -> Self {
        let outcome = Arc::new(OnceLock::new());
        let (host, wake) = (host.clone(), wake.clone());
        let (drained, abort) = abortable(async move { host.drain(partition).await });
        let (env, set) = (scope.env().clone(), outcome.clone());
        scope.spawn(async move {
            let ended = env.timeout(DRAIN_LIMIT, drained).await;
            let _ = set.set(ended.is_ok());
            wake.notify_one();
        });
        Self { outcome, abort }
    }

    /// How far it is.
    pub(super) fn state(&self) -> DrainState {
        match self.outcome.get() {
            Some(_) => DrainState::Done,
            None => DrainState::Running,
        }
    }

    /// Whether the wait was given up with work still in flight.
    pub(super) fn is_overdue(&self) -> bool {
        self.outcome.get() == Some(&false)
    }
}

impl Drop for Drain {
    fn drop(&mut self) {
        self.abort.abort();
    }
}
