//! What must hold when everybody is through.

mod leftovers;

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use durabletask_azurestorage::hub::HubSettings;
use durabletask_azurestorage::wire::history_row;
use durabletask_azurestorage::wire::instance_row::InstanceRow;
use durabletask_azurestorage::wire::large;
use durabletask_azurestorage::{HubClient, SweepOptions, TaskHub};
use durabletask_core::{EventKind, EventType, OrchestrationStatus};
use durabletask_storage::{Query, Result, Row, StorageError};

use crate::history::{Looks, faults_of};
use crate::network::World;
pub(crate) use leftovers::check_leftovers;

/// Virtual time in which the last messages must go, in seconds.
const QUIET_SECONDS: u64 = 3 * 3_600;
/// Quiet time after which the sweeper looks at an instance, in seconds.
const SWEEP_AFTER_SECONDS: u64 = 700;
/// Pause between looks, in seconds.
const LOOK_SECONDS: u64 = 10;

/// Waits until no queue holds a message but timers that are not due yet.
pub(crate) async fn until_quiet(world: &World, settings: &HubSettings) {
    for _ in 0..QUIET_SECONDS / LOOK_SECONDS {
        match messages(world, settings).await {
            Ok(counts) if counts.iter().all(|(_, count)| *count == 0) => return,
            Ok(_) => {}
            Err(error) => return world.trace.violation(error),
        }
        world.env.sleep(Duration::from_secs(LOOK_SECONDS)).await;
    }
    let left = messages(world, settings).await.unwrap_or_default();
    world
        .trace
        .violation(format_args!("messages are left: {left:?}"));
}

/// Looks at all histories again and again, for as long as faults strike.
pub(crate) async fn keep_looking(world: Arc<World>, settings: HubSettings) {
    let mut looks = Looks::default();
    let table = settings.names().history_table();
    while !world.faults.is_over() {
        world.env.sleep(Duration::from_secs(LOOK_SECONDS)).await;
        match rows(&world, &table).await {
            Ok(rows) => {
                for fault in looks.look(&world.histories, &rows) {
                    world.trace.violation(fault);
                }
            }
            Err(error) => world.trace.violation(error),
        }
    }
}

/// Lets the sweeper repair what crashes left behind, after the time it takes to be sure.
pub(crate) async fn sweep(world: &World, settings: &HubSettings) {
    world
        .env
        .sleep(Duration::from_secs(SWEEP_AFTER_SECONDS))
        .await;
    let hub = TaskHub::new(world.env.clone(), world.account.clone(), settings.clone());
    let swept = HubClient::new(hub)
        .sweep(&SweepOptions::default(), |_, finding| {
            if let Some(finding) = finding {
                world.trace.step("sweeper", format_args!("{finding:?}"));
            }
            ControlFlow::Continue(())
        })
        .await;
    if let Err(error) = swept {
        world.trace.violation(error);
    }
}

async fn messages(world: &World, settings: &HubSettings) -> Result<Vec<(String, u64)>> {
    let names = settings.names();
    let queues = (0..settings.partition_count)
        .map(|n| names.control_queue(n))
        .chain([names.work_item_queue()]);
    let mut counts = Vec::new();
    for queue in queues {
        let count = world.account.queues.count_messages(&queue).await?;
        let not_due = world.timers.due_after(&queue, world.env.monotonic());
        counts.push((queue, count.saturating_sub(not_due)));
    }
    Ok(counts)
}

/// Compares all instance rows with their histories.
pub(crate) async fn check_all(world: &World, settings: &HubSettings) {
    if let Err(error) = check(world, settings).await {
        world.trace.violation(error);
    }
}

async fn check(world: &World, settings: &HubSettings) -> std::result::Result<(), StorageError> {
    let names = settings.names();
    let histories = rows(world, &names.history_table()).await?;
    for row in rows(world, &names.instances_table()).await? {
        let of_instance = |history: &&Row| history.partition_key == row.partition_key;
        let all: Vec<&Row> = histories.iter().filter(of_instance).collect();
        for fault in faults_of_instance(&row, &all) {
            world
                .trace
                .violation(format_args!("{}: {fault}", row.partition_key));
        }
    }
    let has_row = rows(world, &names.instances_table()).await?;
    for history in &histories {
        if !has_row
            .iter()
            .any(|row| row.partition_key == history.partition_key)
        {
            let key = &history.partition_key;
            world
                .trace
                .violation(format_args!("{key}: history without an instance row"));
            break;
        }
    }
    Ok(())
}

fn faults_of_instance(row: &Row, history: &[&Row]) -> Vec<String> {
    let instance = match InstanceRow::from_row(row) {
        Ok(instance) => instance,
        Err(error) => return vec![error.to_string()],
    };
    let Some(status) = instance
        .runtime_status
        .filter(|status| status.is_terminal())
    else {
        return vec![format!("has not ended: {:?}", instance.runtime_status)];
    };
    if status == OrchestrationStatus::Terminated && history.is_empty() {
        // Before it began.
        return Vec::new();
    }
    let sentinel = history.iter().find(|row| history_row::is_sentinel(row));
    let current = sentinel.and_then(|row| history_row::execution_id(row));
    if current != instance.execution_id.as_deref() {
        return vec![format!(
            "the row is of execution {:?}, the history of {current:?}",
            instance.execution_id
        )];
    }
    let own: Vec<&Row> = history
        .iter()
        .copied()
        .filter(|row| !history_row::is_sentinel(row))
        .take_while(|row| history_row::execution_id(row) == current)
        .collect();
    let mut faults = faults_of(&own);
    faults.extend(beginning(&own, &instance));
    faults.extend(ending(&own, status, row.get_str("Output")));
    faults
}

/// What the row says otherwise than history about the beginning.
fn beginning(own: &[&Row], instance: &InstanceRow) -> Option<String> {
    let mut events = own
        .iter()
        .filter_map(|row| history_row::row_to_event(row).ok());
    let started = events.find_map(|event| match event.kind {
        EventKind::ExecutionStarted(started) => Some(started),
        _ => None,
    })?;
    let (is, should) = (
        (&instance.name, &instance.version),
        (&started.name, &started.version),
    );
    (is != should).then(|| format!("the row is of {is:?}, history of {should:?}"))
}

/// What the row says otherwise than history about the end.
fn ending(own: &[&Row], status: OrchestrationStatus, output: Option<&str>) -> Option<String> {
    let is_end = |row: &&&Row| history_row::event_type(row) == Ok(EventType::ExecutionCompleted);
    let row = own.iter().rfind(is_end)?;
    let EventKind::ExecutionCompleted(completed) = history_row::row_to_event(row).ok()?.kind else {
        return None;
    };
    let moved = large::moved_columns(row);
    let has_result = match moved.iter().find(|(column, _)| *column == "Result") {
        // The row has the address of the same blob.
        Some((_, blob)) => output
            .zip(blob.rsplit('/').next())
            .is_some_and(|(url, name)| url.ends_with(name)),
        // A failure is told in other words there.
        None => status == OrchestrationStatus::Failed || completed.result.as_deref() == output,
    };
    (completed.status != status || !has_result).then(|| {
        format!(
            "the row says {status} with {output:?}, history {} with {:?}",
            completed.status, completed.result
        )
    })
}

async fn rows(world: &World, table: &str) -> Result<Vec<Row>> {
    let mut query = Query::default();
    let mut rows = Vec::new();
    loop {
        let page = world.account.tables.query(table, &query).await?;
        rows.extend(page.rows);
        query.continuation = page.continuation;
        if query.continuation.is_none() {
            return Ok(rows);
        }
    }
}
