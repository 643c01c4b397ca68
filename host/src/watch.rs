//! `durabletask queues`, `partitions` and `scale`: what goes on in a hub.

use std::collections::BTreeSet;

use durabletask_azurestorage::hub::{HubSettings, hub_overview};
use durabletask_azurestorage::scale::{Heartbeat, ScaleAction, ScaleMonitor};
use durabletask_storage::{Account, Env};
use serde_json::json;

use crate::cli::Scale;
use crate::failure::Failure;
use crate::hub::{as_object, as_row};
use crate::output::Output;
use crate::place::Place;
use crate::progress::Progress;

/// Messages of each queue, invisible ones included, and how long its first visible one waits.
pub(crate) async fn queues(place: Place, env: &Env, out: Output) -> Result<(), Failure> {
    let (account, settings) = place.existing(env).await?;
    let overview = hub_overview(&account, &settings).await?;
    let mut monitor = ScaleMonitor::new(&account, &settings, env);
    let seen = pulse(&mut monitor, 0, &settings).await?;
    let control = overview
        .partitions
        .iter()
        .zip(&seen.control_queue_latencies);
    let control = control.map(|(p, wait)| (p.queue.clone(), p.messages, *wait));
    let work_items = settings.names().work_item_queue();
    let wait = seen.work_item_queue_latency;
    let activities = (work_items, overview.work_items, wait);
    let mut list = out.list(["QUEUE", "MESSAGES", "LONGEST WAIT"], "");
    for (queue, messages, wait) in control.chain([activities]) {
        let messages = messages.unwrap_or(0);
        let wait_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
        list.add(
            &json!({ "queue": queue, "messages": messages, "waitMs": wait_ms }),
            [queue, messages.to_string(), duration(wait_ms)],
        )?;
    }
    Ok(list.end()?)
}

/// A time span for people.
fn duration(millis: u64) -> String {
    let seconds = millis / 1_000;
    match (millis, seconds) {
        (0, _) => "none".to_owned(),
        (..1_000, _) => format!("{millis} ms"),
        (_, ..120) => format!("{seconds} s"),
        (_, ..7_200) => format!("{} min", seconds / 60),
        (_, ..172_800) => format!("{} h", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    }
}

/// The owner of each partition.
pub(crate) async fn partitions(place: Place, env: &Env, out: Output) -> Result<(), Failure> {
    let (account, settings) = place.existing(env).await?;
    let overview = hub_overview(&account, &settings).await?;
    let mut list = out.list(["PARTITION", "OWNER", "NEXT OWNER", "LEASE"], "");
    for partition in &overview.partitions {
        let mut object = as_object(partition);
        object["partition"] = partition.queue.clone().into();
        list.add(&object, as_row(partition))?;
    }
    Ok(list.end()?)
}

/// What to do about the number of workers.
pub(crate) async fn scale(
    place: Place,
    env: &Env,
    scale: &Scale,
    out: Output,
) -> Result<(), Failure> {
    let (account, settings) = place.existing(env).await?;
    let workers = match scale.workers {
        Some(workers) => workers,
        None => owners(&account, &settings).await?,
    };
    let mut monitor = ScaleMonitor::new(&account, &settings, env);
    let mut seen = pulse(&mut monitor, workers, &settings).await?;
    for look in 1..scale.looks {
        let label = format!("Looking at the queues, {look} of {} done", scale.looks);
        let progress = Progress::new(out, env, label);
        progress.during(env.sleep(scale.pause)).await;
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
    Ok(out.fields(
        &json!({
            "workers": workers,
            "targetWorkers": target,
            "action": action,
            "reason": reason,
            "keepWorkersAlive": seen.recommendation.keep_workers_alive,
        }),
        &[
            ("Workers", Some(workers.to_string())),
            ("Target", Some(target.to_string())),
            ("Action", Some(action.to_owned())),
            ("Reason", Some(reason.clone())),
        ],
    )?)
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
    let overview = hub_overview(account, settings).await?;
    let owners = overview.partitions.iter().filter_map(|p| p.owner());
    Ok(owners.collect::<BTreeSet<_>>().len())
}
