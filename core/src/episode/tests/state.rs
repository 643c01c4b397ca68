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
