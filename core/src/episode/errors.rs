//! What failure events carry (chapter 04 §4).

use crate::{FailureDetails, TaskFailed};

/// Which columns of failure events are filled (setting `errorMode`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ErrorMode {
    /// `Reason`, `Details` and `FailureDetails`: every kind of reader finds what it needs.
    #[default]
    Both,
    /// `Reason` and `FailureDetails`, like Core's `UseFailureDetails`.
    FailureDetails,
    /// `Reason` and `Details`, like Core's `SerializeExceptions`.
    Exceptions,
}

/// The answer of a failed activity.
pub fn task_failed_event(task: i32, failure: FailureDetails, mode: ErrorMode) -> TaskFailed {
    todo!()
}

/// The failure as .NET writes a serialised exception.
pub fn exception_text(failure: &FailureDetails) -> String {
    todo!()
}
