//! Reads the recordings in `provider/tests/golden`. Other crates of the workspace may include this
//! file by path.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::panic,
    reason = "shared by several test programs, which stop where they cannot go on"
)]

use std::collections::BTreeMap;
use std::io::Read as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use durabletask_core::Timestamp;
use durabletask_storage::{ETag, Row, Value};
use serde_json::Value as Json;

const DIRECTORY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../provider/tests/golden");

/// Names of all scenarios of which requests were recorded.
pub fn scenarios() -> Vec<String> {
    names(".jsonl.gz")
}

/// Names of all scenarios of which the final hub was kept.
pub fn hubs() -> Vec<String> {
    names(".hub.json.gz")
}

fn names(suffix: &str) -> Vec<String> {
    let mut names: Vec<_> = std::fs::read_dir(DIRECTORY)
        .unwrap()
        .filter_map(|entry| {
            let name = entry.unwrap().file_name().into_string().unwrap();
            name.strip_suffix(suffix).map(str::to_owned)
        })
        .collect();
    names.sort();
    names
}

fn unpacked(file: &str) -> String {
    let packed = std::fs::read(format!("{DIRECTORY}/{file}")).unwrap();
    let mut text = String::new();
    let mut decoder = flate2::read::GzDecoder::new(&*packed);
    decoder.read_to_string(&mut text).unwrap();
    text
}

/// One storage request and its answer.
#[derive(Debug, Clone)]
pub struct Request {
    /// `blob`, `queue` or `table`
    pub service: String,
    pub method: String,
    /// Without the account, percent-decoded, with its query.
    pub path: String,
    pub headers: BTreeMap<String, String>,
    pub body: Vec<u8>,
    pub status: u64,
    pub answer: Vec<u8>,
}

/// All requests of a scenario in the order in which they reached the emulator; marks left out.
pub fn requests(scenario: &str) -> Vec<Request> {
    let text = unpacked(&format!("{scenario}.jsonl.gz"));
    let lines = text.lines().map(|line| serde_json::from_str(line).unwrap());
    lines.filter_map(|line: Json| request(&line)).collect()
}

fn request(line: &Json) -> Option<Request> {
    let text = |name: &str| line[name].as_str().map(str::to_owned);
    let headers = line["headers"].as_object()?.iter();
    Some(Request {
        service: text("service")?,
        method: text("method")?,
        path: text("path")?,
        headers: headers
            .map(|(name, value)| (name.clone(), value.as_str().unwrap_or_default().to_owned()))
            .collect(),
        body: bytes(&line["body"]),
        status: line["status"].as_u64()?,
        answer: bytes(&line["answer"]),
    })
}

fn bytes(content: &Json) -> Vec<u8> {
    match (content.as_str(), content["base64"].as_str()) {
        (Some(text), _) => text.as_bytes().to_vec(),
        (None, Some(base64)) => STANDARD.decode(base64).unwrap(),
        (None, None) => Vec::new(),
    }
}

/// A write of one row, alone or in a transaction.
#[derive(Debug, Clone)]
pub struct RowWrite {
    pub method: String,
    pub table: String,
    pub if_match: Option<String>,
    /// The columns of the body; without body only the keys.
    pub row: Row,
}

impl Request {
    /// Queue message texts in the body or the answer, XML escapes resolved.
    pub fn message_texts(&self) -> Vec<String> {
        if self.service != "queue" {
            return Vec::new();
        }
        let parts = [&self.body, &self.answer];
        let xml = parts.map(|part| String::from_utf8_lossy(part).into_owned());
        xml.iter().flat_map(|xml| message_texts(xml)).collect()
    }

    /// The rows that the request writes, if it is a single write or a transaction.
    pub fn row_writes(&self) -> Vec<RowWrite> {
        if self.service != "table" || self.method == "GET" || self.path.starts_with("/Tables") {
            return Vec::new();
        }
        let body = std::str::from_utf8(&self.body).unwrap();
        if !self.path.starts_with("/$batch") {
            let if_match = self.headers.get("if-match").cloned();
            return vec![row_write(&self.method, &self.path, if_match, body)];
        }
        let parts = body
            .split("Content-Transfer-Encoding: binary\r\n\r\n")
            .skip(1);
        parts.map(batch_operation).collect()
    }

    /// The table and the rows that a query answered.
    pub fn queried_rows(&self) -> (String, Vec<Row>) {
        let is_query = self.service == "table" && self.method == "GET" && self.status == 200;
        let answer = serde_json::from_slice(&self.answer).unwrap_or(Json::Null);
        match answer["value"].as_array() {
            Some(rows) if is_query => (table_of(&self.path), rows.iter().map(odata_row).collect()),
            _ => Default::default(),
        }
    }

    /// The value of a query parameter; names with their `$`.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        let (_, query) = self.path.split_once('?')?;
        let start = query.find(&format!("{name}="))? + name.len() + 1;
        let value = &query[start..];
        // Filters may hold `&`; the parameters behind one are known.
        let ends = ["&$", "&NextPartitionKey=", "&NextRowKey="];
        let end = ends.iter().filter_map(|next| value.find(next)).min();
        Some(&value[..end.unwrap_or(value.len())])
    }
}

fn batch_operation(part: &str) -> RowWrite {
    let (head, body) = part.split_once("\r\n\r\n").unwrap();
    let body = body.split("\r\n--").next().unwrap();
    let mut lines = head.lines();
    let mut first = lines.next().unwrap().splitn(2, ' ');
    let method = first.next().unwrap();
    let url = first.next().unwrap().strip_suffix(" HTTP/1.1").unwrap();
    let path = url.splitn(5, '/').last().unwrap();
    let if_match = lines.find_map(|line| line.strip_prefix("If-Match: "));
    row_write(method, path, if_match.map(str::to_owned), body)
}

fn row_write(method: &str, path: &str, if_match: Option<String>, body: &str) -> RowWrite {
    let body = body.trim();
    let json = (!body.is_empty()).then(|| serde_json::from_str(body).unwrap());
    RowWrite {
        method: method.to_owned(),
        table: table_of(path),
        if_match,
        row: json.as_ref().map(odata_row).unwrap_or_default(),
    }
}

fn table_of(path: &str) -> String {
    let name = path.trim_start_matches('/').split(['(', '?']).next();
    name.unwrap_or_default().to_owned()
}

/// A row in the form of the table service: types beside the values or implied.
pub fn odata_row(json: &Json) -> Row {
    let mut row = Row::default();
    for (name, value) in json.as_object().unwrap() {
        let annotated = json[format!("{name}@odata.type")].as_str();
        match name.as_str() {
            "PartitionKey" => value.as_str().unwrap().clone_into(&mut row.partition_key),
            "RowKey" => value.as_str().unwrap().clone_into(&mut row.row_key),
            "Timestamp" => row.written = value.as_str().unwrap().parse().ok(),
            "odata.etag" => row.etag = value.as_str().map(|etag| ETag(etag.to_owned())),
            _ if name.contains("odata.") || value.is_null() => {}
            _ => row.set(name, odata_value(value, annotated)),
        }
    }
    row
}

fn odata_value(value: &Json, annotated: Option<&str>) -> Value {
    match (value, annotated) {
        (Json::Bool(flag), None) => Value::Bool(*flag),
        (Json::Number(number), None) => match number.as_i64() {
            Some(number) => Value::Int32(i32::try_from(number).unwrap()),
            None => Value::Double(number.as_f64().unwrap()),
        },
        (Json::String(text), None | Some("Edm.String")) => Value::String(text.clone()),
        (Json::String(text), Some(edm)) => typed(text, edm.strip_prefix("Edm.").unwrap()),
        other => panic!("unexpected value {other:?}"),
    }
}

/// A value written as text beside the name of its type.
fn typed(text: &str, edm: &str) -> Value {
    match edm {
        "String" => Value::String(text.to_owned()),
        "Int32" => Value::Int32(text.parse().unwrap()),
        "Int64" => Value::Int64(text.parse().unwrap()),
        "Double" => Value::Double(text.parse().unwrap()),
        "Boolean" => Value::Bool(text.parse().unwrap()),
        "DateTime" => Value::DateTime(exact(text)),
        "Guid" => Value::Guid(text.parse().unwrap()),
        _ => panic!("unexpected type {edm}"),
    }
}

/// A date whose text is exactly what `Timestamp` writes.
fn exact(text: &str) -> Timestamp {
    let stamp: Timestamp = text.parse().unwrap();
    assert_eq!(stamp.to_string(), text);
    stamp
}

/// What a hub held when its worker had stopped.
#[derive(Debug, Default)]
pub struct Hub {
    pub tables: BTreeMap<String, Vec<Row>>,
    /// Texts of visible messages by queue.
    pub queues: BTreeMap<String, Vec<String>>,
    /// Contents by `container/blob`.
    pub blobs: BTreeMap<String, Vec<u8>>,
}

/// Reads the final state of a scenario's hub.
pub fn hub(scenario: &str) -> Hub {
    let json: Json = serde_json::from_str(&unpacked(&format!("{scenario}.hub.json.gz"))).unwrap();
    let mut hub = Hub::default();
    for (name, rows) in json["tables"].as_object().unwrap() {
        let rows = rows.as_array().unwrap().iter().map(dumped_row).collect();
        hub.tables.insert(name.clone(), rows);
    }
    for (name, queue) in json["queues"].as_object().unwrap() {
        let visible = queue["visible"].as_array().unwrap().iter();
        let texts = visible.map(|message| message["text"].as_str().unwrap().to_owned());
        hub.queues.insert(name.clone(), texts.collect());
    }
    for (container, blobs) in json["containers"].as_object().unwrap() {
        for blob in blobs.as_array().unwrap() {
            let content = match blob["content"]["text"].as_str() {
                Some(text) => text.as_bytes().to_vec(),
                None => bytes(&blob["content"]),
            };
            let name = blob["name"].as_str().unwrap();
            hub.blobs.insert(format!("{container}/{name}"), content);
        }
    }
    hub
}

/// A row in the form of `.hub.json`: each column with value and type.
fn dumped_row(json: &Json) -> Row {
    let mut row = Row::default();
    for (name, value) in json.as_object().unwrap() {
        match name.as_str() {
            "partitionKey" => value.as_str().unwrap().clone_into(&mut row.partition_key),
            "rowKey" => value.as_str().unwrap().clone_into(&mut row.row_key),
            "timestamp" => row.written = value.as_str().unwrap().parse().ok(),
            "etag" => row.etag = value.as_str().map(|etag| ETag(etag.to_owned())),
            _ => {
                let (text, edm) = (value["value"].as_str(), value["type"].as_str());
                row.set(name, typed(text.unwrap(), edm.unwrap()));
            }
        }
    }
    row
}

fn message_texts(xml: &str) -> Vec<String> {
    let starts = xml.split("<MessageText>").skip(1);
    let texts = starts.map(|rest| rest.split("</MessageText>").next().unwrap());
    texts.map(unescape_xml).collect()
}

fn unescape_xml(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        out.push_str(&rest[..at]);
        let end = at + rest[at..].find(';').unwrap();
        out.push(match &rest[at + 1..end] {
            "lt" => '<',
            "gt" => '>',
            "amp" => '&',
            "quot" => '"',
            "apos" => '\'',
            other => {
                let hex = other.strip_prefix("#x").or(other.strip_prefix("#X"));
                let code = match hex {
                    Some(hex) => u32::from_str_radix(hex, 16).unwrap(),
                    None => other.strip_prefix('#').unwrap().parse().unwrap(),
                };
                char::from_u32(code).unwrap()
            }
        });
        rest = &rest[end + 1..];
    }
    out.push_str(rest);
    out
}
