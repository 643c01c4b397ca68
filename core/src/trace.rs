//! W3C trace context as messages and history carry it.

/// `DurableTask.Core.Tracing.DistributedTraceContext` (chapter 04 §7.3).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TraceContext {
    /// W3C `traceparent`.
    pub trace_parent: Option<String>,
    /// W3C `tracestate`; .NET drops texts longer than 513 characters.
    pub trace_state: Option<String>,
    /// The orchestration span's own id in `traceparent` form, once its first episode made it.
    pub id: Option<String>,
    /// The orchestration span's span id.
    pub span_id: Option<String>,
    /// Start of the orchestration span: a date with offset, kept as text.
    pub activity_start_time: Option<String>,
}
