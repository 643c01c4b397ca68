//! Today's code against yesterday's histories.

use std::sync::Arc;

use durabletask_azurestorage::wire::{WireError, read_history_json};
use durabletask_core::{
    Action, Command, Completion, EpisodeWork, EventKind, ExecutionCompleted, ExecutorError,
    HistoryEvent, OrchestrationExecutor as _, OrchestrationStatus, SPLIT_TIMER_ID,
};
use serde_json::Value;

use crate::{Orchestrator, Registry};

/// Code and history do not agree, or cannot be compared.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReplayError {
    /// The text is no exported history.
    #[error("the history cannot be read: {0}")]
    Unreadable(#[from] WireError),
    /// The history has no `ExecutionStarted`.
    #[error("the history does not say what was started")]
    NoStart,
    /// Nobody here has that orchestrator.
    #[error("no orchestrator named '{name}' of version '{version}' is registered")]
    NotRegistered {
        /// Its name.
        name: String,
        /// Its version.
        version: String,
    },
    /// The orchestrator did what no worker commits.
    #[error(transparent)]
    Aborted(#[from] ExecutorError),
    /// The first difference.
    #[error("{0}")]
    Differs(String),
}

/// What a replay that agrees has seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Agreement {
    /// How many events the history has.
    pub events: usize,
    /// Where the orchestration stands after them: Running, or how it ended.
    pub status: OrchestrationStatus,
}

/// Replays histories, from .NET or from here, with the code of this program, and tells whether
/// they still agree. Runs no activity, writes nothing: good for a test that guards deployments.
///
/// ```
/// use durabletask_worker::prelude::*;
/// use durabletask_worker::testing::Replayer;
///
/// #[orchestrator(name = "Hello")]
/// async fn hello(ctx: OrchestrationContext, _: ()) -> Result<String> {
///     ctx.call_by_name("Greet", "Oslo").await
/// }
///
/// # futures::executor::block_on(async {
/// let history = r#"[
///   {"EventType": 12, "EventId": -1, "Timestamp": "2026-01-01T00:00:00Z"},
///   {"EventType": 0, "EventId": -1, "Timestamp": "2026-01-01T00:00:00Z", "Name": "Hello",
///    "OrchestrationInstance": {"InstanceId": "a", "ExecutionId": "b"}},
///   {"EventType": 4, "EventId": 0, "Timestamp": "2026-01-01T00:00:00Z", "Name": "Welcome"},
///   {"EventType": 13, "EventId": -1, "Timestamp": "2026-01-01T00:00:00Z"}
/// ]"#;
/// let replayer = Replayer::new().orchestrator(hello);
/// let difference = replayer.replay_json(history).await.unwrap_err().to_string();
/// assert!(difference.contains("an activity task named 'Welcome'"));
/// assert!(difference.contains("instead scheduled an activity task named 'Greet'"));
/// # });
/// ```
#[derive(Debug, Default)]
pub struct Replayer(Registry);

impl Replayer {
    /// Without orchestrators.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an orchestrator, in the place of an older one of that name and version.
    #[must_use]
    pub fn orchestrator<O: Orchestrator>(mut self, orchestrator: O) -> Self {
        drop(self.0.add_orchestrator(orchestrator));
        self
    }

    /// Replays an exported history: a JSON array of events, as .NET's history queries and our
    /// own exports return it.
    pub async fn replay_json(&self, history: &str) -> Result<Agreement, ReplayError> {
        self.replay(read_history_json(history)?).await
    }

    /// Replays a history.
    ///
    /// Compared are the kind, order and names of all durable calls, how the execution ended, and
    /// the output if it completed. Inputs, versions and the texts of failures are not: other
    /// flavours of worker write other ones.
    pub async fn replay(
        &self,
        history: impl IntoIterator<Item = HistoryEvent>,
    ) -> Result<Agreement, ReplayError> {
        let history: Vec<_> = history.into_iter().map(Arc::new).collect();
        let started = history.iter().find_map(|event| event.as_started());
        let started = started.ok_or(ReplayError::NoStart)?;
        let name = started.name.as_deref().unwrap_or_default();
        let version = started.version.as_deref().unwrap_or_default();
        let opened = self.0.open(name, Some(version));
        let mut run = opened.ok_or_else(|| ReplayError::NotRegistered {
            name: name.to_owned(),
            version: version.to_owned(),
        })?;
        let work = EpisodeWork {
            instance: started.instance.clone(),
            past: history.clone(),
            new: Vec::new(),
        };
        let decided = run.execute(work).await?;
        compare(&history, &decided.commands).map_err(ReplayError::Differs)
    }
}

/// Decisions that a replay of a whole history leaves are differences, but for the recorded end.
fn compare(history: &[Arc<HistoryEvent>], commands: &[Command]) -> Result<Agreement, String> {
    let ended = commands.iter().find_map(|command| match &command.action {
        Action::Complete(end) => Some((command.id, &**end)),
        _ => None,
    });
    if let Some((_, end)) = ended
        && let Some(failure) = &end.failure
        && failure
            .error_type
            .ends_with("NonDeterministicOrchestrationException")
    {
        return Err(failure.error_message.clone());
    }
    let more = commands
        .iter()
        .find(|command| !matches!(command.action, Action::Complete(_)));
    if let Some(more) = more.filter(|_| is_whole(history)) {
        return Err(format!(
            "the current code also schedules {}, which history does not have",
            described(more)
        ));
    }
    let recorded = history.iter().rev().find_map(|event| match &event.kind {
        EventKind::ExecutionCompleted(end) => Some((event.event_id, end)),
        _ => None,
    });
    let events = history.len();
    match (recorded, ended) {
        (None, None) => Ok(Agreement {
            events,
            status: OrchestrationStatus::Running,
        }),
        (None, Some((_, end))) if !is_whole(history) => Ok(Agreement {
            events,
            status: end.status,
        }),
        (None, Some((_, end))) => Err(format!(
            "history goes on, but the current code ends as {}",
            end.status
        )),
        (Some((id, recorded)), None) => Err(format!(
            "history ends as {} with sequence number {id}, but the current code goes on",
            recorded.status
        )),
        (Some(recorded), Some(ended)) => {
            same_end(recorded, ended).map(|status| Agreement { events, status })
        }
    }
}

fn same_end(
    (recorded_id, recorded): (i32, &ExecutionCompleted),
    (id, end): (i32, &Completion),
) -> Result<OrchestrationStatus, String> {
    if (recorded.status, recorded_id) != (end.status, id) {
        return Err(format!(
            "history ends as {} with sequence number {recorded_id}, the current code as {} with \
             {id}",
            recorded.status, end.status
        ));
    }
    let completed = recorded.status == OrchestrationStatus::Completed;
    if completed && !same_json(recorded.result.as_deref(), end.result.as_deref()) {
        return Err("the current code completes with another output than history".to_owned());
    }
    Ok(recorded.status)
}

/// Whether two texts hold the same JSON value; a missing text is null.
fn same_json(one: Option<&str>, other: Option<&str>) -> bool {
    let value = |text: Option<&str>| -> Option<Value> {
        serde_json::from_str(text.filter(|text| !text.is_empty()).unwrap_or("null")).ok()
    };
    one == other || value(one).is_some_and(|value_of_one| Some(value_of_one) == value(other))
}

/// Whether history has a row for everything that was decided: it does not stop in the middle of
/// an episode, was not split, rewound or continued by a wake-up.
fn is_whole(history: &[Arc<HistoryEvent>]) -> bool {
    let ends = history
        .last()
        .is_some_and(|event| matches!(event.kind, EventKind::OrchestratorCompleted));
    let is_patched = |event: &Arc<HistoryEvent>| {
        matches!(event.kind, EventKind::Generic { .. }) || event.event_id == SPLIT_TIMER_ID
    };
    ends && !history.iter().any(is_patched)
}

fn described(command: &Command) -> String {
    let id = command.id;
    match &command.action {
        Action::ScheduleTask { name, .. } => format!("an activity named '{name}' (#{id})"),
        Action::CreateTimer { fire_at } => format!("a timer that is due {fire_at} (#{id})"),
        Action::CreateSubOrchestration { name, .. } => {
            format!("a sub-orchestration named '{name}' (#{id})")
        }
        Action::SendEvent { name, .. } => format!("an event named '{name}' (#{id})"),
        Action::Complete(end) => format!("its end as {} (#{id})", end.status),
    }
}
