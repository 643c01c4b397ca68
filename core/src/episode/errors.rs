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

/// An exception of .NET that a reader can build from these members.
struct DotnetException {
    name: &'static str,
    assembly: &'static str,
    /// As the runtime has it.
    hresult: i32,
    /// Members behind those that all exceptions have.
    more: &'static str,
}

/// What every reader can build.
const PLAIN: DotnetException = exception("System.Exception", -2_146_233_088);

/// Exceptions that are told apart by their types.
const DOTNET_EXCEPTIONS: [DotnetException; 11] = [
    DotnetException {
        more: r#","ParamName":null"#,
        ..exception("System.ArgumentException", -2_147_024_809)
    },
    exception("System.ApplicationException", -2_146_232_832),
    exception(
        "System.Collections.Generic.KeyNotFoundException",
        -2_146_232_969,
    ),
    exception("System.FormatException", -2_146_233_033),
    exception("System.InvalidOperationException", -2_146_233_079),
    exception("System.IO.IOException", -2_146_232_800),
    exception("System.NotImplementedException", -2_147_467_263),
    exception("System.NotSupportedException", -2_146_233_067),
    exception("System.TimeoutException", -2_146_233_083),
    exception("System.UnauthorizedAccessException", -2_147_024_891),
    // What in-process functions see of failed tasks. Their hosts have it, and nobody else is told.
    DotnetException {
        assembly: "Microsoft.Azure.WebJobs.Extensions.DurableTask",
        ..exception(FUNCTION_FAILED, PLAIN.hresult)
    },
];

/// Type of the failure with which in-process functions end that let a task's failure through.
pub const FUNCTION_FAILED: &str =
    "Microsoft.Azure.WebJobs.Extensions.DurableTask.FunctionFailedException";

const fn exception(name: &'static str, hresult: i32) -> DotnetException {
    DotnetException {
        name,
        assembly: "System.Private.CoreLib",
        hresult,
        more: "",
    }
}

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
            if cause.error_type == HTTP_EXCEPTION {
                let hresult = PLAIN.hresult;
                return format!(
                    r#"{{"$type":"{HTTP_EXCEPTION}, System.Net.Http","StatusCode":null,"Message":{message},"Data":null,"InnerException":{inner},"HelpLink":null,"Source":null,"HResult":{hresult},"StackTrace":{stack}}}"#
                );
            }
            let mut known = DOTNET_EXCEPTIONS.iter();
            let known = known.find(|known| known.name == cause.error_type);
            let head = known.map_or_else(String::new, |known| {
                format!(r#""$type":"{}, {}","#, known.name, known.assembly)
            });
            let DotnetException {
                name,
                hresult,
                more,
                ..
            } = known.unwrap_or(&PLAIN);
            format!(
                r#"{{{head}"ClassName":"{name}","Message":{message},"Data":null,"InnerException":{inner},"HelpURL":null,"StackTraceString":{stack},"RemoteStackTraceString":null,"RemoteStackIndex":0,"ExceptionMethod":null,"HResult":{hresult},"Source":null,"WatsonBuckets":null{more}}}"#
            )
        })
}
