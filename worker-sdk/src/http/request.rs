//! What is asked.

use std::time::Duration;

use durabletask_core::{replay, time_span};
use reqwest::Url;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

use super::HttpHeaders;
use crate::{Failure, Result, RetryPolicy, payload};

/// `TimeSpan.MaxValue` and Durable Functions' longest pause: what .NET writes for "no limit".
const NO_TIMEOUT: &str = "10675199.02:48:05.4775807";
const NO_MAX_INTERVAL: &str = "6.00:00:00";

/// An HTTP request of an orchestrator.
///
/// ```
/// use std::time::Duration;
///
/// use durabletask_worker::prelude::*;
/// use durabletask_worker::HttpRequest;
///
/// #[orchestrator]
/// async fn deploy(ctx: OrchestrationContext, machine: String) -> Result<bool> {
///     let uri = format!("https://management.azure.com/{machine}/restart");
///     let request = HttpRequest::post(uri)
///         .managed_identity("https://management.core.windows.net/")
///         .timeout(Duration::from_secs(30));
///     // Answers of 202 are followed up until there is another one.
///     Ok(ctx.call_http(request).await?.is_success())
/// }
/// ```
#[derive(Debug, Clone)]
#[must_use]
pub struct HttpRequest {
    pub(super) wire: WireRequest,
    pub(crate) retry: Option<RetryPolicy>,
}

impl HttpRequest {
    /// A request with that verb to that address, which is absolute.
    pub fn new(method: impl Into<String>, uri: impl Into<String>) -> Self {
        let wire = WireRequest {
            method: method.into(),
            uri: uri.into(),
            headers: HttpHeaders::default(),
            content: None,
            token_source: None,
            polls: true,
            retry_options: None,
            timeout: None,
        };
        Self { wire, retry: None }
    }

    /// A GET request.
    pub fn get(uri: impl Into<String>) -> Self {
        Self::new("GET", uri)
    }

    /// A POST request.
    pub fn post(uri: impl Into<String>) -> Self {
        Self::new("POST", uri)
    }

    /// Adds a header. It is kept in the queue message of the request: put no secrets there that
    /// readers of the task hub must not see, use [`token`](Self::token).
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.wire.headers.add(name, value);
        self
    }

    /// Sends that text, as `text/plain` unless a `Content-Type` is given. `multipart` is refused.
    pub fn content(mut self, content: impl Into<String>) -> Self {
        self.wire.content = Some(content.into());
        self
    }

    /// Sends that value as `application/json`.
    pub fn json(self, value: impl Serialize) -> Result<Self> {
        let content = payload::write(&value, || "the content of an HTTP request".to_owned())?;
        Ok(self
            .header("Content-Type", "application/json")
            .content(content))
    }

    /// Sends a bearer token for that resource, got by the identity of whichever worker sends the
    /// request.
    pub fn managed_identity(self, resource: impl Into<String>) -> Self {
        self.token(TokenSource::new(resource))
    }

    /// Sends a bearer token from there.
    pub fn token(mut self, source: TokenSource) -> Self {
        self.wire.token_source = Some(source);
        self
    }

    /// Returns an answer of 202 as it is, instead of asking at its `Location` until there is
    /// another one.
    pub fn without_polling(mut self) -> Self {
        self.wire.polls = false;
        self
    }

    /// Sends it again if it fails: if there is no answer in time, or the answer is not 2xx, or is
    /// of one of these [`status_codes`](Self::retried_status_codes). Polls are not retried.
    pub fn retry(mut self, policy: RetryPolicy) -> Self {
        let given = self.wire.retry_options.take();
        let status_codes = given
            .map(|options| options.status_codes)
            .unwrap_or_default();
        self.wire.retry_options = Some(WireRetry::new(policy.policy(), status_codes));
        self.retry = Some(policy);
        self
    }

    /// With [`retry`](Self::retry): only these status codes are failures.
    pub fn retried_status_codes(mut self, codes: impl IntoIterator<Item = u16>) -> Self {
        if let Some(options) = &mut self.wire.retry_options {
            options.status_codes = codes.into_iter().collect();
        }
        self
    }

    /// How long each request may take, its answer included. Without, 240 s.
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.wire.timeout = Some(limit);
        self
    }

    /// Its address, if it is one that can be asked.
    pub(crate) fn url(&self) -> Result<Url> {
        web_address(&self.wire.uri).ok_or_else(|| {
            let message = format!("'{}' is no absolute http or https address", self.wire.uri);
            Failure::new("System.UriFormatException", message).non_retriable()
        })
    }
}

/// An absolute http or https address.
pub(super) fn web_address(text: &str) -> Option<Url> {
    let url = Url::parse(text).ok()?;
    ["http", "https"].contains(&url.scheme()).then_some(url)
}

/// Where a bearer token comes from: the identity of the worker or Functions host that sends the
/// request (`AzureManagedIdentity`).
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub struct TokenSource {
    pub(super) resource: String,
    pub(super) options: TokenOptions,
}

/// .NET keeps them as a JSON text in the JSON.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct TokenOptions {
    #[serde(rename = "authorityhost")]
    pub(super) authority_host: Option<String>,
    #[serde(rename = "tenantid")]
    pub(super) tenant_id: Option<String>,
}

impl TokenSource {
    /// Tokens for that resource. `https://management.core.windows.net` and
    /// `https://graph.microsoft.com` get `/.default` appended, any other is the scope as it is.
    pub fn new(resource: impl Into<String>) -> Self {
        Self {
            resource: resource.into(),
            options: TokenOptions::default(),
        }
    }

    /// From that tenant.
    pub fn tenant(mut self, tenant_id: impl Into<String>) -> Self {
        self.options.tenant_id = Some(tenant_id.into());
        self
    }

    /// From that Entra ID, such as `https://login.microsoftonline.us/`. Rust workers know those of
    /// Azure's public, government and China clouds.
    pub fn authority_host(mut self, address: impl Into<String>) -> Self {
        self.options.authority_host = Some(address.into());
        self
    }
}

#[derive(Serialize, Deserialize)]
struct WireTokenSource {
    #[serde(default)]
    kind: Value,
    #[serde(default)]
    resource: String,
    #[serde(default)]
    options: Value,
}

const MANAGED_IDENTITY: &str = "AzureManagedIdentity";

impl Serialize for TokenSource {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let options = if self.options == TokenOptions::default() {
            Value::Null
        } else {
            let text = serde_json::to_string(&self.options);
            text.map_err(serde::ser::Error::custom)?.into()
        };
        WireTokenSource {
            kind: MANAGED_IDENTITY.into(),
            resource: self.resource.clone(),
            options,
        }
        .serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for TokenSource {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let wire = WireTokenSource::deserialize(deserializer)?;
        if wire.kind != MANAGED_IDENTITY {
            return Err(D::Error::custom(format!(
                "token sources of kind {} are not supported, only {MANAGED_IDENTITY}",
                wire.kind
            )));
        }
        let options = match wire.options {
            Value::String(text) if text.is_empty() => Ok(None),
            Value::String(text) => serde_json::from_str(&text),
            object => serde_json::from_value(object),
        };
        Ok(Self {
            resource: wire.resource,
            options: options.map_err(D::Error::custom)?.unwrap_or_default(),
        })
    }
}

/// `DurableHttpRequest`, its members in the order in which .NET writes them (recorded: ext-http).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct WireRequest {
    #[serde(default = "get", deserialize_with = "verb_or_get")]
    pub(super) method: String,
    pub(super) uri: String,
    #[serde(default)]
    pub(super) headers: HttpHeaders,
    #[serde(default)]
    pub(super) content: Option<String>,
    #[serde(default)]
    pub(super) token_source: Option<TokenSource>,
    /// Python does not write it, and .NET reads that as false.
    #[serde(default, rename = "asynchronousPatternEnabled")]
    pub(super) polls: bool,
    #[serde(default)]
    pub(super) retry_options: Option<WireRetry>,
    #[serde(default, with = "span")]
    pub(super) timeout: Option<Duration>,
}

/// `HttpRetryOptions`. The activity only looks at the status codes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct WireRetry {
    first_retry_interval: String,
    max_retry_interval: String,
    backoff_coefficient: f64,
    retry_timeout: String,
    max_number_of_attempts: u32,
    #[serde(rename = "StatusCodesToRetry")]
    pub(super) status_codes: Vec<u16>,
}

impl Default for WireRetry {
    fn default() -> Self {
        Self::new(&replay::RetryPolicy::new(1, Duration::ZERO), Vec::new())
    }
}

impl WireRetry {
    fn new(policy: &replay::RetryPolicy, status_codes: Vec<u16>) -> Self {
        let span = |span: Option<Duration>, none: &str| match span {
            Some(span) => time_span::text(span),
            None => none.to_owned(),
        };
        Self {
            first_retry_interval: time_span::text(policy.first_interval),
            max_retry_interval: span(policy.max_interval, NO_MAX_INTERVAL),
            backoff_coefficient: policy.backoff_coefficient,
            retry_timeout: span(policy.timeout, NO_TIMEOUT),
            max_number_of_attempts: policy.max_attempts,
            status_codes,
        }
    }
}

/// Anything but a text means GET, as in .NET.
fn verb_or_get<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    Ok(match Value::deserialize(deserializer)? {
        Value::String(verb) => verb,
        _ => get(),
    })
}

fn get() -> String {
    "GET".to_owned()
}

/// `hh:mm:ss`, or null.
mod span {
    use super::{Deserialize, Deserializer, Duration, Serialize, Serializer, time_span};

    #[allow(clippy::ref_option, reason = "serde calls it so")]
    pub(super) fn serialize<S: Serializer>(
        span: &Option<Duration>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        span.map(time_span::text).serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Duration>, D::Error> {
        let Some(text) = Option::<String>::deserialize(deserializer)? else {
            return Ok(None);
        };
        // .NET's "infinite" is negative.
        if text.starts_with('-') {
            return Ok(None);
        }
        let span = time_span::parse(&text);
        span.map(Some).ok_or_else(|| {
            serde::de::Error::custom(format!("'{text}' is no time span such as 00:00:30"))
        })
    }
}
