//! Who owns the partitions of a hub, as storage says it.

use std::collections::BTreeMap;
use std::error::Error;

use durabletask_azurestorage::TaskHub;
use durabletask_azurestorage::hub::{PartitionManagement, hub_overview};

/// How many partitions each worker holds an unexpired lease of, by its name.
pub async fn owners(hub: &TaskHub) -> Result<BTreeMap<String, usize>, Box<dyn Error>> {
    let names: Vec<String> = match hub.settings().partition_management {
        PartitionManagement::Table => {
            let overview = hub_overview(hub.account(), hub.settings()).await?;
            overview
                .partitions
                .into_iter()
                .filter_map(|p| p.owner)
                .collect()
        }
        PartitionManagement::Safe => holders(hub, "ownership/").await?,
        PartitionManagement::Legacy => holders(hub, "default/").await?,
    };
    let mut counts = BTreeMap::new();
    for name in names {
        *counts.entry(name).or_default() += 1;
    }
    Ok(counts)
}

/// The owners that the leased blobs of a folder name.
async fn holders(hub: &TaskHub, folder: &str) -> Result<Vec<String>, Box<dyn Error>> {
    let (blobs, container) = (&hub.account().blobs, hub.names().lease_container());
    let mut holders = Vec::new();
    let page = blobs.list_blobs(&container, folder, None).await?;
    for blob in page.blobs.into_iter().filter(|blob| blob.leased) {
        if let Some(found) = blobs.get_blob(&container, &blob.name).await? {
            let record: serde_json::Value = serde_json::from_slice(&found.content)?;
            holders.extend(record["Owner"].as_str().map(str::to_owned));
        }
    }
    Ok(holders)
}

/// Whether as many workers as can be hold all `partitions`, none more than one more than another.
pub fn is_even(owners: &BTreeMap<String, usize>, workers: usize, partitions: usize) -> bool {
    let fewest = owners.values().min().copied().unwrap_or(0);
    let most = owners.values().max().copied().unwrap_or(0);
    owners.len() == workers.min(partitions)
        && owners.values().sum::<usize>() == partitions
        && most - fewest <= 1
}
