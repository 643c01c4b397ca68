//! Hubs with every kind of damage that `doctor` knows: it names each, mends what can be mended, and
//! then finds nothing.

use std::time::Duration;

use azurite_tests::eventually;
use bytes::Bytes;
use durabletask_azurestorage::HubClient;
use durabletask_core::OrchestrationStatus;
use durabletask_storage::wrappers::Latency;
use durabletask_storage::{Condition, Env, PutCondition, Row, VirtualEnv, Write};
use durabletask_worker::prelude::*;
use durabletask_worker::{RunningWorker, StartOptions, TaskHub};

use crate::support::{Desk, LIMIT};

/// What a storage call takes while damage is done.
const CALL: Duration = Duration::from_millis(10);

#[orchestrator(name = "Greet")]
async fn greet(_: OrchestrationContext, who: String) -> Result<String> {
    Ok(format!("Hello {who}!"))
}

#[activity(name = "Break")]
async fn break_down(_: ActivityContext, _: ()) -> Result<()> {
    Err(Failure::new("Break", "as always"))
}

#[orchestrator(name = "Broken")]
async fn broken(ctx: OrchestrationContext, _: ()) -> Result<()> {
    ctx.call(break_down, ()).await
}

fn worker(hub: &TaskHub) -> RunningWorker {
    Worker::builder()
        .orchestrator(greet)
        .orchestrator(broken)
        .activity(break_down)
        .build()
        .unwrap()
        .start(hub)
}

async fn start(client: &HubClient, id: &str, name: &str) {
    let options = StartOptions {
        instance_id: Some(id.to_owned()),
        ..StartOptions::default()
    };
    let input = (name == "Greet").then(|| "\"you\"".to_owned());
    client.start(name, input, options).await.unwrap();
}

/// Does damage to instances, at the beginning of 2026.
async fn damage(desk: &Desk, env: Env) {
    let hub = TaskHub::open(desk.settings(), &env).await.unwrap();
    let account = hub.account().clone();
    let slow = Latency::wrap(account.clone(), env.clone(), CALL);
    let client = HubClient::new(TaskHub::new(env.clone(), slow, desk.settings()));
    let running = worker(&hub);
    start(&client, "behind", "Greet").await;
    start(&client, "asleep", "Broken").await;
    for id in ["behind", "asleep"] {
        client.wait(id, Some(LIMIT)).await.unwrap();
    }
    assert!(running.stop().await.unwrap());

    // The program that rewound it has died before it woke it.
    for half_calls in 1.. {
        let mut cut_off = Box::pin(client.rewind("asleep", None));
        let _ = env.timeout(CALL / 2 * half_calls, &mut cut_off).await;
        drop(cut_off);
        let status = client.status("asleep").await.unwrap().unwrap();
        if status.runtime_status == OrchestrationStatus::Pending {
            break;
        }
    }
    // Its worker has died between history and row.
    let mut row = Row::new("behind", "");
    row.set("RuntimeStatus", "Running");
    let write = Write::Merge(row, Condition::Exists);
    let instances = hub.names().instances_table();
    account.tables.write(&instances, write).await.unwrap();
    start(&client, "lost", "Greet").await;
    lose_messages(&hub).await;
    let container = hub.names().large_message_container();
    account.blobs.create_container(&container).await.unwrap();
    let put = account.blobs.put_blob(
        &container,
        "gone/history-1-Input.json.gz",
        Bytes::from_static(b"x"),
        PutCondition::Always,
        None,
    );
    put.await.unwrap();
}

async fn lose_messages(hub: &TaskHub) {
    let queues = &hub.account().queues;
    let mut lost = 0;
    for index in 0..hub.settings().partition_count {
        let queue = hub.names().control_queue(index);
        for message in queues.get_messages(&queue, 32, 60).await.unwrap() {
            let deleted = queues.delete_message(&queue, &message.handle);
            deleted.await.unwrap();
            lost += 1;
        }
    }
    assert_eq!(lost, 1);
}

/// Runs in virtual time, which begins in 2026, on a thread that is none of tokio's.
fn in_january(work: impl AsyncFnOnce(Env) + Send) {
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let time = VirtualEnv::new(7);
            time.block_on(work(time.env())).unwrap();
        });
    });
}

fn sorted(text: &str) -> Vec<&str> {
    let mut lines: Vec<_> = text.lines().collect();
    lines.sort_unstable();
    lines
}

#[tokio::test(flavor = "multi_thread")]
async fn every_instance_and_blob_that_is_damaged_is_named_and_mended() {
    let desk = Desk::embedded("damaged");
    in_january(async |env| damage(&desk, env).await);
    let expected = [
        "instance \"asleep\": was rewound and never woken; a message wakes it",
        "instance \"behind\": has ended and its row does not say so; the row is brought up to date",
        "instance \"gone\": blob gone/history-1-Input.json.gz (1 bytes) is referred to by nothing; \
         it is deleted",
        "instance \"lost\": is Pending and never ran; its start message is sent again, which helps \
         unless no worker knows its orchestrator",
    ];
    let ill = desk.run("doctor");
    assert_eq!(ill.code, 1, "{}", ill.err);
    assert_eq!(sorted(&ill.out), expected);
    let remedy = "error: 4 things to mend; `durabletask doctor --repair` does it for 4\n";
    assert!(ill.err.ends_with(remedy), "{}", ill.err);
    let told = desk.run("doctor --json").lines();
    assert!(
        told.iter()
            .all(|line| line["isRepairable"] == true && line["isRepaired"] == false)
    );

    let mended = desk.run("doctor --repair");
    assert_eq!(mended.code, 0, "{}", mended.err);
    let done: Vec<_> = expected
        .iter()
        .map(|line| format!("{line} (done)"))
        .collect();
    assert_eq!(sorted(&mended.out), done);
    // Both are in the same partition.
    let waiting = desk.run("doctor").out;
    assert!(
        waiting.starts_with("2 messages in desk-control-"),
        "{waiting}"
    );
    assert_eq!(waiting.lines().count(), 1, "{waiting}");

    let hub = desk.open(|_| {}).await;
    let running = worker(&hub);
    for (id, status) in [
        ("lost", "Completed"),
        ("asleep", "Failed"),
        ("behind", "Completed"),
    ] {
        let waited = desk.run(&format!("instances wait {id} --timeout 60"));
        assert_eq!(waited.field("Status"), status, "{id}: {}", waited.err);
    }
    well(&desk).await;
    assert!(running.stop().await.unwrap());
}

/// Waits until nothing is on its way any more; then nothing is wrong.
async fn well(desk: &Desk) {
    eventually(LIMIT, || async {
        let queues = desk.run("queues --json").lines();
        let is_empty = queues.iter().all(|queue| queue["messages"] == 0);
        is_empty.then_some(())
    })
    .await;
    let well = desk.run("doctor");
    assert_eq!((well.code, &*well.out), (0, ""), "{}", well.err);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_whose_activity_is_gone_is_named_terminated_and_restarted() {
    let desk = Desk::embedded("waiting");
    in_january(async |env| {
        let hub = TaskHub::open(desk.settings(), &env).await.unwrap();
        let client = HubClient::new(hub.clone());
        // Nobody knows the activity, until its message is gone.
        let ignorant = Worker::builder().orchestrator(broken).build().unwrap();
        let ignorant = ignorant.start(&hub);
        start(&client, "waits", "Broken").await;
        env.sleep(Duration::from_secs(60)).await;
        assert!(ignorant.stop().await.unwrap());
        env.sleep(Duration::from_secs(600)).await;
        let (queues, queue) = (&hub.account().queues, hub.names().work_item_queue());
        let message = queues.get_messages(&queue, 1, 60).await.unwrap().remove(0);
        queues
            .delete_message(&queue, &message.handle)
            .await
            .unwrap();
    });
    let told = "instance \"waits\": activities it waits for are in no queue (1, the first is Break, \
                task 0); terminate and restart it\n";
    let ill = desk.run("doctor --repair");
    assert_eq!((ill.code, &*ill.out), (1, told), "{}", ill.err);
    let hub = desk.open(|_| {}).await;
    let running = worker(&hub);
    assert_eq!(desk.run("instances terminate waits --yes").code, 0);
    let waited = desk.run("instances wait waits --timeout 60");
    assert_eq!(waited.field("Status"), "Terminated", "{}", waited.err);
    assert_eq!(desk.run("instances restart waits").out, "waits\n");
    let waited = desk.run("instances wait waits --timeout 60");
    assert_eq!(waited.field("Status"), "Failed", "{}", waited.err);
    well(&desk).await;
    assert!(running.stop().await.unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_hub_is_made_of_is_made_anew() {
    for (manager, lost) in [
        ("true", "table DeskPartitions"),
        ("false", "container desk-leases"),
    ] {
        let desk = Desk::embedded(&format!("gutted-{manager}"));
        let provider = |more: &str| {
            format!(
                r#"{{"extensions":{{"durableTask":{{"storageProvider":{{"useTablePartitionManagement":{manager}{more}}}}}}}}}"#
            )
        };
        let host = provider(r#","partitionCount":6"#);
        std::fs::write(desk.folder.0.join("host.json"), host).unwrap();
        assert_eq!(desk.run("hub create").code, 0);
        // How many partitions there were, is left to be seen from the queues.
        std::fs::write(desk.folder.0.join("host.json"), provider("")).unwrap();
        let account =
            durabletask_azurestorage::hub::open_account(&desk.settings(), &Env::system()).unwrap();
        account.tables.delete_table("DeskHistory").await.unwrap();
        account
            .queues
            .delete_queue("desk-control-02")
            .await
            .unwrap();
        account.queues.delete_queue("desk-workitems").await.unwrap();
        account
            .blobs
            .delete_container("desk-applease")
            .await
            .unwrap();
        match lost.split_once(' ').unwrap() {
            ("table", table) => account.tables.delete_table(table).await.unwrap(),
            (_, container) => account.blobs.delete_container(container).await.unwrap(),
        };
        let ill = desk.run("doctor");
        assert_eq!(ill.code, 1);
        for what in [
            "table DeskHistory is missing, with all histories; it is made anew",
            "queue desk-control-02 is missing, with its messages; it is made anew",
            "queue desk-workitems is missing, with its messages; it is made anew",
            "container desk-applease is missing; it is made anew",
            lost,
        ] {
            assert!(ill.out.contains(what), "{what}: {}", ill.out);
        }
        let mended = desk.run("doctor --repair");
        assert_eq!(mended.code, 0, "{}", mended.err);
        assert!(
            mended.out.lines().all(|line| line.ends_with(" (done)")),
            "{}",
            mended.out
        );
        well(&desk).await;
        assert_eq!(desk.run("partitions").out.lines().count(), 7);
    }
}

/// What only people can mend, with the remedy of each sentence.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_human_must_mend_is_told_with_the_remedy() {
    let desk = Desk::embedded("human");
    let hub = desk.open(|_| {}).await;
    let (names, account) = (hub.names(), hub.account());
    let mut row = Row::new("garbled", "");
    row.set("ExecutionId", "e");
    row.set("RuntimeStatus", "Running");
    row.set("CreatedTime", "yesterday");
    row.set(
        "LastUpdatedTime",
        "2026-01-01T00:00:00Z"
            .parse::<durabletask_core::Timestamp>()
            .unwrap(),
    );
    let instances = names.instances_table();
    account
        .tables
        .write(&instances, Write::Insert(row))
        .await
        .unwrap();
    let control = names.control_queue(1);
    account
        .queues
        .put_message(&control, "{", None)
        .await
        .unwrap();
    for _ in 0..10 {
        let received = account.queues.get_messages(&control, 1, 60).await.unwrap();
        let handle = &received[0].handle;
        account
            .queues
            .update_message(&control, handle, None, 0)
            .await
            .unwrap();
    }
    let ill = desk.run("doctor --repair");
    assert_eq!(ill.code, 1);
    let lines = sorted(&ill.out);
    assert_eq!(lines.len(), 3, "{}", ill.out);
    assert_eq!(
        lines[0],
        "1 message in desk-control-01, which no worker owns; start a worker"
    );
    assert!(
        lines[2].starts_with("instance \"garbled\": cannot be looked at: "),
        "{}",
        lines[2]
    );
    assert!(
        lines[2].ends_with("if nobody can mend that, purge it"),
        "{}",
        lines[2]
    );
    let returning =
        "a message that cannot be read was received 10 times from desk-control-01 since ";
    assert!(lines[1].starts_with(returning), "{}", lines[1]);
    let remedy = "error: 3 things to mend; each line above says how\n";
    assert!(ill.err.ends_with(remedy), "{}", ill.err);

    let purged = desk.run("instances purge garbled --force --yes");
    assert_eq!(purged.code, 0, "{}", purged.err);
    drop(hub);
    let hub = desk.open(|settings| settings.poison_after = 1).await;
    let running = worker(&hub);
    let poison = desk.lines("poison list --json").await.remove(0);
    assert_eq!(poison["queue"], "desk-control-01");
    assert!(running.stop().await.unwrap());
    let ill = desk.run("doctor");
    assert_eq!(ill.out.lines().count(), 1, "{}", ill.out);
    assert!(
        ill.out
            .starts_with("1 message set aside after too many failures; "),
        "{}",
        ill.out
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_beyond_the_partition_count_are_told() {
    let desk = Desk::embedded("stranded");
    let hub = desk.open(|_| {}).await;
    let (queues, queue) = (&hub.account().queues, "desk-control-07");
    queues.create_queue(queue).await.unwrap();
    assert_eq!(desk.run("doctor").code, 0, "nothing is in it");
    queues.put_message(queue, "{}", None).await.unwrap();
    let ill = desk.run("doctor");
    let told = "1 message in desk-control-07, which no worker reads because the hub has 4 \
                partitions; set storageProvider.partitionCount back";
    assert!(ill.out.starts_with(told), "{}", ill.out);
    assert_eq!(ill.code, 1);
}
