//! Fuzz targets: plain functions that must return whatever they are fed. What can be read must
//! survive being written and read again; a panic says that it did not.

use durabletask_storage::{Row, Value};

use super::instance_row::InstanceRow;
use super::{filter, history_row, large, message, names};

/// A queue message's text: decode, encode, decode again.
pub fn fuzz_message(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let Ok(json) = message::from_queue_text(&text) else {
        return;
    };
    let Ok(first) = message::decode(&json) else {
        return;
    };
    let encoded = match &first {
        message::Decoded::Message(data) => message::encode(data),
        message::Decoded::InBlob { blob_name } => message::encode_wrapper(blob_name),
    };
    let second = message::decode(&encoded);
    assert!(
        second.as_ref() == Ok(&first),
        "a message changed on its way"
    );
    let _ = large::gunzip_limited(data, 1 << 20);
}

/// A history row, columns as in [`row_from`]: read, write, read again.
pub fn fuzz_history_row(data: &[u8]) {
    let row = row_from(data);
    let _ = history_row::row_to_sentinel(&row);
    let Ok(first) = history_row::row_to_event(&row) else {
        return;
    };
    let written = history_row::event_to_row(&first, &row.partition_key, 0, "");
    let second = history_row::row_to_event(&written);
    assert!(second.as_ref() == Ok(&first), "an event changed in its row");
    let mut moved = written;
    large::move_large_values(&mut moved, || 0);
    large::moved_columns(&moved);
    large::size_estimate(&moved);
    large::body_size(&moved);
}

/// An Instances row, columns as in [`row_from`]: read, write, read again.
pub fn fuzz_instance_row(data: &[u8]) {
    let Ok(first) = InstanceRow::from_row(&row_from(data)) else {
        return;
    };
    let second = InstanceRow::from_row(&first.to_row());
    assert!(
        second.as_ref() == Ok(&first),
        "an instance changed in its row"
    );
}

/// Keys, tokens, filters and URLs from any text.
pub fn fuzz_names(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let key = names::escape_key(&text);
    assert!(
        names::unescape_key(&key).as_deref() == Ok(&*text),
        "an id changed in its key"
    );
    let _ = names::unescape_key(&text);
    names::sequence_of(&text);
    let store = large::LargeStore::new("http://account/container");
    store.blob_of_url(&text);
    if let Some(token) = filter::parse_continuation_token(&text) {
        filter::continuation_token(&token);
    }
    filter::InstanceQuery {
        prefix: text.into_owned(),
        ..filter::InstanceQuery::default()
    }
    .to_query();
}

/// Makes a row of any bytes: lines of `Column=value`, or `Column:T=value` with a type letter `i`
/// (Int32), `l` (Int64), `b` (Boolean), `d` (`DateTime`); a value that does not parse stays a string.
/// The first line is the partition key.
pub fn row_from(data: &[u8]) -> Row {
    let text = String::from_utf8_lossy(data);
    let mut lines = text.split('\n');
    let mut row = Row::new(lines.next().unwrap_or_default(), "");
    for line in lines {
        let (name, value) = line.split_once('=').unwrap_or((line, ""));
        let (name, letter) = name.split_once(':').unwrap_or((name, ""));
        let typed = match letter {
            "i" => value.parse().ok().map(Value::Int32),
            "l" => value.parse().ok().map(Value::Int64),
            "b" => value.parse().ok().map(Value::Bool),
            "d" => value.parse().ok().map(Value::DateTime),
            _ => None,
        };
        row.set(name, typed.unwrap_or_else(|| Value::from(value)));
    }
    row
}

/// The reverse of [`row_from`], to make seeds of recorded rows. Values with line feeds do not
/// survive.
pub fn row_text(row: &Row) -> String {
    let mut text = row.partition_key.clone();
    for (name, value) in &row.columns {
        let (letter, value) = match value {
            Value::Int32(number) => (":i", number.to_string()),
            Value::Int64(number) => (":l", number.to_string()),
            Value::Bool(flag) => (":b", flag.to_string()),
            Value::DateTime(stamp) => (":d", stamp.to_string()),
            Value::String(text) => ("", text.clone()),
            _ => continue,
        };
        text.extend(["\n", name, letter, "=", &value]);
    }
    text
}
