//! Decisions as events and messages (chapter 04 §1.8).

use crate::episode::{ErrorMode, Outbound, exception_text};
use crate::harness::{Hub, Plan, start_event};
use crate::{
    Action, Command, Completion, EpisodeResult, EventKind, ExecutionStarted, FailureDetails,
    HistoryEvent, OrchestrationInstance, OrchestrationStatus, ParentInstance, Tags, TaskFailed,
    TaskMessage, TraceContext,
};
use Plan::{All, Call, Child, Forget, Send, Seq, Timer};

fn tags(entries: &[(&str, &str)]) -> Tags {
    entries.iter().copied().collect()
}

fn run(plan: Plan, start: ExecutionStarted, include_parameters: bool) -> Hub {
    let mut hub = Hub::new(plan);
    hub.options.include_parameters = include_parameters;
    let start = hub.start_message(start);
    hub.deliver(vec![start]);
    hub
}

fn message(outbound: &Outbound) -> &TaskMessage {
    match outbound {
        Outbound::ToInstance(message) | Outbound::Timer(message) | Outbound::Activity(message) => {
            message
        }
    }
}

#[test]
fn messages_go_out_by_kind() {
    let plan = All(vec![
        Call("a"),
        Timer(1),
        Child("c"),
        Send("other", "hi"),
        Call("b"),
    ]);
    let hub = run(plan, start_event(None, ""), true);
    let kinds: Vec<_> = hub
        .sent
        .iter()
        .map(|sent| message(sent).event.event_type().name())
        .collect();
    assert_eq!(
        kinds,
        [
            "ExecutionStarted",
            "EventRaised",
            "TimerFired",
            "TaskScheduled",
            "TaskScheduled"
        ]
    );
    assert!(matches!(hub.sent[2], Outbound::Timer(_)));
    assert!(matches!(hub.sent[3], Outbound::Activity(_)));
    let event = message(&hub.sent[1]);
    assert_eq!(event.target, OrchestrationInstance::current("other"));
    assert_eq!(event.event.event_id, -1);
    assert_eq!(
        hub.state.events()[5].kind,
        EventKind::EventSent {
            instance_id: Some("other".into()),
            name: Some("hi".into()),
            input: Some("1".into()),
        }
    );
}

#[test]
fn inputs_are_in_history_only_if_wanted() {
    // covers: C03-6
    for include in [true, false] {
        let own = tags(&[("k", "v")]);
        let hub = run(
            All(vec![Call("a"), Child("c")]),
            start_event(Some(own.clone()), ""),
            include,
        );
        let sent = message(&hub.sent[1]);
        assert_eq!(sent.orchestration_tags, Some(own));
        assert_eq!((sent.event.event_id, &sent.target), (0, &hub.current()));
        let (recorded, created) = (&hub.state.events()[2], &hub.state.events()[3]);
        let EventKind::TaskScheduled(task) = &recorded.kind else {
            panic!("{recorded:?}");
        };
        let EventKind::SubOrchestrationCreated(child) = &created.kind else {
            panic!("{created:?}");
        };
        assert_eq!(task.input.is_some(), include);
        assert_eq!(child.input.is_some(), include);
        assert_eq!(
            task.tags, None,
            "the orchestration's tags are not the call's"
        );
        assert_eq!(**recorded == sent.event, include, "one event, or two");
        assert!(recorded.timestamp >= sent.event.timestamp);
        let EventKind::TaskScheduled(task) = &sent.event.kind else {
            panic!("{sent:?}");
        };
        assert_eq!(task.input.as_deref(), Some("[null]"));
    }
}

#[test]
fn a_child_knows_its_parent_and_keeps_its_execution_id() {
    let own = tags(&[("k", "v"), ("FireAndForget", "")]);
    let first = run(
        Seq(vec![Child("c"), Forget("f")]),
        start_event(Some(own), ""),
        false,
    );
    let sent = message(&first.sent[0]);
    let child = sent.event.as_started().unwrap();
    assert_eq!(child.instance.instance_id, "e0:0");
    assert_eq!(sent.target, child.instance);
    assert_eq!(child.tags, Some(tags(&[("k", "v")])));
    assert_eq!(
        (child.generation, child.input.as_deref()),
        (None, Some("7"))
    );
    assert_eq!(
        child.parent,
        Some(ParentInstance {
            name: Some("Orch".into()),
            instance: OrchestrationInstance::new("it", "e0"),
            task_schedule_id: 0,
            version: Some(String::new()),
        })
    );
    // The same start again, after a crash: the same execution. Another task: another.
    let execution = child.instance.execution_id.clone().unwrap();
    assert_eq!(execution, "d3d2e378d9865fd1b9dcb769fe15374a");
    let again = run(
        All(vec![Child("c"), Forget("f")]),
        start_event(None, ""),
        false,
    );
    assert_eq!(
        message(&again.sent[0]).target.execution_id,
        Some(execution.clone())
    );
    let forgotten = message(&again.sent[1]).event.as_started().unwrap();
    assert_ne!(forgotten.instance.execution_id, Some(execution));
    assert_eq!(forgotten.tags, Some(tags(&[("FireAndForget", "")])));
    assert_eq!(
        message(&again.sent[0]).orchestration_tags,
        Some(Tags::new())
    );
}

fn child_start(tags: Option<Tags>) -> ExecutionStarted {
    ExecutionStarted {
        parent: Some(ParentInstance {
            instance: OrchestrationInstance::new("parent", "p0"),
            task_schedule_id: 4,
            ..ParentInstance::default()
        }),
        ..start_event(tags, "")
    }
}

/// What the parent hears of an end in that mode.
fn answer(end: Completion, mode: ErrorMode) -> Option<EventKind> {
    let mut hub = Hub::new(Plan::Input);
    hub.options.error_mode = mode;
    let start = hub.start_message(child_start(None));
    let state = std::mem::take(&mut hub.state);
    let begun = crate::episode::Episode::begin(state, vec![start], &hub.options, &mut hub.stamps);
    let crate::episode::Begun::Run(mut episode) = begun else {
        panic!("{begun:?}");
    };
    let commands = vec![Command {
        id: 0,
        action: Action::Complete(Box::new(end)),
    }];
    let result = EpisodeResult {
        commands,
        custom_status: None,
    };
    episode.apply(result, &mut hub.stamps);
    let sent = episode.into_plan().outbound;
    let message = message(sent.first()?);
    assert_eq!(message.target, OrchestrationInstance::new("parent", "p0"));
    Some(message.event.kind.clone())
}

#[test]
fn the_parent_hears_by_status() {
    use OrchestrationStatus::{Canceled, Completed, Failed, Terminated};
    let end = |status| Completion::new(status, Some("text".into()));
    assert_eq!(
        answer(end(Completed), ErrorMode::Both),
        Some(EventKind::SubOrchestrationCompleted {
            task_scheduled_id: 4,
            result: Some("text".into()),
        })
    );
    assert_eq!(answer(end(Canceled), ErrorMode::Both), None);
    let failed = |details: Option<&str>, failure: Option<FailureDetails>| {
        Some(EventKind::SubOrchestrationFailed(Box::new(TaskFailed {
            task_scheduled_id: 4,
            reason: Some("text".into()),
            details: details.map(str::to_owned),
            failure,
        })))
    };
    let failure = FailureDetails::new("E", "m");
    let with_failure = Completion {
        failure: Some(failure.clone()),
        ..end(Failed)
    };
    let text = exception_text(&failure);
    let modes = [
        ErrorMode::Both,
        ErrorMode::FailureDetails,
        ErrorMode::Exceptions,
    ];
    let expected = [
        failed(Some(&text), Some(failure.clone())),
        failed(None, Some(failure)),
        failed(Some(&text), None),
    ];
    for (mode, expected) in modes.into_iter().zip(expected) {
        assert_eq!(answer(with_failure.clone(), mode), expected, "{mode:?}");
    }
    let unnamed = FailureDetails::new("OrchestrationTerminated", "text");
    let text = exception_text(&unnamed);
    assert_eq!(
        answer(end(Terminated), ErrorMode::Both),
        failed(Some(&text), Some(unnamed))
    );
    assert_eq!(
        answer(end(Terminated), ErrorMode::FailureDetails),
        failed(None, None)
    );
}

#[test]
fn a_forgotten_child_is_silent() {
    let forget = tags(&[("FireAndForget", "")]);
    let hub = run(Plan::CountTo(2), child_start(Some(forget)), true);
    assert!(hub.sent.is_empty());
    let hub = run(Plan::CountTo(2), child_start(None), true);
    assert_eq!(hub.sent.len(), 1, "the last generation answers");
    let parent = message(&hub.sent[0]);
    assert_eq!(parent.target, OrchestrationInstance::new("parent", "p0"));
}

#[test]
fn termination_beats_continue_as_new_of_foreign_executors() {
    let mut hub = Hub::started(Plan::Event("e"));
    let stop = hub.terminate("stop");
    let state = std::mem::take(&mut hub.state);
    let begun = crate::episode::Episode::begin(state, vec![stop], &hub.options, &mut hub.stamps);
    let crate::episode::Begun::Run(mut episode) = begun else {
        panic!("{begun:?}");
    };
    let ends = [
        OrchestrationStatus::ContinuedAsNew,
        OrchestrationStatus::Terminated,
    ];
    let commands = (0..).zip(ends).map(|(id, status)| Command {
        id,
        action: Action::Complete(Box::new(Completion::new(status, None))),
    });
    let result = EpisodeResult {
        commands: commands.collect(),
        custom_status: None,
    };
    assert_eq!(
        episode.apply(result, &mut hub.stamps),
        crate::episode::Next::Done
    );
    assert_eq!(
        episode.into_plan().state.status(),
        OrchestrationStatus::Terminated
    );
}

#[test]
fn trace_contexts_are_passed_on() {
    let trace = TraceContext {
        trace_parent: Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".into()),
        trace_state: Some("a=b".into()),
        ..TraceContext::default()
    };
    let start = ExecutionStarted {
        parent_trace_context: Some(trace.clone()),
        ..start_event(None, "")
    };
    let hub = run(All(vec![Call("a"), Child("c")]), start, true);
    let started = hub.state.started().unwrap();
    let stored = started.parent_trace_context.as_ref().unwrap();
    let own = crate::episode::execution_trace(started).unwrap();
    assert_eq!(
        stored.id, own.trace_parent,
        "the span that .NET goes on with"
    );
    assert_eq!(stored.trace_parent, trace.trace_parent);
    let EventKind::TaskScheduled(task) = &message(&hub.sent[1]).event.kind else {
        panic!("{:?}", hub.sent);
    };
    let context = task.parent_trace_context.as_ref().unwrap();
    let text = context.trace_parent.as_deref().unwrap();
    assert!(text.starts_with("00-0af7651916cd43dd8448eb211c80319c-") && text.ends_with("-01"));
    assert_eq!(text.len(), 55);
    assert_ne!(
        context.trace_parent, trace.trace_parent,
        "a span of its own"
    );
    assert_eq!(context.trace_state, trace.trace_state);
    let child = message(&hub.sent[0]).event.as_started().unwrap();
    let EventKind::SubOrchestrationCreated(created) = &hub.state.events()[3].kind else {
        panic!("{:?}", hub.history());
    };
    let span = created.client_span_id.as_deref().unwrap();
    let context = child.parent_trace_context.as_ref().unwrap();
    assert_eq!(context.trace_parent.as_deref().unwrap()[36..52], *span);
}

#[test]
fn a_generation_takes_over_what_is_not_changed() {
    let trace = TraceContext {
        trace_parent: Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".into()),
        id: Some("00-0af7651916cd43dd8448eb211c80319c-00f067aa0ba902b7-01".into()),
        ..TraceContext::default()
    };
    for (new_trace, new_version) in [(false, None), (true, Some("2.0".to_owned()))] {
        let first = ExecutionStarted {
            parent_trace_context: Some(trace.clone()),
            scheduled_start_time: Some(crate::Timestamp::UNIX_EPOCH),
            ..child_start(Some(tags(&[("k", "v")])))
        };
        let end = Completion {
            new_trace,
            new_version: new_version.clone(),
            ..Completion::new(OrchestrationStatus::ContinuedAsNew, Some("next".into()))
        };
        let first_ids = first.clone();
        let mut stamps = Hub::new(Plan::Input).stamps;
        let events = crate::episode::convert::next_generation(&first, end, &mut stamps);
        let next = events[1].as_started().unwrap();
        // Its span is its own, and its own again when history is read.
        let own = crate::episode::execution_trace(next).unwrap().trace_parent;
        assert_ne!(own, trace.id);
        let own_trace = TraceContext {
            span_id: own.as_ref().map(|id| id[36..52].to_owned()),
            id: own,
            activity_start_time: Some("2026-01-01T00:00:00.0000002+00:00".into()),
            ..trace.clone()
        };
        let expected = ExecutionStarted {
            instance: next.instance.clone(),
            version: new_version.or(first.version.clone()),
            input: Some("next".into()),
            parent_trace_context: (!new_trace).then_some(own_trace),
            generate_new_trace: new_trace,
            scheduled_start_time: None,
            generation: None,
            ..first
        };
        let ids = [&expected, &first_ids].map(|s| s.instance.execution_id.clone().unwrap());
        assert!(crate::episode::is_later_generation(&ids[0], &ids[1]));
        assert_eq!(events[1].as_started(), Some(&expected));
    }
}

#[test]
fn exceptions_are_written_as_dotnet_writes_them() {
    let mut failure = FailureDetails::new("my::Error", "boom \"quoted\"\n日本");
    failure.stack_trace = Some("   at x".into());
    failure.inner = Some(Box::new(FailureDetails::new("my::Cause", "inner")));
    assert_eq!(
        exception_text(&failure),
        concat!(
            r#"{"ClassName":"System.Exception","Message":"boom \"quoted\"\n日本","Data":null,"#,
            r#""InnerException":{"ClassName":"System.Exception","Message":"inner","Data":null,"#,
            r#""InnerException":null,"HelpURL":null,"StackTraceString":null,"#,
            r#""RemoteStackTraceString":null,"RemoteStackIndex":0,"ExceptionMethod":null,"#,
            r#""HResult":-2146233088,"Source":null,"WatsonBuckets":null},"HelpURL":null,"#,
            r#""StackTraceString":"   at x","RemoteStackTraceString":null,"RemoteStackIndex":0,"#,
            r#""ExceptionMethod":null,"HResult":-2146233088,"Source":null,"WatsonBuckets":null}"#,
        )
    );
    let mut deep = FailureDetails::new("E", "0");
    for _ in 0..200 {
        let inner = std::mem::take(&mut deep);
        deep.inner = Some(Box::new(inner));
    }
    assert_eq!(exception_text(&deep).matches("ClassName").count(), 50);
}

#[test]
fn exceptions_of_the_runtime_are_written_as_such() {
    let mut http = FailureDetails::new("System.Net.Http.HttpRequestException", "refused");
    let late = FailureDetails::new("System.TimeoutException", "late");
    http.inner = Some(Box::new(late));
    assert_eq!(
        exception_text(&http),
        concat!(
            r#"{"$type":"System.Net.Http.HttpRequestException, System.Net.Http","#,
            r#""StatusCode":null,"Message":"refused","Data":null,"InnerException":{"#,
            r#""$type":"System.TimeoutException, System.Private.CoreLib","#,
            r#""ClassName":"System.TimeoutException","Message":"late","Data":null,"#,
            r#""InnerException":null,"HelpURL":null,"StackTraceString":null,"#,
            r#""RemoteStackTraceString":null,"RemoteStackIndex":0,"ExceptionMethod":null,"#,
            r#""HResult":-2146233083,"Source":null,"WatsonBuckets":null},"HelpLink":null,"#,
            r#""Source":null,"HResult":-2146233088,"StackTrace":null}"#,
        )
    );
}

#[test]
fn rows_of_inbound_events_keep_their_times() {
    let mut hub = Hub::started(Plan::Event("e"));
    let event = hub.event("e", "x");
    let sent = event.event.clone();
    hub.deliver(vec![event]);
    let row = &hub.state.events()[4];
    assert_eq!(
        **row,
        HistoryEvent {
            is_played: true,
            ..sent
        }
    );
}
