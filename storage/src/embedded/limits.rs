//! What the services refuse, besides [`crate::limits`].

use super::failure::{Failure, Result};
use crate::{
    MAX_MESSAGE_BYTES, MAX_MESSAGES_PER_GET, MAX_TRANSACTION_BYTES, MAX_VISIBILITY_SECONDS, Value,
    Write,
};

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
    let Some(row) = write.row() else {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_estimate_is_not_below_the_escaped_text() {
        let text = "a\"b\\c\u{1}\n世界";
        assert_eq!(
            json_text_bytes(text),
            serde_json::to_string(text).unwrap().len()
        );
    }
}
