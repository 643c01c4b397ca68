//! A worker that stands still for longer than its leases and its messages' invisibility, and then
//! goes on where it was.

use std::collections::BTreeMap;
use std::time::Duration;

use azurite_tests::{Verdict, eventually};
use durabletask_azurestorage::hub::PartitionManagement;
use durabletask_core::OrchestrationStatus::Pending;

use crate::fleet::{Fleet, PARTITIONS, Patience, signal, stop, under_each_manager};

const LIMIT: Duration = Duration::from_secs(60);
const INSTANCES: usize = 16;
/// As short as blob leases may be, so that the test is.
const PATIENCE: Patience = Patience {
    lease: 15,
    visibility: 15,
    polling: 1,
};

/// Every event of every instance, as text.
async fn histories(fleet: &Fleet, ids: impl Iterator<Item = &String>) -> BTreeMap<String, String> {
    let mut histories = BTreeMap::new();
    for id in ids {
        let history = fleet.client.history(id, None).await.unwrap();
        histories.insert(id.clone(), format!("{history:?}"));
    }
    histories
}

/// Messages in the hub's queues, those under way included.
async fn messages(fleet: &Fleet) -> u64 {
    let (names, queues) = (
        fleet.client.hub().names(),
        &fleet.client.hub().account().queues,
    );
    let control = (0..PARTITIONS).map(|partition| names.control_queue(partition));
    let mut messages = 0;
    for queue in control.chain([names.work_item_queue()]) {
        messages += queues.count_messages(&queue).await.unwrap();
    }
    messages
}

/// The zombie's clock is a minute fast and its heir's a minute slow, on top.
async fn survives_a_zombie(manager: PartitionManagement) {
    let fleet = Fleet::new("zombies", manager, PATIENCE).await;
    let (zombie, heir) = (fleet.worker("zombie", 60), fleet.worker("heir", -60));
    eventually(LIMIT, || fleet.is_shared_by(&["zombie", "heir"])).await;
    let started = fleet.start(INSTANCES).await;
    eventually(LIMIT, || async {
        (fleet.with(&[Pending]).await.len() < INSTANCES / 2).then_some(())
    })
    .await;
    signal(&zombie, "STOP").await;
    let took = fleet
        .time(eventually(LIMIT, || async {
            fleet.open().await.is_empty().then_some(())
        }))
        .await;
    assert!(
        took > Duration::from_secs(7),
        "{manager:?}: nothing was the zombie's"
    );
    eventually(LIMIT, || fleet.is_shared_by(&["heir"])).await;
    let before = histories(&fleet, started.keys()).await;
    let verdict = Verdict::of(&fleet.client, &started).await.unwrap();
    assert!(
        verdict.is_good() && verdict.finished == INSTANCES,
        "{manager:?}: {verdict:?}"
    );

    signal(&zombie, "CONT").await;
    eventually(LIMIT, || fleet.is_shared_by(&["zombie", "heir"])).await;
    eventually(LIMIT, || async {
        (messages(&fleet).await == 0).then_some(())
    })
    .await;
    // Whatever it had under way has been refused or finished by now.
    stop(zombie).await;
    stop(heir).await;
    let after = histories(&fleet, started.keys()).await;
    assert!(
        before == after,
        "{manager:?}: the zombie changed a history that had ended"
    );
    let verdict = Verdict::of(&fleet.client, &started).await.unwrap();
    assert!(
        verdict.is_good() && verdict.finished == INSTANCES,
        "{manager:?}: {verdict:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_stood_still_does_no_harm() {
    // covers: R5-06 R5-19 R5-23
    under_each_manager(survives_a_zombie).await;
}
