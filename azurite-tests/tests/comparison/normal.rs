//! The form in which two runs are compared: what timing decides is folded, what differs from run
//! to run is blanked. What that takes out, and nothing else, goes unseen:
//!
//! - An episode without decisions merges into the next: its `OrchestratorCompleted` and the
//!   following `OrchestratorStarted` drop out. Rows are renumbered: their keys go, their order
//!   stays. Answers within an episode are sorted by the task they answer.
//! - Sent messages come in the order of their sequence numbers, whose values go; those of one
//!   kind, sender's episode and queue stand together, sorted by task, because those of a fan-out
//!   are sent in parallel, and answered in any order and while others are still being sent.
//! - How often a lease changed hands if it did at all: `Epoch` of 2 or more. A machine that stands
//!   still for a lease's length adds to it, and nobody compares it (chapter 01 §5.4).
//! - Times, GUIDs, hosts, the hub's name, random parts of blob names, stack traces. Ids of 32 hex
//!   digits are numbered in the order of their appearance, so that those that are the same stay
//!   the same. `Details` that hold an exception are reduced to its and its causes' messages.

use std::collections::{BTreeMap, HashMap};

use durabletask_storage::{Row, Value};
use regex_lite::{Captures, Regex};
use serde_json::Value as Json;

use crate::observed::{Observed, Sent};

/// One thing to compare: a message, a row, a queue, a blob.
#[derive(Debug, PartialEq)]
pub(crate) struct Item {
    pub(crate) place: String,
    pub(crate) values: BTreeMap<String, String>,
}

/// Everything of a run in order; places are unique.
pub(crate) fn normal(observed: &Observed) -> Vec<Item> {
    let mut blank = Blank::new(&observed.hub);
    let mut items = messages(&observed.sent, &mut blank);
    for (table, rows) in &observed.tables {
        items.extend(match table.as_str() {
            "History" => history(rows, &mut blank),
            _ => plain_rows(table, rows, &mut blank),
        });
    }
    for (queue, left) in &observed.left {
        items.push(Item {
            place: format!("queue {queue}"),
            values: BTreeMap::from([("left".to_owned(), left.to_string())]),
        });
    }
    let mut blobs: Vec<(String, &String)> = observed
        .blobs
        .iter()
        .map(|(name, content)| (format!("blob {}", blank.text(name)), content))
        .collect();
    blobs.sort();
    let changed_hands = Regex::new(r#""Epoch":([2-9]|\d{2,})"#).unwrap();
    for (place, content) in blobs {
        let content = blank.text(content);
        let content = changed_hands.replace(&content, r#""Epoch":"several""#);
        let values = BTreeMap::from([("content".to_owned(), content.into_owned())]);
        items.push(Item { place, values });
    }
    number_places(&mut items);
    items
}

/// Makes places unique.
fn number_places(items: &mut [Item]) {
    let mut seen: HashMap<String, usize> = HashMap::new();
    for item in items {
        let count = seen.entry(item.place.clone()).or_default();
        *count += 1;
        if *count > 1 {
            item.place = format!("{} ({count})", item.place);
        }
    }
}

fn messages(sent: &[Sent], blank: &mut Blank) -> Vec<Item> {
    let parsed = sent.iter().map(|sent| {
        let message: Json = serde_json::from_str(&sent.json).unwrap();
        (sent, message)
    });
    let mut groups: Vec<(String, Vec<(&Sent, Json)>)> = Vec::new();
    for (sent, message) in parsed {
        let event = &message["TaskMessage"]["Event"]["EventType"];
        let group = format!(
            "{} {} {} {event}",
            sent.queue, message["Sender"], message["Episode"]
        );
        match groups.iter_mut().find(|(name, _)| *name == group) {
            // What clients send has no episode: each message for itself.
            Some((_, members)) if !message["Episode"].is_null() => members.push((sent, message)),
            _ => groups.push((group, vec![(sent, message)])),
        }
    }
    let mut items = Vec::new();
    for (_, mut members) in groups {
        members.sort_by_key(|(_, message)| task_of(&message["TaskMessage"]["Event"]));
        items.extend(
            members
                .iter()
                .map(|(sent, message)| message_item(sent, message, blank)),
        );
    }
    items
}

/// The task that a message starts or answers.
fn task_of(event: &Json) -> Option<i64> {
    let ids = ["TaskScheduledId", "TimerId", "EventId"];
    ids.iter().find_map(|id| event[id].as_i64())
}

fn message_item(sent: &Sent, message: &Json, blank: &mut Blank) -> Item {
    let event = &message["TaskMessage"]["Event"];
    let class = event["$type"].as_str().unwrap_or_default();
    let class = class.rsplit('.').next().unwrap_or_default();
    let target = &message["TaskMessage"]["OrchestrationInstance"]["InstanceId"];
    let target = blank.text(target.as_str().unwrap_or_default());
    let task = task_of(event).unwrap_or(-1);
    let place = format!("sent {target} {class} {task}");
    let mut values = BTreeMap::new();
    flatten("", message, blank, &mut values);
    values.remove("SequenceNumber");
    // Children without an id of their own have random ones, and go wherever these hash to.
    let is_random = target.contains("<id") && sent.queue.starts_with("-control-");
    let queue = if is_random {
        "-control-<hash>"
    } else {
        &sent.queue
    };
    values.insert("queue".to_owned(), queue.to_owned());
    values.insert("carried".to_owned(), sent.carried.to_owned());
    if let Some(delay) = &sent.delay_seconds {
        values.insert("delay".to_owned(), delay.clone());
    }
    values.insert(TEXT.to_owned(), blank.text(&sent.json));
    Item { place, values }
}

/// The message as a whole: member order, escapes, white space. Looked at where all members agree.
pub(crate) const TEXT: &str = "text";

fn flatten(path: &str, json: &Json, blank: &mut Blank, out: &mut BTreeMap<String, String>) {
    let name = |member: &str| match path {
        "" => member.to_owned(),
        _ => format!("{path}.{member}"),
    };
    match json {
        Json::Object(members) => {
            for (member, value) in members {
                flatten(&name(member), value, blank, out);
            }
        }
        Json::String(_) | Json::Null if path.ends_with("StackTrace") => {}
        Json::String(text) => drop(out.insert(path.to_owned(), blank.member(path, text))),
        other => drop(out.insert(path.to_owned(), blank.text(&other.to_string()))),
    }
}

fn plain_rows(table: &str, rows: &[Row], blank: &mut Blank) -> Vec<Item> {
    let mut items: Vec<Item> = rows
        .iter()
        .map(|row| {
            let key = format!("{} {}", row.partition_key, row.row_key);
            Item {
                place: format!("{table} {}", blank.text(key.trim())),
                values: columns(row, blank),
            }
        })
        .collect();
    // Ids are part of keys, and numbered.
    items.sort_by(|a, b| a.place.cmp(&b.place));
    items
}

fn columns(row: &Row, blank: &mut Blank) -> BTreeMap<String, String> {
    let value = |(name, value): (&String, &Value)| {
        let text = match value {
            Value::String(text) => blank.member(name, text),
            Value::Int32(number) => number.to_string(),
            Value::Int64(number) => number.to_string(),
            Value::Bool(flag) => flag.to_string(),
            Value::DateTime(_) => "<time>".to_owned(),
            Value::Double(_) | Value::Guid(_) | Value::Binary(_) => format!("{value:?}"),
        };
        (name.clone(), format!("{text}:{}", value.edm_type()))
    };
    row.columns.iter().map(value).collect()
}

const DECISIONS: [&str; 6] = [
    "TaskScheduled",
    "TimerCreated",
    "SubOrchestrationInstanceCreated",
    "EventSent",
    "ExecutionCompleted",
    "ContinueAsNew",
];
const ANSWERS: [&str; 5] = [
    "TaskCompleted",
    "TaskFailed",
    "SubOrchestrationInstanceCompleted",
    "SubOrchestrationInstanceFailed",
    "TimerFired",
];

fn kind(row: &Row) -> &str {
    row.get_str("EventType").unwrap_or("sentinel")
}

fn int(row: &Row, column: &str) -> Option<i32> {
    match row.get(column) {
        Some(Value::Int32(number)) => Some(*number),
        _ => None,
    }
}

fn row_answered(row: &Row) -> Option<i32> {
    int(row, "TaskScheduledId").or_else(|| int(row, "TimerId"))
}

fn history(rows: &[Row], blank: &mut Blank) -> Vec<Item> {
    let mut instances: BTreeMap<String, Vec<&Row>> = BTreeMap::new();
    for row in rows {
        let instance = blank.text(&row.partition_key);
        instances.entry(instance).or_default().push(row);
    }
    let mut items = Vec::new();
    for (instance, mut rows) in instances {
        rows.sort_by(|a, b| a.row_key.cmp(&b.row_key));
        for row in fold(&rows) {
            let kind = kind(row);
            let task = row_answered(row).or_else(|| int(row, "EventId"));
            let task = task
                .filter(|id| *id >= 0)
                .map_or(String::new(), |id| format!(" {id}"));
            items.push(Item {
                place: format!("History {instance} {kind}{task}"),
                values: columns(row, blank),
            });
        }
    }
    items
}

/// The events of an instance without what timing decides.
fn fold<'r>(rows: &[&'r Row]) -> Vec<&'r Row> {
    let mut episodes: Vec<Vec<&Row>> = vec![Vec::new()];
    let mut out = Vec::new();
    for row in rows {
        if kind(row) == "sentinel" {
            out.push(*row);
            continue;
        }
        if let Some(episode) = episodes.last_mut() {
            episode.push(row);
        }
        if kind(row) == "OrchestratorCompleted" {
            episodes.push(Vec::new());
        }
    }
    episodes.retain(|episode| !episode.is_empty());
    let last = episodes.len().saturating_sub(1);
    let mut carried: Vec<&Row> = Vec::new();
    for (index, mut episode) in episodes.into_iter().enumerate() {
        if !carried.is_empty() {
            episode.retain(|row| kind(row) != "OrchestratorStarted");
            carried.append(&mut episode);
            episode = std::mem::take(&mut carried);
        }
        let is_whole = episode
            .last()
            .is_some_and(|row| kind(row) == "OrchestratorCompleted");
        let decides = episode.iter().any(|row| DECISIONS.contains(&kind(row)));
        if is_whole && !decides && index < last {
            episode.pop();
            carried = episode;
        } else {
            out.extend(with_sorted_answers(episode));
        }
    }
    out
}

fn with_sorted_answers(episode: Vec<&Row>) -> Vec<&Row> {
    let is_answer = |row: &&Row| ANSWERS.contains(&kind(row));
    let mut answers: Vec<&Row> = episode
        .iter()
        .copied()
        .filter(|row| is_answer(row))
        .collect();
    answers.sort_by_key(|row| row_answered(row));
    let mut answers = answers.into_iter();
    let place = |row| {
        if is_answer(&row) {
            answers.next().unwrap_or(row)
        } else {
            row
        }
    };
    episode.into_iter().map(place).collect()
}

/// Takes out what differs from run to run.
struct Blank {
    ids: HashMap<String, usize>,
    plain: Vec<(Regex, &'static str)>,
    id: Regex,
}

impl Blank {
    fn new(hub: &str) -> Self {
        let plain = [
            (format!("(?i){hub}"), "<hub>"),
            (
                r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z".to_owned(),
                "<time>",
            ),
            (
                r"[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}".to_owned(),
                "<guid>",
            ),
            (
                r#""StackTrace":("(?:[^"\\]|\\.)*"|null)"#.to_owned(),
                r#""StackTrace":<trace>"#,
            ),
            (r"127\.0\.0\.1:\d+".to_owned(), "<host>"),
            (
                r#""Details":"(?:[^"\\]|\\.)*""#.to_owned(),
                r#""Details":<details>"#,
            ),
            (r"/message-[0-9a-f]{32}-".to_owned(), "/message-<random>-"),
            (
                r"-[0-9A-F]{8}-(\w+)\.json\.gz".to_owned(),
                "-<random>-$1.json.gz",
            ),
            (
                r#""SequenceNumber":\d+,"Episode""#.to_owned(),
                r#""SequenceNumber":<n>,"Episode""#,
            ),
            (
                r#""SequenceNumber":\d+,"Sender""#.to_owned(),
                r#""SequenceNumber":<n>,"Sender""#,
            ),
        ];
        Self {
            ids: HashMap::new(),
            plain: plain
                .into_iter()
                .map(|(pattern, blank)| (Regex::new(&pattern).unwrap(), blank))
                .collect(),
            id: Regex::new(r"\b[0-9a-f]{32}\b").unwrap(),
        }
    }

    fn text(&mut self, text: &str) -> String {
        let mut text = text.to_owned();
        for (pattern, blank) in &self.plain {
            text = pattern.replace_all(&text, *blank).into_owned();
        }
        let ids = &mut self.ids;
        let number = |found: &Captures<'_>| {
            let next = ids.len() + 1;
            format!("<id {}>", ids.entry(found[0].to_owned()).or_insert(next))
        };
        self.id.replace_all(&text, number).into_owned()
    }

    /// The text of a member or column of that name.
    fn member(&mut self, name: &str, text: &str) -> String {
        if name.ends_with("Details")
            && !name.ends_with("FailureDetails")
            && let Some(messages) = exception_messages(text)
        {
            return messages;
        }
        self.text(text)
    }
}

/// The messages of a serialised exception and its causes.
fn exception_messages(text: &str) -> Option<String> {
    let mut exception: &Json = &serde_json::from_str(text).ok()?;
    let mut messages = Vec::new();
    while let Some(message) = exception["Message"].as_str() {
        messages.push(message.to_owned());
        exception = &exception["InnerException"];
    }
    (!messages.is_empty()).then(|| format!("<exception: {}>", messages.join(" < ")))
}
