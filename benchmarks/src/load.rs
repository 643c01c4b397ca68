//! Many orchestrations through one hub, as fast as they go.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use durabletask_storage::Env;
use durabletask_storage::wrappers::Prices;
use durabletask_worker::Client;
use futures::future::{Either, select, try_join_all};

use crate::stage::Stage;
use crate::{Error, process, workload};

/// Which orchestrations are run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Workload {
    /// Five activities, one after the other.
    HelloSequence5,
    /// 100 activities at once.
    FanOut,
}

/// How many orchestrations, and how many of them at the same time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Load {
    /// What they do.
    pub workload: Workload,
    /// All in all.
    pub count: u32,
    /// Started and not yet seen to end, at most.
    pub concurrency: u32,
}

/// What a load took.
#[derive(Debug, Clone)]
pub struct Measured {
    /// What was run.
    pub load: Load,
    /// From the first start to the last end.
    pub elapsed: Duration,
    /// From before the start to the end as the client sees it, of each orchestration, ascending.
    pub latencies: Vec<Duration>,
    /// CPU time of this process: worker, client, and the store if it is embedded.
    pub cpu_seconds: Option<f64>,
    /// Largest resident size of this process meanwhile.
    pub peak_mib: Option<f64>,
    /// Storage calls of worker and client.
    pub prices: Prices,
}

impl Workload {
    /// As it is printed.
    pub fn name(self) -> &'static str {
        match self {
            Self::HelloSequence5 => "HelloSequence5",
            Self::FanOut => "FanOut(100)",
        }
    }

    /// Runs one of them and checks its result.
    async fn run(self, client: &Client) -> Result<(), Error> {
        let is_right = match self {
            Self::HelloSequence5 => {
                let greetings = client.run(workload::hello_sequence_5, ()).await?;
                let wanted = workload::CITIES.map(|city| format!("Hello {city}!"));
                greetings == wanted
            }
            Self::FanOut => {
                let sum = client.run(workload::fan_out, workload::FAN_OUT).await?;
                let wanted: u64 = (0..u64::from(workload::FAN_OUT)).map(|n| n * n).sum();
                sum == wanted
            }
        };
        if is_right {
            Ok(())
        } else {
            Err(format!("{} returned a wrong result", self.name()).into())
        }
    }
}

impl Measured {
    /// Orchestrations in a second.
    pub fn per_second(&self) -> f64 {
        f64::from(self.load.count) / self.elapsed.as_secs_f64()
    }

    /// The latency that this share of all, 0 to 1, did not exceed.
    pub fn latency(&self, share: f64) -> Duration {
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "a position in the list"
        )]
        let rank = (share * self.latencies.len() as f64).ceil() as usize;
        let index = rank.saturating_sub(1);
        self.latencies.get(index).copied().unwrap_or_default()
    }

    /// CPU time of one orchestration, in milliseconds.
    pub fn cpu_ms(&self) -> Option<f64> {
        Some(self.cpu_seconds? * 1_000.0 / f64::from(self.load.count))
    }
}

/// Runs a load. `progress` hears twice a second how many have ended.
pub async fn run(
    stage: &Stage,
    load: Load,
    progress: impl Fn(u32, Duration),
) -> Result<Measured, Error> {
    let env = stage.env();
    process::forget_peak();
    let (began, cpu) = (env.monotonic(), process::cpu_seconds());
    let before = stage.prices();
    let counters = Arc::new(Counters::default());
    let scope = env.scope();
    let lanes = (0..load.concurrency.clamp(1, load.count.max(1))).map(|_| {
        let lane = lane(stage.client(), env.clone(), load, counters.clone());
        let lane = scope.spawn(lane);
        async { lane.join().await.unwrap_or(Err("a lane panicked".into())) }
    });
    let mut lanes = std::pin::pin!(try_join_all(lanes));
    let ended = loop {
        let pause = std::pin::pin!(env.sleep(PROGRESS_PAUSE));
        match select(lanes.as_mut(), pause).await {
            Either::Left((ended, _)) => break ended,
            Either::Right(_) => {
                let done = counters.ended.load(Ordering::Relaxed);
                progress(done, env.monotonic().saturating_sub(began));
            }
        }
    };
    scope.abort();
    let mut latencies: Vec<Duration> = ended?.into_iter().flatten().collect();
    latencies.sort_unstable();
    Ok(Measured {
        load,
        elapsed: env.monotonic().saturating_sub(began),
        latencies,
        cpu_seconds: process::cpu_seconds()
            .zip(cpu)
            .map(|(now, then)| now - then),
        peak_mib: process::peak_mib(),
        prices: &stage.prices() - &before,
    })
}

/// Pause between two reports of progress.
const PROGRESS_PAUSE: Duration = Duration::from_millis(500);

#[derive(Debug, Default)]
struct Counters {
    started: AtomicU32,
    ended: AtomicU32,
}

/// One orchestration after the other, until all are started. Their latencies.
async fn lane(
    client: Client,
    env: Env,
    load: Load,
    counters: Arc<Counters>,
) -> Result<Vec<Duration>, Error> {
    let mut latencies = Vec::new();
    while counters.started.fetch_add(1, Ordering::Relaxed) < load.count {
        let began = env.monotonic();
        load.workload.run(&client).await?;
        latencies.push(env.monotonic().saturating_sub(began));
        counters.ended.fetch_add(1, Ordering::Relaxed);
    }
    Ok(latencies)
}
