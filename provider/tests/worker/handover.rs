//! Partitions that go from worker to worker.

use std::time::Duration;

use durabletask_azurestorage::hub::PartitionManagement::{self, Legacy, Safe, Table};
use durabletask_storage::wrappers::{Arguments, Operation, Outcome};
use durabletask_storage::{Value, Write};

use crate::support::faults::Seen;
use crate::support::world::{TestWorker, on_hub_with, scripts, settings};

const PARTITIONS: u32 = 4;

/// When the worker made its first call that `is_meant`.
fn first(worker: &TestWorker, is_meant: impl Fn(&Seen) -> bool) -> Option<Duration> {
    let calls = worker.faults.calls();
    calls
        .iter()
        .find(|call| is_meant(call))
        .map(|call| call.began)
}

/// Whether a call replaces the row of partition 00 by one with these columns.
fn replaces_row(call: &Seen, owner: Option<&str>, is_draining: bool) -> bool {
    let Arguments::Writes(writes) = &call.arguments else {
        return false;
    };
    matches!(&writes[..], [Write::Replace(row, _)] if row.row_key.ends_with("-control-00")
        && row.get_str("CurrentOwner") == owner
        && row.get("IsDraining") == Some(&Value::Bool(is_draining)))
}

/// Whether a call asks for the lease of that blob; with what success.
fn leases(call: &Seen, operation: Operation, folder: &str, is_done: bool) -> bool {
    call.operation == operation
        && call
            .resource
            .ends_with(&format!("-leases/{folder}/testhub-control-00"))
        && matches!(call.outcome, Some(Outcome::Done(_))) == is_done
}

/// When alpha saw that beta wants partition 00, when it let go of it, and when beta had it.
fn moments(
    management: PartitionManagement,
    alpha: &TestWorker,
    beta: &TestWorker,
) -> Option<[Duration; 3]> {
    use Operation::{AcquireLease, ChangeLease, ReleaseLease, RenewLease};
    let done = |call: &Seen| call.outcome.is_some();
    Some(match management {
        Table => [
            first(alpha, |call| replaces_row(call, Some("alpha"), true))?,
            first(alpha, |call| replaces_row(call, None, false))?,
            first(beta, |call| {
                replaces_row(call, Some("beta"), false) && done(call)
            })?,
        ],
        Safe => [
            first(alpha, |call| leases(call, RenewLease, "intent", false))?,
            first(alpha, |call| leases(call, ReleaseLease, "ownership", true))?,
            first(beta, |call| leases(call, AcquireLease, "ownership", true))?,
        ],
        // A theft: nobody is asked.
        Legacy => {
            let stolen = first(beta, |call| leases(call, ChangeLease, "default", true))?;
            [stolen; 3]
        }
    })
}

/// Sessions that are in memory and have nothing to do do not hold a partition up.
#[test]
fn a_partition_changes_hands_within_a_second_and_is_read_at_once() {
    // covers: R5-05 R5-21 R5-24 R5-35 R5-36 R5-37
    for management in [Table, Safe, Legacy] {
        let mut settings = settings().with_partition_count(PARTITIONS);
        settings.partition_management = management;
        settings.max_queue_polling_interval = Duration::from_secs(30);
        on_hub_with(1, settings, |world| async move {
            let alpha = world.start("alpha", scripts());
            let ids = (0..12).map(|n| format!("i{n}")).collect::<Vec<_>>();
            for id in &ids {
                world.begin(id, "Wait", None).await;
            }
            world.pass(18.0).await;
            assert_eq!(
                world.messages().await,
                0,
                "{management:?}: all wait for events"
            );
            let beta = world.start("beta", scripts());
            world.pass(27.0).await;
            let moved = beta.worker.partitions();
            assert_eq!((moved.len(), alpha.worker.partitions().len()), (2, 2));
            let moments = moments(management, &alpha, &beta);
            let [seen, released, acquired] = moments.expect("partition 00 moves first");
            let gap = released.saturating_sub(seen);
            assert!(gap <= Duration::from_secs(1), "{management:?}: {gap:?}");
            let gap = acquired.saturating_sub(released);
            assert!(
                gap <= Duration::from_millis(1_100),
                "{management:?}: {gap:?}"
            );
            let is_read = |call: &Seen| {
                call.operation == Operation::GetMessages && call.resource.ends_with("-control-00")
            };
            // The victim of a theft knows by its next renewal, 10 s later at most.
            let known = if management == Legacy { 10 } else { 0 };
            let silent = released + Duration::from_secs(known);
            let reads = |call: &Seen| is_read(call) && call.began > silent;
            assert_eq!(first(&alpha, reads), None, "{management:?}");
            let steals = |call: &Seen| {
                call.operation == Operation::ChangeLease && call.resource.contains("/ownership/")
            };
            assert_eq!(first(&beta, steals), None);
            let read = first(&beta, is_read).expect("its new owner reads it");
            let gap = read
                .checked_sub(acquired)
                .expect("not before it is its own");
            assert!(gap <= Duration::from_millis(100), "{management:?}: {gap:?}");
            for id in &ids {
                world.client().raise_event(id, "Go", None).await.unwrap();
            }
            for id in &ids {
                world.output(id).await;
            }
        });
    }
}
