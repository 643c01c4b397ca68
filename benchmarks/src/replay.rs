//! How long it takes to bring an orchestrator back from its history.

use std::sync::Arc;
use std::time::Duration;

use durabletask_core::{
    Action, EpisodeWork, EventKind, ExecutionStarted, HistoryEvent, OrchestrationExecutor,
    OrchestrationInstance, OrchestrationStatus, TaskScheduled, Timestamp,
};
use durabletask_storage::Env;
use durabletask_worker::Registry;
use durabletask_worker::prelude::*;

use crate::Error;

/// Activities of the long chain.
pub const CHAIN: u32 = 3_333;
/// Activities of the wide fan-out: 10,000 events.
pub const WIDE: u32 = 5_000;

/// A replay, timed.
#[derive(Debug, Clone)]
pub struct Replayed {
    /// What was replayed.
    pub name: &'static str,
    /// Events in history, the last episode's included.
    pub events: usize,
    /// How long each run took, ascending.
    pub times: Vec<Duration>,
}

impl Replayed {
    /// The run in the middle.
    pub fn median(&self) -> Duration {
        self.times
            .get(self.times.len() / 2)
            .copied()
            .unwrap_or_default()
    }
}

#[orchestrator]
async fn chain(ctx: OrchestrationContext, count: u32) -> Result<u64> {
    let mut sum = 0;
    for number in 0..count {
        sum += ctx.call(double, number).await?;
    }
    Ok(sum)
}

#[orchestrator]
async fn wide(ctx: OrchestrationContext, count: u32) -> Result<u64> {
    let doubled = ctx
        .try_join_all((0..count).map(|number| ctx.call(double, number)))
        .await?;
    Ok(doubled.into_iter().sum())
}

#[activity]
async fn double(_: ActivityContext, number: u32) -> Result<u64> {
    Ok(u64::from(number) * 2)
}

/// Replays both histories `runs` times. Each run starts from decoded events, as the provider has
/// them after a load, and ends with the orchestrator's completion.
pub async fn measure(env: &Env, runs: usize) -> Result<[Replayed; 2], Error> {
    let chain = replay(env, "chain", CHAIN, History::of_chain(CHAIN), runs);
    let wide = replay(env, "wide", WIDE, History::of_wide(WIDE), runs);
    Ok([chain.await?, wide.await?])
}

async fn replay(
    env: &Env,
    name: &'static str,
    count: u32,
    history: History,
    runs: usize,
) -> Result<Replayed, Error> {
    let mut registry = Registry::new();
    registry.add_orchestrator(chain)?;
    registry.add_orchestrator(wide)?;
    let instance = OrchestrationInstance::new("replayed", "0123456789abcdef0123456789abcdef");
    let wanted = (u64::from(count) * u64::from(count - 1)).to_string();
    let mut times = Vec::with_capacity(runs);
    for _ in 0..runs {
        let work = EpisodeWork {
            instance: instance.clone(),
            past: history.past.clone(),
            new: history.new.clone(),
        };
        let began = env.monotonic();
        let mut run = registry.open(name, None).ok_or("not registered")?;
        let result = run.execute(work).await?;
        times.push(env.monotonic().saturating_sub(began));
        let [command] = &*result.commands else {
            return Err(format!("{name} decided {} things", result.commands.len()).into());
        };
        match &command.action {
            Action::Complete(end)
                if end.status == OrchestrationStatus::Completed
                    && end.result.as_deref() == Some(&wanted) => {}
            other => return Err(format!("{name} ended with {other:?}").into()),
        }
    }
    times.sort_unstable();
    Ok(Replayed {
        name,
        events: history.past.len() + history.new.len(),
        times,
    })
}

/// What the provider would have loaded.
struct History {
    past: Vec<Arc<HistoryEvent>>,
    new: Vec<Arc<HistoryEvent>>,
    now: Timestamp,
}

impl History {
    fn of_chain(count: u32) -> Self {
        let mut history = Self::started("chain", count);
        for number in 0..count {
            history.scheduled(number);
            history.push(-1, EventKind::OrchestratorCompleted);
            history.push(-1, EventKind::OrchestratorStarted);
            history.completed(number);
        }
        history.last_are_new(2)
    }

    fn of_wide(count: u32) -> Self {
        let mut history = Self::started("wide", count);
        (0..count).for_each(|number| history.scheduled(number));
        history.push(-1, EventKind::OrchestratorCompleted);
        history.push(-1, EventKind::OrchestratorStarted);
        (0..count).for_each(|number| history.completed(number));
        history.last_are_new(count as usize + 1)
    }

    fn started(name: &str, count: u32) -> Self {
        let mut history = Self {
            past: Vec::new(),
            new: Vec::new(),
            now: Timestamp::MIN,
        };
        history.push(-1, EventKind::OrchestratorStarted);
        let started = ExecutionStarted {
            name: Some(name.to_owned()),
            input: Some(count.to_string()),
            ..ExecutionStarted::default()
        };
        history.push(-1, EventKind::ExecutionStarted(Box::new(started)));
        history
    }

    fn push(&mut self, id: i32, kind: EventKind) {
        self.now = self.now.saturating_add(Duration::from_millis(1));
        let event = HistoryEvent::with_id(id, self.now, kind);
        self.past.push(Arc::new(event));
    }

    fn scheduled(&mut self, number: u32) {
        let scheduled = TaskScheduled {
            name: Some("double".to_owned()),
            version: Some(String::new()),
            ..TaskScheduled::default()
        };
        let kind = EventKind::TaskScheduled(Box::new(scheduled));
        self.push(task_id(number), kind);
    }

    fn completed(&mut self, number: u32) {
        let kind = EventKind::TaskCompleted {
            task_scheduled_id: task_id(number),
            result: Some((u64::from(number) * 2).to_string()),
        };
        self.push(-1, kind);
    }

    fn last_are_new(mut self, count: usize) -> Self {
        self.new = self.past.split_off(self.past.len() - count);
        self
    }
}

fn task_id(number: u32) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}
