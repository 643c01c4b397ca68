//! The worked histories of chapter 04 §1.10 and chapter 03 §1.8.

use crate::episode::{ErrorMode, Outbound, task_failed_event};
use crate::harness::{Hub, Plan};
use crate::{EventKind, FailureDetails, OrchestrationStatus, Timestamp};
use Plan::{Call, Child, Event, Seq, Timer};

#[test]
fn a_hello_sequence() {
    let mut hub = Hub::started(Seq(vec![
        Call("SayHello"),
        Call("SayHello"),
        Call("SayHello"),
    ]));
    for (task, greeting) in [(0, "Tokyo"), (1, "Seattle"), (2, "London")] {
        let answer = hub.completed(task, greeting);
        hub.deliver(vec![answer]);
    }
    assert_eq!(
        hub.history(),
        [
            "OrchestratorStarted",
            "ExecutionStarted played",
            "TaskScheduled 0 SayHello",
            "OrchestratorCompleted",
            "OrchestratorStarted",
            "TaskCompleted 0 played",
            "TaskScheduled 1 SayHello",
            "OrchestratorCompleted",
            "OrchestratorStarted",
            "TaskCompleted 1 played",
            "TaskScheduled 2 SayHello",
            "OrchestratorCompleted",
            "OrchestratorStarted",
            "TaskCompleted 2 played",
            "ExecutionCompleted 3 Completed Tokyo,Seattle,London",
            "OrchestratorCompleted",
        ]
    );
    assert_eq!(hub.state.episodes(), 4);
    let stamps: Vec<Timestamp> = hub
        .state
        .events()
        .iter()
        .map(|event| event.timestamp)
        .collect();
    let mut distinct = stamps.clone();
    distinct.sort();
    distinct.dedup();
    assert_eq!(
        distinct.len(),
        stamps.len(),
        "every event has a tick of its own"
    );
}

#[test]
fn b_sub_orchestration() {
    let mut hub = Hub::started(Seq(vec![Child("Child")]));
    let target = hub.current();
    let answer = hub.addressed(
        EventKind::SubOrchestrationCompleted {
            task_scheduled_id: 0,
            result: Some("42".into()),
        },
        target,
    );
    hub.deliver(vec![answer]);
    assert_eq!(
        hub.history()[2..],
        [
            "SubOrchestrationInstanceCreated 0",
            "OrchestratorCompleted",
            "OrchestratorStarted",
            "SubOrchestrationInstanceCompleted 0 played",
            "ExecutionCompleted 1 Completed 42",
            "OrchestratorCompleted",
        ]
    );
}

#[test]
fn c_durable_timer() {
    let mut hub = Hub::started(Seq(vec![Plan::Now, Timer(60), Plan::Now]));
    let begun = hub.state.events()[0].timestamp;
    let Some(Outbound::Timer(message)) = hub.sent.first().cloned() else {
        panic!("{:?}", hub.sent);
    };
    let EventKind::TimerCreated { fire_at } = hub.state.events()[2].kind else {
        panic!("{:?}", hub.history());
    };
    assert_eq!(fire_at.saturating_since(begun).as_secs(), 60);
    assert_eq!(
        message.event.kind,
        EventKind::TimerFired {
            timer_id: 0,
            fire_at
        }
    );
    assert_eq!(message.event.event_id, -1);
    assert_eq!(message.target, hub.current());
    // The firing is stamped when the timer is created, before the row of the timer.
    assert!(message.event.timestamp < hub.state.events()[2].timestamp);
    hub.deliver(vec![message]);
    assert_eq!(hub.history()[5], "TimerFired 0 played");
    let ended = hub.state.events()[4].timestamp;
    assert_eq!(
        hub.output(),
        Some(format!("{begun},fired,{ended}").as_str())
    );
}

#[test]
fn d_external_event() {
    let mut hub = Hub::started(Seq(vec![Event("Approval"), Call("Book")]));
    assert_eq!(hub.history()[2..], ["OrchestratorCompleted"]);
    let raised = hub.event("approval", "true");
    hub.deliver(vec![raised]);
    assert_eq!(
        hub.history()[3..],
        [
            "OrchestratorStarted",
            "EventRaised played true",
            "TaskScheduled 0 Book",
            "OrchestratorCompleted"
        ]
    );
}

#[test]
fn e_activity_failure() {
    let mut hub = Hub::started(Seq(vec![Call("Fail"), Call("never")]));
    let target = hub.current();
    let mut failure = FailureDetails::new("System.InvalidOperationException", "boom");
    failure.inner = Some(Box::new(FailureDetails::new(
        "System.ArgumentException",
        "inner",
    )));
    let failed = task_failed_event(0, failure, ErrorMode::FailureDetails);
    let answer = hub.addressed(failed, target);
    hub.deliver(vec![answer]);
    assert_eq!(
        hub.history()[5..],
        [
            "TaskFailed 0 played",
            "ExecutionCompleted 1 Failed boom",
            "OrchestratorCompleted"
        ]
    );
    let completed = hub.state.completed().unwrap();
    assert_eq!(completed.failure.as_ref().unwrap().error_message, "boom");
}

#[test]
fn e_a_caught_failure_is_just_a_value() {
    let mut hub = Hub::started(Seq(vec![
        Plan::Catch(Box::new(Call("Fail"))),
        Plan::Fail("own"),
    ]));
    hub.options.error_mode = ErrorMode::Exceptions;
    let target = hub.current();
    let failed = task_failed_event(0, FailureDetails::new("E", "boom"), ErrorMode::Exceptions);
    let answer = hub.addressed(failed, target);
    hub.deliver(vec![answer]);
    let completed = hub.state.completed().unwrap();
    assert_eq!(completed.status, OrchestrationStatus::Failed);
    assert_eq!(completed.result.as_deref(), Some("own"));
    assert_eq!(completed.failure, None, "not in the exceptions mode");
}

#[test]
fn f_continue_as_new() {
    let plan = Seq(vec![Call("Count"), Plan::CountTo(1), Call("After")]);
    let mut hub = Hub::started(plan);
    let first = hub.current();
    let answer = hub.completed(0, "0");
    hub.deliver(vec![answer]);
    let answer = hub.completed(1, "0");
    hub.deliver(vec![answer]);
    assert_eq!(
        hub.history(),
        [
            "OrchestratorStarted",
            "ExecutionStarted played",
            "OrchestratorCompleted played",
            "TaskScheduled 0 Count",
            "OrchestratorCompleted",
        ]
    );
    let start = hub.state.started().unwrap();
    assert_ne!(start.instance.execution_id, first.execution_id);
    assert_eq!(start.input.as_deref(), Some("1"));
    assert_eq!(start.generation, None);
    let stamp = |index: usize| hub.state.events()[index].timestamp;
    assert!(
        stamp(1) < stamp(0),
        "the start is created a moment before its episode"
    );
}

#[test]
fn f_a_generation_without_decisions_has_three_rows() {
    let mut hub = Hub::started(Seq(vec![Event("go"), Plan::CountTo(9)]));
    let go = hub.event("go", "");
    hub.deliver(vec![go]);
    assert_eq!(
        hub.history(),
        [
            "OrchestratorStarted",
            "ExecutionStarted played",
            "OrchestratorCompleted played"
        ]
    );
    // And goes on from there, by itself or on another worker.
    hub.reload(3);
    let go = hub.event("go", "");
    hub.deliver(vec![go]);
    assert_eq!(hub.state.started().unwrap().input.as_deref(), Some("2"));
}

#[test]
fn g_suspend_and_resume() {
    let mut hub = Hub::started(Event("e"));
    for message in [
        Hub::suspend,
        |hub: &mut Hub| hub.event("e", "x"),
        Hub::resume,
    ] {
        let message = message(&mut hub);
        hub.deliver(vec![message]);
    }
    assert_eq!(
        hub.history()[3..],
        [
            "OrchestratorStarted",
            "ExecutionSuspended played",
            "OrchestratorCompleted",
            "OrchestratorStarted",
            "EventRaised played x",
            "OrchestratorCompleted",
            "OrchestratorStarted",
            "ExecutionResumed played",
            "ExecutionCompleted 0 Completed x",
            "OrchestratorCompleted",
        ]
    );
}

#[test]
fn h_terminate() {
    let mut hub = Hub::started(Call("slow"));
    let message = hub.terminate("too late");
    hub.deliver(vec![message]);
    assert_eq!(
        hub.history()[4..],
        [
            "OrchestratorStarted",
            "ExecutionTerminated played",
            "ExecutionCompleted 1 Terminated too late",
            "OrchestratorCompleted",
        ]
    );
}
