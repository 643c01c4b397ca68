//! Hello cities through a hub in memory, end to end.

mod support;

use std::sync::Arc;
use std::time::Duration;

use durabletask_azurestorage::hub::{HubSettings, create_hub};
use durabletask_azurestorage::partition::TablePartitionManager;
use durabletask_azurestorage::{Executors, HubClient, HubWorker, StartOptions, TaskHub};
use durabletask_core::OrchestrationStatus;
use durabletask_storage::Env;
use durabletask_storage::embedded::EmbeddedStore;
use support::{HelloSequence, SayHello};

#[tokio::test]
async fn hello_runs_end_to_end() {
    let env = Env::system();
    let store = EmbeddedStore::in_memory(env.clone()).unwrap();
    let settings = HubSettings::new("hello", 2);
    create_hub(&store.account(), &settings, &env).await.unwrap();
    let hub = TaskHub::new(env.clone(), store.account(), settings);
    let manager = Arc::new(TablePartitionManager::new(
        &store.account(),
        hub.settings(),
        "worker",
        &env,
    ));
    let executors = Executors {
        orchestrators: Arc::new(HelloSequence),
        activities: Arc::new(SayHello),
    };
    let worker = HubWorker::start(hub.clone(), executors, manager);
    let client = HubClient::new(hub);
    let options = StartOptions {
        instance_id: Some("hello-1".to_owned()),
        ..StartOptions::default()
    };
    let id = client
        .start("HelloSequence", Some("\"in\"".to_owned()), options)
        .await
        .unwrap();
    let status = client
        .wait(&id, Some(Duration::from_secs(10)))
        .await
        .unwrap();
    assert_eq!(status.runtime_status, OrchestrationStatus::Completed);
    assert_eq!(
        status.output.as_deref(),
        Some(r#"["Hello Tokyo!","Hello Seattle!","Hello London!"]"#)
    );
    assert!(worker.stop().await.unwrap());
}
