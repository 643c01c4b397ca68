//! What goes wrong inside of the database, before it is known which call it belongs to.

use crate::{ErrorKind, StorageError};

pub(super) type Result<T> = std::result::Result<T, Failure>;

/// A refusal or a database error; becomes a [`StorageError`] at the face of the store.
///
/// Clonable, because one failed commit answers every request of its group.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{kind:?} {code} {detail}")]
pub(super) struct Failure {
    kind: ErrorKind,
    /// The service's name for this refusal, so that logs read alike on every backend.
    code: &'static str,
    detail: String,
    failed_index: Option<usize>,
}

impl Failure {
    pub(super) fn new(kind: ErrorKind, code: &'static str) -> Self {
        Self {
            kind,
            code,
            detail: String::new(),
            failed_index: None,
        }
    }

    pub(super) fn invalid(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(ErrorKind::Invalid, code).with_detail(detail)
    }

    pub(super) fn too_large(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(ErrorKind::PayloadTooLarge, code).with_detail(detail)
    }

    pub(super) fn corrupt(detail: impl Into<String>) -> Self {
        Self::new(ErrorKind::Corrupt, "StoredValueUnreadable").with_detail(detail)
    }

    pub(super) fn with_detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = detail.into();
        self
    }

    pub(super) fn at(mut self, index: usize) -> Self {
        self.failed_index = Some(index);
        self
    }

    /// A failed COMMIT. After an I/O error nobody knows whether the log will be found complete.
    pub(super) fn of_commit(error: &rusqlite::Error) -> Self {
        let mut failure = Self::of_database(error);
        if error.sqlite_error_code() == Some(rusqlite::ErrorCode::SystemIoFailure) {
            failure.kind = ErrorKind::UnknownOutcome;
        }
        failure
    }

    fn of_database(error: &rusqlite::Error) -> Self {
        use rusqlite::ErrorCode;
        let kind = match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => ErrorKind::Throttled,
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => ErrorKind::Corrupt,
            Some(ErrorCode::CannotOpen | ErrorCode::PermissionDenied | ErrorCode::ReadOnly) => {
                ErrorKind::Unreachable
            }
            Some(ErrorCode::TooBig) => ErrorKind::PayloadTooLarge,
            _ => ErrorKind::Other,
        };
        Self::new(kind, "Database").with_detail(error.to_string())
    }

    pub(super) fn into_error(
        self,
        operation: &'static str,
        resource: impl Into<String>,
    ) -> StorageError {
        let error = StorageError::new(self.kind, operation, resource)
            .with_code(self.code)
            .with_detail(self.detail);
        match self.failed_index {
            Some(index) => error.with_failed_index(index),
            None => error,
        }
    }
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        Self::of_database(&error)
    }
}
