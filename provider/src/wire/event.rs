//! The members of every event, named once for messages and rows alike (chapter 02 §1.7,
//! chapter 03 §1.6).

use durabletask_core::{
    EventKind, EventRaised, EventType, ExecutionCompleted, ExecutionRewound, ExecutionStarted,
    HistoryEvent, OrchestrationStatus, SubOrchestrationCreated, TaskFailed, TaskScheduled,
    Timestamp, TraceContext,
};

use serde_json::value::RawValue;

use super::WireError;
use super::json::{Reader, Writer};
use super::objects::{self, Object};

type Result<T> = std::result::Result<T, WireError>;
/// Reads one class-typed member from JSON; `None` for null.
pub(super) type ReadObject<T> = fn(&mut Reader<'_>) -> Result<Option<T>>;

/// Takes the members of an event in wire order.
pub(super) trait Members {
    fn text(&mut self, name: &'static str, value: Option<&str>);
    fn int(&mut self, name: &'static str, value: Option<i32>);
    fn flag(&mut self, name: &'static str, value: bool);
    fn date(&mut self, name: &'static str, value: Option<Timestamp>);
    fn event_type(&mut self, value: EventType);
    fn status(&mut self, name: &'static str, value: OrchestrationStatus);
    fn object(&mut self, name: &'static str, value: Option<Object<'_>>);
}

/// Gives the members of an event by name; missing ones are `None` or false.
pub(super) trait Source {
    fn text(&mut self, name: &'static str) -> Result<Option<String>>;
    fn int(&mut self, name: &'static str) -> Result<Option<i32>>;
    fn flag(&mut self, name: &'static str) -> Result<bool>;
    fn date(&mut self, name: &'static str) -> Result<Option<Timestamp>>;
    fn status(&mut self, name: &'static str) -> Result<Option<OrchestrationStatus>>;
    fn object<T>(&mut self, name: &'static str, read: ReadObject<T>) -> Result<Option<T>>;
}

/// The class that `$type` names, after `DurableTask.Core.History.`.
pub(super) fn class_name(kind: EventType) -> String {
    match kind {
        EventType::Generic => kind.name().to_owned(),
        _ => format!("{}Event", kind.name()),
    }
}

/// The event type of a class.
pub(super) fn from_class_name(class: &str) -> Option<EventType> {
    match class {
        "GenericEvent" => Some(EventType::Generic),
        _ => EventType::from_name(class.strip_suffix("Event")?),
    }
}

/// The event type of a number.
pub(super) fn from_number(number: i32) -> Option<EventType> {
    let mut all = EventType::ALL.iter().copied();
    all.find(|kind| kind.number() == number)
}

/// Hands out all members of an event: marked fields, `EventType`, the class's own, the base's.
pub(super) fn write(event: &HistoryEvent, out: &mut impl Members) {
    match &event.kind {
        EventKind::ExecutionStarted(started) => {
            out.object(
                "OrchestrationInstance",
                Some(Object::Instance(&started.instance)),
            );
        }
        EventKind::Generic { data } => out.text("Data", data.as_deref()),
        _ => {}
    }
    out.event_type(event.event_type());
    write_own(&event.kind, out);
    out.int("EventId", Some(event.event_id));
    out.flag("IsPlayed", event.is_played);
    out.date("Timestamp", Some(event.timestamp));
}

fn write_own(kind: &EventKind, out: &mut impl Members) {
    match kind {
        EventKind::ExecutionStarted(started) => write_started(started, out),
        EventKind::ExecutionCompleted(completed) | EventKind::ContinueAsNew(completed) => {
            out.status("OrchestrationStatus", completed.status);
            out.text("Result", completed.result.as_deref());
            out.object(
                "FailureDetails",
                completed.failure.as_ref().map(Object::Failure),
            );
        }
        EventKind::ExecutionTerminated { input } => out.text("Input", input.as_deref()),
        EventKind::ExecutionSuspended { reason } | EventKind::ExecutionResumed { reason } => {
            out.text("Reason", reason.as_deref());
        }
        EventKind::ExecutionRewound(rewound) => {
            out.text("Reason", rewound.reason.as_deref());
            out.text("ParentExecutionId", rewound.parent_execution_id.as_deref());
            out.text("InstanceId", rewound.instance_id.as_deref());
            write_trace(rewound.parent_trace_context.as_ref(), out);
        }
        EventKind::TaskScheduled(task) => {
            out.text("Name", task.name.as_deref());
            out.text("Version", task.version.as_deref());
            out.text("Input", task.input.as_deref());
            write_trace(task.parent_trace_context.as_ref(), out);
            out.object("Tags", task.tags.as_ref().map(Object::Tags));
        }
        EventKind::TaskCompleted {
            task_scheduled_id,
            result,
        }
        | EventKind::SubOrchestrationCompleted {
            task_scheduled_id,
            result,
        } => {
            out.int("TaskScheduledId", Some(*task_scheduled_id));
            out.text("Result", result.as_deref());
        }
        EventKind::TaskFailed(failed) | EventKind::SubOrchestrationFailed(failed) => {
            out.int("TaskScheduledId", Some(failed.task_scheduled_id));
            out.text("Reason", failed.reason.as_deref());
            out.text("Details", failed.details.as_deref());
            out.object(
                "FailureDetails",
                failed.failure.as_ref().map(Object::Failure),
            );
        }
        EventKind::SubOrchestrationCreated(child) => write_child(child, out),
        EventKind::TimerCreated { fire_at } => out.date("FireAt", Some(*fire_at)),
        EventKind::TimerFired { timer_id, fire_at } => {
            out.int("TimerId", Some(*timer_id));
            out.date("FireAt", Some(*fire_at));
        }
        EventKind::EventSent {
            instance_id,
            name,
            input,
        } => {
            out.text("InstanceId", instance_id.as_deref());
            out.text("Name", name.as_deref());
            out.text("Input", input.as_deref());
        }
        EventKind::EventRaised(raised) => {
            out.text("Name", raised.name.as_deref());
            out.text("Input", raised.input.as_deref());
            write_trace(raised.parent_trace_context.as_ref(), out);
        }
        EventKind::HistoryState { state } => {
            out.object("State", state.as_deref().map(Object::Any));
        }
        EventKind::Generic { .. }
        | EventKind::OrchestratorStarted
        | EventKind::OrchestratorCompleted => {}
    }
}

fn write_started(started: &ExecutionStarted, out: &mut impl Members) {
    out.object(
        "ParentInstance",
        started.parent.as_ref().map(Object::Parent),
    );
    out.text("Name", started.name.as_deref());
    out.text("Version", started.version.as_deref());
    out.text("Input", started.input.as_deref());
    out.object("Tags", started.tags.as_ref().map(Object::Tags));
    out.text("Correlation", started.correlation.as_deref());
    write_trace(started.parent_trace_context.as_ref(), out);
    out.date("ScheduledStartTime", started.scheduled_start_time);
    out.int("Generation", started.generation);
    out.flag("GenerateNewTrace", started.generate_new_trace);
}

fn write_child(child: &SubOrchestrationCreated, out: &mut impl Members) {
    out.text("Name", child.name.as_deref());
    out.text("Version", child.version.as_deref());
    out.text("InstanceId", child.instance_id.as_deref());
    out.text("Input", child.input.as_deref());
    out.text("ClientSpanId", child.client_span_id.as_deref());
    out.object("Tags", child.tags.as_ref().map(Object::Tags));
}

fn write_trace(trace: Option<&TraceContext>, out: &mut impl Members) {
    out.object("ParentTraceContext", trace.map(Object::Trace));
}

/// Builds the event of that type from its members.
pub(super) fn read(
    event_type: EventType,
    event_id: i32,
    source: &mut impl Source,
) -> Result<HistoryEvent> {
    Ok(HistoryEvent {
        event_id,
        is_played: source.flag("IsPlayed")?,
        timestamp: source.date("Timestamp")?.unwrap_or_default(),
        kind: read_kind(event_type, source)?,
    })
}

fn read_kind(event_type: EventType, source: &mut impl Source) -> Result<EventKind> {
    Ok(match event_type {
        EventType::ExecutionStarted => EventKind::ExecutionStarted(Box::new(read_started(source)?)),
        EventType::ExecutionCompleted => EventKind::ExecutionCompleted(read_completed(source)?),
        EventType::ContinueAsNew => EventKind::ContinueAsNew(read_completed(source)?),
        EventType::ExecutionTerminated => EventKind::ExecutionTerminated {
            input: source.text("Input")?,
        },
        EventType::ExecutionSuspended => EventKind::ExecutionSuspended {
            reason: source.text("Reason")?,
        },
        EventType::ExecutionResumed => EventKind::ExecutionResumed {
            reason: source.text("Reason")?,
        },
        EventType::ExecutionRewound => EventKind::ExecutionRewound(Box::new(ExecutionRewound {
            reason: source.text("Reason")?,
            parent_execution_id: source.text("ParentExecutionId")?,
            instance_id: source.text("InstanceId")?,
            parent_trace_context: source.object("ParentTraceContext", objects::read_trace)?,
        })),
        EventType::TaskScheduled => EventKind::TaskScheduled(Box::new(TaskScheduled {
            name: source.text("Name")?,
            version: source.text("Version")?,
            input: source.text("Input")?,
            parent_trace_context: source.object("ParentTraceContext", objects::read_trace)?,
            tags: source.object("Tags", objects::read_tags)?,
        })),
        EventType::TaskCompleted => EventKind::TaskCompleted {
            task_scheduled_id: source.int("TaskScheduledId")?.unwrap_or(0),
            result: source.text("Result")?,
        },
        EventType::SubOrchestrationCompleted => EventKind::SubOrchestrationCompleted {
            task_scheduled_id: source.int("TaskScheduledId")?.unwrap_or(0),
            result: source.text("Result")?,
        },
        EventType::TaskFailed => EventKind::TaskFailed(Box::new(read_failed(source)?)),
        EventType::SubOrchestrationFailed => {
            EventKind::SubOrchestrationFailed(Box::new(read_failed(source)?))
        }
        EventType::SubOrchestrationCreated => {
            EventKind::SubOrchestrationCreated(Box::new(read_child(source)?))
        }
        EventType::TimerCreated => EventKind::TimerCreated {
            fire_at: source.date("FireAt")?.unwrap_or_default(),
        },
        EventType::TimerFired => EventKind::TimerFired {
            timer_id: source.int("TimerId")?.unwrap_or(0),
            fire_at: source.date("FireAt")?.unwrap_or_default(),
        },
        EventType::OrchestratorStarted => EventKind::OrchestratorStarted,
        EventType::OrchestratorCompleted => EventKind::OrchestratorCompleted,
        EventType::EventSent => EventKind::EventSent {
            instance_id: source.text("InstanceId")?,
            name: source.text("Name")?,
            input: source.text("Input")?,
        },
        EventType::EventRaised => EventKind::EventRaised(Box::new(EventRaised {
            name: source.text("Name")?,
            input: source.text("Input")?,
            parent_trace_context: source.object("ParentTraceContext", objects::read_trace)?,
        })),
        EventType::Generic => EventKind::Generic {
            data: source.text("Data")?,
        },
        EventType::HistoryState => EventKind::HistoryState {
            state: source.object("State", objects::read_any)?,
        },
    })
}

fn read_started(source: &mut impl Source) -> Result<ExecutionStarted> {
    let instance = source.object("OrchestrationInstance", objects::read_instance)?;
    Ok(ExecutionStarted {
        instance: instance.unwrap_or_default(),
        parent: source.object("ParentInstance", objects::read_parent)?,
        name: source.text("Name")?,
        version: source.text("Version")?,
        input: source.text("Input")?,
        tags: source.object("Tags", objects::read_tags)?,
        correlation: source.text("Correlation")?,
        parent_trace_context: source.object("ParentTraceContext", objects::read_trace)?,
        scheduled_start_time: source.date("ScheduledStartTime")?,
        generation: source.int("Generation")?,
        generate_new_trace: source.flag("GenerateNewTrace")?,
    })
}

fn read_completed(source: &mut impl Source) -> Result<ExecutionCompleted> {
    let status = source.status("OrchestrationStatus")?;
    Ok(ExecutionCompleted {
        status: status.unwrap_or(OrchestrationStatus::Running),
        result: source.text("Result")?,
        failure: source.object("FailureDetails", objects::read_failure)?,
    })
}

fn read_failed(source: &mut impl Source) -> Result<TaskFailed> {
    Ok(TaskFailed {
        task_scheduled_id: source.int("TaskScheduledId")?.unwrap_or(0),
        reason: source.text("Reason")?,
        details: source.text("Details")?,
        failure: source.object("FailureDetails", objects::read_failure)?,
    })
}

fn read_child(source: &mut impl Source) -> Result<SubOrchestrationCreated> {
    Ok(SubOrchestrationCreated {
        name: source.text("Name")?,
        version: source.text("Version")?,
        instance_id: source.text("InstanceId")?,
        input: source.text("Input")?,
        client_span_id: source.text("ClientSpanId")?,
        tags: source.object("Tags", objects::read_tags)?,
    })
}

/// In JSON, enums are numbers and what is missing is null.
impl Members for Writer {
    fn text(&mut self, name: &'static str, value: Option<&str>) {
        self.text(name, value);
    }

    fn int(&mut self, name: &'static str, value: Option<i32>) {
        self.int(name, value);
    }

    fn flag(&mut self, name: &'static str, value: bool) {
        self.flag(name, value);
    }

    fn date(&mut self, name: &'static str, value: Option<Timestamp>) {
        self.date(name, value);
    }

    fn event_type(&mut self, value: EventType) {
        self.int("EventType", Some(value.number()));
    }

    fn status(&mut self, name: &'static str, value: OrchestrationStatus) {
        self.int(name, Some(value.number()));
    }

    fn object(&mut self, name: &'static str, value: Option<Object<'_>>) {
        self.key(name);
        match value {
            Some(object) => object.write(self),
            None => self.null(),
        }
    }
}

/// Writes an event as an object, with its class in `$type` where those are written.
pub(super) fn write_json(event: &HistoryEvent, out: &mut Writer) {
    let class = class_name(event.event_type());
    out.begin(&format!("DurableTask.Core.History.{class}"));
    write(event, out);
    out.end();
}

/// A history as .NET's history queries return it: a JSON array, enums as numbers, no `$type`
/// (chapter 03 §6.2).
pub fn history_json<'e>(history: impl IntoIterator<Item = &'e HistoryEvent>) -> String {
    let mut out = Writer::plain();
    out.begin_array();
    for event in history {
        out.separate();
        write_json(event, &mut out);
    }
    out.end_array();
    out.finish()
}

/// Reads a history that [`history_json`] or a .NET client has exported. Events may carry `$type`
/// or not.
pub fn read_history_json(json: &str) -> Result<Vec<HistoryEvent>> {
    let corrupt = WireError::Corrupt("a history, which is a JSON array of events");
    let Ok(events) = serde_json::from_str::<Vec<&RawValue>>(json) else {
        return Err(corrupt);
    };
    let mut history = Vec::with_capacity(events.len());
    for event in events {
        let event = super::message::read_event(&mut Reader::new(event.get()))?;
        history.push(event.ok_or(WireError::MissingMember("Event"))?);
    }
    Ok(history)
}
