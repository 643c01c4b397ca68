//! Messages that nobody can work off, on Azurite: set aside, looked at, put back.

use std::sync::atomic::Ordering;
use std::time::Duration;

use azurite_tests::eventually;
use durabletask_azurestorage::hub::PoisonedInstance;
use durabletask_azurestorage::{HubClient, HubWorker, StartOptions, TaskHub};
use serde_json::Value;

use crate::brittle::Brittle;
use crate::hello::start_worker;
use crate::support::{Desk, LIMIT};

/// Failures after which a message is set aside: the second is 2 s after the first.
const FAILURES: u32 = 2;

async fn open(desk: &Desk, poisoned: PoisonedInstance) -> TaskHub {
    desk.open(|settings| {
        settings.poison_after = FAILURES;
        settings.poisoned_instance = poisoned;
        settings.control_queue_visibility_timeout = Duration::from_secs(30);
        settings.work_item_queue_visibility_timeout = Duration::from_secs(30);
    })
    .await
}

fn work(hub: &TaskHub, executor: &Brittle) -> HubWorker {
    start_worker(hub, "worker", executor.clone(), executor.clone())
}

async fn start(hub: &TaskHub, id: &str) {
    let options = StartOptions {
        instance_id: Some(id.to_owned()),
        ..StartOptions::default()
    };
    let client = HubClient::new(hub.clone());
    client.start("HelloSequence", None, options).await.unwrap();
}

/// Waits until that many messages are set aside, as the program lists them.
async fn set_aside(desk: &Desk, count: usize) -> Vec<Value> {
    eventually(LIMIT, || async {
        let listed = desk.run("poison list --json").lines();
        (listed.len() == count).then_some(listed)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_read_or_crashes_is_set_aside_listed_shown_and_put_back() {
    let desk = Desk::azurite("poison").await;
    let hub = open(&desk, PoisonedInstance::Leave).await;
    let executor = Brittle {
        broken_activity: true,
        ..Brittle::default()
    };
    let (control, work_items) = (
        format!("{}-control-01", desk.hub),
        format!("{}-workitems", desk.hub),
    );
    let queues = &hub.account().queues;
    let unreadable = [(&control, "{ no JSON & <angles>"), (&work_items, "\u{e9}")];
    for (queue, text) in unreadable {
        queues.put_message(queue, text, None).await.unwrap();
    }
    let worker = work(&hub, &executor);
    start(&hub, "left").await;
    let listed = set_aside(&desk, 3).await;
    for (queue, text) in unreadable {
        let mut of_queue = listed.iter().filter(|message| message["queue"] == **queue);
        let message = of_queue
            .find(|message| message["instanceId"].is_null())
            .unwrap();
        assert_eq!(message["failures"], FAILURES);
        let id = message["messageId"].as_str().unwrap();
        assert_eq!(
            desk.run(&format!("poison show {id}")).out,
            format!("{text}\n")
        );
    }
    let mut of_instance = listed
        .iter()
        .filter(|message| message["instanceId"] == "left");
    let crashed = of_instance.next().unwrap();
    assert_eq!(crashed["queue"], work_items);
    assert_eq!(crashed["eventType"], "TaskScheduled");
    assert_eq!(crashed["error"], "panicked: brittle");
    let id = crashed["messageId"].as_str().unwrap().to_owned();
    let shown = desk.run(&format!("poison show {id}"));
    assert!(shown.out.contains("SayHello"), "{}", shown.out);
    let table = desk.run("poison list").out;
    assert_eq!(table.lines().count(), 4, "{table}");
    let ill = desk.run("doctor");
    assert_eq!(ill.code, 1);
    assert!(
        ill.out
            .contains("3 messages set aside after too many failures"),
        "{}",
        ill.out
    );
    let status = desk.run("instances show left --json").json();
    assert_eq!(status["runtimeStatus"], "Running", "left as it is");

    executor.mended.store(true, Ordering::Relaxed);
    let requeued = desk.run(&format!("poison requeue {id}"));
    assert_eq!(requeued.out, "1 message is back in the queue.\n");
    assert_eq!(desk.run(&format!("poison requeue {id}")).code, 3);
    let waited = desk.run("instances wait left --timeout 60");
    assert_eq!(waited.code, 0, "{}", waited.err);
    // The others are no better than before.
    let requeued = desk.run("poison requeue --all --json").json();
    assert_eq!(requeued["requeued"], 2);
    let again = set_aside(&desk, 2).await;
    assert!(again.iter().all(|message| message["instanceId"].is_null()));
    assert!(worker.stop().await.unwrap());
    assert_eq!(queues.count_messages(&control).await.unwrap(), 0);
    assert_eq!(desk.run("hub delete --yes").code, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_hears_of_its_poison_if_the_settings_say_so() {
    for (broken_orchestrator, event, code) in
        [(true, "ExecutionStarted", 4), (false, "TaskScheduled", 0)]
    {
        let desk = Desk::azurite("told").await;
        let hub = open(&desk, PoisonedInstance::Fail).await;
        let executor = Brittle {
            broken_orchestrator,
            broken_activity: !broken_orchestrator,
            ..Brittle::default()
        };
        let worker = work(&hub, &executor);
        start(&hub, "told").await;
        let told = format!("a message ({event}) failed {FAILURES} times and was set aside");
        let ended = eventually(LIMIT, || async {
            let history = desk.run("instances history told --json").out;
            let shown = desk.run("instances show told").out;
            (history.contains(&told) || shown.contains(&told)).then_some(())
        });
        ended.await;
        // The caller of the activity sees it fail and goes on; this one takes no notice.
        executor.mended.store(true, Ordering::Relaxed);
        let waited = desk.run("instances wait told --timeout 60");
        assert_eq!(waited.code, code, "{}{}", waited.out, waited.err);
        if broken_orchestrator {
            assert_eq!(waited.field("Status"), "Terminated");
            assert!(waited.field("Output").contains(&told), "{}", waited.out);
        }
        assert_eq!(
            desk.run("poison list --json").lines()[0]["eventType"],
            event
        );
        assert!(worker.stop().await.unwrap());
        assert_eq!(desk.run("hub delete --yes").code, 0);
    }
}
