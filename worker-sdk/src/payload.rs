//! JSON payloads: what .NET writes, and what any SDK may have written (chapter 04 §0, §9.8).

use std::any::TypeId;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use crate::{Failure, Result};

/// A payload that is not what the code expects. Retrying does not help.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PayloadError {
    #[error("{what} cannot be read as {expected}: {reason}")]
    Read {
        what: String,
        expected: &'static str,
        reason: String,
    },
    #[error("{what} cannot be written as JSON: {reason}")]
    Write { what: String, reason: String },
}

impl PayloadError {
    fn into_failure(self) -> Failure {
        Failure::from(self)
            .with_type("durabletask::PayloadError")
            .non_retriable()
    }
}

/// The JSON of `value`; `what` names it in the failure.
pub(crate) fn write<T: Serialize + ?Sized>(
    value: &T,
    what: impl FnOnce() -> String,
) -> Result<String> {
    serde_json::to_string(value).map_err(|error| {
        let what = what();
        let reason = error.to_string();
        PayloadError::Write { what, reason }.into_failure()
    })
}

/// The JSON of an activity's arguments: an array of one element.
pub(crate) fn write_argument<T: Serialize + ?Sized>(
    value: &T,
    what: impl FnOnce() -> String,
) -> Result<String> {
    write(&[value], what)
}

/// The value of a text that is not wrapped; a missing one is `null`.
pub(crate) fn read<T: DeserializeOwned + 'static>(
    text: Option<&str>,
    what: impl FnOnce() -> String,
) -> Result<T> {
    let text = effective::<T>(text);
    serde_json::from_str(text).map_err(|error| read_failure::<T>(&error, what))
}

/// The value of an activity's arguments: `[x]`, but also `x` alone, `[]` or nothing, as other
/// SDKs write them.
pub(crate) fn read_argument<T: DeserializeOwned + 'static>(
    text: Option<&str>,
    what: impl FnOnce() -> String,
) -> Result<T> {
    let text = effective::<T>(text);
    let inner = match serde_json::from_str::<Vec<&RawValue>>(text).as_deref() {
        Ok([]) => Some("null"),
        Ok([only]) => Some(only.get()),
        // Several elements are one tuple; anything else is bare.
        Ok(_) | Err(_) => None,
    };
    let Some(inner) = inner else {
        return serde_json::from_str(text).map_err(|error| read_failure::<T>(&error, what));
    };
    // A bare list with one element or none looks like wrapped arguments: try both.
    serde_json::from_str(inner)
        .or_else(|error| serde_json::from_str(text).map_err(|_| error))
        .map_err(|error| read_failure::<T>(&error, what))
}

/// A task without input or output does not care what the other side says.
fn effective<T: 'static>(text: Option<&str>) -> &str {
    match text {
        _ if TypeId::of::<T>() == TypeId::of::<()>() => "null",
        Some(text) if !text.trim().is_empty() => text,
        _ => "null",
    }
}

fn read_failure<T>(error: &serde_json::Error, what: impl FnOnce() -> String) -> Failure {
    let (what, reason) = (what(), error.to_string());
    let expected = std::any::type_name::<T>();
    PayloadError::Read {
        what,
        expected,
        reason,
    }
    .into_failure()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn argument<T: DeserializeOwned + 'static>(text: &str) -> T {
        read_argument(Some(text), || "input".to_owned()).unwrap()
    }

    #[test]
    fn arguments_are_read_however_they_are_wrapped() {
        assert_eq!(argument::<String>(r#"["a"]"#), "a");
        assert_eq!(argument::<String>(r#""a""#), "a");
        assert_eq!(argument::<Vec<i32>>("[[1,2]]"), [1, 2]);
        assert_eq!(argument::<Vec<i32>>("[1,2]"), [1, 2]);
        assert_eq!(argument::<Vec<i32>>("[1]"), [1]);
        assert_eq!(argument::<Vec<i32>>("[]"), Vec::<i32>::new());
        assert_eq!(argument::<Option<i32>>("[]"), None);
        assert_eq!(argument::<Option<i32>>(" "), None);
        assert_eq!(argument::<(i32, String)>(r#"[1,"b"]"#), (1, "b".to_owned()));
        argument::<()>("[null]");
        argument::<()>(r#"["ignored"]"#);
        assert_eq!(read_argument::<Option<i32>>(None, String::new), Ok(None));
    }

    #[test]
    fn arguments_are_written_as_arrays_and_units_as_null() {
        assert_eq!(write_argument("x", String::new).unwrap(), r#"["x"]"#);
        assert_eq!(write_argument(&(), String::new).unwrap(), "[null]");
        assert_eq!(write(&(), String::new).unwrap(), "null");
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        let failure = read::<i32>(Some("true"), || "the result of 'Add'".to_owned()).unwrap_err();
        assert!(failure.is_non_retriable());
        assert!(
            failure
                .message()
                .starts_with("the result of 'Add' cannot be read as i32: invalid type: boolean"),
            "{failure}"
        );
    }
}
