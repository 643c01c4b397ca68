//! How many storage calls lie between two activities, and what one orchestration costs: counted in
//! virtual time on a hub in memory, where nothing but storage calls takes time.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use durabletask_azurestorage::hub::{HubSettings, StoreChoice, create_hub, open_account};
use durabletask_storage::wrappers::{Latency, Metered, Prices};
use durabletask_storage::{Env, VirtualEnv};
use durabletask_worker::{
    Activity, ActivityContext, Argument, Client, Failure, Orchestrator, TaskHub, Worker,
};

use crate::{Error, workload};

/// What each storage call takes.
pub const CALL_TIME: Duration = Duration::from_millis(10);
/// Time in which a worker takes its partitions and becomes quiet, and in which an orchestration
/// ends and is cleaned up. Both together are over before the next partition pass, 10 s after the
/// first.
const QUIET_TIME: Duration = Duration::from_secs(4);

/// What one orchestration on a quiet hub does to storage.
#[derive(Debug, Clone)]
pub struct Hops {
    /// Storage calls one after the other from the client's start to the first activity, the
    /// client's own included.
    pub calls_to_first: u32,
    /// The same from the start of each activity to the start of the next.
    pub calls_per_hop: Vec<u32>,
    /// All calls of the client's start and of the worker, until the hub is quiet again.
    pub prices: Prices,
}

/// Runs one [`workload::hello_sequence_5`] where each call takes [`CALL_TIME`].
pub fn hello_sequence_5() -> Result<Hops, Error> {
    run(workload::hello_sequence_5, ())
}

/// Runs one [`workload::fan_out`] where each call takes [`CALL_TIME`]; its hops mean nothing.
pub fn fan_out() -> Result<Hops, Error> {
    run(workload::fan_out, workload::FAN_OUT)
}

fn run<O: Orchestrator>(orchestrator: O, input: impl Argument<O::Input>) -> Result<Hops, Error> {
    let time = VirtualEnv::new(1);
    let outcome = time.block_on(measure(time.env(), orchestrator, input))?;
    match time.panics().count {
        0 => outcome,
        count => Err(format!("{count} background tasks panicked").into()),
    }
}

async fn measure<O: Orchestrator>(
    env: Env,
    orchestrator: O,
    input: impl Argument<O::Input>,
) -> Result<Hops, Error> {
    let mut settings = HubSettings::new("hop", 2).with_store(StoreChoice::Memory);
    // As in the recordings of .NET's prices.
    settings.max_concurrent_activities = 100;
    let account = open_account(&settings, &env)?;
    create_hub(&account, &settings, &env).await?;
    let (account, metered) = Metered::wrap(Latency::wrap(account, env.clone(), CALL_TIME));
    let hub = TaskHub::new(env.clone(), account, settings);
    let starts = Starts::default();
    let worker = Worker::builder()
        .env(env.clone())
        .orchestrator(workload::hello_sequence_5)
        .orchestrator(workload::fan_out)
        .activity(TimedHello(env.clone(), starts.clone()))
        .activity(workload::square)
        .build()?
        .start(&hub);
    env.sleep(QUIET_TIME).await;

    let client = Client::new(&hub);
    let before = metered.snapshot();
    let mut last = env.monotonic();
    let id = client.start(orchestrator, input).await?;
    env.sleep(QUIET_TIME).await;
    let prices = &metered.snapshot() - &before;
    client.output::<O::Output>(&id, Some(CALL_TIME * 2)).await?;
    worker.stop().await?;

    let starts = std::mem::take(&mut *starts.0.lock().unwrap_or_else(PoisonError::into_inner));
    let mut calls = starts.into_iter().map(|start| {
        let calls = start.saturating_sub(last).div_duration_f64(CALL_TIME);
        last = start;
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a small number"
        )]
        let calls = calls.round() as u32;
        calls
    });
    Ok(Hops {
        calls_to_first: calls.next().unwrap_or_default(),
        calls_per_hop: calls.collect(),
        prices,
    })
}

/// When activities started.
#[derive(Debug, Clone, Default)]
struct Starts(Arc<Mutex<Vec<Duration>>>);

/// [`workload::hello`] with a log.
struct TimedHello(Env, Starts);

impl Activity for TimedHello {
    const NAME: &'static str = "Hello";
    type Input = String;
    type Output = String;

    async fn run(&self, _: ActivityContext, city: String) -> Result<String, Failure> {
        let mut starts = self.1.0.lock().unwrap_or_else(PoisonError::into_inner);
        starts.push(self.0.monotonic());
        Ok(format!("Hello {city}!"))
    }
}
