//! The sweeper and retention (design.md §8).

use std::ops::ControlFlow;
use std::time::Duration;

use durabletask_azurestorage::hub::{HubSettings, RetentionSettings};
use durabletask_azurestorage::wire::names;
use durabletask_azurestorage::{
    Finding, FindingKind, HubWorker, StartOptions, SweepOptions, SweepReport,
};
use durabletask_core::OrchestrationStatus::{Completed, Pending};
use durabletask_storage::{Condition, PutCondition, Row, Write};

use crate::hub::{CALL, TestHub, run};
use crate::rewind::{failed_family, puts};
use crate::support::{Brittle, HelloSequence, SayHello, start_worker};

const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(86_400);

/// Sweeps; what was found.
async fn sweep(hub: &TestHub, dry_run: bool) -> Vec<String> {
    let options = SweepOptions {
        dry_run,
        lost_tasks: true,
        ..SweepOptions::default()
    };
    let mut found = Vec::new();
    let on_step = |_: &SweepReport, finding: Option<&Finding>| {
        if let Some(Finding {
            instance_id,
            kind,
            is_repaired,
        }) = finding
        {
            assert_eq!(*is_repaired, !dry_run && kind.is_repairable(), "{kind}");
            found.push(match kind {
                FindingKind::LostStart => format!("start {instance_id}"),
                FindingKind::SleepingRewind => format!("rewind {instance_id}"),
                FindingKind::StaleStatus => format!("status {instance_id}"),
                FindingKind::LostTask { name, count, .. } => {
                    format!("{count} {name} of {instance_id}")
                }
                FindingKind::OrphanedBlob { blob, .. } => format!("blob {blob}"),
                other => format!("{other} {instance_id}"),
            });
        }
        ControlFlow::Continue(())
    };
    let report = hub.client.sweep(&options, on_step).await.unwrap();
    assert!(report.is_complete);
    assert_eq!(report.found, found.len() as u64);
    found
}

fn worker(hub: &TestHub) -> HubWorker {
    start_worker(&hub.hub, "worker", HelloSequence, SayHello)
}

/// Takes all messages out of a queue; their texts.
async fn lose_messages(hub: &TestHub, instance_id: &str) -> Vec<String> {
    let names = hub.hub.names();
    let count = hub.hub.settings().partition_count;
    let partition = names::partition_of(instance_id, count);
    let (queue, queues) = (names.control_queue(partition), &hub.account.queues);
    let mut texts = Vec::new();
    for message in queues.get_messages(&queue, 32, 60).await.unwrap() {
        queues
            .delete_message(&queue, &message.handle)
            .await
            .unwrap();
        texts.push(message.text);
    }
    texts
}

/// A message without the number and id of its envelope.
fn content(text: &str) -> serde_json::Value {
    let mut json: serde_json::Value = serde_json::from_str(text).unwrap();
    json["SequenceNumber"] = 0.into();
    json["ActivityId"] = 0.into();
    json
}

async fn start(hub: &TestHub, instance_id: &str, start_in: Option<Duration>) {
    let options = StartOptions {
        instance_id: Some(instance_id.to_owned()),
        tags: Some(
            [("team".to_owned(), "a/b".to_owned())]
                .into_iter()
                .collect(),
        ),
        start_at: start_in.map(|delay| hub.hub.env().now().saturating_add(delay)),
        ..StartOptions::default()
    };
    let input = Some("\"in\"".to_owned());
    hub.client
        .start("HelloSequence", input, options)
        .await
        .unwrap();
}

#[test]
fn a_lost_start_is_sent_again_ever_less_often() {
    run(async |env| {
        let hub = TestHub::new(&env, "starts").await;
        start(&hub, "i", None).await;
        start(&hub, "later", Some(60 * MINUTE)).await;
        let lost = lose_messages(&hub, "i").await;
        env.sleep(9 * MINUTE).await;
        assert!(sweep(&hub, false).await.is_empty());
        env.sleep(2 * MINUTE).await;
        assert_eq!(sweep(&hub, true).await, ["start i"]);
        assert_eq!(sweep(&hub, false).await, ["start i"]);
        let sent = lose_messages(&hub, "i").await;
        assert_eq!(sent.len(), 1);
        assert_eq!(content(&sent[0]), content(&lost[0]));
        // Sent again after 11 minutes, it is due after 11 more, and so on.
        let mut waited = 11;
        for _ in 0..3 {
            env.sleep((waited - 1) * MINUTE).await;
            assert!(!sweep(&hub, true).await.contains(&"start i".to_owned()));
            env.sleep(2 * MINUTE).await;
            assert!(sweep(&hub, false).await.contains(&"start i".to_owned()));
            waited = 2 * waited + 1;
        }
        // Several copies: one execution.
        let worker = worker(&hub);
        for id in ["i", "later"] {
            let ended = hub.client.wait(id, Some(10 * MINUTE)).await.unwrap();
            assert_eq!(ended.runtime_status, Completed, "{id}");
        }
        env.sleep(10 * MINUTE).await;
        let events = hub.history_rows("i").await;
        let started = events
            .iter()
            .filter(|row| row.get_str("EventType") == Some("ExecutionStarted"));
        assert_eq!(started.count(), 1);
        assert!(worker.stop().await.unwrap());
    });
}

#[test]
fn a_start_sent_again_has_the_tags_that_were_moved() {
    run(async |env| {
        let hub = TestHub::new(&env, "tags").await;
        start(&hub, "i", None).await;
        let lost = lose_messages(&hub, "i").await;
        let container = hub.hub.names().large_message_container();
        hub.put_blob(&container, "i/history--Tags-1-Tags.json.gz")
            .await;
        let tags = durabletask_azurestorage::wire::large::gzip(r#"{"team":"a/b"}"#);
        let put = hub.account.blobs.put_blob(
            &container,
            "i/history--Tags-1-Tags.json.gz",
            tags.into(),
            PutCondition::Always,
            None,
        );
        put.await.unwrap();
        let mut row = Row::new("i", "");
        row.set("Tags", "");
        row.set("TagsBlobName", "i/history--Tags-1-Tags.json.gz");
        let moved = Write::Merge(row, Condition::Exists);
        hub.account
            .tables
            .write(&hub.instances(), moved)
            .await
            .unwrap();
        env.sleep(11 * MINUTE).await;
        assert_eq!(sweep(&hub, false).await, ["start i"]);
        let sent = lose_messages(&hub, "i").await;
        assert_eq!(content(&sent[0]), content(&lost[0]));
    });
}

#[test]
fn a_row_behind_its_ended_history_is_brought_up_to_date() {
    run(async |env| {
        let hub = TestHub::new(&env, "stale").await;
        start(&hub, "i", None).await;
        let worker = worker(&hub);
        let ended = hub.client.wait("i", Some(MINUTE)).await.unwrap();
        worker.stop().await.unwrap();
        let mut row = Row::new("i", "");
        row.set("RuntimeStatus", "Running");
        row.set("Output", "old");
        let behind = Write::Merge(row, Condition::Exists);
        hub.account
            .tables
            .write(&hub.instances(), behind)
            .await
            .unwrap();
        env.sleep(11 * MINUTE).await;
        assert_eq!(sweep(&hub, false).await, ["status i"]);
        let mut repaired = hub.client.status("i").await.unwrap().unwrap();
        assert_eq!(repaired.runtime_status, Completed);
        // Chapter 03 §5.6: the event's time instead of the commit's.
        repaired.completed_time = ended.completed_time;
        repaired.input = ended.input.clone();
        assert_eq!(repaired, ended);
        assert!(sweep(&hub, false).await.is_empty());
    });
}

#[test]
fn a_rewind_that_was_cut_off_is_woken() {
    run(async |env| {
        let hub = TestHub::new(&env, "asleep").await;
        failed_family(&hub).await;
        for half_calls in 1.. {
            let mut dropped = Box::pin(hub.client.rewind("p", None));
            let _ = env.timeout(CALL / 2 * half_calls, &mut dropped).await;
            drop(dropped);
            let parent = hub.client.status("p").await.unwrap().unwrap();
            if parent.runtime_status == Pending {
                break;
            }
        }
        hub.asked();
        env.sleep(11 * MINUTE).await;
        let mut found = sweep(&hub, false).await;
        found.sort();
        assert_eq!(found, ["rewind c", "rewind p"]);
        let mut woken = puts(&hub.asked())
            .iter()
            .map(|id| (*id).to_owned())
            .collect::<Vec<_>>();
        woken.sort();
        assert_eq!(woken, ["c", "p"]);
        assert!(sweep(&hub, false).await.is_empty());
    });
}

#[test]
fn activities_whose_messages_are_gone_are_named() {
    run(async |env| {
        let hub = TestHub::new(&env, "gone").await;
        let crashing = Brittle {
            broken_activity: true,
            ..Brittle::default()
        };
        let worker = start_worker(&hub.hub, "worker", HelloSequence, crashing);
        start(&hub, "i", None).await;
        env.sleep(30 * MINUTE).await;
        assert!(
            sweep(&hub, false).await.is_empty(),
            "it comes back for ever"
        );
        assert!(worker.stop().await.unwrap());
        env.sleep(11 * MINUTE).await;
        let (queues, work_items) = (&hub.account.queues, hub.hub.names().work_item_queue());
        let lost = queues.get_messages(&work_items, 1, 60).await.unwrap();
        queues
            .delete_message(&work_items, &lost[0].handle)
            .await
            .unwrap();
        assert_eq!(sweep(&hub, false).await, ["1 SayHello of i"]);
        // The answer might be among these, for a while.
        let names = hub.hub.names();
        let partition = names::partition_of("i", hub.hub.settings().partition_count);
        let control = names.control_queue(partition);
        queues.put_message(&control, "other", None).await.unwrap();
        assert!(sweep(&hub, false).await.is_empty());
        env.sleep(DAY).await;
        assert_eq!(sweep(&hub, false).await, ["1 SayHello of i"]);
    });
}

#[test]
fn only_old_blobs_that_nothing_refers_to_are_deleted() {
    run(async |env| {
        let hub = TestHub::new(&env, "orphans").await;
        let container = hub.hub.names().large_message_container();
        let url = |blob: &str| format!("{}/{blob}", hub.account.blobs.container_url(&container));
        let mut row = Row::new("i", "");
        row.set("RuntimeStatus", "Completed");
        row.set("Input", url("i/message-1-ExecutionStarted.json.gz"));
        hub.put_row(&hub.instances(), row).await;
        let mut event = Row::new("i", "0000000000000001");
        event.set("ResultBlobName", "i/history-1-Result.json.gz");
        hub.put_row(&hub.history(), event).await;
        for blob in [
            "i/message-1-ExecutionStarted.json.gz",
            "i/message-2-TaskCompleted.json.gz",
            "i/history-1-Result.json.gz",
            "i/history-2-Result.json.gz",
            "gone/history-1-Input.json.gz",
            "somebody's.txt",
        ] {
            hub.put_blob(&container, blob).await;
        }
        let kept = [
            "i/history-1-Result.json.gz",
            "i/message-1-ExecutionStarted.json.gz",
            "i/message-3-TaskCompleted.json.gz",
            "somebody's.txt",
        ];
        env.sleep(29 * DAY).await;
        hub.put_blob(&container, kept[2]).await;
        assert!(sweep(&hub, false).await.is_empty());
        env.sleep(2 * DAY).await;
        let orphans = [
            "blob gone/history-1-Input.json.gz",
            "blob i/history-2-Result.json.gz",
            "blob i/message-2-TaskCompleted.json.gz",
        ];
        // A hub that was at rest may still have the message.
        let queues = &hub.account.queues;
        let work_items = hub.hub.names().work_item_queue();
        let waiting = queues
            .put_message(&work_items, "waiting", None)
            .await
            .unwrap();
        assert_eq!(sweep(&hub, true).await, orphans);
        queues
            .delete_message(&work_items, &waiting.handle)
            .await
            .unwrap();
        assert_eq!(sweep(&hub, false).await, orphans);
        assert_eq!(hub.blobs().await, kept);
    });
}

#[test]
fn blobs_stay_while_older_messages_wait() {
    run(async |env| {
        let hub = TestHub::new(&env, "rest").await;
        let container = hub.hub.names().large_message_container();
        let queue = hub.hub.names().work_item_queue();
        hub.account
            .queues
            .put_message(&queue, "waiting", None)
            .await
            .unwrap();
        hub.put_blob(&container, "i/message-2-TaskScheduled.json.gz")
            .await;
        env.sleep(60 * DAY).await;
        assert!(sweep(&hub, false).await.is_empty());
    });
}

#[test]
fn a_worker_keeps_its_hub_tidy() {
    run(async |env| {
        let mut settings = HubSettings::new("tidy", 2);
        settings.retention = RetentionSettings {
            completed: Some(2 * DAY),
            ..RetentionSettings::default()
        };
        settings.sweeper.enabled = true;
        let hub = TestHub::with(&env, settings).await;
        start(&hub, "lost", None).await;
        lose_messages(&hub, "lost").await;
        start(&hub, "old", None).await;
        failed_family(&hub).await;
        let worker = worker(&hub);
        hub.client.wait("old", Some(MINUTE)).await.unwrap();
        hub.client.wait("lost", Some(60 * MINUTE)).await.unwrap();
        env.sleep(DAY).await;
        start(&hub, "young", None).await;
        env.sleep(DAY + 2 * 60 * MINUTE).await;
        for (id, is_there) in [
            ("old", false),
            ("lost", false),
            ("young", true),
            ("p", true),
        ] {
            let status = hub.client.status(id).await.unwrap();
            assert_eq!(status.is_some(), is_there, "{id}");
            assert_eq!(hub.history_rows(id).await.is_empty(), !is_there, "{id}");
        }
        assert!(worker.stop().await.unwrap());
    });
}
