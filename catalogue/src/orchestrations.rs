//! The catalogue's orchestrations.

use std::time::Duration;

use durabletask_worker::prelude::*;
use serde_json::json;

use crate::activities::{Flaky, big, double, fail, say_hello};

/// What [`big_data`] asks for.
const BIG_CHARS: usize = 100_000;
/// The last round of [`eternal`].
const LAST_ETERNAL: i64 = 3;
/// The last round of [`mailbox`].
const LAST_MAILBOX: i64 = 2;

async fn greet(ctx: &OrchestrationContext, cities: &[&str]) -> Result<Vec<String>> {
    let mut greetings = Vec::with_capacity(cities.len());
    for city in cities {
        greetings.push(ctx.call(say_hello, *city).await?);
    }
    Ok(greetings)
}

/// Three greetings, one after the other.
#[orchestrator(name = "HelloSequence")]
pub async fn hello_sequence(ctx: OrchestrationContext, _: String) -> Result<Vec<String>> {
    greet(&ctx, &["Tokyo", "Seattle", "London"]).await
}

/// Five greetings, one after the other.
#[orchestrator(name = "HelloSequence5")]
pub async fn hello_sequence5(ctx: OrchestrationContext, _: String) -> Result<Vec<String>> {
    let cities = ["Tokyo", "Seattle", "London", "Amsterdam", "Seoul"];
    greet(&ctx, &cities).await
}

/// Doubles 0 to n-1 at once and adds them up.
#[orchestrator(name = "FanOut")]
pub async fn fan_out(ctx: OrchestrationContext, count: i64) -> Result<i64> {
    let calls: Vec<_> = (0..count).map(|number| ctx.call(double, number)).collect();
    Ok(ctx.try_join_all(calls).await?.into_iter().sum())
}

/// One greeting.
#[orchestrator(name = "Child")]
pub async fn child(ctx: OrchestrationContext, name: String) -> Result<String> {
    ctx.call(say_hello, name).await
}

/// Two children, one after the other: one with an id of its own, one without.
#[orchestrator(name = "Parent")]
pub async fn parent(ctx: OrchestrationContext, _: String) -> Result<String> {
    let id = format!("{}-child", ctx.instance_id());
    let options = ChildOptions::new().instance_id(id);
    let one = ctx.call_child_with(child, "one", options).await?;
    let two = ctx.call_child(child, "two").await?;
    Ok(format!("{one},{two}"))
}

/// A child that fails, uncaught.
#[orchestrator(name = "FailingParent")]
pub async fn failing_parent(ctx: OrchestrationContext, _: String) -> Result<String> {
    ctx.call_child(failing, "sub").await
}

/// Waits so many seconds.
#[orchestrator(name = "Timer")]
pub async fn timer(ctx: OrchestrationContext, seconds: u64) -> Result<String> {
    ctx.timer(Duration::from_secs(seconds)).await;
    Ok("fired".to_owned())
}

/// The event `Approval`, or `timeout` after so many seconds.
#[orchestrator(name = "EventOrTimeout")]
pub async fn event_or_timeout(ctx: OrchestrationContext, seconds: u64) -> Result<String> {
    let limit = Duration::from_secs(seconds);
    let approval = ctx.wait_event_timeout::<String>("Approval", limit).await?;
    Ok(approval.unwrap_or_else(|| "timeout".to_owned()))
}

/// Fails with its activity.
#[orchestrator(name = "Failing")]
pub async fn failing(ctx: OrchestrationContext, message: String) -> Result<String> {
    ctx.call(fail, message).await
}

/// Survives its activity's failure.
#[orchestrator(name = "Catching")]
pub async fn catching(ctx: OrchestrationContext, _: String) -> Result<String> {
    match ctx.call(fail, "caught").await {
        Ok(answer) => Ok(answer),
        Err(failure) => Ok(format!("handled: {}", failure.message())),
    }
}

/// Continues as new until its input is 3; events are taken and ignored.
#[orchestrator(name = "Eternal")]
pub async fn eternal(ctx: OrchestrationContext, round: i64) -> Result<i64> {
    let doubled = ctx.call(double, round).await?;
    if round < LAST_ETERNAL {
        drop(ctx.take_events());
        return ctx.continue_as_new(round + 1);
    }
    Ok(doubled)
}

/// Sends an event to another instance.
#[orchestrator(name = "Sender")]
pub async fn sender(ctx: OrchestrationContext, target: String) -> Result<String> {
    ctx.send_event(target, "Approval", "from orchestrator")?;
    ctx.call(say_hello, "sender").await
}

/// Large input, large result, larger output.
#[orchestrator(name = "BigData")]
pub async fn big_data(ctx: OrchestrationContext, input: String) -> Result<String> {
    let answer = ctx.call(big, BIG_CHARS).await?;
    Ok(input + &answer)
}

/// Calls what fails twice, uncaught.
#[orchestrator(name = "Fragile")]
pub async fn fragile(ctx: OrchestrationContext, key: String) -> Result<u32> {
    ctx.call_by_name(Flaky::NAME, key).await
}

/// How often [`retrying`] and [`retrying_sub`] try.
const MAX_ATTEMPTS: u32 = 5;

/// Calls what fails twice until it does not.
#[orchestrator(name = "Retrying")]
pub async fn retrying(ctx: OrchestrationContext, key: String) -> Result<u32> {
    let policy = RetryPolicy::new(MAX_ATTEMPTS, Duration::from_secs(1)).backoff(2.0);
    let options = CallOptions::new().retry(policy);
    ctx.call_by_name_with(Flaky::NAME, key, options).await
}

/// The same with a child.
#[orchestrator(name = "RetryingSub")]
pub async fn retrying_sub(ctx: OrchestrationContext, key: String) -> Result<u32> {
    let policy = RetryPolicy::new(MAX_ATTEMPTS, Duration::from_secs(1));
    let options = ChildOptions::new().retry(policy);
    ctx.call_child_with(fragile, key, options).await
}

/// A greeting, then a fragile child.
#[orchestrator(name = "FragileParent")]
pub async fn fragile_parent(ctx: OrchestrationContext, key: String) -> Result<String> {
    let greeting = ctx.call(say_hello, "before").await?;
    let number = ctx.call_child(fragile, key).await?;
    Ok(format!("{greeting}{number}"))
}

/// One note per execution, three executions: no note may get lost between them.
#[orchestrator(name = "Mailbox")]
pub async fn mailbox(ctx: OrchestrationContext, round: i64) -> Result<String> {
    let note: String = ctx.wait_event("Note").await?;
    ctx.call(say_hello, &note).await?;
    if round < LAST_MAILBOX {
        return ctx.continue_as_new(round + 1);
    }
    Ok(format!("last: {note}"))
}

/// Says where it is.
#[orchestrator(name = "Status")]
pub async fn status(ctx: OrchestrationContext, _: String) -> Result<String> {
    ctx.set_custom_status(json!({"at": "first"}))?;
    ctx.call(say_hello, "status").await?;
    ctx.set_custom_status(json!({"at": "second"}))?;
    ctx.timer(Duration::from_secs(1)).await;
    Ok("done".to_owned())
}
