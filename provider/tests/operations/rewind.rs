//! Rewind and restart (chapter 03 §7.3, §7.4).

use durabletask_azurestorage::{StartOptions, TaskHubError};
use durabletask_storage::{Row, Write};

use crate::golden::{self, Request};
use crate::hub::{TestHub, at_every_crash_point, run, their_words};

/// Positions of the requests with which .NET's rewinds begin, and behind their last ones.
fn rewinds(requests: &[Request]) -> Vec<std::ops::Range<usize>> {
    let is_start = |request: &Request| {
        let filter = request.parameter("$filter").unwrap_or_default();
        filter.contains("EventType eq 'OrchestratorStarted'")
    };
    let starts = (0..requests.len()).filter(|at| is_start(&requests[*at]));
    starts
        .map(|start| {
            let is_end = |request: &Request| request.service == "queue" && request.method == "POST";
            let length = requests[start..].iter().position(is_end).unwrap();
            start..start + length + 1
        })
        .collect()
}

#[test]
fn rewinds_ask_for_what_dotnet_asks() {
    // covers: C02-12
    for (scenario, instance, count) in [("rewind", "rew-1", 1), ("rewind-heals", "heal-1", 2)] {
        run(async |env| {
            let requests = golden::requests(scenario);
            let rewinds = rewinds(&requests);
            assert_eq!(rewinds.len(), count, "{scenario}");
            let name = format!("golden{}", scenario.replace('-', ""));
            let hub = TestHub::new(&env, &name).await;
            let mut done = 0;
            for rewind in rewinds {
                hub.repeat(&requests[done..rewind.start]).await;
                done = rewind.start;
                let reason = requests[rewind.end - 1].message_texts().remove(0);
                let reason: serde_json::Value = serde_json::from_str(&reason).unwrap();
                let reason = reason["TaskMessage"]["Event"]["Data"].as_str();
                let reason = reason.map(str::to_owned);
                hub.asked();
                hub.client.rewind(instance, reason).await.unwrap();
                let mut ours = hub.asked();
                // The look at the status is the Functions client's.
                assert!(ours.remove(0).starts_with("query"), "{scenario}");
                // .NET's write of the instance row is unconditional, and may land late.
                let ours = ours.iter().map(|words| {
                    words.replace("Instances if it matches", "Instances if it exists")
                });
                let mut ours: Vec<_> = ours.collect();
                // .NET does not look for decisions without an answer.
                let looks = ours.len();
                ours.retain(|words| !words.contains("sentinel"));
                assert!(ours.len() < looks, "{scenario}");
                let theirs: Vec<_> = requests[rewind].iter().filter_map(their_words).collect();
                assert_eq!(ours, theirs, "{scenario}");
            }
        });
    }
}

/// Adds a failed parent whose child failed, and columns that nobody knows.
pub(crate) async fn failed_family(hub: &TestHub) {
    let mut put = Vec::new();
    for (id, name, event) in [
        ("p", "SubOrchestration", "InstanceFailed"),
        ("c", "Task", "Failed"),
    ] {
        let rows = [
            (0, "OrchestratorStarted".to_owned(), None),
            (1, "ExecutionStarted".to_owned(), None),
            (
                2,
                format!(
                    "{name}{}",
                    if id == "p" {
                        "InstanceCreated"
                    } else {
                        "Scheduled"
                    }
                ),
                None,
            ),
            (3, "OrchestratorCompleted".to_owned(), None),
            (4, "OrchestratorStarted".to_owned(), None),
            (5, format!("{name}{event}"), None),
            (6, "ExecutionCompleted".to_owned(), Some("Failed")),
            (7, "OrchestratorCompleted".to_owned(), None),
        ];
        for (number, event, status) in rows {
            let mut row = durabletask_storage::Row::new(id, format!("{number:016X}"));
            row.set("ExecutionId", format!("{id}-e"));
            row.set("EventType", event);
            row.set("EventId", if number == 2 { 0 } else { -1 });
            row.set("Foreign", "kept");
            row.set_some("TaskScheduledId", (number == 5).then_some(0));
            row.set_some("InstanceId", (number == 2 && id == "p").then_some("c"));
            row.set_some("OrchestrationStatus", status);
            put.push((hub.history(), row));
        }
        let mut sentinel = durabletask_storage::Row::new(id, "sentinel");
        sentinel.set("ExecutionId", format!("{id}-e"));
        put.push((hub.history(), sentinel));
        let mut row = durabletask_storage::Row::new(id, "");
        row.set("ExecutionId", format!("{id}-e"));
        row.set("RuntimeStatus", "Failed");
        row.set("Name", "Orchestrator");
        row.set("Input", "\"in\"");
        put.push((hub.instances(), row));
    }
    for (table, row) in put {
        let write = Write::InsertOrReplace(row);
        hub.account.tables.write(&table, write).await.unwrap();
    }
}

pub(crate) fn puts(asked: &[String]) -> Vec<&str> {
    let puts = asked.iter().filter(|words| words.starts_with("put"));
    puts.map(|words| {
        if words.contains("\"InstanceId\":\"c\"") {
            "c"
        } else {
            "p"
        }
    })
    .collect()
}

#[test]
fn a_failed_child_is_rewound_first_and_only_it_is_woken() {
    run(async |env| {
        let hub = TestHub::new(&env, "family").await;
        failed_family(&hub).await;
        // A longer, earlier execution left rows behind, which would win in .NET.
        let mut left_over = durabletask_storage::Row::new("p", "0000000000000020");
        left_over.set("ExecutionId", "old");
        left_over.set("EventType", "OrchestratorStarted");
        let write = Write::InsertOrReplace(left_over);
        hub.account
            .tables
            .write(&hub.history(), write)
            .await
            .unwrap();

        hub.client.rewind("p", None).await.unwrap();
        let asked = hub.asked();
        assert_eq!(puts(&asked), ["c"]);
        let position = |words: &str| asked.iter().position(|line| line.contains(words)).unwrap();
        let table = hub.instances();
        assert!(
            position(&format!("PATCH {table} if it matches c/")) < position("p/0000000000000005")
        );
        assert!(position("p/0000000000000002") < position("c/0000000000000002"));
        for (id, number, reason) in [
            ("p", 2, "Rewound: SubOrchestrationInstanceCreated"),
            ("p", 5, "Rewound: SubOrchestrationInstanceFailed"),
            ("p", 6, "Rewound: ExecutionCompleted"),
            ("c", 2, "Rewound: TaskScheduled"),
            ("c", 5, "Rewound: TaskFailed"),
        ] {
            let rows = hub.history_rows(id).await;
            assert_eq!(rows[number].get_str("Reason"), Some(reason));
            assert_eq!(rows[number].get_str("Foreign"), Some("kept"));
            let is_child = (id, number) == ("p", 2);
            let generic = rows[number].get_str("EventType") == Some("GenericEvent");
            assert_eq!(generic, !is_child, "{id} {number}");
        }
        let second = hub.client.rewind("missing", None).await;
        assert!(matches!(second, Err(TaskHubError::NoSuchInstance { .. })));
    });
}

/// Whatever was done already, the child is woken in the end.
#[test]
fn an_interrupted_rewind_is_finished_by_the_next() {
    let crashes = at_every_crash_point(async |env, half_calls| {
        let hub = TestHub::new(&env, "cut").await;
        failed_family(&hub).await;
        let rewind = hub.client.rewind("p", None);
        if !hub.crash_after(half_calls, rewind).await {
            return false;
        }
        // The message may be on its way, and its answer lost.
        let was_sent = !puts(&hub.asked()).is_empty();
        hub.client.rewind("p", None).await.unwrap();
        let asked = hub.asked();
        assert!(
            was_sent || puts(&asked).contains(&"c"),
            "{half_calls}: {asked:#?}"
        );
        true
    });
    assert!(crashes > 30, "{crashes}");
}

/// The parent was woken and runs, its child was not: the same call wakes the child.
#[test]
fn a_child_that_nobody_woke_is_found_below_a_parent_that_runs() {
    run(async |env| {
        let hub = TestHub::new(&env, "unwoken").await;
        failed_family(&hub).await;
        hub.client.rewind("p", None).await.unwrap();
        for (number, event) in [(8, "OrchestratorStarted"), (9, "OrchestratorCompleted")] {
            let mut row = Row::new("p", format!("{number:016X}"));
            row.set("ExecutionId", "p-e");
            row.set("EventType", event);
            row.set("EventId", -1);
            hub.put_row(&hub.history(), row).await;
        }
        hub.asked();
        hub.client.rewind("p", None).await.unwrap();
        assert_eq!(puts(&hub.asked()), ["c"]);
    });
}

/// Answers that came while the instance was Failed were dropped: whoever gave them is asked again.
#[test]
fn decisions_without_an_answer_are_made_again() {
    run(async |env| {
        let hub = TestHub::new(&env, "open").await;
        failed_family(&hub).await;
        let decisions = [
            ("TaskScheduled", None, "null"),
            ("TimerCreated", None, "null"),
            ("SubOrchestrationInstanceCreated", Some("done"), "null"),
            ("SubOrchestrationInstanceCreated", Some("theirs"), "null"),
            (
                "SubOrchestrationInstanceCreated",
                Some("done"),
                "{\"FireAndForget\":\"\"}",
            ),
        ];
        for (number, (event, child, tags)) in (8..).zip(decisions) {
            let mut row = Row::new("c", format!("{number:016X}"));
            row.set("ExecutionId", "c-e");
            row.set("EventType", event);
            row.set("EventId", number);
            row.set("Tags", tags);
            row.set_some("InstanceId", child);
            hub.put_row(&hub.history(), row).await;
        }
        for (id, status) in [("done", "Completed"), ("theirs", "Running")] {
            let mut row = Row::new(id, "");
            row.set("RuntimeStatus", status);
            row.set("ExecutionId", "0f0e0d0c0b0a49888786858483828180");
            hub.put_row(&hub.instances(), row).await;
        }
        hub.client.rewind("c", None).await.unwrap();
        let rows = hub.history_rows("c").await;
        let kinds: Vec<_> = rows
            .iter()
            .filter_map(|row| row.get_str("EventType"))
            .collect();
        let created = "SubOrchestrationInstanceCreated";
        let generic = "GenericEvent";
        assert_eq!(kinds[8..], [generic, generic, generic, created, created]);
    });
}

#[test]
fn a_restart_takes_name_and_input() {
    run(async |env| {
        let hub = TestHub::new(&env, "again").await;
        let big = format!("\"{}\"", "x".repeat(50_000));
        for input in ["1".to_owned(), big] {
            let first = hub
                .client
                .start("Name", Some(input.clone()), StartOptions::default())
                .await
                .unwrap();
            let refused = hub.client.restart(&first, false).await;
            assert!(matches!(refused, Err(TaskHubError::AlreadyExists { .. })));
            let second = hub.client.restart(&first, true).await.unwrap();
            assert_ne!(first, second);
            let status = hub.client.status(&second).await.unwrap().unwrap();
            assert_eq!(status.input, Some(input));
            assert_eq!(status.name.as_deref(), Some("Name"));
        }
    });
}
