//! Messages, blobs and rows that cannot be read: reported, put back, never deleted; the rest goes on.

use durabletask_core::OrchestrationInstance;
use durabletask_storage::wrappers::{Arguments, Operation};
use durabletask_storage::{Condition, PutCondition, Write};

use crate::support::look::raised;
use crate::support::world::{TestWorker, World, on_hub, scripts};

/// Texts that no worker can take up.
fn unreadable(world: &World) -> Vec<String> {
    let target = OrchestrationInstance::new("one", "e1");
    let good = world.event_text(target, raised("Go", "x"));
    let event = r#"{"$type":"DurableTask.Core.History.EventRaisedEvent""#;
    assert!(good.contains(event));
    vec![
        "hello".to_owned(),
        "{".to_owned(),
        "AAAA".to_owned(),
        "====".to_owned(),
        good.replace("EventRaisedEvent", "NobodyKnowsThisEvent"),
        good.replace(
            event,
            r#"{"__type":"EventRaisedEvent:#DurableTask.Core.History""#,
        ),
        r#"{"$type":"DurableTask.AzureStorage.MessageData","TaskMessage":null}"#.to_owned(),
        r#"{"TaskMessage":{"Event":null,"OrchestrationInstance":{"InstanceId":"one"}}}"#.to_owned(),
        r#"{"TaskMessage":null,"CompressedBlobName":"one/message-gone.json.gz"}"#.to_owned(),
    ]
}

/// Seconds for which each message of that queue was put back, by id.
fn put_back(worker: &TestWorker, queue: &str) -> std::collections::BTreeMap<String, Vec<u32>> {
    let mut seconds = std::collections::BTreeMap::<String, Vec<u32>>::new();
    for call in worker.faults.calls() {
        let Arguments::Update {
            id,
            text,
            invisible_seconds,
        } = call.arguments
        else {
            continue;
        };
        assert_eq!(text, None, "{queue}: content is kept");
        if call.resource == queue {
            seconds.entry(id).or_default().push(invisible_seconds);
        }
    }
    seconds
}

#[test]
fn unreadable_messages_are_put_back_and_the_rest_goes_on() {
    // covers: C02-8
    on_hub(1, |world| async move {
        let texts = unreadable(&world);
        for queue in [world.control_queue(), world.work_item_queue()] {
            for text in &texts {
                world.put(&queue, text).await;
            }
        }
        let alpha = world.start("alpha", scripts());
        world.begin("good", "Hello", None).await;
        world.output("good").await;
        world.pass(30.0).await;
        for queue in [world.control_queue(), world.work_item_queue()] {
            let seconds = put_back(&alpha, &queue);
            let unread: Vec<_> = seconds.values().filter(|s| s.len() > 2).collect();
            assert_eq!(unread.len(), texts.len(), "{queue}: {seconds:?}");
            for seconds in unread {
                assert_eq!(seconds[..3], [2, 4, 8], "{queue}");
            }
        }
        assert_eq!(
            world.messages().await,
            2 * u64::try_from(texts.len()).unwrap()
        );
        world.begin("later", "Hello", None).await;
        world.output("later").await;
        assert!(alpha.worker.stop().await.unwrap());
    });
}

#[test]
fn an_event_on_the_work_item_queue_is_put_back() {
    on_hub(1, |world| async move {
        let target = OrchestrationInstance::new("one", "e1");
        let queue = world.work_item_queue();
        world
            .put(&queue, &world.event_text(target, raised("Go", "x")))
            .await;
        let alpha = world.start("alpha", scripts());
        world.pass(8.0).await;
        let seconds = put_back(&alpha, &queue);
        assert_eq!(seconds.into_values().next().unwrap(), [2, 4, 8]);
        assert_eq!(world.messages().await, 1);
    });
}

#[test]
fn a_message_whose_blob_comes_late_is_read_then() {
    on_hub(1, |world| async move {
        let alpha = world.start("alpha", scripts());
        world.begin("one", "Wait", None).await;
        let blob = "one/message-late-EventRaised.json.gz";
        let wrapper = durabletask_azurestorage::wire::message::encode_wrapper(blob);
        world.put(&world.control_queue(), &wrapper).await;
        world.pass(5.0).await;
        let json = world.event_text(OrchestrationInstance::current("one"), raised("Go", "big"));
        let content = durabletask_azurestorage::wire::large::gzip(&json);
        let container = world.settings.names().large_message_container();
        let blobs = &world.account.blobs;
        blobs.create_container(&container).await.unwrap();
        let put = blobs.put_blob(&container, blob, content.into(), PutCondition::Always, None);
        put.await.unwrap();
        assert_eq!(world.output("one").await, "big");
        assert!(alpha.worker.stop().await.unwrap());
    });
}

/// Makes a column of a stored row unreadable until `heal` is called.
async fn spoil(
    world: &World,
    table: &str,
    is_row: impl Fn(&durabletask_storage::Row) -> bool,
) -> durabletask_storage::Row {
    let query = durabletask_storage::Query::default();
    let page = world.account.tables.query(table, &query).await.unwrap();
    let good = page.rows.into_iter().find(is_row).unwrap();
    let mut bad = good.clone();
    for column in ["EventType", "_Timestamp", "CreatedTime"] {
        if bad.columns.contains_key(column) {
            bad.set(column, "spoilt");
        }
    }
    let write = Write::Replace(bad, Condition::Exists);
    world.account.tables.write(table, write).await.unwrap();
    good
}

#[test]
fn unreadable_rows_hold_up_their_instance_only() {
    on_hub(1, |world| async move {
        let tables = [
            world.settings.names().history_table(),
            world.settings.names().instances_table(),
        ];
        for table in tables {
            let alpha = world.start("alpha", scripts());
            let id = format!("one-{table}");
            world.begin(&id, "Wait", None).await;
            world.pass(2.0).await;
            assert!(alpha.worker.stop().await.unwrap());
            let good = spoil(&world, &table, |row| row.partition_key == id).await;
            let is_history = table.ends_with("History");
            let client = world.client();
            if is_history {
                client
                    .raise_event(&id, "Go", Some("x".into()))
                    .await
                    .unwrap();
            } else {
                // The row is read for starts: the same message once more.
                let history = world.history(&id).await;
                let start = history.iter().find(|e| e.as_started().is_some()).unwrap();
                let target = start.as_started().unwrap().instance.clone();
                world.put_event(target, start.kind.clone()).await;
            }
            let beta = world.start("alpha", scripts());
            world.begin(&format!("good-{table}"), "Hello", None).await;
            world.output(&format!("good-{table}")).await;
            world.pass(10.0).await;
            let seconds = put_back(&beta, &world.control_queue());
            assert!(
                seconds.values().any(|s| s.starts_with(&[2, 4, 8])),
                "{seconds:?}"
            );
            assert_eq!(world.messages().await, 1, "{table}");
            let write = Write::Replace(good, Condition::Exists);
            world.account.tables.write(&table, write).await.unwrap();
            if !is_history {
                client
                    .raise_event(&id, "Go", Some("x".into()))
                    .await
                    .unwrap();
            }
            assert_eq!(world.output(&id).await, "x");
            world.until_no_messages().await;
            assert!(beta.worker.stop().await.unwrap());
        }
    });
}

#[test]
fn unknown_names_are_put_back_for_others() {
    // covers: R5-04
    // Who knows some activity reads the queue of all: what it does not know it neither runs nor
    // fails.
    on_hub(1, |world| async move {
        let alpha = world.start(
            "alpha",
            scripts().with("Odd", vec![crate::support::script::call("Nope", "1")]),
        );
        world.begin("a", "Nobody", None).await;
        world.begin("b", "Odd", None).await;
        world.pass(20.0).await;
        assert_eq!(world.messages().await, 2);
        let control = put_back(&alpha, &world.control_queue());
        assert_eq!(control.into_values().next().unwrap()[..3], [2, 4, 8]);
        let work = put_back(&alpha, &world.work_item_queue());
        assert_eq!(work.into_values().next().unwrap()[..3], [2, 4, 8]);
        assert!(world.history("a").await.is_empty());
        assert_eq!(alpha.faults.count(Operation::Transact, "History"), 1);
        assert!(alpha.worker.stop().await.unwrap());
        // Somebody who knows them takes over.
        let steps = vec![crate::support::script::Do::Input];
        let _beta = world.start("beta", scripts().with("Nobody", steps));
        world.output("a").await;
    });
}

#[test]
fn activities_of_others_are_left_to_them() {
    // covers: R5-04
    on_hub(1, |mut world| async move {
        let receives = |worker: &TestWorker| worker.faults.count(Operation::GetMessages, "items");
        world.activities.names = &[];
        let alpha = world.start("alpha", scripts());
        world.begin("a", "Hello", None).await;
        world.pass(20.0).await;
        assert_eq!(world.messages().await, 1);
        assert_eq!(receives(&alpha), 0, "it runs no activity");
        // Whoever knows others puts it back, unharmed.
        world.activities.names = &["Sleep"];
        let beta = world.start("beta", scripts());
        world.pass(5.0).await;
        assert!(receives(&beta) > 0);
        assert!(world.activities.runs.lock().unwrap().is_empty());
        world.activities.names = &["Hello"];
        let _gamma = world.start("gamma", scripts());
        world.output("a").await;
        assert_eq!(receives(&alpha), 0);
    });
}

#[test]
fn refused_and_panicking_episodes_are_put_back() {
    on_hub(1, |world| async move {
        use crate::support::script::Do;
        let bad = scripts()
            .with("A", vec![Do::Abort])
            .with("P", vec![Do::Panic]);
        let alpha = world.start("alpha", bad);
        world.begin("a", "A", None).await;
        world.begin("p", "P", None).await;
        world.pass(10.0).await;
        let control = put_back(&alpha, &world.control_queue());
        assert_eq!(control.len(), 2);
        for seconds in control.values() {
            assert_eq!(seconds[..3], [2, 4, 8]);
        }
        assert_eq!(alpha.faults.count(Operation::Transact, "History"), 0);
        world.begin("good", "Hello", None).await;
        world.output("good").await;
    });
}
