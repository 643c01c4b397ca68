//! What user code fails with, and what it sees when a task failed.

use std::error::Error;
use std::fmt;

use durabletask_core::episode::FUNCTION_FAILED;
use durabletask_core::replay::TaskFailure;
use durabletask_core::{FailureDetails, HTTP_ACTIVITY_NAME};
use serde::Deserialize;

/// The result of user code: `?` works on any [`std::error::Error`].
pub type Result<T, E = Failure> = std::result::Result<T, E>;

/// Wire type of the failure of an orchestration or activity that took too long.
pub const TIME_LIMIT_EXCEEDED: &str = "durabletask::TimeLimitExceeded";

/// What an HTTP request of an orchestrator fails with if there is no answer, or none in time.
pub(crate) const HTTP_NO_ANSWER: &str = "System.Net.Http.HttpRequestException";
pub(crate) const HTTP_TOO_LATE: &str = "System.TimeoutException";

/// .NET reads chains of about 60; nobody reads more than this.
const MAX_CAUSES: usize = 32;

/// Why an orchestrator or activity failed.
///
/// Made from any error with `?`, which keeps the error's type name, message and sources; or made
/// by [`Failure::new`] with a wire type of its own, by which orchestrators in any language tell
/// it from others:
///
/// ```
/// use durabletask_worker::{Failure, Result};
///
/// fn pay(cents: i64) -> Result<i64> {
///     if cents < 0 {
///         return Err(Failure::new("Shop.Declined", "no credit").non_retriable());
///     }
///     Ok("12".parse::<i64>()? + cents) // ParseIntError becomes a Failure
/// }
///
/// let failure = pay(-1).unwrap_err();
/// assert_eq!(failure.details().error_type, "Shop.Declined");
/// ```
///
/// It is no [`Error`] itself, so that it can be made from all of them.
#[derive(Clone, PartialEq, Eq)]
pub struct Failure(Box<Inner>);

#[derive(Clone, PartialEq, Eq)]
struct Inner {
    message: String,
    details: FailureDetails,
    origin: Origin,
}

#[derive(Clone, PartialEq, Eq)]
enum Origin {
    /// User code, or this crate.
    Raised,
    /// A task that the orchestrator called.
    Task {
        name: String,
        id: i32,
        is_child: bool,
    },
    /// Not a failure: what `continue_as_new` lets an orchestrator return.
    ContinueAsNew,
}

impl Failure {
    /// A failure of this wire type, such as `Shop.Declined`, with this message.
    pub fn new(error_type: impl Into<String>, message: impl Into<String>) -> Self {
        Self::from_details(FailureDetails::new(error_type, message))
    }

    /// The failure that these details describe.
    pub fn from_details(details: FailureDetails) -> Self {
        Self(Box::new(Inner {
            message: details.error_message.clone(),
            details,
            origin: Origin::Raised,
        }))
    }

    /// The same failure under another wire type.
    #[must_use]
    pub fn with_type(mut self, error_type: impl Into<String>) -> Self {
        self.0.details.error_type = error_type.into();
        self
    }

    /// The same failure, at which retry policies stop.
    #[must_use]
    pub fn non_retriable(mut self) -> Self {
        self.0.details.is_non_retriable = true;
        self
    }

    /// Whether retry policies stop at it.
    pub fn is_non_retriable(&self) -> bool {
        self.0.details.is_non_retriable
    }

    /// What went wrong, in words.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// Type, message and causes. Of a failed task: as the worker that ran it reported them.
    pub fn details(&self) -> &FailureDetails {
        &self.0.details
    }

    /// The activity or child orchestration that failed, if one did.
    pub fn task_name(&self) -> Option<&str> {
        match &self.0.origin {
            Origin::Task { name, .. } => Some(name),
            Origin::Raised | Origin::ContinueAsNew => None,
        }
    }

    pub(crate) fn from_error<E: Error>(error: &E) -> Self {
        let mut details = FailureDetails::new(std::any::type_name::<E>(), error.to_string());
        details.inner = cause_of(error.source(), 0);
        Self::from_details(details)
    }

    pub(crate) fn set_properties(&mut self, object: String) {
        self.0.details.properties = Some(object);
    }

    pub(crate) fn continue_as_new() -> Self {
        let details = FailureDetails::new("ContinueAsNew", "the orchestrator continues as new");
        Self(Box::new(Inner {
            message: details.error_message.clone(),
            details,
            origin: Origin::ContinueAsNew,
        }))
    }

    pub(crate) fn is_continue_as_new(&self) -> bool {
        self.0.origin == Origin::ContinueAsNew
    }

    /// The failure of a task, from whichever of the three descriptions its worker wrote.
    pub(crate) fn of_task(failed: TaskFailure) -> Self {
        let TaskFailure {
            name,
            task,
            is_child,
            reason,
            details,
            failure,
        } = failed;
        let exception = || {
            let exception: Exception = serde_json::from_str(details.as_deref()?).ok()?;
            Some(exception.into_details(0))
        };
        let message = reason.or_else(|| failure.as_ref().map(|f| f.error_message.clone()));
        let details = failure.or_else(exception).unwrap_or_else(|| {
            FailureDetails::new("(unknown)", message.clone().unwrap_or_default())
        });
        Self(Box::new(Inner {
            message: message.unwrap_or_else(|| details.error_message.clone()),
            details,
            origin: Origin::Task {
                name,
                id: task.0,
                is_child,
            },
        }))
    }

    /// The result text and failure of an orchestration that ends with this, as Core writes them:
    /// the failure of a task is not nested (chapter 04 §4.5).
    pub(crate) fn into_end(self) -> (String, FailureDetails) {
        let Inner {
            message,
            details,
            origin,
        } = *self.0;
        let failure = match origin {
            Origin::Raised | Origin::ContinueAsNew => details,
            Origin::Task { is_child: true, .. } => FailureDetails::new(
                "DurableTask.Core.Exceptions.SubOrchestrationFailedException",
                message.as_str(),
            ),
            Origin::Task { name, id, .. } => FailureDetails::new(
                "DurableTask.Core.Exceptions.TaskFailedException",
                format!("Task '{name}' (#{id}) failed with an unhandled exception: {message}"),
            ),
        };
        (message, failure)
    }

    /// The same as in-process functions end with it (chapter 04 §4.3, §4.5): what an orchestrator
    /// of theirs sees of a failed task is an exception of its own around the task's, except for
    /// HTTP requests that were not answered.
    pub(crate) fn into_function_end(self, orchestrator: &str) -> (String, FailureDetails) {
        let Inner {
            message,
            details,
            origin,
        } = *self.0;
        let failure = match origin {
            Origin::Task { name, .. } if name == HTTP_ACTIVITY_NAME && is_unanswered(&details) => {
                FailureDetails::new(details.error_type, message)
            }
            Origin::Task { name, is_child, .. } => {
                let kind = if is_child { "orchestrator" } else { "activity" };
                let text = format!(
                    "The {kind} function '{name}' failed: \"{}\". See the function execution logs \
                     for additional details.",
                    details.error_message
                );
                let mut failure = FailureDetails::new(FUNCTION_FAILED, text);
                failure.inner = Some(Box::new(details));
                failure
            }
            Origin::Raised | Origin::ContinueAsNew => details,
        };
        let text = &failure.error_message;
        let message = format!("Orchestrator function '{orchestrator}' failed: {text}");
        (message, failure)
    }

    /// The failure of an activity that ends with this.
    pub(crate) fn into_details(self) -> FailureDetails {
        self.0.details
    }
}

impl<E: Error> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::from_error(&error)
    }
}

/// Whether an HTTP request failed for want of an answer.
fn is_unanswered(details: &FailureDetails) -> bool {
    [HTTP_NO_ANSWER, HTTP_TOO_LATE].contains(&details.error_type.as_str())
}

/// The type of a source is not known any more, only that it was an error.
fn cause_of(source: Option<&(dyn Error + 'static)>, depth: usize) -> Option<Box<FailureDetails>> {
    let source = source.filter(|_| depth < MAX_CAUSES)?;
    let mut details = FailureDetails::new("std::error::Error", source.to_string());
    details.inner = cause_of(source.source(), depth + 1);
    Some(Box::new(details))
}

impl From<Failure> for Box<dyn Error + Send + Sync> {
    fn from(failure: Failure) -> Self {
        failure.to_string().into()
    }
}

impl From<Failure> for Box<dyn Error> {
    fn from(failure: Failure) -> Self {
        failure.to_string().into()
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

/// Type, message and causes in one line; what `main` and `unwrap` print.
impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(name) = self.task_name() {
            write!(f, "task '{name}' failed: ")?;
        }
        for (depth, failure) in self.0.details.chain().enumerate() {
            let separator = if depth == 0 { "" } else { ", caused by " };
            write!(f, "{separator}{failure}")?;
        }
        Ok(())
    }
}

/// A serialised .NET exception, the `Details` of older writers (chapter 04 §4.2).
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Exception {
    class_name: Option<String>,
    /// Type and assembly; exceptions that .NET writes like any object have no class name.
    #[serde(rename = "$type")]
    qualified_name: Option<String>,
    message: String,
    #[serde(alias = "StackTrace")]
    stack_trace_string: Option<String>,
    #[serde(rename = "InnerException")]
    inner: Option<Box<Exception>>,
}

impl Exception {
    fn into_details(self, depth: usize) -> FailureDetails {
        let of_type = |name: String| name.split(',').next().map(str::to_owned);
        let class = self
            .class_name
            .or_else(|| of_type(self.qualified_name?))
            .unwrap_or_else(|| "(unknown)".to_owned());
        let mut details = FailureDetails::new(class, self.message);
        details.stack_trace = self.stack_trace_string;
        details.inner = self
            .inner
            .filter(|_| depth < MAX_CAUSES)
            .map(|inner| Box::new(inner.into_details(depth + 1)));
        details
    }
}

#[cfg(test)]
mod tests {
    use durabletask_core::replay::TaskId;

    use super::*;

    fn failed(is_child: bool) -> TaskFailure {
        TaskFailure {
            name: "Pay".to_owned(),
            task: TaskId(3),
            is_child,
            reason: Some("boom".to_owned()),
            details: None,
            failure: None,
        }
    }

    #[test]
    fn an_error_keeps_its_type_message_and_sources() {
        #[derive(Debug, thiserror::Error)]
        #[error("outer")]
        struct Outer(#[source] std::num::ParseIntError);

        let failure = Failure::from(Outer("x".parse::<i32>().unwrap_err()));
        let details = failure.details();
        assert!(details.error_type.ends_with("::Outer"), "{details}");
        assert_eq!(details.error_message, "outer");
        let inner = details.inner.as_ref().unwrap();
        assert_eq!(inner.error_message, "invalid digit found in string");
    }

    #[test]
    fn failed_tasks_leave_an_orchestrator_as_core_writes_them() {
        let (reason, failure) = Failure::of_task(failed(false)).into_end();
        assert_eq!(reason, "boom");
        assert_eq!(
            failure.to_string(),
            "DurableTask.Core.Exceptions.TaskFailedException: \
             Task 'Pay' (#3) failed with an unhandled exception: boom"
        );
        assert_eq!(failure.inner, None);
        let (reason, failure) = Failure::of_task(failed(true)).into_end();
        assert_eq!(reason, "boom");
        assert_eq!(
            failure.to_string(),
            "DurableTask.Core.Exceptions.SubOrchestrationFailedException: boom"
        );
    }

    #[test]
    fn any_of_the_three_descriptions_will_do() {
        let mut with_exception = failed(false);
        with_exception.reason = None;
        with_exception.details = Some(
            r#"{"ClassName":"System.TimeoutException","Message":"late","InnerException":
               {"ClassName":"System.Exception","Message":"why","Data":null}}"#
                .to_owned(),
        );
        let failure = Failure::of_task(with_exception);
        assert_eq!(failure.message(), "late");
        assert_eq!(failure.details().error_type, "System.TimeoutException");
        assert_eq!(failure.details().chain().count(), 2);

        let mut of_http = failed(false);
        of_http.details = Some(
            r#"{"$type":"System.Net.Http.HttpRequestException, System.Net.Http",
                "Message":"refused","StackTrace":"at X"}"#
                .to_owned(),
        );
        let failure = Failure::of_task(of_http);
        let details = failure.details();
        assert_eq!(details.error_type, "System.Net.Http.HttpRequestException");
        assert_eq!(details.stack_trace.as_deref(), Some("at X"));

        let mut with_failure = failed(true);
        with_failure.reason = None;
        with_failure.failure = Some(FailureDetails::new("A.B", "text"));
        assert_eq!(Failure::of_task(with_failure).message(), "text");

        let mut with_nothing = failed(true);
        with_nothing.reason = None;
        assert_eq!(Failure::of_task(with_nothing).message(), "");
    }
}
