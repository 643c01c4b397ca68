//! What is asked about a history.

use std::sync::Arc;

use crate::episode::RuntimeState;
use crate::harness::{Hub, Plan};
use crate::{EventKind, ExecutionCompleted, HistoryEvent, OrchestrationStatus, Timestamp};
use Plan::{All, Call, Event, Timer};

#[test]
fn knows_ids_answers_and_equal_events() {
    let mut hub = Hub::started(All(vec![Call("a"), Timer(1), Event("e")]));
    let raised = hub.event("x", "1");
    let answer = hub.completed(0, "A");
    hub.deliver(vec![raised.clone(), answer.clone()]);
    assert!(hub.state.has_event_with_id(0) && hub.state.has_event_with_id(1));
    assert!(!hub.state.has_event_with_id(2) && !hub.state.has_event_with_id(-1));
    assert!(hub.state.holds_answer(&answer.event));
    let (fired, wrong) = (hub.fired(1), hub.completed(1, ""));
    assert!(!hub.state.holds_answer(&fired.event) && !hub.state.holds_answer(&wrong.event));
    assert!(hub.state.holds_same_event(&raised.event));
    let mut later = raised.event.clone();
    later.timestamp = hub.stamps.now;
    assert!(
        !hub.state.holds_same_event(&later),
        "sent again, not delivered again"
    );
    let other = HistoryEvent {
        timestamp: raised.event.timestamp,
        ..hub.event("x", "2").event
    };
    assert!(!hub.state.holds_same_event(&other));
    assert_eq!(hub.state.execution_id(), Some("e0"));
    assert!(hub.state.encoded_bytes() > 500);
}

#[test]
fn the_first_end_counts_unless_termination_follows_continue_as_new() {
    use OrchestrationStatus::{Completed, ContinuedAsNew, Failed, Running, Suspended, Terminated};
    let end = |status| {
        EventKind::ExecutionCompleted(ExecutionCompleted {
            status,
            result: None,
            failure: None,
        })
    };
    let suspend = || EventKind::ExecutionSuspended { reason: None };
    let resume = || EventKind::ExecutionResumed { reason: None };
    for (kinds, status) in [
        (vec![], Running),
        (vec![suspend()], Suspended),
        (vec![suspend(), resume()], Running),
        (vec![suspend(), end(Completed)], Completed),
        (vec![end(Completed), suspend(), resume()], Completed),
        (vec![end(Completed), end(Failed)], Completed),
        (vec![end(ContinuedAsNew), end(Terminated)], Terminated),
        (
            vec![EventKind::ExecutionTerminated { input: None }],
            Running,
        ),
    ] {
        let events = kinds
            .into_iter()
            .map(|kind| Arc::new(HistoryEvent::new(Timestamp::MIN, kind)));
        assert_eq!(RuntimeState::load(events, None).status(), status);
    }
}

#[test]
fn answers_from_before_a_rewind_are_told_from_those_of_the_second_run() {
    let at = |tick| Timestamp::from_ticks(tick);
    let rewound = |event_id, tick| {
        let kind = EventKind::Generic { data: None };
        let event = HistoryEvent::new(at(tick), kind);
        HistoryEvent { event_id, ..event }
    };
    let event = |tick, kind| HistoryEvent::new(at(tick), kind);
    let history = [
        event(1, EventKind::OrchestratorStarted),
        rewound(0, 2),
        event(3, EventKind::OrchestratorCompleted),
        event(4, EventKind::OrchestratorStarted),
        rewound(-1, 5),
        rewound(1, 6),
        event(7, EventKind::OrchestratorCompleted),
    ];
    let state = RuntimeState::load(history.into_iter().map(Arc::new), None);
    let answer = |task_scheduled_id, tick| {
        let result = None;
        event(
            tick,
            EventKind::TaskCompleted {
                task_scheduled_id,
                result,
            },
        )
    };
    assert!(!state.has_event_with_id(0), "asked for again, or never");
    for (task, tick, episode, is_old) in [
        (0, 9, Some(1), true),
        (0, 9, Some(2), false),
        (0, 9, Some(-1), false),
        (0, 9, None, false),
        (2, 9, Some(1), false),
        (0, 5, Some(3), true),
    ] {
        let old = state.is_rewound(&answer(task, tick), episode);
        assert_eq!(old, is_old, "task {task}, stamp {tick}, {episode:?}");
    }
    let untouched = RuntimeState::load([], None);
    assert!(!untouched.is_rewound(&answer(0, 5), Some(1)));
}
