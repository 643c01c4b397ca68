//! Continue-as-new, terminate, suspend and resume (chapter 04 §6).

use crate::harness::{Hub, Plan};
use crate::{OrchestrationStatus, TaskMessage};
use Plan::{All, Call, Continue, CountTo, Drop, Event, Race, Seq, TakeEvents, Timer};

fn deliver(hub: &mut Hub, messages: &[fn(&mut Hub) -> TaskMessage]) {
    let messages = messages.iter().map(|message| message(hub)).collect();
    hub.deliver(messages);
}

const GO: fn(&mut Hub) -> TaskMessage = |hub| hub.event("go", "go");
const ANSWER: fn(&mut Hub) -> TaskMessage = |hub| hub.completed(0, "A");

#[test]
fn continue_as_new_takes_along_what_nobody_used() {
    // Before the request, in the same batch after it, and handed out but not taken.
    let first = Seq(vec![Call("a"), Event("go"), CountTo(1)]);
    let mut hub = Hub::started(Seq(vec![first, TakeEvents]));
    deliver(
        &mut hub,
        &[|hub| hub.event("early", "1"), |hub| hub.event("go", "2")],
    );
    deliver(
        &mut hub,
        &[
            ANSWER,
            |hub| hub.event("late", "3"),
            |hub| hub.event("go", "4"),
        ],
    );
    // TakeEvents drains in the first generation, so the second has what came after it.
    assert_eq!(
        hub.history(),
        [
            "OrchestratorStarted",
            "ExecutionStarted played",
            "EventRaised played 3",
            "EventRaised played 4",
            "OrchestratorCompleted played",
            "TaskScheduled 0 a",
            "OrchestratorCompleted",
        ]
    );
    let mut hub = Hub::started(Seq(vec![Call("a"), Event("go"), CountTo(1)]));
    deliver(
        &mut hub,
        &[
            |hub| hub.event("x", "1"),
            |hub| hub.event("go", "2"),
            |hub| hub.event("x", "3"),
        ],
    );
    let stamps: Vec<_> = hub.state.events()[5..8]
        .iter()
        .map(|event| event.timestamp)
        .collect();
    deliver(&mut hub, &[ANSWER, |hub| hub.event("go", "4")]);
    let carried = &hub.history()[2..5];
    assert_eq!(
        carried,
        [
            "EventRaised played 1",
            "EventRaised played 3",
            "EventRaised played 4"
        ]
    );
    assert_eq!(
        hub.state.events()[2].timestamp,
        stamps[0],
        "carried as they are"
    );
    assert_eq!(hub.state.events()[3].timestamp, stamps[2]);
    // The next generation uses them, in order.
    deliver(&mut hub, &[ANSWER]);
    assert_eq!(hub.output(), Some("A,4,1"));
}

#[test]
fn continue_as_new_waits_for_open_tasks_and_survives_episodes() {
    let plan = Seq(vec![
        Plan::Input,
        Drop(Box::new(Call("slow"))),
        Event("go"),
        CountTo(1),
    ]);
    let mut hub = Hub::started(plan);
    let first = hub.current();
    deliver(&mut hub, &[GO]);
    assert_eq!(hub.current(), first, "a call is open");
    deliver(&mut hub, &[|hub| hub.event("go", "kept")]);
    assert_eq!(hub.current(), first);
    deliver(&mut hub, &[ANSWER]);
    assert_ne!(hub.current(), first);
    deliver(&mut hub, &[ANSWER]);
    assert_eq!(hub.output(), Some("1,kept,1"));
}

#[test]
fn several_generations_in_one_work_item() {
    let mut hub = Hub::started(CountTo(5));
    assert_eq!(hub.output(), Some("5"));
    assert_eq!(hub.decided.len(), 6);
    assert_eq!(
        hub.history(),
        [
            "OrchestratorStarted",
            "ExecutionStarted played",
            "OrchestratorCompleted played",
            "ExecutionCompleted 0 Completed 5",
            "OrchestratorCompleted",
        ]
    );
    let late = hub.completed(0, "?");
    assert!(hub.try_deliver(vec![late]).is_err());
}

#[test]
fn messages_of_all_generations_are_sent() {
    let hub = Hub::started(Seq(vec![Drop(Box::new(Timer(9))), CountTo(2)]));
    assert_eq!(hub.sent.len(), 3);
    // Answers to a generation that is gone are dropped; here the last has completed.
    assert_eq!(hub.state.status(), OrchestrationStatus::Completed);
}

#[test]
fn a_failure_beats_continue_as_new() {
    let hub = Hub::started(Seq(vec![Continue("9"), Plan::Fail("boom")]));
    assert_eq!(hub.state.status(), OrchestrationStatus::Failed);
}

#[test]
fn custom_status_outlives_a_generation_that_sets_none() {
    let plan = Seq(vec![Event("go"), Plan::Status("\"set\""), CountTo(1)]);
    let mut hub = Hub::started(plan);
    deliver(&mut hub, &[GO]);
    assert_eq!(hub.state.custom_status(), Some("\"set\""));
    // The next episode of the new generation overwrites it with what its code has set: nothing.
    deliver(&mut hub, &[|hub| hub.event("other", "")]);
    assert_eq!(hub.state.custom_status(), None);
}

#[test]
fn termination_wins_everywhere() {
    let end = |hub: &Hub| (hub.state.status(), hub.output().map(str::to_owned));
    let terminated = (OrchestrationStatus::Terminated, Some("stop".to_owned()));
    let stop: fn(&mut Hub) -> TaskMessage = |hub| hub.terminate("stop");

    // With the start, before and after it.
    for start_first in [true, false] {
        let mut hub = Hub::new(Call("a"));
        let start = hub.start_message(crate::harness::start_event(None, ""));
        let stop = hub.terminate("stop");
        hub.deliver(if start_first {
            vec![start, stop]
        } else {
            vec![stop, start]
        });
        assert_eq!(end(&hub), terminated);
        // What was decided before it is sent all the same, as with .NET.
        assert_eq!(hub.sent.len(), 1);
    }
    for plan in [
        Event("go"),
        Seq(vec![Event("go"), CountTo(9)]),
        Seq(vec![Event("go"), Plan::Fail("boom")]),
        Seq(vec![Event("go"), Call("b")]),
        All(vec![Call("open"), Event("go")]),
    ] {
        for batch in [&[GO, stop][..], &[stop, GO], &[stop], &[stop, stop]] {
            let mut hub = Hub::started(plan.clone());
            deliver(&mut hub, batch);
            assert_eq!(end(&hub), terminated, "{plan:?}");
        }
        // While suspended, in the same batch and in a later one.
        let mut hub = Hub::started(plan.clone());
        deliver(&mut hub, &[Hub::suspend, GO]);
        deliver(&mut hub, &[stop]);
        assert_eq!(end(&hub), terminated, "{plan:?}");
        let mut hub = Hub::started(plan.clone());
        deliver(&mut hub, &[Hub::suspend, stop, Hub::resume, GO]);
        assert_eq!(end(&hub), terminated, "{plan:?}");
    }
}

#[test]
fn a_suspension_parks_answers_and_decisions() {
    let plan = Seq(vec![All(vec![Call("a"), Call("b")]), Call("c"), Plan::Now]);
    let mut hub = Hub::started(plan.clone());
    deliver(
        &mut hub,
        &[ANSWER, Hub::suspend, |hub| hub.completed(1, "B")],
    );
    assert_eq!(hub.state.status(), OrchestrationStatus::Suspended);
    deliver(&mut hub, &[Hub::suspend]);
    deliver(&mut hub, &[Hub::resume]);
    assert_eq!(hub.state.status(), OrchestrationStatus::Running);
    assert_eq!(
        hub.history().last_chunk::<3>().unwrap(),
        &[
            "ExecutionResumed played",
            "TaskScheduled 2 c",
            "OrchestratorCompleted"
        ]
    );
    // Decisions made before the suspension in its own episode are held back as well, and the
    // orchestrator that replays all this comes to the same end.
    let mut hub = Hub::started(plan);
    deliver(
        &mut hub,
        &[ANSWER, |hub| hub.completed(1, "B"), Hub::suspend],
    );
    assert!(hub.decided.last().unwrap().is_empty());
    hub.reload(hub.state.events().len());
    deliver(&mut hub, &[Hub::resume, Hub::resume]);
    let resumed = hub.state.events().len() - 4;
    let answer = hub.completed(2, "C");
    hub.reload(hub.state.events().len());
    hub.deliver(vec![answer]);
    assert_eq!(
        hub.history()[resumed..][..2],
        ["ExecutionResumed played"; 2]
    );
    assert!(
        hub.output().unwrap().starts_with("A,B,C,"),
        "{:?}",
        hub.output()
    );
}

#[test]
fn a_function_that_had_returned_ends_in_spite_of_a_suspension() {
    let mut hub = Hub::started(Seq(vec![Event("go"), Plan::Forget("child")]));
    let sent = hub.sent.len();
    deliver(&mut hub, &[GO, Hub::suspend]);
    assert_eq!(hub.state.status(), OrchestrationStatus::Completed);
    // .NET forgets the child.
    assert_eq!(hub.sent.len(), sent + 1);
}

#[test]
fn a_suspension_travels_to_the_next_generation() {
    let mut hub = Hub::started(Seq(vec![Event("go"), CountTo(1)]));
    deliver(
        &mut hub,
        &[GO, Hub::suspend, |hub| hub.event("go", "second")],
    );
    assert_eq!(hub.state.status(), OrchestrationStatus::Suspended);
    assert_eq!(
        hub.history()[2..],
        [
            "ExecutionSuspended played",
            "EventRaised played second",
            "OrchestratorCompleted played"
        ]
    );
    deliver(&mut hub, &[Hub::resume]);
    assert_eq!(hub.output(), Some("second,1"));
}

#[test]
fn a_race_takes_the_first_of_one_batch() {
    let mut hub = Hub::started(Race(vec![Timer(5), Event("go")]));
    deliver(&mut hub, &[GO, |hub| hub.fired(0)]);
    assert_eq!(hub.output(), Some("go"));
}
