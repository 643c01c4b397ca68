//! JSON payloads: what .NET writes, and what any SDK may have written (chapter 04 §0, §9.8).

use std::any::TypeId;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
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
    #[error("{0}")]
    TooLarge(String),
}

impl PayloadError {
    fn into_failure(self) -> Failure {
        Failure::from(self)
            .with_type("durabletask::PayloadError")
            .non_retriable()
    }
}

/// The failure of a value that cannot be written.
pub(crate) fn unwritable(what: &str, error: &serde_json::Error) -> Failure {
    let (what, reason) = (what.to_owned(), error.to_string());
    PayloadError::Write { what, reason }.into_failure()
}

/// The failure of a payload that does not fit.
pub(crate) fn too_large(message: String) -> Failure {
    PayloadError::TooLarge(message).into_failure()
}

/// The JSON of `value`; `what` names it in the failure.
pub(crate) fn write<T: Serialize + ?Sized>(
    value: &T,
    what: impl FnOnce() -> String,
) -> Result<String> {
    serde_json::to_string(value).map_err(|error| unwritable(&what(), &error))
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
    parse(text).map_err(|error| read_failure::<T>(&error, what))
}

/// Parses JSON, without the types that in-process .NET functions write into every object
/// (chapter 04 §0): maps must not see them, and what is passed on must not name classes that its
/// reader lacks. A type of the user's that wants them gets them.
fn parse<T: DeserializeOwned>(text: &str) -> serde_json::Result<T> {
    if text.contains(r#""$type""#)
        && let Ok(mut value) = parse_text(text)
    {
        remove_types(&mut value);
        if let Ok(typed) = serde_json::from_value(value) {
            return Ok(typed);
        }
    }
    parse_text(text)
}

fn remove_types(value: &mut Value) {
    match value {
        Value::Object(members) => {
            members.shift_remove("$type");
            members.values_mut().for_each(remove_types);
        }
        Value::Array(items) => items.iter_mut().for_each(remove_types),
        _ => {}
    }
}

/// Parses JSON in which lone surrogates, which .NET and JavaScript strings may hold, are read as
/// U+FFFD.
fn parse_text<T: DeserializeOwned>(text: &str) -> serde_json::Result<T> {
    serde_json::from_str(text).or_else(|error| match without_lone_surrogates(text) {
        Some(mended) => serde_json::from_str(&mended).map_err(|_| error),
        None => Err(error),
    })
}

/// The text with escapes of lone surrogates replaced, or `None` if it has none.
fn without_lone_surrogates(text: &str) -> Option<String> {
    let unit_at = |at: usize| {
        let digits = text.get(at..at + 6)?.strip_prefix("\\u")?;
        u16::from_str_radix(digits, 16).ok()
    };
    let is_high = |unit: u16| (0xd800..0xdc00).contains(&unit);
    let is_low = |unit: u16| (0xdc00..0xe000).contains(&unit);
    let mut mended = String::new();
    let (mut copied, mut at) = (0, 0);
    while let Some(offset) = text.get(at..)?.find('\\') {
        at += offset;
        match unit_at(at) {
            Some(high) if is_high(high) && unit_at(at + 6).is_some_and(is_low) => at += 12,
            Some(unit) if is_high(unit) || is_low(unit) => {
                mended.push_str(text.get(copied..at)?);
                mended.push_str("\\ufffd");
                at += 6;
                copied = at;
            }
            Some(_) => at += 6,
            // Another escape, or the end of a text that is no JSON.
            None => at += 1 + text.get(at + 1..)?.chars().next().map_or(0, char::len_utf8),
        }
    }
    mended.push_str(text.get(copied..)?);
    (copied > 0).then_some(mended)
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
        return parse(text).map_err(|error| read_failure::<T>(&error, what));
    };
    // A bare list with one element or none looks like wrapped arguments: try both.
    parse(inner)
        .or_else(|error| parse(text).map_err(|_| error))
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
    use std::collections::BTreeMap;

    use serde::Deserialize;
    use serde_json::json;

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
    fn lone_surrogates_are_read_as_replacement_characters() {
        let text = |json: &str| read::<String>(Some(json), String::new);
        assert_eq!(text(r#""a\ud800b\udc00""#).unwrap(), "a\u{fffd}b\u{fffd}");
        assert_eq!(text(r#""\uD83D\uDE00\uD83D""#).unwrap(), "😀\u{fffd}");
        assert_eq!(text(r#""\ud800\ud83d\ude00""#).unwrap(), "\u{fffd}😀");
        // An escaped backslash before a `u` is none.
        assert_eq!(text(r#""\\ud800\ud800""#).unwrap(), "\\ud800\u{fffd}");
        assert_eq!(argument::<String>(r#"["\ud800"]"#), "\u{fffd}");
        for broken in [r#""\ud800"#, r#""\ud800\"#, r"\u", "\\é"] {
            assert!(text(broken).is_err(), "{broken}");
        }
    }

    #[derive(Deserialize, PartialEq, Debug)]
    #[serde(tag = "$type")]
    enum Tagged {
        One { n: i32 },
    }

    #[test]
    fn types_of_dotnet_are_left_out() {
        let text = r#"[{"$type":"Map, X","a":{"$type":"P, X","n":1},"b":{"n":2}}]"#;
        let map = argument::<BTreeMap<String, BTreeMap<String, i32>>>(text);
        assert_eq!(map["a"]["n"] + map["b"]["n"], 3);
        let value = argument::<Value>(text).to_string();
        assert_eq!(value, r#"{"a":{"n":1},"b":{"n":2}}"#);
        let (_, object) = argument::<(i32, Value)>(r#"[1,{"$type":"x"}]"#);
        assert_eq!(object, json!({}));
        // A type that wants them gets them.
        let tagged = argument::<Tagged>(r#"[{"$type":"One","n":1}]"#);
        assert_eq!(tagged, Tagged::One { n: 1 });
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
