//! Tables for people, JSON for machines.

use std::io::{self, IsTerminal, Write};

use durabletask_core::Timestamp;
use serde_json::Value;

use crate::pager::Sink;

/// Rows that are measured, aligned and printed together; later ones are at least as wide.
const ROWS_AT_ONCE: usize = 100;
/// Characters of a payload that people are shown; machines get all.
const MAX_SHOWN_CHARS: usize = 2_000;
/// Characters of the text of a time up to its seconds, and up to its milliseconds.
const TO_SECONDS: usize = 19;
const TO_MILLIS: usize = 23;

/// How results are told.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Output {
    pub(crate) json: bool,
}

impl Output {
    /// Whether somebody sits there who can be asked and shown progress.
    pub(crate) fn has_person(self) -> bool {
        let is_dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
        !self.json && !is_dumb && io::stdin().is_terminal() && io::stderr().is_terminal()
    }

    /// One result: for machines a JSON object, for people a sentence.
    pub(crate) fn report(self, json: &Value, sentence: &str) -> io::Result<()> {
        if self.json {
            line(json)
        } else {
            line(&printable(sentence))
        }
    }

    /// One result: for machines a JSON object, for people names and values below each other;
    /// those without a value are left out.
    pub(crate) fn fields(self, json: &Value, fields: &[(&str, Option<String>)]) -> io::Result<()> {
        if self.json {
            return line(json);
        }
        let there = fields.iter().filter(|(_, value)| value.is_some());
        let width = there.map(|(name, _)| name.len()).max().unwrap_or(0);
        for (name, value) in fields {
            if let Some(value) = value {
                line(&format_args!("{name:<width$}  {}", printable(value)))?;
            }
        }
        Ok(())
    }

    /// A list: for machines one object per line as they come, for people a table, through a pager
    /// if it goes to a terminal. `none` tells people that it is empty.
    pub(crate) fn list<const N: usize>(
        self,
        head: [&'static str; N],
        none: &'static str,
    ) -> List<N> {
        List {
            json: self.json,
            widths: head.map(str::len),
            head: Some(head),
            none,
            rows: Vec::new(),
            sink: Sink::Direct,
        }
    }
}

/// Prints a line; an error if nobody reads any more.
pub(crate) fn line(text: &dyn std::fmt::Display) -> io::Result<()> {
    writeln!(io::stdout().lock(), "{text}")
}

/// A list under way. What was added is printed at the latest by [`List::end`].
pub(crate) struct List<const N: usize> {
    json: bool,
    /// Until it is printed.
    head: Option<[&'static str; N]>,
    none: &'static str,
    rows: Vec<[String; N]>,
    widths: [usize; N],
    sink: Sink,
}

impl<const N: usize> List<N> {
    /// Sends people's tables through a pager, if they go to a terminal; whether there is one.
    pub(crate) fn page(&mut self) -> bool {
        if !self.json {
            self.sink = Sink::for_terminal();
        }
        matches!(self.sink, Sink::Pager(_))
    }

    /// One more.
    pub(crate) fn add(&mut self, json: &Value, row: [String; N]) -> io::Result<()> {
        if self.json {
            return line(json);
        }
        self.rows.push(row.map(|cell| printable(&cell)));
        if self.rows.len() == ROWS_AT_ONCE {
            self.flush()?;
        }
        Ok(())
    }

    /// That was all.
    pub(crate) fn end(mut self) -> io::Result<()> {
        if self.json {
            return Ok(());
        }
        if self.head.is_some() && self.rows.is_empty() {
            eprintln!("{}", self.none);
            return Ok(());
        }
        self.flush()?;
        self.sink.end()
    }

    fn flush(&mut self) -> io::Result<()> {
        for row in &self.rows {
            for (width, cell) in self.widths.iter_mut().zip(row) {
                *width = cell.chars().count().max(*width);
            }
        }
        if let Some(head) = self.head.take() {
            self.print(&head)?;
        }
        for row in std::mem::take(&mut self.rows) {
            self.print(&row.each_ref().map(String::as_str))?;
        }
        Ok(())
    }

    fn print(&mut self, cells: &[&str; N]) -> io::Result<()> {
        let cells = cells.iter().zip(self.widths);
        let padded: Vec<_> = cells
            .map(|(cell, width)| format!("{cell:<width$}"))
            .collect();
        self.sink.line(padded.join("  ").trim_end())
    }
}

/// What others have stored, without what would move the cursor or colour the terminal.
pub(crate) fn printable(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        if character.is_control() {
            shown.extend(character.escape_default());
        } else {
            shown.push(character);
        }
    }
    shown
}

/// A stored payload for machines: the value if it is JSON, else its text.
pub(crate) fn payload(text: Option<&str>) -> Value {
    text.map_or(Value::Null, |text| {
        serde_json::from_str(text).unwrap_or_else(|_| Value::from(text))
    })
}

/// A stored payload for people: its beginning.
pub(crate) fn shortened(text: &str) -> String {
    match text.char_indices().nth(MAX_SHOWN_CHARS) {
        None => text.to_owned(),
        Some((end, _)) => format!(
            "{} … ({} bytes; --json shows all of them)",
            &text[..end],
            text.len()
        ),
    }
}

/// A time for people, in UTC.
pub(crate) fn time(time: Timestamp) -> String {
    cut_time(time, TO_SECONDS)
}

/// The same with milliseconds.
pub(crate) fn fine_time(time: Timestamp) -> String {
    cut_time(time, TO_MILLIS)
}

fn cut_time(time: Timestamp, chars: usize) -> String {
    let text = time.to_string();
    let cut = text.get(..chars).unwrap_or(&text);
    format!("{}Z", cut.replacen('T', " ", 1))
}

/// The same, empty if there is none.
pub(crate) fn time_cell(at: Option<Timestamp>) -> String {
    at.map(time).unwrap_or_default()
}

/// A count with its noun, in the plural unless it is one.
pub(crate) fn count(number: u64, noun: &str) -> String {
    let ending = if number == 1 { "" } else { "s" };
    format!("{number} {noun}{ending}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_stored_cannot_play_with_the_terminal() {
        assert_eq!(
            printable("a\u{1b}[2Jb\r\nc\u{9b}é"),
            "a\\u{1b}[2Jb\\r\\nc\\u{9b}é"
        );
        let long = "é".repeat(MAX_SHOWN_CHARS);
        assert_eq!(shortened(&long), long);
        let longer = format!("{long}é");
        assert!(shortened(&longer).ends_with("… (4002 bytes; --json shows all of them)"));
    }

    #[test]
    fn times_are_short_for_people() {
        let at: Timestamp = "2026-11-21T12:30:48.4040046Z".parse().unwrap();
        assert_eq!(time(at), "2026-11-21 12:30:48Z");
        assert_eq!(fine_time(at), "2026-11-21 12:30:48.404Z");
    }
}
