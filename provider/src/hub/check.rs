//! Whether settings contradict a hub that exists: partition count and ownership manager
//! (chapter 01 §1.5 R1-14, §5.1 R5-02).

use std::time::Duration;

use durabletask_core::Timestamp;
use durabletask_storage::{Account, Env};

use super::error::HubError;
use super::records::{active_managers, count_of, count_of_json, lease_blobs, read_rows};
use super::settings::{HubSettings, PartitionManagement};
use crate::partition::LeaseRow;

/// How often a partition table that seems incomplete is read again, and how long to wait between:
/// another process may be creating the hub at this moment.
const INCOMPLETE_RETRIES: u32 = 3;
const INCOMPLETE_PAUSE: Duration = Duration::from_secs(1);

/// Refuses settings that contradict the hub. Price: one table and one blob request, and one blob
/// request more on a hub without partition rows.
pub(super) async fn check_hub(
    account: &Account,
    settings: &HubSettings,
    env: &Env,
) -> Result<(), HubError> {
    let mut rows = read_rows(account, settings).await?;
    check_manager(account, settings, &rows, account.clock.now()).await?;
    if settings.allow_partition_count_change {
        return Ok(());
    }
    for _ in 0..INCOMPLETE_RETRIES {
        let owned = rows.iter().any(|row| row.owned_since.is_some());
        let fewer = (1..settings.partition_count).contains(&count_of(&rows));
        if owned || !fewer || settings.partition_management != PartitionManagement::Table {
            break;
        }
        env.sleep(INCOMPLETE_PAUSE).await;
        rows = read_rows(account, settings).await?;
    }
    let of_rows = Some(count_of(&rows)).filter(|count| *count > 0);
    let found = if settings.partition_management == PartitionManagement::Table {
        match of_rows {
            None => count_of_json(account, settings).await?,
            some => some,
        }
    } else {
        count_of_json(account, settings).await?.or(of_rows)
    };
    match found {
        Some(found) if found != settings.partition_count => Err(HubError::PartitionCount {
            hub: settings.hub_name.clone(),
            found,
            configured: settings.partition_count,
        }),
        _ => Ok(()),
    }
}

/// Refuses when workers share the partitions in the main account of a hub with a tracking store
/// (R1-05): provider 1.x keeps its table there, we and provider 2.x keep ours in the tracking
/// account, so that nobody would see the other's leases. Rows without a live lease are only warned
/// about; besides, the scale monitor counts them. Price: one table request.
pub(super) async fn check_main_account(
    main: &Account,
    settings: &HubSettings,
) -> Result<(), HubError> {
    let rows = read_rows(main, settings).await?;
    let now = main.clock.now();
    let table = settings.names().partitions_table();
    if rows.iter().any(|row| row.is_live(now)) {
        return Err(HubError::PartitionsInMainAccount {
            hub: settings.hub_name.clone(),
            table,
        });
    }
    if !rows.is_empty() {
        tracing::warn!(
            table,
            "the main account of a hub with a tracking store has a partition table; no worker may use it, delete it"
        );
    }
    Ok(())
}

/// Refuses when workers with another manager are at work.
async fn check_manager(
    account: &Account,
    settings: &HubSettings,
    rows: &[LeaseRow],
    now: Timestamp,
) -> Result<(), HubError> {
    let blobs = lease_blobs(account, settings).await?;
    let configured = settings.partition_management;
    let mut active = active_managers(rows, &blobs, now).into_iter();
    let other = active.find(|found| *found != configured);
    other.map_or(Ok(()), |found| {
        Err(HubError::OtherManager {
            hub: settings.hub_name.clone(),
            found: found.name(),
            configured: configured.name(),
        })
    })
}

#[cfg(test)]
mod tests {
    use durabletask_storage::VirtualEnv;
    use durabletask_storage::Write;
    use durabletask_storage::embedded::EmbeddedStore;

    use super::*;
    use crate::partition::PartitionId;

    #[test]
    fn leases_in_the_main_account_are_refused_while_they_live() {
        // covers: R1-05
        let time = VirtualEnv::new(1);
        let env = time.env();
        time.block_on(async {
            let settings = HubSettings::new("MyHub", 1);
            let main = EmbeddedStore::in_memory(env.clone()).unwrap().account();
            assert!(check_main_account(&main, &settings).await.is_ok());
            let table = settings.names().partitions_table();
            main.tables.create_table(&table).await.unwrap();
            let queue = settings.names().control_queue(0);
            let mut row = LeaseRow::free(PartitionId::new(0), queue);
            row.current_owner = Some("dotnet".to_owned());
            row.expires_at = Some(env.now().saturating_add(Duration::from_secs(30)));
            let insert = Write::Insert(row.to_row());
            main.tables.write(&table, insert).await.unwrap();
            let refused = check_main_account(&main, &settings).await.unwrap_err();
            assert!(refused.to_string().contains("MyHubPartitions"), "{refused}");
            env.sleep(Duration::from_secs(31)).await;
            assert!(check_main_account(&main, &settings).await.is_ok());
        })
        .unwrap();
    }
}
