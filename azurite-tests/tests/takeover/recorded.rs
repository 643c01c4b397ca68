//! A recorded hub, and the moments at which its worker could have gone.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use durabletask_azurestorage::wire::message::{self, Decoded, MessageData};
use durabletask_core::{EventKind, HTTP_ACTIVITY_NAME, HistoryEvent, OrchestrationStatus};
use durabletask_storage::Row;
use serde_json::Value;

use crate::golden;
use crate::histories::{self, History};

/// Everything that a scenario left, entities left out.
#[derive(Clone)]
pub(crate) struct Recorded {
    pub(crate) scenario: String,
    pub(crate) hub_name: String,
    histories: Arc<Vec<History>>,
    /// Instance rows by partition key.
    instances: BTreeMap<String, Row>,
    /// All messages that were sent, once each.
    messages: Arc<Vec<Message>>,
}

/// A message and its text.
pub(crate) struct Message {
    pub(crate) data: MessageData,
    pub(crate) json: String,
}

impl Recorded {
    pub(crate) fn of(scenario: &str) -> Self {
        let hub = golden::hub(scenario);
        let mut tables = hub.tables.iter();
        let (table, rows) = tables
            .find(|(name, _)| name.ends_with("Instances"))
            .unwrap();
        let by_key = |row: &Row| (row.partition_key.clone(), row.clone());
        let mut histories = histories::of(scenario);
        histories.retain(|history| !history.is_of_entity());
        Self {
            scenario: scenario.to_owned(),
            hub_name: table.strip_suffix("Instances").unwrap().to_owned(),
            histories: Arc::new(histories),
            instances: rows.iter().map(by_key).collect(),
            messages: Arc::new(messages(scenario)),
        }
    }

    /// Before its first episode, and after each but the last, of every instance.
    pub(crate) fn cuts(&self) -> Vec<Cut<'_>> {
        let of_history = |history| {
            let episodes = History::episodes(history);
            episodes.into_iter().map(move |episode| Cut {
                history,
                kept: episode.start,
            })
        };
        // Those that talk to entities wait for them.
        let talks = |history: &&History| {
            let mut events = history.events.iter();
            events.any(|event| matches!(event.kind, EventKind::EventSent { .. }))
        };
        let histories = self.histories.iter().filter(|history| !talks(history));
        histories.flat_map(of_history).collect()
    }

    fn history(&self, key: &str) -> &History {
        let mut histories = self.histories.iter();
        let found = histories.find(|history| history.rows[0].partition_key == key);
        found.unwrap_or_else(|| panic!("{}: no history of {key}", self.scenario))
    }

    pub(crate) fn history_rows(&self, key: &str) -> Vec<Row> {
        self.history(key).rows.clone()
    }

    pub(crate) fn instance(&self, key: &str) -> Row {
        self.instances[key].clone()
    }

    /// The message to the same instance, about the same event.
    pub(crate) fn message_like(&self, data: &MessageData) -> Option<&str> {
        let is_like = |message: &&Message| {
            let (theirs, ours) = (&message.data.message, &data.message);
            theirs.target.instance_id == ours.target.instance_id
                && theirs.event.event_id == ours.event.event_id
                && theirs.event.event_type() == ours.event.event_type()
                && theirs.event.answered_task() == ours.event.answered_task()
        };
        let found = self.messages.iter().find(is_like);
        found.map(|message| message.json.as_str())
    }

    /// What a request to that address was answered, if it was.
    pub(crate) fn answer_to(&self, uri: &str) -> Option<Value> {
        let request = self.messages.iter().find_map(|Message { data, .. }| {
            match &data.message.event.kind {
                EventKind::TaskScheduled(task)
                    if task.name.as_deref() == Some(HTTP_ACTIVITY_NAME) =>
                {
                    let input: Value = serde_json::from_str(task.input.as_deref()?).ok()?;
                    (input[0]["uri"] == uri).then_some(&data.message)
                }
                _ => None,
            }
        })?;
        let history = self.history(&request.target.instance_id);
        history.events.iter().find_map(|event| match &event.kind {
            EventKind::TaskCompleted {
                task_scheduled_id,
                result,
            } if *task_scheduled_id == request.event.event_id => {
                serde_json::from_str(result.as_deref()?).ok()
            }
            _ => None,
        })
    }
}

fn messages(scenario: &str) -> Vec<Message> {
    let mut messages: Vec<Message> = Vec::new();
    let requests = golden::requests(scenario).into_iter();
    let posts = requests.filter(|request| request.method == "POST");
    for text in posts.flat_map(|request| request.message_texts()) {
        let json = text.trim_start_matches('\u{feff}').to_owned();
        if let Ok(Decoded::Message(data)) = message::decode(&json)
            && !messages
                .iter()
                .any(|known| known.data.activity_id == data.activity_id)
        {
            messages.push(Message { data: *data, json });
        }
    }
    messages
}

/// A history of which only the first rows are there.
pub(crate) struct Cut<'a> {
    history: &'a History,
    kept: usize,
}

impl Cut<'_> {
    pub(crate) fn instance_id(&self) -> &str {
        &self.history.instance().instance_id
    }

    /// How many rows are there.
    pub(crate) const fn kept(&self) -> usize {
        self.kept
    }

    fn past(&self) -> &[Arc<HistoryEvent>] {
        &self.history.events[..self.kept]
    }

    fn rest(&self) -> &[Arc<HistoryEvent>] {
        &self.history.events[self.kept..]
    }

    /// The instance and all children that will end from here on.
    pub(crate) fn instances(&self) -> BTreeSet<String> {
        let mut ids = BTreeSet::from([self.instance_id().to_owned()]);
        ids.extend(self.open_children());
        ids.extend(self.rest().iter().filter_map(|event| child_of(event)));
        ids
    }

    fn open_children(&self) -> BTreeSet<String> {
        let past = self.past().iter();
        let open = past.filter(|event| self.is_open(event.event_id));
        open.filter_map(|event| child_of(event)).collect()
    }

    /// Whether a task or timer of the past is not answered there.
    fn is_open(&self, id: i32) -> bool {
        !self
            .past()
            .iter()
            .any(|event| event.answered_task() == Some(id))
    }

    pub(crate) fn rows_that_stay(&self, recorded: &Recorded) -> Vec<Row> {
        if self.kept == 0 {
            return Vec::new();
        }
        let mut rows = self.history.rows[..self.kept].to_vec();
        let hub = golden::hub(&recorded.scenario);
        let all = hub.tables.into_values().flatten();
        let key = &self.history.rows[0].partition_key;
        let mut sentinels = all.filter(|row| row.row_key == "sentinel");
        rows.push(sentinels.find(|row| row.partition_key == *key).unwrap());
        rows
    }

    /// The instance row as it was then; a child has none before its first episode.
    pub(crate) fn instance_row(&self, recorded: &Recorded) -> Option<Row> {
        let mut row = recorded.instance(&self.history.rows[0].partition_key);
        let mut events = self.history.events.iter();
        let started = events.find_map(|event| event.as_started()).unwrap();
        let status = match (self.kept, &started.parent) {
            (0, Some(_)) => return None,
            (0, None) => OrchestrationStatus::Pending,
            _ => OrchestrationStatus::Running,
        };
        row.set("RuntimeStatus", status.name());
        let later = ["Output", "CompletedTime", "CustomStatus"];
        row.columns
            .retain(|name, _| !later.contains(&name.as_str()));
        Some(row)
    }

    /// Whether an event came when the first episode, still to come, was over.
    pub(crate) fn comes_later(&self, kind: &EventKind) -> bool {
        let first = self.history.episodes().remove(0);
        let is_event = matches!(kind, EventKind::EventRaised(_));
        let mut later = self.history.events[first.end..].iter();
        self.kept == 0 && is_event && later.any(|event| event.kind == *kind)
    }

    /// The messages that were on their way.
    pub(crate) fn outstanding(&self, recorded: &Recorded) -> Vec<MessageData> {
        let children = self.open_children();
        let is_on_its_way = |data: &&MessageData| {
            let message = &data.message;
            let is_ours = message.target.instance_id == self.instance_id();
            let is_to_come = |kind: &EventKind| self.rest().iter().any(|event| event.kind == *kind);
            let is_past = |id: i32| self.past().iter().any(|event| event.event_id == id);
            match &message.event.kind {
                EventKind::ExecutionStarted(_) if is_ours => self.kept == 0,
                EventKind::ExecutionStarted(_) => children.contains(&message.target.instance_id),
                EventKind::TaskScheduled(_) => {
                    let id = message.event.event_id;
                    is_ours && is_past(id) && self.is_open(id)
                }
                // A timer that was cancelled fired later than all this.
                EventKind::TimerFired { timer_id, .. } => {
                    is_ours && is_past(*timer_id) && is_to_come(&message.event.kind)
                }
                EventKind::EventRaised(_) => is_ours && is_to_come(&message.event.kind),
                _ => false,
            }
        };
        let messages = recorded.messages.iter().map(|message| &message.data);
        messages.filter(is_on_its_way).cloned().collect()
    }
}

/// The child that an event starts.
fn child_of(event: &HistoryEvent) -> Option<String> {
    match &event.kind {
        EventKind::SubOrchestrationCreated(child) => child.instance_id.clone(),
        _ => None,
    }
}

impl fmt::Display for Cut<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} after {} rows", self.history, self.kept)
    }
}
