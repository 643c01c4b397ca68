//! Instances that an in-process Functions app started and did not finish, finished by our worker
//! as it comes: every history of the extension's recordings, cut at each of its episodes. What we
//! append is what the extension recorded there, but for one table of differences.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on should stop here"
)]

mod differences;
#[path = "../../../provider/tests/wire/golden.rs"]
mod golden;
#[allow(dead_code, reason = "shared with the replay")]
#[path = "../replay/histories.rs"]
mod histories;
mod recorded;
mod values;

use std::collections::BTreeSet;
use std::time::Duration;

use azurite_tests::extension;
use differences::Complaints;
use durabletask_azurestorage::wire::message::{self, Decoded};
use durabletask_azurestorage::wire::{history_row, names};
use durabletask_core::{EventKind, HTTP_ACTIVITY_NAME};
use durabletask_storage::wrappers::{Arguments, Recording};
use durabletask_storage::{Query, Row, VirtualEnv, Write};
use durabletask_worker::hub::{HubSettings, StoreChoice};
use durabletask_worker::prelude::*;
use durabletask_worker::{FailureDetails, TaskHub};
use recorded::{Cut, Recorded};
use serde_json::Value;
use values::{Executions, Place};

/// Of virtual time.
const LIMIT: Duration = Duration::from_secs(600);
const MAX_CALLS: usize = 100_000;
const EVENT_DELAY_SECONDS: u32 = 5;
const PAUSE: Duration = Duration::from_millis(100);

/// What the recording's server answered; who asks elsewhere is not answered.
struct RecordedServer(Recorded);

impl Activity for RecordedServer {
    const NAME: &'static str = HTTP_ACTIVITY_NAME;
    type Input = Value;
    type Output = Value;

    async fn run(&self, _: ActivityContext, request: Value) -> Result<Value> {
        let answer = self.0.answer_to(request["uri"].as_str().unwrap());
        answer.ok_or_else(|| {
            let refused = "Connection refused (127.0.0.1:1)";
            let mut failure = FailureDetails::new("System.Net.Http.HttpRequestException", refused);
            let cause = "System.Net.Sockets.SocketException";
            failure.inner = Some(Box::new(FailureDetails::new(cause, "Connection refused")));
            Failure::from_details(failure)
        })
    }
}

#[test]
fn we_finish_what_a_functions_app_began() {
    let mut complaints = Complaints::default();
    let mut cuts = 0;
    let scenarios = golden::hubs().into_iter();
    for scenario in scenarios.filter(|name| name.starts_with("ext-")) {
        let recorded = Recorded::of(&scenario);
        for cut in recorded.cuts() {
            take_over(&recorded, &cut, &mut complaints);
            cuts += 1;
        }
    }
    println!("{cuts} cuts");
    assert!(cuts > 80, "only {cuts} cuts");
    let complaints = complaints.all();
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}

/// Lays the first rows of a history into an empty hub, with the messages that were outstanding,
/// lets our worker finish it, and compares.
fn take_over(recorded: &Recorded, cut: &Cut<'_>, complaints: &mut Complaints) {
    let time = VirtualEnv::new(7);
    let env = time.env();
    let ran = time.block_on(async {
        let settings = HubSettings::new(&recorded.hub_name, 2).with_store(StoreChoice::Memory);
        let hub = TaskHub::open(settings, &env).await.unwrap();
        lay_down(&hub, recorded, cut).await;
        let (account, recording) = Recording::wrap(hub.account().clone(), MAX_CALLS);
        let hub = TaskHub::new(env.clone(), account, hub.settings().clone());
        let worker = extension::builder().activity(RecordedServer(recorded.clone()));
        let running = worker.env(env.clone()).build().unwrap().start(&hub);
        let client = Client::new(&hub);
        let expected: BTreeSet<String> = cut.instances();
        while !all_ended(&client, &expected).await {
            assert!(time.elapsed() < LIMIT, "{cut}: not ended");
            env.sleep(PAUSE).await;
        }
        running.stop().await.unwrap();
        assert_eq!(recording.missed_calls(), 0, "{cut}");
        let calls = recording.take();
        let mut executions = Vec::new();
        for id in &expected {
            executions.push(compare(&hub, recorded, cut, id, complaints).await);
        }
        for call in calls {
            if let Arguments::Put { text, .. } = call.arguments {
                let text = executions
                    .iter()
                    .fold(text, |text, known| known.known(&text));
                compare_message(recorded, cut, &text, complaints);
            }
        }
    });
    ran.unwrap_or_else(|stalled| panic!("{cut}: {stalled}"));
    assert_eq!(time.panics().texts, Vec::<String>::new(), "{cut}");
}

/// A child that has not begun has no row yet.
async fn all_ended(client: &Client, ids: &BTreeSet<String>) -> bool {
    for id in ids {
        let status = client.status(id).await.unwrap();
        if !status.is_some_and(|status| status.runtime_status.is_terminal()) {
            return false;
        }
    }
    true
}

async fn lay_down(hub: &TaskHub, recorded: &Recorded, cut: &Cut<'_>) {
    let tables = &hub.account().tables;
    let history = hub.names().history_table();
    for row in cut.rows_that_stay(recorded) {
        tables.write(&history, Write::Insert(row)).await.unwrap();
    }
    let instances = hub.names().instances_table();
    if let Some(row) = cut.instance_row(recorded) {
        tables.write(&instances, Write::Insert(row)).await.unwrap();
    }
    for data in cut.outstanding(recorded) {
        let id = &data.message.target.instance_id;
        let partition = names::partition_of(id, hub.settings().partition_count);
        let kind = &data.message.event.kind;
        let queue = match kind {
            EventKind::TaskScheduled(_) => hub.names().work_item_queue(),
            _ => hub.names().control_queue(partition),
        };
        let delay = cut.comes_later(kind).then_some(EVENT_DELAY_SECONDS);
        let text = message::encode(&data);
        let queues = &hub.account().queues;
        queues.put_message(&queue, &text, delay).await.unwrap();
    }
}

async fn compare(
    hub: &TaskHub,
    recorded: &Recorded,
    cut: &Cut<'_>,
    instance_id: &str,
    complaints: &mut Complaints,
) -> Executions {
    let key = names::escape_key(instance_id);
    let ours = rows(hub, &hub.names().history_table(), &key).await;
    let ours: Vec<Row> = ours
        .into_iter()
        .filter(|row| !history_row::is_sentinel(row))
        .collect();
    let theirs = recorded.history_rows(&key);
    let kinds = |rows: &[Row]| -> Vec<String> {
        let kinds = rows.iter().map(|row| row.get_str("EventType"));
        kinds
            .map(|kind| kind.unwrap_or_default().to_owned())
            .collect()
    };
    assert_eq!(kinds(&ours), kinds(&theirs), "{cut}: {instance_id}");
    let is_cut = instance_id == cut.instance_id();
    let kept = if is_cut { cut.kept() } else { 0 };
    let executions = Executions::new(&ours, &theirs);
    for (at, (ours, theirs)) in ours.iter().zip(&theirs).enumerate() {
        if at < kept {
            assert_eq!(
                ours.columns, theirs.columns,
                "{cut}: {instance_id}: row {at}"
            );
            continue;
        }
        let place = Place::event(recorded, theirs);
        complaints.compare_rows(&place, &executions, theirs, ours);
    }
    let ours = rows(hub, &hub.names().instances_table(), &key)
        .await
        .remove(0);
    let theirs = recorded.instance(&key);
    complaints.compare_rows(
        &Place::instance(recorded, &theirs),
        &executions,
        &theirs,
        &ours,
    );
    executions
}

/// Compares a message that our worker sent.
fn compare_message(recorded: &Recorded, cut: &Cut<'_>, text: &str, complaints: &mut Complaints) {
    let Ok(Decoded::Message(data)) = message::decode(text) else {
        panic!("{cut}: {text}");
    };
    let theirs = recorded.message_like(&data);
    let theirs = theirs.unwrap_or_else(|| panic!("{cut}: .NET did not send {text}"));
    let place = Place::message(recorded, &data);
    let [theirs, ours] = [theirs, text].map(values::message_members);
    complaints.compare(&place, &theirs, &ours);
}

async fn rows(hub: &TaskHub, table: &str, key: &str) -> Vec<Row> {
    let query = Query::filter(format!("PartitionKey eq '{key}'"));
    hub.account()
        .tables
        .query(table, &query)
        .await
        .unwrap()
        .rows
}
