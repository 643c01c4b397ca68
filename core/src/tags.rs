//! String maps that keep the order in which they were written.

/// Bytes of tag text that fit: they are written inline into rows, and more would make a commit
/// fail for ever (chapter 03 §4.5).
pub const MAX_TAG_BYTES: usize = 30 * 1024;

/// Tags of an orchestration or task: few entries, in wire order, keys distinct.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tags(Vec<(String, String)>);

impl Tags {
    /// No tags.
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// The value under `key`, compared exactly.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(name, _)| name == key)
            .map(|(_, value)| value.as_str())
    }

    /// Sets `key`; a new key goes to the end.
    pub fn insert(&mut self, key: impl Into<String>, value: impl Into<String>) {
        let (key, value) = (key.into(), value.into());
        match self.0.iter_mut().find(|(name, _)| *name == key) {
            Some(entry) => entry.1 = value,
            None => self.0.push((key, value)),
        }
    }

    /// Entries in wire order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0
            .iter()
            .map(|(key, value)| (key.as_str(), value.as_str()))
    }

    /// Bytes of all keys and values as they are stored, in JSON.
    pub fn text_bytes(&self) -> usize {
        self.iter()
            .map(|(key, value)| json_bytes(key) + json_bytes(value))
            .sum()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }
}

impl<K: Into<String>, V: Into<String>> FromIterator<(K, V)> for Tags {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(entries: I) -> Self {
        let mut tags = Self::new();
        for (key, value) in entries {
            tags.insert(key, value);
        }
        tags
    }
}

/// Bytes of a text in JSON, with its quotes and what separates it from the next.
fn json_bytes(text: &str) -> usize {
    let byte = |byte| match byte {
        b'"' | b'\\' => 2,
        0..b' ' => 6,
        _ => 1,
    };
    text.bytes().map(byte).sum::<usize>() + 3
}
