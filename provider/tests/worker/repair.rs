//! Instance rows that a crash left behind their history.

use durabletask_core::OrchestrationStatus;
use durabletask_storage::ErrorKind;
use durabletask_storage::wrappers::Trouble;

use crate::support::script::Do;
use crate::support::world::{World, on_hub, scripts};

/// The worker dies between history and the `n`-th instance row; another takes over.
async fn lose_row(world: &World, id: &str, input: &str, n: u32, steps: Vec<Do>) {
    let with = || scripts().with("It", steps.clone());
    let alpha = world.start("alpha", with());
    alpha.faults.set({
        let mut rows = 0;
        move |call| {
            let is_row = call.operation == durabletask_storage::wrappers::Operation::Write
                && call.resource.ends_with("Instances");
            rows += u32::from(is_row);
            (rows >= n).then_some(Trouble::Before(ErrorKind::Unreachable))
        }
    });
    world.begin(id, "It", Some(input)).await;
    let client = world.client();
    for _ in 0..2 {
        client.raise_event(id, "Go", None).await.unwrap();
    }
    world.pass(2.0).await;
    alpha.worker.abort();
    let beta = world.start("alpha", with());
    world.pass(60.0).await;
    assert_eq!(world.messages().await, 0);
    beta.worker.stop().await.unwrap();
}

#[test]
fn the_row_of_a_finished_instance_is_repaired() {
    on_hub(1, |world| async move {
        for (id, steps, length) in [
            ("small", vec![Do::Input], 2),
            ("large", vec![Do::Repeat("\"世", 70_000)], 70_000),
        ] {
            lose_row(&world, id, "in", 1, steps).await;
            let client = world.client();
            let status = client.status(id).await.unwrap().unwrap();
            assert_eq!(status.runtime_status, OrchestrationStatus::Completed);
            assert_eq!(status.output.unwrap().chars().count(), length);
            assert_eq!(status.input.as_deref(), Some("in"));
            let history = world.history(id).await;
            let ended = history.iter().rev().nth(1).unwrap().timestamp;
            assert_eq!(status.completed_time, Some(ended));
        }
    });
}

#[test]
fn the_row_of_a_running_instance_is_repaired() {
    on_hub(1, |world| async move {
        let steps = vec![Do::Status("\"here\""), Do::Event("Never")];
        lose_row(&world, "one", "in", 1, steps).await;
        let row = world.instance("one").await.unwrap();
        assert_eq!(row.get_str("RuntimeStatus"), Some("Running"));
        assert_eq!(row.get_str("Name"), Some("It"));
    });
}

#[test]
fn the_row_of_an_earlier_execution_is_repaired() {
    on_hub(1, |world| async move {
        // Continues as new at once, and ends in the same commit; or goes on running. There the two
        // events come back after their executions are gone, and may count again (design.md §6).
        let ends = vec![Do::Input, Do::CountTo(2)];
        let runs = vec![Do::Event("Go"), Do::CountTo(9)];
        for (id, steps, status, inputs) in [
            ("ends", ends, "Completed", ["2"].as_slice()),
            ("runs", runs, "Running", ["2", "3", "4"].as_slice()),
        ] {
            lose_row(&world, id, "0", 1, steps).await;
            let row = world.instance(id).await.unwrap();
            assert_eq!(row.get_str("RuntimeStatus"), Some(status), "{id}");
            let input = row.get_str("Input").unwrap();
            assert!(inputs.contains(&input), "{id}: {input}");
            world.assert_execution_is_current(id, &row).await;
        }
    });
}

#[test]
fn a_row_with_a_large_reason_of_a_suspension_is_repaired() {
    on_hub(1, |world| async move {
        let alpha = world.start("alpha", scripts());
        world.begin("one", "Wait", None).await;
        world.pass(1.0).await;
        alpha.faults.set(|call| {
            let is_row = call.operation == durabletask_storage::wrappers::Operation::Write
                && call.resource.ends_with("Instances");
            is_row.then_some(Trouble::Before(ErrorKind::Unreachable))
        });
        let client = world.client();
        let reason = "r".repeat(40_000);
        client.suspend("one", Some(reason.clone())).await.unwrap();
        world.pass(1.0).await;
        alpha.faults.clear();
        world.until_no_messages().await;
        let status = client.status("one").await.unwrap().unwrap();
        assert_eq!(status.runtime_status, OrchestrationStatus::Suspended);
        assert_eq!(status.output, Some(reason));
    });
}
