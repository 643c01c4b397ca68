//! The requests of hub creation, of the first pass and of a stop against the recordings
//! (chapter 01 §1.4, §5.3.3, §5.3.6).

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test")]

#[path = "wire/golden.rs"]
mod golden;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use durabletask_azurestorage::hub::{
    HubSettings, PartitionManagement, StoreChoice, create_hub, open_account,
};
use durabletask_azurestorage::partition::{
    PartitionHost, PartitionId, PartitionManager, TablePartitionManager, partition_manager,
};
use durabletask_core::Timestamp;
use durabletask_storage::wrappers::{Arguments, Operation, Outcome, RecordedCall, Recording};
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
    // covers: R1-01 R1-02 R1-10 R1-11 R1-13
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

    fn is_reading(&self, _: PartitionId) -> bool {
        true
    }

    async fn drain(&self, _: PartitionId) {}

    fn lost(&self, partition: PartitionId) {
        panic!("{partition} lost");
    }
}

#[test]
fn first_pass_idle_pass_and_stop_are_as_recorded() {
    // covers: R5-10 R5-11 R5-12 R5-13 R5-16 R5-20 R5-24
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

/// What is written to each lease blob of `folder`, in order: lease operations but renewals, and
/// contents with their lease ids blanked.
type LeaseWrites = BTreeMap<String, Vec<String>>;

fn content_line(content: &str, leased: bool) -> String {
    let (start, rest) = content.split_once("\"Token\":\"").unwrap_or((content, ""));
    let token = if rest.is_empty() { "" } else { "<token>" };
    let rest = rest.split_once('"').map_or("", |(_, rest)| rest);
    format!("put {start}{token}{rest} under a lease: {leased}")
}

fn recorded_lease_writes(scenario: &str, folder: &str) -> LeaseWrites {
    let mut writes = LeaseWrites::new();
    for request in golden::requests(scenario) {
        let header = |name: &str| request.headers.get(name).map_or("", String::as_str);
        let blob = request.path.split('?').next().unwrap_or_default();
        let done = (200..300).contains(&request.status);
        if !done || request.method != "PUT" || !blob.contains(&format!("-leases/{folder}/")) {
            continue;
        }
        let line = match header("x-ms-lease-action") {
            "renew" => continue,
            "" => content_line(
                std::str::from_utf8(&request.body).unwrap(),
                !header("x-ms-lease-id").is_empty(),
            ),
            action => format!("{action} {}", header("x-ms-lease-duration")),
        };
        let blob = blob.trim_start_matches('/').to_owned();
        writes.entry(blob).or_default().push(line);
    }
    writes
}

fn our_lease_writes(recording: &Recording, folder: &str) -> LeaseWrites {
    let mut writes = LeaseWrites::new();
    for call in recording.take() {
        let done = matches!(call.outcome, Some(Outcome::Done(_)));
        if !done || !call.resource.contains(&format!("-leases/{folder}/")) {
            continue;
        }
        let line = match (call.operation, call.arguments) {
            (Operation::AcquireLease, Arguments::AcquireLease { seconds, .. }) => {
                format!("acquire {}", seconds.unwrap())
            }
            (Operation::ChangeLease, _) => "change ".to_owned(),
            (Operation::ReleaseLease, _) => "release ".to_owned(),
            (Operation::PutBlob, Arguments::Blob { content, lease, .. }) => {
                content_line(std::str::from_utf8(&content).unwrap(), lease.is_some())
            }
            _ => continue,
        };
        writes.entry(call.resource).or_default().push(line);
    }
    writes
}

/// The recordings `pair-legacy` and `pair-safe` from the first start to the last stop. The safe
/// manager's ownership leases are left out: .NET lets them run out, we release them (R5-37).
#[test]
fn two_workers_take_steal_and_release_leases_as_recorded() {
    // covers: R5-30 R5-31 R5-33
    for (scenario, folder, management) in [
        ("pair-legacy", "default", PartitionManagement::Legacy),
        ("pair-safe", "intent", PartitionManagement::Safe),
    ] {
        run(|env| async move {
            let (account, recording) = account(&env);
            let mut settings = HubSettings::new(scenario.replace('-', ""), 1);
            settings.hub_name = format!("golden{}", settings.hub_name);
            settings.partition_management = management;
            settings.use_app_lease = false;
            create_hub(&account, &settings, &env).await.unwrap();
            let worker = |name| partition_manager(&account, &settings, name, &env);
            let (alpha, beta) = (worker("alpha"), worker("beta"));
            alpha.start(&env.scope(), Arc::new(Forgetful));
            env.sleep(Duration::from_secs(8)).await;
            beta.start(&env.scope(), Arc::new(Forgetful));
            env.sleep(Duration::from_secs(53)).await;
            alpha.stop().await.unwrap();
            env.sleep(Duration::from_secs(25)).await;
            beta.stop().await.unwrap();
            let theirs = recorded_lease_writes(scenario, folder);
            assert_eq!(theirs.len(), 4);
            assert_eq!(our_lease_writes(&recording, folder), theirs, "{scenario}");
        });
    }
}

/// A host without sessions that may lose partitions.
struct Forgetful;

#[async_trait]
impl PartitionHost for Forgetful {
    fn acquired(&self, _: PartitionId) {}

    fn is_reading(&self, _: PartitionId) -> bool {
        true
    }

    async fn drain(&self, _: PartitionId) {}

    fn lost(&self, _: PartitionId) {}
}
