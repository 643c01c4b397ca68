//! Who reads which control queue: the face of all ownership managers (chapter 01 §5).
//!
//! A manager decides which partitions this worker owns and tells its [`PartitionHost`]; the commit
//! path asks [`Ownership`], without a request, whether a partition is still safely ours. Leases are
//! advisory: pop receipts and the history's `ETag` remain the last fences (§5.2).

mod app_lease;
mod background;
mod blob;
mod drain;
mod id;
mod ownership;
mod table;

use std::fmt::Debug;
use std::sync::Arc;

use async_trait::async_trait;
use durabletask_storage::{Account, Env, Scope};

use crate::hub::{HubSettings, PartitionManagement};
pub(crate) use app_lease::app_lease_state;
pub use app_lease::{AppLease, AppLeaseState, app_lease_id};
pub use blob::BlobPartitionManager;
pub(crate) use blob::LeaseRecord;
pub use id::PartitionId;
pub use ownership::Ownership;
pub(crate) use table::LeaseRow;
pub use table::TablePartitionManager;

/// What a worker does when partitions come and go. Calls for one partition never overlap, except
/// that [`PartitionHost::lost`] may end a running [`PartitionHost::drain`].
#[async_trait]
pub trait PartitionHost: Send + Sync {
    /// The partition is ours and its control queue exists: start reading it. Sessions of an
    /// earlier period of ownership must be gone or be dropped.
    fn acquired(&self, partition: PartitionId);

    /// Whether the queue of a partition that was acquired is still being read. Asked at every
    /// renewal of the table manager (R5-26); must not block.
    fn is_reading(&self, partition: PartitionId) -> bool;

    /// Stop reading at once, finish the sessions, wait for pending deletes; returns when nothing
    /// of the partition is in flight. The manager waits at most 60 s (§5.3.3), then calls
    /// [`PartitionHost::lost`] and hands over.
    async fn drain(&self, partition: PartitionId);

    /// Somebody else may own the partition now: stop reading and drop everything of it. Also
    /// called when storage could not be reached for a whole lease (R5-06); if the partition turns
    /// out to be still ours, [`PartitionHost::acquired`] follows. Must not block.
    fn lost(&self, partition: PartitionId);
}

/// One of the three ways to share partitions, or one of them behind the app lease.
#[async_trait]
pub trait PartitionManager: Debug + Send + Sync {
    /// Begins to acquire partitions, with tasks of `scope`, the first pass at once. The hub must
    /// exist. Does nothing if already running; may be called again after
    /// [`PartitionManager::stop`].
    fn start(&self, scope: &Scope, host: Arc<dyn PartitionHost>);

    /// Drains and releases every partition and returns when that is done, at most 10 minutes
    /// later (§5.3.6). Returns earlier if storage cannot be reached until the leases have run out.
    async fn stop(&self) -> Result<(), StopError>;

    /// What this worker owns. Cheap to clone; stays valid over stop and start.
    fn ownership(&self) -> Ownership;
}

/// The manager that the settings choose for the worker `worker_id`, behind the app lease if they
/// say so.
pub fn partition_manager(
    account: &Account,
    settings: &HubSettings,
    worker_id: &str,
    env: &Env,
) -> Arc<dyn PartitionManager> {
    let manager: Arc<dyn PartitionManager> = match settings.partition_management {
        PartitionManagement::Table => Arc::new(TablePartitionManager::new(
            account, settings, worker_id, env,
        )),
        PartitionManagement::Safe => Arc::new(BlobPartitionManager::safe(
            account, settings, worker_id, env,
        )),
        PartitionManagement::Legacy => Arc::new(BlobPartitionManager::legacy(
            account, settings, worker_id, env,
        )),
    };
    if settings.use_app_lease {
        Arc::new(AppLease::new(account, settings, env, manager))
    } else {
        manager
    }
}

/// A manager could not release what it owned.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StopError {
    /// Ten minutes were not enough.
    #[error(
        "the partitions were not released within {0} s; other workers take them when the leases run out"
    )]
    TimedOut(u64),
    /// Storage did not answer until the leases ran out.
    #[error(
        "storage could not be reached to release partitions; other workers take them, the leases have run out"
    )]
    Unreachable,
    /// The worker's tasks were aborted.
    #[error("the worker was aborted; other workers take its partitions when the leases run out")]
    Aborted,
}
