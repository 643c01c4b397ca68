//! Header lines as JSON: `{"Accept":"text/plain","X-Multi":["a","b"]}`.

use serde::de::Error as _;
use serde::ser::SerializeMap as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};

/// Headers in the order in which they were added. Names compare without regard to case.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HttpHeaders(Vec<(String, Vec<String>)>);

impl HttpHeaders {
    /// The first value of that header.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.values(name).first().map(String::as_str)
    }

    /// All values of that header.
    pub fn values(&self, name: &str) -> &[String] {
        let mut lines = self.0.iter();
        let line = lines.find(|(known, _)| known.eq_ignore_ascii_case(name));
        line.map_or(&[], |(_, values)| values)
    }

    /// Names with their values.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[String])> {
        self.0.iter().map(|(name, values)| (&**name, &**values))
    }

    /// Adds a value to those of that header.
    pub fn add(&mut self, name: impl Into<String>, value: impl Into<String>) {
        let (name, value) = (name.into(), value.into());
        let mut lines = self.0.iter_mut();
        match lines.find(|(known, _)| known.eq_ignore_ascii_case(&name)) {
            Some((_, values)) => values.push(value),
            None => self.0.push((name, vec![value])),
        }
    }

    pub(super) fn remove(&mut self, name: &str) {
        self.0
            .retain(|(known, _)| !known.eq_ignore_ascii_case(name));
    }
}

impl Serialize for HttpHeaders {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, values) in &self.0 {
            match values.as_slice() {
                [only] => map.serialize_entry(name, only)?,
                several => map.serialize_entry(name, several)?,
            }
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for HttpHeaders {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let lines = Option::<Map<String, Value>>::deserialize(deserializer)?;
        let mut headers = Self::default();
        for (name, value) in lines.unwrap_or_default() {
            let values = match value {
                Value::Array(values) => values,
                one => vec![one],
            };
            for value in values {
                match value {
                    Value::String(value) => headers.add(&name, value),
                    Value::Null => {}
                    _ => return Err(D::Error::custom(format!("header '{name}' is no text"))),
                }
            }
        }
        Ok(headers)
    }
}
