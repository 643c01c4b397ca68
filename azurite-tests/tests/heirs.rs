//! What a killed worker had in hand is finished by the others, in time.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests may panic, too"
)]

use std::process::Stdio;
use std::time::Duration;

use azurite_tests::{azurite, eventually, unique_hub};
use durabletask_azurestorage::hub::{HubSettings, StoreChoice, hub_overview};
use durabletask_azurestorage::{HubClient, InstanceQuery, StartOptions, TaskHub};
use durabletask_core::OrchestrationStatus::{Completed, Pending, Running};
use durabletask_storage::Env;
use durabletask_storage::azure::Connection;
use futures::TryStreamExt;
use tokio::process::{Child, Command};

const LIMIT: Duration = Duration::from_secs(60);
/// Longer than any of the soak's activities.
const ONE_ACTIVITY: Duration = Duration::from_millis(500);
const PARTITIONS: u32 = 4;
const INSTANCES: usize = 24;

fn worker(connection: &str, hub: &str, name: &str) -> Child {
    Command::new(env!("CARGO_BIN_EXE_soak"))
        .args(["worker", "--task-hub", hub, "--worker-id", name])
        .args(["--visibility", "30", "--lease", "30", "--polling", "5"])
        .env(azurite::CONNECTION_VARIABLE, connection)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap()
}

async fn partitions_of(hub: &TaskHub, name: &str) -> usize {
    let overview = hub_overview(hub.account(), hub.settings()).await.unwrap();
    let owners = overview.partitions.iter().map(|p| p.owner());
    owners.filter(|owner| *owner == Some(name)).count()
}

async fn count(client: &HubClient, query: InstanceQuery) -> usize {
    let found: Vec<_> = client.list(&query).try_collect().await.unwrap();
    found.len()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_work_of_a_killed_worker_is_finished_within_a_minute() {
    let (connection, name) = (azurite::connection().await, unique_hub("heirs"));
    let store = StoreChoice::Azure {
        main: Connection::parse(&connection).unwrap().into(),
        tracking: None,
    };
    let settings = HubSettings::new(&name, 1)
        .with_store(store)
        .with_partition_count(PARTITIONS);
    let env = Env::system();
    let hub = TaskHub::open(settings, &env).await.unwrap();
    let client = HubClient::new(hub.clone());
    let mut victim = worker(&connection, &name, "victim");
    let _heir = worker(&connection, &name, "heir");
    eventually(LIMIT, || async {
        let owned = (
            partitions_of(&hub, "victim").await,
            partitions_of(&hub, "heir").await,
        );
        (owned == (2, 2)).then_some(())
    })
    .await;

    for number in 0..INSTANCES {
        let (kind, input) = [("Steps", "4"), ("Squares", "8")][number % 2];
        let options = StartOptions {
            instance_id: Some(format!("{kind}-{number}")),
            ..StartOptions::default()
        };
        let input = Some(input.to_owned());
        client.start(kind, input, options).await.unwrap();
    }
    let with = |statuses: &[_]| InstanceQuery {
        statuses: statuses.to_vec(),
        ..InstanceQuery::default()
    };
    eventually(LIMIT, || async {
        (count(&client, with(&[Pending])).await < INSTANCES / 2).then_some(())
    })
    .await;
    victim.kill().await.unwrap();
    let killed = env.monotonic();
    let open = count(&client, with(&[Pending, Running])).await;
    assert!(open > INSTANCES / 4, "only {open} were left when it died");

    eventually(LIMIT + ONE_ACTIVITY, || async {
        let open = count(&client, with(&[Pending, Running])).await;
        (open == 0).then_some(())
    })
    .await;
    let took = env.monotonic().saturating_sub(killed);
    println!("{open} instances of a killed worker ended after {took:?}");
    assert_eq!(count(&client, with(&[Completed])).await, INSTANCES);
}
