//! `durabletask queues`, `partitions` and `scale`: what goes on in a hub.

use std::collections::BTreeSet;

use durabletask_azurestorage::hub::{HubOverview, HubSettings, hub_overview};
use durabletask_azurestorage::scale::{Heartbeat, ScaleAction, ScaleMonitor};
use durabletask_storage::{Account, Env};
use serde_json::json;

use crate::cli::Scale;
use crate::failure::Failure;
use crate::{output, place};

/// Messages of each queue, invisible ones included, and how long its first visible one waits.
pub(crate) async fn queues(settings: HubSettings, env: &Env, as_json: bool) -> Result<(), Failure> {
    let account = place::existing(&settings, env).await?;
    let overview = hub_overview(&account, &settings).await?;
    let seen = pulse(
        &mut ScaleMonitor::new(&account, &settings, env),
        0,
        &settings,
    )
    .await?;
    let control = overview
        .partitions
        .iter()
        .zip(&seen.control_queue_latencies);
    let control = control.map(|(p, wait)| (p.queue.clone(), p.messages, *wait));
    let work_items = settings.names().work_item_queue();
    let activities = (
        work_items,
        overview.work_items,
        seen.work_item_queue_latency,
    );
    let mut rows = Vec::new();
    for (queue, messages, wait) in control.chain([activities]) {
        let wait_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
        if as_json {
            output::json(&json!({ "queue": queue, "messages": messages, "waitMs": wait_ms }));
        } else {
            rows.push([queue, messages.to_string(), format!("{wait_ms} ms")]);
        }
    }
    if !as_json {
        output::table(["QUEUE", "MESSAGES", "LONGEST WAIT"], &rows);
    }
    Ok(())
}

/// The owner of each partition.
pub(crate) async fn partitions(
    settings: HubSettings,
    env: &Env,
    as_json: bool,
) -> Result<(), Failure> {
    let account = place::existing(&settings, env).await?;
    let overview = hub_overview(&account, &settings).await?;
    let mut rows = Vec::new();
    for partition in overview.partitions {
        if as_json {
            output::json(&json!({ "partition": partition.queue, "owner": partition.owner }));
        } else {
            rows.push([partition.queue, partition.owner.unwrap_or_default()]);
        }
    }
    if !as_json {
        output::table(["PARTITION", "OWNER"], &rows);
    }
    Ok(())
}

/// What to do about the number of workers.
pub(crate) async fn scale(
    settings: HubSettings,
    env: &Env,
    scale: &Scale,
    as_json: bool,
) -> Result<(), Failure> {
    let account = place::existing(&settings, env).await?;
    let workers = match scale.workers {
        Some(workers) => workers,
        None => owners(&account, &settings).await?,
    };
    let mut monitor = ScaleMonitor::new(&account, &settings, env);
    let mut seen = pulse(&mut monitor, workers, &settings).await?;
    for _ in 1..scale.looks {
        env.sleep(scale.pause).await;
        seen = pulse(&mut monitor, workers, &settings).await?;
    }
    let target = seen.target_workers(
        settings.max_concurrent_activities,
        settings.max_concurrent_orchestrators,
    );
    let action = match seen.recommendation.action {
        ScaleAction::None => "none",
        ScaleAction::AddWorker => "addWorker",
        ScaleAction::RemoveWorker => "removeWorker",
    };
    let reason = seen.recommendation.reason;
    if as_json {
        output::json(&json!({
            "workers": workers,
            "targetWorkers": target,
            "action": action,
            "reason": reason,
            "keepWorkersAlive": seen.recommendation.keep_workers_alive,
        }));
    } else {
        output::fields(&[
            ("Workers", Some(workers.to_string())),
            ("Target", Some(target.to_string())),
            ("Action", Some(action.to_owned())),
            ("Reason", Some(reason)),
        ]);
    }
    Ok(())
}

async fn pulse(
    monitor: &mut ScaleMonitor,
    workers: usize,
    settings: &HubSettings,
) -> Result<Heartbeat, Failure> {
    let seen = monitor.pulse(workers).await?;
    seen.ok_or_else(|| Failure::NoQueues(settings.hub_name.clone()))
}

/// Distinct workers that own partitions.
async fn owners(account: &Account, settings: &HubSettings) -> Result<usize, Failure> {
    let HubOverview { partitions, .. } = hub_overview(account, settings).await?;
    let owners: BTreeSet<_> = partitions.into_iter().filter_map(|p| p.owner).collect();
    Ok(owners.len())
}
