//! What befalls a hub beside single requests: clocks that are set, and partitions that are taken from
//! their owners.

use std::sync::Arc;
use std::time::Duration;

use durabletask_azurestorage::hub::{HubSettings, PartitionManagement};
use durabletask_storage::{Row, Write};

use crate::crew::{Post, skew_ms};
use crate::dice::Dice;
use crate::faults::FaultId;
use crate::network::World;
use crate::plot::is_wild;

/// Virtual time in which it happens, in milliseconds.
const UNREST_MS: u64 = 240_000;
/// Events of one run, at most.
const MAX_EVENTS: u64 = 12;

/// Sets clocks and takes partitions away, in half of the wild seeds.
pub(crate) async fn unrest(
    world: Arc<World>,
    settings: HubSettings,
    posts: Vec<Arc<Post>>,
    seed: u64,
) {
    let mut dice = Dice::of(seed, "unrest", 0);
    if dice.below(2) == 0 || !is_wild(seed) {
        return;
    }
    let mut times: Vec<u64> = (0..dice.below(MAX_EVENTS + 1))
        .map(|_| dice.below(UNREST_MS))
        .collect();
    times.sort_unstable();
    for (n, at_ms) in (0..).zip(times) {
        let wait = Duration::from_millis(at_ms).saturating_sub(world.env.monotonic());
        world.env.sleep(wait).await;
        let (kind, whom, skew) = (dice.below(2), dice.next(), skew_ms(&mut dice));
        if !world.faults.strikes(FaultId::Unrest(n)) {
            continue;
        }
        if kind == 0 {
            let post = usize::try_from(whom % posts.len().max(1) as u64);
            let post = post.ok().and_then(|post| posts.get(post));
            if let Some(machine) = post.and_then(|post| post.machine()) {
                let what = format!("clock is off by {skew} ms");
                world.trace.step(&machine.name, what);
                machine.set_skew(skew);
            }
        } else {
            rob(&world, &settings, whom).await;
        }
    }
}

/// Makes a partition look as if somebody else had owned it and was gone: its owner learns of that at
/// its next renewal only, and others may own it at once. Blob leases cannot be broken so; there,
/// stand-stills do it.
async fn rob(world: &World, settings: &HubSettings, whom: u64) {
    if settings.partition_management != PartitionManagement::Table {
        return;
    }
    let partition = u32::try_from(whom % u64::from(settings.partition_count)).unwrap_or(0);
    let names = settings.names();
    let queue = names.control_queue(partition);
    world
        .trace
        .step("--", format_args!("{queue} is taken away"));
    let mut row = Row::new("", queue);
    row.set("CurrentOwner", "robber");
    row.set("ExpiresAt", world.env.now());
    let table = names.partitions_table();
    let robbed = world
        .account
        .tables
        .write(&table, Write::InsertOrMerge(row));
    if let Err(error) = robbed.await {
        world.trace.violation(error);
    }
}
