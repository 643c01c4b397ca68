//! What a hub looks like from outside, for operators.

use durabletask_storage::{Account, Env, ErrorKind, Query};

use super::check::{check_hub, read_rows};
use super::error::HubError;
use super::settings::HubSettings;

/// A hub at a glance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HubOverview {
    /// Its control queues in order, one for each partition.
    pub partitions: Vec<PartitionOverview>,
    /// Activities that wait or run, roughly.
    pub work_items: u64,
}

/// One partition at a glance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionOverview {
    /// The control queue.
    pub queue: String,
    /// Messages in it, invisible ones included, roughly.
    pub messages: u64,
    /// The worker whose lease in the partition table is valid; none under another manager.
    pub owner: Option<String>,
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

/// Queue lengths and partition owners. Price: one table request, and one queue request for each
/// partition and for activities.
pub async fn hub_overview(
    account: &Account,
    settings: &HubSettings,
) -> Result<HubOverview, HubError> {
    let names = settings.names();
    let rows = read_rows(account, settings).await?;
    let now = account.clock.now();
    let mut partitions = Vec::new();
    for index in 0..settings.partition_count {
        let queue = names.control_queue(index);
        let row = rows.iter().find(|row| row.queue == queue);
        partitions.push(PartitionOverview {
            messages: count(account, &queue).await?,
            owner: row
                .filter(|row| row.is_live(now))
                .and_then(|row| row.current_owner.clone()),
            queue,
        });
    }
    Ok(HubOverview {
        partitions,
        work_items: count(account, &names.work_item_queue()).await?,
    })
}

/// Messages in a queue; a queue that is missing has none.
async fn count(account: &Account, queue: &str) -> Result<u64, HubError> {
    match account.queues.count_messages(queue).await {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(0),
        counted => Ok(counted?),
    }
}
