//! Database errors as failures.

use rusqlite::ErrorCode;

use crate::ErrorKind;
pub(super) use crate::failure::{Failure, Result};

impl Failure {
    /// A failed COMMIT. After an I/O error nobody knows whether the log will be found complete.
    pub(super) fn of_commit(error: &rusqlite::Error) -> Self {
        let mut failure = Self::of_database(error);
        if error.sqlite_error_code() == Some(ErrorCode::SystemIoFailure) {
            failure.kind = ErrorKind::UnknownOutcome;
        }
        failure
    }

    fn of_database(error: &rusqlite::Error) -> Self {
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
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        Self::of_database(&error)
    }
}
