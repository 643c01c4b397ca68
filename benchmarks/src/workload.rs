//! The orchestrations that are measured.

use durabletask_worker::prelude::*;

/// Cities greeted by [`hello_sequence_5`].
pub const CITIES: [&str; 5] = ["Tokyo", "Seattle", "London", "Lima", "Oslo"];

/// Activities of one fan-out.
pub const FAN_OUT: u32 = 100;

/// Five greetings, one after the other.
#[orchestrator(name = "HelloSequence5")]
pub async fn hello_sequence_5(ctx: OrchestrationContext, _: ()) -> Result<Vec<String>> {
    let mut greetings = Vec::with_capacity(CITIES.len());
    for city in CITIES {
        greetings.push(ctx.call(hello, city).await?);
    }
    Ok(greetings)
}

/// One greeting.
#[activity(name = "Hello")]
pub async fn hello(_: ActivityContext, city: String) -> Result<String> {
    Ok(format!("Hello {city}!"))
}

/// As many squares at once as the input says; returns their sum.
#[orchestrator(name = "FanOut")]
pub async fn fan_out(ctx: OrchestrationContext, count: u32) -> Result<u64> {
    let calls = (0..count).map(|number| ctx.call(square, number));
    let squares = ctx.try_join_all(calls).await?;
    Ok(squares.into_iter().sum())
}

/// A number times itself.
#[activity(name = "Square")]
pub async fn square(_: ActivityContext, number: u32) -> Result<u64> {
    Ok(u64::from(number).pow(2))
}

/// Waits for an event that nobody sends.
#[orchestrator(name = "Waiting")]
pub async fn waiting(ctx: OrchestrationContext, _: ()) -> Result<String> {
    ctx.wait_event("Go").await
}
