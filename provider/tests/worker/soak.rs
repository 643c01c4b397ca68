//! Two workers on one hub, seeded: starts, events, faults, kills.

use durabletask_storage::ErrorKind;
use durabletask_storage::wrappers::{Operation, Trouble};

use crate::support::world::{MIXED, TestWorker, World, on_hub_with, scripts, settings};

/// Seeds that are tried.
const SEEDS: u64 = 200;
const INSTANCES: usize = 6;

/// A worker whose calls fail now and then.
fn shaky(world: &World, name: &str) -> TestWorker {
    let env = world.env.clone();
    world.start_with(name, scripts(), world.settings.clone(), |faults| {
        faults.set(move |call| {
            let kinds = [
                Trouble::Before(ErrorKind::Unreachable),
                Trouble::Before(ErrorKind::Throttled),
                Trouble::Before(ErrorKind::UnknownOutcome),
                Trouble::After(ErrorKind::UnknownOutcome),
            ];
            // A receive whose answer is lost costs a visibility timeout and nothing else.
            let per_mille = if call.operation == Operation::GetMessages {
                5
            } else {
                30
            };
            let draw = usize::try_from(env.random_u64() % 1_000).unwrap();
            (draw < per_mille).then(|| kinds[draw % kinds.len()])
        });
    })
}

async fn soak(world: &World) {
    let mut workers = [shaky(world, "alpha"), shaky(world, "beta")];
    let random = |below: u64| world.env.random_u64() % below;
    let pause = async || {
        let millis = u32::try_from(random(3_000)).unwrap();
        world.pass(f64::from(millis) / 1_000.0).await;
    };
    for n in 0..INSTANCES {
        let id = format!("i{n}");
        let name = ["Mixed", "Parent", "Count"][n % 3];
        world.begin(&id, name, Some("0")).await;
        pause().await;
        if random(3) == 0 {
            let victim = usize::try_from(random(2)).unwrap();
            workers[victim].worker.abort();
            pause().await;
            workers[victim] = shaky(world, ["alpha", "beta"][victim]);
        }
    }
    for n in 0..INSTANCES {
        let id = format!("i{n}");
        let client = world.client();
        match n % 3 {
            0 => {
                client
                    .raise_event(&id, "Go", Some("go".into()))
                    .await
                    .unwrap();
                assert_eq!(world.output(&id).await, MIXED, "{id}");
            }
            1 => assert_eq!(world.output(&id).await, "x,Hello child!", "{id}"),
            _ => {
                // Across generations an event may come twice, as with .NET (design.md §6): then
                // a generation goes by that we did not see.
                for generation in 0..4 {
                    world
                        .until("the generation waits", async || {
                            let status = client.status(&id).await.unwrap().unwrap();
                            let input: u32 = status.input.unwrap().parse().unwrap();
                            status.runtime_status.is_terminal() || input >= generation
                        })
                        .await;
                    client
                        .raise_event(&id, "Go", Some("go".into()))
                        .await
                        .unwrap();
                }
                assert_eq!(world.output(&id).await, "go,3", "{id}");
            }
        }
        world.assert_history_is_whole(&id).await;
    }
    for worker in &workers {
        worker.faults.clear();
    }
    // Children and timers may still be reporting to nobody.
    world.until_no_messages().await;
    for worker in &workers {
        assert!(worker.worker.stop().await.unwrap());
    }
}

#[test]
fn all_instances_end_right_whatever_fails() {
    for seed in 0..SEEDS {
        let mut settings = settings().with_partition_count(3);
        // Next to no memory: each session, and each message, is too large and goes all the same.
        if seed % 4 == 0 {
            settings.session_cache_max_bytes = 1;
        }
        if seed % 4 < 2 {
            settings.control_queue_buffer_max_bytes = 1;
        }
        on_hub_with(seed, settings, |world| async move { soak(&world).await });
    }
}
