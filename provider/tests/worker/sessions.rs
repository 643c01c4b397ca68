//! Sessions in memory: used, dropped and evicted.

use durabletask_core::{EventKind, EventType, OrchestrationInstance};
use durabletask_storage::ErrorKind;
use durabletask_storage::wrappers::{Operation, Trouble};

use crate::support::look::raised;
use crate::support::script::{Do, call};
use crate::support::world::{MIXED, on_hub, on_hub_with, scripts, settings};

#[test]
fn history_is_read_once() {
    on_hub(1, |world| async move {
        let alpha = world.start("alpha", scripts());
        world.begin("one", "Mixed", None).await;
        world.pass(4.0).await;
        let client = alpha.client();
        client
            .raise_event("one", "Go", Some("go".into()))
            .await
            .unwrap();
        assert_eq!(world.output("one").await, MIXED);
        assert_eq!(alpha.faults.count(Operation::Query, "History"), 1);
        assert_eq!(alpha.faults.count(Operation::Transact, "History"), 5);
        assert_eq!(alpha.faults.count(Operation::Write, "Instances"), 5);
    });
}

#[test]
fn without_sticky_sessions_each_episode_loads() {
    for (sticky, plain) in [(false, false), (true, true)] {
        let mut settings = settings();
        settings.sticky_sessions = sticky;
        on_hub_with(1, settings.with_plain(plain), |world| async move {
            let alpha = world.start("alpha", scripts());
            world.begin("one", "Mixed", None).await;
            world.pass(4.0).await;
            let client = alpha.client();
            client
                .raise_event("one", "Go", Some("go".into()))
                .await
                .unwrap();
            assert_eq!(world.output("one").await, MIXED);
            assert_eq!(alpha.faults.count(Operation::Query, "History"), 5);
        });
    }
}

#[test]
fn a_small_budget_evicts_the_least_recently_used() {
    let mut settings = settings();
    // Two sessions of about 2 KiB fit.
    settings.session_cache_max_bytes = 6_500;
    on_hub_with(1, settings, |world| async move {
        let alpha = world.start("alpha", scripts());
        let client = alpha.client();
        for id in ["a", "b", "c"] {
            world.begin(id, "Two", None).await;
            world.pass(6.0).await;
        }
        let loads = || alpha.faults.count(Operation::Query, "History");
        assert_eq!(loads(), 3);
        for id in ["c", "b", "a"] {
            client
                .raise_event(id, "Go", Some("1".into()))
                .await
                .unwrap();
            world.pass(6.0).await;
        }
        // Only `a`, the oldest, had gone.
        assert_eq!(loads(), 4);
        for id in ["a", "b", "c"] {
            client
                .raise_event(id, "Go", Some("2".into()))
                .await
                .unwrap();
            assert_eq!(world.output(id).await, "1,2");
        }
        assert_eq!(loads(), 5, "c made room for a");
    });
}

#[test]
fn a_session_is_dropped_at_conflicts_and_rewinds() {
    on_hub(1, |world| async move {
        let alpha = world.start("alpha", scripts());
        let client = alpha.client();
        let loads = || alpha.faults.count(Operation::Query, "History");
        for (position, kind) in [
            ErrorKind::NotFound,
            ErrorKind::AlreadyExists,
            ErrorKind::PreconditionFailed,
        ]
        .into_iter()
        .enumerate()
        {
            let id = format!("one-{position}");
            world.begin(&id, "Two", None).await;
            world.pass(1.0).await;
            let before = loads();
            let trouble = Trouble::Before(kind);
            alpha
                .faults
                .fail_nth(0, trouble, |call| call.operation == Operation::Transact);
            client
                .raise_event(&id, "Go", Some("1".into()))
                .await
                .unwrap();
            client
                .raise_event(&id, "Go", Some("2".into()))
                .await
                .unwrap();
            assert_eq!(world.output(&id).await.len(), 3, "{kind:?}");
            assert!(loads() > before, "{kind:?}");
        }
        world.begin("rewound", "Wait", None).await;
        world.pass(1.0).await;
        let before = loads();
        let kind = EventKind::Generic {
            data: Some("again".into()),
        };
        world
            .put_event(OrchestrationInstance::current("rewound"), kind)
            .await;
        world.pass(6.0).await;
        assert_eq!(loads(), before + 1);
        assert_eq!(world.count_events("rewound", EventType::Generic).await, 1);
    });
}

#[test]
fn a_session_forgets_what_it_lost_with_its_partition() {
    on_hub(1, |world| async move {
        let alpha = world.start("alpha", scripts());
        world.begin("one", "Two", None).await;
        world.pass(1.0).await;
        // Out of reach for longer than a lease: another worker takes over and goes on.
        alpha.faults.cut();
        let beta = world.start("beta", scripts());
        world.pass(60.0).await;
        assert!(alpha.worker.partitions().is_empty());
        let client = world.client();
        client
            .raise_event("one", "Go", Some("1".into()))
            .await
            .unwrap();
        world
            .until("beta has taken the event", async || {
                world.count_events("one", EventType::EventRaised).await == 1
            })
            .await;
        beta.worker.abort();
        alpha.faults.clear();
        world.pass(60.0).await;
        assert_eq!(alpha.worker.partitions().len(), 1);
        client
            .raise_event("one", "Go", Some("2".into()))
            .await
            .unwrap();
        assert_eq!(world.output("one").await, "1,2");
    });
}

#[test]
fn a_worker_whose_ownership_is_uncertain_takes_and_commits_nothing() {
    on_hub(1, |world| async move {
        let alpha = world.start("alpha", scripts());
        world.begin("one", "Wait", None).await;
        world.pass(1.0).await;
        // Only the partition table is out of reach.
        alpha.faults.set(|call| {
            let is_lease = call.resource.ends_with("Partitions");
            is_lease.then_some(Trouble::Before(ErrorKind::Unreachable))
        });
        world.pass(45.0).await;
        let gets = alpha.faults.count(Operation::GetMessages, "control-00");
        let client = world.client();
        client
            .raise_event("one", "Go", Some("x".into()))
            .await
            .unwrap();
        world.pass(60.0).await;
        assert_eq!(
            alpha.faults.count(Operation::GetMessages, "control-00"),
            gets
        );
        assert_eq!(world.messages().await, 1);
        alpha.faults.clear();
        assert_eq!(world.output("one").await, "x");
    });
}

#[test]
fn an_early_answer_does_not_hide_a_history_that_was_cut_short() {
    on_hub(1, |world| async move {
        // 150 calls: two transactions. The worker dies after the first of them.
        let arguments: Vec<String> = (0..150).map(|n| n.to_string()).collect();
        let steps = vec![call("Hello", "first"), Do::Calls("Hello", arguments)];
        let with_many = || scripts().with("Many", steps.clone());
        let alpha = world.start("alpha", with_many());
        alpha.faults.set({
            let mut commits = 0;
            move |call| {
                commits += u32::from(call.operation == Operation::Transact);
                (commits >= 3).then_some(Trouble::Before(ErrorKind::Unreachable))
            }
        });
        world.begin("one", "Many", None).await;
        world.pass(3.0).await;
        alpha.worker.abort();
        assert_eq!(world.history("one").await.len(), 4 + 99);
        // Answers come first; the message that the lost episode was for only when its
        // visibility timeout is over, and history knows it by then.
        let _beta = world.start("alpha", with_many());
        let output = world.output("one").await;
        assert_eq!(output.split(',').count(), 151);
        world.until_no_messages().await;
        world.assert_one_outcome_per_task("one").await;
    });
}

#[test]
fn what_comes_while_a_start_is_put_back_is_not_lost() {
    on_hub(1, |world| async move {
        let _alpha = world.start("alpha", scripts());
        let event = raised("Go", "early");
        world
            .put_event(OrchestrationInstance::current("one"), event)
            .await;
        world.begin("one", "Wait", None).await;
        // The event was sent before its instance: it may be dropped, and nothing hangs.
        world.pass(10.0).await;
        let client = world.client();
        client
            .raise_event("one", "Go", Some("late".into()))
            .await
            .unwrap();
        let output = world.output("one").await;
        assert!(["early", "late"].contains(&output.as_str()));
        world.until_no_messages().await;
    });
}
