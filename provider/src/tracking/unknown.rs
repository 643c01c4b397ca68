//! Writes whose answer never came (design.md §6).

use std::time::Duration;

use durabletask_storage::{ErrorKind, StorageError};

use crate::TaskHub;

/// First pause before a write of unknown outcome is sent again, in milliseconds.
const MIN_UNKNOWN_PAUSE_MS: u64 = 250;
/// Longest such pause, in milliseconds.
const MAX_UNKNOWN_PAUSE_MS: u64 = 15_000;

impl TaskHub {
    /// Repeats the identical request for as long as its outcome is unknown: a read would prove
    /// nothing while the lost request may still be under way. Once it is, only a success or a
    /// refusal by what is stored (404, 409, 412) settles it, however often storage fails in other
    /// ways; a refusal then is [`StorageError::is_after_unknown`].
    pub(crate) async fn until_answered<T, F>(
        &self,
        mut request: impl FnMut() -> F,
    ) -> Result<T, StorageError>
    where
        F: Future<Output = Result<T, StorageError>>,
    {
        let mut pause_ms = MIN_UNKNOWN_PAUSE_MS;
        let mut was_unknown = false;
        loop {
            let error = match request().await {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            was_unknown |= error.kind() == ErrorKind::UnknownOutcome;
            if !was_unknown {
                return Err(error);
            }
            if error.is_conflict() || error.is_not_found() {
                return Err(error.after_unknown());
            }
            tracing::warn!(%error, pause_ms, "a write went unanswered and is repeated");
            self.env().sleep(Duration::from_millis(pause_ms)).await;
            pause_ms = (pause_ms * 2).min(MAX_UNKNOWN_PAUSE_MS);
        }
    }
}
