//! What the services refuse.

use durabletask_core::Timestamp;

use super::failure::{Failure, Result};
use crate::{
    MAX_MESSAGE_BYTES, MAX_MESSAGES_PER_GET, MAX_ROW_BYTES, MAX_STRING_UNITS,
    MAX_TRANSACTION_BYTES, MAX_VISIBILITY_SECONDS, Row, Value, Write,
};

/// UTF-16 code units a partition or row key may have.
const MAX_KEY_UNITS: usize = 1024;
/// Columns a row may have besides the three system ones.
const MAX_COLUMNS: usize = 252;
/// Characters a column's name may have.
const MAX_COLUMN_NAME_CHARS: usize = 255;
/// Bytes a binary column may have: 64 KiB.
const MAX_BINARY_BYTES: usize = 64 * 1024;
/// 1601-01-01T00:00:00Z in ticks, the first date a table takes.
const MIN_DATE_TICKS: i64 = 504_911_232_000_000_000;
/// Characters a blob name may have.
const MAX_BLOB_NAME_CHARS: usize = 1024;
/// Path segments a blob name may have.
const MAX_BLOB_SEGMENTS: usize = 254;
/// Bytes of a batch's JSON body that a write needs besides its row: part headers, request line.
const WRITE_OVERHEAD_BYTES: usize = 400;

/// Rules of queue and container names.
pub(super) fn resource_name(name: &str) -> Result<()> {
    let legal = (3..=63).contains(&name.len())
        && name
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        && !name.starts_with('-')
        && !name.ends_with('-')
        && !name.contains("--");
    if legal {
        Ok(())
    } else {
        Err(Failure::invalid(
            "InvalidResourceName",
            "a name has 3 to 63 lower-case letters, digits and single hyphens between them",
        ))
    }
}

pub(super) fn table_name(name: &str) -> Result<()> {
    let legal = (3..=63).contains(&name.len())
        && name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.bytes().all(|b| b.is_ascii_alphanumeric())
        && !name.eq_ignore_ascii_case("tables");
    if legal {
        Ok(())
    } else {
        Err(Failure::invalid(
            "InvalidResourceName",
            "a table name has 3 to 63 letters and digits, a letter first",
        ))
    }
}

pub(super) fn blob_name(name: &str) -> Result<()> {
    let legal = !name.trim().is_empty()
        && name.chars().count() <= MAX_BLOB_NAME_CHARS
        && name.split('/').count() <= MAX_BLOB_SEGMENTS;
    if legal {
        Ok(())
    } else {
        Err(Failure::invalid(
            "InvalidUri",
            "a blob name has 1 to 1024 characters in at most 254 segments",
        ))
    }
}

pub(super) fn message_text(text: &str) -> Result<()> {
    if text.len() > MAX_MESSAGE_BYTES {
        return Err(Failure::too_large(
            "RequestBodyTooLarge",
            format!("a text of {} bytes", text.len()),
        ));
    }
    let forbidden = |c: char| match c {
        '\t' | '\n' | '\r' => false,
        c => c < ' ' || c == '\u{fffe}' || c == '\u{ffff}',
    };
    match text.find(forbidden) {
        None => Ok(()),
        Some(position) => Err(Failure::invalid(
            "InvalidXmlDocument",
            format!("XML forbids the character at byte {position}"),
        )),
    }
}

pub(super) fn message_count(count: u32) -> Result<()> {
    if (1..=MAX_MESSAGES_PER_GET).contains(&count) {
        Ok(())
    } else {
        Err(Failure::invalid(
            "OutOfRangeQueryParameterValue",
            format!("{count} messages, 1 to {MAX_MESSAGES_PER_GET} are allowed"),
        ))
    }
}

pub(super) fn visibility(seconds: u32, min_seconds: u32) -> Result<()> {
    if (min_seconds..=MAX_VISIBILITY_SECONDS).contains(&seconds) {
        Ok(())
    } else {
        Err(Failure::invalid(
            "OutOfRangeQueryParameterValue",
            format!("{seconds} s, {min_seconds} to {MAX_VISIBILITY_SECONDS} s are allowed"),
        ))
    }
}

pub(super) fn key(key: &str) -> Result<()> {
    let forbidden = |c: char| matches!(c, '/' | '\\' | '#' | '?') || c.is_control();
    if key.contains(forbidden) {
        return Err(Failure::invalid(
            "OutOfRangeInput",
            "a key has none of / \\ # ? and no control characters",
        ));
    }
    if key.len() > MAX_KEY_UNITS && utf16_units(key) > MAX_KEY_UNITS {
        return Err(Failure::too_large(
            "KeyValueTooLarge",
            format!("a key of more than {MAX_KEY_UNITS} UTF-16 units"),
        ));
    }
    Ok(())
}

/// Everything about a row that can be told without knowing what is stored.
pub(super) fn row(row: &Row) -> Result<()> {
    for (name, value) in &row.columns {
        column_name(name)?;
        column_value(name, value)?;
    }
    row_size(row)
}

/// How many columns and bytes a row has.
pub(super) fn row_size(row: &Row) -> Result<()> {
    let columns = row.columns.len();
    if columns > MAX_COLUMNS {
        return Err(Failure::invalid(
            "TooManyProperties",
            format!("{columns} columns, {MAX_COLUMNS} are allowed"),
        ));
    }
    // A text has at least as many bytes as units: most rows need no counting.
    if row_bytes(row, str::len) <= MAX_ROW_BYTES {
        return Ok(());
    }
    match row_bytes(row, utf16_units) {
        0..=MAX_ROW_BYTES => Ok(()),
        bytes => Err(Failure::too_large(
            "EntityTooLarge",
            format!("a row of {bytes} bytes"),
        )),
    }
}

/// The service's own formula: two bytes per UTF-16 unit, and some for each column.
fn row_bytes(row: &Row, units: fn(&str) -> usize) -> usize {
    let keys = 4 + 2 * (units(&row.partition_key) + units(&row.row_key));
    row.columns.iter().fold(keys, |sum, (name, value)| {
        let size = match value {
            Value::String(text) => 4 + 2 * units(text),
            Value::Binary(bytes) => 4 + bytes.len(),
            Value::Int32(_) => 4,
            Value::Bool(_) => 1,
            Value::Int64(_) | Value::Double(_) | Value::DateTime(_) => 8,
            Value::Guid(_) => 16,
        };
        sum + 8 + 2 * units(name) + size
    })
}

fn column_name(name: &str) -> Result<()> {
    let mut chars = name.chars();
    let legal = chars.next().is_some_and(|c| c.is_alphabetic() || c == '_')
        && chars.all(|c| c.is_alphanumeric() || c == '_')
        && name.chars().count() <= MAX_COLUMN_NAME_CHARS
        && !["PartitionKey", "RowKey", "Timestamp"].contains(&name);
    if legal {
        Ok(())
    } else {
        Err(Failure::invalid(
            "PropertyNameInvalid",
            format!("no column can be called {name:?}"),
        ))
    }
}

fn column_value(name: &str, value: &Value) -> Result<()> {
    let too_large = |size: usize, unit: &str| {
        Failure::too_large(
            "PropertyValueTooLarge",
            format!("column {name} has {size} {unit}"),
        )
    };
    match value {
        Value::String(text)
            if text.len() > MAX_STRING_UNITS && utf16_units(text) > MAX_STRING_UNITS =>
        {
            Err(too_large(utf16_units(text), "UTF-16 units"))
        }
        Value::Binary(bytes) if bytes.len() > MAX_BINARY_BYTES => {
            Err(too_large(bytes.len(), "bytes"))
        }
        Value::DateTime(stamp) if *stamp < Timestamp::from_ticks(MIN_DATE_TICKS) => {
            Err(Failure::invalid(
                "OutOfRangeInput",
                format!("column {name} is before 1601-01-01"),
            ))
        }
        _ => Ok(()),
    }
}

/// The body of a transaction, about as large as it would be on its way to the service.
pub(super) fn transaction_size(writes: &[Write]) -> Result<()> {
    let sum = |text_bytes| -> usize {
        let bytes = writes.iter().map(|write| json_bytes(write, text_bytes));
        bytes.sum()
    };
    // No text takes more than six times its bytes: most transactions need no counting.
    if sum(|text| text.len() * 6 + 2) <= MAX_TRANSACTION_BYTES {
        return Ok(());
    }
    match sum(json_text_bytes) {
        0..=MAX_TRANSACTION_BYTES => Ok(()),
        bytes => Err(Failure::too_large(
            "ContentLengthExceeded",
            format!("about {bytes} bytes, {MAX_TRANSACTION_BYTES} are allowed"),
        )),
    }
}

/// About what the write takes in the JSON body of a transaction.
fn json_bytes(write: &Write, text_bytes: fn(&str) -> usize) -> usize {
    let keys = write.keys();
    // The keys are in the address, too.
    let keys = 2 * (text_bytes(keys.partition) + text_bytes(keys.row));
    let (Write::Insert(row)
    | Write::InsertOrReplace(row)
    | Write::InsertOrMerge(row)
    | Write::Replace(row, _)
    | Write::Merge(row, _)) = write
    else {
        return WRITE_OVERHEAD_BYTES + keys;
    };
    row.columns
        .iter()
        .fold(WRITE_OVERHEAD_BYTES + keys, |sum, (name, value)| {
            // "name":value, and where JSON has no such type "name@odata.type":"Edm.Type",
            let annotation = name.len() + 32;
            let size = match value {
                Value::String(text) => text_bytes(text),
                Value::Bool(_) => 5,
                Value::Int32(_) => 11,
                Value::Int64(_) | Value::Double(_) => annotation + 26,
                Value::DateTime(_) => annotation + 30,
                Value::Guid(_) => annotation + 38,
                Value::Binary(bytes) => annotation + bytes.len().div_ceil(3) * 4 + 2,
            };
            sum + name.len() + 4 + size
        })
}

/// A text in JSON with its quotes.
fn json_text_bytes(text: &str) -> usize {
    let escapes: usize = text
        .bytes()
        .map(|b| match b {
            b'"' | b'\\' | b'\n' | b'\r' | b'\t' => 1,
            0..0x20 => 5,
            _ => 0,
        })
        .sum();
    text.len() + escapes + 2
}

fn utf16_units(text: &str) -> usize {
    // Four bytes of UTF-8 are two units, anything shorter is one.
    text.bytes()
        .map(|b| usize::from(b & 0xC0 != 0x80) + usize::from(b >= 0xF0))
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_utf16_units() {
        for text in ["", "abc", "äß", "世界", "🦀x", "\u{ffff}\u{10000}"] {
            assert_eq!(utf16_units(text), text.encode_utf16().count(), "{text}");
        }
    }

    #[test]
    fn tables_start_in_1601() {
        let first: Timestamp = "1601-01-01T00:00:00Z".parse().unwrap();
        assert_eq!(first.ticks(), MIN_DATE_TICKS);
    }

    #[test]
    fn json_estimate_is_not_below_the_escaped_text() {
        let text = "a\"b\\c\u{1}\n世界";
        assert_eq!(
            json_text_bytes(text),
            serde_json::to_string(text).unwrap().len()
        );
    }
}
