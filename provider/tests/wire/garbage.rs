//! Mutated recordings: whatever comes in, nothing panics, and what can be read stays what it is.

use durabletask_azurestorage::wire::{fuzz, message};

use crate::golden;

/// A small generator of numbers (xorshift), so that runs repeat.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % u64::try_from(limit.max(1)).unwrap()).unwrap()
    }
}

/// Changes a few places: bytes, whole tokens, pieces copied or cut.
fn mutate(seed: &[u8], numbers: &mut Numbers) -> Vec<u8> {
    const TOKENS: [&str; 14] = [
        "\"", "\\", "\\ud800", "\\u00", "{", "}", "[", "]", ",", ":", "null", "-1e9", "$type",
        "\u{FFFE}",
    ];
    let mut data = seed.to_vec();
    for _ in 0..=numbers.below(4) {
        let at = numbers.below(data.len());
        let to = (at + numbers.below(40)).min(data.len());
        match numbers.below(5) {
            0 => drop(data.drain(at..to)),
            1 => {
                let token = TOKENS[numbers.below(TOKENS.len())];
                data.splice(at..at, token.bytes());
            }
            2 => {
                let piece = data[at..to].to_vec();
                data.splice(at..at, piece);
            }
            3 => data.truncate(to),
            _ => {
                if let Some(byte) = data.get_mut(at) {
                    *byte ^= 1 << numbers.below(8);
                }
            }
        }
    }
    data
}

fn run(seeds: &[Vec<u8>], target: fn(&[u8])) {
    assert!(seeds.len() >= 50, "{} seeds", seeds.len());
    let mut numbers = Numbers(0x2026_1121);
    for seed in seeds {
        target(seed);
    }
    for _ in 0..20_000 {
        let seed = &seeds[numbers.below(seeds.len())];
        target(&mutate(seed, &mut numbers));
    }
}

#[test]
fn mutated_messages() {
    let mut seeds = Vec::new();
    for scenario in [
        "hello",
        "tags",
        "fails",
        "timer",
        "entity-call",
        "hello-base64",
        "ext-fails",
    ] {
        for request in golden::requests(scenario) {
            for text in request.message_texts() {
                // Inside Base64, mutations would only spoil the Base64.
                seeds.push(
                    message::from_queue_text(&text)
                        .unwrap()
                        .into_owned()
                        .into_bytes(),
                );
            }
        }
    }
    run(&seeds, fuzz::fuzz_message);
}

/// Recorded rows of the tables whose name ends so, as seeds.
fn rows(table: &str) -> Vec<Vec<u8>> {
    let hubs = golden::hubs();
    let tables = hubs
        .iter()
        .flat_map(|scenario| golden::hub(scenario).tables);
    let tables = tables.filter(|(name, _)| name.ends_with(table));
    let rows = tables.flat_map(|(_, rows)| rows);
    rows.map(|row| fuzz::row_text(&row).into_bytes()).collect()
}

#[test]
fn mutated_history_rows() {
    run(&rows("History"), fuzz::fuzz_history_row);
}

#[test]
fn mutated_instance_rows() {
    run(&rows("Instances"), fuzz::fuzz_instance_row);
}

#[test]
fn mutated_names() {
    let keys = rows("Instances");
    run(&keys, fuzz::fuzz_names);
}
