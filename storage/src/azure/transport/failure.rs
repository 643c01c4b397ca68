//! From statuses and codes to meanings.

use std::time::Duration;

use serde::Deserialize;

use super::request::{Answer, Request};
use crate::error::{ErrorKind, StorageError};

/// Longest text of the service that an error repeats, in bytes.
const MAX_SERVICE_TEXT_BYTES: usize = 200;

/// Code and message of a refusal.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct ServiceError {
    pub(crate) code: Option<String>,
    pub(crate) message: Option<String>,
}

#[derive(Deserialize)]
struct ODataError {
    #[serde(rename = "odata.error")]
    error: ODataErrorBody,
}

#[derive(Deserialize)]
struct ODataErrorBody {
    #[serde(default)]
    code: Option<String>,
    #[serde(default)]
    message: Option<ODataMessage>,
}

#[derive(Deserialize)]
struct ODataMessage {
    #[serde(default)]
    value: Option<String>,
}

impl ServiceError {
    /// Reads the header `x-ms-error-code` (queues, blobs, Azurite), the JSON of tables, or the XML
    /// of the others. The live table service sends no header.
    pub(crate) fn read(answer: &Answer) -> Self {
        let mut error = Self::default();
        if let Ok(json) = serde_json::from_slice::<ODataError>(&answer.body) {
            error.code = json.error.code;
            error.message = json.error.message.and_then(|message| message.value);
        } else if let Ok(text) = std::str::from_utf8(&answer.body) {
            error.code = element(text, "Code");
            error.message = element(text, "Message");
        }
        if let Some(code) = answer.header("x-ms-error-code") {
            error.code = Some(code.to_owned());
        }
        error.code = error.code.filter(|code| is_code(code));
        error
    }

    /// The operation of a transaction that failed: messages then begin with `index:`.
    pub(crate) fn failed_index(&self) -> Option<usize> {
        let (index, _) = self.message.as_deref()?.split_once(':')?;
        index.parse().ok()
    }
}

/// Codes are words; anything else comes from another kind of server.
fn is_code(text: &str) -> bool {
    !text.is_empty() && text.len() <= 80 && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

fn element(xml: &str, name: &str) -> Option<String> {
    let (_, rest) = xml.split_once(&format!("<{name}>"))?;
    let (text, _) = rest.split_once(&format!("</{name}>"))?;
    Some(text.to_owned())
}

/// Whether the same request may be answered differently a little later.
pub(super) fn is_passing(status: u16) -> bool {
    matches!(status, 408 | 429 | 500 | 502 | 503 | 504)
}

/// Whether the service says that it did not begin the work. Any other passing failure leaves open
/// whether it did.
pub(super) fn is_throttling(status: u16, error: &ServiceError) -> bool {
    status == 429
        || (status == 503
            && matches!(
                error.code.as_deref(),
                Some("ServerBusy" | "AccountLimitExceeded" | "TooManyRequests")
            ))
}

/// The pause that the service asks for. Dates are not used by Azure Storage.
pub(super) fn retry_after(answer: &Answer) -> Option<Duration> {
    let milliseconds = ["x-ms-retry-after-ms", "retry-after-ms"]
        .iter()
        .find_map(|name| answer.header(name)?.trim().parse().ok())
        .map(Duration::from_millis);
    milliseconds.or_else(|| {
        let seconds = answer.header("retry-after")?.trim().parse().ok()?;
        Some(Duration::from_secs(seconds))
    })
}

/// The error for a request that was answered and refused.
pub(super) fn refusal(request: &Request, answer: &Answer, error: ServiceError) -> StorageError {
    let foreign = error.code.is_none() && !is_from_storage(answer);
    let kind = if foreign && answer.status < 500 {
        ErrorKind::Invalid
    } else {
        kind_of(answer.status, error.code.as_deref())
    };
    let mut refusal = StorageError::new(kind, request.operation, request.resource.clone())
        .with_status(answer.status);
    if request.unwrap.is_some()
        && let Some(index) = error.failed_index()
    {
        refusal = refusal.with_failed_index(index);
    }
    if foreign {
        refusal = refusal.with_detail(
            "what answered is not Azure Storage: check host name and port of the connection",
        );
    } else if let Some(detail) = detail(kind, &error) {
        refusal = refusal.with_detail(detail);
    }
    match error.code {
        Some(code) => refusal.with_code(code),
        None => refusal,
    }
}

fn is_from_storage(answer: &Answer) -> bool {
    ["x-ms-request-id", "x-ms-version"]
        .iter()
        .any(|name| answer.headers.contains_key(*name))
}

/// What a status and code mean.
pub(crate) fn kind_of(status: u16, code: Option<&str>) -> ErrorKind {
    if let Some(kind) = code.and_then(kind_of_code) {
        return kind;
    }
    match status {
        401 | 403 => ErrorKind::Unauthorized,
        404 => ErrorKind::NotFound,
        // Without a code nothing tells the conflicts apart; most are inserts.
        409 if code.is_none() => ErrorKind::AlreadyExists,
        412 => ErrorKind::PreconditionFailed,
        413 => ErrorKind::PayloadTooLarge,
        429 | 503 => ErrorKind::Throttled,
        400 | 405 | 411 | 415 | 416 => ErrorKind::Invalid,
        _ => ErrorKind::Other,
    }
}

fn kind_of_code(code: &str) -> Option<ErrorKind> {
    let kind = match code {
        "QueueNotFound" | "MessageNotFound" | "TableNotFound" | "ResourceNotFound"
        | "EntityNotFound" | "ContainerNotFound" | "BlobNotFound" => ErrorKind::NotFound,
        "EntityAlreadyExists"
        | "TableAlreadyExists"
        | "BlobAlreadyExists"
        | "ContainerAlreadyExists"
        | "QueueAlreadyExists"
        | "ResourceAlreadyExists" => ErrorKind::AlreadyExists,
        "UpdateConditionNotSatisfied" | "ConditionNotMet" => ErrorKind::PreconditionFailed,
        "PopReceiptMismatch" => ErrorKind::PopReceiptMismatch,
        "QueueBeingDeleted" | "TableBeingDeleted" | "ContainerBeingDeleted" => {
            ErrorKind::BeingDeleted
        }
        "LeaseAlreadyPresent"
        | "LeaseAlreadyBroken"
        | "LeaseLost"
        | "LeaseIdMissing"
        | "LeaseIdMismatchWithBlobOperation"
        | "LeaseIdMismatchWithContainerOperation"
        | "LeaseIdMismatchWithLeaseOperation"
        | "LeaseNotPresentWithBlobOperation"
        | "LeaseNotPresentWithContainerOperation"
        | "LeaseNotPresentWithLeaseOperation"
        | "LeaseIsBrokenAndCannotBeRenewed"
        | "LeaseIsBreakingAndCannotBeAcquired"
        | "LeaseIsBreakingAndCannotBeChanged" => ErrorKind::LeaseLost,
        "AuthenticationFailed"
        | "AuthorizationFailure"
        | "AuthorizationPermissionMismatch"
        | "AuthorizationProtocolMismatch"
        | "AuthorizationServiceMismatch"
        | "AuthorizationResourceTypeMismatch"
        | "AuthorizationSourceIPMismatch"
        | "InsufficientAccountPermissions"
        | "InvalidAuthenticationInfo"
        | "NoAuthenticationInformation"
        | "AccountIsDisabled" => ErrorKind::Unauthorized,
        "RequestBodyTooLarge"
        | "EntityTooLarge"
        | "PropertyValueTooLarge"
        | "MessageTooLarge"
        | "TooManyProperties"
        | "ContentLengthLimitExceeded" => ErrorKind::PayloadTooLarge,
        "ServerBusy" | "AccountLimitExceeded" | "TooManyRequests" => ErrorKind::Throttled,
        "OutOfRangeInput"
        | "OutOfRangeQueryParameterValue"
        | "InvalidInput"
        | "InvalidResourceName"
        | "InvalidDuplicateRow"
        | "InvalidQueryParameterValue"
        | "InvalidHeaderValue"
        | "InvalidXmlDocument"
        | "PropertiesNeedValue"
        | "CommandsInBatchActOnDifferentPartitions" => ErrorKind::Invalid,
        _ => return None,
    };
    Some(kind)
}

/// What to add to an error: advice for refused credentials, the service's own words for refused
/// requests. Other kinds explain themselves, and their messages could repeat what was sent.
fn detail(kind: ErrorKind, error: &ServiceError) -> Option<String> {
    match kind {
        ErrorKind::Unauthorized => Some(
            match error.code.as_deref() {
                Some("AuthenticationFailed" | "InvalidAuthenticationInfo") => {
                    "the account key, signature or token is wrong or expired, or this machine's clock is off by more than 15 minutes"
                }
                Some("AuthorizationPermissionMismatch") => {
                    "the identity lacks a role such as Storage Queue, Table or Blob Data Contributor, or the signature lacks a permission"
                }
                Some("AuthorizationFailure" | "AuthorizationSourceIPMismatch") => {
                    "a network rule of the account or a limit of the signature keeps this machine out"
                }
                Some("AccountIsDisabled") => "the storage account is disabled",
                _ => "storage refused the credential",
            }
            .to_owned(),
        ),
        ErrorKind::Invalid | ErrorKind::Other => {
            let line = error.message.as_deref()?.lines().next()?.trim();
            (!line.is_empty() && line.len() <= MAX_SERVICE_TEXT_BYTES).then(|| line.to_owned())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use reqwest::header::HeaderMap;

    fn answer(status: u16, body: &'static str) -> Answer {
        Answer {
            status,
            headers: HeaderMap::new(),
            body: Bytes::from_static(body.as_bytes()),
        }
    }

    #[test]
    fn codes_are_read_from_json_and_xml() {
        // As the live table service answers: no x-ms-error-code.
        let live = answer(
            409,
            r#"{"odata.error":{"code":"EntityAlreadyExists","message":{"lang":"en-US","value":"2:The specified entity already exists.\nRequestId:9d\nTime:2026"}}}"#,
        );
        let error = ServiceError::read(&live);
        assert_eq!(error.code.as_deref(), Some("EntityAlreadyExists"));
        assert_eq!(error.failed_index(), Some(2));
        let queue = answer(
            404,
            "\u{feff}<?xml version=\"1.0\"?><Error><Code>MessageNotFound</Code><Message>The specified message does not exist.</Message></Error>",
        );
        let error = ServiceError::read(&queue);
        assert_eq!(error.code.as_deref(), Some("MessageNotFound"));
        assert_eq!(error.failed_index(), None);
        assert_eq!(
            ServiceError::read(&answer(404, "<html>no</html>")),
            ServiceError::default()
        );
    }

    #[test]
    fn meanings_follow_codes_before_statuses() {
        let cases = [
            (404, Some("QueueNotFound"), ErrorKind::NotFound),
            (
                400,
                Some("PopReceiptMismatch"),
                ErrorKind::PopReceiptMismatch,
            ),
            (409, Some("TableBeingDeleted"), ErrorKind::BeingDeleted),
            (409, Some("LeaseAlreadyPresent"), ErrorKind::LeaseLost),
            (412, Some("LeaseIdMissing"), ErrorKind::LeaseLost),
            (412, None, ErrorKind::PreconditionFailed),
            (409, None, ErrorKind::AlreadyExists),
            (409, Some("SnapshotsPresent"), ErrorKind::Other),
            (403, Some("AuthenticationFailed"), ErrorKind::Unauthorized),
            (401, None, ErrorKind::Unauthorized),
            (413, Some("RequestBodyTooLarge"), ErrorKind::PayloadTooLarge),
            (400, Some("OutOfRangeInput"), ErrorKind::Invalid),
            (503, Some("ServerBusy"), ErrorKind::Throttled),
        ];
        for (status, code, kind) in cases {
            assert_eq!(kind_of(status, code), kind, "{status} {code:?}");
        }
    }
}
