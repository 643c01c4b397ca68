//! A mixed load on worker processes, one of which is killed every few seconds.
//!
//! `cargo run -p azurite-tests --bin soak -- [--seconds 120] [--manager table|safe|legacy]
//! [--workers 3] [--stop-for SECONDS] [--skew SECONDS] [--seed N] [--json]`. After that time nobody
//! is killed any more, and everything that was started has to end. The last lines are `started: N`,
//! `finished: N`, `lost: N`, `doubled: N`, `stuck: N`; the exit code is 1 if one of the last three
//! is not 0. One victim in five stands still (SIGSTOP) for `--stop-for` seconds (20, longer than
//! its leases) instead of dying. With `--skew`, each worker's clock is right, or fast or slow by
//! that much.
//!
//! `soak worker --task-hub NAME --worker-id NAME` is one of these workers; it ends when its
//! standard input closes.

mod arguments;
mod load;
mod tasks;
mod workers;

use std::collections::BTreeSet;
use std::error::Error;
use std::io::Read;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use arguments::{Arguments, Soak, USAGE, WorkerArguments};
use azurite_tests::azurite::{self, explain};
use azurite_tests::{Dice, Verdict, is_even, owners, system_with_clock_off, unique_hub};
use durabletask_azurestorage::{HubClient, InstanceQuery};
use durabletask_core::OrchestrationStatus;
use durabletask_storage::Env;
use durabletask_storage::azure::Connection;
use durabletask_worker::TaskHub;
use durabletask_worker::hub::{HubSettings, PartitionManagement, StoreChoice};
use futures::TryStreamExt;
use load::Load;
use serde_json::json;
use tracing_subscriber::EnvFilter;
use workers::Workers;

type Outcome<T> = Result<T, Box<dyn Error>>;

const PARTITIONS: u32 = 4;
/// Instances that are under way at the same time, at most: what Azurite bears.
const MAX_LIVE: usize = 24;
/// Pause between two rounds of starting, raising and killing.
const ROUND: Duration = Duration::from_millis(250);
/// Pause between two lines of progress.
const PROGRESS: Duration = Duration::from_secs(5);
/// How long everything may take to end once nobody is killed any more. A message that was handed
/// back six times comes after 64 s.
const CALM: Duration = Duration::from_secs(150);
/// How long the partitions may take to be shared evenly after that: some leases have to run out
/// and pass from hand to hand.
const SETTLING: Duration = Duration::from_secs(90);

#[tokio::main]
async fn main() -> ExitCode {
    tracing_subscriber::fmt()
        .with_env_filter(
            EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("warn")),
        )
        .with_writer(std::io::stderr)
        .init();
    let done = match Arguments::parse(std::env::args().skip(1)) {
        Ok(Arguments::Worker(arguments)) => Box::pin(work(arguments)).await.map(|()| true),
        Ok(Arguments::Soak(soak)) => Box::pin(run(&soak)).await,
        Err(mistake) => {
            eprintln!("{mistake}\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{}", explain(&*error));
            ExitCode::FAILURE
        }
    }
}

fn settings(
    connection: &str,
    hub: &str,
    manager: PartitionManagement,
    visibility: Duration,
) -> Outcome<HubSettings> {
    let store = StoreChoice::Azure {
        main: Connection::parse(connection)?.into(),
        tracking: None,
    };
    let mut settings = HubSettings::new(hub, 1).with_store(store);
    settings.partition_count = PARTITIONS;
    settings.partition_management = manager;
    settings.control_queue_visibility_timeout = visibility;
    settings.work_item_queue_visibility_timeout = visibility;
    settings.max_queue_polling_interval = Duration::from_secs(1);
    settings.use_app_lease = false;
    Ok(settings)
}

/// One worker, until standard input closes.
async fn work(arguments: WorkerArguments) -> Outcome<()> {
    let connection = std::env::var(azurite::CONNECTION_VARIABLE)?;
    let (manager, visibility) = (arguments.manager, arguments.visibility);
    let mut settings = settings(&connection, &arguments.hub, manager, visibility)?
        .with_worker_id(arguments.worker_id);
    settings.max_queue_polling_interval = arguments.polling;
    settings.lease_interval = arguments.lease;
    settings.lease_renew_interval = arguments.lease / 3;
    settings.lease_acquire_interval = arguments.lease / 3;
    settings.validate()?;
    let env = system_with_clock_off(arguments.clock_off_seconds);
    let hub = TaskHub::open(settings, &env).await?;
    let running = tasks::builder().build()?.start(&hub);
    println!("working");
    let (closed, ended) = futures::channel::oneshot::channel();
    std::thread::spawn(move || {
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        let _ = closed.send(());
    });
    let _ = ended.await;
    running.stop().await?;
    Ok(())
}

async fn run(soak: &Soak) -> Outcome<bool> {
    let env = Env::system();
    let seed = soak.seed.unwrap_or_else(|| env.random_u64());
    eprintln!("soak --seconds {} --seed {seed}", soak.limit.as_secs());
    let connection = azurite::connection().await;
    let name = unique_hub("soak");
    let logs = std::env::temp_dir().join(&name);
    std::fs::create_dir_all(&logs)?;
    let settings = settings(&connection, &name, soak.manager, Duration::from_secs(15))?;
    let hub = TaskHub::open(settings, &env).await?;
    let client = HubClient::new(hub);
    let mut load = Load::new(client.clone(), Dice::new(seed));
    let mut workers = Workers::start(soak, &connection, &name, &logs, Dice::new(!seed))?;
    disturbed(soak, &env, &client, &mut load, &mut workers).await?;
    calm(&env, &client, &mut load, &mut workers).await?;
    let verdict = Verdict::of(&client, load.started()).await?;
    let left = messages_left(&client).await?;
    let is_even = settled(&env, client.hub(), soak.workers).await?;
    let (kills, standstills) = (workers.kills, workers.standstills);
    eprintln!("{kills} kills, {standstills} standstills, {left} messages left in the queues");
    report(soak, seed, load.started().len(), &verdict);
    let is_good = verdict.is_good() && is_even;
    forget_logs(&logs, is_good);
    Ok(is_good)
}

/// Load and kills.
async fn disturbed(
    soak: &Soak,
    env: &Env,
    client: &HubClient,
    load: &mut Load,
    workers: &mut Workers,
) -> Outcome<()> {
    let began = env.monotonic();
    let mut told = began;
    loop {
        let now = env.monotonic();
        if now.saturating_sub(began) >= soak.limit {
            return Ok(());
        }
        workers.check()?;
        workers.disturb(now)?;
        load.raise_due(now).await?;
        let live = live(client).await?.len();
        for _ in live..MAX_LIVE.min(live + 4) {
            load.start_one(now).await?;
        }
        if now.saturating_sub(told) >= PROGRESS {
            told = now;
            progress(now.saturating_sub(began), load, live, workers);
        }
        env.sleep(ROUND).await;
    }
}

/// Nobody is killed any more; returns when all has ended, or too much time has passed.
async fn calm(
    env: &Env,
    client: &HubClient,
    load: &mut Load,
    workers: &mut Workers,
) -> Outcome<()> {
    workers.bring_back(Duration::MAX)?;
    load.raise_due(Duration::MAX).await?;
    let began = env.monotonic();
    let mut told = began;
    loop {
        let now = env.monotonic();
        workers.check()?;
        let live = live(client).await?;
        let waited = now.saturating_sub(began);
        if live.is_empty() || waited >= CALM {
            eprintln!("calm: {} s until the last one ended", waited.as_secs());
            return Ok(());
        }
        if now.saturating_sub(told) >= PROGRESS {
            told = now;
            progress(waited, load, live.len(), workers);
        }
        env.sleep(ROUND).await;
    }
}

/// Whether the partitions come to be shared evenly.
async fn settled(env: &Env, hub: &TaskHub, workers: usize) -> Outcome<bool> {
    let began = env.monotonic();
    loop {
        let owners = owners(hub).await?;
        let is_even = is_even(&owners, workers, PARTITIONS as usize);
        if is_even || env.monotonic().saturating_sub(began) >= SETTLING {
            eprintln!("partitions by worker: {owners:?}");
            return Ok(is_even);
        }
        env.sleep(ROUND).await;
    }
}

/// Instances that have not ended.
async fn live(client: &HubClient) -> Outcome<BTreeSet<String>> {
    use OrchestrationStatus::{Pending, Running, Suspended};
    let query = InstanceQuery {
        statuses: vec![Pending, Running, Suspended],
        fetch_input: false,
        fetch_output: false,
        ..InstanceQuery::default()
    };
    let listed: Vec<_> = client.list(&query).try_collect().await?;
    Ok(listed.into_iter().map(|i| i.status.instance_id).collect())
}

/// Messages in all queues, invisible ones included.
async fn messages_left(client: &HubClient) -> Outcome<u64> {
    let hub = client.hub();
    let queues = &hub.account().queues;
    let mut left = queues
        .count_messages(&hub.names().work_item_queue())
        .await?;
    for partition in 0..PARTITIONS {
        let queue = hub.names().control_queue(partition);
        left += queues.count_messages(&queue).await?;
    }
    Ok(left)
}

fn progress(since: Duration, load: &Load, live: usize, workers: &Workers) {
    let started = load.started().len();
    eprintln!(
        "{:4} s: {started} started, {live} under way, {} kills, {} standstills",
        since.as_secs(),
        workers.kills,
        workers.standstills
    );
}

fn report(soak: &Soak, seed: u64, started: usize, verdict: &Verdict) {
    let Verdict {
        finished,
        lost,
        doubled,
        stuck,
    } = verdict;
    for (what, lines) in [("lost", lost), ("doubled", doubled), ("stuck", stuck)] {
        for line in lines {
            eprintln!("{what}: {line}");
        }
    }
    let (lost, doubled, stuck) = (lost.len(), doubled.len(), stuck.len());
    if soak.json {
        println!(
            "{}",
            json!({
                "seed": seed, "started": started, "finished": finished,
                "lost": lost, "doubled": doubled, "stuck": stuck,
            })
        );
    } else {
        println!("started: {started}\nfinished: {finished}");
        println!("lost: {lost}\ndoubled: {doubled}\nstuck: {stuck}");
    }
}

/// The workers' logs say what went wrong; if nothing did, nobody needs them.
fn forget_logs(logs: &Path, is_good: bool) {
    if is_good {
        let _ = std::fs::remove_dir_all(logs);
    } else {
        eprintln!("the workers' logs are in {}", logs.display());
    }
}
