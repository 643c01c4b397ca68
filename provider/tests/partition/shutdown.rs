//! Clean stops, crashes, restarts.

use std::time::Duration;

use durabletask_azurestorage::partition::StopError;

use crate::world::on_hub;

#[test]
fn a_stop_hands_over_what_is_drained() {
    // covers: R5-16
    on_hub(1, 4, |world| async move {
        let alpha = world.worker("alpha", Duration::from_secs(3));
        alpha.start();
        world.pass(1.0).await;
        let stopped = world.env.monotonic();
        alpha.manager.stop().await.unwrap();
        let took = world.env.monotonic().saturating_sub(stopped).as_secs_f64();
        assert!((3.0..4.2).contains(&took), "{took}");
        assert!(alpha.ownership.owned().is_empty() && alpha.reading().is_empty());
        for row in world.rows().await {
            let columns: Vec<_> = row.columns.keys().map(String::as_str).collect();
            let expected = ["ExpiresAt", "IsDraining", "LastRenewal", "OwnedSince"];
            assert_eq!(columns, expected);
        }
        alpha.manager.stop().await.unwrap();
        let beta = world.started("beta");
        world.pass(0.5).await;
        assert_eq!(beta.reading().len(), 4);
    });
}

#[test]
fn a_stop_with_another_worker_present_moves_all_within_a_pass() {
    on_hub(1, 4, |world| async move {
        let alpha = world.started("alpha");
        let beta = world.started("beta");
        world.pass(30.0).await;
        assert_eq!((alpha.reading().len(), beta.reading().len()), (2, 2));
        alpha.manager.stop().await.unwrap();
        world.pass(11.0).await;
        assert_eq!(beta.reading().len(), 4);
    });
}

#[test]
fn a_manager_starts_again_after_a_stop() {
    on_hub(1, 4, |world| async move {
        let alpha = world.started("alpha");
        world.pass(1.0).await;
        alpha.manager.stop().await.unwrap();
        alpha.start();
        alpha.start();
        world.pass(1.0).await;
        assert_eq!(alpha.reading().len(), 4);
        let unstarted = world.worker("beta", Duration::ZERO);
        unstarted.manager.stop().await.unwrap();
    });
}

#[test]
fn a_stop_takes_back_its_wishes() {
    // covers: R5-17
    on_hub(1, 4, |world| async move {
        let _alpha = world.started("alpha");
        world.pass(1.0).await;
        let beta = world.started("beta");
        world.pass(2.0).await;
        let wanted = |rows: Vec<durabletask_storage::Row>| {
            rows.iter()
                .filter(|row| row.get("NextOwner").is_some())
                .count()
        };
        assert_eq!(wanted(world.rows().await), 2);
        beta.manager.stop().await.unwrap();
        assert_eq!(wanted(world.rows().await), 0);
    });
}

#[test]
fn a_crashed_worker_is_replaced_when_its_leases_run_out() {
    for seed in 0..20 {
        on_hub(seed, 4, |world| async move {
            let alpha = world.started("alpha");
            let beta = world.started("beta");
            world.pass(30.0).await;
            alpha.crash();
            // The latest renewal was at most 10 s ago: nobody may take anything for 20 s.
            world.pass(19.0).await;
            assert_eq!(beta.reading().len(), 2, "seed {seed}");
            world.pass(22.0).await;
            assert_eq!(beta.reading().len(), 4, "seed {seed}");
            assert_eq!(alpha.manager.stop().await, Err(StopError::Aborted));
        });
    }
}

#[test]
fn a_restarted_worker_of_the_same_name_resumes_at_once() {
    // covers: R5-22
    on_hub(1, 4, |world| async move {
        let first = world.started("alpha");
        world.pass(3.0).await;
        first.crash();
        let second = world.started("alpha");
        world.pass(0.5).await;
        assert_eq!(second.reading().len(), 4);
    });
}

#[test]
fn a_stop_without_storage_ends_when_the_leases_have_run_out() {
    on_hub(1, 4, |world| async move {
        let alpha = world.started("alpha");
        world.pass(1.0).await;
        alpha.network.cut(true);
        let began = world.env.monotonic();
        assert_eq!(alpha.manager.stop().await, Err(StopError::Unreachable));
        let took = world.env.monotonic().saturating_sub(began);
        assert!(took < Duration::from_secs(45), "{took:?}");
        assert!(alpha.ownership.owned().is_empty());
    });
}
