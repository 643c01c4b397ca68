//! Outbound messages, history, instance row, deletes: in that order, and alone.

use durabletask_azurestorage::wire::message::{self, Decoded, MessageData};
use durabletask_core::{EventKind, EventType, HistoryEvent};
use durabletask_storage::Write;
use durabletask_storage::wrappers::{Arguments, Operation};

use crate::support::faults::Seen;
use crate::support::script::{Do, Scripts, call};
use crate::support::world::{MIXED, World, on_hub, scripts};

/// The calls that concern instance `one`, in the order in which they were made.
fn calls_of_one(calls: Vec<Seen>) -> Vec<Seen> {
    let is_own = |call: &Seen| match &call.arguments {
        Arguments::Writes(writes) => writes[0].keys().partition == "one",
        Arguments::Put { text, .. } => text.contains("\"InstanceId\":\"one\""),
        Arguments::Delete { .. } | Arguments::Update { .. } => call.resource.contains("-control-"),
        Arguments::Query(query) => query.filter.as_deref().is_some_and(|f| f.contains("'one'")),
        _ => false,
    };
    calls.into_iter().filter(is_own).collect()
}

async fn run_one(world: &World) -> Vec<Seen> {
    let worker = world.start("alpha", scripts());
    world.begin("one", "Mixed", None).await;
    let client = world.client();
    client
        .raise_event("one", "Go", Some("go".into()))
        .await
        .unwrap();
    assert_eq!(world.output("one").await, MIXED);
    world.until_no_messages().await;
    assert!(worker.worker.stop().await.unwrap());
    calls_of_one(worker.faults.calls())
}

#[test]
fn every_episode_commits_in_order_and_alone() {
    // covers: C02-6 C03-4
    for seed in 0..30 {
        on_hub(seed, |world| async move {
            let calls = run_one(&world).await;
            let history: Vec<&Seen> = calls
                .iter()
                .filter(|call| call.operation == Operation::Transact)
                .collect();
            assert!(history.len() >= 4, "seed {seed}");
            let rows: Vec<&Seen> = calls
                .iter()
                .filter(|call| call.operation == Operation::Write)
                .collect();
            assert_eq!(rows.len(), history.len());
            for (commit, row) in history.iter().zip(&rows) {
                for other in &calls {
                    let is_apart = other.to.unwrap() < commit.from
                        || other.from > commit.to.unwrap()
                        || other.sequence == commit.sequence;
                    let is_sending = other.operation == Operation::PutMessage
                        && other.resource.ends_with("workitems");
                    let is_answering = other.operation == Operation::PutMessage && !is_sending;
                    // Activities answer whenever they are done.
                    assert!(is_apart || is_answering, "seed {seed}: {other:?} overlaps");
                }
                assert!(
                    row.from > commit.to.unwrap(),
                    "seed {seed}: row before history"
                );
            }
            for pair in rows.windows(2) {
                assert!(
                    pair[1].from > pair[0].to.unwrap(),
                    "seed {seed}: rows overlap"
                );
            }
            assert_sends_and_deletes(&calls, &history, &rows, seed);
        });
    }
}

/// What a commit's history schedules was sent before it; what it consumed is deleted after its row.
fn assert_sends_and_deletes(calls: &[Seen], history: &[&Seen], rows: &[&Seen], seed: u64) {
    let mut scheduled = 0;
    for (commit, row) in history.iter().zip(rows) {
        let Arguments::Writes(writes) = &commit.arguments else {
            panic!("{commit:?}");
        };
        let (sentinel, events) = writes.split_last().unwrap();
        assert_eq!(sentinel.keys().row, "sentinel", "seed {seed}");
        let is_event = |write: &Write| matches!(write, Write::InsertOrReplace(_));
        assert!(events.iter().all(is_event), "seed {seed}: {events:?}");
        let Arguments::Writes(instance) = &row.arguments else {
            panic!("{row:?}");
        };
        // A merge in any case: what only clients write stays.
        let is_merge = matches!(instance[..], [Write::InsertOrMerge(_) | Write::Merge(..)]);
        assert!(is_merge, "seed {seed}: {instance:?}");
        scheduled += writes.iter().filter(|write| schedules(write)).count();
        let sent = |call: &&Seen| {
            let decisions = ["TaskScheduledEvent", "TimerFiredEvent"];
            let is_decision = match &call.arguments {
                Arguments::Put { text, .. } => decisions.iter().any(|name| text.contains(name)),
                _ => false,
            };
            is_decision && call.to.unwrap() < commit.from
        };
        let sent = calls.iter().filter(sent).count();
        assert!(sent >= scheduled, "seed {seed}: history before messages");
        let mut deletes = calls
            .iter()
            .filter(|call| call.operation == Operation::DeleteMessage && call.from > commit.from);
        assert!(
            deletes.all(|delete| delete.from > row.to.unwrap()),
            "seed {seed}: deleted before the row was written"
        );
    }
    assert_eq!(scheduled, 3);
}

fn schedules(write: &Write) -> bool {
    let Write::InsertOrReplace(row) = write else {
        return false;
    };
    let event_type = row.get_str("EventType");
    matches!(event_type, Some("TaskScheduled" | "TimerCreated"))
}

/// Storage decides which answer belongs to which request by these numbers alone.
#[test]
fn requests_on_the_wire_have_the_numbers_of_their_rows() {
    // covers: C02-2 C02-10
    on_hub(1, |world| async move {
        let calls = run_one(&world).await;
        let history = world.history("one").await;
        let has_row = |event_type: EventType, id: i32| {
            let is_it = |row: &HistoryEvent| row.event_type() == event_type && row.event_id == id;
            history.iter().filter(|row| is_it(row)).count() == 1
        };
        let mut checked = Vec::new();
        for call in &calls {
            let Arguments::Put { text, .. } = &call.arguments else {
                continue;
            };
            let Decoded::Message(data) = message::decode(text).unwrap() else {
                panic!("large");
            };
            let event = data.message.event;
            let (requested, id) = match event.kind {
                EventKind::TaskScheduled(_) => {
                    checked.push("scheduled");
                    assert!(has_row(EventType::TaskScheduled, event.event_id));
                    continue;
                }
                EventKind::TaskCompleted {
                    task_scheduled_id, ..
                } => (EventType::TaskScheduled, task_scheduled_id),
                EventKind::TimerFired { timer_id, .. } => (EventType::TimerCreated, timer_id),
                other => panic!("{other:?}"),
            };
            assert_eq!(event.event_id, -1);
            assert!(has_row(requested, id), "{requested:?} {id}");
            checked.push("answer");
        }
        checked.sort_unstable();
        assert_eq!(
            checked,
            ["answer", "answer", "answer", "scheduled", "scheduled"]
        );
    });
}

#[test]
fn messages_of_several_generations_name_the_first_as_their_sender() {
    on_hub(1, |world| async move {
        let again = vec![Do::CountTo(1), call("Hello", "x")];
        let scripts = Scripts::default().with("Again", again);
        let alpha = world.start("alpha", scripts);
        world.begin("one", "Again", Some("0")).await;
        world.output("one").await;
        let calls = alpha.faults.calls();
        let sent: Vec<MessageData> = calls
            .iter()
            .filter_map(|call| match &call.arguments {
                Arguments::Put { text, .. } if call.resource.ends_with("workitems") => Some(text),
                _ => None,
            })
            .map(|text| match message::decode(text).unwrap() {
                Decoded::Message(data) => *data,
                Decoded::InBlob { .. } => panic!("large"),
            })
            .collect();
        // As recorded in `eternal`: the second generation's request goes out with the first's
        // identity, and counts its episode on.
        let [first, second] = &sent[..] else {
            panic!("{sent:?}");
        };
        let (a, b) = (&first.message.target, &second.message.target);
        assert_ne!(a.execution_id, b.execution_id);
        assert_eq!((&first.sender, first.episode), (a, Some(1)));
        assert_eq!((&second.sender, second.episode), (a, Some(2)));
    });
}
