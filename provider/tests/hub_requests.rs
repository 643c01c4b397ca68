//! The requests of hub creation, of the first pass and of a stop against the recordings
//! (chapter 01 §1.4, §5.3.3, §5.3.6).

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test")]

#[path = "wire/golden.rs"]
mod golden;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use durabletask_azurestorage::hub::{
    HubSettings, PartitionManagement, StoreChoice, create_hub, open_account,
};
use durabletask_azurestorage::partition::{
    PartitionHost, PartitionId, PartitionManager, TablePartitionManager,
};
use durabletask_core::Timestamp;
use durabletask_storage::wrappers::{Arguments, Operation, RecordedCall, Recording};
use durabletask_storage::{Account, Env, Row, Value, VirtualEnv, Write};

/// A write of a partition row: what is in it, times as differences.
fn row_line(verb: &str, row: &Row) -> String {
    let text = |column| row.get_str(column).unwrap_or("-").to_owned();
    let columns: Vec<_> = row.columns.keys().map(String::as_str).collect();
    let time = |column| match row.get(column) {
        Some(Value::DateTime(time)) => *time,
        _ => Timestamp::MIN,
    };
    let lease = time("ExpiresAt").saturating_since(time("LastRenewal"));
    format!(
        "{verb} {:?}{} {}/{} draining {:?} lease {:.2} columns {columns:?}",
        row.partition_key,
        row.row_key,
        text("CurrentOwner"),
        text("NextOwner"),
        row.get("IsDraining"),
        lease.as_secs_f64(),
    )
}

/// A blob's content without the time in `taskhub.json`.
fn blob_line(path: &str, content: &str) -> String {
    let (start, rest) = content
        .split_once("\"CreatedAt\":\"")
        .unwrap_or((content, ""));
    let rest = rest.split_once('"').map_or("", |(_, rest)| rest);
    format!("blob {path} = {start}{rest}")
}

/// A recorded request that writes, or reads the partition table.
fn recorded_line(request: &golden::Request) -> Option<String> {
    let path = request.path.trim_start_matches('/');
    let body = String::from_utf8_lossy(&request.body).into_owned();
    match (request.service.as_str(), request.method.as_str()) {
        ("blob", "PUT") => Some(match path.strip_suffix("?restype=container") {
            Some(container) => format!("container {container}"),
            None => blob_line(path, &body),
        }),
        ("queue", "PUT") if !path.contains('/') => Some(format!("queue {path}")),
        ("table", "POST") if path == "Tables" => {
            let table = body
                .strip_prefix("{\"TableName\":\"")?
                .strip_suffix("\"}")?;
            Some(format!("table {table}"))
        }
        ("table", "GET") if path.contains("Partitions()") => Some("query".to_owned()),
        ("table", _) if path.contains("Partitions") => {
            let write = request.row_writes().pop()?;
            let insert = write.method == "POST" && write.if_match.is_none();
            assert!(insert || write.if_match.is_some());
            Some(row_line(
                if insert { "insert" } else { "replace" },
                &write.row,
            ))
        }
        _ => None,
    }
}

/// One of our calls, in the same words.
fn our_line(call: &RecordedCall) -> Option<String> {
    let name = &call.resource;
    match (call.operation, &call.arguments) {
        (Operation::CreateContainer, _) => Some(format!("container {name}")),
        (Operation::CreateTable, _) => Some(format!("table {name}")),
        (Operation::CreateQueue, _) => Some(format!("queue {name}")),
        (Operation::PutBlob, Arguments::Blob { content, .. }) => {
            Some(blob_line(name, std::str::from_utf8(content).unwrap()))
        }
        (Operation::Query, _) => Some("query".to_owned()),
        (Operation::Write, Arguments::Writes(writes)) => match &writes[..] {
            [Write::Insert(row)] => Some(row_line("insert", row)),
            [Write::Replace(row, _)] => Some(row_line("replace", row)),
            other => panic!("{other:?}"),
        },
        _ => None,
    }
}

fn recorded(scenario: &str) -> Vec<String> {
    let requests = golden::requests(scenario);
    requests.iter().filter_map(recorded_line).collect()
}

fn ours(recording: &Recording) -> Vec<String> {
    let calls = recording.take();
    calls.iter().filter_map(our_line).collect()
}

/// A recorded, empty account.
fn account(env: &Env) -> (Account, Arc<Recording>) {
    let settings = HubSettings::new("Memory", 1).with_store(StoreChoice::Memory);
    Recording::wrap(open_account(&settings, env).unwrap(), 10_000)
}

fn run<F: Future<Output = ()>>(test: impl FnOnce(Env) -> F) {
    let time = VirtualEnv::new(1);
    time.block_on(test(time.env())).unwrap();
    assert_eq!(time.panics().texts, Vec::<String>::new());
}

#[test]
fn creation_asks_for_what_dotnet_asks() {
    for (scenario, hub, management) in [
        ("pair", "goldenpair", PartitionManagement::Table),
        ("hello-safe", "goldenhellosafe", PartitionManagement::Safe),
        (
            "hello-legacy",
            "goldenhellolegacy",
            PartitionManagement::Legacy,
        ),
    ] {
        run(|env| async move {
            let (account, recording) = account(&env);
            let mut settings = HubSettings::new(hub, 1);
            settings.partition_management = management;
            create_hub(&account, &settings, &env).await.unwrap();
            let mut ours = ours(&recording);
            // Our check of an existing hub comes first.
            assert_eq!(ours.remove(0), "query");
            let theirs = recorded(scenario);
            let creation = ours.len();
            assert_eq!(ours[..3], theirs[..3], "{scenario}");
            // .NET's safe manager makes the container and its description twice.
            let distinct = |lines: &[String]| lines.iter().cloned().collect::<BTreeSet<_>>();
            let twice = if management == PartitionManagement::Safe {
                2
            } else {
                0
            };
            assert_eq!(
                distinct(&theirs[..creation + twice]),
                distinct(&ours),
                "{scenario}"
            );
            assert_eq!(distinct(&ours).len(), creation, "{scenario}");
        });
    }
}

/// A host without sessions.
struct Idle;

#[async_trait]
impl PartitionHost for Idle {
    fn acquired(&self, _: PartitionId) {}

    async fn drain(&self, _: PartitionId) {}

    fn lost(&self, partition: PartitionId) {
        panic!("{partition} lost");
    }
}

#[test]
fn first_pass_idle_pass_and_stop_are_as_recorded() {
    run(|env| async move {
        let (account, recording) = account(&env);
        let settings = HubSettings::new("goldenhello", 1);
        create_hub(&account, &settings, &env).await.unwrap();
        let creation = ours(&recording).len() - 1;
        let manager = TablePartitionManager::new(&account, &settings, "dotnet-5311", &env);

        manager.start(&env.scope(), Arc::new(Idle));
        env.sleep(Duration::from_secs(5)).await;
        let theirs = &recorded("hello")[creation..];
        let first = ours(&recording);
        assert_eq!(first, theirs[..9]);

        env.sleep(Duration::from_secs(10)).await;
        let idle = ours(&recording);
        assert_eq!(idle.len(), 5);
        assert_eq!(idle[0], "query");
        let renewals: Vec<_> = first[1..].iter().step_by(2).cloned().collect();
        assert_eq!(idle[1..], renewals);

        manager.stop().await.unwrap();
        // After each release .NET makes the queue once more and may read it (R5-24): a defect.
        let mut stop = theirs[9..].to_vec();
        stop.retain(|line| !line.starts_with("queue"));
        assert_eq!(ours(&recording), stop);
    });
}
