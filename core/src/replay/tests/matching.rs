//! Decisions of history against decisions of the code (chapter 04 §2.4).

use std::sync::Arc;

use crate::harness::{Hub, Plan, line, replay};
use crate::replay::NonDeterminism;
use crate::{Action, Completion, EpisodeWork, EventKind, HistoryEvent, OrchestrationStatus};
use Plan::{Call, Child, Event, Send, Seq, Timer};

/// Runs `before`, then replays its history plus an answer with `after`.
fn changed(before: Plan, after: &Plan) -> (Vec<crate::Command>, Option<NonDeterminism>) {
    let hub = Hub::started(before);
    let work = EpisodeWork {
        instance: hub.current(),
        past: hub.state.events().to_vec(),
        new: Vec::new(),
    };
    let (script, result) = replay(after, work);
    (
        result.commands,
        script.context.replay.non_determinism().cloned(),
    )
}

fn end(commands: &[crate::Command]) -> (i32, &Completion) {
    match commands {
        [
            crate::Command {
                id,
                action: Action::Complete(end),
            },
        ] => (*id, end),
        other => panic!("{other:?}"),
    }
}

#[test]
fn names_both_sides_and_the_line() {
    for (before, after, recorded, instead) in [
        (
            Call("a"),
            Call("b"),
            "an activity task named 'a'",
            "instead scheduled an activity task named 'b'",
        ),
        (
            Call("a"),
            Timer(1),
            "an activity task named 'a'",
            "instead scheduled a timer task",
        ),
        (
            Timer(1),
            Call("a"),
            "a timer task",
            "instead scheduled an activity task named 'a'",
        ),
        (
            Child("c"),
            Child("d"),
            "a sub-orchestration task named 'c'",
            "instead scheduled a sub-orchestration task named 'd'",
        ),
        (
            Send("x", "m"),
            Send("x", "n"),
            "a send event task named 'm'",
            "instead scheduled a send event task named 'n'",
        ),
        (
            Send("@e@k", "op@2026"),
            Send("@e@k", "po@2026"),
            "a send event task named 'op'",
            "instead scheduled a send event task named 'po'",
        ),
        (
            Call("a"),
            Event("e"),
            "an activity task named 'a'",
            "hasn't (yet?) scheduled this task",
        ),
    ] {
        let before = Seq(vec![before, Event("never")]);
        let after = Seq(vec![after, Event("never")]);
        let (commands, mismatch) = changed(before, &after);
        let text = mismatch.unwrap().to_string();
        assert!(
            text.starts_with("Non-Deterministic workflow detected: "),
            "{text}"
        );
        assert!(text.contains(recorded) && text.contains(instead), "{text}");
        assert!(text.contains("sequence number 0"), "{text}");
        assert!(text.contains("plan.rs:"), "{text}");
        let (_, completion) = end(&commands);
        assert_eq!(completion.status, OrchestrationStatus::Failed);
        assert_eq!(completion.result.as_deref(), Some(text.as_str()));
        let failure = completion.failure.as_ref().unwrap();
        assert_eq!(
            failure.error_type,
            "DurableTask.Core.Exceptions.NonDeterministicOrchestrationException"
        );
    }
}

#[test]
fn fails_under_the_next_number_and_schedules_nothing() {
    let (commands, _) = changed(Call("a"), &Plan::All(vec![Call("b"), Call("c")]));
    assert_eq!(end(&commands).0, 2);
}

#[test]
fn compares_names_without_case_and_nothing_else() {
    for (before, after) in [
        (Call("Hello"), Call("hELLO")),
        (Timer(1), Timer(99)),
        (Child("C"), Child("c")),
        (Send("x", "M"), Send("y", "m")),
        (Send("@e@k", "op@2026"), Send("@e@k", "op@2027")),
        (Call("a"), Plan::All(vec![Call("a"), Call("new")])),
    ] {
        let (_, mismatch) = changed(
            Seq(vec![before, Event("never")]),
            &Seq(vec![after, Event("never")]),
        );
        assert_eq!(mismatch, None);
    }
}

#[test]
fn new_calls_after_the_recorded_ones_are_new_decisions() {
    let (commands, _) = changed(Call("a"), &Plan::All(vec![Call("a"), Call("b")]));
    let ids: Vec<_> = commands.iter().map(|command| command.id).collect();
    assert_eq!(ids, [1]);
}

#[test]
fn split_timers_are_no_decisions() {
    let mut hub = Hub::started(Seq(vec![Call("a"), Call("b")]));
    let at = hub.stamps.now;
    let split = HistoryEvent::with_id(-100, at, EventKind::TimerCreated { fire_at: at });
    let mut rows = hub.state.events().to_vec();
    rows.push(Arc::new(split));
    let count = rows.len();
    hub.state = crate::episode::RuntimeState::load(rows, None);
    hub.reload(count);
    // Two of them in one execution: neither is a duplicate of the other.
    for _ in 0..2 {
        let fired = hub.fired(-100);
        hub.deliver(vec![fired]);
    }
    let answer = hub.completed(0, "A");
    hub.deliver(vec![answer]);
    let fired = hub
        .history()
        .iter()
        .filter(|row| row.starts_with("TimerFired"))
        .count();
    assert_eq!(fired, 2);
    assert_eq!(
        line(&hub.state.events()[hub.state.events().len() - 2]),
        "TaskScheduled 1 b"
    );
}

#[test]
fn duplicates_and_strangers_are_ignored() {
    let mut hub = Hub::started(Seq(vec![Call("a"), Timer(1), Event("e")]));
    let (first, again) = (hub.completed(0, "A"), hub.completed(0, "other"));
    let (stranger, wrong) = (hub.completed(77, "?"), hub.fired(0));
    hub.deliver(vec![stranger, wrong]);
    hub.deliver(vec![first, again]);
    let (fired, late) = (hub.fired(1), hub.completed(0, "late"));
    hub.deliver(vec![fired, late]);
    let event = hub.event("E", "x");
    hub.deliver(vec![event]);
    assert_eq!(hub.output(), Some("A,fired,x"));
}

#[test]
fn duplicates_in_a_foreign_history_are_ignored() {
    let hub = Hub::started(Seq(vec![Call("a"), Event("e")]));
    let answer = |result: &str| {
        Arc::new(HistoryEvent::new(
            hub.stamps.now,
            EventKind::TaskCompleted {
                task_scheduled_id: 0,
                result: Some(result.into()),
            },
        ))
    };
    let mut past = hub.state.events().to_vec();
    past.extend([answer("first"), answer("second")]);
    let work = EpisodeWork {
        instance: hub.current(),
        past,
        new: Vec::new(),
    };
    let (script, result) = replay(&hub.plan, work);
    assert!(result.commands.is_empty());
    assert_eq!(script.steps.len(), 2);
    assert!(script.steps.iter().all(|(_, replaying)| *replaying));
}

#[test]
fn rewound_tasks_are_scheduled_again_under_their_ids() {
    let mut hub = Hub::started(Plan::All(vec![Call("good"), Call("bad")]));
    let target = hub.current();
    let failed = crate::episode::task_failed_event(
        1,
        crate::FailureDetails::new("E", "boom"),
        crate::episode::ErrorMode::Both,
    );
    let (good, bad) = (hub.completed(0, "G"), hub.addressed(failed, target));
    hub.deliver(vec![good, bad]);
    assert_eq!(hub.state.status(), OrchestrationStatus::Failed);
    // What the client of the provider does to the rows (chapter 04 §6.5).
    let rewound = hub.state.events().iter().map(|event| match &event.kind {
        EventKind::TaskFailed(_) | EventKind::ExecutionCompleted(_) => generic(event),
        EventKind::TaskScheduled(_) if event.event_id == 1 => generic(event),
        _ => Arc::clone(event),
    });
    hub.state = crate::episode::RuntimeState::load(rewound.collect::<Vec<_>>(), None);
    hub.reload(hub.state.events().len());
    let wake = hub.message(EventKind::Generic {
        data: Some("again".into()),
    });
    hub.deliver(vec![wake]);
    assert_eq!(
        hub.history()[10..],
        [
            "OrchestratorStarted",
            "GenericEvent played",
            "TaskScheduled 1 bad",
            "OrchestratorCompleted"
        ]
    );
    let answer = hub.completed(1, "B");
    hub.deliver(vec![answer]);
    assert_eq!(hub.output(), Some("G,B"));
}

fn generic(event: &HistoryEvent) -> Arc<HistoryEvent> {
    Arc::new(HistoryEvent {
        kind: EventKind::Generic { data: None },
        ..event.clone()
    })
}
