//! `durabletask instances list|history`.

use durabletask_azurestorage::{HubClient, InstanceQuery, ListedInstance};
use durabletask_core::{EventKind, HistoryEvent, Timestamp};
use futures::TryStreamExt;
use serde_json::{Value, json};

use crate::cli::Filter;
use crate::failure::Failure;
use crate::output::{self, Output};
use crate::progress::Progress;

/// Instances that a table for people shows unless another number is asked for, or a pager shows
/// all of them.
const DEFAULT_ROWS: usize = 100;

/// Lists instances: for machines one object per line as they come, for people a table.
pub(crate) async fn list(
    client: &HubClient,
    filter: Filter,
    limit: Option<usize>,
    out: Output,
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
    let head = ["INSTANCE", "NAME", "STATUS", "CREATED", "UPDATED"];
    let mut list = out.list(head, "No instance matches.");
    let is_paged = list.page();
    let limit = limit.or((!out.json && !is_paged).then_some(DEFAULT_ROWS));
    let mut listed = client.list(&query);
    let mut count = 0;
    let mut is_cut = false;
    while let Some(instance) = listed.try_next().await? {
        if limit == Some(count) {
            is_cut = true;
            break;
        }
        count += 1;
        if let Some(problem) = &instance.problem {
            eprintln!("warning: {problem}");
        }
        list.add(&as_object(&instance), as_row(&instance))?;
    }
    list.end()?;
    if is_cut {
        eprintln!("There are more; say --limit N to see N of them.");
    }
    Ok(())
}

fn as_object(instance: &ListedInstance) -> Value {
    let status = &instance.status;
    let time = |time: Option<Timestamp>| time.map(|time| time.to_string());
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
    [
        status.instance_id.clone(),
        status.name.clone().unwrap_or_default(),
        status.runtime_status.to_string(),
        output::time_cell(status.created_time),
        output::time_cell(status.last_updated_time),
    ]
}

/// Prints a history: for machines the array that .NET exports, for people a table.
pub(crate) async fn history(client: &HubClient, id: &str, out: Output) -> Result<(), Failure> {
    let progress = Progress::new(out, client.hub().env(), "Reading the history");
    if out.json {
        let exported = progress.during(client.history_json(id, None)).await?;
        return Ok(output::line(&exported)?);
    }
    let events = progress.during(client.history(id, None)).await?;
    let mut list = out.list(["TIME", "EVENT", "TASK", "NAME"], "It has no history yet.");
    list.page();
    for event in &events {
        list.add(&Value::Null, event_row(event))?;
    }
    Ok(list.end()?)
}

fn event_row(event: &HistoryEvent) -> [String; 4] {
    let (task, name) = match &event.kind {
        EventKind::ExecutionStarted(started) => (None, started.name.clone()),
        EventKind::TaskScheduled(task) => (Some(event.event_id), task.name.clone()),
        EventKind::SubOrchestrationCreated(child) => (Some(event.event_id), child.name.clone()),
        EventKind::TimerCreated { fire_at, .. } => (
            Some(event.event_id),
            Some(format!("due {}", output::time(*fire_at))),
        ),
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
        EventKind::ExecutionCompleted(ended) => (None, Some(ended.status.name().to_owned())),
        EventKind::EventRaised(raised) => (None, raised.name.clone()),
        _ => (None, None),
    };
    [
        output::fine_time(event.timestamp),
        event.event_type().name().to_owned(),
        task.map(|id| id.to_string()).unwrap_or_default(),
        name.as_deref().map(output::shortened).unwrap_or_default(),
    ]
}
