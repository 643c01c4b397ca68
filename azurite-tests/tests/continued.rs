//! Histories that stop in the middle of an episode are continued on any message, as .NET does
//! (recordings `wake-chain`, `wake-fanout`).
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

#[path = "../../provider/tests/wire/golden.rs"]
mod golden;

use std::collections::BTreeMap;
use std::time::Duration;

use durabletask_azurestorage::wire::{history_row, message, names};
use durabletask_core::{
    EventKind, EventRaised, EventType, HistoryEvent, OrchestrationInstance, OrchestrationStatus,
    TaskMessage,
};
use durabletask_storage::{Env, Query, Row, Write};
use durabletask_worker::hub::{HubSettings, StoreChoice};
use durabletask_worker::{Client, TaskHub};

const LIMIT: Option<Duration> = Some(Duration::from_secs(30));

/// A hub in memory that holds what the recorded one held before the .NET worker was woken.
struct Woken {
    hub: TaskHub,
    instance: OrchestrationInstance,
    recorded: Vec<HistoryEvent>,
    /// How many of the recorded events were there.
    laid_down: usize,
}

impl Woken {
    async fn lay_down(scenario: &str) -> Self {
        let recorded = golden::hub(scenario);
        let rows = |suffix: &str| -> &Vec<Row> {
            let mut tables = recorded.tables.iter();
            tables.find(|(name, _)| name.ends_with(suffix)).unwrap().1
        };
        let (sentinels, events): (Vec<_>, Vec<_>) = rows("History")
            .iter()
            .partition(|row| history_row::is_sentinel(row));
        let woken = events
            .iter()
            .position(|row| row.get_str("EventType") == Some(EventType::Generic.name()))
            .unwrap();
        let laid_down = woken - 1;

        let settings = HubSettings::new("Continued", 2).with_store(StoreChoice::Memory);
        let hub = TaskHub::open(settings, &Env::system()).await.unwrap();
        let tables = hub.account().tables.clone();
        let history = hub.names().history_table();
        for row in events[..laid_down].iter().chain(&sentinels) {
            let write = Write::Insert((*row).clone());
            tables.write(&history, write).await.unwrap();
        }
        let mut instance_row = rows("Instances")[0].clone();
        instance_row.set("RuntimeStatus", OrchestrationStatus::Running.name());
        instance_row
            .columns
            .retain(|name, _| name != "Output" && name != "CompletedTime");
        let write = Write::Insert(instance_row);
        let instances = hub.names().instances_table();
        tables.write(&instances, write).await.unwrap();

        let instance = OrchestrationInstance::new(
            names::unescape_key(&events[0].partition_key).unwrap(),
            history_row::execution_id(events[0]).unwrap(),
        );
        let recorded = events
            .iter()
            .map(|row| history_row::row_to_event(row).unwrap())
            .collect();
        Self {
            hub,
            instance,
            recorded,
            laid_down,
        }
    }

    /// Sends one message and lets a worker finish the instance; its history then.
    async fn continue_with(&self, event: HistoryEvent) -> (Vec<HistoryEvent>, String) {
        let hub = &self.hub;
        let data = message::MessageData {
            activity_id: hub.env().new_uuid(),
            message: TaskMessage {
                event,
                target: self.instance.clone(),
                orchestration_tags: None,
            },
            sequence_number: 1,
            episode: None,
            sender: message::client_sender(),
        };
        let id = &self.instance.instance_id;
        let partition = names::partition_of(id, hub.settings().partition_count);
        let queue = hub.names().control_queue(partition);
        let text = message::encode(&data);
        let queues = &hub.account().queues;
        queues.put_message(&queue, &text, None).await.unwrap();

        let worker = azurite_tests::catalogue::worker().unwrap().start(hub);
        let status = Client::new(hub).wait(id, LIMIT).await.unwrap();
        worker.stop().await.unwrap();
        assert_eq!(status.runtime_status, OrchestrationStatus::Completed);
        let query = Query::filter(format!("PartitionKey eq '{}'", names::escape_key(id)));
        let history = hub.names().history_table();
        let page = hub.account().tables.query(&history, &query).await.unwrap();
        let events = page
            .rows
            .iter()
            .filter(|row| !history_row::is_sentinel(row));
        let events = events.map(|row| history_row::row_to_event(row).unwrap());
        (events.collect(), status.output.unwrap())
    }
}

fn kinds(events: &[HistoryEvent]) -> Vec<(EventType, i32)> {
    let kind = |event: &HistoryEvent| (event.event_type(), event.event_id);
    events.iter().map(kind).collect()
}

/// What each task was answered, whatever the order.
fn answers(events: &[HistoryEvent]) -> BTreeMap<i32, Vec<Option<String>>> {
    let mut answers = BTreeMap::<_, Vec<_>>::new();
    for event in events {
        if let EventKind::TaskCompleted {
            task_scheduled_id,
            result,
        } = &event.kind
        {
            let told = answers.entry(*task_scheduled_id).or_default();
            told.push(result.clone());
        }
    }
    answers
}

#[tokio::test]
async fn any_message_continues_a_history_that_stops_in_the_middle() {
    for scenario in ["wake-chain", "wake-fanout"] {
        for message in ["generic", "raised", "duplicate"] {
            let woken = Woken::lay_down(scenario).await;
            let laid_down = &woken.recorded[..woken.laid_down];
            let now = woken.hub.env().now();
            let event = match message {
                "generic" => HistoryEvent::new(now, EventKind::Generic { data: None }),
                "raised" => {
                    let raised = EventRaised {
                        name: Some("Nobody waits for it".to_owned()),
                        ..EventRaised::default()
                    };
                    HistoryEvent::new(now, EventKind::EventRaised(Box::new(raised)))
                }
                _ => {
                    let mut laid_down = laid_down.iter();
                    let answer = laid_down.find(|e| e.event_type() == EventType::TaskCompleted);
                    answer.unwrap().clone()
                }
            };
            let (events, output) = woken.continue_with(event).await;

            let what = format!("{scenario} continued by {message}");
            assert_eq!(&events[..woken.laid_down], laid_down, "{what}");
            let ended = |events: &[HistoryEvent]| {
                events.iter().find_map(|event| match &event.kind {
                    EventKind::ExecutionCompleted(end) => end.result.clone(),
                    _ => None,
                })
            };
            assert_eq!(ended(&events), ended(&woken.recorded), "{what}");
            assert_eq!(Some(output), ended(&woken.recorded), "{what}");
            assert_eq!(answers(&events), answers(&woken.recorded), "{what}");
            if message == "generic" {
                // Up to the end of the episode that .NET ran, row by row.
                let end = woken.recorded[woken.laid_down..]
                    .iter()
                    .position(|e| e.event_type() == EventType::OrchestratorCompleted);
                let end = woken.laid_down + end.unwrap();
                assert_eq!(
                    kinds(&events[..=end]),
                    kinds(&woken.recorded[..=end]),
                    "{what}"
                );
            }
        }
    }
}
