//! Tokens to a filter: `or` binds weakest, then `and`, then `not`, then comparisons.

use super::lexer::{Token, tokens};
use super::{Comparison, Filter, MAX_FILTER_DEPTH, SyntaxError};
use crate::Value;

type Result<T> = std::result::Result<T, SyntaxError>;

pub(super) fn parse(text: &str) -> Result<Filter> {
    let mut parser = Parser {
        tokens: tokens(text)?,
        next: 0,
        end: text.len(),
    };
    let filter = parser.alternatives(0)?;
    match parser.peek() {
        None => Ok(filter),
        Some(_) => Err(parser.error("the end, `and` or `or` is expected")),
    }
}

struct Parser<'a> {
    tokens: Vec<(usize, Token<'a>)>,
    next: usize,
    end: usize,
}

enum Operand {
    Column(String),
    Literal(Value),
}

impl<'a> Parser<'a> {
    fn peek(&self) -> Option<&Token<'a>> {
        self.tokens.get(self.next).map(|(_, token)| token)
    }

    /// Takes the next token if it is this one.
    fn takes(&mut self, token: &Token<'_>) -> bool {
        let found = self.peek() == Some(token);
        self.next += usize::from(found);
        found
    }

    fn error(&self, expected: &'static str) -> SyntaxError {
        let position = self.tokens.get(self.next).map(|(position, _)| *position);
        SyntaxError {
            position: position.unwrap_or(self.end),
            expected,
        }
    }

    fn alternatives(&mut self, depth: usize) -> Result<Filter> {
        self.chain(&Token::Word("or"), Filter::Or, |parser| {
            parser.chain(&Token::Word("and"), Filter::And, |parser| {
                parser.term(depth)
            })
        })
    }

    /// One or more parts; a single one stands for itself.
    fn chain(
        &mut self,
        between: &Token<'_>,
        combine: fn(Vec<Filter>) -> Filter,
        part: impl Fn(&mut Self) -> Result<Filter>,
    ) -> Result<Filter> {
        let first = part(self)?;
        if !self.takes(between) {
            return Ok(first);
        }
        let mut parts = vec![first, part(self)?];
        while self.takes(between) {
            parts.push(part(self)?);
        }
        Ok(combine(parts))
    }

    fn term(&mut self, depth: usize) -> Result<Filter> {
        if depth > MAX_FILTER_DEPTH {
            return Err(self.error("nested too deeply"));
        }
        if self.takes(&Token::Word("not")) {
            return Ok(Filter::Not(Box::new(self.term(depth + 1)?)));
        }
        if self.takes(&Token::Open) {
            let inner = self.alternatives(depth + 1)?;
            if !self.takes(&Token::Close) {
                return Err(self.error("`)` is expected"));
            }
            return Ok(inner);
        }
        self.comparison()
    }

    fn comparison(&mut self) -> Result<Filter> {
        let left = self.operand()?;
        let comparison = self.operator()?;
        let right_at = self.error("a column is compared with a literal");
        match (left, self.operand()?) {
            (Operand::Column(column), Operand::Literal(literal)) => Ok(Filter::Compare {
                column,
                comparison,
                literal,
            }),
            (Operand::Literal(literal), Operand::Column(column)) => Ok(Filter::Compare {
                column,
                comparison: comparison.mirrored(),
                literal,
            }),
            _ => Err(right_at),
        }
    }

    fn operator(&mut self) -> Result<Comparison> {
        let comparison = match self.peek() {
            Some(Token::Word("eq")) => Comparison::Equal,
            Some(Token::Word("ne")) => Comparison::NotEqual,
            Some(Token::Word("gt")) => Comparison::Greater,
            Some(Token::Word("ge")) => Comparison::GreaterOrEqual,
            Some(Token::Word("lt")) => Comparison::Less,
            Some(Token::Word("le")) => Comparison::LessOrEqual,
            _ => return Err(self.error("one of eq ne gt ge lt le is expected")),
        };
        self.next += 1;
        Ok(comparison)
    }

    fn operand(&mut self) -> Result<Operand> {
        let operand = match self.peek() {
            Some(Token::Word("true")) => Some(Operand::Literal(Value::Bool(true))),
            Some(Token::Word("false")) => Some(Operand::Literal(Value::Bool(false))),
            Some(Token::Word("and" | "or" | "not" | "eq" | "ne" | "gt" | "ge" | "lt" | "le")) => {
                None
            }
            Some(Token::Word(column)) => Some(Operand::Column((*column).to_owned())),
            Some(Token::Number(text)) => number(text).map(Operand::Literal),
            Some(Token::Quoted { kind, text }) => literal(kind, text).map(Operand::Literal),
            _ => None,
        };
        let operand = operand.ok_or_else(|| self.error("a column or a literal is expected"))?;
        self.next += 1;
        Ok(operand)
    }
}

fn number(text: &str) -> Option<Value> {
    if let Some(digits) = text.strip_suffix(['L', 'l']) {
        return digits.parse().ok().map(Value::Int64);
    }
    if let Ok(number) = text.parse() {
        return Some(Value::Int32(number));
    }
    if let Ok(number) = text.parse() {
        return Some(Value::Int64(number));
    }
    // Rust reads "inf" and "nan" as numbers, too, but those start with letters.
    text.parse()
        .ok()
        .filter(|number: &f64| number.is_finite())
        .map(Value::Double)
}

fn literal(kind: &str, text: &str) -> Option<Value> {
    match kind {
        "" => Some(Value::String(text.to_owned())),
        "datetime" => text.parse().ok().map(Value::DateTime),
        "guid" => text.parse().ok().map(Value::Guid),
        _ => None,
    }
}

impl Comparison {
    /// The comparison with its sides exchanged.
    fn mirrored(self) -> Self {
        match self {
            Self::Equal | Self::NotEqual => self,
            Self::Greater => Self::Less,
            Self::GreaterOrEqual => Self::LessOrEqual,
            Self::Less => Self::Greater,
            Self::LessOrEqual => Self::GreaterOrEqual,
        }
    }
}
