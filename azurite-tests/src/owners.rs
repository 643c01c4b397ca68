//! Who owns the partitions of a hub, as storage says it.

use std::collections::BTreeMap;

use durabletask_azurestorage::TaskHub;
use durabletask_azurestorage::hub::{HubError, hub_overview};

/// How many partitions each worker owns, by its name.
pub async fn owners(hub: &TaskHub) -> Result<BTreeMap<String, usize>, HubError> {
    let overview = hub_overview(hub.account(), hub.settings()).await?;
    let mut counts = BTreeMap::new();
    for name in overview.partitions.iter().filter_map(|p| p.owner()) {
        *counts.entry(name.to_owned()).or_default() += 1;
    }
    Ok(counts)
}

/// Whether as many workers as can be hold all `partitions`, none more than one more than another.
pub fn is_even(owners: &BTreeMap<String, usize>, workers: usize, partitions: usize) -> bool {
    let fewest = owners.values().min().copied().unwrap_or(0);
    let most = owners.values().max().copied().unwrap_or(0);
    owners.len() == workers.min(partitions)
        && owners.values().sum::<usize>() == partitions
        && most - fewest <= 1
}
