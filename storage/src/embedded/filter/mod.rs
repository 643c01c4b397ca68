//! `OData` filters: the part that the table service knows and task hubs use.
//!
//! `eq ne gt ge lt le and or not ( )` over columns and literals: `'text'` with doubled quotes,
//! `12`, `5L`, `1.5`, `true`, `datetime'…'`, `guid'…'`. A comparison has a column on one side and
//! a literal on the other. A column that is missing, or of a type that does not compare with the
//! literal, makes any comparison false, `ne` too; `not` turns that into true.

mod eval;
mod keys;
mod lexer;
mod parser;

pub(super) use keys::KeyRange;

use super::failure::{Failure, Result};
use crate::{Row, Value};

/// Longest filter, in bytes: what an address may carry.
const MAX_FILTER_BYTES: usize = 32 * 1024;
/// Deepest nesting of parentheses and `not`.
const MAX_FILTER_DEPTH: usize = 64;

/// A parsed filter.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Filter {
    And(Vec<Filter>),
    Or(Vec<Filter>),
    Not(Box<Filter>),
    Compare {
        column: String,
        comparison: Comparison,
        literal: Value,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Comparison {
    Equal,
    NotEqual,
    Greater,
    GreaterOrEqual,
    Less,
    LessOrEqual,
}

/// Reads a filter; a refusal names the position, in bytes from 0.
pub(super) fn parse(text: &str) -> Result<Filter> {
    if text.len() > MAX_FILTER_BYTES {
        return Err(Failure::invalid(
            "InvalidInput",
            format!("a filter of {} bytes", text.len()),
        ));
    }
    parser::parse(text).map_err(|error| {
        Failure::invalid(
            "InvalidInput",
            format!("filter, at byte {}: {}", error.position, error.expected),
        )
    })
}

/// Where a filter cannot be read. Never quotes the filter: literals are payload.
#[derive(Debug, Clone, PartialEq, Eq)]
struct SyntaxError {
    position: usize,
    expected: &'static str,
}

/// Reads any bytes as a filter and evaluates what could be read; never panics. For fuzzing.
pub fn fuzz_filter(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    if let Ok(filter) = parse(&text) {
        let mut row = Row::new("p", "r");
        row.set("Text", "t");
        row.set("Number", 1);
        filter.matches(&row);
        KeyRange::of(&filter).conditions().for_each(drop);
    }
}
