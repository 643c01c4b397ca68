//! Typed columns: exact when written, lenient when read (chapter 03 §1.4).

use durabletask_core::Timestamp;
use durabletask_storage::{Row, Value};

use super::WireError;
use super::json::{Reader, parse_flag, parse_int};

type Result<T> = std::result::Result<T, WireError>;

/// A string column.
pub(super) fn text(row: &Row, name: &'static str) -> Result<Option<String>> {
    match row.get(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(_) => Err(WireError::Corrupt(name)),
    }
}

/// An integer column of any numeric type or text.
pub(super) fn int(row: &Row, name: &'static str) -> Result<Option<i32>> {
    let number = match row.get(name) {
        None => return Ok(None),
        Some(Value::Int32(number)) => Some(i64::from(*number)),
        Some(Value::Int64(number)) => Some(*number),
        Some(Value::Double(number)) => parse_int(&number.to_string()),
        Some(Value::String(text)) => parse_int(text),
        Some(_) => None,
    };
    let number = number.and_then(|number| i32::try_from(number).ok());
    number.map(Some).ok_or(WireError::Corrupt(name))
}

/// A boolean column or a text; missing is false.
pub(super) fn flag(row: &Row, name: &'static str) -> Result<bool> {
    match row.get(name) {
        None => Ok(false),
        Some(Value::Bool(flag)) => Ok(*flag),
        Some(Value::String(text)) => parse_flag(text).ok_or(WireError::Corrupt(name)),
        Some(_) => Err(WireError::Corrupt(name)),
    }
}

/// A date column or a text.
pub(super) fn date(row: &Row, name: &'static str) -> Result<Option<Timestamp>> {
    match row.get(name) {
        None => Ok(None),
        Some(Value::DateTime(stamp)) => Ok(Some(*stamp)),
        Some(Value::String(text)) => {
            let stamp = text.parse().map_err(|_| WireError::Corrupt(name))?;
            Ok(Some(stamp))
        }
        Some(_) => Err(WireError::Corrupt(name)),
    }
}

/// A column with JSON text; missing, empty and the text `null` are `None`.
pub(super) fn object<T>(
    row: &Row,
    name: &'static str,
    read: impl FnOnce(&mut Reader<'_>) -> Result<Option<T>>,
) -> Result<Option<T>> {
    match row.get(name) {
        None => Ok(None),
        Some(Value::String(text)) if text.is_empty() => Ok(None),
        Some(Value::String(text)) => {
            let mut reader = Reader::new(text);
            let value = read(&mut reader)?;
            reader.end()?;
            Ok(value)
        }
        Some(_) => Err(WireError::Corrupt(name)),
    }
}
