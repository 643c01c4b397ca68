//! What a hub looks like from outside, for operators.

use durabletask_core::Timestamp;
use durabletask_storage::{Account, Env, ErrorKind, Query, Result as StorageResult};
use futures::future::try_join_all;

use super::check::check_hub;
use super::error::HubError;
use super::records::{LeaseBlob, lease_blobs, read_rows};
use super::settings::{HubSettings, PartitionManagement};
use crate::partition::{AppLeaseState, LeaseRecord, LeaseRow, app_lease_state};

/// A hub at a glance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HubOverview {
    /// Its control queues in order, one for each partition.
    pub partitions: Vec<PartitionOverview>,
    /// Activities that wait or run, roughly; `None` if their queue is missing.
    pub work_items: Option<u64>,
    /// Which of several apps processes the hub.
    pub app_lease: AppLeaseState,
}

/// One partition at a glance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionOverview {
    /// The control queue.
    pub queue: String,
    /// Messages in it, invisible ones included, roughly; `None` if it is missing.
    pub messages: Option<u64>,
    /// The leases by which the hub's manager shares it: one, or with the safe manager intent and
    /// ownership.
    pub leases: Vec<LeaseOverview>,
}

/// One lease of a partition, as its record says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaseOverview {
    /// What it stands for.
    pub kind: LeaseKind,
    /// The row's table, or container and name of the blob.
    pub place: String,
    /// Who holds it; if nobody does, who held it last and did not let go.
    pub holder: Option<String>,
    /// Whether it is held.
    pub is_held: bool,
    /// Until when, if the record says.
    pub expires_at: Option<Timestamp>,
    /// The worker that waits for the holder to let go, with the table manager.
    pub claimant: Option<String>,
    /// Whether the record is there and can be read.
    pub record: RecordState,
}

/// What a lease stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LeaseKind {
    /// Whoever holds it reads the queue, and others may ask for it (table) or steal it (legacy).
    Partition,
    /// Who shall read the queue (safe).
    Intent,
    /// Who reads the queue (safe).
    Ownership,
}

/// Whether a lease has a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecordState {
    /// It has.
    Readable,
    /// It has none: nobody can own the partition.
    Missing,
    /// No worker can read it.
    Unreadable,
}

impl LeaseKind {
    /// The word for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Partition => "partition",
            Self::Intent => "intent",
            Self::Ownership => "ownership",
        }
    }
}

impl PartitionOverview {
    /// The worker that reads the queue.
    pub fn owner(&self) -> Option<&str> {
        let mut of_owner = self.leases.iter().filter(|lease| {
            let is_owner = lease.kind != LeaseKind::Intent;
            is_owner && lease.is_held
        });
        of_owner.next()?.holder.as_deref()
    }

    /// The worker that is to read it next, while that is another one than the owner.
    pub fn next_owner(&self) -> Option<&str> {
        let next = self.leases.iter().find_map(|lease| match lease.kind {
            LeaseKind::Intent if lease.is_held => lease.holder.as_deref(),
            LeaseKind::Partition => lease.claimant.as_deref(),
            _ => None,
        });
        next.filter(|next| Some(*next) != self.owner())
    }
}

/// Whether the hub exists; refuses settings that contradict it, because a client with another
/// partition count sends messages where nobody reads them. Changes nothing.
///
/// Price: one table request, and two or three requests of checks if it exists.
pub async fn find_hub(
    account: &Account,
    settings: &HubSettings,
    env: &Env,
) -> Result<bool, HubError> {
    settings.validate()?;
    // Not by a list of tables: whoever made the hub may have spelled its name in other letters.
    let any = Query {
        top: Some(1),
        ..Query::default()
    };
    let instances = settings.names().instances_table();
    match account.tables.query(&instances, &any).await {
        Err(error) if error.is_not_found() => return Ok(false),
        found => drop(found?),
    }
    check_hub(account, settings, env).await?;
    Ok(true)
}

/// Queue lengths, partition owners by the manager of the settings, and the app lease. Price: one
/// queue request for each partition and for activities; one table request, or with the blob
/// managers one blob request and one for each lease; two blob requests for the app lease.
pub async fn hub_overview(
    account: &Account,
    settings: &HubSettings,
) -> Result<HubOverview, HubError> {
    let names = settings.names();
    let mut partitions = Vec::new();
    for (index, leases) in (0..).zip(partition_leases(account, settings).await?) {
        let queue = names.control_queue(index);
        partitions.push(PartitionOverview {
            messages: count(account, &queue).await?,
            leases,
            queue,
        });
    }
    Ok(HubOverview {
        partitions,
        work_items: count(account, &names.work_item_queue()).await?,
        app_lease: app_lease_state(account, settings).await?,
    })
}

/// The leases of each partition.
async fn partition_leases(
    account: &Account,
    settings: &HubSettings,
) -> Result<Vec<Vec<LeaseOverview>>, HubError> {
    let names = settings.names();
    let indexes = 0..settings.partition_count;
    if settings.partition_management == PartitionManagement::Table {
        let (rows, now) = (read_rows(account, settings).await?, account.clock.now());
        let of_row = |index| {
            let queue = names.control_queue(index);
            let row = rows.iter().find(|row| row.queue == queue);
            vec![LeaseOverview::of_row(names.partitions_table(), row, now)]
        };
        return Ok(indexes.map(of_row).collect());
    }
    let listed = lease_blobs(account, settings).await?;
    let container = names.lease_container();
    let read = async |kind, blob: String| {
        let found = listed.iter().find(|found| found.name == blob);
        LeaseOverview::of_blob(account, &container, kind, blob, found).await
    };
    let of_partition = async |index| match settings.partition_management {
        PartitionManagement::Safe => Ok(vec![
            read(LeaseKind::Intent, names.intent_lease_blob(index)).await?,
            read(LeaseKind::Ownership, names.ownership_lease_blob(index)).await?,
        ]),
        _ => read(LeaseKind::Partition, names.legacy_lease_blob(index))
            .await
            .map(|lease| vec![lease]),
    };
    let leases: StorageResult<Vec<_>> = try_join_all(indexes.map(of_partition)).await;
    Ok(leases?)
}

impl LeaseOverview {
    fn missing(kind: LeaseKind, place: String) -> Self {
        Self {
            kind,
            place,
            holder: None,
            is_held: false,
            expires_at: None,
            claimant: None,
            record: RecordState::Missing,
        }
    }

    fn of_row(table: String, row: Option<&LeaseRow>, now: Timestamp) -> Self {
        let lease = Self::missing(LeaseKind::Partition, table);
        let Some(row) = row else {
            return lease;
        };
        Self {
            holder: row.current_owner.clone(),
            is_held: row.is_live(now),
            expires_at: row.expires_at,
            claimant: row.next_owner.clone(),
            record: RecordState::Readable,
            ..lease
        }
    }

    async fn of_blob(
        account: &Account,
        container: &str,
        kind: LeaseKind,
        blob: String,
        listed: Option<&LeaseBlob>,
    ) -> StorageResult<Self> {
        let lease = Self::missing(kind, format!("{container}/{blob}"));
        let content = account.blobs.get_blob(container, &blob).await?;
        let (Some(content), Some(listed)) = (content, listed) else {
            return Ok(lease);
        };
        let record = LeaseRecord::read(&content.content);
        let state = match record {
            Ok(_) => RecordState::Readable,
            Err(_) => RecordState::Unreadable,
        };
        Ok(Self {
            holder: record.ok().and_then(|record| record.owner),
            is_held: listed.leased,
            record: state,
            ..lease
        })
    }
}

/// Messages in a queue; `None` if it is missing.
async fn count(account: &Account, queue: &str) -> Result<Option<u64>, HubError> {
    match account.queues.count_messages(queue).await {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        counted => Ok(Some(counted?)),
    }
}
