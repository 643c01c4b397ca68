//! Hello cities through a hub in memory, end to end, in real time.

mod support;

use std::sync::Arc;
use std::time::Duration;

use durabletask_azurestorage::hub::create_hub;
use durabletask_azurestorage::partition::TablePartitionManager;
use durabletask_azurestorage::{Executors, HubClient, HubWorker, TaskHub};
use durabletask_core::OrchestrationStatus;
use durabletask_storage::Env;
use durabletask_storage::embedded::EmbeddedStore;
use support::script::Activities;
use support::world;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hello_runs_end_to_end() {
    let env = Env::system();
    let store = EmbeddedStore::in_memory(env.clone()).unwrap();
    let settings = world::settings();
    create_hub(&store.account(), &settings, &env).await.unwrap();
    let hub = TaskHub::new(env.clone(), store.account(), settings);
    let manager = TablePartitionManager::new(&store.account(), hub.settings(), "worker", &env);
    let executors = Executors {
        orchestrators: Arc::new(world::scripts()),
        activities: Arc::new(Activities::new(&env)),
    };
    let worker = HubWorker::start(hub.clone(), executors, Arc::new(manager));
    let client = HubClient::new(hub);
    let options = world::with_id("hello-1");
    let id = client.start("Hello", None, options).await.unwrap();
    let status = client
        .wait(&id, Some(Duration::from_secs(10)))
        .await
        .unwrap();
    assert_eq!(status.runtime_status, OrchestrationStatus::Completed);
    let expected = "Hello Tokyo!,Hello Seattle!,Hello London!";
    assert_eq!(status.output.as_deref(), Some(expected));
    assert!(worker.stop().await.unwrap());
}
