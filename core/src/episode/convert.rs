//! Decisions become events and messages (chapter 04 §1.8).

use std::sync::Arc;

use super::derived::{child_execution_id, next_execution_id};
use super::errors::child_failed;
use super::trace::{self, call_span};
use super::{EpisodeOptions, Outbound, RuntimeState, Stamps};
use crate::{
    Action, Completion, EventKind, EventRaised, ExecutionCompleted, ExecutionStarted,
    FIRE_AND_FORGET_TAG, HistoryEvent, OrchestrationInstance, OrchestrationStatus, ParentInstance,
    SubOrchestrationCreated, Tags, TaskMessage, TaskScheduled, Timestamp, TraceContext, merge_tags,
};

/// Outbound messages by kind, each in the order of the decisions.
#[derive(Debug, Default)]
pub(super) struct Outboxes {
    to_instances: Vec<TaskMessage>,
    timers: Vec<TaskMessage>,
    activities: Vec<TaskMessage>,
}

impl Outboxes {
    /// All messages in the order in which they are sent.
    pub(super) fn into_outbound(self) -> Vec<Outbound> {
        let to_instances = self.to_instances.into_iter().map(Outbound::ToInstance);
        let timers = self.timers.into_iter().map(Outbound::Timer);
        let activities = self.activities.into_iter().map(Outbound::Activity);
        to_instances.chain(timers).chain(activities).collect()
    }
}

/// Turns the decisions of one execution into its history and its outbound messages.
pub(super) struct Converter<'a> {
    pub(super) state: &'a mut RuntimeState,
    pub(super) out: &'a mut Outboxes,
    pub(super) options: &'a EpisodeOptions,
    pub(super) stamps: &'a mut dyn Stamps,
}

impl Converter<'_> {
    /// Takes up one decision other than continue-as-new.
    pub(super) fn convert(&mut self, started: &ExecutionStarted, id: i32, action: Action) {
        match action {
            Action::ScheduleTask {
                name,
                version,
                input,
                tags,
            } => {
                let own_version = || started.version.clone().unwrap_or_default();
                let task = TaskScheduled {
                    name: Some(name),
                    version: Some(version.unwrap_or_else(own_version)),
                    input,
                    parent_trace_context: call_span(started, id).map(|span| span.context),
                    tags,
                };
                self.schedule(started, id, task);
            }
            Action::CreateTimer { fire_at } => {
                let fired = EventKind::TimerFired {
                    timer_id: id,
                    fire_at,
                };
                let message = self.message(fired, started.instance.clone());
                self.out.timers.push(message);
                self.record(id, EventKind::TimerCreated { fire_at });
            }
            Action::CreateSubOrchestration {
                name,
                version,
                instance_id,
                input,
                tags,
            } => {
                let child = SubOrchestrationCreated {
                    name: Some(name),
                    version: version.or_else(|| self.child_version(started)),
                    instance_id: instance_id.filter(|id| !id.trim().is_empty()),
                    input,
                    client_span_id: None,
                    tags: merge_tags(tags.as_ref(), started.tags.as_ref()),
                };
                self.start_child(started, id, child);
            }
            Action::SendEvent {
                target,
                name,
                input,
            } => {
                let sent = EventKind::EventSent {
                    instance_id: Some(target.instance_id.clone()),
                    name: Some(name.clone()),
                    input: input.clone(),
                };
                self.record(id, sent);
                let raised = EventKind::EventRaised(Box::new(EventRaised {
                    name: Some(name),
                    input,
                    parent_trace_context: call_span(started, id).map(|span| span.context),
                }));
                let message = self.message(raised, target);
                self.out.to_instances.push(message);
            }
            Action::Complete(end) => self.complete(started, id, *end),
        }
    }

    /// The version of a child that is started without one. Functions hosts leave it out where
    /// their own has none, and later readers tell by that who began an execution.
    fn child_version(&self, started: &ExecutionStarted) -> Option<String> {
        let version = &*self.options.child_version;
        let is_left_out = version.is_empty() && started.version.is_none();
        (!is_left_out).then(|| version.to_owned())
    }

    fn schedule(&mut self, started: &ExecutionStarted, id: i32, task: TaskScheduled) {
        // With inputs in history .NET writes one event twice; without, two events, the one in
        // history being the later one.
        let sent = HistoryEvent::with_id(
            id,
            self.stamps.now(),
            EventKind::TaskScheduled(Box::new(task.clone())),
        );
        if self.options.include_parameters {
            self.state.add(Arc::new(sent.clone()));
        } else {
            let recorded = TaskScheduled {
                input: None,
                ..task
            };
            self.record(id, EventKind::TaskScheduled(Box::new(recorded)));
        }
        self.out.activities.push(TaskMessage {
            event: sent,
            target: started.instance.clone(),
            orchestration_tags: Some(context_tags(started)),
        });
    }

    fn start_child(
        &mut self,
        started: &ExecutionStarted,
        id: i32,
        mut child: SubOrchestrationCreated,
    ) {
        let execution = started.instance.execution_id.as_deref().unwrap_or_default();
        let instance_id = child
            .instance_id
            .get_or_insert_with(|| format!("{execution}:{id}"))
            .clone();
        let span = call_span(started, id);
        let target = OrchestrationInstance::new(instance_id, child_execution_id(started, id));
        let start = ExecutionStarted {
            instance: target.clone(),
            parent: Some(ParentInstance {
                name: started.name.clone(),
                instance: started.instance.clone(),
                task_schedule_id: id,
                version: started.version.clone(),
            }),
            name: child.name.clone(),
            version: child.version.clone(),
            input: child.input.clone(),
            tags: child.tags.clone(),
            parent_trace_context: span.as_ref().map(|span| span.context.clone()),
            ..ExecutionStarted::default()
        };
        child.client_span_id = span.map(|span| span.span_id);
        child.input = child.input.filter(|_| self.options.include_parameters);
        self.record(id, EventKind::SubOrchestrationCreated(Box::new(child)));
        let mut message = self.message(EventKind::ExecutionStarted(Box::new(start)), target);
        message.orchestration_tags = Some(context_tags(started));
        self.out.to_instances.push(message);
    }

    fn complete(&mut self, started: &ExecutionStarted, id: i32, end: Completion) {
        if let Some(parent) = started.parent.as_ref().filter(|_| !is_forgotten(started))
            && let Some(answer) = answer_to_parent(parent.task_schedule_id, &end, self.options)
        {
            let message = self.message(answer, parent.instance.clone());
            self.out.to_instances.push(message);
        }
        if end.status == OrchestrationStatus::Terminated {
            self.terminate_children(end.result.as_deref());
        }
        let completed = ExecutionCompleted {
            status: end.status,
            result: end.result,
            failure: end
                .failure
                .filter(|_| self.options.error_mode.writes_failure() && !end.is_bare),
        };
        self.record(id, EventKind::ExecutionCompleted(completed));
    }

    /// Children that were started to end with this execution do.
    fn terminate_children(&mut self, reason: Option<&str>) {
        let children: Vec<_> = self.state.dependent_children().map(str::to_owned).collect();
        for child in children {
            let terminated = EventKind::ExecutionTerminated {
                input: reason.map(str::to_owned),
            };
            let message = self.message(terminated, OrchestrationInstance::current(child));
            self.out.to_instances.push(message);
        }
    }

    fn record(&mut self, id: i32, kind: EventKind) {
        let event = HistoryEvent::with_id(id, self.stamps.now(), kind);
        self.state.add(Arc::new(event));
    }

    fn message(&mut self, kind: EventKind, target: OrchestrationInstance) -> TaskMessage {
        TaskMessage {
            event: HistoryEvent::new(self.stamps.now(), kind),
            target,
            orchestration_tags: None,
        }
    }
}

/// The answer of a finished child, once more: for a parent whose call came again because its episode
/// was not committed, and that may have lost the first answer meanwhile. `None` unless the state is
/// of a child that has ended and whose parent waits. Details of failures are not stored and so not
/// said again.
pub fn answer_again(
    state: &RuntimeState,
    options: &EpisodeOptions,
    stamps: &mut dyn Stamps,
) -> Option<TaskMessage> {
    let (started, completed) = (state.started()?, state.completed()?);
    let parent = started.parent.as_ref()?;
    if is_forgotten(started) {
        return None;
    }
    let end = Completion {
        failure: completed.failure.clone(),
        ..Completion::new(completed.status, completed.result.clone())
    };
    let answer = answer_to_parent(parent.task_schedule_id, &end, options)?;
    Some(TaskMessage {
        event: HistoryEvent::new(stamps.now(), answer),
        target: parent.instance.clone(),
        orchestration_tags: None,
    })
}

/// Whether nobody waits for the execution's end (chapter 04 §6.6).
fn is_forgotten(started: &ExecutionStarted) -> bool {
    let tags = started.tags.as_ref();
    tags.is_some_and(|tags| tags.get(FIRE_AND_FORGET_TAG).is_some())
}

/// Tags of the sender's execution context: `{}` if it has none.
fn context_tags(started: &ExecutionStarted) -> Tags {
    started.tags.clone().unwrap_or_default()
}

/// What the parent hears (chapter 04 §1.8.5). A canceled child tells nothing, as with .NET.
fn answer_to_parent(task: i32, end: &Completion, options: &EpisodeOptions) -> Option<EventKind> {
    match end.status {
        OrchestrationStatus::Completed => Some(EventKind::SubOrchestrationCompleted {
            task_scheduled_id: task,
            result: end.result.clone(),
        }),
        OrchestrationStatus::Failed | OrchestrationStatus::Terminated => {
            let failed = child_failed(task, end, options.error_mode);
            Some(EventKind::SubOrchestrationFailed(Box::new(failed)))
        }
        _ => None,
    }
}

/// The first events of the execution that follows a continue-as-new (chapter 04 §6.1): closed by
/// an OrchestratorCompleted before its code has run.
pub(super) fn next_generation(
    started: &ExecutionStarted,
    end: Completion,
    stamps: &mut dyn Stamps,
) -> Vec<HistoryEvent> {
    let instance = OrchestrationInstance::new(
        started.instance.instance_id.clone(),
        next_execution_id(started.instance.execution_id.as_deref().unwrap_or_default()),
    );
    let start = ExecutionStarted {
        instance,
        parent: started.parent.clone(),
        name: started.name.clone(),
        version: end.new_version.or_else(|| started.version.clone()),
        input: end.result,
        tags: started.tags.clone(),
        // Its span is its own.
        parent_trace_context: started
            .parent_trace_context
            .as_ref()
            .filter(|_| !end.new_trace)
            .map(|parent| TraceContext {
                trace_parent: parent.trace_parent.clone(),
                trace_state: parent.trace_state.clone(),
                ..TraceContext::default()
            }),
        generate_new_trace: end.new_trace,
        ..ExecutionStarted::default()
    };
    let played = |timestamp: Timestamp, kind| HistoryEvent {
        is_played: true,
        ..HistoryEvent::new(timestamp, kind)
    };
    // .NET creates the start a moment before the episode.
    let mut start = played(stamps.now(), EventKind::ExecutionStarted(Box::new(start)));
    let now = stamps.now();
    trace::begin(&mut start.kind, now);
    let mut events = vec![
        HistoryEvent::new(now, EventKind::OrchestratorStarted),
        start,
    ];
    events.extend(end.carryover.into_iter().map(|event| HistoryEvent {
        is_played: true,
        ..event
    }));
    events.push(played(stamps.now(), EventKind::OrchestratorCompleted));
    events
}
