//! Fan-out, fan-in: many activities at once, and a sum over their results.
//!
//! `cargo run -p samples --bin fan-out -- --count 50`

use std::process::ExitCode;

use durabletask_worker::prelude::*;
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use samples::Flag;

const FLAGS: [Flag; 1] = [Flag::value(
    "--count",
    "N",
    "how many numbers to square (20)",
)];

#[orchestrator]
async fn sum_of_squares(ctx: OrchestrationContext, count: u32) -> Result<u64> {
    let mut squares: FuturesUnordered<_> = (1..=count).map(|n| ctx.call(square, n)).collect();
    let (mut sum, mut done) = (0, 0);
    while let Some(square) = squares.next().await {
        sum += square?;
        done += 1;
        ctx.set_custom_status(format!("{done} of {count} squared"))?;
    }
    Ok(sum)
}

#[activity]
async fn square(_: ActivityContext, number: u32) -> Result<u64> {
    println!("  squaring {number}");
    samples::work().await;
    Ok(u64::from(number) * u64::from(number))
}

#[tokio::main]
async fn main() -> ExitCode {
    let worker = Worker::builder()
        .orchestrator(sum_of_squares)
        .activity(square)
        .build();
    samples::run(&FLAGS, worker, async |sample| {
        let count = sample.flags().number("--count", 20)?;
        let id = sample.start(sum_of_squares, count).await?;
        let sum: u64 = sample.output(&id).await?;
        println!("The squares of 1 to {count} add up to {sum}.");
        Ok(())
    })
    .await
}
