//! Retry: an activity that fails now and then is tried again, at longer and longer intervals.
//!
//! `cargo run -p samples --bin retry -- --failures 5 --attempts 4`

use std::process::ExitCode;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use durabletask_worker::prelude::*;
use samples::Flag;
use serde::{Deserialize, Serialize};

const FLAGS: [Flag; 2] = [
    Flag::value(
        "--failures",
        "N",
        "how often the service is busy at first (1)",
    ),
    Flag::value("--attempts", "N", "how often it is asked at most (3)"),
];

/// Calls of [`ask`] in this process: the service's own memory.
static ASKED: AtomicU32 = AtomicU32::new(0);

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Plan {
    failures: u32,
    attempts: u32,
}

#[orchestrator]
async fn patient(ctx: OrchestrationContext, plan: Plan) -> Result<String> {
    let policy = RetryPolicy::new(plan.attempts, Duration::from_secs(1))
        .backoff(2.0)
        .max_interval(Duration::from_secs(10))
        .only_if(|failure| failure.details().error_type == "Service.Busy");
    let options = CallOptions::new().retry(policy);
    match ctx.call_with(ask, plan.failures, options).await {
        Ok(answer) => Ok(answer),
        Err(failure) => Ok(format!("Gave up: {failure}")),
    }
}

#[activity]
async fn ask(_: ActivityContext, failures: u32) -> Result<String> {
    let asked = ASKED.fetch_add(1, Ordering::Relaxed) + 1;
    println!("  asking, attempt {asked}");
    samples::work().await;
    if asked <= failures {
        return Err(Failure::new("Service.Busy", "the service is busy"));
    }
    Ok(format!("Answered at attempt {asked}."))
}

#[tokio::main]
async fn main() -> ExitCode {
    let worker = Worker::builder()
        .orchestrator(patient)
        .activity(ask)
        .build();
    samples::run(&FLAGS, worker, async |sample| {
        let plan = Plan {
            failures: sample.flags().number("--failures", 1)?,
            attempts: sample.flags().number("--attempts", 3)?,
        };
        let id = sample.start(patient, plan).await?;
        println!("{}", sample.output::<String>(&id).await?);
        Ok(())
    })
    .await
}
