//! `catalogue` from the outside: a worker process and client processes on one hub.
#![allow(clippy::unwrap_used, reason = "helpers of tests may panic, too")]

use std::process::Stdio;
use std::time::Duration;

use azurite_tests::{azurite, eventually, unique_hub};
use durabletask_storage::azure::{AzureAccount, AzureOptions, Connection};
use durabletask_storage::{Account, Env, RowKeys};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;

const LIMIT: Duration = Duration::from_secs(60);

fn catalogue(connection: &str, hub: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_catalogue"));
    command
        .env("AzureWebJobsStorage", connection)
        .args(["--task-hub", hub])
        .args(arguments)
        .stdout(Stdio::piped())
        .kill_on_drop(true);
    command
}

#[tokio::test]
async fn processes_share_a_hub_and_leave_it_clean() {
    let (connection, hub) = (azurite::connection().await, unique_hub("program"));
    let mut worker = catalogue(&connection, &hub, &["worker", "--plain"])
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(worker.stdout.take().unwrap()).lines();
    let first = lines.next_line().await.unwrap();
    assert_eq!(first, Some(format!("working on {hub}")));

    let run = |arguments: &'static [&'static str]| {
        let mut command = catalogue(&connection, &hub, arguments);
        async move {
            let ended = command.output().await.unwrap();
            assert!(ended.status.success(), "{arguments:?}: {ended:?}");
            String::from_utf8(ended.stdout).unwrap()
        }
    };
    let waiting = run(&["start", "EventOrTimeout", "e-1", "600", "--seconds", "60"]);
    let failing = run(&["start", "FailingParent", "p-1", "\"x\"", "--seconds", "60"]);
    let (waited, failed, ()) = tokio::join!(waiting, failing, async {
        is_there(&connection, &hub, "e-1").await;
        run(&["suspend", "e-1", "hold"]).await;
        run(&["resume", "e-1", "go"]).await;
        run(&["raise", "e-1", "Approval", "\"from outside\""]).await;
    });
    assert_eq!(waited, "Completed\n\"from outside\"\n");
    assert!(failed.starts_with("Failed\nDurableTask.Core."), "{failed}");

    let id = worker.id().unwrap().to_string();
    let killed = Command::new("kill").arg(&id).status().await.unwrap();
    assert!(killed.success());
    assert!(worker.wait().await.unwrap().success());
    assert_eq!(lines.next_line().await.unwrap().as_deref(), Some("stopped"));
    assert_eq!(left(&connection, &hub).await, 1, "only the timer that lost");
}

fn account(connection: &str) -> Account {
    let connection = Connection::parse(connection).unwrap();
    AzureAccount::connect(&connection, AzureOptions::default(), Env::system()).unwrap()
}

/// Waits until an instance has its row.
async fn is_there(connection: &str, hub: &str, partition: &str) {
    let tables = account(connection).tables;
    let table = format!("{hub}Instances");
    let keys = RowKeys { partition, row: "" };
    eventually(LIMIT, || async {
        tables.get_row(&table, keys).await.unwrap()
    })
    .await;
}

/// Messages left in the hub's queues, invisible ones included.
async fn left(connection: &str, hub: &str) -> u64 {
    let queues = account(connection).queues;
    let mut left = 0;
    for queue in queues.list_queues(hub).await.unwrap() {
        left += queues.count_messages(&queue).await.unwrap();
    }
    left
}
