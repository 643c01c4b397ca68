//! What a hub is made of, and is not there.

use durabletask_azurestorage::hub::{HubOverview, PartitionManagement, RecordState, TaskHubInfo};
use durabletask_azurestorage::wire::names::TASK_HUB_BLOB;
use durabletask_azurestorage::{TaskHub, TaskHubError};
use durabletask_storage::Query;

use super::{Repair, Trouble};
use crate::failure::Failure;

/// Tables, queues, containers and lease records that are missing, or that nobody can read.
/// Price: three table requests and one blob request, two with the blob managers.
pub(super) async fn missing(
    hub: &TaskHub,
    overview: &HubOverview,
) -> Result<Vec<Trouble>, Failure> {
    let mut troubles = missing_tables(hub).await?;
    troubles.extend(missing_queues(hub, overview));
    troubles.extend(missing_containers(hub).await?);
    let is_table_missing = troubles.iter().any(|trouble| {
        let table = hub.names().partitions_table();
        trouble.sentence.contains(&table)
    });
    if !is_table_missing {
        troubles.extend(lease_records(overview));
    }
    Ok(troubles)
}

fn made_anew(what: &str, loss: &str) -> Trouble {
    Trouble {
        sentence: format!("{what} is missing{loss}; it is made anew"),
        repair: Some(Repair::Create),
    }
}

async fn missing_tables(hub: &TaskHub) -> Result<Vec<Trouble>, Failure> {
    let names = hub.names();
    let mut tables = vec![(names.history_table(), ", with all histories")];
    if hub.settings().partition_management == PartitionManagement::Table {
        tables.push((
            names.partitions_table(),
            ", so that no worker reads a queue",
        ));
    }
    let any = Query {
        top: Some(1),
        ..Query::default()
    };
    let mut troubles = Vec::new();
    for (table, loss) in tables {
        match hub.account().tables.query(&table, &any).await {
            Err(error) if error.is_not_found() => {
                troubles.push(made_anew(&format!("table {table}"), loss));
            }
            found => drop(found.map_err(TaskHubError::from)?),
        }
    }
    Ok(troubles)
}

fn missing_queues(hub: &TaskHub, overview: &HubOverview) -> Vec<Trouble> {
    let control = overview.partitions.iter().map(|p| (&*p.queue, p.messages));
    let work_items = hub.names().work_item_queue();
    let all = control.chain([(&*work_items, overview.work_items)]);
    let missing = all.filter(|(_, messages)| messages.is_none());
    missing
        .map(|(queue, _)| made_anew(&format!("queue {queue}"), ", with its messages"))
        .collect()
}

async fn missing_containers(hub: &TaskHub) -> Result<Vec<Trouble>, Failure> {
    let (names, settings) = (hub.names(), hub.settings());
    let mut containers = vec![names.app_lease_container()];
    if settings.partition_management != PartitionManagement::Table {
        containers.push(names.lease_container());
    }
    let mut troubles = Vec::new();
    for container in containers {
        let found = hub.account().blobs.list_containers(&container).await;
        let found = found.map_err(TaskHubError::from)?;
        if !found.iter().any(|found| found.name == container) {
            troubles.push(made_anew(&format!("container {container}"), ""));
        }
    }
    if settings.partition_management != PartitionManagement::Table
        && TaskHubInfo::load(hub.account(), names).await?.is_none()
    {
        let blob = format!("blob {}/{TASK_HUB_BLOB}", names.lease_container());
        troubles.push(made_anew(&blob, ", which tells the partition count"));
    }
    Ok(troubles)
}

fn lease_records(overview: &HubOverview) -> Vec<Trouble> {
    let mut troubles = Vec::new();
    for partition in &overview.partitions {
        for lease in &partition.leases {
            let queue = &partition.queue;
            let place = &lease.place;
            match lease.record {
                RecordState::Readable => {}
                RecordState::Missing => troubles.push(made_anew(
                    &format!("the lease record of {queue} in {place}"),
                    ", so that no worker reads that queue",
                )),
                RecordState::Unreadable => {
                    let (container, blob) = place.split_once('/').unwrap_or_default();
                    troubles.push(Trouble {
                        sentence: format!(
                            "the lease record {place} is not what any worker writes, so that \
                             none reads {queue}; it is made anew"
                        ),
                        repair: Some(Repair::Replace {
                            container: container.to_owned(),
                            blob: blob.to_owned(),
                        }),
                    });
                }
            }
        }
    }
    troubles
}
