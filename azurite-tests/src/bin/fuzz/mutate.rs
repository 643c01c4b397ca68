//! Mutations of recorded inputs.

use azurite_tests::Dice;

/// What readers may stumble over.
const TOKENS: [&str; 24] = [
    "null",
    "true",
    "{}",
    "[]",
    "\"\"",
    "0",
    "-1",
    "-100",
    "2147483647",
    "-2147483648",
    "9999999999999999999",
    "1e999",
    "0.5",
    "\\ud800",
    "\\u0000",
    "é世",
    "\u{feff}",
    "'",
    "\"",
    "\\",
    "{\"a\":",
    "[[[[",
    "0001-01-01T00:00:00",
    "9999-12-31T23:59:59.9999999Z",
];

/// Where inputs fall into parts that can be moved as a whole.
const SEPARATORS: [&[u8]; 4] = [b"},{", b",", b"\n", b":"];

/// Longest input, in bytes; what grows beyond is cut.
const MAX_INPUT_BYTES: usize = 64 * 1024;

/// Draws inputs: the same seed draws the same.
pub(crate) struct Mutator(Dice);

impl Mutator {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(Dice::new(seed))
    }

    /// A recorded input with one to eight changes.
    pub(crate) fn next(&mut self, seeds: &[Vec<u8>]) -> Vec<u8> {
        let mut input = seeds[self.below(seeds.len())].clone();
        for _ in 0..=self.below(8) {
            self.change(&mut input, seeds);
        }
        input.truncate(MAX_INPUT_BYTES);
        input
    }

    fn change(&mut self, input: &mut Vec<u8>, seeds: &[Vec<u8>]) {
        match self.below(8) {
            0 => {
                let at = self.below(input.len().max(1));
                let bit = 1 << self.below(8);
                if let Some(byte) = input.get_mut(at) {
                    *byte ^= bit;
                }
            }
            1 => {
                let (from, to) = self.range(input.len());
                input.drain(from..to);
            }
            2 => {
                let (from, to) = self.range(input.len());
                let copy = input[from..to].to_vec();
                let at = self.below(input.len() + 1);
                input.splice(at..at, copy);
            }
            3 => {
                let other = &seeds[self.below(seeds.len())];
                let (from, to) = self.range(other.len());
                let at = self.below(input.len() + 1);
                input.splice(at..at, other[from..to].iter().copied());
            }
            4 => {
                let token = TOKENS[self.below(TOKENS.len())];
                let (from, to) = self.range(input.len());
                let to = if self.below(2) == 0 { from } else { to };
                input.splice(from..to, token.bytes());
            }
            5 => self.change_number(input),
            _ => self.change_parts(input),
        }
    }

    /// Puts another number in the place of one: most are ids.
    fn change_number(&mut self, input: &mut Vec<u8>) {
        let start = self.below(input.len().max(1));
        let digit = |byte: &u8| byte.is_ascii_digit();
        let Some(from) = input.iter().skip(start).position(digit) else {
            return;
        };
        let from = start + from;
        let length = input[from..].iter().take_while(|byte| digit(byte)).count();
        let number = self.below(12).to_string();
        input.splice(from..from + length, number.bytes());
    }

    /// Drops, doubles or swaps whole parts.
    fn change_parts(&mut self, input: &mut Vec<u8>) {
        let separator = SEPARATORS[self.below(SEPARATORS.len())];
        let mut parts: Vec<Vec<u8>> = Vec::new();
        let mut rest = input.as_slice();
        while let Some(at) = rest.windows(separator.len()).position(|w| w == separator) {
            parts.push(rest[..at].to_vec());
            rest = &rest[at + separator.len()..];
        }
        parts.push(rest.to_vec());
        let (one, other) = (self.below(parts.len()), self.below(parts.len()));
        match self.below(3) {
            0 => drop(parts.remove(one)),
            1 => parts.insert(other, parts[one].clone()),
            _ => parts.swap(one, other),
        }
        *input = parts.join(separator);
    }

    fn range(&mut self, length: usize) -> (usize, usize) {
        let from = self.below(length + 1);
        let longest = (length - from).min(1 << self.below(10));
        (from, from + self.below(longest + 1))
    }

    /// A number below `end`, which is not 0.
    fn below(&mut self, end: usize) -> usize {
        self.0.below(end)
    }
}
