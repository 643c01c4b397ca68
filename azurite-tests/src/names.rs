//! Names that no other test uses.

use durabletask_storage::Env;

/// Letters and digits taken over from a test's name.
const MAX_STEM_CHARS: usize = 24;
/// Hexadecimal digits that make a name unique: 48 bits.
const UNIQUE_DIGITS: usize = 12;

/// A valid task hub name that nobody else uses: `t`, the letters and digits of `name` in lower
/// case, and a random part; at most 37 characters.
pub fn unique_hub(name: &str) -> String {
    unique_name(name)
}

/// A name that is valid for hubs, tables, queues and containers alike.
pub fn unique_name(name: &str) -> String {
    let stem: String = name
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .take(MAX_STEM_CHARS)
        .collect::<String>()
        .to_ascii_lowercase();
    let unique = Env::system().new_uuid().simple().to_string();
    format!("t{stem}{}", &unique[..UNIQUE_DIGITS])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_valid_and_unique() {
        let name = unique_hub("Fan-out: 100 activities, and a very long title");
        assert!(name.starts_with("tfanout100activities"), "{name}");
        assert!((3..=45).contains(&name.len()));
        assert!(
            name.bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
        );
        assert_ne!(
            name,
            unique_hub("Fan-out: 100 activities, and a very long title")
        );
    }
}
