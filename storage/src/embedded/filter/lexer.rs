//! Filter text to tokens.

use super::SyntaxError;

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Token<'a> {
    Open,
    Close,
    /// A column, an operator, `true`, `false`.
    Word(&'a str),
    /// Digits with whatever sign, point, exponent and suffix they have.
    Number(&'a str),
    /// Unquoted, with the word before the quote: empty, `datetime`, `guid`.
    Quoted {
        kind: &'a str,
        text: String,
    },
}

/// The tokens with their positions, in bytes.
pub(super) fn tokens(text: &str) -> Result<Vec<(usize, Token<'_>)>, SyntaxError> {
    let mut tokens = Vec::new();
    let mut position = 0;
    while let Some(first) = text[position..].chars().next() {
        let rest = &text[position..];
        let (token, length) = match first {
            c if c.is_whitespace() => {
                position += c.len_utf8();
                continue;
            }
            '(' => (Token::Open, 1),
            ')' => (Token::Close, 1),
            '\'' => quoted("", rest, position)?,
            c if c.is_ascii_digit() || c == '-' || c == '+' || c == '.' => {
                let number = number(rest);
                (Token::Number(number), number.len())
            }
            c if c.is_alphabetic() || c == '_' => {
                let word = prefix(rest, |c| c.is_alphanumeric() || c == '_');
                match &rest[word.len()..] {
                    after if after.starts_with('\'') => {
                        let (token, length) = quoted(word, after, position)?;
                        (token, word.len() + length)
                    }
                    _ => (Token::Word(word), word.len()),
                }
            }
            _ => {
                return Err(SyntaxError {
                    position,
                    expected: "no such character outside of quotes",
                });
            }
        };
        tokens.push((position, token));
        position += length;
    }
    Ok(tokens)
}

fn prefix(text: &str, belongs: impl Fn(char) -> bool) -> &str {
    let end = text.find(|c| !belongs(c)).unwrap_or(text.len());
    &text[..end]
}

/// A sign belongs to a number at its start and after the exponent's letter.
fn number(text: &str) -> &str {
    let mut previous = 'e';
    let end = text.find(|c: char| {
        let sign = (c == '-' || c == '+') && matches!(previous, 'e' | 'E');
        previous = c;
        !(sign || c.is_ascii_alphanumeric() || c == '.')
    });
    &text[..end.unwrap_or(text.len())]
}

/// A literal that starts at the quote in `text`, and its length in bytes.
fn quoted<'a>(
    kind: &'a str,
    text: &str,
    position: usize,
) -> Result<(Token<'a>, usize), SyntaxError> {
    let mut content = String::new();
    let mut end = 1;
    loop {
        let Some(quote) = text[end..].find('\'') else {
            return Err(SyntaxError {
                position,
                expected: "a closing quote is missing",
            });
        };
        content.push_str(&text[end..end + quote]);
        end += quote + 1;
        if !text[end..].starts_with('\'') {
            let text = content;
            return Ok((Token::Quoted { kind, text }, end));
        }
        content.push('\'');
        end += 1;
    }
}
