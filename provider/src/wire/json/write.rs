//! Writing: compact, nulls included, Newtonsoft's escapes.

use std::fmt::{Display, Write as _};

use durabletask_core::Timestamp;

use super::{MAX_DEPTH, Reader};

/// A JSON text under construction. Commas are put where they belong.
#[derive(Debug, Default)]
pub(in crate::wire) struct Writer {
    out: String,
    /// Whether objects carry `$type`: in messages, not in columns.
    with_types: bool,
    depth: usize,
}

impl Writer {
    /// For a queue message: with `$type` on objects.
    pub(in crate::wire) fn for_message(capacity: usize) -> Self {
        Self {
            out: String::with_capacity(capacity),
            with_types: true,
            depth: 0,
        }
    }

    /// For a column or a history listing: without `$type`.
    pub(in crate::wire) fn plain() -> Self {
        Self::default()
    }

    /// The finished text.
    pub(in crate::wire) fn finish(self) -> String {
        self.out
    }

    /// Opens an object; `type_name` becomes its `$type` where those are written.
    pub(in crate::wire) fn begin(&mut self, type_name: &str) {
        self.begin_untyped();
        if self.with_types {
            self.key("$type");
            self.string(type_name);
        }
    }

    /// Opens an object that never has a `$type`.
    pub(in crate::wire) fn begin_untyped(&mut self) {
        self.out.push('{');
        self.depth += 1;
    }

    /// Closes an object.
    pub(in crate::wire) fn end(&mut self) {
        self.out.push('}');
        self.depth = self.depth.saturating_sub(1);
    }

    /// Opens an array.
    pub(in crate::wire) fn begin_array(&mut self) {
        self.out.push('[');
        self.depth += 1;
    }

    /// Closes an array.
    pub(in crate::wire) fn end_array(&mut self) {
        self.out.push(']');
        self.depth = self.depth.saturating_sub(1);
    }

    /// A comma, unless the object or array was just opened.
    pub(in crate::wire) fn separate(&mut self) {
        if !self.out.ends_with(['{', '[']) {
            self.out.push(',');
        }
    }

    /// A member's name; its value must follow.
    pub(in crate::wire) fn key(&mut self, name: &str) {
        self.separate();
        self.string(name);
        self.out.push(':');
    }

    /// A member with a text or null.
    pub(in crate::wire) fn text(&mut self, name: &str, value: Option<&str>) {
        self.key(name);
        match value {
            Some(value) => self.string(value),
            None => self.null(),
        }
    }

    /// A member with a number or null.
    pub(in crate::wire) fn int(&mut self, name: &str, value: Option<impl Into<i64>>) {
        self.key(name);
        match value {
            Some(value) => self.display(value.into()),
            None => self.null(),
        }
    }

    /// A member with a boolean.
    pub(in crate::wire) fn flag(&mut self, name: &str, value: bool) {
        self.key(name);
        self.out.push_str(if value { "true" } else { "false" });
    }

    /// A member with a date or null.
    pub(in crate::wire) fn date(&mut self, name: &str, value: Option<Timestamp>) {
        let value = value.map(Timestamp::to_json_text);
        self.text(name, value.as_deref());
    }

    /// `null`
    pub(in crate::wire) fn null(&mut self) {
        self.out.push_str("null");
    }

    fn display(&mut self, value: impl Display) {
        // Writing to a string cannot fail.
        let _ = write!(self.out, "{value}");
    }

    /// A number or word that needs no escapes.
    pub(in crate::wire) fn literal(&mut self, text: &str) {
        self.out.push_str(text);
    }

    /// JSON text from elsewhere, brought into Newtonsoft's form; `null` if it is not JSON or would
    /// nest too deep here. With `type_name`, it is an object that gets that `$type`.
    pub(in crate::wire) fn raw(&mut self, json: &str, type_name: Option<&str>) {
        let (start, depth) = (self.out.len(), self.depth);
        let mut reader = Reader::nested(json, self.depth);
        let copied = match type_name {
            Some(type_name) => reader.copy_object(self, type_name),
            None => reader.copy(self),
        };
        if copied.and_then(|()| reader.end()).is_err() {
            self.out.truncate(start);
            self.depth = depth;
            self.null();
        }
    }

    /// Whether another level may open before .NET's reader gives up.
    pub(in crate::wire) fn may_nest(&self) -> bool {
        self.depth < MAX_DEPTH
    }

    /// A string with its quotes. Besides what Newtonsoft escapes, U+FFFE and U+FFFF are, because
    /// the queue service carries the text in XML 1.0, which has no form for them.
    pub(in crate::wire) fn string(&mut self, text: &str) {
        self.out.push('"');
        let mut plain_from = 0;
        let bytes = text.as_bytes();
        for (at, &byte) in bytes.iter().enumerate() {
            if byte >= b' ' && byte != b'"' && byte != b'\\' && !STARTS_ESCAPED[usize::from(byte)] {
                continue;
            }
            let Some((escape, length)) = escape(&bytes[at..]) else {
                continue;
            };
            self.out.push_str(&text[plain_from..at]);
            match escape {
                Escape::Short(letter) => {
                    self.out.push('\\');
                    self.out.push(letter);
                }
                Escape::Unit(unit) => self.display(format_args!("\\u{unit:04x}")),
            }
            plain_from = at + length;
        }
        self.out.push_str(&text[plain_from..]);
        self.out.push('"');
    }
}

enum Escape {
    Short(char),
    Unit(u16),
}

/// First bytes of the non-ASCII characters that are escaped.
const STARTS_ESCAPED: [bool; 256] = {
    let mut table = [false; 256];
    table[0xC2] = true;
    table[0xE2] = true;
    table[0xEF] = true;
    table
};

/// How the character at the start of `bytes` is escaped, if it is, and its length in bytes.
fn escape(bytes: &[u8]) -> Option<(Escape, usize)> {
    let short = |letter| Some((Escape::Short(letter), 1));
    match *bytes {
        [b'"', ..] => short('"'),
        [b'\\', ..] => short('\\'),
        [8, ..] => short('b'),
        [b'\t', ..] => short('t'),
        [b'\n', ..] => short('n'),
        [12, ..] => short('f'),
        [b'\r', ..] => short('r'),
        [byte, ..] if byte < b' ' => Some((Escape::Unit(u16::from(byte)), 1)),
        [0xC2, 0x85, ..] => Some((Escape::Unit(0x85), 2)),
        [0xE2, 0x80, 0xA8, ..] => Some((Escape::Unit(0x2028), 3)),
        [0xE2, 0x80, 0xA9, ..] => Some((Escape::Unit(0x2029), 3)),
        [0xEF, 0xBF, 0xBE, ..] => Some((Escape::Unit(0xFFFE), 3)),
        [0xEF, 0xBF, 0xBF, ..] => Some((Escape::Unit(0xFFFF), 3)),
        _ => None,
    }
}
