//! Entity group transactions: a multipart body each way.

use std::fmt::Write as _;
use std::str;

use bytes::Bytes;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};

use super::super::transport::Answer;
use super::{ACCEPT, DATA_SERVICE_VERSION, write};
use crate::env::Env;
use crate::table::{ETag, Write};

/// The lines that part the pieces; random, so that no payload can hold them.
pub(super) struct Boundaries {
    batch: String,
    changeset: String,
}

impl Boundaries {
    pub(super) fn new(env: &Env) -> Self {
        Self {
            batch: format!("batch_{}", env.new_uuid()),
            changeset: format!("changeset_{}", env.new_uuid()),
        }
    }

    pub(super) fn content_type(&self) -> String {
        format!("multipart/mixed; boundary={}", self.batch)
    }
}

/// The body that carries out `writes` in `table`, all or none.
pub(super) fn body(
    endpoint: &str,
    table: &str,
    writes: &[Write],
    boundaries: &Boundaries,
) -> Vec<u8> {
    let Boundaries { batch, changeset } = boundaries;
    let mut body = Vec::with_capacity(writes.len() * 1024);
    body.extend_from_slice(
        format!("--{batch}\r\nContent-Type: multipart/mixed; boundary={changeset}\r\n\r\n")
            .as_bytes(),
    );
    let mut head = String::with_capacity(512);
    for write in writes {
        let parts = write::parts(table, write);
        head.clear();
        // Writing to a String cannot fail.
        let _ = write!(
            head,
            "--{changeset}\r\nContent-Type: application/http\r\nContent-Transfer-Encoding: binary\r\n\r\n\
             {} {endpoint}{} HTTP/1.1\r\nAccept: {ACCEPT}\r\nDataServiceVersion: {DATA_SERVICE_VERSION}\r\n",
            parts.method, parts.path
        );
        if let Some(condition) = parts.if_match {
            let _ = write!(head, "If-Match: {condition}\r\n");
        }
        if parts.body.is_some() {
            head.push_str("Content-Type: application/json\r\nPrefer: return-no-content\r\n");
        }
        head.push_str("\r\n");
        body.extend_from_slice(head.as_bytes());
        body.extend_from_slice(&parts.body.unwrap_or_default());
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(format!("--{changeset}--\r\n--{batch}--\r\n").as_bytes());
    body
}

/// One operation's answer inside of the body.
struct Part<'a> {
    status: u16,
    headers: Vec<(&'a str, &'a str)>,
    body: &'a str,
}

/// Finds the answers in order. Boundaries need not be known: every answer begins with its status
/// line, and payloads are JSON, which has no bare lines of that form.
fn parts(body: &str) -> Vec<Part<'_>> {
    const STATUS_LINE: &str = "HTTP/1.1 ";
    let mut found = Vec::new();
    let mut rest = body;
    while let Some(at) = next_line_with(rest, STATUS_LINE) {
        let answer = &rest[at + STATUS_LINE.len()..];
        let end = next_line_with(answer, STATUS_LINE).unwrap_or(answer.len());
        let (this, next) = answer.split_at(end);
        rest = next;
        let Some(status) = this.get(..3).and_then(|digits| digits.parse().ok()) else {
            continue;
        };
        let mut headers = Vec::new();
        let mut lines = this.split_inclusive('\n');
        let mut read = lines.next().map_or(0, str::len);
        for line in lines {
            read += line.len();
            let line = line.trim_end();
            if line.is_empty() {
                break;
            }
            if let Some((name, value)) = line.split_once(':') {
                headers.push((name.trim(), value.trim()));
            }
        }
        let content = &this[read..];
        let content_end = next_line_with(content, "--").unwrap_or(content.len());
        found.push(Part {
            status,
            headers,
            body: content[..content_end].trim(),
        });
    }
    found
}

/// Where a line begins that starts with `prefix`.
fn next_line_with(text: &str, prefix: &str) -> Option<usize> {
    if text.starts_with(prefix) {
        return Some(0);
    }
    text.match_indices('\n')
        .map(|(at, _)| at + 1)
        .find(|at| text[*at..].starts_with(prefix))
}

/// A refused transaction comes as 202 with the one refusal inside: brings it out, so that it is
/// retried and reported like any other.
pub(super) fn unwrap_refusal(answer: Answer) -> Answer {
    if !answer.is_success() {
        return answer;
    }
    let Ok(text) = str::from_utf8(&answer.body) else {
        return answer;
    };
    let Some(refused) = parts(text).into_iter().find(|part| part.status >= 400) else {
        return answer;
    };
    let mut headers: HeaderMap = answer.headers.clone();
    for (name, value) in &refused.headers {
        if let (Ok(name), Ok(value)) = (
            HeaderName::from_bytes(name.as_bytes()),
            HeaderValue::from_str(value),
        ) {
            headers.insert(name, value);
        }
    }
    Answer {
        status: refused.status,
        headers,
        body: Bytes::copy_from_slice(refused.body.as_bytes()),
    }
}

/// The new ETags in the order of `writes`; `None` if the answer does not fit them.
pub(super) fn etags(body: &[u8], writes: &[Write]) -> Option<Vec<Option<ETag>>> {
    let parts = parts(str::from_utf8(body).ok()?);
    if parts.len() != writes.len() {
        return None;
    }
    let read = |(part, write): (&Part<'_>, &Write)| match write {
        Write::Delete { .. } => Some(None),
        _ => part
            .headers
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case("etag"))
            .map(|(_, etag)| Some(ETag((*etag).to_owned()))),
    };
    parts.iter().zip(writes).map(read).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::{Condition, Row};

    fn writes() -> Vec<Write> {
        let mut row = Row::new("it's", "a b");
        row.set("Text", "é\r\n--x");
        vec![
            Write::Insert(row.clone()),
            Write::Merge(row, Condition::Matches(ETag("W/\"1\"".into()))),
            Write::Delete {
                partition_key: "it's".into(),
                row_key: String::new(),
                condition: Condition::Exists,
            },
        ]
    }

    #[test]
    fn the_body_is_multipart_with_crlf() {
        let boundaries = Boundaries {
            batch: "B".into(),
            changeset: "C".into(),
        };
        let body = body("http://h/a", "T", &writes(), &boundaries);
        let text = String::from_utf8(body).unwrap();
        let row = r#"{"PartitionKey":"it's","RowKey":"a b","Text":"é\r\n--x"}"#;
        let part =
            "--C\r\nContent-Type: application/http\r\nContent-Transfer-Encoding: binary\r\n\r\n";
        let common =
            "Accept: application/json;odata=minimalmetadata\r\nDataServiceVersion: 3.0\r\n";
        let payload = "Content-Type: application/json\r\nPrefer: return-no-content\r\n";
        assert_eq!(
            text,
            format!(
                "--B\r\nContent-Type: multipart/mixed; boundary=C\r\n\r\n\
                 {part}POST http://h/a/T HTTP/1.1\r\n{common}{payload}\r\n{row}\r\n\
                 {part}PATCH http://h/a/T(PartitionKey='it%27%27s',RowKey='a%20b') HTTP/1.1\r\n{common}If-Match: W/\"1\"\r\n{payload}\r\n{row}\r\n\
                 {part}DELETE http://h/a/T(PartitionKey='it%27%27s',RowKey='') HTTP/1.1\r\n{common}If-Match: *\r\n\r\n\r\n\
                 --C--\r\n--B--\r\n"
            )
        );
    }

    const SUCCESS: &str = "--batchresponse_1\r\nContent-Type: multipart/mixed; boundary=changesetresponse_2\r\n\r\n\
        --changesetresponse_2\r\nContent-Type: application/http\r\nContent-Transfer-Encoding: binary\r\n\r\n\
        HTTP/1.1 204 No Content\r\nX-Content-Type-Options: nosniff\r\nDataServiceVersion: 3.0;\r\nETag: W/\"datetime'2026-11-21T08%3A51%3A12.21463Z'\"\r\n\r\n\r\n\
        --changesetresponse_2\r\nContent-Type: application/http\r\n\r\nHTTP/1.1 204 No Content\r\netag: W/\"2\"\r\n\r\n\r\n\
        --changesetresponse_2\r\nContent-Type: application/http\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n\r\n\
        --changesetresponse_2--\r\n--batchresponse_1--\r\n";

    /// As recorded from the live service.
    const REFUSED: &str = "--batchresponse_1\r\nContent-Type: multipart/mixed; boundary=changesetresponse_2\r\n\r\n\
        --changesetresponse_2\r\nContent-Type: application/http\r\nContent-Transfer-Encoding: binary\r\n\r\n\
        HTTP/1.1 409 Conflict\r\nX-Content-Type-Options: nosniff\r\nDataServiceVersion: 3.0;\r\nContent-Type: application/json;odata=minimalmetadata;streaming=true;charset=utf-8\r\n\r\n\
        {\"odata.error\":{\"code\":\"EntityAlreadyExists\",\"message\":{\"lang\":\"en-US\",\"value\":\"1:The specified entity already exists.\\nRequestId:9d\"}}}\r\n\
        --changesetresponse_2--\r\n--batchresponse_1--\r\n";

    #[test]
    fn etags_come_in_order_and_as_they_are() {
        assert_eq!(
            etags(SUCCESS.as_bytes(), &writes()),
            Some(vec![
                Some(ETag(
                    "W/\"datetime'2026-11-21T08%3A51%3A12.21463Z'\"".into()
                )),
                Some(ETag("W/\"2\"".into())),
                None
            ])
        );
        assert_eq!(
            etags(SUCCESS.replace("\r\n", "\n").as_bytes(), &writes()).map(|etags| etags.len()),
            Some(3)
        );
        assert_eq!(etags(SUCCESS.as_bytes(), &writes()[..2]), None);
        assert_eq!(etags(b"", &writes()), None);
        assert_eq!(etags(b"\xff", &writes()), None);
    }

    #[test]
    fn a_refusal_comes_out_of_its_wrapping() {
        let wrap = |body: &'static str| Answer {
            status: 202,
            headers: HeaderMap::new(),
            body: Bytes::from_static(body.as_bytes()),
        };
        let refused = unwrap_refusal(wrap(REFUSED));
        assert_eq!(refused.status, 409);
        assert!(refused.body.starts_with(b"{\"odata.error\""));
        assert!(refused.body.ends_with(b"}}}"));
        assert_eq!(unwrap_refusal(wrap(SUCCESS)).status, 202);
        assert_eq!(unwrap_refusal(wrap("")).status, 202);
    }
}
