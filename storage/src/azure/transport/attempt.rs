//! One attempt: stamp, sign, send, read.

use std::borrow::Cow;
use std::error::Error as _;
use std::time::Duration;

use bytes::Bytes;
use durabletask_core::http_date;
use reqwest::Url;

use super::failure::{self, ServiceError};
use super::request::{Answer, Request};
use super::{API_VERSION, Authorization, Transport};
use crate::azure::connection::is_loopback;
use crate::error::{ErrorKind, StorageError};

/// How one attempt ended.
pub(super) enum Outcome {
    /// 2xx.
    Done(Answer),
    /// Answered for good.
    Refused(StorageError),
    /// Worth another attempt.
    Failed(Failure),
}

/// Whether storage can have seen the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sent {
    /// There was no connection.
    No,
    /// Storage says that it did not begin the work.
    Rejected,
    /// It may have been carried out.
    Maybe,
}

/// An attempt without a usable answer.
pub(super) struct Failure {
    pub(super) sent: Sent,
    /// What it means if there is no further attempt and no attempt can have had an effect.
    pub(super) kind: ErrorKind,
    /// A further attempt would fail the same way.
    pub(super) last: bool,
    pub(super) status: Option<u16>,
    pub(super) code: Option<String>,
    pub(super) retry_after: Option<Duration>,
    pub(super) detail: String,
    pub(super) source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// One attempt of a request.
struct Attempt<'a> {
    request: &'a Request,
    limit: Duration,
    /// From 1.
    number: u32,
    /// By the monotonic clock.
    began: Duration,
}

impl Transport {
    /// Sends the request once, newly dated and signed.
    pub(super) async fn attempt(&self, request: &Request, limit: Duration, number: u32) -> Outcome {
        let attempt = Attempt {
            request,
            limit,
            number,
            began: self.env.monotonic(),
        };
        match self.build(request, limit).await {
            Ok(built) => self.exchange(&attempt, built).await,
            Err(outcome) => outcome,
        }
    }

    /// The HTTP request with date, version and proof of identity.
    async fn build(&self, request: &Request, limit: Duration) -> Result<reqwest::Request, Outcome> {
        let mut headers = request.headers.clone();
        let date = http_date::format(self.env.now());
        headers.push((Cow::Borrowed("x-ms-date"), date.clone()));
        headers.push((Cow::Borrowed("x-ms-version"), API_VERSION.to_owned()));
        let signature = match &self.authorization {
            Authorization::Sas(signature) => Some(signature.expose()),
            _ => None,
        };
        let address = request.url(self.endpoint(request.service), signature);
        let url = Url::parse(&address)
            .map_err(|error| invalid(request, "the name makes no address").map_source(error))?;
        match &self.authorization {
            Authorization::Sas(_) => {}
            Authorization::SharedKey(key) => {
                let proof = key.authorization(request, url.path(), &date, &headers);
                headers.push((Cow::Borrowed("authorization"), proof));
            }
            Authorization::Token(tokens) => match tokens.authorization().await {
                Ok(token) => {
                    headers.push((Cow::Borrowed("authorization"), token.as_ref().to_owned()));
                }
                Err(error) => return Err(no_token(request, error)),
            },
        }
        let mut builder = self
            .http
            .request(request.method.clone(), url)
            .timeout(limit)
            .header("content-length", request.body.len());
        for (name, value) in &headers {
            builder = builder.header(name.as_ref(), value);
        }
        if !request.body.is_empty() {
            builder = builder.body(request.body.clone());
        }
        builder.build().map_err(|error| {
            invalid(request, "an argument cannot be sent in a header")
                .map_source(error.without_url())
        })
    }

    async fn exchange(&self, attempt: &Attempt<'_>, built: reqwest::Request) -> Outcome {
        let response = match self.http.execute(built).await {
            Ok(response) => response,
            Err(error) => return Outcome::Failed(self.unanswered(attempt, error)),
        };
        let status = response.status().as_u16();
        let headers = response.headers().clone();
        let date = headers.get("date").and_then(|date| date.to_str().ok());
        if let Some(date) = date.and_then(http_date::parse) {
            self.clock
                .observe(date, attempt.began, self.env.monotonic());
        }
        let body: Bytes = match response.bytes().await {
            Ok(body) => body,
            Err(error) => return Outcome::Failed(self.unanswered(attempt, error)),
        };
        let request = attempt.request;
        tracing::debug!(
            method = request.method.as_str(),
            resource = request.resource,
            status,
            request_id = headers
                .get("x-ms-request-id")
                .and_then(|id| id.to_str().ok()),
            attempt = attempt.number,
            elapsed_ms = self.elapsed_ms(attempt),
            "storage answered"
        );
        let answer = Answer {
            status,
            headers,
            body,
        };
        let answer = match request.unwrap {
            Some(unwrap) => unwrap(answer),
            None => answer,
        };
        self.judge(request, answer)
    }

    fn elapsed_ms(&self, attempt: &Attempt<'_>) -> u64 {
        let elapsed = self.env.monotonic().saturating_sub(attempt.began);
        u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX)
    }

    fn judge(&self, request: &Request, answer: Answer) -> Outcome {
        if answer.is_success() {
            return Outcome::Done(answer);
        }
        let error = ServiceError::read(&answer);
        if answer.status == 401
            && let Authorization::Token(tokens) = &self.authorization
        {
            tokens.invalidate();
        }
        if !failure::is_passing(answer.status) {
            return Outcome::Refused(failure::refusal(request, &answer, error));
        }
        let throttling = failure::is_throttling(answer.status, &error);
        let (sent, kind, detail) = if throttling {
            let detail = "storage asked for a slower pace";
            (Sent::Rejected, ErrorKind::Throttled, detail)
        } else {
            let detail = "storage answered that it could not finish";
            (Sent::Maybe, ErrorKind::Unreachable, detail)
        };
        Outcome::Failed(Failure {
            sent,
            kind,
            last: false,
            status: Some(answer.status),
            code: error.code,
            retry_after: failure::retry_after(&answer),
            detail: detail.to_owned(),
            source: None,
        })
    }

    /// A failure without an answer. Addresses in it carry no query: that may hold a signature.
    fn unanswered(&self, attempt: &Attempt<'_>, error: reqwest::Error) -> Failure {
        let request = attempt.request;
        let endpoint = self.endpoint(request.service);
        let error = error.without_url();
        let (sent, detail) = if error.is_connect() {
            let advice = if is_loopback(endpoint) {
                "; is the emulator running?"
            } else {
                ""
            };
            let cause = root_cause(&error);
            let detail = format!("no connection to {endpoint} ({cause}){advice}");
            (Sent::No, detail)
        } else if error.is_timeout() {
            let detail = format!("no answer from {endpoint} within {:?}", attempt.limit);
            (Sent::Maybe, detail)
        } else {
            let cause = root_cause(&error);
            (
                Sent::Maybe,
                format!("the connection to {endpoint} broke ({cause})"),
            )
        };
        tracing::debug!(
            method = request.method.as_str(),
            resource = request.resource,
            attempt = attempt.number,
            elapsed_ms = self.elapsed_ms(attempt),
            reason = detail,
            "storage did not answer"
        );
        Failure {
            sent,
            kind: ErrorKind::Unreachable,
            last: false,
            status: None,
            code: None,
            retry_after: None,
            detail,
            source: Some(error.into()),
        }
    }
}

/// The innermost cause, which is the one that people understand.
fn root_cause(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}

fn invalid(request: &Request, detail: &str) -> InvalidRequest {
    InvalidRequest(
        StorageError::new(
            ErrorKind::Invalid,
            request.operation,
            request.resource.clone(),
        )
        .with_detail(detail),
    )
}

struct InvalidRequest(StorageError);

impl InvalidRequest {
    fn map_source(self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Outcome {
        Outcome::Refused(self.0.with_source(source))
    }
}

/// Nothing was sent, because there is no token.
fn no_token(request: &Request, error: StorageError) -> Outcome {
    Outcome::Failed(Failure {
        sent: Sent::No,
        kind: error.kind(),
        last: error.kind() != ErrorKind::Unreachable,
        status: None,
        code: None,
        retry_after: None,
        detail: format!("{} needs a token: {error}", request.operation),
        source: error.source().is_some().then(|| error.into()),
    })
}
