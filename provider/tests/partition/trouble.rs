//! Storage that fails, answers that get lost, workers that come and go: never two owners.

use std::time::Duration;

use durabletask_azurestorage::hub::PartitionManagement::{Legacy, Safe, Table};
use durabletask_azurestorage::partition::PartitionId;

use crate::world::{on_hub, on_hub_of, spread};

#[test]
fn a_worker_cut_off_gives_up_before_others_take_over_and_comes_back() {
    // covers: R5-06 R5-23
    on_hub(1, 4, |world| async move {
        let alpha = world.started("alpha");
        world.pass(15.0).await;
        alpha.network.cut(true);
        let beta = world.started("beta");
        // Renewed at 10 s; counted on until 37 s, in case another's clock is fast.
        world.pass(21.5).await;
        let zero = PartitionId::new(0);
        assert!(alpha.ownership.is_fresh(zero));
        assert_eq!(alpha.reading().len(), 4);
        world.pass(1.5).await;
        assert!(!alpha.ownership.is_fresh(zero));
        assert_eq!(alpha.reading().len(), 0);
        world.pass(15.0).await;
        assert_eq!(beta.reading().len(), 4);
        alpha.network.cut(false);
        world.pass(60.0).await;
        assert_eq!(spread(&[&alpha, &beta]), (0, 4));
    });
}

/// The world checks the invariant at every acquisition.
#[test]
fn no_partition_ever_has_two_owners() {
    for seed in 0..60 {
        let management = [Table, Safe, Legacy][usize::try_from(seed % 3).unwrap()];
        on_hub_of(management, seed, 8, |world| async move {
            let names = ["a", "b", "c", "d"];
            let drains = Duration::from_millis(1 + world.env.random_u64() % 4_000);
            let workers = names.map(|name| world.worker(name, drains));
            for worker in &workers {
                worker.network.lose(60);
                worker.start();
            }
            let mut generation = 0;
            let mut workers = Vec::from(workers);
            for _ in 0..12 {
                world.pass(world.env.random_unit() * 30.0).await;
                let index = usize::try_from(world.env.random_u64() % 4).unwrap();
                let worker = &workers[index];
                match world.env.random_u64() % 5 {
                    0 => {
                        worker.crash();
                        generation += 1;
                        let name = format!("{}{generation}", names[index]);
                        workers[index] = world.started(&name);
                    }
                    1 => {
                        let _ = worker.manager.stop().await;
                        world.pass(2.0).await;
                        workers[index].start();
                    }
                    2 => worker.network.cut(true),
                    3 => {
                        let seconds = world.env.random_u64() % 60;
                        worker.machine.stop_for(Duration::from_secs(seconds));
                    }
                    _ => worker.network.cut(false),
                }
            }
            for worker in &workers {
                worker.network.cut(false);
                worker.network.lose(0);
            }
            world.pass(150.0).await;
            let (spread, sum) = spread(&workers.iter().collect::<Vec<_>>());
            assert_eq!(sum, 8, "seed {seed}");
            assert!(spread <= 1, "seed {seed}: {spread}");
        });
    }
}

#[test]
fn each_period_of_ownership_has_a_drain_of_its_own() {
    // covers: R5-25
    on_hub(1, 2, |world| async move {
        let alpha = world.worker("alpha", Duration::from_secs(20));
        alpha.start();
        world.pass(5.0).await;
        let beta = world.started("beta");
        world.pass(7.0).await;
        assert!(alpha.time_of("drain 00").is_some());
        // The drain ends while storage is away; then the lease runs out and beta takes it.
        alpha.network.cut(true);
        world.pass(48.0).await;
        assert_eq!(beta.reading().len(), 2);
        alpha.network.cut(false);
        beta.manager.stop().await.unwrap();
        world.pass(15.0).await;
        assert_eq!(alpha.reading().len(), 2);
        let gamma = world.started("gamma");
        world.pass(60.0).await;
        let acquired = gamma.time_of("acquired 00").unwrap();
        let events = alpha.host.events.lock().unwrap();
        let drains = events.iter().filter(|(_, text)| text == "drain 00");
        let begun: Vec<f64> = drains.map(|(seconds, _)| *seconds).collect();
        assert_eq!(begun.len(), 2);
        assert!(acquired >= begun[1] + 20.0, "{acquired} {begun:?}");
    });
}
