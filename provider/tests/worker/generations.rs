//! Histories in which rows of more than one execution lie, and rows that others wrote.

use std::collections::BTreeSet;

use durabletask_storage::wrappers::{Arguments, Operation};
use durabletask_storage::{Condition, Query, Row, Write};

use crate::support::script::{Do, Scripts, call};
use crate::support::world::{TestWorker, World, on_hub, scripts};

/// The instance's rows in a table, sentinel included, in the order of their keys.
async fn rows_of(world: &World, table: &str, id: &str) -> Vec<Row> {
    let query = Query::filter(format!("PartitionKey eq '{id}'"));
    let page = world.account.tables.query(table, &query).await.unwrap();
    assert!(page.continuation.is_none());
    page.rows
}

/// What the worker's last history commit wrote.
fn last_commit(worker: &TestWorker) -> Vec<Write> {
    let calls = worker.faults.calls();
    let commit = calls.iter().rfind(|c| c.operation == Operation::Transact);
    match &commit.unwrap().arguments {
        Arguments::Writes(writes) => writes.clone(),
        other => panic!("{other:?}"),
    }
}

/// Whether the commit was fenced by a sentinel that was there before.
fn is_fenced(commit: &[Write]) -> bool {
    matches!(commit.last(), Some(Write::Merge(row, Condition::Matches(_))) if row.row_key == "sentinel")
}

#[test]
fn a_new_generation_begins_at_row_zero_before_the_rows_of_the_old_one() {
    // covers: C03-7 C03-10
    on_hub(1, |world| async move {
        let steps = vec![Do::Event("Go"), call("Hello", "x"), Do::CountTo(1)];
        let with_again = || Scripts::default().with("Again", steps.clone());
        let alpha = world.start("alpha", with_again());
        world.begin("one", "Again", Some("0")).await;
        let client = world.client();
        let go = || client.raise_event("one", "Go", Some("go".into()));
        world.pass(1.0).await;
        let old = world.instance("one").await.unwrap();
        go().await.unwrap();
        world.until_no_messages().await;
        assert!(alpha.worker.stop().await.unwrap());
        let new = world.instance("one").await.unwrap();
        let (old, new) = (old.get_str("ExecutionId"), new.get_str("ExecutionId"));
        assert_ne!(old, new);

        let commit = last_commit(&alpha);
        assert!(is_fenced(&commit), "{commit:?}");
        assert_eq!(commit[0].keys().row, "0000000000000000");
        // Three rows of the new one (chapter 02 §8.5), the rest of the old one behind them.
        let history = world.settings.names().history_table();
        let rows = rows_of(&world, &history, "one").await;
        let (sentinel, events) = rows.split_last().unwrap();
        assert!(events.len() > 6, "{}", events.len());
        for (index, row) in events.iter().enumerate() {
            let execution = if index < 3 { new } else { old };
            assert_eq!(row.get_str("ExecutionId"), execution, "{index}");
        }
        assert_eq!(sentinel.get_str("ExecutionId"), new);

        // Who loads all this goes on with the new one alone.
        let beta = world.start("beta", with_again());
        go().await.unwrap();
        assert_eq!(world.output("one").await, "go,Hello x!");
        world.assert_history_is_whole("one").await;
        assert!(is_fenced(&last_commit(&beta)));
    });
}

#[test]
fn a_start_over_the_rows_of_another_execution_takes_up_their_fence() {
    // covers: C02-10 C03-10
    on_hub(1, |world| async move {
        let mut executions = BTreeSet::new();
        for name in ["alpha", "beta"] {
            // A worker of its own: nothing is known but what is stored.
            let worker = world.start(name, scripts());
            world.begin("one", "Input", Some(name)).await;
            assert_eq!(world.output("one").await, name);
            world.until_no_messages().await;
            assert!(worker.worker.stop().await.unwrap());
            let row = world.instance("one").await.unwrap();
            executions.insert(row.get_str("ExecutionId").unwrap().to_owned());
            assert_eq!(is_fenced(&last_commit(&worker)), name == "beta");
        }
        assert_eq!(executions.len(), 2);
    });
}

#[test]
fn rows_without_what_other_writers_leave_out_are_gone_on_from() {
    // covers: C03-9
    on_hub(1, |world| async move {
        let alpha = world.start("alpha", scripts());
        world.begin("one", "Two", None).await;
        let client = world.client();
        let go = |payload: &str| client.raise_event("one", "Go", Some(payload.to_owned()));
        go("a").await.unwrap();
        world.pass(2.0).await;
        assert!(alpha.worker.stop().await.unwrap());

        let tables = &world.account.tables;
        let history = world.settings.names().history_table();
        let no_sentinel = Write::Delete {
            partition_key: "one".to_owned(),
            row_key: "sentinel".to_owned(),
            condition: Condition::Exists,
        };
        tables.write(&history, no_sentinel).await.unwrap();
        let instances = world.settings.names().instances_table();
        let stored = [
            (&history, world.history("one").await.len()),
            (&instances, 1),
        ];
        for (table, count) in stored {
            let rows = rows_of(&world, table, "one").await;
            assert_eq!(rows.len(), count, "{table}");
            for mut row in rows {
                let optional = |name: &String| {
                    let names = ["CustomStatus", "Generation", "Tags", "ParentInstance"];
                    names.contains(&name.as_str())
                };
                row.columns.retain(|name, _| !optional(name));
                row.set("Unknown", 7);
                let write = Write::Replace(row, Condition::Exists);
                tables.write(table, write).await.unwrap();
            }
        }
        let _beta = world.start("beta", scripts());
        go("b").await.unwrap();
        assert_eq!(world.output("one").await, "a,b");
        // Without a generation it counts as the first.
        world.begin("one", "Input", Some("x")).await;
        assert_eq!(world.output("one").await, "x");
        world.assert_history_is_whole("one").await;
    });
}
