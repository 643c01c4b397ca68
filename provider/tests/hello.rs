//! Hello cities through a hub in memory, end to end.

mod support;

use std::time::Duration;

use durabletask_azurestorage::hub::{HubSettings, create_hub};
use durabletask_azurestorage::{HubClient, StartOptions, TaskHub};
use durabletask_core::OrchestrationStatus;
use durabletask_storage::Env;
use durabletask_storage::embedded::EmbeddedStore;
use support::{HelloSequence, SayHello, start_worker};

#[tokio::test]
async fn hello_runs_end_to_end() {
    let env = Env::system();
    let store = EmbeddedStore::in_memory(env.clone()).unwrap();
    let settings = HubSettings::new("hello", 2);
    create_hub(&store.account(), &settings, &env).await.unwrap();
    let hub = TaskHub::new(env.clone(), store.account(), settings);
    let worker = start_worker(&hub, "worker", HelloSequence, SayHello);
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
