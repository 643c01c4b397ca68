//! Rows as members that can be compared: columns, and what is inside of JSON objects.

use std::collections::BTreeMap;

use durabletask_azurestorage::wire::history_row;
use durabletask_azurestorage::wire::message::MessageData;
use durabletask_storage::{Row, Value};
use serde_json::Value as Json;

use crate::recorded::Recorded;

/// Where a row or message stands: scenario, and event type or `Instance`.
pub(crate) struct Place {
    pub(crate) scenario: String,
    pub(crate) kind: String,
    /// Which row or message it is, for complaints only.
    pub(crate) row: String,
}

impl Place {
    pub(crate) fn event(recorded: &Recorded, row: &Row) -> Self {
        Self::new(recorded, row, row.get_str("EventType").unwrap())
    }

    pub(crate) fn instance(recorded: &Recorded, row: &Row) -> Self {
        Self::new(recorded, row, "Instance")
    }

    pub(crate) fn message(recorded: &Recorded, data: &MessageData) -> Self {
        let event = &data.message.event;
        Self {
            scenario: recorded.scenario.clone(),
            kind: event.event_type().name().to_owned(),
            row: format!("message to {}", data.message.target.instance_id),
        }
    }

    fn new(recorded: &Recorded, row: &Row, kind: &str) -> Self {
        Self {
            scenario: recorded.scenario.clone(),
            kind: kind.to_owned(),
            row: format!("{} {}", row.partition_key, row.row_key),
        }
    }
}

/// Execution ids of children that were started twice, by .NET then and by us now.
pub(crate) struct Executions {
    theirs: String,
    ours: String,
}

impl Executions {
    pub(crate) fn new(ours: &[Row], theirs: &[Row]) -> Self {
        let id = |rows: &[Row]| history_row::execution_id(&rows[0]).unwrap().to_owned();
        Self {
            theirs: id(theirs),
            ours: id(ours),
        }
    }

    /// The text with what .NET drew.
    pub(crate) fn known(&self, text: &str) -> String {
        text.replace(&self.ours, &self.theirs)
    }

    /// The members of a row of ours.
    pub(crate) fn ours(&self, row: &Row) -> BTreeMap<String, String> {
        let members = members(row).into_iter();
        members
            .map(|(name, value)| (name, self.known(&value)))
            .collect()
    }
}

/// The members of a message, those of its event named as in rows; JSON in texts by its members,
/// nulls left out. Times and what numbers messages differ.
pub(crate) fn message_members(json: &str) -> BTreeMap<String, String> {
    let mut members = BTreeMap::new();
    unfold("", &serde_json::from_str(json).unwrap(), &mut members);
    let of_a_moment = ["ActivityId", "SequenceNumber", "Timestamp", "FireAt"];
    members.retain(|name, _| !of_a_moment.iter().any(|last| name.ends_with(last)));
    let named = members.into_iter().map(|(name, value)| {
        let of_event = name.strip_prefix(".TaskMessage.Event.");
        (of_event.unwrap_or(&name).to_owned(), value)
    });
    named.collect()
}

fn unfold(name: &str, json: &Json, members: &mut BTreeMap<String, String>) {
    match json {
        Json::Null => {}
        Json::Object(object) if !object.is_empty() => {
            for (member, value) in object {
                unfold(&format!("{name}.{member}"), value, members);
            }
        }
        Json::Array(items) if !items.is_empty() => {
            for (at, item) in items.iter().enumerate() {
                unfold(&format!("{name}.{at}"), item, members);
            }
        }
        _ if name.contains(".StackTrace") => {}
        Json::String(text) => match serde_json::from_str(text) {
            Ok(Json::String(_)) | Err(_) => drop(members.insert(name.to_owned(), text.clone())),
            Ok(inner) => unfold(name, &inner, members),
        },
        other => drop(members.insert(name.to_owned(), other.to_string())),
    }
}

/// The columns of a row, with their types; those that hold JSON by its members. Times are only
/// known to be times: they differ, and so do stack traces.
pub(crate) fn members(row: &Row) -> BTreeMap<String, String> {
    let mut members = BTreeMap::new();
    for (name, value) in &row.columns {
        match value {
            Value::DateTime(_) => drop(members.insert(name.clone(), "a time".to_owned())),
            Value::String(text) => match serde_json::from_str(text) {
                Ok(json @ (Json::Object(_) | Json::Array(_))) => unfold(name, &json, &mut members),
                _ => drop(members.insert(name.clone(), text.clone())),
            },
            other => drop(members.insert(name.clone(), format!("{other:?}"))),
        }
    }
    members
}
