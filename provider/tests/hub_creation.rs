//! Making, checking and removing hubs (chapter 01 §1.4 to §1.7, §5.1).

#![allow(clippy::unwrap_used, reason = "a test")]

use std::sync::Arc;
use std::time::Duration;

use durabletask_azurestorage::hub::{
    HubError, HubSettings, PartitionManagement, StoreChoice, create_hub, delete_hub, open_account,
};
use durabletask_core::Timestamp;
use durabletask_storage::wrappers::{Fate, Faults, Faulty, Network, Operation, SeenCall, Trouble};
use durabletask_storage::{Account, Env, ErrorKind, Query, Row, VirtualEnv, Write};
use futures::future::try_join_all;

fn settings(hub: &str, partitions: u32, management: PartitionManagement) -> HubSettings {
    let mut settings = HubSettings::new(hub, 1)
        .with_store(StoreChoice::Memory)
        .with_partition_count(partitions);
    settings.partition_management = management;
    settings
}

fn run<F: Future<Output = ()>>(test: impl FnOnce(Env, Account) -> F) {
    let time = VirtualEnv::new(1);
    let env = time.env();
    let store = settings("Store", 4, PartitionManagement::Table);
    let account = open_account(&store, &env).unwrap();
    time.block_on(test(env, account)).unwrap();
}

use PartitionManagement::{Legacy, Safe, Table};

async fn everything(account: &Account) -> Vec<String> {
    let mut names = account.queues.list_queues("").await.unwrap();
    names.extend(account.tables.list_tables("").await.unwrap());
    let containers = account.blobs.list_containers("").await.unwrap();
    names.extend(containers.into_iter().map(|container| container.name));
    names
}

/// The row of partition 00, changed.
async fn change_row(account: &Account, change: impl FnOnce(&mut Row)) {
    let table = "MyHubPartitions";
    let page = account.tables.query(table, &Query::default()).await;
    let mut row = page.unwrap().rows.remove(0);
    change(&mut row);
    let write = Write::InsertOrReplace(row);
    account.tables.write(table, write).await.unwrap();
}

#[test]
fn creation_may_be_repeated_and_deletion_leaves_nothing() {
    // covers: R1-09 R1-11
    run(|env, account| async move {
        for management in [Table, Safe, Legacy] {
            let settings = settings("MyHub", 3, management);
            // Three at once, each request with a way of its own length, and one more.
            let (slow, _) = Network::wrap(account.clone(), env.clone());
            let create = || create_hub(&slow, &settings, &env);
            try_join_all([create(), create(), create()]).await.unwrap();
            create().await.unwrap();
            let names = everything(&account).await;
            for name in [
                "myhub-workitems",
                "myhub-control-02",
                "MyHubHistory",
                "myhub-applease",
            ] {
                assert!(
                    names.iter().any(|found| found == name),
                    "{name} of {names:?}"
                );
            }
            let partitions = names.iter().any(|name| name == "MyHubPartitions");
            assert_eq!(partitions, management == Table);
            assert_eq!(
                names.iter().any(|name| name == "myhub-leases"),
                management != Table
            );
            assert!(!names.iter().any(|name| name.contains("largemessages")));
            delete_hub(&account, &settings).await.unwrap();
            delete_hub(&account, &settings).await.unwrap();
            assert_eq!(everything(&account).await, Vec::<String>::new());
        }
    });
}

/// Creations meet resources that are being deleted until this time.
#[derive(Debug)]
struct BeingDeleted {
    env: Env,
    until: Duration,
}

impl Faults for BeingDeleted {
    fn fate(&self, call: &SeenCall<'_>) -> Fate {
        use Operation::{CreateContainer, CreateQueue, CreateTable};
        let creates = matches!(call.operation, CreateContainer | CreateQueue | CreateTable);
        let trouble = if creates && self.env.monotonic() < self.until {
            Trouble::Before(ErrorKind::BeingDeleted)
        } else {
            Trouble::None
        };
        Fate {
            trouble,
            ..Fate::default()
        }
    }
}

#[test]
fn what_is_being_deleted_is_waited_for() {
    // covers: R1-12
    for (seconds, is_made) in [(60, true), (3_600, false)] {
        run(|env, account| async move {
            let faults = BeingDeleted {
                until: Duration::from_secs(seconds),
                env: env.clone(),
            };
            let faulty = Faulty::wrap(account.clone(), env.clone(), Arc::new(faults));
            let created = create_hub(&faulty, &settings("MyHub", 4, Table), &env).await;
            assert_eq!(created.is_ok(), is_made, "{created:?}");
            assert_eq!(everything(&account).await.is_empty(), !is_made);
        });
    }
}

#[test]
fn another_hub_survives_a_deletion() {
    run(|env, account| async move {
        let (one, two) = (settings("MyHub", 2, Table), settings("MyHub2", 2, Table));
        create_hub(&account, &two, &env).await.unwrap();
        let before = everything(&account).await;
        create_hub(&account, &one, &env).await.unwrap();
        delete_hub(&account, &one).await.unwrap();
        assert_eq!(everything(&account).await, before);
    });
}

#[test]
fn another_partition_count_is_refused() {
    // covers: R1-14 R1-15
    run(|env, account| async move {
        for management in [Table, Safe, Legacy] {
            let four = settings("MyHub", 4, management);
            create_hub(&account, &four, &env).await.unwrap();
            for count in [2, 8] {
                let other = settings("MyHub", count, management);
                let error = create_hub(&account, &other, &env).await.unwrap_err();
                let text = error.to_string();
                assert!(text.contains("has 4 partitions"), "{text}");
                assert!(text.contains("partitionCount to 4"), "{text}");
            }
            let mut resized = settings("MyHub", 8, management);
            resized.allow_partition_count_change = true;
            create_hub(&account, &resized, &env).await.unwrap();
            resized.allow_partition_count_change = false;
            create_hub(&account, &resized, &env).await.unwrap();
            delete_hub(&account, &resized).await.unwrap();
        }
    });
}

#[test]
fn a_hub_left_half_made_is_completed() {
    run(|env, account| async move {
        account
            .tables
            .create_table("MyHubPartitions")
            .await
            .unwrap();
        let mut row = Row::new("", "myhub-control-03");
        row.set("IsDraining", false);
        let insert = Write::Insert(row);
        account
            .tables
            .write("MyHubPartitions", insert)
            .await
            .unwrap();
        let four = settings("MyHub", 4, Table);
        create_hub(&account, &four, &env).await.unwrap();
        let page = account
            .tables
            .query("MyHubPartitions", &Query::default())
            .await;
        assert_eq!(page.unwrap().rows.len(), 4);
    });
}

#[test]
fn a_hub_that_others_are_making_is_waited_for() {
    run(|env, account| async move {
        account
            .tables
            .create_table("MyHubPartitions")
            .await
            .unwrap();
        let insert = |index: u32| {
            let mut row = Row::new("", format!("myhub-control-{index:02}"));
            row.set("IsDraining", false);
            Write::Insert(row)
        };
        account
            .tables
            .write("MyHubPartitions", insert(1))
            .await
            .unwrap();
        let (tables, sleeper) = (account.tables.clone(), env.clone());
        let other = env.scope().spawn(async move {
            sleeper.sleep(Duration::from_millis(1_500)).await;
            tables.write("MyHubPartitions", insert(3)).await.unwrap();
        });
        let four = settings("MyHub", 4, Table);
        create_hub(&account, &four, &env).await.unwrap();
        other.join().await.unwrap();
    });
}

#[test]
fn an_active_manager_of_another_kind_is_refused_until_it_is_gone() {
    // covers: R1-17 R5-02
    run(|env, account| async move {
        let table = settings("MyHub", 4, Table);
        create_hub(&account, &table, &env).await.unwrap();
        let lease = |env: &Env| env.now().saturating_add(Duration::from_secs(30));
        let ends: Timestamp = lease(&env);
        change_row(&account, |row| {
            row.set("CurrentOwner", "alpha");
            row.set("ExpiresAt", ends);
        })
        .await;
        let safe = settings("MyHub", 4, Safe);
        let error = create_hub(&account, &safe, &env).await.unwrap_err();
        assert!(
            matches!(error, HubError::OtherManager { found: "table", .. }),
            "{error}"
        );
        create_hub(&account, &table, &env).await.unwrap();
        env.sleep(Duration::from_secs(31)).await;
        create_hub(&account, &safe, &env).await.unwrap();

        let id = env.new_uuid().to_string();
        for (blob, found) in [("intent/myhub-control-01", "safe"), ("default/x", "legacy")] {
            let container = "myhub-leases";
            let put = durabletask_storage::PutCondition::Always;
            let content = "{}".into();
            let _ = account
                .blobs
                .put_blob(container, blob, content, put, None)
                .await;
            account
                .blobs
                .acquire_lease(container, Some(blob), &id, Some(30))
                .await
                .unwrap();
            let error = create_hub(&account, &table, &env)
                .await
                .unwrap_err()
                .to_string();
            assert!(
                error.contains(&format!("workers with {found} partition")),
                "{error}"
            );
            account
                .blobs
                .release_lease(container, Some(blob), &id)
                .await
                .unwrap();
        }
        create_hub(&account, &table, &env).await.unwrap();
        delete_hub(&account, &table).await.unwrap();
        assert_eq!(everything(&account).await, Vec::<String>::new());
    });
}

#[test]
fn settings_out_of_range_make_no_hub() {
    run(|env, account| async move {
        for broken in [settings("my-hub", 4, Table), settings("MyHub", 17, Table)] {
            let error = create_hub(&account, &broken, &env).await.unwrap_err();
            assert!(matches!(error, HubError::Settings(_)), "{error}");
        }
        assert_eq!(everything(&account).await, Vec::<String>::new());
    });
}

#[test]
fn a_file_store_is_opened_and_named() {
    let env = Env::system();
    let folder = std::env::temp_dir().join(format!("durabletask-{}", env.new_uuid()));
    let file = folder.join("nested").join("hub.db");
    let settings = HubSettings::new("MyHub", 1).with_store(StoreChoice::Embedded {
        path: Some(file.clone()),
    });
    assert_eq!(settings.embedded_file(), Some(file.clone()));
    let account = open_account(&settings, &env).unwrap();
    assert!(file.exists());
    drop(account);
    std::fs::remove_dir_all(folder).unwrap();
}
