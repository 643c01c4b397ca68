//! Limits in bytes: what sessions at work and messages in memory take pauses receiving.

use std::time::Duration;

use durabletask_storage::wrappers::Operation;

use crate::support::script::{Do, Scripts};
use crate::support::world::{TestWorker, on_hub_with, settings};

/// What the slow call of a test takes.
const SLOW: Duration = Duration::from_secs(10);

fn two_events() -> Scripts {
    Scripts::default().with("Two", vec![Do::Event("Go"), Do::Event("Go")])
}

/// Seconds at which control messages were asked for, since the start.
fn receives(alpha: &TestWorker) -> Vec<f64> {
    let calls = alpha.faults.calls().into_iter();
    calls
        .filter(|call| call.operation == Operation::GetMessages)
        .filter(|call| call.resource.contains("control"))
        .map(|call| call.began.as_secs_f64())
        .collect()
}

#[test]
fn nothing_is_received_while_busy_sessions_are_larger_than_the_budget() {
    let mut settings = settings();
    settings.session_cache_max_bytes = 20_000;
    on_hub_with(1, settings, |world| async move {
        let alpha = world.start("alpha", two_events());
        // Larger than the budget from its first episode on: it runs all the same.
        let large = "x".repeat(30_000);
        world.begin("large", "Two", Some(&large)).await;
        world.begin("small", "Two", None).await;
        world.pass(5.0).await;
        alpha.faults.slow_down(|call| {
            let is_commit = call.operation == Operation::Transact;
            if is_commit { SLOW } else { Duration::ZERO }
        });
        let client = alpha.client();
        client
            .raise_event("large", "Go", Some("1".into()))
            .await
            .unwrap();
        world.pass(1.0).await;
        let before = receives(&alpha).len();
        // Its commit is under way. This one waits in the queue.
        client
            .raise_event("small", "Go", Some("1".into()))
            .await
            .unwrap();
        world.pass(8.0).await;
        assert_eq!(receives(&alpha).len(), before);
        world.pass(3.0).await;
        assert!(receives(&alpha).len() > before);
        for id in ["large", "small"] {
            client
                .raise_event(id, "Go", Some("2".into()))
                .await
                .unwrap();
        }
        for id in ["large", "small"] {
            assert_eq!(world.output(id).await, "1,2");
        }
        assert!(alpha.worker.stop().await.unwrap());
    });
}

#[test]
fn large_values_count_in_the_buffer_as_they_are_fetched() {
    const INSTANCES: usize = 20;
    let mut settings = settings();
    // Two and a half of the values; their messages in the queue are tiny.
    settings.control_queue_buffer_max_bytes = 250_000;
    settings.max_concurrent_orchestrators = 100;
    on_hub_with(1, settings, |world| async move {
        let ids: Vec<String> = (0..INSTANCES).map(|n| format!("i{n}")).collect();
        for id in &ids {
            world.begin(id, "Input", Some(&"x".repeat(100_000))).await;
        }
        let scripts = Scripts::default().with("Input", vec![Do::Input]);
        let alpha = world.start_with("alpha", scripts, world.settings.clone(), |faults| {
            faults.slow_down(|call| {
                let is_load =
                    call.operation == Operation::Query && call.resource.ends_with("History");
                if is_load { SLOW } else { Duration::ZERO }
            });
        });
        let container = world.settings.names().large_message_container();
        let fetched = || {
            let calls = alpha.faults.calls().into_iter();
            calls
                .filter(|call| call.operation == Operation::GetBlob)
                .filter(|call| call.resource.contains(&container))
                .count()
        };
        let mut most = 0;
        let mut seen = 0;
        while seen < INSTANCES {
            world.pass(0.5 * SLOW.as_secs_f64()).await;
            most = most.max(fetched() - seen);
            seen = fetched();
            assert!(world.env.monotonic() < Duration::from_secs(300), "{seen}");
        }
        // What is read at once goes beyond the limit, and no more.
        assert!((3..=8).contains(&most), "{most}");
        for id in &ids {
            assert_eq!(world.output(id).await.len(), 100_000);
        }
        assert!(alpha.worker.stop().await.unwrap());
    });
}
