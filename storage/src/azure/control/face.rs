//! Our transport as the HTTP client of the crates.

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};

use async_trait::async_trait;
use azure_core::error::ErrorKind as CoreErrorKind;
use azure_core::headers::Headers;
use azure_core::{Body, BytesStream, Error, HttpClient, StatusCode};
use reqwest::Method;

use super::Call;
use crate::azure::transport::{Answer, Request, Transport};
use crate::error::{ErrorKind, StorageError};

/// Headers that the transport makes itself.
const OWN_HEADERS: [&str; 5] = [
    "x-ms-date",
    "x-ms-version",
    "authorization",
    "content-length",
    "user-agent",
];

/// Carries one call, and remembers the status of its last success.
#[derive(Debug)]
pub(super) struct Face {
    transport: Arc<Transport>,
    call: Call,
    /// 0 until there is one.
    status: AtomicU16,
}

impl Face {
    pub(super) fn new(transport: Arc<Transport>, call: Call) -> Self {
        Self {
            transport,
            call,
            status: AtomicU16::new(0),
        }
    }

    pub(super) fn call(&self) -> &Call {
        &self.call
    }

    /// The status of the last answer, if it was 2xx.
    pub(super) fn status(&self) -> Option<u16> {
        match self.status.load(Ordering::Relaxed) {
            0 => None,
            status => Some(status),
        }
    }

    /// The crate's request as one of ours.
    fn translate(&self, request: &azure_core::Request) -> Result<Request, StorageError> {
        let invalid = |detail: &str| self.call.error(ErrorKind::Invalid).with_detail(detail);
        let method = Method::from_bytes(request.method().as_ref().as_bytes())
            .map_err(|error| invalid("an unknown method").with_source(error))?;
        let endpoint = self.transport.endpoint(self.call.service);
        let base = azure_core::Url::parse(endpoint)
            .map_err(|error| invalid("the endpoint is malformed").with_source(error))?;
        let path = request
            .url()
            .path()
            .strip_prefix(base.path().trim_end_matches('/'))
            .ok_or_else(|| invalid("the name leads out of the account"))?;
        let mut translated = Request::new(
            self.call.service,
            method,
            path.to_owned(),
            self.call.repeat,
            self.call.operation,
            self.call.resource.clone(),
        );
        translated.lease = self.call.lease;
        translated.query = request
            .url()
            .query_pairs()
            .map(|(name, value)| (Cow::Owned(name.into_owned()), value.into_owned()))
            .collect();
        translated.headers = request
            .headers()
            .iter()
            .filter(|(name, _)| !OWN_HEADERS.contains(&name.as_str()))
            .map(|(name, value)| {
                (
                    Cow::Owned(name.as_str().to_owned()),
                    value.as_str().to_owned(),
                )
            })
            .collect();
        match request.body() {
            Body::Bytes(body) => translated.body = body.clone(),
            Body::SeekableStream(_) => return Err(invalid("the body has no known size")),
        }
        Ok(translated)
    }
}

#[async_trait]
impl HttpClient for Face {
    async fn execute_request(
        &self,
        request: &azure_core::Request,
    ) -> azure_core::Result<azure_core::Response> {
        self.status.store(0, Ordering::Relaxed);
        let carry = |error: StorageError| Error::new(CoreErrorKind::Other, error);
        let translated = self.translate(request).map_err(carry)?;
        let Answer {
            status,
            headers,
            body,
        } = self.transport.send(translated).await.map_err(carry)?;
        self.status.store(status, Ordering::Relaxed);
        let status = StatusCode::try_from(status)
            .map_err(|_| Error::message(CoreErrorKind::Other, "an unknown status"))?;
        let mut copied = Headers::new();
        for (name, value) in &headers {
            if let Ok(value) = value.to_str() {
                copied.insert(name.as_str().to_owned(), value.to_owned());
            }
        }
        let stream = Box::pin(BytesStream::new(body));
        Ok(azure_core::Response::new(status, copied, stream))
    }
}
