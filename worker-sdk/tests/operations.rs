//! Rewind, restart, list, export and purge, through a whole hub in memory.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use durabletask_storage::Env;
use durabletask_worker::hub::{HubSettings, StoreChoice};
use durabletask_worker::prelude::*;
use durabletask_worker::{InstanceQuery, OrchestrationStatus, TaskHub};
use futures::TryStreamExt;

const LIMIT: Option<Duration> = Some(Duration::from_secs(20));

static GREETED: AtomicU32 = AtomicU32::new(0);
static TRIES: AtomicU32 = AtomicU32::new(0);

#[activity]
async fn greet(_: ActivityContext, name: String) -> Result<String> {
    GREETED.fetch_add(1, Ordering::Relaxed);
    Ok(format!("Hello {name}!"))
}

/// Fails on the first two calls.
#[activity]
async fn flaky(_: ActivityContext, _: ()) -> Result<u32> {
    match TRIES.fetch_add(1, Ordering::Relaxed) + 1 {
        tries @ 3.. => Ok(tries),
        tries => Err(Failure::new("Flaky", format!("try {tries}"))),
    }
}

#[orchestrator]
async fn fragile(ctx: OrchestrationContext, _: ()) -> Result<u32> {
    ctx.call(flaky, ()).await
}

#[orchestrator]
async fn fragile_parent(ctx: OrchestrationContext, name: String) -> Result<String> {
    let greeting = ctx.call(greet, name).await?;
    let tries = ctx.call_child(fragile, ()).await?;
    Ok(format!("{greeting} {tries}"))
}

#[tokio::test]
async fn a_failed_tree_is_rewound_until_it_heals() {
    let settings = HubSettings::new("heals", 2).with_store(StoreChoice::Memory);
    let hub = TaskHub::open(settings, &Env::system()).await.unwrap();
    let worker = Worker::builder()
        .orchestrator(fragile_parent)
        .orchestrator(fragile)
        .activity(greet)
        .activity(flaky)
        .build()
        .unwrap()
        .start(&hub);
    let client = Client::new(&hub);
    let id = client.start(fragile_parent, "you").await.unwrap();
    for _ in 0..2 {
        let failed = client.wait(&id, LIMIT).await.unwrap();
        assert_eq!(failed.runtime_status, OrchestrationStatus::Failed);
        client.rewind(&id, "again").await.unwrap();
    }
    let output: String = client.output(&id, LIMIT).await.unwrap();
    assert_eq!(output, "Hello you! 3");
    assert_eq!(GREETED.load(Ordering::Relaxed), 1);
    assert!(client.rewind(&id, "no").await.is_err());

    let copy = client.restart(&id, true).await.unwrap();
    let output: String = client.output(&copy, LIMIT).await.unwrap();
    assert_eq!(output, "Hello you! 4");

    let everything = InstanceQuery::default();
    let listed: Vec<_> = client.list(&everything).try_collect().await.unwrap();
    assert_eq!(listed.len(), 4);
    let history: Vec<serde_json::Value> =
        serde_json::from_str(&client.history_json(&id).await.unwrap()).unwrap();
    assert_eq!(history[1]["Name"], "fragile_parent");
    for instance in listed {
        let counts = client.purge(&instance.status.instance_id, false).await;
        assert_eq!(counts.unwrap().instances, 1);
    }
    assert_eq!(client.status(&id).await.unwrap(), None);
    assert_eq!(client.history_json(&id).await.unwrap(), "[]");
    assert!(worker.stop().await.unwrap());
}
