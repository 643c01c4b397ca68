//! The tools for tests of orchestrators.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use durabletask_azurestorage::wire::history_json;
use durabletask_core::HistoryEvent;
use durabletask_worker::OrchestrationStatus;
use durabletask_worker::prelude::*;
use durabletask_worker::testing::{ReplayError, Replayer, TestError, TestHub};
use futures::executor::block_on;

#[activity(name = "Charge")]
async fn charge(_: ActivityContext, _: u32) -> Result<u32> {
    panic!("a test must not reach the bank");
}

#[orchestrator]
async fn pay(ctx: OrchestrationContext, cents: u32) -> Result<u32> {
    let patient = RetryPolicy::new(3, Duration::from_secs(3600)).backoff(10.0);
    let options = CallOptions::new().retry(patient);
    ctx.call_with(charge, cents, options).await
}

#[orchestrator]
async fn order(ctx: OrchestrationContext, prices: Vec<u32>) -> Result<u32> {
    ctx.set_custom_status("paying")?;
    let calls = prices.iter().map(|price| ctx.call_child(pay, price));
    let paid: u32 = ctx.try_join_all(calls).await?.iter().sum();
    let words: Vec<String> = ctx.call_by_name("Words", paid).await?;
    let answer = ctx.wait_event_timeout::<u32>("Tip", Duration::from_secs(86_400));
    let tip = answer.await?.unwrap_or_default();
    Ok(paid + tip + u32::try_from(words.len())?)
}

fn bank() -> TestHub {
    let attempts = AtomicU32::new(0);
    TestHub::new()
        .orchestrator(order)
        .orchestrator(pay)
        .mock(charge, move |cents| {
            match attempts.fetch_add(1, Ordering::Relaxed) {
                0 | 1 => Err(Failure::new("Bank.Busy", "later")),
                _ => Ok(cents),
            }
        })
        .mock_by_name("Words", |_| Ok(serde_json::json!(["a", "b"])))
}

#[test]
fn an_orchestration_runs_in_memory_with_mocks_events_and_skipped_time() {
    block_on(async {
        let mut hub = bank();
        let began = hub.now();
        let id = hub.start(order, &[20, 30][..]).await.unwrap();
        assert_eq!(hub.status(&id), Some(OrchestrationStatus::Running));
        assert_eq!(hub.custom_status(&id), Some("\"paying\""));
        hub.advance(Duration::from_secs(3600)).await.unwrap();
        assert_eq!(hub.calls().last().unwrap().name, "Words");
        hub.raise_event(&id, "tip", &5).await.unwrap();
        let total: u32 = hub.output(&id).await.unwrap();
        assert_eq!(total, 57);

        // Nobody tips: the day is skipped.
        assert_eq!(hub.run(order, &[1][..]).await.unwrap(), 3);
        let took = hub.now().saturating_since(began);
        assert!(took > Duration::from_secs(86_400), "{took:?}");

        let mut mocked = bank().mock_child(pay, |cents| Ok(cents * 2));
        assert_eq!(mocked.run(order, &[20][..]).await.unwrap(), 42);
    });
}

static RUNS: AtomicU32 = AtomicU32::new(0);

#[orchestrator]
async fn fickle(ctx: OrchestrationContext, _: ()) -> Result<()> {
    let run = RUNS.fetch_add(1, Ordering::Relaxed);
    ctx.call_by_name("Words", run).await
}

#[test]
fn what_would_go_wrong_in_a_hub_is_told() {
    block_on(async {
        let error = bank().run(fickle, ()).await.unwrap_err();
        assert_eq!(
            error.to_string(),
            "no orchestrator named 'fickle' is registered or mocked"
        );
        let mut hub = bank().orchestrator(fickle);
        let error = hub.run(fickle, ()).await.unwrap_err();
        assert!(
            matches!(error, TestError::NotDeterministic { .. }),
            "{error}"
        );

        let mut hub = bank().mock(charge, |_| Err(Failure::new("Bank.Down", "closed")));
        let error = hub.run(pay, 3).await.unwrap_err();
        assert!(
            error.to_string().contains("Failed: DurableTask.Core"),
            "{error}"
        );

        let mut hub = bank();
        let id = hub.start(order, &[1][..]).await.unwrap();
        hub.suspend(&id).await.unwrap();
        hub.advance(Duration::from_secs(1_000_000)).await.unwrap();
        let error = hub.output::<u32>(&id).await.unwrap_err();
        assert!(matches!(error, TestError::Stuck(_)), "{error}");
        hub.terminate(&id, "enough").await.unwrap();
        assert_eq!(hub.status(&id), Some(OrchestrationStatus::Terminated));
    });
}

mod changed {
    use super::*;

    /// Charges without retrying, and says thank you.
    #[orchestrator]
    pub(super) async fn pay(ctx: OrchestrationContext, cents: u32) -> Result<u32> {
        ctx.call_by_name::<()>("Thank", ()).await?;
        ctx.call(charge, cents).await
    }

    /// Calls more at the end.
    #[orchestrator]
    pub(super) async fn order(ctx: OrchestrationContext, prices: Vec<u32>) -> Result<u32> {
        let calls = prices.iter().map(|price| ctx.call_child(super::pay, price));
        let _paid = ctx.try_join_all(calls).await?;
        drop(ctx.call_by_name::<()>("Words", 0));
        drop(ctx.call_by_name::<()>("Thank", 0));
        ctx.wait_event("Tip").await
    }
}

#[test]
fn a_replayer_tells_the_first_difference_between_code_and_history() {
    block_on(async {
        let mut hub = bank();
        hub.start_as("o", order, &[20][..]).await.unwrap();
        hub.advance(Duration::from_secs(40_000)).await.unwrap();
        let exported = |hub: &TestHub, id: &str| {
            let events = hub.history(id).iter();
            history_json(
                &events
                    .map(|event| HistoryEvent::clone(event))
                    .collect::<Vec<_>>(),
            )
        };
        let running = exported(&hub, "o");
        hub.raise_event("o", "Tip", &1).await.unwrap();
        let ended = exported(&hub, "o");
        let child = hub.history("o").iter().find_map(|event| match &event.kind {
            durabletask_core::EventKind::SubOrchestrationCreated(child) => {
                child.instance_id.clone()
            }
            _ => None,
        });
        let child = exported(&hub, &child.unwrap());

        let same = Replayer::new().orchestrator(order).orchestrator(pay);
        for (history, status) in [
            (&running, OrchestrationStatus::Running),
            (&ended, OrchestrationStatus::Completed),
            (&child, OrchestrationStatus::Completed),
        ] {
            assert_eq!(same.replay_json(history).await.unwrap().status, status);
        }

        let other = Replayer::new()
            .orchestrator(changed::order)
            .orchestrator(changed::pay);
        let said = other.replay_json(&child).await.unwrap_err().to_string();
        assert!(
            said.contains("scheduled an activity task named 'Charge'"),
            "{said}"
        );
        assert!(
            said.contains("an activity task named 'Thank' (worker-sdk/tests/testing.rs:"),
            "{said}"
        );
        let said = other.replay_json(&running).await.unwrap_err().to_string();
        assert!(said.contains("timer task"), "{said}");

        let unreadable = other.replay_json("{}").await.unwrap_err();
        assert!(
            matches!(unreadable, ReplayError::Unreadable(_)),
            "{unreadable}"
        );
        let unknown = Replayer::new().replay_json(&ended).await.unwrap_err();
        assert!(
            matches!(unknown, ReplayError::NotRegistered { .. }),
            "{unknown}"
        );
    });
}

#[orchestrator(name = "ends")]
async fn waits(ctx: OrchestrationContext, _: ()) -> Result<u32> {
    ctx.wait_event("Go").await
}

#[orchestrator(name = "ends")]
async fn ends(_: OrchestrationContext, _: ()) -> Result<u32> {
    Ok(1)
}

#[orchestrator(name = "ends")]
async fn calls(ctx: OrchestrationContext, _: ()) -> Result<u32> {
    ctx.call_by_name::<()>("More", ()).await?;
    Ok(1)
}

#[orchestrator(name = "ends")]
async fn ends_otherwise(_: OrchestrationContext, _: ()) -> Result<u32> {
    Ok(2)
}

#[test]
fn a_replayer_compares_how_executions_end() {
    block_on(async {
        let mut running = TestHub::new().orchestrator(waits);
        running.start_as("a", waits, ()).await.unwrap();
        let mut ended = TestHub::new().orchestrator(ends);
        ended.start_as("a", ends, ()).await.unwrap();
        let say = async |hub: &TestHub, replayer: Replayer| {
            let history: Vec<_> = hub
                .history("a")
                .iter()
                .map(|e| HistoryEvent::clone(e))
                .collect();
            replayer.replay(history).await.unwrap_err().to_string()
        };
        let one = Replayer::new;
        assert_eq!(
            say(&running, one().orchestrator(ends)).await,
            "history goes on, but the current code ends as Completed"
        );
        assert_eq!(
            say(&running, one().orchestrator(calls)).await,
            "the current code also schedules an activity named 'More' (#0), which history does not have"
        );
        assert_eq!(
            say(&ended, one().orchestrator(waits)).await,
            "history ends as Completed with sequence number 0, but the current code goes on"
        );
        assert_eq!(
            say(&ended, one().orchestrator(ends_otherwise)).await,
            "the current code completes with another output than history"
        );
    });
}
