//! Settings files: JSON with what .NET's readers forgive: comments, trailing commas, a BOM.

use serde_json::{Map, Value};

use super::super::error::SettingsError;

/// Reads an object.
pub(super) fn parse_lenient(file: &str, text: &str) -> Result<Map<String, Value>, SettingsError> {
    let plain = plain_json(text.trim_start_matches('\u{feff}'));
    serde_json::from_slice(&plain).map_err(|error| SettingsError::Json {
        file: file.to_owned(),
        // Only the place: serde's text may quote values.
        problem: format!(
            "{} at line {}, column {}",
            match error.classify() {
                serde_json::error::Category::Eof => "it ends too early",
                serde_json::error::Category::Data => "it has another kind of value",
                _ => "syntax error",
            },
            error.line(),
            error.column()
        ),
    })
}

/// Blanks out comments and trailing commas; places stay what they were.
fn plain_json(text: &str) -> Vec<u8> {
    let mut bytes = text.as_bytes().to_vec();
    let mut comma = None;
    let mut at = 0;
    while at < bytes.len() {
        let end = match (bytes[at], bytes.get(at + 1)) {
            (b'"', _) => {
                comma = None;
                end_of_string(&bytes, at)
            }
            (b'/', Some(b'/')) => blank(&mut bytes, at, b"\n"),
            (b'/', Some(b'*')) => blank(&mut bytes, at, b"*/"),
            (b',', _) => {
                comma = Some(at);
                at + 1
            }
            (b'}' | b']', _) => {
                if let Some(comma) = comma.take() {
                    bytes[comma] = b' ';
                }
                at + 1
            }
            (byte, _) => {
                if !byte.is_ascii_whitespace() {
                    comma = None;
                }
                at + 1
            }
        };
        at = end;
    }
    bytes
}

/// The place behind the closing quote of the string that opens at `start`.
fn end_of_string(bytes: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    while at < bytes.len() && bytes[at] != b'"' {
        at += if bytes[at] == b'\\' { 2 } else { 1 };
    }
    at + 1
}

/// Overwrites a comment, line ends excepted; the place behind it.
fn blank(bytes: &mut [u8], start: usize, end: &[u8]) -> usize {
    let body = &bytes[start + 2..];
    let length = body.windows(end.len()).position(|part| part == end);
    let stop = length.map_or(bytes.len(), |length| start + 2 + length + end.len());
    for byte in &mut bytes[start..stop] {
        if *byte != b'\n' {
            *byte = b' ';
        }
    }
    stop
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forgives_comments_and_trailing_commas() {
        let text = "\u{feff}{ // é\n \"a\": [1, 2, /* two */ ], \"b\": \"x // \\\" , }\", }";
        let root = parse_lenient("host.json", text).unwrap();
        assert_eq!(
            Value::Object(root),
            serde_json::json!({"a": [1, 2], "b": "x // \" , }"})
        );
        for bad in [
            "",
            "[]",
            "{",
            "{\"a\": }",
            "{,}x",
            "{\"",
            "{/*",
            "{\"a\":1,,}",
        ] {
            assert!(parse_lenient("host.json", bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_error_quotes_no_value() {
        let error = parse_lenient("f", "{\"key\": AccountKey=secret}").unwrap_err();
        assert_eq!(
            error.to_string(),
            "f is not a JSON object: syntax error at line 1, column 9; correct the file"
        );
    }
}
