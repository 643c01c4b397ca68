//! A clean stop leaves nothing behind that others cannot see, in virtual time.

#![allow(clippy::unwrap_used, reason = "helpers of tests may panic, too")]

mod support;

use std::time::Duration;

use durabletask_azurestorage::hub::{HubSettings, create_hub};
use durabletask_azurestorage::{HubClient, HubWorker, StartOptions, TaskHub};
use durabletask_core::{
    ActivityExecutor, ActivityOutcome, ActivityWork, BoxFuture, ExecutorError, OrchestrationStatus,
};
use durabletask_storage::embedded::EmbeddedStore;
use durabletask_storage::wrappers::Latency;
use durabletask_storage::{Account, Env, VirtualEnv};
use support::{HelloSequence, SayHello, start_worker};

const CALL: Duration = Duration::from_millis(20);
/// More than starts, hub polls and three activities take.
const LAST_INSTANT: Duration = Duration::from_millis(1_500);

/// `SayHello` after a while.
struct SlowHello(Env, Duration);

impl ActivityExecutor for SlowHello {
    fn knows(&self, name: &str) -> bool {
        SayHello.knows(name)
    }

    fn names(&self) -> Vec<String> {
        SayHello.names()
    }

    fn run(
        &self,
        work: ActivityWork,
    ) -> BoxFuture<'static, Result<ActivityOutcome, ExecutorError>> {
        let (env, pause) = (self.0.clone(), self.1);
        Box::pin(async move {
            env.sleep(pause).await;
            SayHello.run(work).await
        })
    }
}

fn start(hub: &TaskHub, name: &str, activity: Duration) -> HubWorker {
    start_worker(
        hub,
        name,
        HelloSequence,
        SlowHello(hub.env().clone(), activity),
    )
}

/// Messages in the hub, and how many of them anybody can receive.
async fn count(account: &Account, hub: &TaskHub) -> (usize, usize) {
    let control = (0..hub.settings().partition_count).map(|index| hub.names().control_queue(index));
    let (mut all, mut visible) = (0, 0);
    for queue in control.chain([hub.names().work_item_queue()]) {
        let counted = account.queues.count_messages(&queue).await.unwrap();
        all += usize::try_from(counted).unwrap();
        let peeked = account.queues.peek_messages(&queue, 32).await.unwrap();
        visible += peeked.len();
    }
    (all, visible)
}

/// Starts three instances and stops the worker after `instant`; then another one finishes them.
/// Returns how long the stop took and how many messages it left.
async fn stop_after(env: Env, instant: Duration, activity: Duration) -> (Duration, usize) {
    let store = EmbeddedStore::in_memory(env.clone()).unwrap();
    let settings = HubSettings::new("stops", 2);
    create_hub(&store.account(), &settings, &env).await.unwrap();
    let slow = Latency::wrap(store.account(), env.clone(), CALL);
    let hub = TaskHub::new(env.clone(), slow, settings);
    let worker = start(&hub, "first", activity);
    let client = HubClient::new(hub.clone());
    let starts = async {
        for id in ["a", "b", "c"] {
            let options = StartOptions {
                instance_id: Some(id.to_owned()),
                ..StartOptions::default()
            };
            client.start("HelloSequence", None, options).await.unwrap();
        }
    };
    let stopped = async {
        env.sleep(instant).await;
        let began = env.monotonic();
        worker.stop().await.unwrap();
        let took = env.monotonic().saturating_sub(began);
        // Before the client sends more.
        let left = count(&store.account(), &hub).await;
        (took, left)
    };
    let ((), (took, (all, visible))) = futures::future::join(starts, stopped).await;
    assert_eq!(visible, all, "visible of all messages, after {instant:?}");

    let worker = start(&hub, "second", Duration::ZERO);
    for id in ["a", "b", "c"] {
        let limit = Some(Duration::from_secs(45));
        let ended = client.wait(id, limit).await.unwrap();
        assert_eq!(ended.runtime_status, OrchestrationStatus::Completed);
    }
    worker.stop().await.unwrap();
    (took, all)
}

#[test]
fn a_stop_at_any_instant_leaves_no_message_invisible() {
    let mut with_messages = 0;
    let mut instant = Duration::ZERO;
    while instant < LAST_INSTANT {
        let virtual_env = VirtualEnv::new(7);
        let env = virtual_env.env();
        let run = stop_after(env, instant, Duration::from_millis(35));
        let (took, left) = virtual_env.block_on(run).unwrap();
        assert!(took < Duration::from_secs(2), "{took:?} after {instant:?}");
        with_messages += usize::from(left > 0);
        instant += Duration::from_millis(7);
    }
    assert!(with_messages > 20, "{with_messages} stops with work left");
}

#[test]
fn a_stop_hands_back_what_does_not_end_in_time() {
    let virtual_env = VirtualEnv::new(7);
    let instant = Duration::from_secs(1);
    let run = stop_after(virtual_env.env(), instant, Duration::from_secs(60));
    let (took, left) = virtual_env.block_on(run).unwrap();
    assert!(took < Duration::from_secs(10), "{took:?}");
    assert_eq!(left, 3, "one activity of each instance");
}
