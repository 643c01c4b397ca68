//! The workers of a run, and what happens to them.

use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use durabletask_azurestorage::hub::HubSettings;
use durabletask_azurestorage::partition::partition_manager;
use durabletask_azurestorage::{Executors, HubWorker, TaskHub};
use durabletask_catalogue::{Flaky, builder_with};
use futures::future::{Either, select};

use crate::bounds::excess;
use crate::dice::Dice;
use crate::faults::FaultId;
use crate::machine::Machine;
use crate::network::{Network, World};
use crate::notes::notes;
use crate::plot::Plot;
use crate::program::{Gate, Work, program, repeat};

/// Virtual time in which incidents happen, in milliseconds.
const INCIDENTS_MS: u64 = 240_000;
/// Incidents of one run, at most.
const MAX_INCIDENTS: u64 = 9;
/// How far clocks are off, at most, in milliseconds.
const MAX_SKEW_MS: u64 = 20_000;

/// Pause between looks at a worker's memory.
const WATCH_PAUSE: Duration = Duration::from_millis(400);

/// What happens to a worker besides its network.
#[derive(Debug, Clone, Copy)]
enum Incident {
    /// It dies after so many more polls.
    Crash(u64),
    /// It does nothing for a time, and its clock counts that time or not.
    Freeze(Duration, bool),
    /// It is stopped cleanly and started again.
    Stop,
}

/// A place where one worker runs at a time.
#[derive(Debug)]
pub(crate) struct Post {
    name: String,
    world: Arc<World>,
    settings: HubSettings,
    gate: Gate,
    flaky: Flaky,
    machine: Mutex<Option<Arc<Machine>>>,
    is_closed: AtomicBool,
}

/// Random clock error, in milliseconds; most clocks are right.
pub(crate) fn skew_ms(dice: &mut Dice) -> i64 {
    if dice.below(2) == 0 {
        return 0;
    }
    let ahead = i64::try_from(dice.below(2 * MAX_SKEW_MS)).unwrap_or(0);
    ahead - i64::try_from(MAX_SKEW_MS).unwrap_or(0)
}

impl Post {
    /// A post whose worker is yet to come.
    pub(crate) fn new(
        world: &Arc<World>,
        settings: &HubSettings,
        name: &str,
        gate: &Gate,
        flaky: &Flaky,
    ) -> Arc<Self> {
        Arc::new(Self {
            name: name.to_owned(),
            world: world.clone(),
            settings: settings.clone(),
            gate: gate.clone(),
            flaky: flaky.clone(),
            machine: Mutex::default(),
            is_closed: AtomicBool::new(false),
        })
    }

    /// The process of its present worker.
    pub(crate) fn machine(&self) -> Option<Arc<Machine>> {
        let machine = self.machine.lock().unwrap_or_else(PoisonError::into_inner);
        machine.clone()
    }

    /// Runs one worker after another, for ever.
    pub(crate) async fn keep_manned(self: Arc<Self>, seed: u64) {
        let mut dice = Dice::of(seed, &self.name, u64::MAX);
        for life in 0_u64.. {
            if self.is_closed.load(Ordering::Relaxed) {
                return;
            }
            let name = format!("{}.{life}", self.name);
            let machine = Machine::new(&name, &self.world.env, skew_ms(&mut dice));
            let worker = self.start(&machine);
            *self.machine.lock().unwrap_or_else(PoisonError::into_inner) = Some(machine.clone());
            self.world.trace.step(&name, "starts");
            let dead = pin!(self.watch(&machine, &worker));
            let stopped = pin!(machine.stop_asked());
            if let Either::Right(_) = select(dead, stopped).await {
                let outcome = worker.stop().await;
                self.world
                    .trace
                    .step(&name, format_args!("stopped: {:?}", outcome.ok()));
                machine.kill();
            }
            worker.abort();
            self.world.trace.step(&name, "is dead");
            let pause = Duration::from_millis(200 + dice.below(50_000));
            self.world.env.sleep(pause).await;
        }
    }

    /// Watches what a worker has in memory until it is dead.
    async fn watch(&self, machine: &Machine, worker: &HubWorker) {
        if Plot::of(self.world.faults.seed()) == Plot::Programs {
            return machine.dead().await;
        }
        let mut dead = pin!(machine.dead());
        loop {
            let slept = pin!(self.world.env.sleep(WATCH_PAUSE));
            if let Either::Left(_) = select(&mut dead, slept).await {
                return;
            }
            if let Some(excess) = excess(&worker.gauges(), &self.settings) {
                let what = format!("{} has {excess}", machine.name);
                self.world.trace.violation(what);
                return dead.await;
            }
        }
    }

    fn start(&self, machine: &Arc<Machine>) -> HubWorker {
        let env = machine.env();
        let account = Network::account(&self.world, machine);
        let manager = partition_manager(&account, &self.settings, &machine.name, &env);
        let tasks = builder_with(self.flaky.clone())
            .env(env.clone())
            .orchestrator(program)
            .orchestrator(notes)
            .activity(repeat)
            .activity(Work(env.clone()))
            .activity(self.gate.clone());
        let registry = match tasks.build() {
            Ok(worker) => worker.registry(),
            Err(error) => {
                self.world.trace.violation(error);
                Arc::default()
            }
        };
        let executors = Executors {
            orchestrators: registry.clone(),
            activities: registry,
        };
        let hub = TaskHub::new(env, account, self.settings.clone());
        HubWorker::start(hub, executors, manager)
    }

    /// Kills its worker for good.
    pub(crate) fn close(&self) {
        self.is_closed.store(true, Ordering::Relaxed);
        if let Some(machine) = self.machine() {
            machine.kill();
        }
    }

    /// Stops its worker cleanly.
    pub(crate) fn stop(&self) {
        if let Some(machine) = self.machine() {
            machine.ask_to_stop();
        }
    }
}

/// Lets the incidents of the seed happen.
pub(crate) async fn incidents(world: Arc<World>, posts: Vec<Arc<Post>>, seed: u64) {
    let mut dice = Dice::of(seed, "incidents", 0);
    let count = dice.below(MAX_INCIDENTS + 1);
    let mut plan: Vec<(u64, u64, Incident)> = (0..count)
        .map(|_| {
            let what = match dice.below(8) {
                0..=3 => Incident::Crash(dice.below(400)),
                4..=5 => {
                    let time = Duration::from_millis(1_000 + dice.below(120_000));
                    Incident::Freeze(time, dice.below(2) == 0)
                }
                _ => Incident::Stop,
            };
            let whom = dice.below(posts.len() as u64);
            (dice.below(INCIDENTS_MS), whom, what)
        })
        .collect();
    plan.sort_by_key(|(at, ..)| *at);
    for (n, (at_ms, whom, what)) in (0..).zip(plan) {
        let wait = Duration::from_millis(at_ms).saturating_sub(world.env.monotonic());
        world.env.sleep(wait).await;
        let post = usize::try_from(whom).ok().and_then(|whom| posts.get(whom));
        let Some((post, machine)) = post.and_then(|post| Some((post, post.machine()?))) else {
            continue;
        };
        if machine.is_dead() || !world.faults.strikes(FaultId::Incident(n)) {
            continue;
        }
        world
            .trace
            .step(&machine.name, format_args!("incident {n}: {what:?}"));
        match what {
            Incident::Crash(polls) => machine.die_after_polls(polls),
            Incident::Freeze(time, clock_counts) => machine.freeze(time, clock_counts),
            Incident::Stop => post.stop(),
        }
    }
}
