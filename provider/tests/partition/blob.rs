//! The managers on blob leases (chapter 01 §5.5 to §5.7), and what all managers have in common.

use std::time::Duration;

use durabletask_azurestorage::hub::PartitionManagement::{self, Legacy, Safe, Table};
use durabletask_azurestorage::hub::{HubSettings, create_hub};
use durabletask_azurestorage::partition::{PartitionId, StopError};

use crate::machine::Machine;
use crate::world::{Worker, World, on_hub_of, spread};

const ALL: [PartitionManagement; 3] = [Table, Safe, Legacy];

/// Owner, epoch and whether it is leased, of each lease blob of a type.
async fn records(world: &World, folder: &str) -> Vec<(String, u64, bool)> {
    let (blobs, container) = (
        &world.account.blobs,
        world.settings.names().lease_container(),
    );
    let page = blobs.list_blobs(&container, folder, None).await.unwrap();
    let mut records = Vec::new();
    for blob in page.blobs {
        let content = blobs.get_blob(&container, &blob.name).await.unwrap();
        let record: serde_json::Value = serde_json::from_slice(&content.unwrap().content).unwrap();
        assert_eq!(record["Token"].is_string(), record["Owner"].is_string());
        let owner = record["Owner"].as_str().unwrap_or_default().to_owned();
        records.push((owner, record["Epoch"].as_u64().unwrap(), blob.leased));
    }
    records
}

/// Recordings `hello-legacy`, `hello-safe`, but for the 5 s that .NET waits with the latter.
#[test]
fn a_lone_worker_acquires_all_at_once_and_releases_all() {
    // covers: R5-30 R5-35 R5-39
    for (management, folders) in [
        (Legacy, vec!["default"]),
        (Safe, vec!["intent", "ownership"]),
    ] {
        on_hub_of(management, 1, 4, |world| async move {
            let alpha = world.started("alpha");
            world.pass(2.0).await;
            assert_eq!(alpha.reading().len(), 4, "{management:?}");
            world.pass(120.0).await;
            assert_eq!(alpha.host.events.lock().unwrap().len(), 4);
            for folder in &folders {
                for record in records(&world, folder).await {
                    assert_eq!(record, ("alpha".to_owned(), 1, true));
                }
            }
            alpha.manager.stop().await.unwrap();
            assert!(alpha.ownership.owned().is_empty() && alpha.reading().is_empty());
            for folder in &folders {
                for record in records(&world, folder).await {
                    assert_eq!(record, (String::new(), 1, false));
                }
            }
            alpha.start();
            world.pass(2.0).await;
            assert_eq!(alpha.reading().len(), 4, "{management:?}");
        });
    }
}

/// Recording `pair-legacy`: one theft in beta's first pass, one in the second; the victim learns
/// of each at its next renewal.
#[test]
fn legacy_workers_share_as_recorded() {
    // covers: R5-34
    on_hub_of(Legacy, 1, 4, |world| async move {
        let alpha = world.started("alpha");
        world.pass(8.0).await;
        let beta = world.started("beta");
        world.pass(40.0).await;
        assert_eq!(spread(&[&alpha, &beta]), (0, 4));
        for (event, from, to) in [("acquired 00", 8.0, 8.5), ("acquired 01", 18.0, 19.0)] {
            let at = beta.time_of(event).unwrap();
            assert!((from..to).contains(&at), "{event} at {at}");
        }
        for (event, from, to) in [("lost 00", 10.0, 10.5), ("lost 01", 20.0, 20.5)] {
            let at = alpha.time_of(event).unwrap();
            assert!((from..to).contains(&at), "{event} at {at}");
        }
        alpha.manager.stop().await.unwrap();
        world.pass(10.5).await;
        assert_eq!(beta.reading().len(), 4);
    });
}

/// Recording `pair-safe`, where idle partitions stay unread for 29 s and 34 s.
#[test]
fn safe_workers_share_as_recorded_but_hand_over_at_once() {
    // covers: R5-36 R5-37
    on_hub_of(Safe, 1, 4, |world| async move {
        let alpha = world.started("alpha");
        world.pass(8.0).await;
        let beta = world.started("beta");
        world.pass(40.0).await;
        assert_eq!(spread(&[&alpha, &beta]), (0, 4));
        for (partition, from, to) in [("00", 10.0, 10.5), ("01", 20.0, 20.5)] {
            let drained = alpha.time_of(&format!("drained {partition}")).unwrap();
            assert!((from..to).contains(&drained), "{partition} at {drained}");
            let acquired = beta.time_of(&format!("acquired {partition}")).unwrap();
            let gap = acquired - drained;
            assert!((0.0..1.5).contains(&gap), "{partition} after {gap}");
        }
        assert_eq!(alpha.time_of("lost 00"), None);
        alpha.manager.stop().await.unwrap();
        world.pass(11.5).await;
        assert_eq!(beta.reading().len(), 4);
    });
}

#[test]
fn ownership_is_kept_until_the_last_session_has_ended() {
    // covers: R5-37 R5-38
    for (drain_seconds, given_up_at) in [(25, None), (3_600, Some(70.0..71.0))] {
        on_hub_of(Safe, 1, 2, |world| async move {
            let alpha = world.worker("alpha", Duration::from_secs(drain_seconds));
            alpha.start();
            world.pass(5.0).await;
            let beta = world.started("beta");
            world.pass(100.0).await;
            let gone = alpha
                .time_of("drained 00")
                .or(alpha.time_of("lost 00"))
                .unwrap();
            if let Some(expected) = given_up_at {
                assert!(expected.contains(&gone), "{gone}");
            }
            let acquired = beta.time_of("acquired 00").unwrap();
            assert!((gone..gone + 1.5).contains(&acquired), "{gone} {acquired}");
        });
    }
}

#[test]
fn an_intent_that_comes_back_lets_its_owner_go_on() {
    on_hub_of(Safe, 1, 2, |world| async move {
        let alpha = world.worker("alpha", Duration::from_secs(40));
        alpha.start();
        world.pass(5.0).await;
        let beta = world.started("beta");
        // Beta has stolen an intent at 5 s, alpha learns of it at 10 s and drains until 50 s.
        world.pass(10.0).await;
        beta.manager.stop().await.unwrap();
        world.pass(60.0).await;
        assert_eq!(alpha.reading().len(), 2);
        assert_eq!(beta.time_of("acquired 00"), None);
    });
}

#[test]
fn a_restarted_worker_of_the_same_name_takes_its_leases_back() {
    // covers: R5-22
    for management in ALL {
        on_hub_of(management, 1, 4, |world| async move {
            let first = world.started("alpha");
            world.pass(3.0).await;
            first.crash();
            let second = world.started("alpha");
            world.pass(2.0).await;
            assert_eq!(second.reading().len(), 4, "{management:?}");
        });
    }
}

/// Even shares, and who takes over after a worker died, stood still, or lost its network.
#[test]
fn five_workers_share_evenly_and_replace_one_that_fails() {
    // covers: R5-03 R5-06
    for management in ALL {
        for partitions in [4, 16] {
            on_hub_of(
                management,
                u64::from(partitions),
                partitions,
                |world| async move {
                    let mut workers = Vec::new();
                    for index in 0..5 {
                        workers.push(world.started(&format!("worker{index}")));
                        world.pass(f64::from(index)).await;
                    }
                    let even = |workers: &[Worker], what: &str| {
                        let (spread, sum) = spread(&workers.iter().collect::<Vec<_>>());
                        assert_eq!(sum, partitions as usize, "{management:?} {what}");
                        assert!(spread <= 1, "{management:?} {what}: {spread}");
                    };
                    world.pass(120.0).await;
                    even(&workers, "started");
                    workers.remove(0).crash();
                    world.pass(100.0).await;
                    even(&workers, "one died");
                    workers[0].machine.stop_for(Duration::from_secs(60));
                    world.pass(55.0).await;
                    let others: Vec<_> = workers[1..].iter().collect();
                    assert_eq!(spread(&others).1, partitions as usize, "{management:?}");
                    world.pass(120.0).await;
                    even(&workers, "one stood still");
                    workers[1].network.cut(true);
                    world.pass(60.0).await;
                    assert!(workers[1].reading().is_empty());
                    workers[1].network.cut(false);
                    world.pass(150.0).await;
                    even(&workers, "one was cut off");
                },
            );
        }
    }
}

#[test]
fn a_minute_of_clock_skew_changes_nothing() {
    // covers: R5-19
    for management in ALL {
        on_hub_of(management, 1, 4, |world| async move {
            let clocks = [60.0, -60.0, 0.0, 3_600.0];
            let workers = clocks.map(|fast| {
                let machine = Machine::new(&world.env, fast);
                let name = format!("fast by {fast}");
                let worker = world.worker_on(machine, &name, Duration::ZERO, &world.settings);
                worker.start();
                worker
            });
            world.pass(90.0).await;
            let count = || {
                let events = workers
                    .iter()
                    .map(|worker| worker.host.events.lock().unwrap().len());
                events.sum::<usize>()
            };
            let before = count();
            assert_eq!(
                spread(&workers.iter().collect::<Vec<_>>()),
                (0, 4),
                "{management:?}"
            );
            world.pass(120.0).await;
            assert_eq!(count(), before, "{management:?}: partitions keep moving");
        });
    }
}

#[test]
fn a_stop_without_storage_ends() {
    for management in [Safe, Legacy] {
        on_hub_of(management, 1, 4, |world| async move {
            let alpha = world.started("alpha");
            world.pass(2.0).await;
            alpha.network.cut(true);
            let began = world.env.monotonic();
            assert_eq!(alpha.manager.stop().await, Err(StopError::Unreachable));
            let took = world.env.monotonic().saturating_sub(began);
            assert!(took < Duration::from_secs(45), "{took:?}");
            assert!(!alpha.ownership.is_fresh(PartitionId::new(0)));
            alpha.crash();
            assert_eq!(world.started("alpha").manager.stop().await, Ok(()));
        });
    }
}

/// Every pair of managers: refused with a message that names both, until the other one is gone.
#[test]
fn another_manager_at_work_is_refused() {
    // covers: R5-01 R5-02
    for active in ALL {
        on_hub_of(active, 1, 4, |world| async move {
            let alpha = world.started("alpha");
            world.pass(3.0).await;
            for wanted in ALL {
                let settings = HubSettings {
                    partition_management: wanted,
                    ..world.settings.clone()
                };
                let made = create_hub(&world.account, &settings, &world.env).await;
                let message = made.map_err(|error| error.to_string());
                if wanted == active {
                    assert_eq!(message, Ok(()));
                    continue;
                }
                let (found, set) = (active.name(), wanted.name());
                let expected = format!(
                    "workers with {found} partition management are active on task hub PairHub, \
                     this one is set to {set}; use the same for all, or stop the others and wait \
                     60 s"
                );
                assert_eq!(message, Err(expected));
            }
            alpha.crash();
            world.pass(60.0).await;
            for wanted in ALL {
                let settings = HubSettings {
                    partition_management: wanted,
                    ..world.settings.clone()
                };
                create_hub(&world.account, &settings, &world.env)
                    .await
                    .unwrap();
            }
        });
    }
}

/// A hub that was made larger keeps its partitions, whatever a worker is told; two spellings name
/// one hub.
#[test]
fn every_partition_that_exists_is_owned_and_spellings_do_not_matter() {
    // covers: R1-03 R1-16
    for management in ALL {
        on_hub_of(management, 1, 8, |world| async move {
            let settings = HubSettings {
                partition_count: 4,
                hub_name: "PAIRHUB".to_owned(),
                ..world.settings.clone()
            };
            let machine = Machine::new(&world.env, 0.0);
            let alpha = world.worker_on(machine, "alpha", Duration::ZERO, &settings);
            alpha.start();
            let beta = world.started("beta");
            world.pass(60.0).await;
            assert_eq!(spread(&[&alpha, &beta]), (0, 8), "{management:?}");
        });
    }
}
