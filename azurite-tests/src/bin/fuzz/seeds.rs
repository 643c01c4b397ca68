//! Inputs to begin with: the recordings.

use std::collections::BTreeMap;

use durabletask_azurestorage::wire::{fuzz, history_json, history_row, message};

use crate::golden;

/// Queue messages as JSON: inside Base64, mutations would only spoil the Base64.
pub(crate) fn messages() -> Vec<Vec<u8>> {
    let requests = golden::scenarios()
        .into_iter()
        .flat_map(|name| golden::requests(&name));
    let texts = requests.flat_map(|request| request.message_texts());
    distinct(texts.map(|text| {
        let json = message::from_queue_text(&text).unwrap();
        json.into_owned().into_bytes()
    }))
}

/// Rows of the tables whose names end so.
pub(crate) fn rows(suffix: &str) -> Vec<Vec<u8>> {
    let hubs = golden::hubs().into_iter().map(|name| golden::hub(&name));
    let tables = hubs.flat_map(|hub| hub.tables);
    let rows = tables
        .filter(|(name, _)| name.ends_with(suffix))
        .flat_map(|(_, rows)| rows);
    distinct(rows.map(|row| fuzz::row_text(&row).into_bytes()))
}

/// Partition keys and blob names.
pub(crate) fn names() -> Vec<Vec<u8>> {
    let hubs = golden::hubs().into_iter().map(|name| golden::hub(&name));
    let names = hubs.flat_map(|hub| {
        let keys = hub
            .tables
            .into_values()
            .flatten()
            .map(|row| row.partition_key);
        keys.chain(hub.blobs.into_keys()).collect::<Vec<_>>()
    });
    distinct(names.map(String::into_bytes))
}

/// Histories as they are exported.
pub(crate) fn histories() -> Vec<Vec<u8>> {
    let mut histories = Vec::new();
    for name in golden::hubs() {
        let mut instances: BTreeMap<String, Vec<_>> = BTreeMap::new();
        let tables = golden::hub(&name).tables.into_iter();
        let rows = tables.filter(|(name, _)| name.ends_with("History"));
        for row in rows.flat_map(|(_, rows)| rows) {
            if !history_row::is_sentinel(&row) {
                let event = history_row::row_to_event(&row).unwrap();
                instances.entry(row.partition_key).or_default().push(event);
            }
        }
        histories.extend(
            instances
                .values()
                .map(|events| history_json(events).into_bytes()),
        );
    }
    distinct(histories)
}

fn distinct(inputs: impl IntoIterator<Item = Vec<u8>>) -> Vec<Vec<u8>> {
    let mut inputs: Vec<_> = inputs.into_iter().collect();
    inputs.sort_unstable();
    inputs.dedup();
    inputs
}
