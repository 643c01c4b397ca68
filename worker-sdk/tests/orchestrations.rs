//! What orchestrators can do, episode by episode.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod support;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use durabletask_core::{Action, EventKind, OrchestrationStatus, TaskFailed, Timestamp};
use durabletask_worker::prelude::*;
use support::{Driver, Session, completed, fired, raised, words};

const SECOND: Duration = Duration::from_secs(1);
const DAY: Duration = Duration::from_secs(86_400);

#[activity(name = "Hello")]
async fn hello(_: ActivityContext, city: String) -> Result<String> {
    Ok(format!("Hello {city}!"))
}

#[activity]
async fn double(_: ActivityContext, n: u32) -> Result<u32> {
    Ok(2 * n)
}

#[orchestrator]
async fn hello_cities(ctx: OrchestrationContext, _: ()) -> Result<Vec<String>> {
    let mut greetings = Vec::new();
    for city in ["Tokyo", "Seattle"] {
        greetings.push(ctx.call(hello, city).await?);
    }
    Ok(greetings)
}

#[test]
fn a_chain_of_calls_runs_to_its_end_kept_or_evicted() {
    for session in [Session::Kept, Session::Evicted] {
        let mut driver = Driver::new(hello_cities, session);
        driver.registry.add_activity(hello).unwrap();
        let output = driver.run_to_end("\"unread\"").unwrap();
        assert_eq!(output, r#"["Hello Tokyo!","Hello Seattle!"]"#);
        assert_eq!(
            words(&driver.commands),
            ["0:Hello", "1:Hello", "2:Completed"]
        );
        let Action::ScheduleTask { input, version, .. } = &driver.commands[0].action else {
            panic!();
        };
        assert_eq!(input.as_deref(), Some(r#"["Tokyo"]"#));
        assert_eq!(*version, None);
    }
}

#[orchestrator]
async fn fan_out(ctx: OrchestrationContext, n: u32) -> Result<u32> {
    let tasks = (0..n).map(|i| Counted(Box::pin(ctx.call(double, i))));
    Ok(ctx.try_join_all(tasks).await?.into_iter().sum())
}

static CHILD_POLLS: AtomicUsize = AtomicUsize::new(0);

/// Counts how often a future is polled.
struct Counted<F>(std::pin::Pin<Box<F>>);

impl<F: Future> Future for Counted<F> {
    type Output = F::Output;

    fn poll(
        mut self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<F::Output> {
        CHILD_POLLS.fetch_add(1, Ordering::Relaxed);
        self.0.as_mut().poll(context)
    }
}

#[test]
fn a_fan_in_of_n_costs_n_polls() {
    const N: usize = 1000;
    let mut driver = Driver::new(fan_out, Session::Kept);
    driver.registry.add_activity(double).unwrap();
    assert_eq!(driver.run_to_end(&N.to_string()).unwrap(), "999000");
    // Each is polled when it is made and when it is answered.
    let polls = CHILD_POLLS.load(Ordering::Relaxed);
    assert!(polls <= 2 * N + 2, "{polls} polls");
}

#[orchestrator]
async fn ids_at_call(ctx: OrchestrationContext, _: ()) -> Result<String> {
    let first = ctx.call(hello, "a");
    let second = ctx.call(hello, "b");
    let timer = ctx.timer(SECOND);
    ctx.send_event("other", "Go", 1)?;
    // Awaited in the opposite order.
    timer.await;
    let second = second.await?;
    Ok(first.await? + &second)
}

#[test]
fn ids_are_taken_when_a_call_is_made() {
    let mut driver = Driver::new(ids_at_call, Session::Kept);
    let commands = driver.start("null");
    assert_eq!(
        words(&commands),
        ["0:Hello", "1:Hello", "2:timer", "3:event:Go"]
    );
    let events = vec![completed(1, "\"2\""), completed(0, "\"1\""), fired(2)];
    assert_eq!(words(&driver.episode(events).unwrap()), ["4:Completed"]);
    assert_eq!(driver.completion.unwrap().result.as_deref(), Some("\"12\""));
}

#[orchestrator]
async fn event_or_timeout(ctx: OrchestrationContext, _: ()) -> Result<String> {
    let approval = ctx.wait_event_timeout::<String>("Approval", 10 * SECOND);
    let answer = approval.await?.unwrap_or_else(|| "timeout".to_owned());
    ctx.call(hello, &answer).await
}

#[test]
fn an_event_beats_its_timeout_and_cancels_it() {
    for session in [Session::Kept, Session::Evicted] {
        let mut driver = Driver::new(event_or_timeout, session);
        assert_eq!(words(&driver.start("null")), ["0:timer"]);
        let commands = driver.episode(vec![raised("approval", "\"yes\"")]).unwrap();
        assert_eq!(words(&commands), ["1:Hello"]);
        // The timer is cancelled: it does not keep the orchestration from completing.
        let commands = driver.episode(vec![completed(1, "\"done\"")]).unwrap();
        assert_eq!(words(&commands), ["2:Completed"]);
    }
}

#[test]
fn a_timeout_gives_up_the_wait_and_the_event_stays_for_others() {
    let mut driver = Driver::new(event_or_timeout, Session::Evicted);
    driver.start("null");
    let commands = driver.episode(vec![fired(0)]).unwrap();
    let Action::ScheduleTask { input, .. } = &commands[0].action else {
        panic!();
    };
    assert_eq!(input.as_deref(), Some(r#"["timeout"]"#));
}

#[orchestrator]
async fn mailbox(ctx: OrchestrationContext, _: ()) -> Result<Vec<i32>> {
    ctx.timer(SECOND).await;
    // Both are there; the loser of the race goes back to the buffer.
    let first = ctx.wait_event::<i32>("Note");
    let second = ctx.wait_event::<i32>("Note");
    let (index, note) = ctx
        .race([first, second])
        .await
        .ok_or_else(|| Failure::new("X", ""))?;
    let mut notes = vec![i32::try_from(index)?, note?];
    notes.push(ctx.wait_event("NOTE").await?);
    notes.extend(
        ctx.take_events()
            .iter()
            .filter_map(|e| e.input.as_deref()?.parse::<i32>().ok()),
    );
    Ok(notes)
}

#[test]
fn events_are_buffered_in_order_and_none_is_lost_by_a_race() {
    let mut driver = Driver::new(mailbox, Session::Evicted);
    driver.start("null");
    let notes = ["1", "2", "3"].map(|note| raised("Note", note));
    assert!(driver.episode(notes.to_vec()).unwrap().is_empty());
    driver.episode(vec![fired(0)]).unwrap();
    assert_eq!(
        driver.completion.unwrap().result.as_deref(),
        Some("[0,1,2,3]")
    );
}

#[orchestrator]
async fn selecting(ctx: OrchestrationContext, _: ()) -> Result<String> {
    let task = ctx.call(hello, "slow");
    match ctx.select(task, ctx.timer(SECOND)).await {
        Either::Left(greeting) => greeting,
        Either::Right(()) => Ok("too late".to_owned()),
    }
}

#[test]
fn a_dropped_call_still_has_to_answer_before_the_orchestration_completes() {
    let mut driver = Driver::new(selecting, Session::Kept);
    assert_eq!(words(&driver.start("null")), ["0:Hello", "1:timer"]);
    assert!(driver.episode(vec![fired(1)]).unwrap().is_empty());
    let commands = driver.episode(vec![completed(0, "\"x\"")]).unwrap();
    assert_eq!(words(&commands), ["2:Completed"]);
    let completion = driver.completion.unwrap();
    assert_eq!(completion.result.as_deref(), Some("\"too late\""));
}

#[orchestrator]
async fn month(ctx: OrchestrationContext, _: ()) -> Result<String> {
    let timer = ctx.timer(7 * DAY);
    ctx.call(hello, "meanwhile").await?;
    timer.await;
    Ok(ctx.now().to_string())
}

#[test]
fn long_timers_go_in_parts_of_three_days() {
    for session in [Session::Kept, Session::Evicted] {
        let mut driver = Driver::new(month, session);
        let due = |driver: &Driver, index: usize| match &driver.commands[index].action {
            Action::CreateTimer { fire_at } => *fire_at,
            other => panic!("{other:?}"),
        };
        driver.start("null");
        let began = driver.now;
        assert_eq!(due(&driver, 0), began.saturating_add(3 * DAY));
        driver.now = due(&driver, 0);
        // The next part starts although nobody awaits the timer yet.
        assert_eq!(words(&driver.episode(vec![fired(0)]).unwrap()), ["2:timer"]);
        assert!(
            driver
                .episode(vec![completed(1, "\"\"")])
                .unwrap()
                .is_empty()
        );
        driver.now = due(&driver, 2);
        assert_eq!(words(&driver.episode(vec![fired(2)]).unwrap()), ["3:timer"]);
        assert_eq!(due(&driver, 3), began.saturating_add(7 * DAY));
        assert_eq!(
            words(&driver.episode(vec![fired(3)]).unwrap()),
            ["4:Completed"]
        );
    }
}

#[orchestrator]
async fn long_timeout(ctx: OrchestrationContext, _: ()) -> Result<Option<i32>> {
    ctx.wait_event_timeout("E", 7 * DAY).await
}

#[test]
fn dropping_a_long_timer_cancels_the_part_that_runs() {
    let mut driver = Driver::new(long_timeout, Session::Kept);
    driver.start("null");
    driver.now = driver.now.saturating_add(3 * DAY);
    assert_eq!(words(&driver.episode(vec![fired(0)]).unwrap()), ["1:timer"]);
    let commands = driver.episode(vec![raised("E", "5")]).unwrap();
    assert_eq!(words(&commands), ["2:Completed"]);
}

#[orchestrator]
async fn counter(ctx: OrchestrationContext, n: u32) -> Result<u32> {
    let doubled = ctx.call(double, n).await?;
    if n < 3 {
        return ctx.continue_as_new(n + 1);
    }
    Ok(doubled)
}

#[test]
fn continue_as_new_is_what_the_function_returns() {
    let mut driver = Driver::new(counter, Session::Kept);
    driver.start("1");
    driver
        .episode(vec![completed(0, "2"), raised("Later", "9")])
        .unwrap();
    let completion = driver.completion.unwrap();
    assert_eq!(completion.status, OrchestrationStatus::ContinuedAsNew);
    assert_eq!(completion.result.as_deref(), Some("2"));
    assert_eq!(completion.carryover.len(), 1);
}

#[orchestrator]
async fn parent(ctx: OrchestrationContext, _: ()) -> Result<u32> {
    ctx.start_child(parent, (), ChildOptions::new().instance_id("elsewhere"))?;
    let options = ChildOptions::new()
        .instance_id("c1")
        .version("2")
        .tag("a", "b");
    let first = ctx.call_child_with(counter, 1, options);
    let second: u32 = ctx
        .call_child_by_name("counter", 2, ChildOptions::new())
        .await?;
    Ok(first.await? + second)
}

#[test]
fn children_are_called_by_type_by_name_or_not_heard_of_again() {
    let mut driver = Driver::new(parent, Session::Evicted);
    let commands = driver.start("null");
    assert_eq!(
        words(&commands),
        ["0:child:parent", "1:child:counter", "2:child:counter"]
    );
    let Action::CreateSubOrchestration {
        instance_id,
        version,
        input,
        tags,
        ..
    } = &commands[1].action
    else {
        panic!();
    };
    assert_eq!(instance_id.as_deref(), Some("c1"));
    assert_eq!(version.as_deref(), Some("2"));
    assert_eq!(input.as_deref(), Some("1"));
    assert_eq!(tags.as_ref().unwrap().get("a"), Some("b"));
    let answer = |task| EventKind::SubOrchestrationCompleted {
        task_scheduled_id: task,
        result: Some("20".to_owned()),
    };
    driver.episode(vec![answer(2), answer(1)]).unwrap();
    assert_eq!(driver.completion.unwrap().result.as_deref(), Some("40"));
}

#[orchestrator]
async fn failing(ctx: OrchestrationContext, catch: bool) -> Result<String> {
    match ctx.call_by_name::<i32>("Fail", "x").await {
        Err(failure) if catch => Ok(format!("{}: {failure}", failure.details().error_type)),
        other => Ok(other?.to_string()),
    }
}

fn failed(task: i32) -> EventKind {
    EventKind::TaskFailed(Box::new(TaskFailed {
        task_scheduled_id: task,
        reason: Some("boom".to_owned()),
        details: None,
        failure: Some(durabletask_worker::FailureDetails::new(
            "System.InvalidOperationException",
            "boom",
        )),
    }))
}

#[test]
fn failures_of_tasks_are_caught_or_end_the_orchestration_as_core_writes_it() {
    let mut driver = Driver::new(failing, Session::Kept);
    driver.start("true");
    driver.episode(vec![failed(0)]).unwrap();
    assert_eq!(
        driver.completion.unwrap().result.as_deref(),
        Some("\"System.InvalidOperationException: boom\"")
    );
    let mut driver = Driver::new(failing, Session::Kept);
    driver.start("false");
    driver.episode(vec![failed(0)]).unwrap();
    let completion = driver.completion.unwrap();
    assert_eq!(completion.status, OrchestrationStatus::Failed);
    assert_eq!(completion.result.as_deref(), Some("boom"));
    assert_eq!(
        completion.failure.unwrap().to_string(),
        "DurableTask.Core.Exceptions.TaskFailedException: \
         Task 'Fail' (#0) failed with an unhandled exception: boom"
    );
}

#[test]
fn payloads_that_do_not_fit_are_failures_that_name_the_call() {
    let mut driver = Driver::new(failing, Session::Kept);
    driver.start("\"no boolean\"");
    let failure = driver.completion.unwrap().failure.unwrap();
    assert!(
        failure
            .error_message
            .starts_with("the input of 'failing' cannot be read as bool")
    );

    let mut driver = Driver::new(failing, Session::Kept);
    driver.start("false");
    driver.episode(vec![completed(0, "\"no number\"")]).unwrap();
    let failure = driver.completion.unwrap().failure.unwrap();
    assert!(
        failure
            .error_message
            .starts_with("the result of 'Fail' cannot be read as i32")
    );
    assert_eq!(failure.error_type, "durabletask::PayloadError");
}

#[orchestrator]
async fn about_itself(ctx: OrchestrationContext, _: ()) -> Result<(String, u64, String)> {
    ctx.set_custom_status(serde_json::json!({"at": "first"}))?;
    let drawn = (
        ctx.new_guid().to_string(),
        ctx.random(),
        ctx.now().to_string(),
    );
    ctx.timer_at(Timestamp::MIN).await;
    assert_eq!((ctx.instance_id(), ctx.name()), ("abc", "about_itself"));
    assert!(ctx.parent().is_none() && ctx.tags().is_none() && ctx.version().is_none());
    Ok(drawn)
}

#[test]
fn what_a_context_says_is_the_same_in_every_replay() {
    let results = [Session::Kept, Session::Evicted].map(|session| {
        let mut driver = Driver::new(about_itself, session);
        driver.start("null");
        assert_eq!(driver.custom_status.as_deref(), Some(r#"{"at":"first"}"#));
        driver.episode(vec![fired(0)]).unwrap();
        driver.completion.unwrap()
    });
    assert_eq!(results[0], results[1]);
    assert_eq!(results[0].status, OrchestrationStatus::Completed);
}

#[orchestrator]
async fn suspended(ctx: OrchestrationContext, _: ()) -> Result<(i32, i32)> {
    ctx.join(async { ctx.wait_event("A").await.unwrap_or(-1) }, async {
        let _ = ctx.call(hello, "x").await;
        ctx.call(double, 1u32)
            .await
            .map_or(-1, |n| i32::try_from(n).unwrap_or(-1))
    })
    .map(Ok)
    .await
}

use futures::FutureExt as _;

#[test]
fn branches_of_a_join_move_on_their_own_and_wait_while_suspended() {
    for session in [Session::Kept, Session::Evicted] {
        let mut driver = Driver::new(suspended, session);
        driver.start("null");
        let suspend = EventKind::ExecutionSuspended { reason: None };
        let commands = driver.episode(vec![suspend, completed(0, "\"\"")]).unwrap();
        assert!(commands.is_empty());
        let resume = EventKind::ExecutionResumed { reason: None };
        let commands = driver.episode(vec![raised("A", "1"), resume]).unwrap();
        assert_eq!(words(&commands), ["1:double"]);
        driver.episode(vec![completed(1, "2")]).unwrap();
        assert_eq!(driver.completion.unwrap().result.as_deref(), Some("[1,2]"));
    }
}
