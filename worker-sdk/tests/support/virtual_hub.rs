//! A hub in memory, in virtual time.

use std::future::Future;
use std::time::Duration;

use durabletask_storage::{Env, VirtualEnv};
use durabletask_worker::hub::{HubSettings, StoreChoice};
use durabletask_worker::{Client, InstanceStatus, StartOptions, TaskHub, Worker, WorkerBuilder};

pub(crate) const LIMIT: Option<Duration> = Some(Duration::from_secs(300));

/// Runs a test against an empty hub in memory, in virtual time.
pub(crate) fn in_a_hub<F: Future<Output = ()>>(
    change: impl FnOnce(&mut HubSettings),
    test: impl FnOnce(TaskHub, Env) -> F,
) {
    let time = VirtualEnv::new(7);
    let env = time.env();
    let mut settings = HubSettings::new("Features", 2)
        .with_store(StoreChoice::Memory)
        .with_partition_count(1);
    change(&mut settings);
    let ran = time.block_on(async {
        let hub = TaskHub::open(settings, &env).await.unwrap();
        test(hub, env.clone()).await;
    });
    ran.unwrap();
    assert_eq!(time.panics().texts, Vec::<String>::new());
}

pub(crate) fn id(id: &str) -> StartOptions {
    StartOptions {
        instance_id: Some(id.to_owned()),
        ..StartOptions::default()
    }
}

pub(crate) fn worker(env: &Env) -> WorkerBuilder {
    Worker::builder().env(env.clone())
}

pub(crate) async fn ended(client: &Client, instance_id: &str) -> InstanceStatus {
    client.wait(instance_id, LIMIT).await.unwrap()
}
