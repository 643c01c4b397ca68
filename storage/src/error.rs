//! Errors by meaning, with what the caller can do about each.

use std::fmt;
use std::time::Duration;

/// Shorthand for what storage operations return.
pub type Result<T> = std::result::Result<T, StorageError>;

/// What a storage failure means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The queue, table, row, container or blob does not exist; for a message: it was deleted.
    NotFound,
    /// An insert met an existing row or blob (409 `EntityAlreadyExists`, `BlobAlreadyExists`).
    AlreadyExists,
    /// An ETag condition did not hold (412): somebody else wrote.
    PreconditionFailed,
    /// The pop receipt is stale: the message was delivered to somebody else (400
    /// `PopReceiptMismatch`). The message lives; this holder has lost it.
    PopReceiptMismatch,
    /// The blob lease is held by somebody else, or our lease id is no longer the holder.
    LeaseLost,
    /// The container, table or queue is still being deleted; wait and create again.
    BeingDeleted,
    /// Storage asks for a slower pace (503 `ServerBusy`, 429) and the retries are used up.
    Throttled,
    /// No connection, or none that answered in time, and nothing was sent that could have an
    /// effect, or the operation reads only.
    Unreachable,
    /// The request may or may not have had its effect: its answer never came, in all attempts.
    /// Only the identical request, repeated until it is answered, settles it (design.md §6).
    UnknownOutcome,
    /// A message above 64 KiB, a row above 1 MiB, a batch above 4 MiB or 100 rows, and the like.
    PayloadTooLarge,
    /// Wrong key, expired token, missing role (401, 403).
    Unauthorized,
    /// A connection string, name or argument is wrong, or storage refused the request as
    /// malformed (400).
    Invalid,
    /// Stored data cannot be read: not what any known writer writes.
    Corrupt,
    /// Anything else.
    Other,
}

impl ErrorKind {
    /// One sentence on what to do, for messages shown to people.
    pub const fn remedy(self) -> &'static str {
        match self {
            Self::NotFound => "check the name, or create the task hub first",
            Self::AlreadyExists | Self::PreconditionFailed => {
                "somebody else wrote first; load again and decide anew"
            }
            Self::PopReceiptMismatch => "the message was handed to somebody else; drop it",
            Self::LeaseLost => "another holder has the lease; wait for it to expire",
            Self::BeingDeleted => "wait about a minute and try again",
            Self::Throttled => "lower the load or raise the account's limits",
            Self::Unreachable => "check the address, the network and whether the service is up",
            Self::UnknownOutcome => "repeat the identical request until it is answered",
            Self::PayloadTooLarge => "send less, or move the value to a blob",
            Self::Unauthorized => "check the key, SAS or role assignment of the connection",
            Self::Invalid => "correct the setting or argument that is named",
            Self::Corrupt => "inspect the stored value; another program may have written it",
            Self::Other => "see the cause",
        }
    }
}

/// A storage operation that failed. Never holds a key, token, SAS or payload.
#[derive(Debug)]
pub struct StorageError(Box<Inner>);

#[derive(Debug)]
struct Inner {
    kind: ErrorKind,
    operation: &'static str,
    resource: String,
    code: Option<String>,
    status: Option<u16>,
    detail: String,
    failed_index: Option<usize>,
    after_unknown: bool,
    retry_after: Option<Duration>,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl StorageError {
    /// An error of that kind in that operation (its trait method's name) on that resource (queue,
    /// table, or container and blob; no query string).
    pub fn new(kind: ErrorKind, operation: &'static str, resource: impl Into<String>) -> Self {
        Self(Box::new(Inner {
            kind,
            operation,
            resource: resource.into(),
            code: None,
            status: None,
            detail: String::new(),
            failed_index: None,
            after_unknown: false,
            retry_after: None,
            source: None,
        }))
    }

    /// Adds a sentence. It must not carry secrets or payloads.
    #[must_use]
    pub fn with_detail(mut self, detail: impl Into<String>) -> Self {
        self.0.detail = detail.into();
        self
    }

    /// Adds the service's error code, such as `EntityAlreadyExists`.
    #[must_use]
    pub fn with_code(mut self, code: impl Into<String>) -> Self {
        self.0.code = Some(code.into());
        self
    }

    /// Adds the HTTP status.
    #[must_use]
    pub fn with_status(mut self, status: u16) -> Self {
        self.0.status = Some(status);
        self
    }

    /// Names the operation of a transaction that failed, counted from 0.
    #[must_use]
    pub fn with_failed_index(mut self, index: usize) -> Self {
        self.0.failed_index = Some(index);
        self
    }

    /// Says that an earlier attempt of the identical request was never answered.
    #[must_use]
    pub fn after_unknown(mut self) -> Self {
        self.0.after_unknown = true;
        self
    }

    /// Adds the pause that storage asked for.
    #[must_use]
    pub fn with_retry_after(mut self, pause: Duration) -> Self {
        self.0.retry_after = Some(pause);
        self
    }

    /// Adds the cause.
    #[must_use]
    pub fn with_source(
        mut self,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// What the failure means.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The storage operation, by its trait method's name.
    pub fn operation(&self) -> &'static str {
        self.0.operation
    }

    /// The queue, table, or container and blob.
    pub fn resource(&self) -> &str {
        &self.0.resource
    }

    /// The service's error code, if it gave one.
    pub fn code(&self) -> Option<&str> {
        self.0.code.as_deref()
    }

    /// The HTTP status, if there was an answer.
    pub fn status(&self) -> Option<u16> {
        self.0.status
    }

    /// Which operation of a transaction failed, counted from 0.
    pub fn failed_index(&self) -> Option<usize> {
        self.0.failed_index
    }

    /// The pause that storage asked for.
    pub fn retry_after(&self) -> Option<Duration> {
        self.0.retry_after
    }

    /// Whether an earlier attempt of this request went unanswered, so that a conflict may be with
    /// our own first write (design.md §6).
    pub fn is_after_unknown(&self) -> bool {
        self.0.after_unknown
    }

    /// Whether the thing is not there.
    pub fn is_not_found(&self) -> bool {
        self.0.kind == ErrorKind::NotFound
    }

    /// Whether somebody else wrote first: [`ErrorKind::AlreadyExists`] or
    /// [`ErrorKind::PreconditionFailed`].
    pub fn is_conflict(&self) -> bool {
        matches!(
            self.0.kind,
            ErrorKind::AlreadyExists | ErrorKind::PreconditionFailed
        )
    }
}

impl fmt::Display for StorageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner = &self.0;
        write!(f, "{} on {}: ", inner.operation, inner.resource)?;
        match (&inner.code, inner.status) {
            (Some(code), Some(status)) => write!(f, "{code} ({status})")?,
            (Some(code), None) => f.write_str(code)?,
            (None, Some(status)) => write!(f, "{:?} ({status})", inner.kind)?,
            (None, None) => write!(f, "{:?}", inner.kind)?,
        }
        if let Some(index) = inner.failed_index {
            write!(f, " at operation {index}")?;
        }
        if !inner.detail.is_empty() {
            write!(f, ", {}", inner.detail)?;
        }
        write!(f, "; {}", inner.kind.remedy())
    }
}

impl std::error::Error for StorageError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0
            .source
            .as_deref()
            .map(|source| source as &(dyn std::error::Error + 'static))
    }
}
