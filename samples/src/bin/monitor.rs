//! Monitor: looks at a job again and again, with a timer in between, for as long as it takes.
//!
//! Each look is an execution of its own, so that the history does not grow with them.
//!
//! `cargo run -p samples --bin monitor -- --looks 3 --pause 1`

use std::process::ExitCode;
use std::time::Duration;

use durabletask_worker::prelude::*;
use samples::Flag;
use serde::{Deserialize, Serialize};

const FLAGS: [Flag; 2] = [
    Flag::value("--looks", "N", "after how many looks the job is done (4)"),
    Flag::value("--pause", "SECONDS", "the time between two looks (1)"),
];

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Watch {
    look: u32,
    looks_needed: u32,
    pause_seconds: u32,
}

#[orchestrator]
async fn monitor(ctx: OrchestrationContext, watch: Watch) -> Result<u32> {
    if ctx.call(job_is_done, watch).await? {
        return Ok(watch.look);
    }
    ctx.set_custom_status(format!("look {}: still running", watch.look))?;
    let pause = Duration::from_secs(watch.pause_seconds.into());
    ctx.timer(pause).await;
    ctx.continue_as_new(Watch {
        look: watch.look + 1,
        ..watch
    })
}

#[activity]
async fn job_is_done(_: ActivityContext, watch: Watch) -> Result<bool> {
    println!("  looking at the job");
    samples::work().await;
    Ok(watch.look >= watch.looks_needed)
}

#[tokio::main]
async fn main() -> ExitCode {
    let worker = Worker::builder()
        .orchestrator(monitor)
        .activity(job_is_done)
        .build();
    samples::run(&FLAGS, worker, async |sample| {
        let watch = Watch {
            look: 1,
            looks_needed: sample.flags().number("--looks", 4)?,
            pause_seconds: sample.flags().number("--pause", 1)?,
        };
        let id = sample.start(monitor, watch).await?;
        let looks: u32 = sample.output(&id).await?;
        println!("The job was done at look {looks}.");
        Ok(())
    })
    .await
}
