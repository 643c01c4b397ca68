//! Whose habits an orchestrator follows, told from how its instance began (chapter 04 §0).
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod support;

use std::time::Duration;

use durabletask_core::{Action, Command, Completion, EventKind, TaskFailed};
use durabletask_worker::prelude::*;
use durabletask_worker::{FailureDetails, Flavour};
use support::{Driver, Session, completed, fired, words};

const DAY: Duration = Duration::from_secs(86_400);

#[orchestrator]
async fn five_days(ctx: OrchestrationContext, _: ()) -> Result<String> {
    ctx.timer(5 * DAY).await;
    ctx.call_by_name::<String>("Done", ()).await?;
    Ok(ctx.new_guid().to_string())
}

#[orchestrator]
async fn lets_failures_through(ctx: OrchestrationContext, what: String) -> Result<()> {
    match what.as_str() {
        "activity" => ctx.call_by_name("Pay", ()).await,
        "child" => ctx.call_child_by_name("Pay", (), ChildOptions::new()).await,
        _ => Err(Failure::new("Shop.Closed", "it is night")),
    }
}

#[orchestrator]
async fn retried_child(ctx: OrchestrationContext, _: ()) -> Result<()> {
    let policy = RetryPolicy::new(3, Duration::from_secs(1));
    let options = ChildOptions::new().retry(policy);
    ctx.call_child_by_name("Child", ctx.new_guid(), options)
        .await
}

/// A driver of an instance that a Functions app started: its start has no version.
fn of_functions<O: Orchestrator>(orchestrator: O, session: Session, input: &str) -> Driver {
    let mut driver = Driver::new(orchestrator, session);
    let mut start = driver.started(input);
    if let EventKind::ExecutionStarted(started) = &mut start {
        started.version = None;
    }
    driver.episode(vec![start]).unwrap();
    driver
}

fn failed(failure: FailureDetails, is_child: bool) -> EventKind {
    let failed = Box::new(TaskFailed {
        task_scheduled_id: 0,
        reason: Some(failure.error_message.clone()),
        details: None,
        failure: Some(failure),
    });
    if is_child {
        EventKind::SubOrchestrationFailed(failed)
    } else {
        EventKind::TaskFailed(failed)
    }
}

#[test]
fn long_timers_and_guids_are_those_of_who_began() {
    let mut output = Vec::new();
    for session in [Session::Kept, Session::Evicted] {
        let mut theirs = of_functions(five_days, session, "null");
        assert_eq!(words(&theirs.episode(vec![fired(0)]).unwrap()), ["1:Done"]);
        theirs.episode(vec![completed(1, "\"\"")]).unwrap();
        output.push(theirs.completion.unwrap().result);
    }
    assert_eq!(output[0], output[1]);

    let mut ours = Driver::new(five_days, Session::Evicted);
    ours.start("null");
    // A part of three days, and then the rest.
    ours.now = ours.now.saturating_add(3 * DAY);
    assert_eq!(words(&ours.episode(vec![fired(0)]).unwrap()), ["1:timer"]);
    assert_eq!(words(&ours.episode(vec![fired(1)]).unwrap()), ["2:Done"]);
}

#[test]
fn failures_end_in_process_instances_with_the_texts_of_functions() {
    let end = |what: &str| -> Completion {
        let mut driver = of_functions(lets_failures_through, Session::Kept, &format!("{what:?}"));
        let failure = FailureDetails::new("Shop.Declined", "no \"credit\"");
        if driver.completion.is_none() {
            driver
                .episode(vec![failed(failure, what == "child")])
                .unwrap();
        }
        driver.completion.unwrap()
    };
    let name = "Orchestrator function 'lets_failures_through' failed: ";
    let rest = "See the function execution logs for additional details.";
    let expected = [
        ("nothing", "it is night".to_owned()),
        (
            "activity",
            format!("The activity function 'Pay' failed: \"no \"credit\"\". {rest}"),
        ),
        (
            "child",
            format!("The orchestrator function 'Pay' failed: \"no \"credit\"\". {rest}"),
        ),
    ];
    for (what, text) in expected {
        let end = end(what);
        assert_eq!(end.result, Some(format!("{name}{text}")));
        // A parent is told what it was, the instance's output is that text.
        assert!(end.is_bare);
        assert_eq!(end.failure.unwrap().error_message, text);
    }
}

#[test]
fn a_retried_child_of_an_isolated_instance_keeps_its_id() {
    let mut driver = Driver::new(retried_child, Session::Evicted);
    driver.registry.use_flavour(Flavour::Isolated);
    let child_of = |commands: &[Command]| match &commands[0].action {
        Action::CreateSubOrchestration {
            instance_id, input, ..
        } => (instance_id.clone().unwrap(), input.clone().unwrap()),
        other => panic!("{other:?}"),
    };
    let first = child_of(&driver.start("null"));
    let failure = FailureDetails::new("E", "m");
    driver.episode(vec![failed(failure, true)]).unwrap();
    let again = driver.episode(vec![fired(1)]).unwrap();
    assert_eq!(child_of(&again), first);
    assert_eq!(first.0.len(), 32);
}
