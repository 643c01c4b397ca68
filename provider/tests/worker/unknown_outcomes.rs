//! Calls that have their effect and whose answer never comes, and calls that fail.

use durabletask_storage::ErrorKind;
use durabletask_storage::wrappers::{Operation, SeenCall, Trouble};

use crate::support::world::{MIXED, World, on_hub, scripts, settings};

/// What a worker asks of storage to run orchestrations; polling and leases aside.
fn is_work(call: &SeenCall<'_>) -> bool {
    !matches!(call.operation, Operation::GetMessages) && !call.resource.ends_with("Partitions")
}

/// Runs `Mixed` while the `n`-th call fails so; false if there were not that many.
async fn run_with(world: &World, n: usize, trouble: Trouble) -> bool {
    let alpha = world.start("alpha", scripts());
    alpha.faults.fail_nth(n, trouble, is_work);
    world.begin("one", "Mixed", None).await;
    let client = world.client();
    client
        .raise_event("one", "Go", Some("go".into()))
        .await
        .unwrap();
    assert_eq!(world.output("one").await, MIXED, "{trouble:?} in call {n}");
    world.until_no_messages().await;
    world.assert_one_outcome_per_task("one").await;
    let calls = alpha.faults.calls();
    assert!(alpha.worker.stop().await.unwrap());
    calls.iter().filter(|call| call.outcome.is_some()).count() > n
        && calls.iter().filter(|call| is_recorded_work(call)).count() > n
}

fn is_recorded_work(call: &crate::support::faults::Seen) -> bool {
    call.operation != Operation::GetMessages && !call.resource.ends_with("Partitions")
}

#[test]
fn each_call_may_fail_before_or_after_its_effect() {
    let kinds = [
        Trouble::After(ErrorKind::UnknownOutcome),
        Trouble::Before(ErrorKind::UnknownOutcome),
        Trouble::Before(ErrorKind::Unreachable),
        Trouble::Before(ErrorKind::Throttled),
    ];
    for trouble in kinds {
        for etag in [false, true] {
            let mut settings = settings();
            settings.use_instance_table_etag = etag;
            let mut n = 0;
            loop {
                let mut hit = false;
                crate::support::world::on_hub_with(1, settings.clone(), |world| {
                    let hit = &mut hit;
                    async move { *hit = run_with(&world, n, trouble).await }
                });
                if !hit {
                    break;
                }
                n += 1;
            }
            assert!(n > 20, "only {n} calls");
        }
    }
}

#[test]
fn an_unanswered_commit_is_repeated_as_it_was_and_then_loaded_anew() {
    on_hub(1, |world| async move {
        let alpha = world.start("alpha", scripts());
        // The first answer is lost; then storage is out of reach for a while.
        let mut seen = 0;
        alpha.faults.set(move |call| {
            if call.operation != Operation::Transact {
                return None;
            }
            seen += 1;
            match seen {
                1 => Some(Trouble::After(ErrorKind::UnknownOutcome)),
                2..=4 => Some(Trouble::Before(ErrorKind::Unreachable)),
                5 => Some(Trouble::Before(ErrorKind::Other)),
                _ => None,
            }
        });
        world.begin("one", "Wait", None).await;
        let client = world.client();
        client
            .raise_event("one", "Go", Some("go".into()))
            .await
            .unwrap();
        assert_eq!(world.output("one").await, "go");
        let calls = alpha.faults.calls();
        let commits: Vec<_> = calls
            .iter()
            .filter(|call| call.operation == Operation::Transact)
            .collect();
        assert!(commits.len() >= 6);
        for repeated in &commits[..6] {
            assert_eq!(repeated.arguments, commits[0].arguments);
        }
        // The row at our first new key says whose history it is.
        assert_eq!(alpha.faults.count(Operation::GetRow, "History"), 1);
        world.assert_one_outcome_per_task("one").await;
    });
}

#[test]
fn an_unanswered_row_write_is_repeated_until_it_is_answered() {
    on_hub(1, |world| async move {
        let alpha = world.start("alpha", scripts());
        let mut seen = 0;
        alpha.faults.set(move |call| {
            if call.operation != Operation::Write || !call.resource.ends_with("Instances") {
                return None;
            }
            seen += 1;
            (seen <= 3).then_some(Trouble::Before(ErrorKind::UnknownOutcome))
        });
        world.begin("one", "Wait", None).await;
        world.pass(3.0).await;
        assert_eq!(alpha.faults.count(Operation::Write, "Instances"), 4);
        let row = world.instance("one").await.unwrap();
        assert_eq!(row.get_str("RuntimeStatus"), Some("Running"));
    });
}
