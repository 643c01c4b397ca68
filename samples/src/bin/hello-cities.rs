//! Function chaining: one activity after the other.
//!
//! `cargo run -p samples --bin hello-cities`

use std::process::ExitCode;

use durabletask_worker::prelude::*;

#[orchestrator]
async fn hello_cities(ctx: OrchestrationContext, _: ()) -> Result<Vec<String>> {
    let mut greetings = Vec::new();
    for city in ["Tokyo", "Seattle", "London"] {
        greetings.push(ctx.call(hello, city).await?);
    }
    Ok(greetings)
}

#[activity]
async fn hello(_: ActivityContext, city: String) -> Result<String> {
    println!("  greeting {city}");
    samples::work().await;
    Ok(format!("Hello {city}!"))
}

#[tokio::main]
async fn main() -> ExitCode {
    let worker = Worker::builder()
        .orchestrator(hello_cities)
        .activity(hello)
        .build();
    samples::run(&[], worker, async |sample| {
        let id = sample.start(hello_cities, ()).await?;
        let greetings: Vec<String> = sample.output(&id).await?;
        println!("{}", greetings.join("\n"));
        Ok(())
    })
    .await
}
