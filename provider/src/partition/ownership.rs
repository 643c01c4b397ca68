//! What this worker owns, asked on the hot path without a request.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use durabletask_storage::Env;

use super::PartitionId;

/// Which partitions are ours and how fresh that knowledge is. A cheap handle; all clones see the
/// same.
#[derive(Debug, Clone)]
pub struct Ownership {
    env: Env,
    lease: Duration,
    /// When each lease was last renewed, on the monotonic clock, read before the request was sent.
    renewed: Arc<Mutex<BTreeMap<PartitionId, Duration>>>,
}

impl Ownership {
    /// Nothing owned yet; after a renewal we count on a lease for the time `lease`.
    pub(crate) fn new(env: Env, lease: Duration) -> Self {
        Self {
            env,
            lease,
            renewed: Arc::default(),
        }
    }

    /// Whether the partition's lease was renewed less than one lease length (with the table
    /// manager, 3 s less) of monotonic time ago,
    /// so that nobody else can own it (design §7.1). True while it drains, false from the moment
    /// its release is sent.
    pub fn is_fresh(&self, partition: PartitionId) -> bool {
        let now = self.env.monotonic();
        self.renewed()
            .get(&partition)
            .is_some_and(|renewed| now < renewed.saturating_add(self.lease))
    }

    /// The partitions that are ours and fresh, in order.
    pub fn owned(&self) -> Vec<PartitionId> {
        let now = self.env.monotonic();
        self.renewed()
            .iter()
            .filter(|(_, renewed)| now < renewed.saturating_add(self.lease))
            .map(|(partition, _)| *partition)
            .collect()
    }

    /// Notes a renewal whose request was sent at `sent` (monotonic).
    pub(crate) fn renew(&self, partition: PartitionId, sent: Duration) {
        self.renewed().insert(partition, sent);
    }

    /// Notes that the partition is no longer ours, or about to be given away.
    pub(crate) fn forget(&self, partition: PartitionId) {
        self.renewed().remove(&partition);
    }

    /// Time until the first lease turns stale; `None` if nothing is owned.
    pub(crate) fn until_stale(&self) -> Option<Duration> {
        let now = self.env.monotonic();
        let first = self.renewed().values().min().copied()?;
        Some(first.saturating_add(self.lease).saturating_sub(now))
    }

    /// Takes out and returns what was not renewed in time.
    pub(crate) fn take_stale(&self) -> Vec<PartitionId> {
        let now = self.env.monotonic();
        let mut stale = Vec::new();
        self.renewed().retain(|partition, renewed| {
            let fresh = now < renewed.saturating_add(self.lease);
            if !fresh {
                stale.push(*partition);
            }
            fresh
        });
        stale
    }

    fn renewed(&self) -> MutexGuard<'_, BTreeMap<PartitionId, Duration>> {
        self.renewed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
