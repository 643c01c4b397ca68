//! Which messages an execution hears about (chapter 04 §1.3, §1.5, §1.6).

use crate::episode::{DiscardReason, RuntimeState};
use crate::harness::{Hub, Plan, start_event};
use crate::{EventKind, ExecutionRewound, OrchestrationInstance, ParentInstance, TaskMessage};
use Plan::{All, Call, Event};

fn refused(hub: &mut Hub, messages: Vec<TaskMessage>) -> DiscardReason {
    let rows = hub.state.events().len();
    let count = messages.len();
    let discarded = hub.try_deliver(messages).unwrap_err();
    assert_eq!(discarded.messages.len(), count, "messages come back");
    assert_eq!(hub.state.events().len(), rows, "so does the state");
    discarded.reason
}

#[test]
fn batches_that_start_nothing() {
    let mut hub = Hub::new(Call("a"));
    let event = hub.event("e", "");
    assert_eq!(
        refused(&mut hub, vec![event.clone()]),
        DiscardReason::NoSuchInstance
    );
    let start = hub.start_message(start_event(None, ""));
    hub.deliver(vec![start.clone()]);
    assert_eq!(
        refused(&mut hub, vec![start.clone()]),
        DiscardReason::NothingNew
    );
    let old = hub.addressed(
        event.event.kind.clone(),
        OrchestrationInstance::new("it", "old"),
    );
    assert_eq!(refused(&mut hub, vec![old]), DiscardReason::NothingNew);
    let rewound = hub.message(EventKind::ExecutionRewound(
        Box::<ExecutionRewound>::default(),
    ));
    assert_eq!(refused(&mut hub, vec![rewound]), DiscardReason::NothingNew);
    let answer = hub.completed(0, "A");
    hub.deliver(vec![answer]);
    assert_eq!(
        refused(&mut hub, vec![event.clone()]),
        DiscardReason::Finished
    );
    hub.state = RuntimeState::load(hub.state.events()[2..3].to_vec(), None);
    assert_eq!(
        refused(&mut hub, vec![event, start]),
        DiscardReason::InvalidHistory
    );
}

#[test]
fn the_start_goes_in_front_of_what_overtook_it() {
    // .NET discards the second batch, and with it the child.
    for parent in [None, Some(ParentInstance::default())] {
        let mut hub = Hub::new(Event("e"));
        let start = hub.start_message(crate::ExecutionStarted {
            parent,
            ..start_event(None, "")
        });
        let event = hub.event("e", "x");
        let stale = hub.addressed(
            event.event.kind.clone(),
            OrchestrationInstance::new("it", "old"),
        );
        hub.deliver(vec![stale, event, start.clone(), start]);
        assert_eq!(
            hub.history(),
            [
                "OrchestratorStarted",
                "ExecutionStarted played",
                "EventRaised played x",
                "ExecutionCompleted 0 Completed x",
                "OrchestratorCompleted",
            ]
        );
    }
}

#[test]
fn duplicates_of_answers_are_dropped() {
    let mut hub = Hub::started(All(vec![Call("a"), Call("b")]));
    let (first, again) = (hub.completed(0, "A"), hub.completed(0, "B"));
    hub.deliver(vec![first, again.clone()]);
    assert_eq!(hub.history().len(), 8);
    assert_eq!(refused(&mut hub, vec![again]), DiscardReason::NothingNew);
}

#[test]
fn a_loaded_history_is_replayed_on_any_message() {
    let mut hub = Hub::started(All(vec![Call("a"), Call("b"), Event("e")]));
    let answer = hub.completed(0, "A");
    hub.deliver(vec![answer.clone()]);
    // Whole: the episode finds nothing to do and leaves no trace.
    let rows = hub.state.events().len();
    hub.reload(rows);
    assert!(hub.state.needs_episode());
    hub.deliver(vec![answer.clone()]);
    assert_eq!(hub.state.events().len(), rows);
    assert!(!hub.state.needs_episode());
    assert_eq!(refused(&mut hub, vec![answer]), DiscardReason::NothingNew);
}

#[test]
fn decisions_without_rows_are_made_good() {
    for cut in 2..5 {
        let mut hub = Hub::started(All(vec![Call("a"), Call("b"), Event("e")]));
        let whole = hub.history();
        hub.sent.clear();
        hub.reload(cut);
        assert!(hub.state.stops_mid_episode());
        let start = hub.start_message(start_event(None, ""));
        hub.deliver(vec![start]);
        assert_eq!(hub.sent.len(), 4 - cut);
        let mut healed = whole[..cut].to_vec();
        healed.push("OrchestratorStarted".into());
        healed.extend_from_slice(&whole[cut..]);
        assert_eq!(hub.history(), healed, "cut at {cut}");
    }
}

#[test]
fn a_commit_plan_says_where_its_rows_go() {
    let mut hub = Hub::started(Plan::Seq(vec![Event("go"), Plan::CountTo(1)]));
    let other = hub.event("other", "");
    let mut plan = hub.prepare(vec![other]).unwrap();
    assert_eq!((plan.first_row, plan.state.new_events().len()), (3, 3));
    assert!(!plan.execution_changed && !plan.finished);
    plan.state.committed();
    hub.state = plan.state;
    let go = hub.event("go", "");
    let plan = hub.prepare(vec![go]).unwrap();
    assert_eq!((plan.first_row, plan.state.new_events().len()), (0, 4));
    assert!(plan.execution_changed && !plan.finished);
}
