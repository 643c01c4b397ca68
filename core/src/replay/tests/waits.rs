//! External events (chapter 04 §2.5, §6.4).

use crate::harness::{Hub, Plan};
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

#[test]
fn an_untaken_event_wakes_the_next_wait() {
    use crate::replay::{Replay, ReplayOptions, Step};
    use crate::{EventKind, EventRaised, HistoryEvent, OrchestrationInstance, Timestamp};
    let mut replay = Replay::new(
        OrchestrationInstance::new("it", "e"),
        ReplayOptions::default(),
    );
    let at = std::panic::Location::caller();
    let older = replay.wait_event("e", at);
    let newer = replay.wait_event("e", at);
    let raised = EventRaised {
        name: Some("e".into()),
        input: Some("1".into()),
        parent_trace_context: None,
    };
    let event = HistoryEvent::new(Timestamp::MIN, EventKind::EventRaised(Box::new(raised)));
    replay.push(event.into(), false);
    assert_eq!(replay.next_step(), Some(Step::Event { wait: newer }));
    replay.cancel_wait(newer);
    assert_eq!(replay.next_step(), Some(Step::Event { wait: older }));
    assert_eq!(replay.take_event(newer), None);
    assert_eq!(replay.take_event(older), Some(Some("1".into())));
    assert_eq!(replay.take_event(older), None);
    assert_eq!(replay.next_step(), None);
}

#[test]
fn takes_everything_that_is_buffered() {
    let plan = Seq(vec![Call("a"), TakeEvents, TakeEvents, Event("z")]);
    let events: &[_] = &[("b", "1"), ("a", "2"), ("B", "3")];
    let output = outputs(plan, &[events, &[("done", "0")], &[("z", "9")]]);
    assert_eq!(output.as_deref(), Some("done,1+2+3,9"));
}
