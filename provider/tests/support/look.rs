//! Looking at what is in a hub, and putting things into it that no client would.

use durabletask_azurestorage::wire::message::{self, MessageData, TextEncoding};
use durabletask_azurestorage::wire::{history_row, names};
use durabletask_core::{
    EventKind, EventRaised, EventType, HistoryEvent, OrchestrationInstance, TaskMessage,
};
use durabletask_storage::{Query, Row};

use super::world::World;

impl World {
    pub(crate) fn control_queue(&self) -> String {
        self.settings.names().control_queue(0)
    }

    pub(crate) fn work_item_queue(&self) -> String {
        self.settings.names().work_item_queue()
    }

    /// Messages in all queues, invisible ones included.
    pub(crate) async fn messages(&self) -> u64 {
        let queues = &self.account.queues;
        let mut count = queues
            .count_messages(&self.work_item_queue())
            .await
            .unwrap();
        for partition in 0..self.settings.partition_count {
            let queue = self.settings.names().control_queue(partition);
            count += queues.count_messages(&queue).await.unwrap();
        }
        count
    }

    /// Waits until all messages are deleted.
    pub(crate) async fn until_no_messages(&self) {
        self.until("no messages", async || self.messages().await == 0)
            .await;
    }

    async fn rows(&self, table: &str) -> Vec<Row> {
        let mut query = Query::default();
        let mut rows = Vec::new();
        loop {
            let page = self.account.tables.query(table, &query).await.unwrap();
            rows.extend(page.rows);
            query.continuation = page.continuation;
            if query.continuation.is_none() {
                return rows;
            }
        }
    }

    /// The instance's events as stored, all executions that left rows.
    pub(crate) async fn history(&self, id: &str) -> Vec<HistoryEvent> {
        let key = names::escape_key(id);
        let rows = self.rows(&self.settings.names().history_table()).await;
        rows.iter()
            .filter(|row| row.partition_key == key && !history_row::is_sentinel(row))
            .map(|row| history_row::row_to_event(row).unwrap())
            .collect()
    }

    /// The types of the instance's events.
    pub(crate) async fn event_types(&self, id: &str) -> Vec<&'static str> {
        let history = self.history(id).await;
        history.iter().map(|e| e.event_type().name()).collect()
    }

    /// How many events of that type the instance has.
    pub(crate) async fn count_events(&self, id: &str, event_type: EventType) -> usize {
        let history = self.history(id).await;
        history
            .iter()
            .filter(|event| event.event_type() == event_type)
            .count()
    }

    /// Asserts that history is whole and holds one outcome per task and one end.
    pub(crate) async fn assert_one_outcome_per_task(&self, id: &str) {
        assert_one_outcome(id, &self.history(id).await);
    }

    /// The same for the current execution, which may have followed others.
    pub(crate) async fn assert_history_is_whole(&self, id: &str) {
        let row = self.instance(id).await.unwrap();
        let execution = row.get_str("ExecutionId").unwrap();
        let key = names::escape_key(id);
        let rows = self.rows(&self.settings.names().history_table()).await;
        let own: Vec<HistoryEvent> = rows
            .iter()
            .filter(|row| row.partition_key == key && !history_row::is_sentinel(row))
            .filter(|row| history_row::execution_id(row) == Some(execution))
            .map(|row| history_row::row_to_event(row).unwrap())
            .collect();
        assert_one_outcome(id, &own);
    }

    /// Asserts that the row names the execution whose history is stored.
    pub(crate) async fn assert_execution_is_current(&self, id: &str, row: &Row) {
        let history = self.history(id).await;
        let started = history.iter().find_map(HistoryEvent::as_started).unwrap();
        let execution = started.instance.execution_id.as_deref();
        assert_eq!(row.get_str("ExecutionId"), execution, "{id}");
    }

    /// The instance's row.
    pub(crate) async fn instance(&self, id: &str) -> Option<Row> {
        let key = names::escape_key(id);
        let rows = self.rows(&self.settings.names().instances_table()).await;
        rows.into_iter().find(|row| row.partition_key == key)
    }

    /// Puts a text on a queue.
    pub(crate) async fn put(&self, queue: &str, text: &str) {
        let queues = &self.account.queues;
        queues.put_message(queue, text, None).await.unwrap();
    }

    /// Puts an event for an instance on the control queue, as a worker elsewhere would.
    pub(crate) async fn put_event(&self, target: OrchestrationInstance, kind: EventKind) {
        let queue = self.control_queue();
        self.put(&queue, &self.event_text(target, kind)).await;
    }

    /// The text of a message.
    pub(crate) fn event_text(&self, target: OrchestrationInstance, kind: EventKind) -> String {
        let data = MessageData {
            activity_id: self.env.new_uuid(),
            message: TaskMessage {
                event: HistoryEvent::new(self.env.now(), kind),
                target,
                orchestration_tags: None,
            },
            sequence_number: 1,
            episode: None,
            sender: message::client_sender(),
        };
        message::to_queue_text(message::encode(&data), TextEncoding::Utf8)
    }
}

fn assert_one_outcome(id: &str, history: &[HistoryEvent]) {
    let mut answered = std::collections::BTreeSet::new();
    for event in history {
        if let Some(task) = event.answered_task() {
            assert!(answered.insert(task), "{id}: task {task} has two outcomes");
        }
    }
    let count = |event_type| {
        let of_type = |event: &&HistoryEvent| event.event_type() == event_type;
        history.iter().filter(of_type).count()
    };
    assert_eq!(count(EventType::ExecutionStarted), 1, "{id}");
    assert_eq!(count(EventType::ExecutionCompleted), 1, "{id}");
}

pub(crate) fn raised(name: &str, input: &str) -> EventKind {
    EventKind::EventRaised(Box::new(EventRaised {
        name: Some(name.to_owned()),
        input: Some(input.to_owned()),
        parent_trace_context: None,
    }))
}
