//! What a killed worker had in hand is finished by the others, in time.

use std::time::Duration;

use azurite_tests::{Verdict, eventually};
use durabletask_azurestorage::hub::PartitionManagement;
use durabletask_core::OrchestrationStatus::Pending;

use crate::fleet::{Fleet, Patience, under_each_manager};

const LIMIT: Duration = Duration::from_secs(60);
/// Longer than any of the soak's activities.
const ONE_ACTIVITY: Duration = Duration::from_millis(500);
const INSTANCES: usize = 24;
/// The longest that were promised, and the leases that Functions have.
const PATIENCE: Patience = Patience {
    lease: 30,
    visibility: 30,
    polling: 5,
};

async fn inherits(manager: PartitionManagement) {
    let fleet = Fleet::new("heirs", manager, PATIENCE).await;
    let mut victim = fleet.worker("victim", 0);
    let _heir = fleet.worker("heir", 0);
    eventually(LIMIT, || fleet.is_shared_by(&["victim", "heir"])).await;
    let started = fleet.start(INSTANCES).await;
    eventually(LIMIT, || async {
        (fleet.with(&[Pending]).await.len() < INSTANCES / 2).then_some(())
    })
    .await;
    victim.kill().await.unwrap();
    let open = fleet.open().await.len();
    assert!(
        open > INSTANCES / 4,
        "{manager:?}: only {open} were left when it died"
    );
    let took = fleet
        .time(eventually(LIMIT + ONE_ACTIVITY, || async {
            fleet.open().await.is_empty().then_some(())
        }))
        .await;
    println!("{manager:?}: {open} instances of a killed worker ended after {took:?}");
    // Its messages were hidden, and its partitions taken, for 20 s more at least.
    assert!(
        took > Duration::from_secs(15),
        "{manager:?}: nothing was its own"
    );
    let verdict = Verdict::of(&fleet.client, &started).await.unwrap();
    assert!(verdict.is_good(), "{manager:?}: {verdict:?}");
    assert_eq!(verdict.finished, INSTANCES);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_work_of_a_killed_worker_is_finished_within_a_minute() {
    under_each_manager(inherits).await;
}
