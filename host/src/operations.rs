//! `durabletask instances list|history|purge`.

use std::ops::ControlFlow;

use durabletask_azurestorage::{
    HubClient, InstanceQuery, ListedInstance, PurgeOptions, PurgeReport,
};
use durabletask_core::{EventKind, HistoryEvent};
use futures::TryStreamExt;
use serde_json::json;

use crate::cli::{Filter, Purge};
use crate::failure::Failure;
use crate::output;

/// Instances that a table for people shows unless another number is asked for.
const DEFAULT_ROWS: usize = 100;

/// Lists instances: for machines one object per line as they come, for people a table.
pub(crate) async fn list(
    client: &HubClient,
    filter: Filter,
    limit: Option<usize>,
    as_json: bool,
) -> Result<(), Failure> {
    let query = InstanceQuery {
        created_from: filter.created_from,
        created_to: filter.created_to,
        statuses: filter.status,
        prefix: filter.prefix.unwrap_or_default(),
        fetch_input: false,
        fetch_output: false,
        ..InstanceQuery::default()
    };
    let limit = limit.or((!as_json).then_some(DEFAULT_ROWS));
    let mut listed = client.list(&query);
    let mut rows = Vec::new();
    let mut count = 0;
    while let Some(instance) = listed.try_next().await? {
        if limit == Some(count) {
            eprintln!("There are more; say --limit N to see N of them.");
            break;
        }
        count += 1;
        if let Some(problem) = &instance.problem {
            eprintln!("warning: {problem}");
        }
        if as_json {
            output::json(&as_object(&instance));
        } else {
            rows.push(as_row(&instance));
        }
    }
    if !as_json {
        output::table(["INSTANCE", "NAME", "STATUS", "CREATED", "UPDATED"], &rows);
    }
    Ok(())
}

fn as_object(instance: &ListedInstance) -> serde_json::Value {
    let status = &instance.status;
    let time = |time: Option<durabletask_core::Timestamp>| time.map(|time| time.to_string());
    json!({
        "instanceId": status.instance_id,
        "name": status.name,
        "runtimeStatus": status.runtime_status.name(),
        "customStatus": output::payload(status.custom_status.as_deref()),
        "createdTime": time(status.created_time),
        "lastUpdatedTime": time(status.last_updated_time),
        "completedTime": time(status.completed_time),
        "problem": instance.problem.as_ref().map(ToString::to_string),
    })
}

fn as_row(instance: &ListedInstance) -> [String; 5] {
    let status = &instance.status;
    let time = |time: Option<durabletask_core::Timestamp>| {
        time.map(|time| time.to_string()).unwrap_or_default()
    };
    [
        status.instance_id.clone(),
        status.name.clone().unwrap_or_default(),
        status.runtime_status.to_string(),
        time(status.created_time),
        time(status.last_updated_time),
    ]
}

/// Prints a history: for machines the array that .NET exports, for people a table.
pub(crate) async fn history(client: &HubClient, id: &str, as_json: bool) -> Result<(), Failure> {
    if as_json {
        println!("{}", client.history_json(id, None).await?);
        return Ok(());
    }
    let events = client.history(id, None).await?;
    let rows: Vec<_> = events.iter().map(|event| event_row(event)).collect();
    output::table(["TIME", "EVENT", "TASK", "NAME"], &rows);
    Ok(())
}

fn event_row(event: &HistoryEvent) -> [String; 4] {
    let (task, name) = match &event.kind {
        EventKind::ExecutionStarted(started) => (None, started.name.clone()),
        EventKind::TaskScheduled(task) => (Some(event.event_id), task.name.clone()),
        EventKind::SubOrchestrationCreated(child) => (Some(event.event_id), child.name.clone()),
        EventKind::TimerCreated { .. } => (Some(event.event_id), None),
        EventKind::TaskCompleted {
            task_scheduled_id: id,
            ..
        }
        | EventKind::SubOrchestrationCompleted {
            task_scheduled_id: id,
            ..
        }
        | EventKind::TimerFired { timer_id: id, .. } => (Some(*id), None),
        EventKind::TaskFailed(failed) | EventKind::SubOrchestrationFailed(failed) => {
            (Some(failed.task_scheduled_id), failed.reason.clone())
        }
        EventKind::EventRaised(raised) => (None, raised.name.clone()),
        _ => (None, None),
    };
    [
        event.timestamp.to_string(),
        event.event_type().name().to_owned(),
        task.map(|id| id.to_string()).unwrap_or_default(),
        name.unwrap_or_default(),
    ]
}

/// Purges one instance, or all that match.
pub(crate) async fn purge(client: &HubClient, purge: Purge, as_json: bool) -> Result<(), Failure> {
    if !purge.yes && !purge.dry_run {
        let what = match &purge.id {
            Some(id) => format!("this removes instance {id} and its history for ever"),
            None => "this removes all instances that match for ever (try --dry-run)".to_owned(),
        };
        return Err(Failure::Unconfirmed(what));
    }
    let report = match &purge.id {
        Some(id) => {
            let removed = if purge.dry_run {
                durabletask_azurestorage::PurgeCounts::default()
            } else {
                client.purge(id, purge.force).await?
            };
            PurgeReport {
                matched: removed.instances,
                removed,
                is_complete: true,
                ..PurgeReport::default()
            }
        }
        None => purge_matching(client, &purge).await?,
    };
    for (id, problem) in &report.problems {
        eprintln!("warning: {id}: {problem}");
    }
    let removed = report.removed;
    if as_json {
        output::json(&json!({
            "matched": report.matched,
            "instances": removed.instances,
            "rows": removed.rows,
            "blobs": removed.blobs,
            "failed": report.failed,
        }));
    } else if purge.dry_run {
        println!("{} instances match.", report.matched);
    } else {
        println!(
            "Purged {} instances, {} history rows, {} blobs.",
            removed.instances, removed.rows, removed.blobs
        );
    }
    match report.failed {
        0 => Ok(()),
        failed => Err(Failure::NotPurged(failed)),
    }
}

async fn purge_matching(client: &HubClient, purge: &Purge) -> Result<PurgeReport, Failure> {
    let filter = durabletask_azurestorage::PurgeFilter {
        created_from: purge.filter.created_from,
        created_to: purge.filter.created_to,
        statuses: Some(purge.filter.status.clone()).filter(|statuses| !statuses.is_empty()),
        prefix: purge.filter.prefix.clone().unwrap_or_default(),
    };
    let mut options = PurgeOptions {
        dry_run: purge.dry_run,
        force: purge.force,
        ..PurgeOptions::default()
    };
    if let Some(limit) = purge.per_second {
        options.max_instances_per_second = limit;
    }
    let purged = client.purge_matching(&filter, &options, |report| {
        if report.matched % 100 == 0 {
            eprintln!("{} instances so far", report.matched);
        }
        ControlFlow::Continue(())
    });
    Ok(purged.await?)
}
