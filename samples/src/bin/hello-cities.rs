//! Function chaining: one activity after the other.
//!
//! `cargo run -p samples --bin hello-cities`

use durabletask_worker::Client;
use durabletask_worker::prelude::*;
use samples::{Error, open_hub};

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
    Ok(format!("Hello {city}!"))
}

#[tokio::main]
async fn main() -> Result<(), Error> {
    let hub = open_hub().await?;
    let worker = Worker::builder()
        .orchestrator(hello_cities)
        .activity(hello)
        .build()?
        .start(&hub);

    let client = Client::new(&hub);
    let id = client.start(hello_cities, ()).await?;
    println!("Started orchestration {id}.");
    let greetings: Vec<String> = client.output(&id, None).await?;
    println!("{}", greetings.join("\n"));

    worker.stop().await?;
    Ok(())
}
