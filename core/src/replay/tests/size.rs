//! Large executions: every operation costs the same however much there is.

use std::sync::Arc;

use crate::replay::{Finish, Replay, ReplayOptions, Step};
use crate::{
    EventKind, EventRaised, ExecutionStarted, HistoryEvent, OrchestrationInstance, TaskScheduled,
    Timestamp,
};

const TASKS: i32 = 5_000;

fn event(id: i32, kind: EventKind) -> Arc<HistoryEvent> {
    Arc::new(HistoryEvent::with_id(id, Timestamp::MIN, kind))
}

fn scheduled(id: i32) -> Arc<HistoryEvent> {
    let task = TaskScheduled {
        name: Some("SayHello".into()),
        ..TaskScheduled::default()
    };
    event(id, EventKind::TaskScheduled(Box::new(task)))
}

fn completed(task: i32) -> Arc<HistoryEvent> {
    let kind = EventKind::TaskCompleted {
        task_scheduled_id: task,
        result: Some("\"Hello Tokyo!\"".into()),
    };
    event(-1, kind)
}

fn started() -> Replay {
    let mut replay = Replay::new(
        OrchestrationInstance::new("it", "e"),
        ReplayOptions::default(),
    );
    replay.push(event(-1, EventKind::OrchestratorStarted), true);
    let start = EventKind::ExecutionStarted(Box::<ExecutionStarted>::default());
    replay.push(event(-1, start), true);
    replay
}

fn call(replay: &mut Replay) {
    let input = Some("[\"Tokyo\"]".to_owned());
    replay.schedule_task(
        "SayHello",
        None,
        input,
        None,
        std::panic::Location::caller(),
    );
}

/// 10,000 events of tasks one after the other, or all at once.
fn run(at_once: bool) {
    let mut replay = started();
    if at_once {
        (0..TASKS).for_each(|id| replay.push(scheduled(id), true));
        (0..TASKS)
            .rev()
            .for_each(|id| replay.push(completed(id), true));
    } else {
        for id in 0..TASKS {
            replay.push(scheduled(id), true);
            replay.push(completed(id), true);
        }
    }
    let mut answers = 0;
    while let Some(step) = replay.next_step() {
        match step {
            Step::Start if at_once => (0..TASKS).for_each(|_| call(&mut replay)),
            Step::Start => call(&mut replay),
            _ => {
                answers += 1;
                if answers == TASKS {
                    replay.finish(Finish::Completed(None));
                } else if !at_once {
                    call(&mut replay);
                }
            }
        }
    }
    assert_eq!(replay.non_determinism(), None);
    let commands = replay.decide().commands;
    assert_eq!((commands.len(), commands[0].id), (1, TASKS));
}

#[test]
fn ten_thousand_events_in_sequence() {
    run(false);
}

#[test]
fn ten_thousand_events_at_once() {
    run(true);
}

#[test]
fn ten_thousand_waits_and_events_of_one_name() {
    let mut replay = started();
    while replay.next_step().is_some() {}
    let at = std::panic::Location::caller();
    let waits: Vec<_> = (0..10_000).map(|_| replay.wait_event("e", at)).collect();
    for wait in &waits[1..] {
        replay.cancel_wait(*wait);
    }
    for number in 0..10_000 {
        let raised = EventRaised {
            name: Some("E".into()),
            input: Some(number.to_string()),
            parent_trace_context: None,
        };
        replay.push(event(-1, EventKind::EventRaised(Box::new(raised))), false);
    }
    assert_eq!(replay.next_step(), Some(Step::Event { wait: waits[0] }));
    assert_eq!(replay.next_step(), None);
    assert_eq!(replay.take_event(waits[0]), Some(Some("0".into())));
    assert_eq!(replay.take_events().len(), 9_999);
}
