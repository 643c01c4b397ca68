//! Clients that insist: they repeat what failed until they know that it is done. If the seed wants
//! it, their processes die in the middle of an operation; another then repeats it, or nobody does.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use durabletask_azurestorage::hub::HubSettings;
use durabletask_azurestorage::{HubClient, InstanceStatus, StartOptions, TaskHub, TaskHubError};
use durabletask_core::OrchestrationStatus;
use futures::channel::oneshot;
use futures::future::BoxFuture;

use crate::dice::Dice;
use crate::faults::FaultId;
use crate::machine::Machine;
use crate::network::{Network, World};
use crate::program::{Program, event_name, payload_of};

/// Pause between tries, in milliseconds.
const PAUSE_MS: u64 = 700;
/// Virtual time in which an instance must end, in seconds.
const MAX_RUN_SECONDS: u64 = 2 * 3_600;
/// Polls within which a client dies that dies.
const MAX_POLLS_TO_DEATH: u64 = 24;

/// A client, in one process after the other.
#[derive(Debug)]
pub(crate) struct Client {
    name: Arc<str>,
    world: Arc<World>,
    settings: HubSettings,
    skew_ms: i64,
    process: Mutex<Process>,
}

/// One process of a client.
#[derive(Debug)]
struct Process {
    machine: Arc<Machine>,
    inner: HubClient,
    /// Processes before it.
    lives: u64,
    /// Operations begun by all of them.
    operations: u64,
    /// Decides where it dies; without it never dies.
    deaths: Option<Dice>,
}

/// How an operation ended.
#[derive(Debug)]
pub(crate) enum Answer<T> {
    /// It is done.
    Done(T),
    /// It is not possible, and nothing was done.
    Refused,
    /// The process died, and the operation is not repeated: nobody knows how far it came.
    GivenUp,
}

/// What an instance is told besides events.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Order {
    /// To end, for that reason.
    Terminate(&'static str),
    /// To stand still.
    Suspend,
    /// To go on.
    Resume,
}

type Operation<T> = BoxFuture<'static, Result<T, TaskHubError>>;

impl Client {
    /// A client whose clock is off by that much, and whose processes die as those dice say.
    pub(crate) fn new(
        world: &Arc<World>,
        settings: &HubSettings,
        name: &str,
        skew_ms: i64,
        deaths: Option<Dice>,
    ) -> Self {
        let (machine, inner) = boot(world, settings, name, skew_ms);
        let process = Process {
            machine,
            inner,
            lives: 0,
            operations: 0,
            deaths,
        };
        Self {
            name: name.into(),
            world: world.clone(),
            settings: settings.clone(),
            skew_ms,
            process: Mutex::new(process),
        }
    }

    fn process(&self) -> MutexGuard<'_, Process> {
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, what: &str) {
        self.world.trace.step(&self.name, what);
    }

    async fn pause(&self) {
        let pause = Duration::from_millis(PAUSE_MS);
        self.world.env.sleep(pause).await;
    }

    /// The process for the next operation, and after how many polls it dies.
    fn next_process(&self) -> (HubClient, Arc<Machine>, Option<u64>) {
        let mut process = self.process();
        let n = process.operations;
        process.operations += 1;
        let dies = process.deaths.as_mut().and_then(|dice| {
            let (dies, polls) = (dice.below(5) == 0, dice.below(MAX_POLLS_TO_DEATH));
            dies.then_some(polls)
        });
        let fault = || FaultId::Operation(self.name.clone(), n);
        let dies = dies.filter(|_| self.world.faults.strikes(fault()));
        (process.inner.clone(), process.machine.clone(), dies)
    }

    /// Does something in a process; `None` if the process dies meanwhile.
    async fn operate<T: Send + 'static>(
        &self,
        act: impl FnOnce(HubClient) -> Operation<T>,
    ) -> Option<Result<T, TaskHubError>> {
        let (inner, machine, dies_after) = self.next_process();
        let Some(polls) = dies_after else {
            return Some(act(inner).await);
        };
        machine.die_after_polls(polls);
        let (done, outcome) = oneshot::channel();
        let task = act(inner);
        drop(machine.env().scope().spawn(async move {
            let _ = done.send(task.await);
        }));
        let outcome = outcome.await.ok();
        machine.kill();
        let mut process = self.process();
        process.lives += 1;
        let name = format!("{}.{}", self.name, process.lives);
        (process.machine, process.inner) = boot(&self.world, &self.settings, &name, self.skew_ms);
        outcome
    }

    /// Whether an operation that was cut off is not repeated.
    fn gives_up(&self) -> bool {
        let mut process = self.process();
        let dice = process.deaths.as_mut();
        dice.is_some_and(|dice| dice.below(3) == 0)
    }

    /// Does something until it is done, or refused for good.
    async fn insist<T: Send + 'static>(
        &self,
        what: &str,
        act: impl Fn(HubClient) -> Operation<T>,
        is_refusal: fn(&TaskHubError) -> bool,
    ) -> Answer<T> {
        loop {
            self.note(what);
            match self.operate(&act).await {
                Some(Ok(done)) => return Answer::Done(done),
                Some(Err(error)) if is_refusal(&error) => return Answer::Refused,
                Some(Err(error)) => self.note(&format!("{what}: {error}")),
                None if self.gives_up() => {
                    self.note(&format!("{what}: died, and that was it"));
                    return Answer::GivenUp;
                }
                None => self.note(&format!("{what}: died")),
            }
            self.pause().await;
        }
    }

    /// The same, but never gives up, because somebody waits for it.
    async fn insist_for_ever(&self, what: &str, act: impl Fn(HubClient) -> Operation<()>) {
        while let Answer::GivenUp = self.insist(what, &act, |_| false).await {}
    }

    /// Starts an orchestration; refused if it runs already.
    pub(crate) async fn start(&self, id: &str, start: &Start) -> Answer<()> {
        let act = |client: HubClient| -> Operation<()> {
            let options = StartOptions {
                instance_id: Some(id.to_owned()),
                ..start.options.clone()
            };
            let (name, input) = (start.name, start.input.clone());
            Box::pin(async move { client.start(name, input, options).await.map(drop) })
        };
        let is_refusal = |error: &TaskHubError| matches!(error, TaskHubError::AlreadyExists { .. });
        self.insist(&format!("starts {id}"), act, is_refusal).await
    }

    /// Raises the event of that number, once for sure, perhaps more often.
    pub(crate) async fn raise(&self, id: &str, n: u32) {
        self.raise_named(id, &event_name(n), format!("\"{}\"", payload_of(n)))
            .await;
    }

    /// Raises an event, once for sure, perhaps more often.
    pub(crate) async fn raise_named(&self, id: &str, name: &str, payload: String) {
        let act = |client: HubClient| -> Operation<()> {
            let (id, name, payload) = (id.to_owned(), name.to_owned(), payload.clone());
            Box::pin(async move { client.raise_event(&id, &name, Some(payload)).await })
        };
        self.insist_for_ever(&format!("raises {name} to {id}"), act)
            .await;
    }

    /// Terminates an instance, suspends it or lets it go on.
    pub(crate) async fn tell(&self, id: &str, order: Order) {
        let act = |client: HubClient| -> Operation<()> {
            let id = id.to_owned();
            Box::pin(async move {
                match order {
                    Order::Terminate(why) => client.terminate(&id, Some(why.to_owned())).await,
                    Order::Suspend => client.suspend(&id, None).await,
                    Order::Resume => client.resume(&id, None).await,
                }
            })
        };
        self.insist_for_ever(&format!("{order:?} {id}"), act).await;
    }

    /// Where an instance stands.
    pub(crate) async fn status(&self, id: &str) -> Option<InstanceStatus> {
        loop {
            let inner = self.process().inner.clone();
            match inner.status(id).await {
                Ok(status) => return status,
                Err(error) => self.note(&format!("status of {id}: {error}")),
            }
            self.pause().await;
        }
    }

    /// Lets an instance end, if there is one.
    pub(crate) async fn end(&self, id: &str) {
        let status = self.status(id).await;
        if status.is_some_and(|status| !status.runtime_status.is_terminal()) {
            self.tell(id, Order::Terminate("nobody cares")).await;
            self.ended(id).await;
        }
    }

    /// Waits for an instance to end; `None` and a violation if it does not.
    pub(crate) async fn ended(&self, id: &str) -> Option<InstanceStatus> {
        let limit = self.world.env.monotonic() + Duration::from_secs(MAX_RUN_SECONDS);
        loop {
            let left = limit.saturating_sub(self.world.env.monotonic());
            if left.is_zero() {
                let inner = self.process().inner.clone();
                let status = inner.status(id).await;
                let now = status.ok().flatten().map(|status| status.runtime_status);
                let what = format!("{id} has not ended; it is {now:?}");
                self.world.trace.violation(what);
                return None;
            }
            let inner = self.process().inner.clone();
            match inner.wait(id, Some(left)).await {
                Ok(status) => {
                    self.note(&format!("{id} is {}", status.runtime_status));
                    return Some(status);
                }
                Err(error) => self.note(&format!("wait for {id}: {error}")),
            }
            self.pause().await;
        }
    }

    /// Waits for an instance to complete with what its program yields.
    pub(crate) async fn completed(&self, id: &str, program: &Program) {
        let Some(status) = self.ended(id).await else {
            return;
        };
        let expected = serde_json::to_string(&program.expected()).ok();
        if status.runtime_status != OrchestrationStatus::Completed || status.output != expected {
            self.world.trace.violation(format!(
                "{id} is {} with {:?}, not Completed with {:?}",
                status.runtime_status,
                status.output.map(short),
                expected.map(short)
            ));
        }
    }

    /// Rewinds a failed instance until it is known to be on its way.
    pub(crate) async fn rewind(&self, id: &str) -> Answer<()> {
        let act = |client: HubClient| -> Operation<()> {
            let id = id.to_owned();
            Box::pin(async move { client.rewind(&id, None).await })
        };
        let is_refusal = |error: &TaskHubError| matches!(error, TaskHubError::NotFailed { .. });
        self.insist(&format!("rewinds {id}"), act, is_refusal).await
    }

    /// Purges a finished instance; refused if it is there and runs.
    pub(crate) async fn purge(&self, id: &str) -> Answer<()> {
        let act = |client: HubClient| -> Operation<()> {
            let id = id.to_owned();
            Box::pin(async move { client.purge(&id, false).await.map(drop) })
        };
        let is_refusal = |error: &TaskHubError| {
            matches!(
                error,
                TaskHubError::NoSuchInstance { .. } | TaskHubError::NotFinished { .. }
            )
        };
        self.insist(&format!("purges {id}"), act, is_refusal).await
    }
}

/// A process of that name.
fn boot(
    world: &Arc<World>,
    settings: &HubSettings,
    name: &str,
    skew_ms: i64,
) -> (Arc<Machine>, HubClient) {
    let machine = Machine::new(name, &world.env, skew_ms);
    let account = Network::account(world, &machine);
    let hub = TaskHub::new(machine.env(), account, settings.clone());
    (machine, HubClient::new(hub))
}

/// What is started.
#[derive(Debug, Clone)]
pub(crate) struct Start {
    /// The orchestrator's name.
    pub(crate) name: &'static str,
    /// Its input, JSON.
    pub(crate) input: Option<String>,
    /// Tags and the like; the instance id is not asked.
    pub(crate) options: StartOptions,
}

impl Start {
    /// That orchestrator with that input.
    pub(crate) fn of(name: &'static str, input: Option<String>) -> Self {
        Self {
            name,
            input,
            options: StartOptions::default(),
        }
    }

    /// A program.
    pub(crate) fn program(program: &Program) -> Self {
        Self::of("Program", program.to_input())
    }
}

/// The beginning of a text that may be large.
pub(crate) fn short(text: String) -> String {
    const MAX_CHARS: usize = 300;
    if text.len() <= MAX_CHARS {
        return text;
    }
    let start: String = text.chars().take(MAX_CHARS).collect();
    format!("{start}… ({} bytes)", text.len())
}
