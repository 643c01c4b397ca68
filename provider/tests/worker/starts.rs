//! Start messages: duplicates, races, re-creations, terminations before the start.

use std::time::Duration;

use durabletask_azurestorage::{ReplaceExisting, StartOptions, TaskHubError};
use durabletask_core::{
    EventKind, ExecutionStarted, OrchestrationInstance, OrchestrationStatus, ParentInstance,
};
use durabletask_storage::wrappers::{Arguments, Operation};
use durabletask_storage::{Condition, Write};

use crate::support::script::{Do, Scripts};
use crate::support::world::{on_hub, scripts, with_id};

fn start_kind(id: &str, execution: &str, name: &str) -> EventKind {
    EventKind::ExecutionStarted(Box::new(ExecutionStarted {
        instance: OrchestrationInstance::new(id, execution),
        name: Some(name.to_owned()),
        version: Some(String::new()),
        generation: Some(0),
        ..ExecutionStarted::default()
    }))
}

#[test]
fn a_missing_row_is_looked_for_and_then_the_start_is_put_back() {
    on_hub(1, |world| async move {
        let alpha = world.start("alpha", scripts());
        let target = OrchestrationInstance::new("one", "e1");
        world
            .put_event(target.clone(), start_kind("one", "e1", "Wait"))
            .await;
        let current = OrchestrationInstance::current("one");
        let event = crate::support::look::raised("Go", "x");
        world.put_event(current, event).await;
        world.pass(1.5).await;
        let looks: Vec<Duration> = alpha
            .faults
            .calls()
            .iter()
            .filter(|call| {
                call.operation == Operation::Query && call.resource.ends_with("Instances")
            })
            .map(|call| call.began)
            .collect();
        assert_eq!(looks.len(), 5);
        for (pair, pause) in looks.windows(2).zip([50, 100, 200, 400]) {
            let gap = pair[1].saturating_sub(pair[0]).as_millis();
            assert!((pause..pause + 20).contains(&gap), "{gap}");
        }
        // Neither start nor event is gone: the row comes, as another client would write it.
        assert_eq!(world.messages().await, 2);
        let started = start_kind("one", "e1", "Wait");
        let EventKind::ExecutionStarted(started) = started else {
            panic!();
        };
        let now = world.env.now();
        let row = durabletask_azurestorage::wire::instance_row::creation_row(
            &started, now, None, "TestHub", now,
        );
        let table = world.settings.names().instances_table();
        let write = durabletask_storage::Write::Insert(row);
        world.account.tables.write(&table, write).await.unwrap();
        assert_eq!(world.output("one").await, "x");
    });
}

#[test]
fn a_start_whose_row_never_comes_is_thrown_away_at_last() {
    on_hub(1, |world| async move {
        let _alpha = world.start("alpha", scripts());
        let target = OrchestrationInstance::new("one", "e1");
        world
            .put_event(target, start_kind("one", "e1", "Wait"))
            .await;
        world.pass(1_000.0).await;
        assert_eq!(world.messages().await, 1);
        world.pass(100.0).await;
        assert_eq!(world.messages().await, 0);
        assert!(world.history("one").await.is_empty());
    });
}

#[test]
fn of_two_clients_that_race_for_an_id_one_wins() {
    for seed in 0..20 {
        on_hub(seed, |world| async move {
            let steps = vec![Do::Input, Do::Event("Go")];
            let scripts = || Scripts::default().with("Echo", steps.clone());
            let alpha = world.start("alpha", scripts());
            let beta_process = alpha.client();
            let (ours, theirs) = (world.client(), beta_process);
            let first = ours.start("Echo", Some("1".into()), with_id("one"));
            let second = theirs.start("Echo", Some("2".into()), with_id("one"));
            let (first, second) = futures::future::join(first, second).await;
            // The later one may have seen the earlier one's row.
            assert!(first.is_ok() || second.is_ok());
            world.pass(20.0).await;
            assert_eq!(world.messages().await, 0, "seed {seed}");
            ours.raise_event("one", "Go", Some("go".into()))
                .await
                .unwrap();
            let output = world.output("one").await;
            assert!(["1,go", "2,go"].contains(&output.as_str()), "{output}");
            world.assert_one_outcome_per_task("one").await;
            let row = world.instance("one").await.unwrap();
            let history = world.history("one").await;
            let started = history.iter().find_map(|event| event.as_started()).unwrap();
            assert_eq!(
                row.get_str("ExecutionId"),
                started.instance.execution_id.as_deref()
            );
        });
    }
}

#[test]
fn a_client_sends_the_start_before_the_row_and_yields_to_a_faster_one() {
    // covers: C02-6 C03-8
    on_hub(1, |world| async move {
        let alpha = world.start("alpha", scripts());
        let client = alpha.client();
        // The row that another client writes while our message is on its way stands.
        alpha.faults.slow_down(|call| {
            let is_start = call.operation == Operation::PutMessage;
            Duration::from_secs(u64::from(is_start))
        });
        let ours = client.start("Input", Some("ours".into()), with_id("one"));
        let theirs = async {
            world.pass(0.5).await;
            world.begin("one", "Input", Some("theirs")).await;
        };
        let (ours, ()) = futures::future::join(ours, theirs).await;
        assert_eq!(ours.unwrap(), "one");
        assert_eq!(world.output("one").await, "theirs");
        // Ours is a duplicate now, and weeded out.
        world.until_no_messages().await;
        client
            .start("Input", Some("again".into()), with_id("one"))
            .await
            .unwrap();
        assert_eq!(world.output("one").await, "again");
        world.until_no_messages().await;

        let calls = alpha.faults.calls();
        let sent = calls.iter().filter(|call| {
            call.operation == Operation::PutMessage && call.resource.contains("-control-")
        });
        let created = calls.iter().filter_map(|call| match &call.arguments {
            Arguments::Writes(writes) if call.resource.ends_with("Instances") => {
                match &writes[..] {
                    [Write::Insert(_)] => Some((call, "insert")),
                    [Write::Replace(_, Condition::Matches(_))] => Some((call, "replace")),
                    _ => None,
                }
            }
            _ => None,
        });
        let pairs: Vec<_> = sent.zip(created).collect();
        assert_eq!(pairs.len(), 2);
        for ((sent, (created, how)), expected) in pairs.iter().zip(["insert", "replace"]) {
            assert!(
                sent.to.unwrap() < created.from,
                "{expected}: row before message"
            );
            assert_eq!(*how, expected);
        }
    });
}

#[test]
fn a_start_more_than_a_week_ahead_is_refused_before_anything_is_written() {
    // covers: C02-5
    on_hub(1, |world| async move {
        const WEEK_SECONDS: u64 = 7 * 86_400;
        let client = world.client();
        let ahead = |seconds: u64| StartOptions {
            start_at: Some(world.env.now().saturating_add(Duration::from_secs(seconds))),
            ..with_id("one")
        };
        let refused = client.start("Input", None, ahead(WEEK_SECONDS + 2)).await;
        assert!(matches!(refused, Err(TaskHubError::InvalidArgument(_))));
        assert_eq!(world.messages().await, 0);
        assert_eq!(world.instance("one").await, None);
        let accepted = client.start("Input", None, ahead(WEEK_SECONDS - 2)).await;
        assert!(accepted.is_ok(), "{accepted:?}");
    });
}

#[test]
fn a_finished_id_is_created_again() {
    on_hub(1, |world| async move {
        let _alpha = world.start("alpha", scripts());
        world.begin("one", "Hello", None).await;
        world.output("one").await;
        let client = world.client();
        for generation in 1..4 {
            world.begin("one", "Two", None).await;
            client
                .raise_event("one", "Go", Some("a".into()))
                .await
                .unwrap();
            client
                .raise_event("one", "Go", Some("b".into()))
                .await
                .unwrap();
            assert_eq!(world.output("one").await, "a,b");
            let row = world.instance("one").await.unwrap();
            let stored = row.get("Generation");
            assert_eq!(stored, Some(&durabletask_storage::Value::Int32(generation)));
        }
        world.until_no_messages().await;
        let running = world.client().start("Wait", None, with_id("one")).await;
        assert!(running.is_ok());
        let refused = world.client().start("Wait", None, with_id("one")).await;
        assert!(matches!(refused, Err(TaskHubError::AlreadyExists { .. })));
    });
}

#[test]
fn a_running_execution_is_replaced_and_events_after_that_are_for_the_new_one() {
    for seed in 0..20 {
        on_hub(seed, |world| async move {
            let alpha = world.start("alpha", scripts());
            let client = if seed % 2 == 0 {
                alpha.client()
            } else {
                world.client()
            };
            let any = || StartOptions {
                replace: Some(ReplaceExisting::Any),
                ..with_id("one")
            };
            client.start("Two", None, any()).await.unwrap();
            client
                .raise_event("one", "Go", Some("old".into()))
                .await
                .unwrap();
            world
                .until("the first event is taken", async || {
                    world
                        .count_events("one", durabletask_core::EventType::EventRaised)
                        .await
                        == 1
                })
                .await;
            // The old execution may be committing just now.
            client.raise_event("one", "Other", None).await.unwrap();
            client.start("Two", None, any()).await.unwrap();
            client
                .raise_event("one", "Go", Some("a".into()))
                .await
                .unwrap();
            client
                .raise_event("one", "Go", Some("b".into()))
                .await
                .unwrap();
            assert_eq!(world.output("one").await, "a,b", "seed {seed}");
            world.until_no_messages().await;
        });
    }
}

#[test]
fn events_sent_right_after_the_start_arrive() {
    for seed in 0..20 {
        on_hub(seed, |world| async move {
            let alpha = world.start("alpha", scripts());
            let client = if seed % 2 == 0 {
                alpha.client()
            } else {
                world.client()
            };
            client.start("Two", None, with_id("one")).await.unwrap();
            client
                .raise_event("one", "Go", Some("a".into()))
                .await
                .unwrap();
            client
                .raise_event("one", "Go", Some("b".into()))
                .await
                .unwrap();
            assert_eq!(world.output("one").await, "a,b", "seed {seed}");
        });
    }
}

#[test]
fn a_termination_before_the_start_holds() {
    on_hub(1, |world| async move {
        let alpha = world.start("alpha", scripts());
        let client = world.client();
        let start_at = world.env.now().saturating_add(Duration::from_secs(30));
        let options = |id: &str| StartOptions {
            start_at: Some(start_at),
            ..with_id(id)
        };
        // Once fresh, once over the history of an earlier execution.
        world.begin("again", "Hello", None).await;
        world.output("again").await;
        for id in ["fresh", "again"] {
            client.start("Hello", None, options(id)).await.unwrap();
            client.terminate(id, Some("enough".into())).await.unwrap();
            let status = world.ended(id).await;
            assert_eq!(
                status.runtime_status,
                OrchestrationStatus::Terminated,
                "{id}"
            );
            assert_eq!(status.output.as_deref(), Some("enough"));
        }
        let before = world.activities.runs.lock().unwrap().clone();
        world.pass(60.0).await;
        assert_eq!(world.messages().await, 0);
        assert_eq!(
            world.ended("fresh").await.runtime_status,
            OrchestrationStatus::Terminated
        );
        assert!(world.history("fresh").await.is_empty());
        assert_eq!(*world.activities.runs.lock().unwrap(), before);
        assert!(alpha.worker.stop().await.unwrap());
    });
}

#[test]
fn the_start_of_a_child_that_comes_twice_runs_once() {
    // covers: C02-11
    on_hub(1, |world| async move {
        let _alpha = world.start("alpha", scripts());
        let mut kind = start_kind("kid", "e1", "Child");
        if let EventKind::ExecutionStarted(started) = &mut kind {
            started.generation = None;
            started.parent = Some(ParentInstance {
                name: Some("Parent".into()),
                instance: OrchestrationInstance::new("nobody", "e0"),
                task_schedule_id: 0,
                version: None,
            });
        }
        let target = OrchestrationInstance::new("kid", "e1");
        world.put_event(target.clone(), kind.clone()).await;
        world.put_event(target.clone(), kind.clone()).await;
        world
            .until("it has a row", async || {
                world.instance("kid").await.is_some()
            })
            .await;
        world.output("kid").await;
        world.put_event(target, kind).await;
        world.until_no_messages().await;
        world.assert_one_outcome_per_task("kid").await;
        let runs = world.activities.runs.lock().unwrap().clone();
        assert_eq!(runs["Hello(child)"], 1);
    });
}
