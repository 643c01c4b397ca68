//! Buffers, slots and polls.

use std::time::Duration;

use durabletask_core::EventType;
use durabletask_storage::wrappers::{Latency, Operation, Outcome};
use futures::future::join_all;

use crate::support::script::{Do, Scripts, call};
use crate::support::world::{MIXED, on_hub_with, scripts, settings};

#[test]
fn small_buffers_and_few_slots_slow_down_but_never_block() {
    for (threshold, slots) in [(1, 1), (1, 8), (3, 2), (8, 1)] {
        let mut settings = settings();
        settings.control_queue_buffer_threshold = threshold;
        settings.max_concurrent_orchestrators = slots;
        settings.max_concurrent_activities = 2;
        on_hub_with(1, settings, |world| async move {
            let alpha = world.start("alpha", scripts());
            let ids: Vec<String> = (0..12).map(|n| format!("i{n}")).collect();
            for id in &ids {
                world.begin(id, "Mixed", None).await;
                let client = world.client();
                client
                    .raise_event(id, "Go", Some("go".into()))
                    .await
                    .unwrap();
            }
            for output in join_all(ids.iter().map(|id| world.output(id))).await {
                assert_eq!(output, MIXED);
            }
            assert!(world.activities.busy.lock().unwrap().1 <= 2);
            let received = alpha.faults.calls().into_iter().filter_map(|call| {
                let is_control = call.resource.contains("control");
                match (call.operation, call.outcome) {
                    (Operation::GetMessages, Some(Outcome::Done(count))) if is_control => {
                        Some(count)
                    }
                    _ => None,
                }
            });
            assert!(received.max().unwrap() <= 32);
            assert!(alpha.worker.stop().await.unwrap());
        });
    }
}

#[test]
fn nothing_is_received_while_the_buffer_is_full() {
    let mut settings = settings();
    settings.control_queue_buffer_threshold = 4;
    settings.control_queue_batch_size = 2;
    on_hub_with(1, settings, |world| async move {
        let alpha = world.start("alpha", scripts());
        world.pass(1.0).await;
        // Loads hang, so that what is received stays held.
        alpha.faults.set(|call| {
            let is_load = call.resource.ends_with("History");
            is_load.then_some(durabletask_storage::wrappers::Trouble::Hangs)
        });
        for n in 0..10 {
            world.begin(&format!("i{n}"), "Input", Some("x")).await;
        }
        world.pass(20.0).await;
        let received: usize = alpha
            .faults
            .calls()
            .iter()
            .filter(|call| call.operation == Operation::GetMessages)
            .filter_map(|call| match call.outcome {
                Some(Outcome::Done(count)) => Some(count),
                _ => None,
            })
            .sum();
        // One below the threshold lets one more batch in.
        assert!((4..=5).contains(&received), "{received}");
    });
}

#[test]
fn activities_run_as_many_at_a_time_as_there_are_slots() {
    let mut settings = settings();
    settings.max_concurrent_activities = 3;
    on_hub_with(1, settings, |world| async move {
        let pauses = vec!["5".to_owned(); 12];
        let steps = vec![Do::Calls("Sleep", pauses)];
        let _alpha = world.start("alpha", scripts().with("Many", steps));
        world.begin("one", "Many", None).await;
        world.output("one").await;
        assert_eq!(*world.activities.busy.lock().unwrap(), (0, 3));
        let seconds = world.env.monotonic().as_secs_f64();
        assert!((20.0..22.0).contains(&seconds), "{seconds}");
    });
}

#[test]
fn nothing_that_this_process_sends_waits_for_a_poll() {
    let mut settings = settings();
    settings.max_queue_polling_interval = Duration::from_secs(30);
    on_hub_with(1, settings, |world| async move {
        let alpha = world.start("alpha", scripts());
        world.pass(300.0).await;
        let began = world.env.monotonic();
        let client = alpha.client();
        let options = crate::support::world::with_id("one");
        client.start("Hello", None, options).await.unwrap();
        client.wait("one", None).await.unwrap();
        let took = world.env.monotonic().saturating_sub(began);
        assert!(took < Duration::from_millis(600), "{took:?}");
    });
}

#[test]
fn timers_and_scheduled_starts_of_this_process_do_not_wait_for_a_poll() {
    // Two messages, what is looked for behind each, and ten growing pauses in between.
    const MAX_POLLS: usize = 15;
    let mut settings = settings();
    settings.max_queue_polling_interval = Duration::from_secs(30);
    on_hub_with(1, settings, |mut world| async move {
        let call = Duration::from_millis(1);
        world.account = Latency::wrap(world.account.clone(), world.env.clone(), call);
        let scripts = Scripts::default().with("Sleep", vec![Do::Timer(20)]);
        let alpha = world.start_quick("alpha", scripts);
        world.pass(300.0).await;
        let client = alpha.client();
        for scheduled_seconds in [0, 40] {
            let polls = || alpha.faults.count(Operation::GetMessages, "control-00");
            let (began, before) = (world.env.monotonic(), polls());
            let start_at = world.env.now();
            let start_at = start_at.saturating_add(Duration::from_secs(scheduled_seconds));
            let options = durabletask_azurestorage::StartOptions {
                start_at: (scheduled_seconds > 0).then_some(start_at),
                ..crate::support::world::with_id(&format!("after {scheduled_seconds} s"))
            };
            let id = client.start("Sleep", None, options).await.unwrap();
            client.wait(&id, None).await.unwrap();
            let took = world.env.monotonic().saturating_sub(began).as_secs_f64();
            let expected = 20.0 + f64::from(u32::try_from(scheduled_seconds).unwrap());
            assert!((expected..expected + 0.1).contains(&took), "{took}");
            let polls = polls() - before;
            let waits = if scheduled_seconds > 0 { 2 } else { 1 };
            assert!(polls <= waits * MAX_POLLS, "{polls}");
            world.pass(300.0).await;
        }
    });
}

#[test]
fn a_hop_takes_five_storage_calls() {
    const CALL: Duration = Duration::from_millis(10);
    let mut settings = settings();
    settings.max_queue_polling_interval = Duration::from_secs(30);
    on_hub_with(1, settings, |mut world| async move {
        world.account = Latency::wrap(world.account.clone(), world.env.clone(), CALL);
        let calls = |count| (0..count).map(|_| call("Hello", "x")).collect::<Vec<_>>();
        let scripts = Scripts::default()
            .with("Five", calls(5))
            .with("Ten", calls(10));
        let alpha = world.start_quick("alpha", scripts);
        world.pass(300.0).await;
        let mut took = Vec::new();
        for name in ["Five", "Ten"] {
            let began = world.env.monotonic();
            let client = alpha.client();
            let options = crate::support::world::with_id(name);
            client.start(name, None, options).await.unwrap();
            client.wait(name, None).await.unwrap();
            took.push(world.env.monotonic().saturating_sub(began));
            assert_eq!(
                world
                    .count_events(name, EventType::ExecutionCompleted)
                    .await,
                1
            );
        }
        let hop = took[1].saturating_sub(took[0]) / 5;
        assert!(hop <= CALL * 5, "{hop:?} of {CALL:?} each");
    });
}
