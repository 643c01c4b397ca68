//! What a hub's own records say about how it is shared: the rows and blobs of the ownership
//! managers, and `taskhub.json` (chapter 01 §1.5, §5).

use durabletask_core::Timestamp;
use durabletask_storage::{Account, Query};

use super::error::HubError;
use super::settings::{HubSettings, PartitionManagement};
use super::task_hub_json::TaskHubInfo;
use crate::partition::{LeaseRow, PartitionId};

/// How a hub was made, as far as it tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct HubRecords {
    /// Its control queues.
    pub partition_count: Option<u32>,
    /// The manager that is at work; if none is, the one that has left its records.
    pub partition_management: Option<PartitionManagement>,
}

/// Reads how a hub was made, for programs that look at hubs of others: workers and clients of an
/// app have it in their settings, and are refused when those contradict the hub. Nothing is known
/// of a hub that is not there.
///
/// Price: one table and one blob request; if the partition count is not known from the rows, one
/// blob request more, and one queue request if it is not known at all.
pub async fn hub_records(
    account: &Account,
    settings: &HubSettings,
) -> Result<HubRecords, HubError> {
    let rows = read_rows(account, settings).await?;
    let blobs = lease_blobs(account, settings).await?;
    let active = active_managers(&rows, &blobs, account.clock.now());
    let left = [
        (PartitionManagement::Table, !rows.is_empty()),
        (PartitionManagement::Safe, any_in(&blobs, "ownership/")),
        (PartitionManagement::Legacy, any_in(&blobs, "default/")),
    ];
    let mut left = left.into_iter().filter(|(_, is_there)| *is_there);
    let partition_management = active
        .first()
        .copied()
        .or_else(|| left.next().map(|(management, _)| management));
    let of_rows = Some(count_of(&rows)).filter(|count| *count > 0);
    let partition_count = match partition_management {
        Some(PartitionManagement::Table) => of_rows,
        _ => count_of_json(account, settings).await?.or(of_rows),
    };
    let partition_count = match partition_count {
        None => count_of_queues(account, settings).await?,
        some => some,
    };
    Ok(HubRecords {
        partition_count,
        partition_management,
    })
}

/// Partitions by the control queues that are there, which outlive lost records; those of an earlier,
/// larger partition count as well.
async fn count_of_queues(
    account: &Account,
    settings: &HubSettings,
) -> Result<Option<u32>, HubError> {
    let hub = settings.hub_name.to_lowercase();
    let prefix = format!("{hub}-control-");
    let queues = account.queues.list_queues(&prefix).await?;
    let indexes = queues.iter();
    let indexes = indexes.filter_map(|queue| PartitionId::from_queue(&hub, queue));
    Ok(indexes.map(|partition| partition.index() + 1).max())
}

fn any_in(blobs: &[LeaseBlob], folder: &str) -> bool {
    blobs.iter().any(|blob| blob.name.starts_with(folder))
}

pub(super) async fn count_of_json(
    account: &Account,
    settings: &HubSettings,
) -> Result<Option<u32>, HubError> {
    let info = TaskHubInfo::load(account, &settings.names()).await?;
    Ok(info.map(|info| info.partition_count))
}

/// Partitions that the rows speak of: creation inserts the highest one first, so that a hub left
/// half made is not mistaken for a smaller one.
pub(super) fn count_of(rows: &[LeaseRow]) -> u32 {
    let highest = rows.iter().map(|row| row.partition.index()).max();
    highest.map_or(0, |index| index + 1)
}

/// All rows of `{Hub}Partitions`; none if the table is missing.
pub(super) async fn read_rows(
    account: &Account,
    settings: &HubSettings,
) -> Result<Vec<LeaseRow>, HubError> {
    let table = settings.names().partitions_table();
    let hub = settings.hub_name.to_lowercase();
    let mut rows = Vec::new();
    let mut query = Query::default();
    loop {
        let page = match account.tables.query(&table, &query).await {
            Ok(page) => page,
            Err(error) if error.is_not_found() => return Ok(rows),
            Err(error) => return Err(error.into()),
        };
        rows.extend(page.rows.iter().filter_map(|row| LeaseRow::read(&hub, row)));
        query.continuation = page.continuation;
        if query.continuation.is_none() {
            return Ok(rows);
        }
    }
}

/// A blob in `{hub}-leases`.
pub(super) struct LeaseBlob {
    /// Folder and control queue, or another name.
    pub(super) name: String,
    /// Whether somebody holds its lease.
    pub(super) leased: bool,
}

/// All blobs of `{hub}-leases`; none if the container is missing. One blob request per 5,000.
pub(super) async fn lease_blobs(
    account: &Account,
    settings: &HubSettings,
) -> Result<Vec<LeaseBlob>, HubError> {
    let container = settings.names().lease_container();
    let mut found = Vec::new();
    let mut marker: Option<String> = None;
    loop {
        let listed = account.blobs.list_blobs(&container, "", marker.as_deref());
        let page = match listed.await {
            Ok(page) => page,
            Err(error) if error.is_not_found() => return Ok(found),
            Err(error) => return Err(error.into()),
        };
        found.extend(page.blobs.into_iter().map(|blob| LeaseBlob {
            name: blob.name,
            leased: blob.leased,
        }));
        marker = page.marker;
        if marker.is_none() {
            return Ok(found);
        }
    }
}

/// The managers whose workers hold leases at `now`.
pub(super) fn active_managers(
    rows: &[LeaseRow],
    blobs: &[LeaseBlob],
    now: Timestamp,
) -> Vec<PartitionManagement> {
    let leased = |folder: &str| {
        let mut of_folder = blobs.iter().filter(|blob| blob.name.starts_with(folder));
        of_folder.any(|blob| blob.leased)
    };
    let active = [
        (
            PartitionManagement::Table,
            rows.iter().any(|row| row.is_live(now)),
        ),
        (
            PartitionManagement::Safe,
            leased("intent/") || leased("ownership/"),
        ),
        (PartitionManagement::Legacy, leased("default/")),
    ];
    let active = active.into_iter().filter(|(_, is_active)| *is_active);
    active.map(|(management, _)| management).collect()
}
