//! Clean stops, and partitions that change hands in the middle of work.

use std::time::Duration;

use durabletask_storage::ErrorKind;
use durabletask_storage::wrappers::{Operation, Trouble};
use futures::future::join_all;

use crate::support::world::{MIXED, on_hub, on_hub_with, scripts, settings};

#[test]
fn a_stop_hands_back_what_nobody_worked_on() {
    let mut settings = settings();
    settings.max_concurrent_orchestrators = 1;
    on_hub_with(1, settings, |world| async move {
        let alpha = world.start("alpha", scripts());
        world.pass(1.0).await;
        // One session waits for its load, the others for its slot.
        alpha.faults.slow_down(|call| {
            let is_load = call.operation == Operation::Query && call.resource.ends_with("History");
            Duration::from_secs(if is_load { 3 } else { 0 })
        });
        for n in 0..8 {
            world.begin(&format!("i{n}"), "Input", Some("x")).await;
        }
        world.pass(1.0).await;
        let queue = world.control_queue();
        let queues = &world.account.queues;
        assert!(queues.peek_messages(&queue, 32).await.unwrap().is_empty());
        let began = world.env.monotonic();
        assert!(alpha.worker.stop().await.unwrap());
        let took = world.env.monotonic().saturating_sub(began);
        assert!(took < Duration::from_secs(10), "{took:?}");
        // The running one is done and deleted; the rest is visible at once.
        assert_eq!(world.messages().await, 7);
        assert_eq!(queues.peek_messages(&queue, 32).await.unwrap().len(), 7);
        let _beta = world.start("beta", scripts());
        let ids: Vec<String> = (0..8).map(|n| format!("i{n}")).collect();
        join_all(ids.iter().map(|id| world.output(id))).await;
    });
}

#[test]
fn a_stop_waits_for_deletes_but_not_for_ever() {
    on_hub(1, |world| async move {
        for (slow_seconds, is_clean) in [(4, true), (40, false)] {
            let alpha = world.start("alpha", scripts());
            alpha.faults.slow_down(move |call| {
                let is_delete = call.operation == Operation::DeleteMessage;
                Duration::from_secs(if is_delete { slow_seconds } else { 0 })
            });
            let id = format!("i{slow_seconds}");
            world.begin(&id, "Input", Some("x")).await;
            world.output(&id).await;
            let began = world.env.monotonic();
            assert_eq!(alpha.worker.stop().await.unwrap(), is_clean);
            let took = world.env.monotonic().saturating_sub(began).as_secs_f64();
            let expected = if is_clean { 3.0..7.0 } else { 7.9..9.5 };
            assert!(expected.contains(&took), "{took}");
        }
    });
}

#[test]
fn a_stop_lets_activities_end_and_gives_long_ones_back() {
    on_hub(1, |world| async move {
        let steps = |seconds| vec![crate::support::script::call("Sleep", seconds)];
        let with = || {
            scripts()
                .with("Short", steps("5"))
                .with("Long", steps("300"))
        };
        let alpha = world.start("alpha", with());
        world.begin("short", "Short", None).await;
        world.begin("long", "Long", None).await;
        world.pass(1.0).await;
        assert!(!alpha.worker.stop().await.unwrap());
        let _beta = world.start("beta", with());
        world.output("short").await;
        world.output("long").await;
        let runs = world.activities.runs.lock().unwrap().clone();
        assert_eq!((runs["Sleep(5)"], runs["Sleep(300)"]), (1, 2));
    });
}

#[test]
fn a_message_received_while_stopping_is_handed_back() {
    on_hub(1, |world| async move {
        let alpha = world.start("alpha", scripts());
        world.pass(2.0).await;
        // Receives take a second, so that one is under way when the stop begins.
        alpha.faults.slow_down(|call| {
            let is_receive = call.operation == Operation::GetMessages;
            Duration::from_secs(u64::from(is_receive))
        });
        world.pass(3.0).await;
        world.begin("one", "Input", Some("x")).await;
        let item = world.event_text(
            durabletask_core::OrchestrationInstance::new("one", "e"),
            crate::support::look::raised("no", "activity"),
        );
        world.put(&world.work_item_queue(), &item).await;
        let is_taken = async || {
            let queues = &world.account.queues;
            let control = queues
                .peek_messages(&world.control_queue(), 1)
                .await
                .unwrap();
            let items = queues
                .peek_messages(&world.work_item_queue(), 1)
                .await
                .unwrap();
            control.is_empty() || items.is_empty()
        };
        world.until("one is received", is_taken).await;
        alpha.worker.stop().await.unwrap();
        let queues = &world.account.queues;
        let control = queues
            .peek_messages(&world.control_queue(), 1)
            .await
            .unwrap();
        let items = queues
            .peek_messages(&world.work_item_queue(), 1)
            .await
            .unwrap();
        assert_eq!((control.len(), items.len()), (1, 1));
    });
}

#[test]
fn a_partition_changes_hands_without_loss_under_load() {
    let settings = settings().with_partition_count(4);
    on_hub_with(1, settings, |world| async move {
        let alpha = world.start("alpha", scripts());
        world.pass(1.0).await;
        let ids: Vec<String> = (0..60).map(|n| format!("i{n}")).collect();
        let feed = async {
            for id in &ids {
                world.begin(id, "Mixed", None).await;
                let client = world.client();
                client
                    .raise_event(id, "Go", Some("go".into()))
                    .await
                    .unwrap();
                world.pass(0.5).await;
            }
        };
        let share = async {
            world.pass(3.0).await;
            let began = world.env.monotonic();
            let beta = world.start("beta", scripts());
            world
                .until("beta has its share", async || {
                    beta.worker.partitions().len() == 2
                })
                .await;
            let took = world.env.monotonic().saturating_sub(began);
            assert!(took < Duration::from_secs(20), "hand-over took {took:?}");
            world.pass(5.0).await;
            assert!(alpha.worker.stop().await.unwrap());
            beta
        };
        let ((), beta) = futures::future::join(feed, share).await;
        for id in &ids {
            assert_eq!(world.output(id).await, MIXED, "{id}");
            world.assert_one_outcome_per_task(id).await;
        }
        assert!(beta.worker.stop().await.unwrap());
        assert_eq!(world.messages().await, 0);
    });
}

#[test]
fn a_stop_without_storage_ends_in_time() {
    on_hub(1, |world| async move {
        let alpha = world.start("alpha", scripts());
        world.begin("one", "Wait", None).await;
        world.pass(2.0).await;
        alpha
            .faults
            .set(|_| Some(Trouble::Before(ErrorKind::Unreachable)));
        let began = world.env.monotonic();
        assert!(!alpha.worker.stop().await.unwrap());
        let took = world.env.monotonic().saturating_sub(began);
        assert!(took < Duration::from_secs(11), "{took:?}");
    });
}
