//! Sends the request (chapter 05 §8.3).

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use durabletask_core::{FailureDetails, HTTP_ACTIVITY_NAME, time_span};
use durabletask_storage::azure::{Authority, ServiceTokens, web_client};
use durabletask_storage::{Env, StorageError};
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Client, Method, Request, Response, StatusCode};

use super::request::{WireRequest, WireRetry, web_address};
use super::{HttpHeaders, HttpResponse, TokenSource};
use crate::failure::{HTTP_NO_ANSWER, HTTP_TOO_LATE};
use crate::{Activity, ActivityContext, Failure, Result};

/// Longest time of a request that does not say its own, in seconds, as in Durable Functions.
const DEFAULT_TIME_LIMIT_SECONDS: u64 = 240;
/// Largest body of an answer. It is held in memory, as text, while it becomes a message.
const MAX_ANSWER_BYTES: usize = 32 * 1024 * 1024;

/// What .NET calls these failures; orchestrators tell them by these names.
const NO_TOKEN: &str = "Azure.Identity.AuthenticationFailedException";
const REFUSED: &str = "System.NotSupportedException";

/// Resources that stand for a scope (chapter 05 §8.3).
const NAMED_RESOURCES: [&str; 2] = [
    "https://management.core.windows.net",
    "https://graph.microsoft.com",
];

/// Headers about the content, which .NET keeps apart from those of the answer.
const CONTENT_HEADERS: [&str; 11] = [
    "allow",
    "content-disposition",
    "content-encoding",
    "content-language",
    "content-length",
    "content-location",
    "content-md5",
    "content-range",
    "content-type",
    "expires",
    "last-modified",
];

/// Headers that follow from the request itself.
const COMPUTED_HEADERS: [&str; 2] = ["content-length", "transfer-encoding"];
/// The one content type that .NET adds its encoding to.
const FORM: &str = "application/x-www-form-urlencoded";

/// `BuiltIn::HttpActivity`: sends any request that an orchestrator asks for, in any language.
pub(crate) struct HttpActivity {
    client: Client,
    tokens: Box<dyn Tokens>,
}

impl HttpActivity {
    pub(crate) fn new(env: Env) -> Result<Self, StorageError> {
        Ok(Self {
            client: web_client()?,
            tokens: Box::new(ServiceTokens::new(env)?),
        })
    }
}

/// Where bearer tokens come from.
#[async_trait]
trait Tokens: Send + Sync {
    /// The value of an `Authorization` header.
    async fn get(
        &self,
        scope: &str,
        tenant: Option<&str>,
        authority: Authority,
    ) -> Result<Arc<str>, StorageError>;
}

#[async_trait]
impl Tokens for ServiceTokens {
    async fn get(
        &self,
        scope: &str,
        tenant: Option<&str>,
        authority: Authority,
    ) -> Result<Arc<str>, StorageError> {
        self.authorization(scope, tenant, authority).await
    }
}

impl Activity for HttpActivity {
    const NAME: &'static str = HTTP_ACTIVITY_NAME;
    type Input = WireRequest;
    type Output = HttpResponse;

    async fn run(&self, _: ActivityContext, request: WireRequest) -> Result<HttpResponse> {
        let answer = self.send(&request).await?;
        let status = answer.status();
        let retries = request.retry_options.as_ref();
        if retries.is_some_and(|retries| is_failure(status, retries)) {
            return Err(Failure::new(HTTP_NO_ANSWER, status_text(status)));
        }
        Ok(HttpResponse {
            status_code: status.as_u16(),
            headers: headers_of(answer.headers()),
            content: content_of(answer, &request).await?,
        })
    }
}

impl HttpActivity {
    /// The answer, whose content is still to come.
    async fn send(&self, request: &WireRequest) -> Result<Response> {
        let mut sent = built(request)?;
        if let Some(source) = &request.token_source {
            let proof = self.proof(source).await?;
            sent.headers_mut().insert(AUTHORIZATION, proof);
        }
        let limit = Duration::from_secs(DEFAULT_TIME_LIMIT_SECONDS);
        *sent.timeout_mut() = Some(request.timeout.unwrap_or(limit));
        let answer = self.client.execute(sent).await;
        answer.map_err(|error| unanswered(&error, request))
    }

    /// The `Authorization` header that a token source stands for.
    async fn proof(&self, source: &TokenSource) -> Result<HeaderValue> {
        let options = &source.options;
        let authority = match options.authority_host.as_deref() {
            None | Some("") => Authority::default(),
            Some(host) => Authority::of_address(host).ok_or_else(|| {
                refused(format!(
                    "tokens from '{host}' are not supported; Rust workers know \
                     login.microsoftonline.com, login.microsoftonline.us and login.chinacloudapi.cn"
                ))
            })?,
        };
        let tenant = options.tenant_id.as_deref().filter(|id| !id.is_empty());
        let scope = scope_of(&source.resource);
        let got = self.tokens.get(&scope, tenant, authority).await;
        let got = got.map_err(|error| Failure::from(error).with_type(NO_TOKEN))?;
        let mut header = HeaderValue::from_str(&got)?;
        header.set_sensitive(true);
        Ok(header)
    }
}

/// The scope that a resource stands for.
fn scope_of(resource: &str) -> String {
    let bare = resource.strip_suffix('/').unwrap_or(resource);
    if NAMED_RESOURCES.contains(&bare) {
        format!("{bare}/.default")
    } else {
        resource.to_owned()
    }
}

/// The request as it is sent, without a token.
fn built(request: &WireRequest) -> Result<Request> {
    let method = Method::from_bytes(request.method.as_bytes())
        .map_err(|_| refused(format!("'{}' is no HTTP method", request.method)))?;
    let url = web_address(&request.uri)
        .ok_or_else(|| refused(format!("'{}' is no http or https address", request.uri)))?;
    let mut built = Request::new(method, url);
    let headers = built.headers_mut();
    let mut content_type = "text/plain";
    for (name, values) in request.headers.iter() {
        let odd = || refused(format!("the header '{name}' cannot be sent"));
        let line = HeaderName::from_bytes(name.as_bytes()).map_err(|_| odd())?;
        for value in values {
            if line == CONTENT_TYPE {
                content_type = value;
            } else if !COMPUTED_HEADERS.contains(&line.as_str()) {
                let value = HeaderValue::from_str(value).map_err(|_| odd())?;
                headers.append(line.clone(), value);
            }
        }
    }
    if content_type.contains("multipart") {
        return Err(refused(
            "Multipart content is not supported with CallHttpAsync.".to_owned(),
        ));
    }
    if let Some(content) = &request.content {
        let content_type = if content_type.eq_ignore_ascii_case(FORM) {
            format!("{FORM}; charset=utf-8")
        } else {
            content_type.to_owned()
        };
        let value = HeaderValue::from_str(&content_type)
            .map_err(|_| refused(format!("'{content_type}' is no content type")))?;
        headers.insert(CONTENT_TYPE, value);
        *built.body_mut() = Some(content.clone().into());
    }
    Ok(built)
}

/// Whether a request that wants to be retried has failed with that status.
fn is_failure(status: StatusCode, retries: &WireRetry) -> bool {
    match retries.status_codes.as_slice() {
        [] => !status.is_success(),
        codes => codes.contains(&status.as_u16()),
    }
}

fn status_text(status: StatusCode) -> String {
    let reason = status.canonical_reason().unwrap_or_default();
    format!(
        "Response status code does not indicate success: {} ({reason}).",
        status.as_u16()
    )
}

/// The headers of the answer, without those of its content.
fn headers_of(lines: &HeaderMap) -> HttpHeaders {
    let mut headers = HttpHeaders::default();
    for (name, value) in lines {
        if !CONTENT_HEADERS.contains(&name.as_str()) {
            headers.add(
                spelled(name.as_str()),
                String::from_utf8_lossy(value.as_bytes()),
            );
        }
    }
    headers
}

/// The name as HTTP/1 servers and .NET write it: readers in other languages may compare exactly.
/// How the server wrote it is not known; Azure's own `x-ms-…` are in lower case.
fn spelled(name: &str) -> String {
    match name {
        "etag" => return "ETag".to_owned(),
        "www-authenticate" => return "WWW-Authenticate".to_owned(),
        _ if name.starts_with("x-ms-") => return name.to_owned(),
        _ => {}
    }
    let words = name.split('-').map(|word| {
        let mut letters = word.chars();
        let first = letters.next().map(|first| first.to_ascii_uppercase());
        first.into_iter().chain(letters).collect::<String>()
    });
    words.collect::<Vec<_>>().join("-")
}

/// The body as text.
async fn content_of(mut answer: Response, request: &WireRequest) -> Result<String> {
    let unanswered = |error| unanswered(&error, request);
    let mut body = Vec::new();
    while let Some(part) = answer.chunk().await.map_err(unanswered)? {
        if body.len() + part.len() > MAX_ANSWER_BYTES {
            return Err(Failure::new(
                HTTP_NO_ANSWER,
                format!("the answer has more than {MAX_ANSWER_BYTES} bytes"),
            )
            .non_retriable());
        }
        body.extend_from_slice(&part);
    }
    Ok(String::from_utf8_lossy(&body).into_owned())
}

/// The failure of a request that was not answered, with the texts of .NET. Addresses may hold
/// secrets in their queries: only host and port are told.
fn unanswered(error: &reqwest::Error, request: &WireRequest) -> Failure {
    if error.is_timeout() {
        let text = match request.timeout {
            Some(limit) => format!(
                "The operation was canceled. Reached user specified timeout: {}.",
                time_span::text(limit)
            ),
            None => format!(
                "The request was canceled due to the configured HttpClient.Timeout of \
                 {DEFAULT_TIME_LIMIT_SECONDS} seconds elapsing."
            ),
        };
        return Failure::new(HTTP_TOO_LATE, text);
    }
    let mut cause: &dyn Error = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    let cause = cause.to_string();
    // Rust adds the number of the system's error, .NET does not.
    let cause = cause.split(" (os error").next().unwrap_or_default();
    let place = web_address(&request.uri).map_or_else(String::new, |url| {
        let (host, port) = (url.host_str(), url.port_or_known_default());
        format!("{}:{}", host.unwrap_or_default(), port.unwrap_or_default())
    });
    let mut details = FailureDetails::new(HTTP_NO_ANSWER, format!("{cause} ({place})"));
    details.inner = Some(Box::new(FailureDetails::new(
        "System.Net.Sockets.SocketException",
        cause,
    )));
    Failure::from_details(details)
}

/// A request that nobody can send: trying again does not help.
fn refused(message: String) -> Failure {
    Failure::new(REFUSED, message).non_retriable()
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use durabletask_storage::ErrorKind;
    use serde_json::json;

    use super::server::Server;
    use super::*;

    type Asked = (String, Option<String>, Authority);

    /// Gives one token, or none.
    struct Stub(Arc<Mutex<Vec<Asked>>>, bool);

    #[async_trait]
    impl Tokens for Stub {
        async fn get(
            &self,
            scope: &str,
            tenant: Option<&str>,
            authority: Authority,
        ) -> Result<Arc<str>, StorageError> {
            let asked = (scope.to_owned(), tenant.map(str::to_owned), authority);
            self.0.lock().unwrap().push(asked);
            let refused = || StorageError::new(ErrorKind::Unauthorized, "authorize", "Entra ID");
            self.1.then(|| "Bearer t0ken".into()).ok_or_else(refused)
        }
    }

    fn request(uri: &str, resource: &str) -> WireRequest {
        let request = json!({
            "method": "GET",
            "uri": uri,
            "headers": {"authorization": "Basic eDp5"},
            "tokenSource": {
                "kind": "AzureManagedIdentity",
                "resource": resource,
                "options": {"authorityhost": "https://login.microsoftonline.us", "tenantid": "t"},
            },
        });
        serde_json::from_value(request).unwrap()
    }

    async fn sent(request: &WireRequest, gives: bool) -> (Result<Response>, Vec<Asked>) {
        let asked = Arc::default();
        let activity = HttpActivity {
            client: web_client().unwrap(),
            tokens: Box::new(Stub(Arc::clone(&asked), gives)),
        };
        let answer = activity.send(request).await;
        let asked = std::mem::take(&mut *asked.lock().unwrap());
        (answer, asked)
    }

    #[tokio::test]
    async fn a_token_takes_the_place_of_any_other_proof() {
        let server = Server::start(&[("/", "200 OK", &[], "")]).await;
        for (resource, scope) in [
            (
                "https://graph.microsoft.com/",
                "https://graph.microsoft.com/.default",
            ),
            (
                "https://management.core.windows.net",
                "https://management.core.windows.net/.default",
            ),
            ("api://mine", "api://mine"),
        ] {
            let (answer, asked) = sent(&request(&server.url("/"), resource), true).await;
            assert_eq!(answer.unwrap().status(), StatusCode::OK);
            let expected = (
                scope.to_owned(),
                Some("t".to_owned()),
                Authority::Government,
            );
            assert_eq!(asked, [expected]);
        }
        let received = server.received().remove(0);
        let proofs: Vec<_> = received.matches("authorization: ").collect();
        assert_eq!(proofs.len(), 1, "{received}");
        assert!(
            received.contains("authorization: Bearer t0ken\r\n"),
            "{received}"
        );
    }

    #[tokio::test]
    async fn a_redirect_to_another_server_leaves_the_token_behind() {
        let other = Server::start(&[("/", "200 OK", &[], "")]).await;
        let location: &str = format!("Location: {}", other.url("/")).leak();
        let headers: &[&str] = vec![location].leak();
        let server = Server::start(vec![("/", "302 Found", headers, "")].leak()).await;
        let (answer, _) = sent(&request(&server.url("/"), "r"), true).await;
        assert_eq!(answer.unwrap().status(), StatusCode::OK);
        assert!(server.received()[0].contains("authorization: "));
        assert!(!other.received()[0].contains("authorization: "));
    }

    #[tokio::test]
    async fn without_a_token_nothing_is_sent() {
        let server = Server::start(&[("/", "200 OK", &[], "")]).await;
        let (answer, _) = sent(&request(&server.url("/"), "r"), false).await;
        assert_eq!(answer.unwrap_err().details().error_type, NO_TOKEN);
        assert_eq!(server.received(), Vec::<String>::new());
    }
}

#[cfg(test)]
#[path = "../../tests/support/server.rs"]
mod server;
