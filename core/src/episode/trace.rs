//! Trace contexts of what an execution calls (chapter 04 §7.3).

use uuid::Uuid;

use super::convert::namespace_of;
use crate::{ExecutionStarted, TraceContext};

/// A span of the execution's trace for one of its calls: its id, and the context that carries it.
pub(super) struct CallSpan {
    pub(super) span_id: String,
    pub(super) context: TraceContext,
}

/// The span of call `task`, or `None` if the execution is not traced. .NET draws the span id at
/// random; ours is derived, so that a call that is sent twice is the same span twice.
pub(super) fn call_span(started: &ExecutionStarted, task: i32) -> Option<CallSpan> {
    let parent = started.parent_trace_context.as_ref()?;
    let mut parts = parent.trace_parent.as_deref()?.split('-');
    let (version, trace, _, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let derived = Uuid::new_v5(&namespace_of(started), format!("span:{task}").as_bytes());
    let span_id = format!("{:016x}", derived.as_u64_pair().0);
    let context = TraceContext {
        trace_parent: Some(format!("{version}-{trace}-{span_id}-{flags}")),
        trace_state: parent.trace_state.clone(),
        ..TraceContext::default()
    };
    Some(CallSpan { span_id, context })
}
