//! A hub of one instance: plans run over episodes, on a kept and on a fresh run side by side.

mod plan;

use std::sync::Arc;
use std::time::Duration;

pub(crate) use plan::{Plan, Script};

use crate::episode::{
    Begun, CommitPlan, Discarded, Episode, EpisodeOptions, ErrorMode, Next, Outbound, RuntimeState,
    Stamps,
};
use crate::replay::{Replay, ReplayOptions};
use crate::{
    Command, EpisodeResult, EpisodeWork, EventKind, EventRaised, ExecutionStarted, HistoryEvent,
    OrchestrationInstance, Tags, TaskMessage, Timestamp,
};

/// One tick later each time.
#[derive(Debug)]
pub(crate) struct TestStamps {
    pub(crate) now: Timestamp,
}

impl Stamps for TestStamps {
    fn now(&mut self) -> Timestamp {
        self.now = self.now.saturating_add(Duration::from_nanos(100));
        self.now
    }
}

/// One instance and the plan of its orchestrator.
pub(crate) struct Hub {
    pub(crate) plan: Plan,
    pub(crate) state: RuntimeState,
    pub(crate) options: EpisodeOptions,
    pub(crate) stamps: TestStamps,
    /// The run kept since the last commit.
    kept: Option<Script>,
    /// All messages ever sent.
    pub(crate) sent: Vec<Outbound>,
    /// Decisions of each run so far.
    pub(crate) decided: Vec<Vec<Command>>,
}

pub(crate) fn start_event(tags: Option<Tags>, input: &str) -> ExecutionStarted {
    ExecutionStarted {
        instance: OrchestrationInstance::new("it", "e0"),
        name: Some("Orch".into()),
        version: Some(String::new()),
        input: Some(input.into()),
        tags,
        generation: Some(0),
        ..ExecutionStarted::default()
    }
}

impl Hub {
    /// An instance that has not started.
    pub(crate) fn new(plan: Plan) -> Self {
        Self {
            plan,
            state: RuntimeState::new(),
            options: EpisodeOptions {
                include_parameters: true,
                error_mode: ErrorMode::Both,
                child_version: "".into(),
                keeps_duplicates: false,
            },
            stamps: TestStamps {
                now: "2026-01-01T00:00:00Z".parse().unwrap(),
            },
            kept: None,
            sent: Vec::new(),
            decided: Vec::new(),
        }
    }

    /// An instance that has run its first episode.
    pub(crate) fn started(plan: Plan) -> Self {
        let mut hub = Self::new(plan);
        let start = hub.start_message(start_event(None, "0"));
        hub.deliver(vec![start]);
        hub
    }

    pub(crate) fn start_message(&mut self, start: ExecutionStarted) -> TaskMessage {
        let target = start.instance.clone();
        self.addressed(EventKind::ExecutionStarted(Box::new(start)), target)
    }

    /// A message to whichever execution runs.
    pub(crate) fn message(&mut self, kind: EventKind) -> TaskMessage {
        self.addressed(kind, OrchestrationInstance::current("it"))
    }

    pub(crate) fn addressed(
        &mut self,
        kind: EventKind,
        target: OrchestrationInstance,
    ) -> TaskMessage {
        TaskMessage {
            event: HistoryEvent::new(self.stamps.now(), kind),
            target,
            orchestration_tags: None,
        }
    }

    pub(crate) fn event(&mut self, name: &str, input: &str) -> TaskMessage {
        self.message(EventKind::EventRaised(Box::new(EventRaised {
            name: Some(name.into()),
            input: Some(input.into()),
            parent_trace_context: None,
        })))
    }

    pub(crate) fn terminate(&mut self, reason: &str) -> TaskMessage {
        self.message(EventKind::ExecutionTerminated {
            input: Some(reason.into()),
        })
    }

    pub(crate) fn suspend(&mut self) -> TaskMessage {
        self.message(EventKind::ExecutionSuspended {
            reason: Some("wait".into()),
        })
    }

    pub(crate) fn resume(&mut self) -> TaskMessage {
        self.message(EventKind::ExecutionResumed {
            reason: Some("go".into()),
        })
    }

    /// The result of activity or child `task` of the current execution.
    pub(crate) fn completed(&mut self, task: i32, result: &str) -> TaskMessage {
        let target = self.current();
        let kind = EventKind::TaskCompleted {
            task_scheduled_id: task,
            result: Some(result.into()),
        };
        self.addressed(kind, target)
    }

    pub(crate) fn fired(&mut self, timer: i32) -> TaskMessage {
        let target = self.current();
        let fire_at = self.stamps.now;
        let kind = EventKind::TimerFired {
            timer_id: timer,
            fire_at,
        };
        self.addressed(kind, target)
    }

    pub(crate) fn current(&self) -> OrchestrationInstance {
        self.state
            .started()
            .map(|start| start.instance.clone())
            .unwrap_or_default()
    }

    /// Runs an episode and commits it. The kept run and a fresh replay must decide alike.
    pub(crate) fn deliver(&mut self, messages: Vec<TaskMessage>) {
        if let Err(discarded) = self.try_deliver(messages) {
            panic!("discarded: {:?}", discarded.reason);
        }
    }

    pub(crate) fn try_deliver(&mut self, messages: Vec<TaskMessage>) -> Result<(), Box<Discarded>> {
        let mut plan = self.prepare(messages)?;
        plan.state.committed();
        if plan.finished {
            self.kept = None;
        }
        self.state = plan.state;
        self.sent.extend(plan.outbound);
        Ok(())
    }

    /// Runs an episode up to its commit plan.
    pub(crate) fn prepare(
        &mut self,
        messages: Vec<TaskMessage>,
    ) -> Result<CommitPlan, Box<Discarded>> {
        let state = std::mem::take(&mut self.state);
        let begun = Episode::begin(state, messages, &self.options, &mut self.stamps);
        let mut episode = match begun {
            Begun::Run(episode) => episode,
            Begun::Discard(mut discarded) => {
                self.state = std::mem::take(&mut discarded.state);
                return Err(Box::new(discarded));
            }
        };
        let mut kept = self.kept.take();
        loop {
            let (mut fresh, result) = replay(&self.plan, episode.work());
            if let Some(kept) = &mut kept {
                assert_eq!(
                    execute(kept, episode.resume_work()),
                    result,
                    "kept run, fresh run"
                );
            }
            self.decided.push(result.commands.clone());
            if episode.apply(result, &mut self.stamps) == Next::Done {
                fresh.steps.clear();
                self.kept = Some(kept.unwrap_or(fresh));
                return Ok(episode.into_plan());
            }
            kept = None;
        }
    }

    /// Forgets everything but the first `rows` rows: another worker takes over.
    pub(crate) fn reload(&mut self, rows: usize) {
        let rows: Vec<_> = self.state.events()[..rows].to_vec();
        self.state = RuntimeState::load(rows, None);
        self.kept = None;
    }

    /// The history, a line per event.
    pub(crate) fn history(&self) -> Vec<String> {
        self.state.events().iter().map(line).collect()
    }

    pub(crate) fn output(&self) -> Option<&str> {
        self.state.completed()?.result.as_deref()
    }
}

/// Replays work on a fresh run of the plan.
pub(crate) fn replay(plan: &Plan, work: EpisodeWork) -> (Script, EpisodeResult) {
    let options = ReplayOptions::default();
    let mut script = Script::new(plan.clone(), Replay::new(work.instance.clone(), options));
    let result = execute(&mut script, work);
    (script, result)
}

fn execute(script: &mut Script, work: EpisodeWork) -> EpisodeResult {
    for event in work.past {
        script.context.replay.push(event, true);
    }
    for event in work.new {
        script.context.replay.push(event, false);
    }
    script.run();
    script.context.replay.decide()
}

/// Type, id if it has one, played flag, and what matters.
pub(crate) fn line(event: &Arc<HistoryEvent>) -> String {
    let id = event.answered_task().unwrap_or(event.event_id);
    let about = match &event.kind {
        EventKind::ExecutionCompleted(end) => {
            let result = end.result.as_deref().unwrap_or_default();
            Some(format!("{} {result}", end.status))
        }
        EventKind::TaskScheduled(task) => task.name.clone(),
        EventKind::EventRaised(raised) => raised.input.clone(),
        _ => None,
    };
    let parts = [
        Some(event.event_type().name().to_owned()),
        (id != -1).then(|| id.to_string()),
        event.is_played.then(|| "played".to_owned()),
        about.filter(|about| !about.is_empty()),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join(" ")
}
