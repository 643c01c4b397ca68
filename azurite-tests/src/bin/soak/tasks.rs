//! What the soak's workers run: orchestrations of the catalogue, and some that take their time.

use std::time::Duration;

use azurite_tests::catalogue;
use durabletask_storage::Env;
use durabletask_worker::WorkerBuilder;
use durabletask_worker::prelude::*;

/// Longest time an activity takes, in milliseconds.
const MAX_WORK_MS: u64 = 400;
/// How often [`unsteady`] tries: with every other attempt failing, one in a billion gives up.
const MAX_ATTEMPTS: u32 = 30;
/// Events that [`notes`] waits for.
const NOTES: usize = 3;

/// Everything that a worker of the soak runs.
pub(crate) fn builder() -> WorkerBuilder {
    catalogue::builder()
        .orchestrator(steps)
        .orchestrator(squares)
        .orchestrator(notes)
        .orchestrator(relay)
        .orchestrator(unsteady)
        .activity(add_one)
        .activity(square)
        .activity(toss)
}

async fn work() {
    let env = Env::system();
    let pause = env.random_u64() % MAX_WORK_MS;
    env.sleep(Duration::from_millis(pause)).await;
}

/// Counts to `count`, one activity after the other.
#[orchestrator(name = "Steps")]
async fn steps(ctx: OrchestrationContext, count: u64) -> Result<u64> {
    let mut reached = 0;
    while reached < count {
        reached = ctx.call(add_one, reached).await?;
    }
    Ok(reached)
}

/// The squares of the numbers below `count`, all at once, added up.
#[orchestrator(name = "Squares")]
async fn squares(ctx: OrchestrationContext, count: u64) -> Result<u64> {
    let calls: Vec<_> = (0..count).map(|number| ctx.call(square, number)).collect();
    Ok(ctx.try_join_all(calls).await?.into_iter().sum())
}

/// Adds up what the events say.
#[orchestrator(name = "Notes")]
async fn notes(ctx: OrchestrationContext, _: ()) -> Result<u64> {
    let mut sum = 0;
    for _ in 0..NOTES {
        sum += ctx.wait_event::<u64>("Note").await?;
    }
    Ok(sum)
}

/// Sends an event to another instance.
#[orchestrator(name = "Relay")]
async fn relay(ctx: OrchestrationContext, (target, note): (String, u64)) -> Result<u64> {
    let note = ctx.call(add_one, note).await?;
    ctx.send_event(target, "Note", note)?;
    Ok(note)
}

/// Calls what fails every other time until it does not.
#[orchestrator(name = "Unsteady")]
async fn unsteady(ctx: OrchestrationContext, _: ()) -> Result<String> {
    let policy = RetryPolicy::new(MAX_ATTEMPTS, Duration::from_millis(100));
    let options = CallOptions::new().retry(policy);
    ctx.call_with(toss, (), options).await
}

#[activity]
async fn add_one(_: ActivityContext, number: u64) -> Result<u64> {
    work().await;
    Ok(number + 1)
}

#[activity]
async fn square(_: ActivityContext, number: u64) -> Result<u64> {
    work().await;
    Ok(number * number)
}

#[activity]
async fn toss(_: ActivityContext, (): ()) -> Result<String> {
    if Env::system().random_u64().is_multiple_of(2) {
        return Err(Failure::new("Soak.Tails", "once more"));
    }
    Ok("heads".to_owned())
}
