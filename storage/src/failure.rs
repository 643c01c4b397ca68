//! What goes wrong inside of a backend, before it is known which call it belongs to.

use crate::{ErrorKind, StorageError};

pub(crate) type Result<T> = std::result::Result<T, Failure>;

/// A refusal or a database error; becomes a [`StorageError`] at the face of the backend.
///
/// Clonable, because one failed commit answers every request of its group.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{kind:?} {code} {detail}")]
pub(crate) struct Failure {
    pub(crate) kind: ErrorKind,
    /// The service's name for this refusal, so that logs read alike on every backend.
    code: &'static str,
    detail: String,
    failed_index: Option<usize>,
}

impl Failure {
    pub(crate) fn new(kind: ErrorKind, code: &'static str) -> Self {
        Self {
            kind,
            code,
            detail: String::new(),
            failed_index: None,
        }
    }

    pub(crate) fn invalid(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(ErrorKind::Invalid, code).with_detail(detail)
    }

    pub(crate) fn too_large(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(ErrorKind::PayloadTooLarge, code).with_detail(detail)
    }

    pub(crate) fn corrupt(detail: impl Into<String>) -> Self {
        Self::new(ErrorKind::Corrupt, "StoredValueUnreadable").with_detail(detail)
    }

    pub(crate) fn with_detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = detail.into();
        self
    }

    pub(crate) fn at(mut self, index: usize) -> Self {
        self.failed_index = Some(index);
        self
    }

    pub(crate) fn into_error(
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
