//! What becomes of messages that come too early, too late, twice, or for nobody.

use durabletask_core::{EventKind, EventType, OrchestrationInstance};
use durabletask_storage::wrappers::{Arguments, Operation};

use crate::support::look::raised;
use crate::support::world::{TestWorker, World, on_hub, scripts};

fn answer(task: i32) -> EventKind {
    EventKind::TaskCompleted {
        task_scheduled_id: task,
        result: Some("late".to_owned()),
    }
}

/// Seconds for which control messages were put back, in order.
fn put_back_seconds(worker: &TestWorker) -> Vec<u32> {
    let seconds = |call: &crate::support::faults::Seen| match call.arguments {
        Arguments::Update {
            invisible_seconds, ..
        } => Some(invisible_seconds),
        _ => None,
    };
    let calls = worker.faults.calls();
    let control = calls
        .iter()
        .filter(|call| call.resource.contains("control"));
    control
        .filter_map(seconds)
        .filter(|seconds| *seconds != 30)
        .collect()
}

async fn execution_of(world: &World, id: &str) -> String {
    let row = world.instance(id).await.unwrap();
    row.get_str("ExecutionId").unwrap().to_owned()
}

#[test]
fn an_answer_before_its_history_waits() {
    on_hub(1, |world| async move {
        world.begin("one", "Mixed", None).await;
        let execution = execution_of(&world, "one").await;
        let alpha = world.start("alpha", scripts());
        world
            .until("the timer is set", async || {
                world.count_events("one", EventType::TimerCreated).await == 1
            })
            .await;
        // Task 2 is scheduled only after the event.
        let target = OrchestrationInstance::new("one", execution);
        world.put_event(target, answer(2)).await;
        world.pass(20.0).await;
        assert_eq!(put_back_seconds(&alpha), [2, 4, 8, 16]);
        assert_eq!(world.count_events("one", EventType::TaskCompleted).await, 1);
        let client = world.client();
        client
            .raise_event("one", "Go", Some("go".into()))
            .await
            .unwrap();
        let output = world.output("one").await;
        assert!(output.starts_with("Hello Tokyo!,fired,go,"), "{output}");
        world.until_no_messages().await;
        world.assert_one_outcome_per_task("one").await;
    });
}

#[test]
fn a_stray_answer_is_dropped_after_five_deliveries() {
    on_hub(1, |world| async move {
        let alpha = world.start("alpha", scripts());
        world.begin("one", "Wait", None).await;
        world.pass(1.0).await;
        let history = world.history("one").await;
        for id in ["one", "nobody"] {
            let target = OrchestrationInstance::new(id, "of-another-time");
            world.put_event(target, answer(0)).await;
        }
        world.until_no_messages().await;
        let mut seconds = put_back_seconds(&alpha);
        seconds.sort_unstable();
        assert_eq!(seconds, [2, 2, 4, 4, 8, 8, 16, 16, 32, 32]);
        assert_eq!(world.history("one").await, history);
    });
}

#[test]
fn what_is_for_whichever_execution_runs_is_not_judged_by_the_history_of_another() {
    on_hub(1, |world| async move {
        world.begin("one", "Two", None).await;
        let alpha = world.start("alpha", scripts());
        world.pass(1.0).await;
        alpha.worker.abort();
        // One batch: an answer for an execution that is gone, an event, a termination.
        let stale = OrchestrationInstance::new("one", "of-another-time");
        let current = OrchestrationInstance::current("one");
        world.put_event(stale.clone(), answer(0)).await;
        world.put_event(current.clone(), raised("Go", "a")).await;
        world.put_event(stale, answer(1)).await;
        let _beta = world.start("alpha", scripts());
        world.pass(2.0).await;
        assert_eq!(world.count_events("one", EventType::EventRaised).await, 1);
        let row = world.instance("one").await.unwrap();
        assert_eq!(row.get_str("RuntimeStatus"), Some("Running"));
        let client = world.client();
        client
            .raise_event("one", "Go", Some("b".into()))
            .await
            .unwrap();
        assert_eq!(world.output("one").await, "a,b");
    });
}

#[test]
fn a_termination_beside_a_stale_answer_reaches_the_running_execution() {
    on_hub(1, |world| async move {
        world.begin("one", "Wait", None).await;
        let alpha = world.start("alpha", scripts());
        world.pass(1.0).await;
        alpha.worker.abort();
        let stale = OrchestrationInstance::new("one", "of-another-time");
        let current = OrchestrationInstance::current("one");
        world.put_event(stale, answer(0)).await;
        let reason = Some("enough".to_owned());
        let kind = EventKind::ExecutionTerminated { input: reason };
        world.put_event(current, kind).await;
        let _beta = world.start("alpha", scripts());
        world.until_no_messages().await;
        let types = world.event_types("one").await;
        assert_eq!(types.last(), Some(&"OrchestratorCompleted"), "{types:?}");
        assert!(types.contains(&"ExecutionTerminated"), "{types:?}");
        let status = world.ended("one").await;
        assert_eq!(status.runtime_status.name(), "Terminated");
        assert_eq!(status.output.as_deref(), Some("enough"));
    });
}

#[test]
fn messages_that_history_holds_are_dropped() {
    // covers: C02-11
    on_hub(1, |world| async move {
        let alpha = world.start("alpha", scripts());
        world.begin("one", "Two", None).await;
        let queue = world.control_queue();
        let text = world.event_text(OrchestrationInstance::current("one"), raised("Go", "a"));
        world.put(&queue, &text).await;
        // Taken up, and not deleted: the worker dies after the commit.
        alpha.faults.set(|call| {
            let is_delete = call.operation == Operation::DeleteMessage;
            is_delete.then_some(durabletask_storage::wrappers::Trouble::Hangs)
        });
        // The answer of a delete that hangs never comes, but it has its effect: forge the rest.
        world
            .until("the event is in history", async || {
                world.count_events("one", EventType::EventRaised).await == 1
            })
            .await;
        alpha.worker.abort();
        // The same message, delivered more than once: put back by somebody in between.
        world.put(&queue, &text).await;
        let queues = &world.account.queues;
        let held = queues.get_messages(&queue, 32, 1).await.unwrap();
        assert_eq!(held.len(), 1);
        world.pass(1.5).await;
        let _beta = world.start("alpha", scripts());
        world.until_no_messages().await;
        assert_eq!(world.count_events("one", EventType::EventRaised).await, 1);
        // Without a second delivery it is another event that happens to look alike.
        let client = world.client();
        client
            .raise_event("one", "Go", Some("a".into()))
            .await
            .unwrap();
        assert_eq!(world.output("one").await, "a,a");
    });
}

#[test]
fn a_split_timer_of_dotnet_is_taken_up() {
    // covers: C02-11
    on_hub(1, |world| async move {
        let _alpha = world.start("alpha", scripts());
        world.begin("one", "Wait", None).await;
        let execution = execution_of(&world, "one").await;
        let fire_at = world.env.now();
        let kind = EventKind::TimerFired {
            timer_id: durabletask_core::SPLIT_TIMER_ID,
            fire_at,
        };
        let target = OrchestrationInstance::new("one", execution);
        world.put_event(target, kind).await;
        world.pass(1.0).await;
        assert_eq!(world.messages().await, 0);
    });
}

#[test]
fn events_wait_for_as_long_as_their_instance_is_pending() {
    on_hub(1, |world| async move {
        let alpha = world.start("alpha", scripts());
        let start_at = world
            .env
            .now()
            .saturating_add(std::time::Duration::from_secs(60));
        let options = durabletask_azurestorage::StartOptions {
            start_at: Some(start_at),
            ..crate::support::world::with_id("soon")
        };
        let client = world.client();
        client.start("Wait", None, options.clone()).await.unwrap();
        client
            .raise_event("soon", "Go", Some("x".into()))
            .await
            .unwrap();
        assert_eq!(world.output("soon").await, "x");
        assert!(world.env.now() >= start_at);
        assert_eq!(put_back_seconds(&alpha)[..4], [2, 4, 8, 16]);
        // .NET deletes them at once, and once we gave up after six deliveries.
        let start_at = world
            .env
            .now()
            .saturating_add(std::time::Duration::from_secs(700));
        let options = durabletask_azurestorage::StartOptions {
            start_at: Some(start_at),
            ..crate::support::world::with_id("later")
        };
        client.start("Wait", None, options).await.unwrap();
        client
            .raise_event("later", "Go", Some("x".into()))
            .await
            .unwrap();
        let before = put_back_seconds(&alpha).len();
        assert_eq!(world.output("later").await, "x");
        assert!(world.env.now() >= start_at);
        let waited = put_back_seconds(&alpha);
        assert_eq!(waited[before..before + 8], [2, 4, 8, 16, 32, 64, 128, 256]);
    });
}

#[test]
fn unknown_and_finished_instances_take_nothing() {
    on_hub(1, |world| async move {
        let alpha = world.start("alpha", scripts());
        world.begin("one", "Hello", None).await;
        let output = world.output("one").await;
        let history = world.history("one").await;
        let client = world.client();
        for id in ["one", "nobody"] {
            client.raise_event(id, "Go", None).await.unwrap();
            client.suspend(id, None).await.unwrap();
            client.terminate(id, Some("late".into())).await.unwrap();
        }
        world.until_no_messages().await;
        assert_eq!(world.output("one").await, output);
        assert_eq!(world.history("one").await, history);
        assert_eq!(world.instance("nobody").await, None);
        assert!(alpha.worker.stop().await.unwrap());
    });
}
