//! Human interaction: an external event, or a time limit.
//!
//! `cargo run -p samples --bin approval -- --answer none --limit 60`, and from another terminal
//! `cargo run -p samples --bin approval -- --raise ID --answer no`

use std::process::ExitCode;
use std::time::Duration;

use durabletask_worker::prelude::*;
use samples::{Error, Flag, Sample};

const DECISION: &str = "Decision";

const FLAGS: [Flag; 3] = [
    Flag::value("--answer", "yes|no|none", "what the approver says (yes)"),
    Flag::value("--limit", "SECONDS", "how long to wait for the answer (30)"),
    Flag::value(
        "--raise",
        "ID",
        "only answer the request of that orchestration",
    )
    .client_only(),
];

#[orchestrator]
async fn approval(ctx: OrchestrationContext, limit_seconds: u32) -> Result<String> {
    ctx.call(ask, "a trip to Tokyo").await?;
    ctx.set_custom_status("waiting for the decision")?;
    let limit = Duration::from_secs(limit_seconds.into());
    match ctx.wait_event_timeout(DECISION, limit).await? {
        Some(true) => ctx.call(book, "a trip to Tokyo").await,
        Some(false) => Ok("The request was turned down.".to_owned()),
        None => Ok("Nobody decided in time.".to_owned()),
    }
}

#[activity]
async fn ask(_: ActivityContext, what: String) -> Result<()> {
    println!("  asking for {what}");
    samples::work().await;
    Ok(())
}

#[activity]
async fn book(_: ActivityContext, what: String) -> Result<String> {
    println!("  booking {what}");
    samples::work().await;
    Ok(format!("Approved: {what} is booked."))
}

#[tokio::main]
async fn main() -> ExitCode {
    let worker = Worker::builder()
        .orchestrator(approval)
        .activity(ask)
        .activity(book)
        .build();
    samples::run(&FLAGS, worker, client).await
}

async fn client(sample: Sample) -> Result<(), Error> {
    let answer = match sample.flags().text("--answer") {
        None | Some("yes") => Some(true),
        Some("no") => Some(false),
        Some("none") => None,
        Some(other) => return Err(format!("--answer is {other:?}; write yes, no or none").into()),
    };
    if let Some(id) = sample.flags().text("--raise") {
        if sample.client().status(id).await?.is_none() {
            return Err(
                format!("there is no orchestration {id:?}; check the id and the hub").into(),
            );
        }
        return decide(&sample, id, answer).await;
    }
    let limit_seconds = sample.flags().number("--limit", 30)?;
    let id = sample.start(approval, limit_seconds).await?;
    // An event may come at any time, even before the orchestration waits for it.
    decide(&sample, &id, answer).await?;
    let outcome: String = sample.output(&id).await?;
    println!("{outcome}");
    Ok(())
}

/// Raises the event after a moment of thought.
async fn decide(sample: &Sample, id: &str, answer: Option<bool>) -> Result<(), Error> {
    let Some(approved) = answer else {
        return Ok(());
    };
    samples::work().await;
    sample.client().raise_event(id, DECISION, &approved).await?;
    println!("Answered {}.", if approved { "yes" } else { "no" });
    Ok(())
}
