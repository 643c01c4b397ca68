//! External events (chapter 04 §2.5, §6.4).

use std::sync::Arc;

use crate::harness::{Hub, Plan};
use crate::replay::{ContinueOptions, Finish, Replay, ReplayOptions, Step};
use crate::{
    Action, Command, Completion, EventKind, EventRaised, HistoryEvent, OrchestrationInstance,
    OrchestrationStatus, Timestamp,
};
use Plan::{All, Call, Event, Race, Seq, TakeEvents, Timer};

fn outputs(plan: Plan, batches: &[&[(&str, &str)]]) -> Option<String> {
    let mut hub = Hub::started(plan);
    for batch in batches {
        let messages = batch.iter().map(|(name, input)| match *name {
            "fire" => hub.fired(input.parse().unwrap()),
            "done" => hub.completed(input.parse().unwrap(), "done"),
            name => hub.event(name, input),
        });
        let messages = messages.collect();
        hub.deliver(messages);
    }
    hub.output().map(str::to_owned)
}

#[test]
fn the_newest_wait_gets_the_next_event() {
    let plan = All(vec![Event("e"), Event("E"), Event("e")]);
    let output = outputs(plan, &[&[("e", "1"), ("E", "2")], &[("e", "3")]]);
    assert_eq!(output.as_deref(), Some("3,2,1"));
}

#[test]
fn the_oldest_event_goes_to_the_next_wait() {
    let plan = Seq(vec![Call("a"), Event("x"), Event("X"), Event("y")]);
    let output = outputs(
        plan,
        &[&[("X", "1"), ("y", "2"), ("x", "3")], &[("done", "0")]],
    );
    assert_eq!(output.as_deref(), Some("done,1,3,2"));
}

#[test]
fn a_dropped_wait_leaves_its_event_to_others() {
    // The first event ends the race; the wait for "b" is dropped, so "b" stays for later.
    let plan = Seq(vec![
        Race(vec![Event("a"), Event("b")]),
        Call("c"),
        Event("b"),
    ]);
    let output = outputs(plan, &[&[("a", "1"), ("b", "2")], &[("done", "0")]]);
    assert_eq!(output.as_deref(), Some("1,done,2"));
    // A wait that was given up does not take an event from an older one.
    let plan = All(vec![Event("e"), Race(vec![Timer(1), Event("e")])]);
    let output = outputs(plan, &[&[("fire", "0")], &[("e", "1")]]);
    assert_eq!(output.as_deref(), Some("1,fired"));
}

#[test]
fn an_event_that_was_handed_out_but_not_taken_goes_back_to_its_place() {
    // All is polled in order: the timer and the event are both there when the race is polled.
    let plan = Seq(vec![
        Call("a"),
        Plan::Drop(Box::new(Event("e"))),
        Event("e"),
        Event("e"),
    ]);
    let output = outputs(plan, &[&[("e", "1"), ("e", "2")], &[("done", "0")]]);
    assert_eq!(output.as_deref(), Some("done,1,2"));
}

fn replay() -> Replay {
    let instance = OrchestrationInstance::new("it", "e");
    Replay::new(instance, ReplayOptions::default())
}

fn raised(input: &str) -> Arc<HistoryEvent> {
    let raised = EventRaised {
        name: Some("e".into()),
        input: Some(input.into()),
        parent_trace_context: None,
    };
    let kind = EventKind::EventRaised(Box::new(raised));
    Arc::new(HistoryEvent::new(Timestamp::MIN, kind))
}

#[test]
fn an_untaken_event_wakes_the_next_wait() {
    let mut replay = replay();
    let at = std::panic::Location::caller();
    let older = replay.wait_event("e", at);
    let newer = replay.wait_event("e", at);
    replay.push(raised("1"), false);
    assert_eq!(replay.next_step(), Some(Step::Event { wait: newer }));
    replay.cancel_wait(newer);
    assert_eq!(replay.next_step(), Some(Step::Event { wait: older }));
    assert_eq!(replay.take_event(newer), None);
    assert_eq!(replay.take_event(older), Some(Some("1".into())));
    assert_eq!(replay.take_event(older), None);
    assert_eq!(replay.next_step(), None);
}

#[test]
fn continue_as_new_takes_events_along_unless_told_not_to() {
    for keep_events in [true, false] {
        let mut replay = replay();
        let untaken = replay.wait_event("e", std::panic::Location::caller());
        replay.push(raised("handed"), false);
        replay.push(raised("buffered"), false);
        assert_eq!(replay.next_step(), Some(Step::Event { wait: untaken }));
        assert_eq!(replay.next_step(), None);
        let options = ContinueOptions {
            new_version: Some("2".into()),
            keep_events,
            new_trace: true,
        };
        replay.continue_as_new(Some("in".into()), options);
        replay.finish(Finish::Completed(None));
        let commands = replay.decide().commands;
        let expected = Completion {
            new_version: Some("2".into()),
            new_trace: true,
            carryover: ["handed", "buffered"]
                .into_iter()
                .filter(|_| keep_events)
                .map(|input| Arc::unwrap_or_clone(raised(input)))
                .collect(),
            ..Completion::new(OrchestrationStatus::ContinuedAsNew, Some("in".into()))
        };
        let action = Action::Complete(Box::new(expected));
        assert_eq!(commands, [Command { id: 0, action }]);
    }
}

#[test]
fn takes_everything_that_is_buffered() {
    let plan = Seq(vec![Call("a"), TakeEvents, TakeEvents, Event("z")]);
    let events: &[_] = &[("b", "1"), ("a", "2"), ("B", "3")];
    let output = outputs(plan, &[events, &[("done", "0")], &[("z", "9")]]);
    assert_eq!(output.as_deref(), Some("done,1+2+3,9"));
}
