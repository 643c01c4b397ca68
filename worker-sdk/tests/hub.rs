//! Orchestrations through a whole hub, in memory.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::time::Duration;

use durabletask_storage::Env;
use durabletask_worker::hub::{HubSettings, StoreChoice};
use durabletask_worker::prelude::*;
use durabletask_worker::{ClientError, OrchestrationStatus, StartOptions, TaskHub, WorkerError};

const LIMIT: Option<Duration> = Some(Duration::from_secs(20));

async fn hub(name: &str) -> TaskHub {
    let settings = HubSettings::new(name, 2)
        .with_store(StoreChoice::Memory)
        .with_partition_count(1);
    TaskHub::open(settings, &Env::system()).await.unwrap()
}

#[activity(name = "Hello")]
async fn hello(_: ActivityContext, city: String) -> Result<String> {
    Ok(format!("Hello {city}!"))
}

#[activity]
async fn parse(ctx: ActivityContext, text: String) -> Result<i32> {
    assert_eq!(ctx.name(), "parse");
    Ok(text.parse()?)
}

#[orchestrator]
async fn child(ctx: OrchestrationContext, city: String) -> Result<String> {
    assert_eq!(
        ctx.parent().map(|parent| parent.name.as_deref()),
        Some(Some("tour"))
    );
    ctx.call(hello, city).await
}

#[orchestrator]
async fn tour(ctx: OrchestrationContext, _: ()) -> Result<Vec<String>> {
    ctx.timer(Duration::from_millis(1)).await;
    let name: String = ctx.wait_event("Name").await?;
    let calls = ["Tokyo", &name].map(|city| ctx.call_child(child, city));
    ctx.try_join_all(calls).await
}

#[orchestrator]
async fn countdown(ctx: OrchestrationContext, n: u32) -> Result<String> {
    let last: String = ctx.wait_event("Go").await?;
    match n {
        0 => Ok(last),
        _ => ctx.continue_as_new(n - 1),
    }
}

#[orchestrator]
async fn fails(ctx: OrchestrationContext, text: String) -> Result<i32> {
    ctx.call(parse, text).await
}

#[tokio::test]
async fn children_timers_events_and_failures_work_in_a_hub() {
    let hub = hub("tour").await;
    let worker = Worker::builder()
        .orchestrator(tour)
        .orchestrator(child)
        .orchestrator(countdown)
        .orchestrator(fails)
        .activity(hello)
        .activity(parse)
        .build()
        .unwrap()
        .start(&hub);
    let client = Client::new(&hub);

    let id = client.start(tour, ()).await.unwrap();
    client.raise_event(&id, "NAME", &"Oslo").await.unwrap();
    let greetings: Vec<String> = client.output(&id, LIMIT).await.unwrap();
    assert_eq!(greetings, ["Hello Tokyo!", "Hello Oslo!"]);

    let options = StartOptions {
        instance_id: Some("down".to_owned()),
        ..StartOptions::default()
    };
    client.start_with(countdown, 2, options).await.unwrap();
    for word in ["three", "two", "one"] {
        client.raise_event("down", "Go", &word).await.unwrap();
    }
    let last: String = client.output("down", LIMIT).await.unwrap();
    // Nobody promises an order of events that are sent at the same time, only that none is lost.
    assert!(["three", "two", "one"].contains(&last.as_str()));

    let id = client.start(fails, "x").await.unwrap();
    let error = client.output::<i32>(&id, LIMIT).await.unwrap_err();
    let ClientError::NotCompleted { status, output, .. } = error else {
        panic!("{error}");
    };
    assert_eq!(status, OrchestrationStatus::Failed);
    assert_eq!(
        output.unwrap(),
        "DurableTask.Core.Exceptions.TaskFailedException: \
         Task 'parse' (#0) failed with an unhandled exception: invalid digit found in string"
    );
    assert!(worker.stop().await.unwrap());
}

#[test]
fn two_tasks_of_one_name_are_refused() {
    let built = Worker::builder().activity(hello).activity(hello).build();
    let error = built.unwrap_err();
    assert!(matches!(error, WorkerError::DuplicateName(_)));
    assert_eq!(error.to_string(), "there are two activities named 'Hello'");
}
