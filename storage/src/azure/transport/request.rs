//! What is sent to storage and what comes back, without any credential in it.

use std::borrow::Cow;
use std::fmt::{self, Write};

use bytes::Bytes;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::Method;
use reqwest::header::HeaderMap;

use crate::azure::connection::Service;

/// What RFC 3986 leaves unencoded everywhere.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');

/// Percent-encodes one path segment or query value.
pub(crate) fn encode(text: &str) -> impl fmt::Display + '_ {
    utf8_percent_encode(text, ENCODED)
}

/// What a repetition of the identical request does, which decides how it may be retried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Repeat {
    /// Changes nothing that a later attempt would miss (receiving messages counts: a lost answer
    /// hides them until their visibility ends).
    Read,
    /// Leaves the same state, however often it runs.
    Idempotent,
    /// May add the message once more; receivers drop duplicates.
    PutMessage,
    /// Is refused the second time: 404, 409 or 412 may then be the echo of our own first write.
    Conditional,
}

impl Repeat {
    /// Whether a request that was sent and not answered leaves the outcome open.
    pub(crate) const fn has_effect(self) -> bool {
        !matches!(self, Self::Read)
    }
}

/// One storage operation. The identical request is sent in each attempt; only date and signature
/// are made anew.
#[derive(Clone)]
pub(crate) struct Request {
    pub(crate) service: Service,
    pub(crate) method: Method,
    /// Percent-encoded, from the slash after the endpoint on.
    pub(crate) path: String,
    /// Not encoded.
    pub(crate) query: Vec<(Cow<'static, str>, String)>,
    /// Names in lower case, no `x-ms-date`, `x-ms-version` or `authorization`.
    pub(crate) headers: Vec<(Cow<'static, str>, String)>,
    pub(crate) body: Bytes,
    pub(crate) repeat: Repeat,
    /// The trait method's name.
    pub(crate) operation: &'static str,
    /// Queue, table, or container and blob.
    pub(crate) resource: String,
    /// Leases must not wait behind other work: they bypass the concurrency limit and give up
    /// early.
    pub(crate) lease: bool,
    /// Finds the real answer inside of the one that came (failed transactions are wrapped in a
    /// 202).
    pub(crate) unwrap: Option<fn(Answer) -> Answer>,
}

impl Request {
    pub(crate) fn new(
        service: Service,
        method: Method,
        path: String,
        repeat: Repeat,
        operation: &'static str,
        resource: impl Into<String>,
    ) -> Self {
        Self {
            service,
            method,
            path,
            query: Vec::new(),
            headers: Vec::new(),
            body: Bytes::new(),
            repeat,
            operation,
            resource: resource.into(),
            lease: false,
            unwrap: None,
        }
    }

    pub(crate) fn query(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.query.push((Cow::Borrowed(name), value.into()));
        self
    }

    pub(crate) fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((Cow::Borrowed(name), value.into()));
        self
    }

    pub(crate) fn body(mut self, content_type: &'static str, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self.header("content-type", content_type)
    }

    /// The address below `endpoint`, with `signature` (a SAS) at the end of the query.
    pub(super) fn url(&self, endpoint: &str, signature: Option<&str>) -> String {
        let mut url = String::with_capacity(endpoint.len() + self.path.len() + 64);
        url.push_str(endpoint);
        url.push_str(&self.path);
        let mut separator = '?';
        for (name, value) in &self.query {
            // Writing to a String cannot fail.
            let _ = write!(url, "{separator}{name}={}", encode(value));
            separator = '&';
        }
        if let Some(signature) = signature {
            url.push(separator);
            url.push_str(signature);
        }
        url
    }
}

impl fmt::Debug for Request {
    /// Neither query nor headers nor body.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("operation", &self.operation)
            .field("resource", &self.resource)
            .finish_non_exhaustive()
    }
}

/// What came back, body included.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    pub(crate) fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answer")
            .field("status", &self.status)
            .field("bytes", &self.body.len())
            .finish_non_exhaustive()
    }
}
