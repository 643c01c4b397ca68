//! Retried calls make the attempts and timers that .NET makes (chapter 04 §5).
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod support;

use std::time::Duration;

use durabletask_core::{Action, Command, EventKind, FailureDetails, TaskFailed};
use durabletask_worker::prelude::*;
use support::{Driver, Session, completed, fired, raised, words};

fn failed(task: i32, failure: FailureDetails, is_child: bool) -> EventKind {
    let failed = Box::new(TaskFailed {
        task_scheduled_id: task,
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

fn late(task: i32) -> EventKind {
    failed(
        task,
        FailureDetails::new("System.TimeoutException", "late"),
        false,
    )
}

fn due_in(command: &Command, driver: &Driver) -> Duration {
    let Action::CreateTimer { fire_at } = command.action else {
        panic!("{command:?}");
    };
    fire_at.saturating_since(driver.now)
}

fn policy() -> RetryPolicy {
    RetryPolicy::new(3, Duration::from_secs(1))
        .backoff(2.0)
        .only_if(|failure| failure.message() != "hopeless")
}

#[orchestrator]
async fn retrying(ctx: OrchestrationContext, _: ()) -> Result<u32> {
    let options = CallOptions::new().retry(policy());
    ctx.call_by_name_with("Flaky", "key", options).await
}

#[test]
fn two_failures_and_a_success_are_as_recorded() {
    for session in [Session::Kept, Session::Evicted] {
        let mut driver = Driver::new(retrying, session);
        assert_eq!(words(&driver.start("null")), ["0:Flaky"]);
        let timer = driver.episode(vec![late(0)]).unwrap();
        assert_eq!(due_in(&timer[0], &driver), Duration::from_secs(1));
        driver.episode(vec![fired(1)]).unwrap();
        let timer = driver.episode(vec![late(2)]).unwrap();
        assert_eq!(due_in(&timer[0], &driver), Duration::from_secs(2));
        driver.episode(vec![fired(3)]).unwrap();
        driver.episode(vec![completed(4, "3")]).unwrap();
        assert_eq!(
            words(&driver.commands),
            [
                "0:Flaky",
                "1:timer",
                "2:Flaky",
                "3:timer",
                "4:Flaky",
                "5:Completed"
            ],
            "recording: retry"
        );
    }
}

#[test]
fn the_last_failure_waits_for_one_more_timer() {
    for session in [Session::Kept, Session::Evicted] {
        let mut driver = Driver::new(retrying, session);
        driver.start("null");
        for event in [late(0), fired(1), late(2), fired(3)] {
            driver.episode(vec![event]).unwrap();
        }
        let trailing = driver.episode(vec![late(4)]).unwrap();
        assert_eq!(words(&trailing), ["5:timer"]);
        assert_eq!(due_in(&trailing[0], &driver), Duration::ZERO);
        let end = driver.episode(vec![fired(5)]).unwrap();
        assert_eq!(words(&end), ["6:Failed"]);
        let failure = driver.completion.unwrap().failure.unwrap();
        assert!(
            failure
                .error_message
                .starts_with("Task 'Flaky' (#4) failed")
        );
    }
}

#[test]
fn a_refused_or_final_failure_surfaces_at_once() {
    let hopeless = FailureDetails::new("A", "hopeless");
    let mut is_final = FailureDetails::new("A", "late");
    is_final.is_non_retriable = true;
    for failure in [hopeless, is_final] {
        let mut driver = Driver::new(retrying, Session::Kept);
        driver.start("null");
        let end = driver.episode(vec![failed(0, failure, false)]).unwrap();
        assert_eq!(words(&end), ["1:Failed"]);
    }
}

#[orchestrator]
async fn retrying_child(ctx: OrchestrationContext, id: Option<String>) -> Result<u32> {
    let mut options = ChildOptions::new().retry(policy());
    if let Some(id) = id {
        options = options.instance_id(id);
    }
    ctx.call_child_by_name("Fragile", "key", options).await
}

#[test]
fn children_are_started_again_with_the_id_they_were_given() {
    for (input, id) in [("null", None), ("\"mine\"", Some("mine".to_owned()))] {
        let mut driver = Driver::new(retrying_child, Session::Evicted);
        driver.start(input);
        let failure = FailureDetails::new("System.TimeoutException", "try 1");
        driver.episode(vec![failed(0, failure, true)]).unwrap();
        let again = driver.episode(vec![fired(1)]).unwrap();
        assert_eq!(words(&again), ["2:child:Fragile"]);
        let Action::CreateSubOrchestration { instance_id, .. } = &again[0].action else {
            panic!("{again:?}");
        };
        assert_eq!(*instance_id, id);
    }
}

#[orchestrator]
async fn busy_elsewhere(ctx: OrchestrationContext, _: ()) -> Result<String> {
    let options = CallOptions::new().retry(policy());
    let call = ctx.call_by_name_with::<u32>("Flaky", "key", options);
    let word: String = ctx.wait_event("Go").await?;
    if word == "return" {
        return Ok(word);
    }
    Ok(format!("{word} {}", call.await?))
}

#[test]
fn a_call_is_retried_whether_it_is_awaited_or_not() {
    for session in [Session::Kept, Session::Evicted] {
        let mut driver = Driver::new(busy_elsewhere, session);
        driver.start("null");
        let timer = driver.episode(vec![late(0)]).unwrap();
        assert_eq!(words(&timer), ["1:timer"]);
        let end = driver.episode(vec![raised("Go", "\"return\"")]).unwrap();
        assert_eq!(words(&end), Vec::<String>::new(), "the call is open");
        assert_eq!(words(&driver.episode(vec![fired(1)]).unwrap()), ["2:Flaky"]);
        let end = driver.episode(vec![completed(2, "7")]).unwrap();
        assert_eq!(words(&end), ["3:Completed"]);
    }
}
