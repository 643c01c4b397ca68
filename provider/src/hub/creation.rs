//! Making a hub (chapter 01 §1.4).

use std::future::Future;
use std::time::Duration;

use bytes::Bytes;
use durabletask_storage::{
    Account, Env, ErrorKind, PutCondition, Result as StorageResult, StorageError, Write,
};
use futures::future::{BoxFuture, FutureExt, try_join_all};

use super::check::{check_hub, check_main_account};
use super::error::HubError;
use super::open::main_account;
use super::settings::{HubSettings, PartitionManagement};
use super::task_hub_json::TaskHubInfo;
use crate::partition::{LeaseRecord, LeaseRow, PartitionId};
use crate::wire::names::{HubNames, TASK_HUB_BLOB};

/// How often and how long to wait for a resource of the same name that is still being deleted:
/// 40 s or more on a real account (R1-12).
const DELETION_RETRIES: u32 = 18;
const DELETION_PAUSE: Duration = Duration::from_secs(5);

/// Makes what is missing of the hub, in the order of .NET; harmless on a hub that exists and while
/// others create it (R1-09). Refuses first when the settings are out of range or contradict the
/// hub: another partition count, workers with another partition management, or workers whose
/// leases are in another account (R1-14, R5-02, R1-05).
///
/// Price with the table manager and four partitions: 2 blob, 7 table and 5 queue requests; the
/// checks 1 table and 1 blob request, on a new hub 1 blob request more, with a tracking store 1
/// table request more. While a hub of that name
/// is being deleted it waits up to 90 s.
pub async fn create_hub(
    account: &Account,
    settings: &HubSettings,
    env: &Env,
) -> Result<(), HubError> {
    settings.validate()?;
    check_hub(account, settings, env).await?;
    if settings.partition_management == PartitionManagement::Table
        && let Some(main) = main_account(settings, env)?
    {
        check_main_account(&main, settings).await?;
    }
    let names = settings.names();
    let maker = Maker { account, env };
    maker.app_lease(&names).await?;
    if settings.partition_management == PartitionManagement::Table {
        maker.table(names.partitions_table()).await?;
    } else {
        maker.container(names.lease_container()).await?;
        maker.describe(&names, settings).await?;
    }
    let management = settings.partition_management;
    let highest = settings.partition_count.saturating_sub(1);
    // The highest record first: whoever reads a table left half made learns the right count.
    maker.lease_record(&names, management, highest).await?;
    let mut parallel: Vec<BoxFuture<'_, StorageResult<()>>> = vec![
        maker.table(names.history_table()).boxed(),
        maker.table(names.instances_table()).boxed(),
        maker.queue(names.work_item_queue()).boxed(),
    ];
    for index in 0..settings.partition_count {
        parallel.push(maker.queue(names.control_queue(index)).boxed());
        if index < highest {
            let record = maker.lease_record(&names, management, index);
            parallel.push(record.boxed());
        }
    }
    try_join_all(parallel).await?;
    Ok(())
}

/// Creates resources, whether or not they are there.
struct Maker<'a> {
    account: &'a Account,
    env: &'a Env,
}

impl Maker<'_> {
    async fn table(&self, table: String) -> StorageResult<()> {
        self.patiently(|| self.account.tables.create_table(&table))
            .await
    }

    async fn queue(&self, queue: String) -> StorageResult<()> {
        self.patiently(|| self.account.queues.create_queue(&queue))
            .await
    }

    async fn container(&self, container: String) -> StorageResult<()> {
        self.patiently(|| self.account.blobs.create_container(&container))
            .await
    }

    /// Waits while a resource of that name is being deleted.
    async fn patiently<F, T>(&self, mut create: impl FnMut() -> F) -> StorageResult<()>
    where
        F: Future<Output = StorageResult<T>>,
    {
        for _ in 0..DELETION_RETRIES {
            match create().await {
                Err(error) if error.kind() == ErrorKind::BeingDeleted => {
                    tracing::info!(%error, "waiting until the old one is gone");
                    self.env.sleep(DELETION_PAUSE).await;
                }
                other => return other.map(drop),
            }
        }
        create().await.map(drop)
    }

    /// The app lease's container and blob, which .NET makes even with the app lease off (R1-10).
    async fn app_lease(&self, names: &HubNames) -> StorageResult<()> {
        let container = names.app_lease_container();
        self.container(container.clone()).await?;
        let info = names.app_lease_blob();
        self.blob_if_absent(&container, &info, Bytes::from_static(b"{}"))
            .await
    }

    async fn blob_if_absent(
        &self,
        container: &str,
        blob: &str,
        content: Bytes,
    ) -> StorageResult<()> {
        let blobs = &self.account.blobs;
        let put = blobs.put_blob(container, blob, content, PutCondition::Absent, None);
        put.await.map(drop).or_else(unless_there)
    }

    /// Writes `taskhub.json` if it is missing or, with a partition count change allowed, stale.
    async fn describe(&self, names: &HubNames, settings: &HubSettings) -> Result<(), HubError> {
        let found = TaskHubInfo::load(self.account, names).await?;
        let stale = match &found {
            None => true,
            Some(info) => info.partition_count != settings.partition_count,
        };
        if !stale {
            return Ok(());
        }
        let condition = match found {
            None => PutCondition::Absent,
            Some(_) => PutCondition::Always,
        };
        let info = TaskHubInfo {
            task_hub_name: Some(settings.hub_name.clone()),
            created_at: self.env.now(),
            partition_count: settings.partition_count,
        };
        let container = names.lease_container();
        let blobs = &self.account.blobs;
        let put = blobs.put_blob(&container, TASK_HUB_BLOB, info.to_json(), condition, None);
        put.await.map(drop).or_else(unless_there)?;
        Ok(())
    }

    /// The record of a partition's lease, for whichever manager is in use.
    async fn lease_record(
        &self,
        names: &HubNames,
        management: PartitionManagement,
        index: u32,
    ) -> StorageResult<()> {
        match management {
            PartitionManagement::Table => self.partition_row(names, index).await,
            PartitionManagement::Safe => {
                self.lease_blob(names, index, names.intent_lease_blob(index))
                    .await?;
                self.lease_blob(names, index, names.ownership_lease_blob(index))
                    .await
            }
            PartitionManagement::Legacy => {
                self.lease_blob(names, index, names.legacy_lease_blob(index))
                    .await
            }
        }
    }

    async fn partition_row(&self, names: &HubNames, index: u32) -> StorageResult<()> {
        let row = LeaseRow::free(PartitionId::new(index), names.control_queue(index));
        let insert = Write::Insert(row.to_row());
        let table = names.partitions_table();
        let inserted = self.account.tables.write(&table, insert).await;
        inserted.map(drop).or_else(unless_there)
    }

    /// An empty lease (§5.4).
    async fn lease_blob(&self, names: &HubNames, index: u32, blob: String) -> StorageResult<()> {
        let queue = names.control_queue(index);
        let content = LeaseRecord::free(queue).to_json();
        self.blob_if_absent(&names.lease_container(), &blob, content)
            .await
    }
}

/// A record that is there already, or leased by a worker, is as good as made.
fn unless_there(error: StorageError) -> StorageResult<()> {
    match error.kind() {
        ErrorKind::AlreadyExists | ErrorKind::PreconditionFailed | ErrorKind::LeaseLost => Ok(()),
        _ => Err(error),
    }
}
