//! Rows as members that can be compared: columns, and what is inside of JSON objects.

use std::collections::BTreeMap;

use durabletask_azurestorage::wire::history_row;
use durabletask_storage::{Row, Value};
use serde_json::Value as Json;

use crate::recorded::Recorded;

/// Where a row stands: scenario, and event type or `Instance`.
pub(crate) struct Place {
    pub(crate) scenario: String,
    pub(crate) kind: String,
    /// For complaints only.
    pub(crate) row: String,
}

impl Place {
    pub(crate) fn event(recorded: &Recorded, row: &Row) -> Self {
        Self::new(recorded, row, row.get_str("EventType").unwrap())
    }

    pub(crate) fn instance(recorded: &Recorded, row: &Row) -> Self {
        Self::new(recorded, row, "Instance")
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

    /// The members of a row of ours.
    pub(crate) fn ours(&self, row: &Row) -> BTreeMap<String, String> {
        let members = members(row).into_iter();
        let known = members.map(|(name, value)| (name, value.replace(&self.ours, &self.theirs)));
        known.collect()
    }
}

/// The columns of a row; those that hold JSON objects by their members. Times are only known to
/// be times: they differ, and so do stack traces.
pub(crate) fn members(row: &Row) -> BTreeMap<String, String> {
    let mut members = BTreeMap::new();
    for (name, value) in &row.columns {
        match value {
            Value::DateTime(_) => {
                members.insert(name.clone(), "a time".to_owned());
            }
            Value::String(text) => match serde_json::from_str(text) {
                Ok(json) => flatten(name, &json, &mut members),
                Err(_) => {
                    members.insert(name.clone(), text.clone());
                }
            },
            other => {
                members.insert(name.clone(), format!("{other:?}"));
            }
        }
    }
    members
}

fn flatten(name: &str, json: &Json, members: &mut BTreeMap<String, String>) {
    match json {
        Json::Object(object) if !object.is_empty() => {
            for (member, value) in object {
                flatten(&format!("{name}.{member}"), value, members);
            }
        }
        _ if name.contains(".StackTrace") => {}
        other => {
            members.insert(name.to_owned(), other.to_string());
        }
    }
}
