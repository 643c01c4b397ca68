//! What failure events carry (chapter 04 §4).

use serde_json::Value;

use crate::{Completion, EventKind, FailureDetails, OrchestrationStatus, TaskFailed};

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

impl ErrorMode {
    /// Whether the structured failure is written.
    pub const fn writes_failure(self) -> bool {
        matches!(self, Self::Both | Self::FailureDetails)
    }

    /// Whether the serialised exception is written.
    pub const fn writes_details(self) -> bool {
        matches!(self, Self::Both | Self::Exceptions)
    }
}

/// Causes beyond this depth are left out: .NET's readers give up at about 60.
const MAX_CAUSES: usize = 50;

/// `HResult` of a plain `System.Exception`.
const HRESULT: i32 = -2_146_233_088;

/// The answer of a failed activity, as that mode writes it. `Reason` is always the bare message.
pub fn task_failed_event(task: i32, failure: FailureDetails, mode: ErrorMode) -> EventKind {
    EventKind::TaskFailed(Box::new(TaskFailed {
        task_scheduled_id: task,
        reason: Some(failure.error_message.clone()),
        details: mode.writes_details().then(|| exception_text(&failure)),
        failure: mode.writes_failure().then_some(failure),
    }))
}

/// What a parent is told about a child that failed or was terminated.
///
/// In the failure-details mode a terminated child has no failure, as with .NET. In the mode for
/// every reader it has one, because isolated .NET orchestrators fall over without.
pub(super) fn child_failed(task: i32, end: &Completion, mode: ErrorMode) -> TaskFailed {
    let mut failure = end.failure.clone();
    if failure.is_none() && mode == ErrorMode::Both {
        let kind = if end.status == OrchestrationStatus::Terminated {
            "OrchestrationTerminated"
        } else {
            "(unknown)"
        };
        failure = Some(FailureDetails::new(
            kind,
            end.result.clone().unwrap_or_default(),
        ));
    }
    let details = mode
        .writes_details()
        .then(|| {
            end.details
                .clone()
                .or_else(|| failure.as_ref().map(exception_text))
        })
        .flatten();
    TaskFailed {
        task_scheduled_id: task,
        reason: end.result.clone(),
        details,
        failure: failure.filter(|_| mode.writes_failure()),
    }
}

/// Exceptions of the .NET runtime that a reader can build from the members of a plain one.
const DOTNET_EXCEPTIONS: [&str; 12] = [
    "System.ApplicationException",
    "System.ArithmeticException",
    "System.Collections.Generic.KeyNotFoundException",
    "System.DivideByZeroException",
    "System.FormatException",
    "System.InvalidOperationException",
    "System.IO.IOException",
    "System.NotImplementedException",
    "System.NotSupportedException",
    "System.OverflowException",
    "System.TimeoutException",
    "System.UnauthorizedAccessException",
];

/// What a failed HTTP call throws in .NET. It is no part of the runtime's own library, and its
/// members are other ones (recorded: ext-http).
const HTTP_EXCEPTION: &str = "System.Net.Http.HttpRequestException";

/// The failure as .NET writes a serialised exception: a plain `System.Exception`, which every
/// .NET reader can build, without `$type`, which it might not resolve (chapter 04 §4.2). A failure
/// that says it is one of the runtime's own exceptions is written as that: in-process functions
/// tell them apart, and what `CallHttpAsync` throws depends on it (chapter 05 §8.3).
pub fn exception_text(failure: &FailureDetails) -> String {
    let causes: Vec<_> = failure.chain().take(MAX_CAUSES).collect();
    causes
        .into_iter()
        .rev()
        .fold("null".to_owned(), |inner, cause| {
            let message = Value::from(cause.error_message.as_str());
            let stack = Value::from(cause.stack_trace.as_deref());
            let name = cause.error_type.as_str();
            if name == HTTP_EXCEPTION {
                return format!(
                    r#"{{"$type":"{HTTP_EXCEPTION}, System.Net.Http","StatusCode":null,"Message":{message},"Data":null,"InnerException":{inner},"HelpLink":null,"Source":null,"HResult":{HRESULT},"StackTrace":{stack}}}"#
                );
            }
            let (head, class) = if DOTNET_EXCEPTIONS.contains(&name) {
                (format!(r#""$type":"{name}, System.Private.CoreLib","#), name)
            } else {
                (String::new(), "System.Exception")
            };
            format!(
                r#"{{{head}"ClassName":"{class}","Message":{message},"Data":null,"InnerException":{inner},"HelpURL":null,"StackTraceString":{stack},"RemoteStackTraceString":null,"RemoteStackIndex":0,"ExceptionMethod":null,"HResult":{HRESULT},"Source":null,"WatsonBuckets":null}}"#
            )
        })
}
