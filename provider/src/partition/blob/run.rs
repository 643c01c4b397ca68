//! The loop of a manager on blob leases, from start to the release of the last lease.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use durabletask_storage::{Env, Result as StorageResult, Scope};
use futures::future::{BoxFuture, Either, FutureExt, select};
use futures::stream::{FuturesUnordered, StreamExt};

use super::Config;
use super::leases::{Lease, LeaseType, Renewal};
use super::set::LeaseSet;
use crate::partition::background::Signal;
use crate::partition::drain::{Drain, DrainState};
use crate::partition::{Ownership, PartitionHost, PartitionId, StopError};

/// Pause between passes for ownership while an intent is held without it (§5.7).
const OWNERSHIP_PAUSE: Duration = Duration::from_secs(5);
/// The same shortly after the intent was gained: its former holder lets go as soon as it learns
/// of that and its sessions have ended.
const EAGER_OWNERSHIP_PAUSE: Duration = Duration::from_secs(1);
/// How long that is: a renewal, a drain of 60 s, a renewal.
const EAGER_TIME: Duration = Duration::from_secs(80);

/// What the host knows of a partition that is ours.
enum Reading {
    /// Its queue is being made.
    Opening,
    /// It reads.
    Open,
    /// It finishes what it has.
    Draining(Drain),
    /// The lease is being given up.
    Closed,
}

/// Something that was under way and has ended.
enum Done {
    Taken(LeaseType, Option<Vec<Lease>>),
    Renewed(LeaseType, PartitionId, String, Renewal),
    QueueMade(PartitionId, StorageResult<bool>),
    Released(LeaseType, PartitionId, bool),
}

/// The state of one loop. Requests run side by side as futures of the loop itself, so that none
/// waits for another and all end with it.
pub(super) struct Run {
    config: Arc<Config>,
    ownership: Ownership,
    host: Arc<dyn PartitionHost>,
    scope: Scope,
    signal: Arc<Signal>,
    /// The leases that others may steal: default or intent.
    shares: LeaseSet,
    /// The leases of ownership; `None` with the legacy manager, whose shares are just that.
    ownerships: Option<LeaseSet>,
    /// Partitions that are ours.
    reading: BTreeMap<PartitionId, Reading>,
    work: FuturesUnordered<BoxFuture<'static, Done>>,
    /// Until when ownership is asked for eagerly.
    eager_until: Duration,
    /// The first pass for ownership takes back what is ours by name.
    adopts: bool,
    /// Some lease could not be released.
    is_unreachable: bool,
}

impl Run {
    pub(super) fn new(
        config: Arc<Config>,
        ownership: Ownership,
        host: Arc<dyn PartitionHost>,
        scope: Scope,
        signal: Arc<Signal>,
    ) -> Self {
        Self {
            shares: LeaseSet::new(config.shares.clone()),
            ownerships: config.ownerships.clone().map(LeaseSet::new),
            config,
            ownership,
            host,
            scope,
            signal,
            reading: BTreeMap::new(),
            work: FuturesUnordered::new(),
            eager_until: Duration::ZERO,
            adopts: true,
            is_unreachable: false,
        }
    }

    /// Takes, renews and hands over until a stop has released everything.
    pub(super) async fn run(mut self) -> Result<(), StopError> {
        let env = self.config.env.clone();
        loop {
            self.lose_stale();
            let stopping = self.signal.is_stopping();
            if stopping && self.has_ended() {
                return if self.is_unreachable {
                    Err(StopError::Unreachable)
                } else {
                    Ok(())
                };
            }
            self.settle(stopping);
            if stopping {
                self.release_intents();
            } else {
                self.begin_passes();
            }
            self.begin_renewals();
            let pause = self.next_due().saturating_sub(env.monotonic());
            // Everything that has ended is taken in before the next step is decided.
            let mut done = env.timeout(pause, self.next_done()).await.ok().flatten();
            while let Some(ended) = done {
                self.take_in(ended);
                done = self.work.next().now_or_never().flatten();
            }
        }
    }

    /// The next thing that ends; `None` when the signal wakes the loop.
    async fn next_done(&mut self) -> Option<Done> {
        let signal = self.signal.clone();
        let woken = pin!(signal.wake.notified());
        if self.work.is_empty() {
            woken.await;
            return None;
        }
        match select(self.work.next(), woken).await {
            Either::Left((done, _)) => done,
            Either::Right(((), _)) => None,
        }
    }

    fn next_due(&self) -> Duration {
        let ownerships = self.ownerships.as_ref().map(LeaseSet::next_due);
        self.shares
            .next_due()
            .min(ownerships.unwrap_or(Duration::MAX))
    }

    /// Whether a stop has nothing left to do.
    fn has_ended(&self) -> bool {
        let idle = |set: &LeaseSet| set.is_empty() && !set.is_taking;
        idle(&self.shares) && self.ownerships.as_ref().is_none_or(idle)
    }

    /// The leases that entitle to read a queue.
    fn owned(&mut self) -> &mut LeaseSet {
        match &mut self.ownerships {
            Some(ownerships) => ownerships,
            None => &mut self.shares,
        }
    }

    fn set(&mut self, kind: LeaseType) -> &mut LeaseSet {
        match kind {
            LeaseType::Default | LeaseType::Intent => &mut self.shares,
            LeaseType::Ownership => self.owned(),
        }
    }

    fn begin_passes(&mut self) {
        let (env, limit) = (self.config.env.clone(), self.config.lease);
        let now = env.monotonic();
        if self.shares.start_pass(now) {
            let (kind, held) = (self.shares.leases.kind, self.shares.partitions());
            let pass = self.shares.leases.clone().take_share(held);
            self.work.push(limited(env.clone(), limit, kind, pass));
        }
        let wanted = self.wanted();
        let Some(ownerships) = &mut self.ownerships else {
            return;
        };
        if wanted.is_empty() {
            ownerships.cancel_pass();
        } else if ownerships.start_pass(now) {
            let leases = ownerships.leases.clone();
            let (kind, pass) = (leases.kind, leases.take_free(wanted, self.adopts));
            self.work.push(limited(env, limit, kind, pass));
        }
    }

    /// Partitions whose intent we hold without owning them.
    fn wanted(&self) -> BTreeSet<PartitionId> {
        let owned = self.ownerships.as_ref().map(LeaseSet::partitions);
        let mut wanted: BTreeSet<_> = self.shares.kept().into_iter().collect();
        wanted.retain(|partition| {
            owned
                .as_ref()
                .is_some_and(|owned| !owned.contains(partition))
        });
        wanted
    }

    fn begin_renewals(&mut self) {
        let (now, interval) = (self.config.env.monotonic(), self.config.renew_interval);
        for set in [Some(&mut self.shares), self.ownerships.as_mut()] {
            let Some(set) = set else { continue };
            for lease in set.start_renewals(now, interval) {
                let leases = set.leases.clone();
                self.work.push(Box::pin(async move {
                    let renewal = leases.renew(&lease).await;
                    let token = lease.token().to_owned();
                    Done::Renewed(leases.kind, lease.partition, token, renewal)
                }));
            }
        }
    }

    /// Brings what the host does in line with the leases that we hold.
    fn settle(&mut self, stopping: bool) {
        let is_safe = self.ownerships.is_some();
        for partition in self.owned().kept() {
            let keep = !stopping && (!is_safe || self.shares.holds(partition));
            match self.reading.get(&partition) {
                None if keep => self.open(partition),
                None => self.close(partition),
                Some(Reading::Opening) if !keep => self.close(partition),
                Some(Reading::Open) if !keep => {
                    let wake = &self.signal.wake;
                    let drain = Drain::start(&self.scope, &self.host, partition, wake);
                    self.reading.insert(partition, Reading::Draining(drain));
                }
                Some(Reading::Draining(drain)) if drain.state() == DrainState::Done => {
                    if drain.is_overdue() {
                        tracing::error!(%partition, "sessions did not finish in time");
                        self.host.lost(partition);
                    }
                    if keep {
                        // The intent came back before ownership was let go.
                        self.reading.insert(partition, Reading::Open);
                        self.host.acquired(partition);
                    } else {
                        self.close(partition);
                    }
                }
                Some(_) => {}
            }
        }
    }

    /// Makes the queue of a partition that is ours now if it is missing, then has it read.
    fn open(&mut self, partition: PartitionId) {
        self.reading.insert(partition, Reading::Opening);
        let queues = self.config.queues.clone();
        let queue = self.config.names.control_queue(partition.index());
        self.work.push(Box::pin(async move {
            Done::QueueMade(partition, queues.create_queue(&queue).await)
        }));
    }

    /// Gives a partition up. With the safe manager .NET lets the lease run out; releasing it
    /// spares others 30 s (R5-37).
    fn close(&mut self, partition: PartitionId) {
        // From here on somebody else may own it, whether or not the answer comes.
        self.ownership.forget(partition);
        self.reading.insert(partition, Reading::Closed);
        let kind = self.owned().leases.kind;
        self.release(kind, partition);
    }

    fn release(&mut self, kind: LeaseType, partition: PartitionId) {
        let set = self.set(kind);
        if let Some(lease) = set.start_release(partition) {
            let leases = set.leases.clone();
            self.work.push(Box::pin(async move {
                let released = leases.release(&lease).await;
                Done::Released(kind, partition, released)
            }));
        }
    }

    /// Tells the others that they may have all partitions; ownership follows when they are
    /// drained.
    fn release_intents(&mut self) {
        if self.ownerships.is_some() {
            for partition in self.shares.kept() {
                self.release(LeaseType::Intent, partition);
            }
        }
        self.shares.cancel_pass();
        self.owned().cancel_pass();
    }

    /// A lease that is no longer ours.
    fn lose(&mut self, kind: LeaseType, partition: PartitionId) {
        tracing::warn!(%partition, ?kind, "lease lost");
        self.set(kind).remove(partition);
        if kind == LeaseType::Intent {
            return;
        }
        self.ownership.forget(partition);
        let told = self.reading.remove(&partition);
        if let Some(Reading::Open | Reading::Draining(_)) = told {
            self.host.lost(partition);
        }
        self.want_ownership(OWNERSHIP_PAUSE);
    }

    fn lose_stale(&mut self) {
        let now = self.config.env.monotonic();
        for partition in self.shares.stale(now) {
            let kind = self.shares.leases.kind;
            self.lose(kind, partition);
        }
        for partition in self.owned().stale(now) {
            // It may still bear our name when storage can be reached again.
            self.adopts = true;
            self.lose(LeaseType::Ownership, partition);
        }
    }

    /// Sets the time of the next pass for ownership.
    fn want_ownership(&mut self, pause: Duration) {
        let at = self.config.env.monotonic().saturating_add(pause);
        if let Some(ownerships) = &mut self.ownerships {
            ownerships.want_pass(at);
        }
    }

    fn take_in(&mut self, done: Done) {
        match done {
            Done::Taken(kind, taken) => self.taken(kind, taken),
            Done::Renewed(kind, partition, token, renewal) => {
                match self.set(kind).end_renewal(partition, &token, renewal) {
                    Some(Renewal::Prolonged(sent)) if kind != LeaseType::Intent => {
                        self.ownership.renew(partition, sent);
                    }
                    Some(Renewal::Lost) => self.lose(kind, partition),
                    _ => {}
                }
            }
            Done::QueueMade(partition, made) => {
                if !matches!(self.reading.get(&partition), Some(Reading::Opening)) {
                    return;
                }
                match made {
                    Ok(_) => {
                        tracing::info!(%partition, "partition acquired");
                        self.reading.insert(partition, Reading::Open);
                        self.host.acquired(partition);
                    }
                    Err(error) => {
                        tracing::warn!(%error, "a control queue could not be made; its lease is given back");
                        self.close(partition);
                    }
                }
            }
            Done::Released(kind, partition, released) => {
                self.is_unreachable |= !released;
                self.set(kind).remove(partition);
                if kind != LeaseType::Intent {
                    self.reading.remove(&partition);
                    self.want_ownership(OWNERSHIP_PAUSE);
                    tracing::info!(%partition, "partition released");
                }
            }
        }
    }

    /// Takes in what a pass brought, and sets the time of the next.
    fn taken(&mut self, kind: LeaseType, taken: Option<Vec<Lease>>) {
        let now = self.config.env.monotonic();
        let pause = match kind {
            LeaseType::Default | LeaseType::Intent => self.config.acquire_interval,
            LeaseType::Ownership if now < self.eager_until => EAGER_OWNERSHIP_PAUSE,
            LeaseType::Ownership => OWNERSHIP_PAUSE,
        };
        if kind == LeaseType::Ownership && taken.is_some() {
            self.adopts = false;
        }
        let set = self.set(kind);
        set.end_pass(now.saturating_add(pause));
        let leases = taken.unwrap_or_default();
        if kind == LeaseType::Intent && !leases.is_empty() {
            self.eager_until = now.saturating_add(EAGER_TIME);
            // At once, not at the next tick (R5-39).
            self.want_ownership(Duration::ZERO);
        }
        for lease in leases {
            if kind != LeaseType::Intent {
                self.ownership.renew(lease.partition, lease.renewed);
            }
            self.set(kind).add(lease);
        }
    }
}

/// A pass of the taker, given up when the leases it takes would be over.
fn limited(
    env: Env,
    limit: Duration,
    kind: LeaseType,
    pass: impl Future<Output = StorageResult<Vec<Lease>>> + Send + 'static,
) -> BoxFuture<'static, Done> {
    Box::pin(async move {
        let taken = match env.timeout(limit, pass).await {
            Ok(Ok(taken)) => Some(taken),
            Ok(Err(error)) => {
                tracing::warn!(%error, ?kind, "a pass over the lease blobs failed");
                None
            }
            Err(elapsed) => {
                tracing::warn!(%elapsed, ?kind, "a pass over the lease blobs took too long");
                None
            }
        };
        Done::Taken(kind, taken)
    })
}
