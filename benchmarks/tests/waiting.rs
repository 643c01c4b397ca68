//! What instances that wait leave on a worker's heap, counted byte by byte. The store's rows are not
//! in it: `SQLite` has an allocator of its own.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::alloc::System;
use std::time::Duration;

use benchmarks::workload;
use cap::Cap;
use durabletask_azurestorage::hub::{HubSettings, StoreChoice, create_hub, open_account};
use durabletask_storage::{Env, VirtualEnv};
use durabletask_worker::{Client, OrchestrationStatus, TaskHub, Worker};

#[global_allocator]
static HEAP: Cap<System> = Cap::new(System, usize::MAX);

const BUDGET_BYTES: usize = 512 * 1024;
/// Instances between two looks at the heap: more than the budget holds.
const STEP: usize = 200;
const STEPS: usize = 6;
/// What a worker's first instances bring beside themselves: prepared statements, lists that grow.
const FIRST_BYTES: usize = 64 * 1024;
/// By how much the heap may differ after all further instances, 32 bytes for each, less than any
/// trace of one: tasks that have ended are not swept out one by one, and a hash table may double
/// once, when is a matter of its random seed.
const SLACK_BYTES: usize = 25_600;

/// Bytes on the heap before any instance, and after each [`STEP`] of them.
async fn measure(env: Env) -> Vec<usize> {
    let mut settings = HubSettings::new("waiting", 2).with_store(StoreChoice::Memory);
    settings.session_cache_max_bytes = BUDGET_BYTES.try_into().unwrap();
    let account = open_account(&settings, &env).unwrap();
    create_hub(&account, &settings, &env).await.unwrap();
    let hub = TaskHub::new(env.clone(), account, settings);
    let worker = Worker::builder()
        .env(env.clone())
        .orchestrator(workload::waiting)
        .build()
        .unwrap()
        .start(&hub);
    env.sleep(Duration::from_secs(60)).await;
    let client = Client::new(&hub);
    let mut live = vec![HEAP.allocated()];
    for _ in 0..STEPS {
        for _ in 0..STEP {
            let id = client.start(workload::waiting, ()).await.unwrap();
            env.sleep(Duration::from_secs(1)).await;
            let status = client.status(&id).await.unwrap().unwrap();
            assert_eq!(status.runtime_status, OrchestrationStatus::Running);
        }
        env.sleep(Duration::from_secs(60)).await;
        live.push(HEAP.allocated());
    }
    assert!(worker.stop().await.unwrap());
    live
}

#[test]
fn instances_that_wait_add_nothing_beyond_the_session_budget() {
    let time = VirtualEnv::new(1).with_horizon(Duration::from_secs(86_400));
    let live = time.block_on(measure(time.env())).unwrap();
    assert_eq!(time.panics().count, 0);
    let (before, first, last) = (live[0], live[2], live[STEPS]);
    assert!(first > before + BUDGET_BYTES / 2, "sessions stay: {live:?}");
    assert!(first < before + BUDGET_BYTES + FIRST_BYTES, "{live:?}");
    assert!(last < first + SLACK_BYTES, "{live:?}");
}
