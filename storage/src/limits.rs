//! What the table service refuses, told before anything is sent or stored: the same sentences and
//! codes on every backend. Azurite lets some of it pass, even transactions across partitions.

use std::collections::HashSet;

use durabletask_core::Timestamp;

use crate::failure::{Failure, Result};
use crate::{MAX_ROW_BYTES, MAX_STRING_UNITS, MAX_TRANSACTION_ROWS, Row, Value, Write};

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

/// Count, partition and distinctness of the writes of a transaction, and each of them.
pub(crate) fn transaction(writes: &[Write]) -> Result<()> {
    let Some(first) = writes.first() else {
        return Err(Failure::invalid(
            "InvalidInput",
            "a transaction needs at least one write",
        ));
    };
    if writes.len() > MAX_TRANSACTION_ROWS {
        return Err(Failure::too_large(
            "InvalidInput",
            format!(
                "{} writes, {MAX_TRANSACTION_ROWS} are allowed",
                writes.len()
            ),
        ));
    }
    let mut row_keys = HashSet::with_capacity(writes.len());
    for (index, one) in writes.iter().enumerate() {
        let keys = one.keys();
        let checked = if keys.partition != first.keys().partition {
            Err(Failure::invalid(
                "CommandsInBatchActOnDifferentPartitions",
                "all writes of a transaction have one partition key",
            ))
        } else if row_keys.insert(keys.row) {
            write(one)
        } else {
            Err(Failure::invalid(
                "InvalidDuplicateRow",
                "a transaction writes a row once",
            ))
        };
        checked.map_err(|failure| failure.at(index))?;
    }
    Ok(())
}

/// Everything about a write that can be told without knowing what is stored.
pub(crate) fn write(write: &Write) -> Result<()> {
    let keys = write.keys();
    key(keys.partition)?;
    key(keys.row)?;
    write.row().map_or(Ok(()), row)
}

fn key(key: &str) -> Result<()> {
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

fn row(row: &Row) -> Result<()> {
    for (name, value) in &row.columns {
        column_name(name)?;
        column_value(name, value)?;
    }
    row_size(row)
}

/// How many columns and bytes a row has.
pub(crate) fn row_size(row: &Row) -> Result<()> {
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

fn utf16_units(text: &str) -> usize {
    // Four bytes of UTF-8 are two units, anything shorter is one.
    text.bytes()
        .map(|b| usize::from(b & 0xC0 != 0x80) + usize::from(b >= 0xF0))
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;

    fn insert(partition: &str, row: &str) -> Write {
        Write::Insert(Row::new(partition, row))
    }

    fn outcome(result: Result<()>) -> std::result::Result<(), (ErrorKind, Option<usize>)> {
        result.map_err(|failure| {
            let error = failure.into_error("transact", "t");
            (error.kind(), error.failed_index())
        })
    }

    #[test]
    fn transactions_keep_to_their_rules() {
        let check = |writes: &[Write]| outcome(transaction(writes));
        let invalid_at = |index| Err((ErrorKind::Invalid, index));
        assert_eq!(check(&[insert("p", "a"), insert("p", "b")]), Ok(()));
        assert_eq!(check(&[]), invalid_at(None));
        assert_eq!(
            check(&[insert("p", "a"), insert("q", "b")]),
            invalid_at(Some(1))
        );
        assert_eq!(
            check(&[insert("p", "a"), insert("p", "b"), insert("p", "a")]),
            invalid_at(Some(2))
        );
        let many: Vec<_> = (0..101).map(|n| insert("p", &n.to_string())).collect();
        assert_eq!(check(&many), Err((ErrorKind::PayloadTooLarge, None)));
        assert_eq!(check(&many[..100]), Ok(()));
        assert_eq!(check(&[insert("p/", "a")]), invalid_at(Some(0)));
    }

    #[test]
    fn sizes_are_counted_as_the_service_counts() {
        let of = |text: String| {
            let mut wide = Row::new("p", "r");
            wide.set("Text", text);
            outcome(write(&Write::Insert(wide)))
        };
        let too_large = Err((ErrorKind::PayloadTooLarge, None));
        assert_eq!(of("x".repeat(MAX_STRING_UNITS)), Ok(()));
        assert_eq!(of("é".repeat(MAX_STRING_UNITS)), Ok(()));
        assert_eq!(of("🎉".repeat(MAX_STRING_UNITS / 2 + 1)), too_large);
        let mut full = Row::new("p", "r");
        for n in 0..17 {
            full.set(format!("C{n}"), "x".repeat(MAX_STRING_UNITS));
        }
        assert_eq!(outcome(write(&Write::Insert(full))), too_large);
    }

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
}
