//! The leases of one type that this worker holds, and when they are due.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::leases::{Lease, Leases, Renewal};
use crate::partition::PartitionId;

/// Held leases of one type.
pub(super) struct LeaseSet {
    pub(super) leases: Leases,
    held: BTreeMap<PartitionId, Held>,
    /// When the next pass of the taker is due, on the monotonic clock, if one is wanted.
    take_at: Option<Duration>,
    /// Whether a pass is under way.
    pub(super) is_taking: bool,
    renew_at: Duration,
}

struct Held {
    lease: Lease,
    is_renewing: bool,
    is_releasing: bool,
}

impl LeaseSet {
    /// Nothing held; the first pass is due at once.
    pub(super) fn new(leases: Leases) -> Self {
        let now = leases.env.monotonic();
        Self {
            leases,
            held: BTreeMap::new(),
            take_at: Some(now),
            is_taking: false,
            renew_at: now,
        }
    }

    /// Whether a pass of the taker shall begin now; then notes that it has begun.
    pub(super) fn start_pass(&mut self, now: Duration) -> bool {
        let due = !self.is_taking && self.take_at.is_some_and(|at| at <= now);
        self.is_taking |= due;
        if due {
            self.take_at = None;
        }
        due
    }

    /// Notes that the pass has ended; the next one is due then, unless one is wanted earlier.
    pub(super) fn end_pass(&mut self, next: Duration) {
        self.is_taking = false;
        self.want_pass(next);
    }

    /// Wants a pass then or earlier.
    pub(super) fn want_pass(&mut self, at: Duration) {
        self.take_at = Some(self.take_at.map_or(at, |earlier| earlier.min(at)));
    }

    /// Wants no further pass.
    pub(super) fn cancel_pass(&mut self) {
        self.take_at = None;
    }

    pub(super) fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    /// Partitions with a lease, those that are being released included.
    pub(super) fn partitions(&self) -> BTreeSet<PartitionId> {
        self.held.keys().copied().collect()
    }

    /// Whether the partition's lease is held and shall stay so.
    pub(super) fn holds(&self, partition: PartitionId) -> bool {
        self.held
            .get(&partition)
            .is_some_and(|held| !held.is_releasing)
    }

    /// Takes in a lease that was just acquired.
    pub(super) fn add(&mut self, lease: Lease) {
        let held = Held {
            lease,
            is_renewing: false,
            is_releasing: false,
        };
        self.held.insert(held.lease.partition, held);
    }

    pub(super) fn remove(&mut self, partition: PartitionId) {
        self.held.remove(&partition);
    }

    /// Partitions whose lease is held and shall stay so.
    pub(super) fn kept(&self) -> Vec<PartitionId> {
        let kept = self.held.iter().filter(|(_, held)| !held.is_releasing);
        kept.map(|(partition, _)| *partition).collect()
    }

    /// The lease, to be released; `None` if it is not held or being released already.
    pub(super) fn start_release(&mut self, partition: PartitionId) -> Option<Lease> {
        let held = self.held.get_mut(&partition)?;
        let first = !std::mem::replace(&mut held.is_releasing, true);
        first.then(|| held.lease.clone())
    }

    /// The leases to be renewed now: all, once per interval, but those whose last renewal is
    /// still under way.
    pub(super) fn start_renewals(&mut self, now: Duration, interval: Duration) -> Vec<Lease> {
        if now < self.renew_at {
            return Vec::new();
        }
        self.renew_at = now.saturating_add(interval);
        let due = self
            .held
            .values_mut()
            .filter(|held| !held.is_releasing && !held.is_renewing);
        due.map(|held| {
            held.is_renewing = true;
            held.lease.clone()
        })
        .collect()
    }

    /// Notes the end of a renewal of the lease `token` and tells it; `None` if that lease is no
    /// longer of interest, perhaps because another replaced it meanwhile.
    pub(super) fn end_renewal(
        &mut self,
        partition: PartitionId,
        token: &str,
        renewal: Renewal,
    ) -> Option<Renewal> {
        let held = self.held.get_mut(&partition)?;
        if held.lease.token() != token || held.is_releasing {
            return None;
        }
        held.is_renewing = false;
        if let Renewal::Prolonged(sent) = renewal {
            held.lease.renewed = sent;
        }
        Some(renewal)
    }

    /// Partitions whose lease was not renewed for a whole length: it may be somebody else's.
    pub(super) fn stale(&self, now: Duration) -> Vec<PartitionId> {
        let length = self.leases.length;
        let stale = self
            .held
            .values()
            .filter(|held| !held.is_releasing && now >= held.lease.renewed.saturating_add(length));
        stale.map(|held| held.lease.partition).collect()
    }

    /// The next moment at which something is due here.
    pub(super) fn next_due(&self) -> Duration {
        let stale = self
            .held
            .values()
            .filter(|held| !held.is_releasing)
            .map(|held| held.lease.renewed.saturating_add(self.leases.length));
        let take = self.take_at.filter(|_| !self.is_taking);
        let renew = (!self.held.is_empty()).then_some(self.renew_at);
        let soonest = stale.chain(take).chain(renew).min();
        soonest.unwrap_or(Duration::MAX)
    }
}
