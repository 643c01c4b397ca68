//! Histories that .NET wrote, replayed by twins of the orchestrators that made them
//! (`../shared/golden/catalogue.md` tells what those do).
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

// One face of the recordings for all crates.
#[path = "../../provider/tests/wire/golden.rs"]
mod recordings;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use durabletask_azurestorage::wire::history_row;
use durabletask_core::{
    Action, Command, EpisodeWork, EventKind, HistoryEvent, OrchestrationExecutor as _,
    OrchestrationInstance, OrchestrationRun,
};
use durabletask_worker::Registry;
use durabletask_worker::prelude::*;
use futures::FutureExt as _;

#[orchestrator(name = "HelloSequence")]
async fn hello_sequence(ctx: OrchestrationContext, _: ()) -> Result<Vec<String>> {
    greet(ctx, &["Tokyo", "Seattle", "London"]).await
}

#[orchestrator(name = "HelloSequence5")]
async fn hello_sequence5(ctx: OrchestrationContext, _: ()) -> Result<Vec<String>> {
    greet(ctx, &["Tokyo", "Seattle", "London", "Amsterdam", "Seoul"]).await
}

async fn greet(ctx: OrchestrationContext, cities: &[&str]) -> Result<Vec<String>> {
    let mut greetings = Vec::new();
    for city in cities {
        greetings.push(ctx.call_by_name("SayHello", city).await?);
    }
    Ok(greetings)
}

#[orchestrator(name = "FanOut")]
async fn fan_out(ctx: OrchestrationContext, n: i64) -> Result<i64> {
    let calls = (0..n).map(|i| ctx.call_by_name::<i64>("Double", i));
    Ok(ctx.try_join_all(calls).await?.into_iter().sum())
}

#[orchestrator(name = "Child")]
async fn child(ctx: OrchestrationContext, input: String) -> Result<String> {
    ctx.call_by_name("SayHello", input).await
}

#[orchestrator(name = "Parent")]
async fn parent(ctx: OrchestrationContext, _: String) -> Result<String> {
    let options = ChildOptions::new().instance_id(format!("{}-child", ctx.instance_id()));
    let one = ctx.call_child_with(child, "one", options).await?;
    let two = ctx.call_child(child, "two").await?;
    Ok(format!("{one},{two}"))
}

#[orchestrator(name = "Timer")]
async fn timer(ctx: OrchestrationContext, seconds: u64) -> Result<String> {
    ctx.timer(Duration::from_secs(seconds)).await;
    Ok("fired".to_owned())
}

#[orchestrator(name = "EventOrTimeout")]
async fn event_or_timeout(ctx: OrchestrationContext, seconds: u64) -> Result<String> {
    let limit = Duration::from_secs(seconds);
    let approval = ctx.wait_event_timeout::<String>("Approval", limit).await?;
    Ok(approval.unwrap_or_else(|| "timeout".to_owned()))
}

#[orchestrator(name = "Failing")]
async fn failing(ctx: OrchestrationContext, message: String) -> Result<String> {
    ctx.call_by_name("Fail", message).await
}

#[orchestrator(name = "Catching")]
async fn catching(ctx: OrchestrationContext, _: ()) -> Result<String> {
    let failed = ctx.call_by_name::<String>("Fail", "caught").await;
    failed.or_else(|failure| Ok(format!("handled: {failure}")))
}

#[orchestrator(name = "Eternal")]
async fn eternal(ctx: OrchestrationContext, n: i64) -> Result<i64> {
    let doubled = ctx.call_by_name("Double", n).await?;
    if n < 3 {
        return ctx.continue_as_new(n + 1);
    }
    Ok(doubled)
}

#[orchestrator(name = "Fragile")]
async fn fragile(ctx: OrchestrationContext, key: String) -> Result<i64> {
    ctx.call_by_name("Flaky", key).await
}

#[orchestrator(name = "Status")]
async fn status(ctx: OrchestrationContext, _: ()) -> Result<String> {
    ctx.set_custom_status(serde_json::json!({"at": "first"}))?;
    ctx.call_by_name::<String>("SayHello", "status").await?;
    ctx.set_custom_status(serde_json::json!({"at": "second"}))?;
    ctx.timer(Duration::from_secs(1)).await;
    Ok("done".to_owned())
}

fn twins() -> Registry {
    let mut twins = Registry::new();
    twins.add_orchestrator(hello_sequence).unwrap();
    twins.add_orchestrator(hello_sequence5).unwrap();
    twins.add_orchestrator(fan_out).unwrap();
    twins.add_orchestrator(child).unwrap();
    twins.add_orchestrator(parent).unwrap();
    twins.add_orchestrator(timer).unwrap();
    twins.add_orchestrator(event_or_timeout).unwrap();
    twins.add_orchestrator(failing).unwrap();
    twins.add_orchestrator(catching).unwrap();
    twins.add_orchestrator(eternal).unwrap();
    twins.add_orchestrator(fragile).unwrap();
    twins.add_orchestrator(status).unwrap();
    twins
}

#[test]
fn twins_decide_what_net_decided_at_every_cut_of_every_history() {
    let twins = twins();
    let mut replayed: BTreeMap<String, usize> = BTreeMap::new();
    for scenario in recordings::hubs() {
        for history in histories(&scenario) {
            let started = history.iter().find_map(|event| event.as_started());
            let Some(started) = started else { continue };
            let name = started.name.as_deref().unwrap();
            let Some(kept) = twins.open(name, None) else {
                continue;
            };
            let place = format!("{scenario}/{name}");
            check(&place, &twins, name, &started.instance, kept, &history);
            *replayed.entry(name.to_owned()).or_default() += 1;
        }
    }
    let names: Vec<_> = replayed.keys().cloned().collect();
    assert_eq!(names, twins.names(), "a twin has no recording");
    let count: usize = replayed.values().sum();
    assert!(count > 60, "{replayed:?}");
}

/// The histories of a hub in row order, by instance, without those whose values are in blobs.
fn histories(scenario: &str) -> Vec<Vec<Arc<HistoryEvent>>> {
    let hub = recordings::hub(scenario);
    let rows = hub
        .tables
        .iter()
        .filter(|(table, _)| table.ends_with("History"));
    let mut histories: BTreeMap<&str, Option<Vec<_>>> = BTreeMap::new();
    for row in rows.flat_map(|(_, rows)| rows) {
        if history_row::is_sentinel(row) {
            continue;
        }
        let history = histories.entry(&row.partition_key);
        let history = history.or_insert_with(|| Some(Vec::new()));
        if ["InputBlobName", "ResultBlobName"]
            .iter()
            .any(|name| row.get_str(name).is_some())
        {
            *history = None;
        }
        let event = history_row::row_to_event(row).unwrap();
        if let Some(events) = history {
            events.push(Arc::new(event));
        }
    }
    histories.into_values().flatten().collect()
}

/// Replays each episode, by a run that is kept and by fresh ones.
fn check(
    place: &str,
    twins: &Registry,
    name: &str,
    instance: &OrchestrationInstance,
    mut kept: Box<dyn OrchestrationRun>,
    history: &[Arc<HistoryEvent>],
) {
    let is_start = |event: &HistoryEvent| matches!(event.kind, EventKind::OrchestratorStarted);
    let starts: Vec<_> = (0..history.len())
        .filter(|at| is_start(&history[*at]))
        .collect();
    // What a rewind or an anchor left behind is no sequence of whole episodes.
    let is_edited = history
        .iter()
        .any(|event| matches!(event.kind, EventKind::Generic { .. }));
    for (number, start) in starts.iter().copied().enumerate() {
        let end = starts.get(number + 1).copied().unwrap_or(history.len());
        if is_edited && end != history.len() {
            continue;
        }
        let (decided, new): (Vec<_>, Vec<_>) = history[start..end]
            .iter()
            .filter(|event| !matches!(event.kind, EventKind::OrchestratorCompleted))
            .cloned()
            .partition(|event| event.event_id >= 0);
        let decide = |run: &mut dyn OrchestrationRun, past: &[Arc<HistoryEvent>]| {
            let work = EpisodeWork {
                instance: instance.clone(),
                past: past.to_vec(),
                new: new.clone(),
            };
            let result = run.execute(work).now_or_never().unwrap().unwrap();
            let place = format!("{place}, episode {number}");
            assert_eq!(result.commands.len(), decided.len(), "{place}: {result:?}");
            for (command, event) in result.commands.iter().zip(&decided) {
                assert_alike(&place, command, event);
            }
        };
        decide(&mut *twins.open(name, None).unwrap(), &history[..start]);
        if !is_edited {
            decide(&mut *kept, &[]);
        }
    }
}

/// A decision says what the row says; versions aside, of which .NET writes empty ones, and
/// failures where another error mode left them out.
fn assert_alike(place: &str, command: &Command, event: &HistoryEvent) {
    assert_eq!(command.id, event.event_id, "{place}");
    match (&command.action, &event.kind) {
        (Action::ScheduleTask { name, input, .. }, EventKind::TaskScheduled(task)) => {
            assert_eq!(Some(name), task.name.as_ref(), "{place}");
            assert!(
                task.input.is_none() || same(input.as_ref(), task.input.as_ref()),
                "{place}: {input:?}"
            );
        }
        (Action::CreateTimer { fire_at }, EventKind::TimerCreated { fire_at: recorded }) => {
            assert_eq!(fire_at, recorded, "{place}");
        }
        (
            Action::CreateSubOrchestration {
                name,
                instance_id,
                input,
                ..
            },
            EventKind::SubOrchestrationCreated(created),
        ) => {
            assert_eq!(Some(name), created.name.as_ref(), "{place}");
            assert!(
                instance_id.is_none() || *instance_id == created.instance_id,
                "{place}"
            );
            assert!(
                created.input.is_none() || same(input.as_ref(), created.input.as_ref()),
                "{place}: {input:?}"
            );
        }
        (Action::Complete(completion), EventKind::ExecutionCompleted(completed)) => {
            assert_eq!(completion.status, completed.status, "{place}");
            // In-process Functions have texts of their own for failures.
            if place.starts_with("ext-") {
                return;
            }
            let (ours, theirs) = (completion.result.as_ref(), completed.result.as_ref());
            assert!(same(ours, theirs), "{place}: {ours:?}, not {theirs:?}");
            if let (Some(ours), Some(theirs)) = (&completion.failure, &completed.failure) {
                assert_eq!(ours.to_string(), theirs.to_string(), "{place}");
                assert_eq!(ours.inner, theirs.inner, "{place}");
            }
        }
        other => panic!("{place}: {other:?}"),
    }
}

/// The same text, or the same JSON: Json.NET escapes a few characters that need no escape.
fn same(ours: Option<&String>, theirs: Option<&String>) -> bool {
    let json = |text: Option<&String>| {
        let value: serde_json::Value = serde_json::from_str(text?).ok()?;
        Some(value)
    };
    ours == theirs || (json(ours).is_some() && json(ours) == json(theirs))
}
