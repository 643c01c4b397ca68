//! What a hub holds after a month of rest: nothing but instances and their blobs; and nothing at
//! all when those are purged.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use durabletask_azurestorage::hub::HubSettings;
use durabletask_azurestorage::wire::large::{self, LargeStore};
use durabletask_azurestorage::{HubClient, PurgeFilter, PurgeOptions, TaskHub};
use durabletask_storage::{Result, Row};

use super::{rows, sweep};
use crate::network::World;

/// Sweeps what is old, and compares all blobs with what rows refer to; then purges every instance,
/// and compares what is left with nothing. No worker may run.
pub(crate) async fn check_leftovers(world: &World, settings: &HubSettings) {
    sweep(world, settings).await;
    match unreferred(world, settings).await {
        Ok(blobs) if blobs.is_empty() => {}
        Ok(blobs) => world
            .trace
            .violation(format_args!("blobs that nothing refers to: {blobs:?}")),
        Err(error) => world.trace.violation(error),
    }
    purge_all(world, settings).await;
    match remains(world, settings).await {
        Ok(remains) if remains.is_empty() => {}
        Ok(remains) => world
            .trace
            .violation(format_args!("a purge of everything leaves {remains:?}")),
        Err(error) => world.trace.violation(error),
    }
}

async fn purge_all(world: &World, settings: &HubSettings) {
    let hub = TaskHub::new(world.env.clone(), world.account.clone(), settings.clone());
    let options = PurgeOptions {
        max_instances_per_second: 0,
        ..PurgeOptions::default()
    };
    let purged = HubClient::new(hub)
        .purge_matching(&PurgeFilter::default(), &options, |_| {
            ControlFlow::Continue(())
        })
        .await;
    match purged {
        Ok(report) if report.is_complete => {}
        Ok(report) => world
            .trace
            .violation(format_args!("could not purge {:?}", report.problems)),
        Err(error) => world.trace.violation(error),
    }
}

async fn blobs(world: &World, settings: &HubSettings) -> Result<Vec<String>> {
    let container = settings.names().large_message_container();
    let blobs = &world.account.blobs;
    let (mut names, mut marker) = (Vec::new(), None);
    loop {
        let page = match blobs.list_blobs(&container, "", marker.as_deref()).await {
            // Made with the first blob.
            Err(error) if error.is_not_found() => return Ok(names),
            page => page?,
        };
        names.extend(page.blobs.into_iter().map(|blob| blob.name));
        marker = page.marker;
        if marker.is_none() {
            return Ok(names);
        }
    }
}

/// Blobs that no row refers to.
async fn unreferred(world: &World, settings: &HubSettings) -> Result<Vec<String>> {
    let names = settings.names();
    let mut blobs = blobs(world, settings).await?;
    if blobs.is_empty() {
        return Ok(blobs);
    }
    let container = names.large_message_container();
    let store = LargeStore::new(world.account.blobs.container_url(&container));
    let mut referred = BTreeSet::new();
    for table in [names.history_table(), names.instances_table()] {
        for row in rows(world, &table).await? {
            referred.extend(references(&store, &row));
        }
    }
    blobs.retain(|blob| !referred.contains(blob));
    Ok(blobs)
}

fn references(store: &LargeStore, row: &Row) -> Vec<String> {
    let moved = large::moved_columns(row).into_iter().map(|(_, blob)| blob);
    let urls = ["Input", "Output"].into_iter();
    let urls = urls.filter_map(|column| store.blob_of_url(row.get_str(column)?));
    moved.chain(urls).collect()
}

/// Rows and blobs.
async fn remains(world: &World, settings: &HubSettings) -> Result<Vec<String>> {
    let names = settings.names();
    let mut remains = blobs(world, settings).await?;
    for table in [names.history_table(), names.instances_table()] {
        let rows = rows(world, &table).await?;
        remains.extend(
            rows.into_iter()
                .map(|row| row.partition_key + "/" + &row.row_key),
        );
    }
    Ok(remains)
}
