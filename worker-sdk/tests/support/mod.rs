//! An orchestration in memory: episodes by hand or to the end, with virtual time.
#![allow(dead_code, reason = "each test program uses a part of it")]

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use durabletask_core::{
    Action, ActivityExecutor as _, ActivityOutcome, ActivityWork, Command, Completion,
    EpisodeResult, EpisodeWork, EventKind, EventRaised, ExecutionStarted, ExecutorError,
    HistoryEvent, OrchestrationExecutor as _, OrchestrationInstance, OrchestrationRun,
    OrchestrationStatus, SubOrchestrationCreated, TaskFailed, TaskScheduled, Timestamp,
};
use durabletask_worker::{Failure, Orchestrator, Registry};
use futures::FutureExt as _;

/// What [`Driver`] does with the run between episodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Session {
    /// Keeps it in memory.
    Kept,
    /// Drops it and replays history.
    Evicted,
}

pub(crate) struct Driver {
    pub(crate) registry: Registry,
    pub(crate) history: Vec<Arc<HistoryEvent>>,
    pub(crate) now: Timestamp,
    pub(crate) commands: Vec<Command>,
    pub(crate) custom_status: Option<String>,
    pub(crate) completion: Option<Completion>,
    name: String,
    instance: OrchestrationInstance,
    session: Session,
    run: Option<Box<dyn OrchestrationRun>>,
}

impl Driver {
    pub(crate) fn new<O: Orchestrator>(orchestrator: O, session: Session) -> Self {
        let mut registry = Registry::new();
        registry.add_orchestrator(orchestrator).unwrap();
        Self {
            registry,
            history: Vec::new(),
            now: "2026-01-01T00:00:00Z".parse().unwrap(),
            commands: Vec::new(),
            custom_status: None,
            completion: None,
            name: O::NAME.to_owned(),
            instance: OrchestrationInstance::new("abc", "0123456789abcdef0123456789abcdef"),
            session,
            run: None,
        }
    }

    /// The first episode.
    pub(crate) fn start(&mut self, input: &str) -> Vec<Command> {
        self.episode(vec![self.started(input)]).unwrap()
    }

    pub(crate) fn started(&self, input: &str) -> EventKind {
        EventKind::ExecutionStarted(Box::new(ExecutionStarted {
            instance: self.instance.clone(),
            name: Some(self.name.clone()),
            input: Some(input.to_owned()),
            version: Some(String::new()),
            ..ExecutionStarted::default()
        }))
    }

    /// One episode over these events; the decisions that are new.
    pub(crate) fn episode(
        &mut self,
        events: Vec<EventKind>,
    ) -> Result<Vec<Command>, ExecutorError> {
        self.now = self.now.saturating_add(Duration::from_secs(1));
        let new: Vec<_> = std::iter::once(EventKind::OrchestratorStarted)
            .chain(events)
            .map(|kind| Arc::new(inbound(self.now, kind)))
            .collect();
        let kept = self.run.take().filter(|_| self.session == Session::Kept);
        let (mut run, past) = match kept {
            Some(run) => (run, Vec::new()),
            None => (self.open(), self.history.clone()),
        };
        let result = self.execute(&mut *run, past, new.clone())?;
        self.run = Some(run);
        self.history.extend(new);
        self.record(&result);
        Ok(result.commands)
    }

    /// The decisions of a fresh run over history and these events; changes nothing.
    pub(crate) fn replayed(&self, events: Vec<EventKind>) -> EpisodeResult {
        let now = self.now.saturating_add(Duration::from_secs(1));
        let new = std::iter::once(EventKind::OrchestratorStarted)
            .chain(events)
            .map(|kind| Arc::new(inbound(now, kind)))
            .collect();
        let mut run = self.open();
        self.execute(&mut *run, self.history.clone(), new).unwrap()
    }

    /// The decisions that a fresh run adds to these rows of the history.
    pub(crate) fn decided_over(&self, rows: &[Arc<HistoryEvent>]) -> Vec<Command> {
        let mut run = self.open();
        let decided = self.execute(&mut *run, rows.to_vec(), Vec::new());
        decided.unwrap().commands
    }

    pub(crate) fn open(&self) -> Box<dyn OrchestrationRun> {
        self.registry.open(&self.name, None).unwrap()
    }

    pub(crate) fn held_bytes(&self) -> usize {
        self.run.as_ref().map_or(0, |run| run.held_bytes())
    }

    fn execute(
        &self,
        run: &mut dyn OrchestrationRun,
        past: Vec<Arc<HistoryEvent>>,
        new: Vec<Arc<HistoryEvent>>,
    ) -> Result<EpisodeResult, ExecutorError> {
        let instance = self.instance.clone();
        let work = EpisodeWork {
            instance,
            past,
            new,
        };
        // In line there is nothing to wait for, and no tokio runtime is entered.
        run.execute(work).now_or_never().unwrap()
    }

    fn record(&mut self, result: &EpisodeResult) {
        self.custom_status.clone_from(&result.custom_status);
        for command in &result.commands {
            if let Action::Complete(completion) = &command.action {
                self.completion = Some((**completion).clone());
            } else {
                let event = HistoryEvent::with_id(command.id, self.now, recorded(&command.action));
                self.history.push(Arc::new(event));
            }
        }
        let completed = HistoryEvent::new(self.now, EventKind::OrchestratorCompleted);
        self.history.push(Arc::new(completed));
        self.commands.extend(result.commands.iter().cloned());
    }

    /// Runs activities and timers until the orchestration ends, one answer an episode; its output.
    pub(crate) fn run_to_end(&mut self, input: &str) -> Result<String, Failure> {
        let mut commands = self.start(input);
        let mut answers = VecDeque::new();
        let mut timers = Vec::new();
        loop {
            for command in commands {
                match &command.action {
                    Action::ScheduleTask { .. } => answers.push_back(self.run_activity(&command)),
                    Action::CreateTimer { fire_at } => timers.push((*fire_at, command.id)),
                    _ => {}
                }
            }
            if let Some(end) = &self.completion {
                return match end.status {
                    OrchestrationStatus::Completed => Ok(end.result.clone().unwrap()),
                    _ => Err(Failure::from_details(end.failure.clone().unwrap())),
                };
            }
            let event = answers.pop_front().unwrap_or_else(|| {
                timers.sort_unstable();
                let (fire_at, timer_id) = timers.remove(0);
                self.now = self.now.max(fire_at);
                EventKind::TimerFired { timer_id, fire_at }
            });
            commands = self.episode(vec![event]).unwrap();
        }
    }

    pub(crate) fn run_activity(&self, command: &Command) -> EventKind {
        let Action::ScheduleTask {
            name,
            version,
            input,
            tags,
        } = command.action.clone()
        else {
            panic!("{command:?}");
        };
        let work = ActivityWork {
            instance: self.instance.clone(),
            task_id: command.id,
            name,
            version,
            input,
            tags,
            orchestration_tags: None,
            trace_context: None,
            dequeue_count: 1,
        };
        match self.registry.run(work).now_or_never().unwrap().unwrap() {
            ActivityOutcome::Completed(result) => EventKind::TaskCompleted {
                task_scheduled_id: command.id,
                result,
            },
            ActivityOutcome::Failed(failure) => EventKind::TaskFailed(Box::new(TaskFailed {
                task_scheduled_id: command.id,
                reason: Some(failure.error_message.clone()),
                details: None,
                failure: Some(failure),
            })),
        }
    }
}

/// An event as it is stored once its episode has run.
fn inbound(now: Timestamp, kind: EventKind) -> HistoryEvent {
    let is_played = !matches!(kind, EventKind::OrchestratorStarted);
    HistoryEvent {
        is_played,
        ..HistoryEvent::new(now, kind)
    }
}

fn recorded(action: &Action) -> EventKind {
    match action.clone() {
        Action::ScheduleTask {
            name,
            version,
            tags,
            ..
        } => EventKind::TaskScheduled(Box::new(TaskScheduled {
            name: Some(name),
            version,
            tags,
            ..TaskScheduled::default()
        })),
        Action::CreateTimer { fire_at } => EventKind::TimerCreated { fire_at },
        Action::CreateSubOrchestration {
            name, instance_id, ..
        } => EventKind::SubOrchestrationCreated(Box::new(SubOrchestrationCreated {
            name: Some(name),
            instance_id,
            ..SubOrchestrationCreated::default()
        })),
        Action::SendEvent {
            target,
            name,
            input,
        } => EventKind::EventSent {
            instance_id: Some(target.instance_id),
            name: Some(name),
            input,
        },
        Action::Complete(_) => panic!("recorded elsewhere"),
    }
}

pub(crate) fn completed(task: i32, result: &str) -> EventKind {
    EventKind::TaskCompleted {
        task_scheduled_id: task,
        result: Some(result.to_owned()),
    }
}

pub(crate) fn fired(timer_id: i32) -> EventKind {
    EventKind::TimerFired {
        timer_id,
        fire_at: Timestamp::MIN,
    }
}

pub(crate) fn raised(name: &str, input: &str) -> EventKind {
    EventKind::EventRaised(Box::new(EventRaised {
        name: Some(name.to_owned()),
        input: Some(input.to_owned()),
        parent_trace_context: None,
    }))
}

/// One word for each decision: `0:Hello`, `1:timer`, `2:child:Child`, `3:event:Go`, `4:Completed`.
pub(crate) fn words(commands: &[Command]) -> Vec<String> {
    let word = |command: &Command| {
        let what = match &command.action {
            Action::ScheduleTask { name, .. } => name.clone(),
            Action::CreateTimer { .. } => "timer".to_owned(),
            Action::CreateSubOrchestration { name, .. } => format!("child:{name}"),
            Action::SendEvent { name, .. } => format!("event:{name}"),
            Action::Complete(completion) => completion.status.to_string(),
        };
        format!("{}:{what}", command.id)
    };
    commands.iter().map(word).collect()
}
