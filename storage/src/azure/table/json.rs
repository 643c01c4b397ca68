//! Rows as `OData` JSON.

use std::io::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::ser::{Formatter, Serializer};
use serde_json::{Map, Value as Json};
use uuid::Uuid;

use crate::table::{ETag, Row, Value};

const TYPE_SUFFIX: &str = "@odata.type";

/// Writes a row. Types that JSON does not tell are annotated, whole doubles included.
pub(super) fn write_row(row: &Row) -> Vec<u8> {
    let mut out = Vec::with_capacity(256);
    out.extend_from_slice(b"{\"PartitionKey\":");
    write_text(&mut out, &row.partition_key);
    out.extend_from_slice(b",\"RowKey\":");
    write_text(&mut out, &row.row_key);
    for (name, value) in &row.columns {
        out.push(b',');
        write_column(&mut out, name, value);
    }
    out.push(b'}');
    out
}

fn write_column(out: &mut Vec<u8>, name: &str, value: &Value) {
    if !matches!(value, Value::String(_) | Value::Int32(_) | Value::Bool(_)) {
        write_text(out, &format!("{name}{TYPE_SUFFIX}"));
        // Writing to a Vec cannot fail, here and below.
        let _ = write!(out, ":\"Edm.{}\",", value.edm_type());
    }
    write_text(out, name);
    out.push(b':');
    let _ = match value {
        Value::String(text) => {
            write_text(out, text);
            Ok(())
        }
        Value::Int32(number) => write!(out, "{number}"),
        Value::Int64(number) => write!(out, "\"{number}\""),
        Value::Double(number) if number.is_nan() => write!(out, "\"NaN\""),
        Value::Double(number) if number.is_infinite() => {
            let sign = if *number < 0.0 { "-" } else { "" };
            write!(out, "\"{sign}Infinity\"")
        }
        // Debug keeps a fraction ("3.0") and uses exponents that JSON has too.
        Value::Double(number) => write!(out, "{number:?}"),
        Value::Bool(flag) => write!(out, "{flag}"),
        Value::DateTime(stamp) => write!(out, "\"{stamp}\""),
        Value::Guid(id) => write!(out, "\"{id}\""),
        Value::Binary(bytes) => write!(out, "\"{}\"", STANDARD.encode(bytes)),
    };
}

fn write_text(out: &mut Vec<u8>, text: &str) {
    // A string always has a JSON form, and writing to a Vec cannot fail.
    let _ = text.serialize(&mut Serializer::with_formatter(out, OneLine));
}

/// Unicode's line separators, raw in a body, are ends of lines to Azurite, which answers a
/// transaction with status 500 for them; escaped they are the same text.
const LINE_SEPARATORS: [char; 2] = ['\u{2028}', '\u{2029}'];

/// Writes text without anything that could be taken for the end of a line.
struct OneLine;

impl Formatter for OneLine {
    fn write_string_fragment<W>(&mut self, out: &mut W, fragment: &str) -> std::io::Result<()>
    where
        W: Write + ?Sized,
    {
        for part in fragment.split_inclusive(LINE_SEPARATORS) {
            let text = part.trim_end_matches(LINE_SEPARATORS);
            out.write_all(text.as_bytes())?;
            for separator in part[text.len()..].chars() {
                write!(out, "\\u{:04x}", u32::from(separator))?;
            }
        }
        Ok(())
    }
}

#[derive(Deserialize)]
struct Rows {
    value: Vec<Map<String, Json>>,
}

/// Reads the answer to a query.
pub(super) fn read_rows(body: &[u8]) -> Result<Vec<Row>, serde_json::Error> {
    let rows: Rows = serde_json::from_slice(body)?;
    Ok(rows.value.into_iter().map(row).collect())
}

/// Reads the answer to a point read.
pub(super) fn read_row(body: &[u8]) -> Result<Row, serde_json::Error> {
    serde_json::from_slice(body).map(row)
}

/// Tolerant: nulls are missing columns, annotations that do not fit their values are ignored.
fn row(members: Map<String, Json>) -> Row {
    let types: Vec<(String, String)> = members
        .iter()
        .filter_map(|(name, value)| {
            let column = name.strip_suffix(TYPE_SUFFIX)?;
            Some((column.to_owned(), value.as_str()?.to_owned()))
        })
        .collect();
    let mut row = Row::default();
    for (name, value) in members {
        if name == "odata.etag" {
            row.etag = value.as_str().map(|etag| ETag(etag.to_owned()));
        } else if name.starts_with("odata.") || name.contains("@odata.") {
            // Metadata.
        } else if name == "Timestamp" {
            row.written = value.as_str().and_then(|text| text.parse().ok());
        } else if name == "PartitionKey" {
            row.partition_key = text(value);
        } else if name == "RowKey" {
            row.row_key = text(value);
        } else {
            let annotated = types
                .iter()
                .find(|(column, _)| *column == name)
                .map(|(_, edm)| edm.as_str());
            if let Some(value) = column(value, annotated) {
                row.columns.insert(name, value);
            }
        }
    }
    row
}

fn text(value: Json) -> String {
    match value {
        Json::String(text) => text,
        _ => String::new(),
    }
}

fn column(value: Json, annotated: Option<&str>) -> Option<Value> {
    match value {
        Json::Null => None,
        Json::Bool(flag) => Some(Value::Bool(flag)),
        Json::Number(number) => Some(match number.as_i64() {
            _ if annotated == Some("Edm.Double") => Value::Double(number.as_f64()?),
            Some(whole) if annotated == Some("Edm.Int64") => Value::Int64(whole),
            Some(whole) => match i32::try_from(whole) {
                Ok(small) => Value::Int32(small),
                Err(_) => Value::Int64(whole),
            },
            None => Value::Double(number.as_f64()?),
        }),
        Json::String(text) => Some(
            annotated
                .and_then(|edm| typed(&text, edm))
                .unwrap_or(Value::String(text)),
        ),
        // Neither exists in the protocol; kept as text rather than lost.
        other => Some(Value::String(other.to_string())),
    }
}

/// The value of a text that is annotated; `None` if it is a string or does not fit.
fn typed(text: &str, edm: &str) -> Option<Value> {
    match edm {
        "Edm.DateTime" => text.parse().ok().map(Value::DateTime),
        "Edm.Int64" => text.parse().ok().map(Value::Int64),
        "Edm.Guid" => Uuid::parse_str(text).ok().map(Value::Guid),
        "Edm.Binary" => STANDARD
            .decode(text)
            .ok()
            .map(|bytes| Value::Binary(bytes.into())),
        "Edm.Double" => match text {
            "NaN" => Some(Value::Double(f64::NAN)),
            "Infinity" | "INF" => Some(Value::Double(f64::INFINITY)),
            "-Infinity" | "-INF" => Some(Value::Double(f64::NEG_INFINITY)),
            number => number.parse().ok().map(Value::Double),
        },
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Row {
        let mut row = Row::new("p", "r");
        row.set("Text", "\u{0}\u{1f}\"\\/é世🎉\u{2028}\r\n");
        row.set("Empty", "");
        row.set("Small", -7);
        row.set("Flag", true);
        row.set("Big", Value::Int64(i64::MIN));
        row.set("Whole", Value::Double(3.0));
        row.set("Tiny", Value::Double(1e-300));
        row.set("Endless", Value::Double(f64::NEG_INFINITY));
        row.set("Id", Value::Guid(Uuid::from_u128(7)));
        row.set("Bytes", Value::Binary(vec![0, 255, 7].into()));
        let stamp = "2026-11-21T12:30:48.4040046Z".parse().unwrap();
        row.set("When", Value::DateTime(stamp));
        row
    }

    #[test]
    fn every_type_survives() {
        let row = sample();
        assert_eq!(read_row(&write_row(&row)).unwrap(), row);
    }

    #[test]
    fn bodies_are_one_line() {
        let mut row = Row::new("p", "");
        row.set("A", "\u{2028}a\u{2028}\u{2029}\nb");
        let body = String::from_utf8(write_row(&row)).unwrap();
        assert!(body.contains(r#""\u2028a\u2028\u2029\nb""#), "{body}");
        assert_eq!(read_row(body.as_bytes()).unwrap(), row);
    }

    #[test]
    fn the_json_is_what_the_service_wants() {
        // covers: C03-2
        let mut row = Row::new("p", "");
        row.set("A", Value::Double(3.0));
        row.set("B", Value::Int64(5));
        row.set(
            "C",
            Value::DateTime("2026-11-21T12:30:48Z".parse().unwrap()),
        );
        row.set("D", 1);
        assert_eq!(
            String::from_utf8(write_row(&row)).unwrap(),
            r#"{"PartitionKey":"p","RowKey":"","A@odata.type":"Edm.Double","A":3.0,"B@odata.type":"Edm.Int64","B":"5","C@odata.type":"Edm.DateTime","C":"2026-11-21T12:30:48.0000000Z","D":1}"#
        );
    }

    #[test]
    fn pages_are_read_with_etags_and_without_nulls() {
        let body = r#"{"odata.metadata":"http://h/$metadata#T","value":[
            {"odata.etag":"W/\"datetime'2026-11-21T08%3A51%3A12.21463Z'\"","PartitionKey":"p","RowKey":"","Timestamp":"2026-11-21T08:51:12.21463Z",
             "When":"2026-11-21T08:51:12Z","When@odata.type":"Edm.DateTime","Odd@odata.type":"Edm.DateTime","Odd":"xyz","Gone":null,"N":3,"D":3.5,"Text":"2026-11-21T08:51:12Z"},
            {"odata.etag":"W/\"2\"","PartitionKey":"p","RowKey":"r"}]}"#;
        let rows = read_rows(body.as_bytes()).unwrap();
        assert_eq!(rows.len(), 2);
        let first = &rows[0];
        assert_eq!(
            first.etag,
            Some(ETag(
                "W/\"datetime'2026-11-21T08%3A51%3A12.21463Z'\"".into()
            ))
        );
        assert_eq!(
            first.written.unwrap().to_string(),
            "2026-11-21T08:51:12.2146300Z"
        );
        assert!(matches!(first.get("When"), Some(Value::DateTime(_))));
        assert_eq!(first.get_str("Odd"), Some("xyz"));
        assert_eq!(first.get_str("Text"), Some("2026-11-21T08:51:12Z"));
        assert_eq!(first.get("Gone"), None);
        assert_eq!(first.get("N"), Some(&Value::Int32(3)));
        assert_eq!(first.get("D"), Some(&Value::Double(3.5)));
        assert!(read_rows(b"{}").is_err());
        assert!(read_rows(b"<html>").is_err());
    }
}
