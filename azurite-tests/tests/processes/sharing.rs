//! Two and five workers, whose clocks are a minute and two off each other, share the partitions
//! evenly, within the recorded times; so they do after one has stopped and another was killed.

use std::time::Duration;

use azurite_tests::eventually;
use durabletask_azurestorage::hub::PartitionManagement::{self, Legacy, Safe, Table};

use crate::fleet::{Fleet, Patience, stop, under_each_manager};

const LIMIT: Duration = Duration::from_secs(60);
/// What processes and Azurite may need beyond the protocol's own pauses.
const SLACK: Duration = Duration::from_secs(5);
/// Half the leases and pauses of the recordings.
const PATIENCE: Patience = Patience {
    lease: 15,
    visibility: 30,
    polling: 5,
};
const PASS: Duration = Duration::from_secs(PATIENCE.lease / 3);

/// How long a second worker may wait for its half (recordings `pair`, `pair-safe`, `pair-legacy`).
fn half_after(manager: PartitionManagement) -> Duration {
    const SECOND: Duration = Duration::from_secs(1);
    match manager {
        // The owner's pass sees the wish and drains, the next one releases; the asker looks each
        // second.
        Table => PASS + 2 * SECOND,
        // A theft in the first pass and one in the second; the victim's renewal fails, it drains
        // and releases, the thief looks each second (.NET lets 30 s go by here).
        Safe => PASS + PASS + 2 * SECOND,
        // A theft in the first pass and one in the second.
        Legacy => PASS,
    }
}

async fn shares_evenly(manager: PartitionManagement) {
    let fleet = Fleet::new("sharing", manager, PATIENCE).await;
    let alpha = fleet.worker("alpha", 60);
    eventually(LIMIT, || fleet.is_shared_by(&["alpha"])).await;
    fleet.refuses_other_managers().await;
    let mut beta = fleet.worker("beta", -60);
    let within = half_after(manager) + SLACK;
    let took = fleet
        .time(eventually(within, || {
            fleet.is_shared_by(&["alpha", "beta"])
        }))
        .await;
    let _others = [("gamma", 0), ("delta", 30), ("epsilon", -30)]
        .map(|(name, clock_off)| fleet.worker(name, clock_off));
    // Four of the five have one partition each.
    let all = eventually(LIMIT, || async {
        let owners = fleet.owners().await;
        (owners.values().eq(&[1; 4])).then_some(())
    });
    let took_all = fleet.time(all).await;
    beta.kill().await.unwrap();
    let took_stop = fleet.time(stop(alpha)).await;
    let left = eventually(LIMIT, || fleet.is_shared_by(&["gamma", "delta", "epsilon"]));
    let took_left = fleet.time(left).await;
    println!(
        "{manager:?}: two after {took:?}, five {took_all:?}, stop {took_stop:?}, three {took_left:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn workers_share_evenly() {
    // covers: R5-01 R5-02 R5-03 R5-15 R5-19 R5-33
    under_each_manager(shares_evenly).await;
}
