//! Structured failures, as `DurableTask.Core.FailureDetails` has them.

use std::fmt;

/// What went wrong in a task or an orchestration (chapter 04 §4.2).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FailureDetails {
    /// The error's type: a .NET full type name, a Rust type path, or free text.
    pub error_type: String,
    /// The error's message.
    pub error_message: String,
    /// Stack text; `None` for an error that was never thrown.
    pub stack_trace: Option<String>,
    /// The cause. Chains beyond about 60 are unreadable for .NET.
    pub inner: Option<Box<FailureDetails>>,
    /// Retry policies stop at such a failure.
    pub is_non_retriable: bool,
    /// Extra members from .NET's properties provider: the text of a JSON object without its
    /// `$type`, kept as it was.
    pub properties: Option<String>,
}

impl FailureDetails {
    /// A failure of this type and message, retriable, without cause.
    pub fn new(error_type: impl Into<String>, error_message: impl Into<String>) -> Self {
        Self {
            error_type: error_type.into(),
            error_message: error_message.into(),
            ..Self::default()
        }
    }

    /// The failure and its causes, outermost first.
    pub fn chain(&self) -> impl Iterator<Item = &Self> {
        std::iter::successors(Some(self), |failure| failure.inner.as_deref())
    }
}

/// `{ErrorType}: {ErrorMessage}`, the text that becomes an instance's output.
impl fmt::Display for FailureDetails {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.error_type, self.error_message)
    }
}
