//! Saga: several steps in several systems, and when one fails, the ones before it are undone.
//!
//! `cargo run -p samples --bin saga -- --full car`

use std::process::ExitCode;

use durabletask_worker::prelude::*;
use samples::Flag;
use serde::{Deserialize, Serialize};

const FLAGS: [Flag; 1] = [Flag::value(
    "--full",
    "flight|hotel|car",
    "what is booked up already (nothing)",
)];

const STEPS: [&str; 3] = ["flight", "hotel", "car"];

/// There is none left. The orchestrator gets it back as what it is.
#[derive(Debug, Serialize, Deserialize, thiserror::Error)]
#[error("no {what} is left")]
struct BookedUp {
    what: String,
}

impl TypedError for BookedUp {
    const TYPE: &'static str = "Travel.BookedUp";
}

#[orchestrator]
async fn trip(ctx: OrchestrationContext, full: Option<String>) -> Result<String> {
    let mut booked: Vec<&str> = Vec::new();
    for step in STEPS {
        ctx.set_custom_status(format!("booking a {step}"))?;
        let is_full = full.as_deref() == Some(step);
        let Err(failure) = ctx.call(book, (step.to_owned(), is_full)).await else {
            booked.push(step);
            continue;
        };
        // Undone in reverse order, before anything is told.
        for step in booked.iter().rev() {
            ctx.call(cancel, *step).await?;
        }
        return match failure.downcast() {
            Some(BookedUp { what }) => Ok(format!("No trip: there is no {what}.")),
            None => Err(failure),
        };
    }
    Ok("Have a nice trip!".to_owned())
}

#[activity]
async fn book(_: ActivityContext, (what, is_full): (String, bool)) -> Result<()> {
    samples::work().await;
    if is_full {
        return Err(Failure::typed(&BookedUp { what }).non_retriable());
    }
    println!("  booked a {what}");
    Ok(())
}

#[activity]
async fn cancel(_: ActivityContext, what: String) -> Result<()> {
    println!("  cancelled the {what}");
    samples::work().await;
    Ok(())
}

#[tokio::main]
async fn main() -> ExitCode {
    let worker = Worker::builder()
        .orchestrator(trip)
        .activity(book)
        .activity(cancel)
        .build();
    samples::run(&FLAGS, worker, async |sample| {
        let full = sample.flags().text("--full").map(str::to_owned);
        let id = sample.start(trip, full).await?;
        println!("{}", sample.output::<String>(&id).await?);
        Ok(())
    })
    .await
}
