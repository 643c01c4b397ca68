//! Trace contexts of what an execution calls (chapter 04 §7.3).

use uuid::Uuid;

use super::derived::namespace_of;
use crate::{EventKind, ExecutionStarted, Timestamp, TraceContext};

/// A span of the execution's trace for one of its calls: its id, and the context that carries it.
pub(super) struct CallSpan {
    pub(super) span_id: String,
    pub(super) context: TraceContext,
}

/// The context of an execution's own span, whichever worker runs its next episode, or `None` if
/// the execution is not traced.
pub fn execution_trace(started: &ExecutionStarted) -> Option<TraceContext> {
    let parent = started.parent_trace_context.as_ref();
    let known = parent.and_then(|parent| parent.id.clone());
    let mut own = span_of(started, "orchestration")?.context;
    own.trace_parent = known.or(own.trace_parent);
    Some(own)
}

/// Notes the execution's own span in the event that starts it, as the first episode does that
/// makes one, so that .NET workers that go on tell of the same span.
pub(super) fn begin(kind: &mut EventKind, now: Timestamp) {
    let EventKind::ExecutionStarted(started) = kind else {
        return;
    };
    let Some(own) = span_of(started, "orchestration") else {
        return;
    };
    if let Some(parent) = started.parent_trace_context.as_mut()
        && parent.id.is_none()
    {
        parent.id = own.context.trace_parent;
        parent.span_id = Some(own.span_id);
        parent.activity_start_time = Some(with_offset(now));
    }
}

/// As Json.NET writes a date with offset.
fn with_offset(time: Timestamp) -> String {
    let text = time.to_string();
    let text = text.trim_end_matches('Z').trim_end_matches('0');
    format!("{}+00:00", text.trim_end_matches('.'))
}

/// The span of call `task`, or `None` if the execution is not traced. .NET draws the span id at
/// random; ours is derived, so that a call that is sent twice is the same span twice.
pub(super) fn call_span(started: &ExecutionStarted, task: i32) -> Option<CallSpan> {
    span_of(started, &format!("span:{task}"))
}

fn span_of(started: &ExecutionStarted, what: &str) -> Option<CallSpan> {
    let derived = |name: &str| Uuid::new_v5(&namespace_of(started), name.as_bytes());
    let parent = started.parent_trace_context.as_ref();
    let own;
    let trace_parent = match parent {
        Some(parent) => parent.trace_parent.as_deref()?,
        // Continue-as-new asked for a new trace: its id is derived too.
        None if started.generate_new_trace => {
            own = format!("00-{}-{:016x}-01", derived("trace").simple(), 0);
            &own
        }
        None => return None,
    };
    let mut parts = trace_parent.split('-');
    let (version, trace, _, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let span_id = format!("{:016x}", derived(what).as_u64_pair().0);
    let context = TraceContext {
        trace_parent: Some(format!("{version}-{trace}-{span_id}-{flags}")),
        trace_state: parent.and_then(|parent| parent.trace_state.clone()),
        ..TraceContext::default()
    };
    Some(CallSpan { span_id, context })
}
