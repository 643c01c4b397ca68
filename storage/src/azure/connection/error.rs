//! What can be wrong with a connection, in one sentence that names the part and shows no value.

use crate::error::{ErrorKind, StorageError};

/// A connection string or identity setting that cannot be used. The text names the part that is
/// wrong and never repeats a value, because values hold secrets.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConnectionError {
    /// Nothing there.
    #[error("the storage connection string is empty")]
    Empty,
    /// A part without an equals sign; parts are counted from 1.
    #[error("part {0} of the storage connection string is not of the form name=value")]
    NotAPair(usize),
    /// The same name twice.
    #[error("{0} appears twice in the storage connection string")]
    Duplicate(&'static str),
    /// A value is needed and absent.
    #[error("{0} is missing in the storage connection, and nothing else there implies it")]
    Missing(&'static str),
    /// A value is not of the form it must have.
    #[error("{name} of the storage connection must be {expected}")]
    Malformed {
        /// The setting.
        name: &'static str,
        /// What it must be.
        expected: &'static str,
    },
    /// Two settings exclude each other.
    #[error("{0} and {1} of the storage connection exclude each other; keep one of them")]
    Conflict(&'static str, &'static str),
    /// A known setting that this program cannot serve.
    #[error("{name} of the storage connection is not supported; {instead}")]
    Unsupported {
        /// The setting.
        name: &'static str,
        /// What to do.
        instead: &'static str,
    },
}

impl From<ConnectionError> for StorageError {
    fn from(error: ConnectionError) -> Self {
        Self::new(ErrorKind::Invalid, "connect", "storage connection")
            .with_detail(error.to_string())
            .with_source(error)
    }
}
