//! Messages that nobody can work off, in virtual time.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests may panic, too"
)]

mod support;

use std::sync::atomic::Ordering;
use std::time::Duration;

use durabletask_azurestorage::hub::{HubSettings, PoisonedInstance, create_hub};
use durabletask_azurestorage::{HubClient, HubWorker, PoisonMessage, StartOptions, TaskHub};
use durabletask_core::OrchestrationStatus::{Completed, Pending, Running, Terminated};
use durabletask_storage::VirtualEnv;
use durabletask_storage::embedded::EmbeddedStore;
use support::{Brittle, start_worker};

const ID: &str = "hello";
const LIMIT: Option<Duration> = Some(Duration::from_secs(600));
const FAILURES: u32 = 3;

struct World {
    hub: TaskHub,
    client: HubClient,
    worker: HubWorker,
}

impl World {
    /// Waits until a message is set aside.
    async fn poison(&self) -> PoisonMessage {
        for _ in 0..LIMIT.unwrap().as_secs() {
            if let Some(poison) = self.client.poison_messages().await.unwrap().pop() {
                return poison;
            }
            self.hub.env().sleep(Duration::from_secs(1)).await;
        }
        panic!("nothing was set aside");
    }

    async fn start(&self, name: &str) {
        let options = StartOptions {
            instance_id: Some(ID.to_owned()),
            ..StartOptions::default()
        };
        self.client.start(name, None, options).await.unwrap();
    }

    async fn requeue(&self, poison: &PoisonMessage) {
        let (queue, id) = (&poison.queue, &poison.message_id);
        assert!(self.client.requeue_poison(queue, id).await.unwrap());
        assert!(!self.client.requeue_poison(queue, id).await.unwrap());
        assert!(self.client.poison_messages().await.unwrap().is_empty());
    }
}

fn run<F: Future<Output = ()>>(
    executor: Brittle,
    change: impl FnOnce(&mut HubSettings),
    test: impl FnOnce(World) -> F,
) {
    let virtual_env = VirtualEnv::new(7);
    let env = virtual_env.env();
    virtual_env
        .block_on(async {
            let store = EmbeddedStore::in_memory(env.clone()).unwrap();
            let mut settings = HubSettings::new("poison", 1).with_partition_count(1);
            settings.poison_after = FAILURES;
            change(&mut settings);
            create_hub(&store.account(), &settings, &env).await.unwrap();
            let hub = TaskHub::new(env.clone(), store.account(), settings);
            let worker = start_worker(&hub, "one", executor.clone(), executor);
            let client = HubClient::new(hub.clone());
            test(World {
                hub,
                client,
                worker,
            })
            .await;
        })
        .unwrap();
}

#[test]
fn an_activity_that_crashes_is_set_aside_and_can_be_put_back() {
    let executor = Brittle {
        broken_activity: true,
        ..Brittle::default()
    };
    let mended = executor.mended.clone();
    run(
        executor,
        |_| {},
        |world| async move {
            world.start("HelloSequence").await;
            let poison = world.poison().await;
            assert_eq!(poison.failures, 3);
            assert_eq!(poison.error, "panicked: brittle");
            assert_eq!(poison.instance_id.as_deref(), Some(ID));
            assert_eq!(poison.event_type.as_deref(), Some("TaskScheduled"));
            let text = world
                .client
                .poison_text(&poison.queue, &poison.message_id)
                .await;
            assert!(text.unwrap().unwrap().contains("SayHello"));
            // Left as it is.
            let row = world.client.status(ID).await.unwrap().unwrap();
            assert_eq!(row.runtime_status, Running);

            mended.store(true, Ordering::Relaxed);
            world.requeue(&poison).await;
            let ended = world.client.wait(ID, LIMIT).await.unwrap();
            assert_eq!(ended.runtime_status, Completed);
            assert!(world.worker.stop().await.unwrap());
        },
    );
}

#[test]
fn the_instance_hears_of_it_if_the_settings_say_so() {
    let activity = Brittle {
        broken_activity: true,
        ..Brittle::default()
    };
    let fail = |settings: &mut HubSettings| settings.poisoned_instance = PoisonedInstance::Fail;
    // HelloSequence takes no notice of failures, but history does.
    run(activity, fail, |world| async move {
        world.start("HelloSequence").await;
        world.poison().await;
        let failed = "a message (TaskScheduled) failed 3 times";
        let mut heard = false;
        for _ in 0..60 {
            let history = world.client.history_json(ID, None).await.unwrap();
            heard |= history.contains(failed);
            world.hub.env().sleep(Duration::from_secs(1)).await;
        }
        assert!(heard, "the orchestrator was not told");
    });
    let orchestrator = Brittle {
        broken_orchestrator: true,
        ..Brittle::default()
    };
    run(orchestrator, fail, |world| async move {
        world.start("HelloSequence").await;
        let poison = world.poison().await;
        assert_eq!(poison.event_type.as_deref(), Some("ExecutionStarted"));
        let ended = world.client.wait(ID, LIMIT).await.unwrap();
        assert_eq!(ended.runtime_status, Terminated);
        let output = ended.output.unwrap();
        assert!(
            output.contains("a message (ExecutionStarted) failed 3 times"),
            "{output}"
        );
    });
}

#[test]
fn what_cannot_be_read_is_kept_as_it_was() {
    run(
        Brittle::default(),
        |_| {},
        |world| async move {
            let queue = world.hub.names().control_queue(0);
            let queues = &world.hub.account().queues;
            queues.put_message(&queue, "{ no JSON", None).await.unwrap();
            world.start("HelloSequence").await;
            let poison = world.poison().await;
            assert_eq!((&poison.queue, &poison.instance_id), (&queue, &None));
            let text = world.client.poison_text(&queue, &poison.message_id).await;
            assert_eq!(text.unwrap().as_deref(), Some("{ no JSON"));
            assert_eq!(queues.count_messages(&queue).await.unwrap(), 0);
            let ended = world.client.wait(ID, LIMIT).await.unwrap();
            assert_eq!(ended.runtime_status, Completed);
        },
    );
}

#[test]
fn unknown_names_are_no_failures_and_nothing_counts_by_default() {
    let patience = Duration::from_secs(3_600);
    run(
        Brittle::default(),
        |_| {},
        |world| async move {
            world.start("Nobody").await;
            world.hub.env().sleep(patience).await;
            assert_eq!(world.client.poison_messages().await.unwrap(), []);
            let row = world.client.status(ID).await.unwrap().unwrap();
            assert_eq!(row.runtime_status, Pending);
        },
    );
    let executor = Brittle {
        broken_activity: true,
        ..Brittle::default()
    };
    let never = |settings: &mut HubSettings| settings.poison_after = 0;
    run(executor, never, |world| async move {
        world.start("HelloSequence").await;
        world.hub.env().sleep(patience).await;
        assert_eq!(world.client.poison_messages().await.unwrap(), []);
    });
}
