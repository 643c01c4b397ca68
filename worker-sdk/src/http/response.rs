//! What came back.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize};

use super::HttpHeaders;
use crate::{Result, payload};

/// The answer to an HTTP request. Every status code is an answer, unless the request asked for
/// retries.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HttpResponse {
    /// Such as 200.
    pub status_code: u16,
    /// Its headers, but not those about the content (`Content-Type` and so on), which Durable
    /// Functions leaves out.
    #[serde(default)]
    pub headers: HttpHeaders,
    /// The body as text, empty if there is none. Bytes that are not UTF-8 are lost.
    #[serde(default, deserialize_with = "text_or_null")]
    pub content: String,
}

impl HttpResponse {
    /// Whether the status code is 2xx.
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status_code)
    }

    /// The content, which is JSON.
    pub fn json<T: DeserializeOwned + 'static>(&self) -> Result<T> {
        payload::read(Some(&self.content), || {
            format!("the content of an HTTP answer ({})", self.status_code)
        })
    }
}

fn text_or_null<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    Option::<String>::deserialize(deserializer).map(Option::unwrap_or_default)
}
