//! Keys as bytes whose order is the service's: by UTF-16 code unit, not by code point.
//!
//! UTF-8 sorts by code point. The two orders differ only in that UTF-16 puts U+10000 and above
//! (surrogates, D800 to DFFF) before U+E000 to U+FFFF. In UTF-8 the latter start with the bytes EE
//! and EF, the former with F0 to F4: lifting EE and EF to FE and FF, which UTF-8 never uses, puts
//! them last. Everything else stays as it is.

use super::failure::{Failure, Result};

pub(super) fn encode(key: &str) -> Vec<u8> {
    key.bytes().map(lift).collect()
}

pub(super) fn decode(stored: &[u8]) -> Result<String> {
    let bytes = stored
        .iter()
        .map(|&byte| if byte >= 0xFE { byte - 0x10 } else { byte })
        .collect();
    String::from_utf8(bytes).map_err(|_| Failure::corrupt("a key is not UTF-8"))
}

/// Compares two texts as the service does.
pub(super) fn compare(left: &str, right: &str) -> std::cmp::Ordering {
    left.bytes().map(lift).cmp(right.bytes().map(lift))
}

const fn lift(byte: u8) -> u8 {
    // Continuation bytes are below C0, so that only lead bytes are met.
    if byte == 0xEE || byte == 0xEF {
        byte + 0x10
    } else {
        byte
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn order_is_that_of_utf16_units(left in "\\PC{0,4}", right in "\\PC{0,4}") {
            let expected = left.encode_utf16().cmp(right.encode_utf16());
            prop_assert_eq!(encode(&left).cmp(&encode(&right)), expected);
            prop_assert_eq!(compare(&left, &right), expected);
            prop_assert_eq!(decode(&encode(&left)).unwrap(), left);
        }
    }

    #[test]
    fn supplementary_planes_come_before_private_use() {
        let mut keys = ["\u{e000}", "\u{10000}", "\u{ffff}", "\u{d7ff}", "a"];
        keys.sort_by_key(|key| encode(key));
        assert_eq!(keys, ["a", "\u{d7ff}", "\u{10000}", "\u{e000}", "\u{ffff}"]);
    }
}
