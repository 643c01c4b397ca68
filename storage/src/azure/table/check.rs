//! What the service would refuse, refused before it is sent, with a better message. Azurite even
//! commits transactions across partitions.

use std::collections::HashSet;

use crate::error::{ErrorKind, Result, StorageError};
use crate::table::{
    Condition, MAX_ROW_BYTES, MAX_STRING_UNITS, MAX_TRANSACTION_BYTES, MAX_TRANSACTION_ROWS, Row,
    Value, Write,
};

/// 1601-01-01T00:00:00Z in ticks, the first date that a table takes.
const MIN_DATE_TICKS: i64 = 504_911_232_000_000_000;

/// Checks row count, partition, distinctness and the size of each row.
pub(super) fn transaction(operation: &'static str, table: &str, writes: &[Write]) -> Result<()> {
    if writes.is_empty() {
        return Err(error(ErrorKind::Invalid, operation, table)
            .with_detail("a transaction needs at least one write"));
    }
    if writes.len() > MAX_TRANSACTION_ROWS {
        return Err(
            error(ErrorKind::PayloadTooLarge, operation, table).with_detail(format!(
                "at most {MAX_TRANSACTION_ROWS} rows per transaction"
            )),
        );
    }
    let mut seen = HashSet::with_capacity(writes.len());
    let partition = writes.first().map(|write| write.keys().partition);
    for (index, write) in writes.iter().enumerate() {
        let keys = write.keys();
        if Some(keys.partition) != partition {
            return Err(error(ErrorKind::Invalid, operation, table)
                .with_failed_index(index)
                .with_detail("a transaction must stay within one partition"));
        }
        if !seen.insert(keys.row) {
            return Err(error(ErrorKind::Invalid, operation, table)
                .with_code("InvalidDuplicateRow")
                .with_failed_index(index)
                .with_detail("a transaction must not name a row twice"));
        }
        row(operation, table, write).map_err(|error| error.with_failed_index(index))?;
    }
    Ok(())
}

/// Checks the body of a transaction.
pub(super) fn transaction_size(operation: &'static str, table: &str, bytes: usize) -> Result<()> {
    if bytes <= MAX_TRANSACTION_BYTES {
        return Ok(());
    }
    Err(
        error(ErrorKind::PayloadTooLarge, operation, table).with_detail(format!(
            "the transaction has {bytes} bytes, {MAX_TRANSACTION_BYTES} are allowed"
        )),
    )
}

/// Checks keys, condition and sizes of one write.
pub(super) fn row(operation: &'static str, table: &str, write: &Write) -> Result<()> {
    let keys = write.keys();
    for (name, key) in [("PartitionKey", keys.partition), ("RowKey", keys.row)] {
        if key.chars().any(is_forbidden_in_key) {
            return Err(error(ErrorKind::Invalid, operation, table).with_detail(format!(
                "{name} has a character that keys must not have: / \\ # ? or a control character"
            )));
        }
    }
    let (row, condition) = match write {
        Write::Insert(row) | Write::InsertOrReplace(row) | Write::InsertOrMerge(row) => {
            (Some(row), None)
        }
        Write::Replace(row, condition) | Write::Merge(row, condition) => {
            (Some(row), Some(condition))
        }
        Write::Delete { condition, .. } => (None, Some(condition)),
    };
    // It goes into a header line of the transaction's body.
    if let Some(Condition::Matches(etag)) = condition
        && (etag.0.is_empty() || etag.0.chars().any(char::is_control))
    {
        return Err(error(ErrorKind::Invalid, operation, table)
            .with_detail("the ETag is empty or has a control character"));
    }
    row.map_or(Ok(()), |row| row_size(operation, table, row))
}

fn row_size(operation: &'static str, table: &str, row: &Row) -> Result<()> {
    let mut row_bytes = 2 * (units(&row.partition_key) + units(&row.row_key));
    for (name, value) in &row.columns {
        let value_bytes = match value {
            Value::String(text) => {
                let units = units(text);
                if units > MAX_STRING_UNITS {
                    return Err(too_large(operation, table).with_detail(format!(
                        "column {name} has {units} UTF-16 units, {MAX_STRING_UNITS} are allowed"
                    )));
                }
                2 * units
            }
            Value::Binary(bytes) => {
                if bytes.len() > 2 * MAX_STRING_UNITS {
                    return Err(too_large(operation, table).with_detail(format!(
                        "column {name} has {} bytes, {} are allowed",
                        bytes.len(),
                        2 * MAX_STRING_UNITS
                    )));
                }
                bytes.len()
            }
            Value::DateTime(stamp) if stamp.ticks() < MIN_DATE_TICKS => {
                return Err(error(ErrorKind::Invalid, operation, table)
                    .with_detail(format!("column {name} is before 1601-01-01")));
            }
            Value::Guid(_) => 16,
            Value::Int64(_) | Value::Double(_) | Value::DateTime(_) => 8,
            Value::Int32(_) => 4,
            Value::Bool(_) => 1,
        };
        row_bytes += 2 * units(name) + value_bytes;
    }
    if row_bytes <= MAX_ROW_BYTES {
        return Ok(());
    }
    Err(too_large(operation, table).with_detail(format!(
        "the row has about {row_bytes} bytes, {MAX_ROW_BYTES} are allowed"
    )))
}

fn units(text: &str) -> usize {
    if text.is_ascii() {
        text.len()
    } else {
        text.encode_utf16().count()
    }
}

fn is_forbidden_in_key(character: char) -> bool {
    matches!(character, '/' | '\\' | '#' | '?' | '\u{0}'..='\u{1f}' | '\u{7f}'..='\u{9f}')
}

fn too_large(operation: &'static str, table: &str) -> StorageError {
    error(ErrorKind::PayloadTooLarge, operation, table)
}

fn error(kind: ErrorKind, operation: &'static str, table: &str) -> StorageError {
    StorageError::new(kind, operation, table)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::ETag;

    fn insert(partition: &str, row: &str) -> Write {
        Write::Insert(Row::new(partition, row))
    }

    #[test]
    fn transactions_are_checked_before_they_are_sent() {
        let check = |writes: &[Write]| {
            transaction("transact", "t", writes)
                .map_err(|error| (error.kind(), error.failed_index()))
        };
        assert_eq!(check(&[insert("p", "a"), insert("p", "b")]), Ok(()));
        assert_eq!(
            check(&[insert("p", "a"), insert("q", "b")]),
            Err((ErrorKind::Invalid, Some(1)))
        );
        assert_eq!(
            check(&[insert("p", "a"), insert("p", "b"), insert("p", "a")]),
            Err((ErrorKind::Invalid, Some(2)))
        );
        let many: Vec<_> = (0..101).map(|n| insert("p", &n.to_string())).collect();
        assert_eq!(check(&many), Err((ErrorKind::PayloadTooLarge, None)));
        assert_eq!(check(&many[..100]), Ok(()));
        assert_eq!(
            check(&[insert("p/", "a")]),
            Err((ErrorKind::Invalid, Some(0)))
        );
        let injected = Write::Delete {
            partition_key: "p".into(),
            row_key: "r".into(),
            condition: Condition::Matches(ETag("x\r\nX-Evil: 1".into())),
        };
        assert_eq!(check(&[injected]), Err((ErrorKind::Invalid, Some(0))));
    }

    #[test]
    fn sizes_are_counted_as_the_service_counts() {
        let of = |text: String| {
            let mut wide = Row::new("p", "r");
            wide.set("Text", text);
            row("write", "t", &Write::Insert(wide)).map_err(|error| error.kind())
        };
        assert_eq!(of("x".repeat(MAX_STRING_UNITS)), Ok(()));
        assert_eq!(of("é".repeat(MAX_STRING_UNITS)), Ok(()));
        assert_eq!(
            of("🎉".repeat(MAX_STRING_UNITS / 2 + 1)),
            Err(ErrorKind::PayloadTooLarge)
        );
        let mut full = Row::new("p", "r");
        for n in 0..17 {
            full.set(format!("C{n}"), "x".repeat(MAX_STRING_UNITS));
        }
        let kind = row("write", "t", &Write::Insert(full)).map_err(|error| error.kind());
        assert_eq!(kind, Err(ErrorKind::PayloadTooLarge));
    }
}
