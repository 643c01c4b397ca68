//! Crashes after any storage call.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use durabletask_storage::wrappers::{SeenCall, Trouble};

use crate::support::world::{MIXED, World, on_hub, scripts};

/// Runs `Mixed` on a worker that dies after its `fatal`-th call (with or without its effect), and
/// then on another. False if the first one finished before.
async fn run_with_crash(world: &World, fatal: u64, has_effect: bool) -> bool {
    let died = Arc::new(AtomicBool::new(false));
    let dies = died.clone();
    let decide = move |call: &SeenCall<'_>| {
        if call.sequence < fatal {
            return None;
        }
        dies.store(true, Ordering::Relaxed);
        // Nothing comes back any more; the call itself may still arrive.
        let last = has_effect && call.sequence == fatal;
        let kind = durabletask_storage::ErrorKind::Unreachable;
        Some(if last {
            Trouble::Hangs
        } else {
            Trouble::Before(kind)
        })
    };
    let first = world.start_with("alpha", scripts(), world.settings.clone(), |faults| {
        faults.set(decide);
    });
    world.begin("one", "Mixed", None).await;
    let client = world.client();
    client
        .raise_event("one", "Go", Some("go".into()))
        .await
        .unwrap();
    world
        .until("dies or finishes", async || {
            let status = world.client().status("one").await.unwrap().unwrap();
            died.load(Ordering::Relaxed) || status.runtime_status.is_terminal()
        })
        .await;
    // What was under way arrives.
    world.pass(0.05).await;
    first.worker.abort();
    let second = world.start("alpha", scripts());
    assert_eq!(world.output("one").await, MIXED, "after call {fatal}");
    world.until_no_messages().await;
    world.assert_one_outcome_per_task("one").await;
    assert!(second.worker.stop().await.unwrap());
    died.load(Ordering::Relaxed)
}

#[test]
fn a_crash_after_any_call_loses_nothing() {
    for has_effect in [false, true] {
        let mut fatal = 0;
        loop {
            let mut died = false;
            on_hub(fatal, |world| {
                let died = &mut died;
                async move { *died = run_with_crash(&world, fatal, has_effect).await }
            });
            if !died {
                break;
            }
            fatal += 1;
        }
        assert!(fatal > 30, "only {fatal} calls");
    }
}
