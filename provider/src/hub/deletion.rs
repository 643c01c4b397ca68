//! Removing a hub (chapter 01 §1.7).

use durabletask_storage::{Account, ErrorKind, Result as StorageResult};
use futures::future::{BoxFuture, FutureExt, join_all};

use super::error::HubError;
use super::settings::HubSettings;
use crate::partition::app_lease_id;

/// Removes the hub with all it holds, the records of every ownership manager included (R1-17).
/// What is not there is no error; all is tried, then the first failure is reported. Stop all
/// workers first. Creating the hub again at once meets resources that are still being deleted.
///
/// Price: one list and one delete per queue, 4 table and 4 blob requests.
pub async fn delete_hub(account: &Account, settings: &HubSettings) -> Result<(), HubError> {
    settings.validate()?;
    let names = settings.names();
    // Listing finds control queues of an earlier, larger partition count as well.
    let prefix = format!("{}-control-", settings.hub_name.to_lowercase());
    let mut queues = account.queues.list_queues(&prefix).await?;
    queues.push(names.work_item_queue());
    let mut parallel: Vec<BoxFuture<'_, StorageResult<bool>>> = Vec::new();
    for queue in &queues {
        parallel.push(account.queues.delete_queue(queue));
    }
    for table in [
        names.history_table(),
        names.instances_table(),
        names.partitions_table(),
        names.poison_table(),
    ] {
        parallel.push(async move { account.tables.delete_table(&table).await }.boxed());
    }
    for container in [names.lease_container(), names.large_message_container()] {
        parallel.push(async move { account.blobs.delete_container(&container).await }.boxed());
    }
    let app_lease = names.app_lease_container();
    let app = app_lease_id(&settings.app_name);
    parallel.push(
        async move {
            // Our own app's workers have stopped; their lease outlives them by a minute.
            let release = account.blobs.release_lease(&app_lease, None, &app).await;
            match release.map_err(|error| error.kind()) {
                Ok(()) | Err(ErrorKind::LeaseLost | ErrorKind::NotFound) => {}
                Err(kind) => tracing::debug!(?kind, "the app lease could not be released"),
            }
            // Another app may hold the app lease; then .NET leaves the container, too.
            match account.blobs.delete_container(&app_lease).await {
                Err(error) if error.kind() == ErrorKind::LeaseLost => Ok(false),
                other => other,
            }
        }
        .boxed(),
    );
    for outcome in join_all(parallel).await {
        match outcome {
            Err(error) if error.kind() != ErrorKind::BeingDeleted => return Err(error.into()),
            _ => {}
        }
    }
    Ok(())
}
