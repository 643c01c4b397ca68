//! Large values and large commits.

use durabletask_azurestorage::wire::large;
use durabletask_core::Timestamp;
use durabletask_storage::azure::{AzureAccount, AzureOptions, Connection};
use durabletask_storage::wrappers::{Arguments, Operation, Trouble};
use durabletask_storage::{Env, ErrorKind, MAX_TRANSACTION_BYTES, Row, Value, Write};

use crate::support::script::{Do, Scripts, call};
use crate::support::world::{TestWorker, on_hub, scripts};

/// Rows of each history transaction.
fn transactions(worker: &TestWorker) -> Vec<Vec<Write>> {
    let calls = worker.faults.calls().into_iter();
    calls
        .filter(|call| call.operation == Operation::Transact)
        .map(|call| match call.arguments {
            Arguments::Writes(writes) => writes,
            other => panic!("{other:?}"),
        })
        .collect()
}

#[test]
fn values_of_every_size_arrive() {
    on_hub(1, |world| async move {
        let steps = vec![
            Do::Input,
            Do::Event("Go"),
            call("Large", "50000"),
            Do::Event("End"),
        ];
        let echo = || Scripts::default().with("Echo", steps.clone());
        // Below both limits, between them (chapter 03 §4.5), above both.
        for (id, length) in [("small", 10), ("between", 40_000), ("large", 100_000)] {
            let value = "x".repeat(length);
            let alpha = world.start("alpha", echo());
            world.begin(id, "Echo", Some(&value)).await;
            let client = world.client();
            let status = client.status(id).await.unwrap().unwrap();
            assert_eq!(
                status.input.as_deref(),
                Some(value.as_str()),
                "{id} before it runs"
            );
            client
                .raise_event(id, "Go", Some(value.clone()))
                .await
                .unwrap();
            world.pass(3.0).await;
            assert!(alpha.worker.stop().await.unwrap());
            // Another worker reads all of it back.
            let beta = world.start("beta", echo());
            client
                .raise_event(id, "End", Some("end".into()))
                .await
                .unwrap();
            let output = world.output(id).await;
            let expected = format!("{value},{value},{},end", "世".repeat(50_000));
            assert!(output == expected, "{id}: {} bytes", output.len());
            let status = client.status(id).await.unwrap().unwrap();
            assert_eq!(status.input.as_deref(), Some(value.as_str()), "{id} after");
            assert!(beta.worker.stop().await.unwrap());
        }
    });
}

#[test]
fn large_values_are_in_their_blobs_before_a_row_names_them() {
    // covers: C03-5
    on_hub(1, |world| async move {
        let alpha = world.start("alpha", scripts());
        let value = "x".repeat(100_000);
        world.begin("one", "Input", Some(&value)).await;
        assert_eq!(world.output("one").await, value);
        world.until_no_messages().await;
        let calls = alpha.faults.calls();
        let container = world.settings.names().large_message_container();
        let mut named = Vec::new();
        for call in &calls {
            let Arguments::Writes(writes) = &call.arguments else {
                continue;
            };
            for write in writes {
                let (Write::InsertOrReplace(row)
                | Write::InsertOrMerge(row)
                | Write::Merge(row, _)) = write
                else {
                    continue;
                };
                if call.resource.ends_with("Instances") {
                    let of_output = row.get_str("Output").filter(|text| !text.is_empty());
                    named.extend(of_output.or(row.get_str("Input")).map(|url| {
                        let url = url.split_once(&format!("{container}/"));
                        (call, url.expect("a URL, not a name").1.to_owned())
                    }));
                } else {
                    let moved = large::moved_columns(row).into_iter();
                    named.extend(moved.map(|(_, blob)| (call, blob)));
                }
            }
        }
        assert!(named.len() >= 3, "{named:?}");
        for (row, blob) in named {
            let put = calls.iter().find(|call| {
                call.operation == Operation::PutBlob && call.resource.ends_with(&blob)
            });
            assert!(put.unwrap().to.unwrap() < row.from, "{blob}");
        }
    });
}

#[test]
fn a_commit_of_many_rows_and_many_bytes_is_split_within_the_limits() {
    // covers: C03-4
    // Results that double in JSON, and results of three bytes for two in the estimate.
    for (unit, count) in [("\"", 130), ("世", 130)] {
        on_hub(1, |world| async move {
            let large = unit.repeat(30_000);
            let steps = vec![Do::Calls("Hello", vec![large; count])];
            let mut settings = world.settings.clone();
            settings.store_inputs_in_orchestration_history = true;
            let scripts = scripts().with("Many", steps);
            let alpha = world.start_with("alpha", scripts, settings, |_| {});
            world.begin("one", "Many", None).await;
            world.output("one").await;
            let transactions = transactions(&alpha);
            for writes in &transactions {
                let (sentinel, rows) = writes.split_last().unwrap();
                assert_eq!(sentinel.keys().row, "sentinel");
                assert!(rows.len() <= 99);
                let bytes: usize = rows.iter().map(body_bytes).sum();
                assert!(bytes < MAX_TRANSACTION_BYTES, "{bytes}");
            }
            let first: usize = transactions[..3].iter().map(Vec::len).sum();
            assert!(
                first > 130,
                "the first commit takes three transactions or fewer"
            );
            let rows: Vec<usize> = transactions.iter().map(Vec::len).collect();
            assert!(rows.iter().any(|rows| (40..99).contains(rows)), "{rows:?}");
        });
    }
}

/// JSON of the row as the service would get it, without frame.
fn body_bytes(write: &Write) -> usize {
    let Write::InsertOrReplace(row) = write else {
        panic!("{write:?}");
    };
    let texts = row.columns.values().map(|value| match value {
        Value::String(text) => serde_json::to_string(text).unwrap().len(),
        _ => 0,
    });
    let bytes = texts.sum();
    assert!(large::body_size(row) >= bytes);
    bytes
}

#[test]
fn a_crash_between_any_two_transactions_of_a_commit_is_gone_on_from() {
    for survivors in 1..4 {
        on_hub(1, |world| async move {
            let arguments: Vec<String> = (0..320).map(|n| n.to_string()).collect();
            let steps = vec![Do::Calls("Hello", arguments)];
            let with_many = || scripts().with("Many", steps.clone());
            let alpha = world.start("alpha", with_many());
            let mut commits = 0;
            alpha.faults.set(move |call| {
                commits += usize::from(call.operation == Operation::Transact);
                (commits > survivors).then_some(Trouble::Before(ErrorKind::Unreachable))
            });
            world.begin("one", "Many", None).await;
            world.pass(10.0).await;
            alpha.worker.abort();
            assert_eq!(world.history("one").await.len(), survivors * 99);
            let _beta = world.start("alpha", with_many());
            let output = world.output("one").await;
            assert_eq!(output.split(',').count(), 320, "{survivors}");
            world.until_no_messages().await;
            world.assert_one_outcome_per_task("one").await;
        });
    }
}

#[test]
fn blobs_of_a_replaced_execution_are_deleted_and_no_reference_stays() {
    // covers: C03-7
    on_hub(1, |world| async move {
        let alpha = world.start("alpha", scripts());
        world.begin("one", "Count", Some("0")).await;
        let client = world.client();
        let value = "x".repeat(50_000);
        client
            .raise_event("one", "Go", Some(value.clone()))
            .await
            .unwrap();
        world.pass(3.0).await;
        for _ in 0..3 {
            client
                .raise_event("one", "Go", Some(value.clone()))
                .await
                .unwrap();
            world.pass(3.0).await;
        }
        assert_eq!(world.output("one").await, format!("{value},3"));
        let container = world.settings.names().large_message_container();
        let blobs = &world.account.blobs;
        let page = blobs
            .list_blobs(&container, "one/history-", None)
            .await
            .unwrap();
        let names: Vec<_> = page.blobs.iter().map(|blob| blob.name.as_str()).collect();
        // Of the last execution: its event, and its result.
        assert_eq!(names.len(), 2, "{names:?}");
        assert!(alpha.worker.stop().await.unwrap());
    });
}

/// What the transport would send is what `body_size` says, or less: it refuses a body above the
/// service's limit before it connects to anything.
#[tokio::test]
async fn the_transport_agrees_on_the_size_of_a_transaction() {
    let connection = "DefaultEndpointsProtocol=http;AccountName=a;AccountKey=AAAA;\
         TableEndpoint=http://127.0.0.1:1/a;QueueEndpoint=http://127.0.0.1:1/a;\
         BlobEndpoint=http://127.0.0.1:1/a";
    let mut options = AzureOptions::default();
    options.retry.max_connect_attempts = 1;
    let account = AzureAccount::connect(
        &Connection::parse(connection).unwrap(),
        options,
        Env::system(),
    );
    let tables = account.unwrap().tables;
    for unit in [
        "x", "\"", "\\", "\n", "\u{1}", "世", "🦀", "\u{2028}", "é'%",
    ] {
        let filled = |index: usize, units: usize| {
            let mut row = Row::new("p'é ^", format!("{index:016X}"));
            for column in ["Input", "Result", "Reason", "Details", "Name"] {
                row.set(column, unit.repeat(units / unit.chars().count()));
            }
            row.set("Time", "2026-01-01T00:00:00Z".parse::<Timestamp>().unwrap());
            row.set("EventId", 7);
            row.set("IsPlayed", true);
            row
        };
        let one = large::body_size(&filled(0, 9_000));
        let count = (MAX_TRANSACTION_BYTES / one).min(99);
        let rows = (0..count).map(|index| filled(index, 9_000));
        let writes: Vec<_> = rows.map(Write::InsertOrReplace).collect();
        let refused = tables.transact("TestHistory", writes).await.unwrap_err();
        assert_eq!(
            refused.kind(),
            ErrorKind::Unreachable,
            "{unit:?}: {refused}"
        );
        // And not much less: half as many rows again are too many.
        if count < 60 {
            let rows = (0..count + count / 2).map(|index| filled(index, 9_000));
            let writes = rows.map(Write::InsertOrReplace).collect();
            let refused = tables.transact("TestHistory", writes).await.unwrap_err();
            assert_eq!(
                refused.kind(),
                ErrorKind::PayloadTooLarge,
                "{unit:?}: {refused}"
            );
        }
    }
}
