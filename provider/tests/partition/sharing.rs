//! Who gets which partitions while all goes well.

use std::time::Duration;

use crate::world::{on_hub, spread};

#[test]
fn one_worker_acquires_all_at_once_and_keeps_them() {
    on_hub(1, 4, |world| async move {
        let alpha = world.started("alpha");
        world.pass(0.5).await;
        assert_eq!(alpha.reading().len(), 4);
        world.pass(120.0).await;
        assert_eq!(alpha.host.events.lock().unwrap().len(), 4);
        for row in world.rows().await {
            assert_eq!(row.get_str("CurrentOwner"), Some("alpha"));
        }
    });
}

/// Recording `pair`: beta joins at 8 s and reads its half 3 s later.
#[test]
fn two_workers_share_as_recorded() {
    // covers: R5-21 R5-24
    on_hub(1, 4, |world| async move {
        let alpha = world.started("alpha");
        world.pass(8.0).await;
        let beta = world.started("beta");
        world.pass(4.0).await;
        assert_eq!(beta.reading(), [0, 1].into());
        assert_eq!(alpha.reading(), [2, 3].into());
        let drained = alpha.time_of("drain 00").unwrap();
        assert!((10.0..10.5).contains(&drained), "{drained}");
        let moved = beta.time_of("acquired 00").unwrap();
        assert!((10.0..11.5).contains(&moved), "{moved}");
        world.pass(60.0).await;
        assert_eq!(alpha.host.events.lock().unwrap().len(), 8);
        assert_eq!(beta.host.events.lock().unwrap().len(), 2);
    });
}

#[test]
fn names_that_differ_in_case_are_two_workers() {
    // covers: R5-18
    on_hub(1, 4, |world| async move {
        let (lower, upper) = (world.started("alpha"), world.started("Alpha"));
        world.pass(60.0).await;
        assert_eq!(spread(&[&lower, &upper]), (0, 4));
    });
}

#[test]
fn five_workers_share_evenly() {
    for seed in 0..20 {
        for partitions in [4, 5, 16] {
            on_hub(seed, partitions, |world| async move {
                let mut workers = Vec::new();
                for index in 0..5 {
                    workers.push(world.started(&format!("worker{index}")));
                    world.pass(f64::from(index)).await;
                }
                world.pass(120.0).await;
                let workers: Vec<_> = workers.iter().collect();
                let (spread, sum) = spread(&workers);
                assert_eq!(sum, partitions as usize);
                assert!(spread <= 1, "seed {seed}: {spread} of {partitions}");
            });
        }
    }
}

#[test]
fn workers_that_start_together_end_with_one_owner_each() {
    for seed in 0..50 {
        on_hub(seed, 16, |world| async move {
            let workers: Vec<_> = ["a", "b", "c"].map(|name| world.started(name)).into();
            world.pass(60.0).await;
            let (spread, sum) = spread(&workers.iter().collect::<Vec<_>>());
            assert_eq!(sum, 16, "seed {seed}");
            assert!(spread <= 1, "seed {seed}: {spread}");
        });
    }
}

#[test]
fn a_drain_is_waited_for_before_the_partition_moves() {
    // covers: R5-21
    on_hub(1, 2, |world| async move {
        let alpha = world.worker("alpha", Duration::from_secs(25));
        alpha.start();
        world.pass(5.0).await;
        let beta = world.started("beta");
        world.pass(60.0).await;
        let drained = alpha.time_of("drained 00").unwrap();
        let acquired = beta.time_of("acquired 00").unwrap();
        assert!((34.9..35.5).contains(&drained), "{drained}");
        assert!((drained..drained + 1.5).contains(&acquired), "{acquired}");
        assert_eq!(alpha.time_of("lost 00"), None);
    });
}

#[test]
fn a_drain_without_end_is_given_up_after_a_minute() {
    // covers: R5-21
    on_hub(1, 2, |world| async move {
        let alpha = world.worker("alpha", Duration::from_secs(3_600));
        alpha.start();
        world.pass(5.0).await;
        let beta = world.started("beta");
        world.pass(90.0).await;
        let lost = alpha.time_of("lost 00").unwrap();
        assert!((70.0..71.0).contains(&lost), "{lost}");
        assert!(beta.time_of("acquired 00").unwrap() > lost);
        assert_eq!(alpha.time_of("drained 00"), None);
    });
}
