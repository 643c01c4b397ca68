//! A task hub without storage, for tests of orchestrators.

use std::collections::{BTreeMap, VecDeque};
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use durabletask_core::episode::{
    Begun, Episode, EpisodeOptions, ErrorMode, Next, Outbound, RuntimeState, task_failed_event,
};
use durabletask_core::{
    ActivityExecutor as _, ActivityOutcome, ActivityWork, EventKind, EventRaised, ExecutionStarted,
    ExecutorError, HistoryEvent, OrchestrationExecutor as _, OrchestrationInstance,
    OrchestrationRun, OrchestrationStatus, TaskMessage, Timestamp,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::clock::Clock;
use super::mock::{self, Mock};
use crate::task::version_of;
use crate::{Activity, Argument, Failure, Orchestrator, Registry, Result as TaskResult, payload};

/// A test cannot go on, or an orchestration ended otherwise than expected.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TestError {
    /// The orchestration calls what the test has neither registered nor mocked.
    #[error("no {kind} named '{name}' is registered or mocked")]
    NotRegistered {
        /// `orchestrator` or `activity`.
        kind: &'static str,
        /// The name.
        name: String,
    },
    /// A replay of the same history decided something else.
    #[error("orchestrator '{name}' is not deterministic: {first}; its replay {second}")]
    NotDeterministic {
        /// The orchestrator.
        name: String,
        /// What it decided first.
        first: String,
        /// What it decided when replayed.
        second: String,
    },
    /// The orchestrator did what no worker commits, such as awaiting something not durable.
    #[error(transparent)]
    Aborted(#[from] ExecutorError),
    /// It waits for an event, and no time that passes will change that.
    #[error("orchestration {0:?} waits for an event or is suspended, and no timer is running")]
    Stuck(String),
    /// There is no such orchestration.
    #[error("there is no orchestration {0:?}")]
    NoSuchInstance(String),
    /// It ended otherwise than by completing.
    #[error("orchestration {instance_id:?} is {status}: {output}")]
    NotCompleted {
        /// The instance.
        instance_id: String,
        /// How it ended.
        status: OrchestrationStatus,
        /// Failure or reason.
        output: String,
    },
    /// A value cannot be written as JSON, or is not of the expected type.
    #[error("{0}")]
    Payload(String),
}

/// An activity that was run, or mocked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ActivityCall {
    /// Its name.
    pub name: String,
    /// Its input: a JSON array of one element.
    pub input: String,
}

/// Runs orchestrations in memory.
///
/// Activities and children run at once, one after the other; timers fire when
/// [`advance`](Self::advance) lets time pass or [`output`](Self::output) skips it. After each
/// episode the history is replayed by a fresh run, which must decide the same.
pub struct TestHub {
    registry: Registry,
    options: EpisodeOptions,
    clock: Clock,
    instances: BTreeMap<String, Instance>,
    messages: VecDeque<TaskMessage>,
    timers: BTreeMap<(Timestamp, u64), TaskMessage>,
    timers_started: u64,
    instances_started: u64,
    calls: Vec<ActivityCall>,
}

#[derive(Default)]
struct Instance {
    state: RuntimeState,
    run: Option<Box<dyn OrchestrationRun>>,
}

impl Default for TestHub {
    fn default() -> Self {
        Self::new()
    }
}

/// What runs in it.
impl TestHub {
    /// Nothing registered; the time is 2026-01-01T00:00:00Z.
    pub fn new() -> Self {
        Self {
            registry: Registry::new(),
            options: EpisodeOptions {
                include_parameters: true,
                error_mode: ErrorMode::Both,
                child_version: "".into(),
                keeps_duplicates: false,
            },
            clock: Clock::new(),
            instances: BTreeMap::new(),
            messages: VecDeque::new(),
            timers: BTreeMap::new(),
            timers_started: 0,
            instances_started: 0,
            calls: Vec::new(),
        }
    }

    /// Adds an orchestrator, in the place of an older one or a mock.
    #[must_use]
    pub fn orchestrator<O: Orchestrator>(mut self, orchestrator: O) -> Self {
        drop(self.registry.add_orchestrator(orchestrator));
        self
    }

    /// Adds an activity whose own code runs, in the place of an older one or a mock.
    #[must_use]
    pub fn activity<A: Activity>(mut self, activity: A) -> Self {
        drop(self.registry.add_activity(activity));
        self
    }

    /// Answers calls of an activity without running it.
    #[must_use]
    pub fn mock<A: Activity>(
        mut self,
        activity: A,
        answer: impl Fn(A::Input) -> TaskResult<A::Output> + Send + Sync + 'static,
    ) -> Self {
        drop(activity);
        let activity: PhantomData<fn() -> A> = PhantomData;
        drop(self.registry.add_activity(Mock { answer, activity }));
        self
    }

    /// Answers calls of an activity by its name, such as one in another language.
    #[must_use]
    pub fn mock_by_name(
        mut self,
        name: &str,
        answer: impl Fn(Value) -> TaskResult<Value> + Send + Sync + 'static,
    ) -> Self {
        let activity = mock::foreign(name.to_owned(), answer);
        self.registry.set_activity(name, activity);
        self
    }

    /// Answers for an orchestrator, usually a child, without running it.
    #[must_use]
    pub fn mock_child<O: Orchestrator>(
        mut self,
        orchestrator: O,
        answer: impl Fn(O::Input) -> TaskResult<O::Output> + Send + Sync + 'static,
    ) -> Self {
        drop(orchestrator);
        let start = mock::child::<O>(answer);
        self.registry.set_orchestrator(O::NAME, O::VERSION, start);
        self
    }
}

/// What happens in it. Each of these runs everything that can go on without time passing.
impl TestHub {
    /// Starts an orchestration and returns its instance id.
    pub async fn start<O: Orchestrator>(
        &mut self,
        orchestrator: O,
        input: impl Argument<O::Input>,
    ) -> Result<String, TestError> {
        self.instances_started += 1;
        let id = format!("instance-{}", self.instances_started);
        self.start_as(&id, orchestrator, input).await?;
        Ok(id)
    }

    /// Starts an orchestration under that instance id.
    pub async fn start_as<O: Orchestrator>(
        &mut self,
        instance_id: &str,
        orchestrator: O,
        input: impl Argument<O::Input>,
    ) -> Result<(), TestError> {
        drop(orchestrator);
        let input = json(&input)?;
        let execution = self.clock.new_execution_id();
        let started = ExecutionStarted {
            instance: OrchestrationInstance::new(instance_id, execution),
            name: Some(O::NAME.to_owned()),
            version: Some(version_of::<O>(None).unwrap_or_default()),
            input: Some(input),
            generation: Some(0),
            ..ExecutionStarted::default()
        };
        self.send(instance_id, EventKind::ExecutionStarted(Box::new(started)));
        self.settle().await
    }

    /// Starts an orchestration, lets it run to its end and returns its output.
    pub async fn run<O: Orchestrator>(
        &mut self,
        orchestrator: O,
        input: impl Argument<O::Input>,
    ) -> Result<O::Output, TestError> {
        let id = self.start(orchestrator, input).await?;
        self.output(&id).await
    }

    /// Sends an external event.
    pub async fn raise_event(
        &mut self,
        instance_id: &str,
        name: &str,
        payload: &(impl Serialize + ?Sized),
    ) -> Result<(), TestError> {
        let raised = EventRaised {
            name: Some(name.to_owned()),
            input: Some(json(payload)?),
            parent_trace_context: None,
        };
        self.tell(instance_id, EventKind::EventRaised(Box::new(raised)))
            .await
    }

    /// Terminates an orchestration.
    pub async fn terminate(&mut self, instance_id: &str, reason: &str) -> Result<(), TestError> {
        let input = Some(reason.to_owned());
        self.tell(instance_id, EventKind::ExecutionTerminated { input })
            .await
    }

    /// Suspends an orchestration.
    pub async fn suspend(&mut self, instance_id: &str) -> Result<(), TestError> {
        self.tell(instance_id, EventKind::ExecutionSuspended { reason: None })
            .await
    }

    /// Lets a suspended orchestration go on.
    pub async fn resume(&mut self, instance_id: &str) -> Result<(), TestError> {
        self.tell(instance_id, EventKind::ExecutionResumed { reason: None })
            .await
    }

    /// Lets time pass; timers that are due fire one after the other.
    pub async fn advance(&mut self, time: Duration) -> Result<(), TestError> {
        let until = self.clock.time().saturating_add(time);
        while let Some(timer) = self.timers.first_entry().filter(|t| t.key().0 <= until) {
            let ((due, _), message) = timer.remove_entry();
            self.clock.advance_to(due);
            self.messages.push_back(message);
            self.settle().await?;
        }
        self.clock.advance_to(until);
        Ok(())
    }

    /// The output of an orchestration. Skips time until it has ended.
    pub async fn output<T: DeserializeOwned + 'static>(
        &mut self,
        instance_id: &str,
    ) -> Result<T, TestError> {
        self.finish(instance_id).await?;
        let end = self.instance(instance_id)?.state.completed();
        let end = end.ok_or_else(|| TestError::Stuck(instance_id.to_owned()))?;
        if end.status != OrchestrationStatus::Completed {
            let failure = end.failure.as_ref().map(ToString::to_string);
            return Err(TestError::NotCompleted {
                instance_id: instance_id.to_owned(),
                status: end.status,
                output: failure.or_else(|| end.result.clone()).unwrap_or_default(),
            });
        }
        payload::read(end.result.as_deref(), || {
            format!("the output of {instance_id}")
        })
        .map_err(|failure| payload_error(&failure))
    }

    /// Skips time until an orchestration has ended, however it ends.
    pub async fn finish(&mut self, instance_id: &str) -> Result<OrchestrationStatus, TestError> {
        loop {
            let status = self.status(instance_id);
            let status = status.ok_or_else(|| no_such(instance_id))?;
            if status.is_terminal() {
                return Ok(status);
            }
            let stuck = || TestError::Stuck(instance_id.to_owned());
            let due = self.timers.keys().next().ok_or_else(stuck)?.0;
            let pause = due.saturating_since(self.clock.time());
            self.advance(pause).await?;
        }
    }
}

/// What is there to see.
impl TestHub {
    /// The time.
    pub const fn now(&self) -> Timestamp {
        self.clock.time()
    }

    /// Where an orchestration stands; `None` if there is none of that id.
    pub fn status(&self, instance_id: &str) -> Option<OrchestrationStatus> {
        Some(self.instances.get(instance_id)?.state.status())
    }

    /// The custom status, JSON text.
    pub fn custom_status(&self, instance_id: &str) -> Option<&str> {
        self.instances.get(instance_id)?.state.custom_status()
    }

    /// The history of an orchestration's current execution.
    pub fn history(&self, instance_id: &str) -> &[Arc<HistoryEvent>] {
        let instance = self.instances.get(instance_id);
        instance.map_or(&[], |instance| instance.state.events())
    }

    /// The activities that were run or mocked, in order.
    pub fn calls(&self) -> &[ActivityCall] {
        &self.calls
    }
}

impl TestHub {
    fn instance(&self, instance_id: &str) -> Result<&Instance, TestError> {
        let instance = self.instances.get(instance_id);
        instance.ok_or_else(|| no_such(instance_id))
    }

    async fn tell(&mut self, instance_id: &str, kind: EventKind) -> Result<(), TestError> {
        self.instance(instance_id)?;
        self.send(instance_id, kind);
        self.settle().await
    }

    fn send(&mut self, instance_id: &str, kind: EventKind) {
        let target = match &kind {
            EventKind::ExecutionStarted(started) => started.instance.clone(),
            _ => OrchestrationInstance::current(instance_id),
        };
        self.messages.push_back(TaskMessage {
            event: HistoryEvent::new(self.clock.time(), kind),
            target,
            orchestration_tags: None,
        });
    }

    async fn settle(&mut self) -> Result<(), TestError> {
        while let Some(message) = self.messages.pop_front() {
            self.deliver(message).await?;
        }
        Ok(())
    }

    async fn deliver(&mut self, message: TaskMessage) -> Result<(), TestError> {
        let id = message.target.instance_id.clone();
        let mut instance = self.instances.remove(&id).unwrap_or_default();
        // A start takes the place of what has ended; anything else needs an instance.
        if message.event.as_started().is_some() && instance.state.status().is_terminal() {
            instance = Instance::default();
        }
        let messages = vec![message];
        let begun = Episode::begin(instance.state, messages, &self.options, &mut self.clock);
        let mut episode = match begun {
            Begun::Run(episode) => episode,
            Begun::Discard(discarded) => {
                if discarded.state.started().is_some() {
                    instance.state = discarded.state;
                    self.instances.insert(id, instance);
                }
                return Ok(());
            }
        };
        loop {
            let (mut run, work) = match instance.run.take() {
                Some(run) => (run, episode.resume_work()),
                None => (self.open(episode.state())?, episode.work()),
            };
            let result = run.execute(work).await?;
            let mut replay = self.open(episode.state())?;
            let replayed = replay.execute(episode.work()).await?;
            if replayed != result {
                let name = episode.state().started().and_then(|s| s.name.clone());
                return Err(TestError::NotDeterministic {
                    name: name.unwrap_or_default(),
                    first: format!("it decided {:?}", result.commands),
                    second: format!("decided {:?}", replayed.commands),
                });
            }
            match episode.apply(result, &mut self.clock) {
                Next::RunAgain => {}
                Next::Done => {
                    instance.run = Some(run);
                    break;
                }
            }
        }
        let plan = episode.into_plan();
        instance.state = plan.state;
        instance.state.committed();
        self.instances.insert(id, instance);
        self.carry_out(plan.outbound).await
    }

    fn open(&self, state: &RuntimeState) -> Result<Box<dyn OrchestrationRun>, TestError> {
        let started = state.started();
        let name = started.and_then(|s| s.name.as_deref()).unwrap_or_default();
        let version = started.and_then(|s| s.version.as_deref());
        let opened = self.registry.open(name, version);
        opened.ok_or_else(|| not_registered("orchestrator", name))
    }

    async fn carry_out(&mut self, outbound: Vec<Outbound>) -> Result<(), TestError> {
        for out in outbound {
            match out {
                Outbound::ToInstance(message) => self.messages.push_back(message),
                Outbound::Timer(message) => {
                    let due = match message.event.kind {
                        EventKind::TimerFired { fire_at, .. } => fire_at,
                        _ => self.clock.time(),
                    };
                    self.timers_started += 1;
                    self.timers.insert((due, self.timers_started), message);
                }
                Outbound::Activity(message) => self.run_activity(message).await?,
            }
        }
        Ok(())
    }

    async fn run_activity(&mut self, message: TaskMessage) -> Result<(), TestError> {
        let (target, task_id) = (message.target, message.event.event_id);
        let EventKind::TaskScheduled(task) = message.event.kind else {
            return Ok(());
        };
        let name = task.name.unwrap_or_default();
        if !self.registry.knows(&name) {
            return Err(not_registered("activity", &name));
        }
        self.calls.push(ActivityCall {
            name: name.clone(),
            input: task.input.clone().unwrap_or_default(),
        });
        let work = ActivityWork {
            instance: target.clone(),
            task_id,
            name,
            version: task.version,
            input: task.input,
            tags: task.tags,
            orchestration_tags: message.orchestration_tags,
            trace_context: task.parent_trace_context,
            dequeue_count: 1,
        };
        let kind = match self.registry.run(work).await? {
            ActivityOutcome::Completed(result) => EventKind::TaskCompleted {
                task_scheduled_id: task_id,
                result,
            },
            ActivityOutcome::Failed(failure) => {
                task_failed_event(task_id, failure, self.options.error_mode)
            }
        };
        self.messages.push_back(TaskMessage {
            event: HistoryEvent::new(self.clock.time(), kind),
            target,
            orchestration_tags: None,
        });
        Ok(())
    }
}

fn not_registered(kind: &'static str, name: &str) -> TestError {
    let name = name.to_owned();
    TestError::NotRegistered { kind, name }
}

fn no_such(instance_id: &str) -> TestError {
    TestError::NoSuchInstance(instance_id.to_owned())
}

fn json(value: &(impl Serialize + ?Sized)) -> Result<String, TestError> {
    payload::write(value, || "a payload".to_owned()).map_err(|failure| payload_error(&failure))
}

fn payload_error(failure: &Failure) -> TestError {
    TestError::Payload(failure.message().to_owned())
}

impl std::fmt::Debug for TestHub {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TestHub")
            .field("registry", &self.registry)
            .field("instances", &self.instances.keys())
            .finish_non_exhaustive()
    }
}
