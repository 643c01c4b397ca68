//! The objects that events and messages are made of (chapter 02 §1.5, chapter 03 §1.7): with
//! `$type` in messages, without in columns.

use durabletask_core::{FailureDetails, OrchestrationInstance, ParentInstance, Tags, TraceContext};

use super::WireError;
use super::json::{Raw, Reader, Writer};

type Result<T> = std::result::Result<T, WireError>;

const STRING_MAP: &str = "System.Collections.Generic.Dictionary`2[[System.String, System.Private.CoreLib],[System.String, System.Private.CoreLib]]";
const OBJECT_MAP: &str = "System.Collections.Generic.Dictionary`2[[System.String, System.Private.CoreLib],[System.Object, System.Private.CoreLib]]";

/// The member of `names` that .NET's reader would take `name` for: exactly equal, else equal
/// without regard to case, else the empty string.
pub(super) fn canonical(name: &str, names: &[&'static str]) -> &'static str {
    let same = |candidate: &&&str| **candidate == name;
    let similar = |candidate: &&&str| candidate.eq_ignore_ascii_case(name);
    let found = names
        .iter()
        .find(same)
        .or_else(|| names.iter().find(similar));
    found.copied().unwrap_or_default()
}

/// A class-typed member.
#[derive(Debug, Clone, Copy)]
pub(super) enum Object<'a> {
    Instance(&'a OrchestrationInstance),
    Parent(&'a ParentInstance),
    Tags(&'a Tags),
    Trace(&'a TraceContext),
    Failure(&'a FailureDetails),
    /// JSON text.
    Any(&'a str),
}

impl Object<'_> {
    /// Writes the object as the next value.
    pub(super) fn write(self, out: &mut Writer) {
        match self {
            Self::Instance(instance) => write_instance(out, instance),
            Self::Parent(parent) => write_parent(out, parent),
            Self::Tags(tags) => write_tags(out, tags),
            Self::Trace(trace) => write_trace(out, trace),
            Self::Failure(failure) => write_failure(out, failure),
            Self::Any(json) => out.raw(json, None),
        }
    }

    /// The object as the text of a column.
    pub(super) fn to_column(self) -> String {
        let mut out = Writer::plain();
        self.write(&mut out);
        out.finish()
    }
}

fn write_instance(out: &mut Writer, instance: &OrchestrationInstance) {
    out.begin("DurableTask.Core.OrchestrationInstance");
    write_ids(out, instance);
}

/// `MessageData.Sender`, which has no `$type` anywhere.
pub(super) fn write_sender(out: &mut Writer, sender: &OrchestrationInstance) {
    out.begin_untyped();
    write_ids(out, sender);
}

fn write_ids(out: &mut Writer, instance: &OrchestrationInstance) {
    out.text("InstanceId", Some(&instance.instance_id));
    out.text("ExecutionId", instance.execution_id.as_deref());
    out.end();
}

/// Reads an instance; a missing id is empty.
pub(super) fn read_instance(reader: &mut Reader<'_>) -> Result<Option<OrchestrationInstance>> {
    let mut instance = OrchestrationInstance::default();
    let found = reader.object(|reader, name| {
        match canonical(&name, &["InstanceId", "ExecutionId"]) {
            "InstanceId" => {
                instance.instance_id = reader.value()?.text("InstanceId")?.unwrap_or_default();
            }
            "ExecutionId" => instance.execution_id = reader.value()?.text("ExecutionId")?,
            _ => reader.skip()?,
        }
        Ok(())
    })?;
    Ok(found.then_some(instance))
}

fn write_parent(out: &mut Writer, parent: &ParentInstance) {
    out.begin("DurableTask.Core.ParentInstance");
    out.text("Name", parent.name.as_deref());
    out.key("OrchestrationInstance");
    write_instance(out, &parent.instance);
    out.int("TaskScheduleId", Some(parent.task_schedule_id));
    out.text("Version", parent.version.as_deref());
    out.end();
}

/// Reads a parent.
pub(super) fn read_parent(reader: &mut Reader<'_>) -> Result<Option<ParentInstance>> {
    const NAMES: [&str; 4] = ["Name", "OrchestrationInstance", "TaskScheduleId", "Version"];
    let mut parent = ParentInstance::default();
    let found = reader.object(|reader, name| {
        match canonical(&name, &NAMES) {
            "Name" => parent.name = reader.value()?.text("Name")?,
            "OrchestrationInstance" => {
                parent.instance = read_instance(reader)?.unwrap_or_default();
            }
            "TaskScheduleId" => {
                parent.task_schedule_id = reader.value()?.int("TaskScheduleId")?.unwrap_or(0);
            }
            "Version" => parent.version = reader.value()?.text("Version")?,
            _ => reader.skip()?,
        }
        Ok(())
    })?;
    Ok(found.then_some(parent))
}

/// Writes a string map. .NET would take a tag called `$type` for the map's type, so none is.
pub(super) fn write_tags(out: &mut Writer, tags: &Tags) {
    out.begin(STRING_MAP);
    for (name, value) in tags.iter().filter(|(name, _)| *name != "$type") {
        out.text(name, Some(value));
    }
    out.end();
}

/// Reads a string map without its `$type`, which is no tag. A null value is empty text.
pub(super) fn read_tags(reader: &mut Reader<'_>) -> Result<Option<Tags>> {
    let mut tags = Tags::new();
    let found = reader.object(|reader, name| {
        let value = reader.value()?.text("Tags")?.unwrap_or_default();
        if name != "$type" {
            tags.insert(name, value);
        }
        Ok(())
    })?;
    Ok(found.then_some(tags))
}

fn write_trace(out: &mut Writer, trace: &TraceContext) {
    out.begin("DurableTask.Core.Tracing.DistributedTraceContext");
    out.text("TraceParent", trace.trace_parent.as_deref());
    out.text("TraceState", trace.trace_state.as_deref());
    out.text("Id", trace.id.as_deref());
    out.text("SpanId", trace.span_id.as_deref());
    out.text("ActivityStartTime", trace.activity_start_time.as_deref());
    out.end();
}

/// Reads a trace context.
pub(super) fn read_trace(reader: &mut Reader<'_>) -> Result<Option<TraceContext>> {
    const NAMES: [&str; 5] = [
        "TraceParent",
        "TraceState",
        "Id",
        "SpanId",
        "ActivityStartTime",
    ];
    let mut trace = TraceContext::default();
    let found = reader.object(|reader, name| {
        let name = canonical(&name, &NAMES);
        let target = match name {
            "TraceParent" => &mut trace.trace_parent,
            "TraceState" => &mut trace.trace_state,
            "Id" => &mut trace.id,
            "SpanId" => &mut trace.span_id,
            "ActivityStartTime" => &mut trace.activity_start_time,
            _ => return reader.skip(),
        };
        *target = reader.value()?.text(name)?;
        Ok(())
    })?;
    Ok(found.then_some(trace))
}

/// Causes that would nest too deep for .NET's reader, about 60 levels down, are cut off.
fn write_failure(out: &mut Writer, failure: &FailureDetails) {
    out.begin("DurableTask.Core.FailureDetails");
    out.text("ErrorType", Some(&failure.error_type));
    out.text("ErrorMessage", Some(&failure.error_message));
    out.text("StackTrace", failure.stack_trace.as_deref());
    out.key("InnerFailure");
    match &failure.inner {
        Some(inner) if out.may_nest() => write_failure(out, inner),
        _ => out.null(),
    }
    out.flag("IsNonRetriable", failure.is_non_retriable);
    out.key("Properties");
    match &failure.properties {
        Some(properties) => out.raw(properties, Some(OBJECT_MAP)),
        None => out.null(),
    }
    out.end();
}

/// Reads a failure and its causes. Properties keep their text, in Newtonsoft's form.
pub(super) fn read_failure(reader: &mut Reader<'_>) -> Result<Option<FailureDetails>> {
    const NAMES: [&str; 6] = [
        "ErrorType",
        "ErrorMessage",
        "StackTrace",
        "InnerFailure",
        "IsNonRetriable",
        "Properties",
    ];
    let mut failure = FailureDetails::default();
    let found = reader.object(|reader, name| {
        match canonical(&name, &NAMES) {
            "ErrorType" => {
                failure.error_type = reader.value()?.text("ErrorType")?.unwrap_or_default();
            }
            "ErrorMessage" => {
                failure.error_message = reader.value()?.text("ErrorMessage")?.unwrap_or_default();
            }
            "StackTrace" => failure.stack_trace = reader.value()?.text("StackTrace")?,
            "InnerFailure" => failure.inner = read_failure(reader)?.map(Box::new),
            "IsNonRetriable" => {
                failure.is_non_retriable = reader.value()?.flag("IsNonRetriable")?;
            }
            "Properties" => failure.properties = read_properties(reader)?,
            _ => reader.skip()?,
        }
        Ok(())
    })?;
    Ok(found.then_some(failure))
}

fn read_properties(reader: &mut Reader<'_>) -> Result<Option<String>> {
    match reader.value()? {
        Raw::Null => Ok(None),
        Raw::Nested(json, depth) if json.starts_with('{') => {
            let mut out = Writer::plain();
            Reader::nested(json, depth).copy_object(&mut out, OBJECT_MAP)?;
            Ok(Some(out.finish()))
        }
        _ => Err(WireError::Corrupt("Properties")),
    }
}

/// Any JSON but null, in Newtonsoft's form.
pub(super) fn read_any(reader: &mut Reader<'_>) -> Result<Option<String>> {
    let mut out = Writer::plain();
    reader.copy(&mut out)?;
    Ok(Some(out.finish()).filter(|json| json != "null"))
}
