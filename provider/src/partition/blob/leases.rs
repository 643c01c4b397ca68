//! The lease blobs of one type, as requests (chapter 01 §5.4).

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use durabletask_storage::{Blobs, Env, ErrorKind, PutCondition, Result};
use futures::future::{join_all, try_join_all};

use super::balance::{Take, decide};
use super::record::LeaseRecord;
use crate::partition::PartitionId;

/// The three types of lease blobs, by their folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LeaseType {
    /// The one lease of the legacy manager.
    Default,
    /// Who shall own a partition, with the safe manager.
    Intent,
    /// Who owns it, with the safe manager; never stolen (R5-36).
    Ownership,
}

impl LeaseType {
    const fn folder(self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::Intent => "intent",
            Self::Ownership => "ownership",
        }
    }
}

/// A lease that this worker holds.
#[derive(Debug, Clone)]
pub(super) struct Lease {
    pub(super) partition: PartitionId,
    blob: String,
    record: LeaseRecord,
    /// When the request that last prolonged it was sent, on the monotonic clock.
    pub(super) renewed: Duration,
}

impl Lease {
    /// The lease id.
    pub(super) fn token(&self) -> &str {
        self.record.token.as_deref().unwrap_or_default()
    }
}

/// What a renewal told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Renewal {
    /// Prolonged; the request was sent at that monotonic time.
    Prolonged(Duration),
    /// Somebody else has it, or the blob is gone.
    Lost,
    /// No answer: it may still be ours.
    Unknown,
}

/// A lease blob as listed and read.
struct Seen {
    partition: PartitionId,
    blob: String,
    record: LeaseRecord,
    leased: bool,
}

/// Access to the lease blobs of one type. A cheap handle.
#[derive(Debug, Clone)]
pub(super) struct Leases {
    pub(super) kind: LeaseType,
    pub(super) blobs: Arc<dyn Blobs>,
    pub(super) env: Env,
    pub(super) container: Arc<str>,
    /// The hub's name in lower case.
    pub(super) hub: Arc<str>,
    pub(super) worker_id: Arc<str>,
    pub(super) length: Duration,
    /// Longest time for one renewal or release.
    pub(super) limit: Duration,
}

impl Leases {
    /// One pass of the taker with balancing, for the types that are stolen: adopts what is ours
    /// by name but not in `held`, then takes what the balance allows (§5.5). Price: one list, one
    /// read per blob; 2 requests per acquisition, 3 for a theft.
    pub(super) async fn take_share(self, held: BTreeSet<PartitionId>) -> Result<Vec<Lease>> {
        let listed = self.list().await?;
        let seen = self.read(listed).await?;
        let mut taken = self.adopt(&seen, &held).await;
        let holders: Vec<_> = seen
            .iter()
            .map(|seen| seen.record.holder(seen.leased))
            .collect();
        match decide(&holders, &self.worker_id) {
            Take::Nothing => {}
            Take::Acquire { free, need } => {
                let free = free.into_iter().map(|index| &seen[index]);
                taken.extend(self.acquire(free, need).await?);
            }
            Take::StealOne(candidates) => {
                for index in candidates {
                    if let Some(lease) = self.steal(&seen[index]).await? {
                        taken.push(lease);
                        break;
                    }
                }
            }
        }
        Ok(taken)
    }

    /// One pass of the taker of ownership: takes what is free among `wanted`, and never steals
    /// (R5-36). What is ours by name, from before a restart, is adopted if `adopt` says so. Price:
    /// one list; one read and 2 requests per acquisition.
    pub(super) async fn take_free(
        self,
        wanted: BTreeSet<PartitionId>,
        adopt: bool,
    ) -> Result<Vec<Lease>> {
        let mut listed = self.list().await?;
        listed.retain(|(partition, _, leased)| wanted.contains(partition) && (adopt || !leased));
        let seen = self.read(listed).await?;
        let mut taken = self.adopt(&seen, &BTreeSet::new()).await;
        let free = seen.iter().filter(|seen| !seen.leased);
        taken.extend(self.acquire(free, seen.len()).await?);
        Ok(taken)
    }

    /// Partition, blob name and lease state of every blob of this type (R1-16: all that exist).
    async fn list(&self) -> Result<Vec<(PartitionId, String, bool)>> {
        let folder = self.kind.folder();
        let mut listed = Vec::new();
        let mut marker: Option<String> = None;
        loop {
            let page = self
                .blobs
                .list_blobs(&self.container, folder, marker.as_deref())
                .await?;
            for blob in page.blobs {
                let queue = blob.name.strip_prefix(folder).unwrap_or_default();
                let queue = queue.trim_start_matches('/');
                if let Some(partition) = PartitionId::from_queue(&self.hub, queue) {
                    listed.push((partition, blob.name, blob.leased));
                }
            }
            marker = page.marker;
            if marker.is_none() {
                return Ok(listed);
            }
        }
    }

    /// The records of these blobs. One that nobody can read is left alone.
    async fn read(&self, listed: Vec<(PartitionId, String, bool)>) -> Result<Vec<Seen>> {
        let read = listed.into_iter().map(|(partition, blob, leased)| async move {
            let Some(found) = self.blobs.get_blob(&self.container, &blob).await? else {
                return Ok(None);
            };
            match LeaseRecord::read(&found.content) {
                Ok(record) => Ok(Some(Seen {
                    partition,
                    blob,
                    record,
                    leased,
                })),
                Err(error) => {
                    tracing::error!(blob, %error, "not a lease record; delete that blob, it is made anew at the next start");
                    Ok(None)
                }
            }
        });
        let seen: Result<Vec<_>> = try_join_all(read).await;
        Ok(seen?.into_iter().flatten().collect())
    }

    /// Renews what bears our name but is not in `held`: leases from before a restart.
    async fn adopt(&self, seen: &[Seen], held: &BTreeSet<PartitionId>) -> Vec<Lease> {
        let ours = seen.iter().filter(|seen| {
            let holder = seen.record.holder(seen.leased);
            let by_name = holder.is_some_and(|name| self.is_me(name));
            by_name && seen.record.token.is_some() && !held.contains(&seen.partition)
        });
        let renewed = ours.map(|seen| async move {
            let mut lease = Lease {
                partition: seen.partition,
                blob: seen.blob.clone(),
                record: seen.record.clone(),
                renewed: Duration::ZERO,
            };
            match self.renew(&lease).await {
                Renewal::Prolonged(sent) => {
                    lease.renewed = sent;
                    Some(lease)
                }
                Renewal::Lost | Renewal::Unknown => None,
            }
        });
        join_all(renewed).await.into_iter().flatten().collect()
    }

    /// Worker ids are unique even ignoring case (R6-01).
    fn is_me(&self, owner: &str) -> bool {
        owner.to_lowercase() == self.worker_id.to_lowercase()
    }

    /// Acquires free leases one after the other until `need` are ours.
    async fn acquire(&self, free: impl Iterator<Item = &Seen>, need: usize) -> Result<Vec<Lease>> {
        let mut taken = Vec::new();
        for seen in free {
            if taken.len() == need {
                break;
            }
            let token = self.env.new_uuid().to_string();
            let sent = self.env.monotonic();
            let seconds = u32::try_from(self.length.as_secs()).unwrap_or(u32::MAX);
            let acquired = self
                .blobs
                .acquire_lease(&self.container, Some(&seen.blob), &token, Some(seconds))
                .await;
            match acquired {
                Ok(()) => taken.extend(self.sign(seen, token, sent).await),
                Err(error) if error.kind() == ErrorKind::LeaseLost => {}
                // What was taken so far must be known, or nobody renews it.
                Err(error) => {
                    tracing::warn!(%error, "a free lease could not be acquired");
                    break;
                }
            }
        }
        Ok(taken)
    }

    /// Takes a leased one over with the token that its record shows. The change leaves the rest
    /// of the lease's time as it is, so that a renewal has to follow before we can count on it.
    async fn steal(&self, seen: &Seen) -> Result<Option<Lease>> {
        let Some(theirs) = seen.record.token.as_deref() else {
            return Ok(None);
        };
        let token = self.env.new_uuid().to_string();
        let changed = self
            .blobs
            .change_lease(&self.container, Some(&seen.blob), theirs, &token)
            .await;
        match changed {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::LeaseLost => return Ok(None),
            // The token is not a UUID: no worker wrote it, wait until the lease runs out.
            Err(error) if error.kind() == ErrorKind::Invalid => return Ok(None),
            Err(error) => return Err(error),
        }
        let Some(mut lease) = self.sign(seen, token, Duration::ZERO).await else {
            return Ok(None);
        };
        match self.renew(&lease).await {
            Renewal::Prolonged(sent) => lease.renewed = sent,
            Renewal::Lost | Renewal::Unknown => return Ok(None),
        }
        Ok(Some(lease))
    }

    /// Writes our name and token into the record of a lease that is ours now, so that others can
    /// take it over (R5-30, R5-31). Lets go of a lease that cannot be signed.
    async fn sign(&self, seen: &Seen, token: String, renewed: Duration) -> Option<Lease> {
        let record = seen.record.taken(&self.worker_id, token);
        let lease = Lease {
            partition: seen.partition,
            blob: seen.blob.clone(),
            record,
            renewed,
        };
        let Err(error) = self.put(&lease, &lease.record).await else {
            return Some(lease);
        };
        if error.kind() != ErrorKind::LeaseLost {
            tracing::warn!(%error, "a lease was acquired but could not be signed");
            let released =
                self.blobs
                    .release_lease(&self.container, Some(&lease.blob), lease.token());
            // Without an answer it runs out by itself.
            let _ = released.await;
        }
        None
    }

    async fn put(&self, lease: &Lease, record: &LeaseRecord) -> Result<()> {
        let content = record.to_json();
        let (always, token) = (PutCondition::Always, Some(lease.token()));
        let put = self
            .blobs
            .put_blob(&self.container, &lease.blob, content, always, token);
        put.await.map(drop)
    }

    /// Prolongs a lease; one blob request. An error does not count as renewed, unlike in .NET
    /// (R5-06): the lease is then used until its time is over.
    pub(super) async fn renew(&self, lease: &Lease) -> Renewal {
        let sent = self.env.monotonic();
        let renew = self
            .blobs
            .renew_lease(&self.container, Some(&lease.blob), lease.token());
        match self.env.timeout(self.limit, renew).await {
            Ok(Ok(())) => Renewal::Prolonged(sent),
            Ok(Err(error)) => match error.kind() {
                ErrorKind::LeaseLost | ErrorKind::NotFound => Renewal::Lost,
                _ => {
                    tracing::warn!(%error, "a lease could not be renewed");
                    Renewal::Unknown
                }
            },
            Err(elapsed) => {
                tracing::warn!(blob = lease.blob, %elapsed, "a lease could not be renewed");
                Renewal::Unknown
            }
        }
    }

    /// Blanks the record and lets the lease go; two blob requests. False if storage could not be
    /// reached: then the lease runs out by itself.
    pub(super) async fn release(&self, lease: &Lease) -> bool {
        let release = async {
            self.put(lease, &lease.record.released()).await?;
            self.blobs
                .release_lease(&self.container, Some(&lease.blob), lease.token())
                .await
        };
        match self.env.timeout(self.limit, release).await {
            Ok(Ok(())) => true,
            // Somebody else has it already, or the hub is gone.
            Ok(Err(error))
                if matches!(error.kind(), ErrorKind::LeaseLost | ErrorKind::NotFound) =>
            {
                true
            }
            Ok(Err(error)) => {
                tracing::warn!(%error, "a lease could not be released");
                false
            }
            Err(elapsed) => {
                tracing::warn!(blob = lease.blob, %elapsed, "a lease could not be released");
                false
            }
        }
    }
}
