//! The app lease: of several apps on one hub, one processes it (chapter 01 §5.8).

use std::sync::Arc;
use std::time::Duration;

use durabletask_azurestorage::hub::PartitionManagement::{Legacy, Safe, Table};
use durabletask_azurestorage::hub::{HubSettings, delete_hub};
use durabletask_azurestorage::partition::{AppLease, app_lease_id, partition_manager};

use crate::machine::Machine;
use crate::world::{Worker, World, on_hub, on_hub_of, spread};

fn settings(world: &World, app: &str) -> HubSettings {
    HubSettings {
        use_app_lease: true,
        app_name: app.to_owned(),
        ..world.settings.clone()
    }
}

/// A started worker of that app.
fn started(world: &World, app: &str, name: &str) -> Worker {
    let machine = Machine::new(&world.env, 0.0);
    let worker = world.worker_on(machine, name, Duration::ZERO, &settings(world, app));
    worker.start();
    worker
}

async fn info(world: &World) -> String {
    let names = world.settings.names();
    let (container, blob) = (names.app_lease_container(), names.app_lease_blob());
    let blob = world.account.blobs.get_blob(&container, &blob).await;
    String::from_utf8(blob.unwrap().unwrap().content.to_vec()).unwrap()
}

#[test]
fn workers_of_one_app_share_and_another_app_waits_its_turn() {
    // covers: R5-41 R5-43
    for management in [Table, Safe, Legacy] {
        on_hub_of(management, 1, 4, |world| async move {
            let shop = ["a", "b"].map(|name| started(&world, "shop", name));
            world.pass(60.0).await;
            let other = started(&world, "Shop", "c");
            world.pass(400.0).await;
            assert_eq!(spread(&[&shop[0], &shop[1]]), (0, 4), "{management:?}");
            assert!(other.reading().is_empty());
            let owner = app_lease_id("shop");
            let expected = format!(r#"{{"OwnerId":"{owner}","DesiredSwapId":null}}"#);
            assert_eq!(info(&world).await, expected);
            for worker in &shop {
                worker.manager.stop().await.unwrap();
            }
            world.pass(30.0).await;
            // The lease is not released: it runs out.
            assert!(other.reading().is_empty(), "{management:?}");
            world.pass(331.0).await;
            assert_eq!(other.reading().len(), 4, "{management:?}");
            assert!(info(&world).await.contains(&app_lease_id("Shop")));
        });
    }
}

#[test]
fn without_the_app_lease_it_is_not_looked_at() {
    // covers: R5-42
    on_hub(1, 4, |world| async move {
        let shop = started(&world, "shop", "a");
        world.pass(5.0).await;
        let free = world.started("b");
        world.pass(30.0).await;
        assert_eq!(spread(&[&shop, &free]), (0, 4));
    });
}

#[test]
fn an_app_made_primary_takes_over_and_the_old_one_comes_back_after_it() {
    // covers: R5-44
    for management in [Table, Safe, Legacy] {
        on_hub_of(management, 1, 4, |world| async move {
            let old = started(&world, "old", "a");
            world.pass(5.0).await;
            let env = world.env.clone();
            let new = settings(&world, "new");
            let manager = partition_manager(
                &world.account,
                &HubSettings {
                    use_app_lease: false,
                    ..new.clone()
                },
                "b",
                &env,
            );
            let gate = AppLease::new(&world.account, &new, &env, manager);
            let mut primary = world.worker_on(
                Machine::new(&env, 0.0),
                "b",
                Duration::ZERO,
                &world.settings,
            );
            let gate = Arc::new(gate);
            primary.manager = gate.clone();
            primary.start();
            world.pass(5.0).await;
            assert!(primary.reading().is_empty());
            gate.make_primary().await.unwrap();
            assert!(info(&world).await.contains(r#""DesiredSwapId":""#));
            // The old app renews every 25 s, its rows or leases then move within a pass.
            world.pass(45.0).await;
            assert!(old.reading().is_empty(), "{management:?}");
            assert_eq!(primary.reading().len(), 4, "{management:?}");
            assert!(info(&world).await.contains(r#""DesiredSwapId":null"#));
            primary.manager.stop().await.unwrap();
            world.pass(365.0).await;
            assert_eq!(old.reading().len(), 4, "{management:?}");
        });
    }
}

#[test]
fn a_wish_is_granted_although_the_old_app_is_gone() {
    // covers: R5-44
    on_hub(1, 4, |world| async move {
        let old = started(&world, "old", "a");
        world.pass(5.0).await;
        old.crash();
        let names = world.settings.names();
        let wish = format!(
            r#"{{"OwnerId":"{}","DesiredSwapId":"{}"}}"#,
            app_lease_id("old"),
            app_lease_id("new")
        );
        let (container, blob) = (names.app_lease_container(), names.app_lease_blob());
        let always = durabletask_storage::PutCondition::Always;
        let put = world
            .account
            .blobs
            .put_blob(&container, &blob, wish.into(), always, None);
        put.await.unwrap();
        world.pass(61.0).await;
        let new = started(&world, "new", "b");
        world.pass(5.0).await;
        assert_eq!(new.reading().len(), 4);
    });
}

#[test]
fn a_worker_that_cannot_renew_the_app_lease_gives_up_and_comes_back() {
    on_hub(1, 4, |world| async move {
        let worker = started(&world, "shop", "a");
        world.pass(5.0).await;
        worker.network.cut(true);
        world.pass(65.0).await;
        assert!(worker.reading().is_empty());
        worker.network.cut(false);
        world.pass(310.0).await;
        assert_eq!(worker.reading().len(), 4);
    });
}

#[test]
fn a_deleted_hub_leaves_nothing_but_the_lease_of_another_app() {
    on_hub(1, 4, |world| async move {
        let shop = started(&world, "shop", "a");
        world.pass(5.0).await;
        shop.manager.stop().await.unwrap();
        let containers = async || {
            let found = world.account.blobs.list_containers("").await.unwrap();
            let names = found.into_iter().map(|container| container.name);
            names.collect::<Vec<_>>()
        };
        let other = settings(&world, "other");
        delete_hub(&world.account, &other).await.unwrap();
        assert_eq!(containers().await, ["pairhub-applease"]);
        let own = settings(&world, "shop");
        delete_hub(&world.account, &own).await.unwrap();
        assert_eq!(containers().await, Vec::<String>::new());
    });
}
