//! Reading: a pull reader over text that allocates only where a string has escapes.

use std::borrow::Cow;

use super::{Raw, Writer};
use crate::wire::WireError;

/// Levels of nesting that Newtonsoft reads.
pub(in crate::wire) const MAX_DEPTH: usize = 64;

type Result<T> = std::result::Result<T, WireError>;

/// Walks through a JSON text. White space is allowed where JSON allows it; control characters
/// within strings are accepted, as Newtonsoft does.
#[derive(Debug)]
pub(in crate::wire) struct Reader<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
}

impl<'a> Reader<'a> {
    /// At the start of a document.
    pub(in crate::wire) const fn new(text: &'a str) -> Self {
        Self::nested(text, 0)
    }

    /// At the start of a value that stands `depth` levels deep in a document.
    pub(in crate::wire) const fn nested(text: &'a str, depth: usize) -> Self {
        Self { text, at: 0, depth }
    }

    /// Reads an object, handing each member's name to `member`, which must read its value. False
    /// if there was `null` instead.
    pub(in crate::wire) fn object(
        &mut self,
        mut member: impl FnMut(&mut Self, Cow<'a, str>) -> Result<()>,
    ) -> Result<bool> {
        if self.peek()? == b'n' {
            self.word()?;
            return Ok(false);
        }
        self.open(b'{')?;
        if !self.closes(b'}')? {
            loop {
                self.peek()?;
                let name = self.quoted()?;
                self.expect(b':')?;
                member(self, name)?;
                if self.separated(b'}')? {
                    break;
                }
            }
        }
        self.depth -= 1;
        Ok(true)
    }

    /// Reads an array, calling `item` at each element, which it must read.
    fn array(&mut self, mut item: impl FnMut(&mut Self) -> Result<()>) -> Result<()> {
        self.open(b'[')?;
        if !self.closes(b']')? {
            loop {
                item(self)?;
                if self.separated(b']')? {
                    break;
                }
            }
        }
        self.depth -= 1;
        Ok(())
    }

    /// Reads any value.
    pub(in crate::wire) fn value(&mut self) -> Result<Raw<'a>> {
        match self.peek()? {
            b'"' => Ok(Raw::Text(self.quoted()?)),
            b'{' | b'[' => {
                let start = self.at;
                self.skip()?;
                Ok(Raw::Nested(&self.text[start..self.at], self.depth))
            }
            _ => Ok(match self.word()? {
                "null" => Raw::Null,
                literal => Raw::Literal(literal),
            }),
        }
    }

    /// Reads and forgets a value; escapes in it are not checked.
    pub(in crate::wire) fn skip(&mut self) -> Result<()> {
        match self.peek()? {
            b'"' => self.quoted_end().map(drop),
            b'{' => self.object(|reader, _| reader.skip()).map(drop),
            b'[' => self.array(Self::skip),
            _ => self.word().map(drop),
        }
    }

    /// Copies a value in Newtonsoft's form; numbers stay as written.
    pub(in crate::wire) fn copy(&mut self, out: &mut Writer) -> Result<()> {
        match self.peek()? {
            b'"' => out.string(&self.quoted()?),
            b'{' => {
                out.begin_untyped();
                self.object(|reader, name| {
                    out.key(&name);
                    reader.copy(out)
                })?;
                out.end();
            }
            b'[' => {
                out.begin_array();
                self.array(|reader| {
                    out.separate();
                    reader.copy(out)
                })?;
                out.end_array();
            }
            _ => out.literal(self.word()?),
        }
        Ok(())
    }

    /// Copies an object without its own `$type`, but with this one where the writer has any.
    pub(in crate::wire) fn copy_object(&mut self, out: &mut Writer, type_name: &str) -> Result<()> {
        out.begin(type_name);
        let found = self.object(|reader, name| {
            if name == "$type" {
                return reader.skip();
            }
            out.key(&name);
            reader.copy(out)
        })?;
        out.end();
        if found { Ok(()) } else { Err(self.bad()) }
    }

    /// Checks that nothing but white space is left.
    pub(in crate::wire) fn end(&mut self) -> Result<()> {
        self.white_space();
        if self.at == self.text.len() {
            Ok(())
        } else {
            Err(self.bad())
        }
    }

    fn bad(&self) -> WireError {
        WireError::NotJson { at: self.at }
    }

    fn byte(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn white_space(&mut self) {
        while matches!(self.byte(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    /// The first byte of what comes next.
    fn peek(&mut self) -> Result<u8> {
        self.white_space();
        self.byte().ok_or_else(|| self.bad())
    }

    fn expect(&mut self, byte: u8) -> Result<()> {
        if self.peek()? == byte {
            self.at += 1;
            Ok(())
        } else {
            Err(self.bad())
        }
    }

    fn open(&mut self, bracket: u8) -> Result<()> {
        self.expect(bracket)?;
        if self.depth == MAX_DEPTH {
            return Err(WireError::TooDeep);
        }
        self.depth += 1;
        Ok(())
    }

    /// Whether the object or array ends here.
    fn closes(&mut self, bracket: u8) -> Result<bool> {
        let closes = self.peek()? == bracket;
        self.at += usize::from(closes);
        Ok(closes)
    }

    /// After an element: true if the object or array ends, false after a comma.
    fn separated(&mut self, bracket: u8) -> Result<bool> {
        if self.closes(bracket)? {
            return Ok(true);
        }
        self.expect(b',')?;
        Ok(false)
    }

    /// A number, `true`, `false` or `null`.
    fn word(&mut self) -> Result<&'a str> {
        let rest = &self.text[self.at..];
        let length = rest
            .bytes()
            .take_while(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.'))
            .count();
        let word = &rest[..length];
        if !matches!(word, "true" | "false" | "null") && !is_number(word.as_bytes()) {
            return Err(self.bad());
        }
        self.at += length;
        Ok(word)
    }

    /// A string whose opening quote is next.
    fn quoted(&mut self) -> Result<Cow<'a, str>> {
        let start = self.at + 1;
        let has_escapes = self.quoted_end()?;
        let inner = &self.text[start..self.at - 1];
        if has_escapes {
            unescape(inner)
                .map(Cow::Owned)
                .map_err(|offset| WireError::NotJson { at: start + offset })
        } else {
            Ok(Cow::Borrowed(inner))
        }
    }

    /// Goes behind a string; whether it has escapes.
    fn quoted_end(&mut self) -> Result<bool> {
        if self.byte() != Some(b'"') {
            return Err(self.bad());
        }
        let bytes = self.text.as_bytes();
        let mut has_escapes = false;
        let mut at = self.at + 1;
        while let Some(&byte) = bytes.get(at) {
            match byte {
                b'"' => {
                    self.at = at + 1;
                    return Ok(has_escapes);
                }
                b'\\' => {
                    has_escapes = true;
                    at += 2;
                }
                _ => at += 1,
            }
        }
        Err(WireError::NotJson { at: bytes.len() })
    }
}

/// Resolves escapes; on failure the offset of the bad one. A surrogate without its partner reads
/// as U+FFFD.
fn unescape(inner: &str) -> std::result::Result<String, usize> {
    let mut out = String::with_capacity(inner.len());
    let mut rest = inner;
    while let Some(backslash) = rest.find('\\') {
        out.push_str(&rest[..backslash]);
        let offset = inner.len() - rest.len() + backslash;
        rest = &rest[backslash + 1..];
        let letter = rest.bytes().next().ok_or(offset)?;
        if letter == b'u' {
            rest = unicode_escape(rest, &mut out).ok_or(offset)?;
            continue;
        }
        out.push(match letter {
            b'b' => '\u{8}',
            b't' => '\t',
            b'n' => '\n',
            b'f' => '\u{c}',
            b'r' => '\r',
            b'"' | b'\\' | b'/' | b'\'' => char::from(letter),
            _ => return Err(offset),
        });
        rest = &rest[1..];
    }
    out.push_str(rest);
    Ok(out)
}

/// Resolves `uXXXX`, and a second half behind it if there is one; what follows.
fn unicode_escape<'t>(text: &'t str, out: &mut String) -> Option<&'t str> {
    let (first, rest) = hex_unit(text)?;
    if matches!(first, 0xD800..=0xDBFF) {
        let second = rest.strip_prefix('\\').and_then(hex_unit);
        if let Some((second @ 0xDC00..=0xDFFF, rest)) = second {
            out.extend(char::decode_utf16([first, second]).flatten());
            return Some(rest);
        }
    }
    out.push(char::from_u32(u32::from(first)).unwrap_or(char::REPLACEMENT_CHARACTER));
    Some(rest)
}

/// `uXXXX` as a UTF-16 unit, and what follows.
fn hex_unit(text: &str) -> Option<(u16, &str)> {
    let digits = text.strip_prefix('u')?.get(..4)?;
    let valid = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    let unit = u16::from_str_radix(digits, 16).ok().filter(|_| valid)?;
    Some((unit, &text[5..]))
}

/// Whether the text is a number of JSON's grammar.
fn is_number(text: &[u8]) -> bool {
    fn digits(text: &[u8]) -> Option<&[u8]> {
        let count = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
        (count > 0).then(|| &text[count..])
    }
    let rest = text.strip_prefix(b"-").unwrap_or(text);
    let Some(mut rest) = digits(rest) else {
        return false;
    };
    if let Some(fraction) = rest.strip_prefix(b".") {
        let Some(after) = digits(fraction) else {
            return false;
        };
        rest = after;
    }
    if let [b'e' | b'E', exponent @ ..] = rest {
        let exponent = match exponent {
            [b'+' | b'-', digits @ ..] => digits,
            _ => exponent,
        };
        let Some(after) = digits(exponent) else {
            return false;
        };
        rest = after;
    }
    rest.is_empty()
}
