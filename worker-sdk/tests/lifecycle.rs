//! Starting, standing still and ending, through a whole hub in virtual time.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

#[path = "support/virtual_hub.rs"]
mod virtual_hub;

use std::time::Duration;

use durabletask_worker::hub::Unregistered;
use durabletask_worker::prelude::*;
use durabletask_worker::{OrchestrationStatus, StartOptions};
use virtual_hub::{LIMIT, ended, id, in_a_hub, worker};

#[orchestrator]
async fn waits(ctx: OrchestrationContext, _: ()) -> Result<String> {
    ctx.set_custom_status("waiting")?;
    ctx.wait_event("Go").await
}

#[orchestrator]
async fn forgets(ctx: OrchestrationContext, _: ()) -> Result<()> {
    ctx.start_child(waits, (), ChildOptions::new().instance_id("forgotten"))?;
    ctx.send_event("forgotten", "go", "from its starter")
}

#[orchestrator]
async fn calls_what_nobody_has(ctx: OrchestrationContext, _: ()) -> Result<()> {
    ctx.call_by_name("Nobody", ()).await
}

#[test]
fn suspension_holds_events_back_until_it_ends() {
    in_a_hub(
        |_| (),
        |hub, env| async move {
            let running = worker(&env)
                .orchestrator(waits)
                .build()
                .unwrap()
                .start(&hub);
            let client = Client::new(&hub);
            client.start_with(waits, (), id("a")).await.unwrap();
            client.suspend("a", "lunch").await.unwrap();
            client.raise_event("a", "Go", &"now").await.unwrap();
            env.sleep(Duration::from_secs(120)).await;
            let status = client.status("a").await.unwrap().unwrap();
            assert_eq!(status.runtime_status, OrchestrationStatus::Suspended);
            assert_eq!(status.custom_status.as_deref(), Some("\"waiting\""));
            client.resume("a", "back").await.unwrap();
            let output: String = client.output("a", LIMIT).await.unwrap();
            assert_eq!(output, "now");
            running.stop().await.unwrap();
        },
    );
}

#[test]
fn a_start_can_be_scheduled() {
    in_a_hub(
        |_| (),
        |hub, env| async move {
            let running = worker(&env).orchestrator(forgets).orchestrator(waits);
            let running = running.build().unwrap().start(&hub);
            let client = Client::new(&hub);
            let began = env.now();
            let options = StartOptions {
                start_at: Some(began.saturating_add(Duration::from_secs(200))),
                ..id("later")
            };
            client.start_with(forgets, (), options).await.unwrap();
            env.sleep(Duration::from_secs(150)).await;
            let status = client.status("later").await.unwrap().unwrap();
            assert_eq!(status.runtime_status, OrchestrationStatus::Pending);
            ended(&client, "later").await;
            let took = env.now().saturating_since(began);
            assert!(took >= Duration::from_secs(200), "{took:?}");
            // What it started and forgot goes on without it, and heard from it.
            while client.status("forgotten").await.unwrap().is_none() {
                env.sleep(Duration::from_secs(1)).await;
            }
            let output: String = client.output("forgotten", LIMIT).await.unwrap();
            assert_eq!(output, "from its starter");
            running.stop().await.unwrap();
        },
    );
}

#[test]
fn unregistered_names_fail_if_that_is_wanted() {
    in_a_hub(
        |settings| settings.unregistered = Unregistered::Fail,
        |hub, env| async move {
            let running = worker(&env).orchestrator(calls_what_nobody_has);
            let running = running.build().unwrap().start(&hub);
            let client = Client::new(&hub);
            let unknown = client.start_by_name("Nobody", &(), id("a")).await.unwrap();
            let calls = client.start(calls_what_nobody_has, ()).await.unwrap();
            for (id, said) in [
                (
                    unknown,
                    "OrchestratorTaskNotFound: No orchestrator named 'Nobody' was found.",
                ),
                (
                    calls,
                    "DurableTask.Core.Exceptions.TaskFailedException: Task 'Nobody' (#0) failed \
                     with an unhandled exception: No activity named 'Nobody' was found.",
                ),
            ] {
                let status = ended(&client, &id).await;
                assert_eq!(status.runtime_status, OrchestrationStatus::Failed);
                assert_eq!(status.output.as_deref(), Some(said));
            }
            running.stop().await.unwrap();
        },
    );
}
