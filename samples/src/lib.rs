//! What all samples share: the command line, settings, the roles of worker and client, and the
//! way errors are told.
//!
//! A sample is one file in `src/bin`: its orchestrators and activities, and a `main` that hands
//! [`run`] a worker and what the client does. `tests/samples.rs` runs each as a program.

mod flags;
mod sample;

use std::path::Path;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use durabletask_storage::Env;
use durabletask_worker::hub::{SettingsSources, StoreChoice};
use durabletask_worker::{Client, TaskHub, Worker, WorkerError, shutdown_signal};
use futures::future::{Either, select};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

pub use flags::{Flag, Flags, Misuse};
pub use sample::Sample;

/// Whatever can go wrong in a sample. Its text is for people and holds no secret.
pub type Error = Box<dyn std::error::Error + Send + Sync>;

/// How long an activity pretends to work unless `--work` says otherwise, in milliseconds.
const WORK_MS: u32 = 200;
static WORK: AtomicU32 = AtomicU32::new(WORK_MS);

/// Runs a sample: opens the task hub that settings and flags name, starts the worker in it, lets
/// the client do its part, and stops the worker cleanly. With `--worker` there is no client, with
/// `--client` no worker. `own` are the sample's flags besides the common ones.
///
/// SIGTERM and Ctrl-C end it cleanly, too: orchestrations under way go on with the next worker.
pub async fn run<C>(own: &[Flag], worker: Result<Worker, WorkerError>, client: C) -> ExitCode
where
    C: AsyncFnOnce(Sample) -> Result<(), Error>,
{
    log_to_standard_error();
    let flags = match Flags::parse(own, std::env::args().skip(1)) {
        Ok(flags) if flags.has("--help") => {
            print!("{}", flags::help(own));
            return ExitCode::SUCCESS;
        }
        Ok(flags) => flags,
        Err(misuse) => {
            eprintln!("Error: {misuse}");
            return ExitCode::from(2);
        }
    };
    // `Display` of every error says in a sentence what is wrong and what to do; sources would
    // only repeat it.
    match play(flags, worker, client).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("Error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Pretends to work, so that there is something to watch.
pub async fn work() {
    let milliseconds = u64::from(WORK.load(Ordering::Relaxed));
    let pause = Duration::from_millis(milliseconds);
    Env::system().sleep(pause).await;
}

async fn play<C>(flags: Flags, worker: Result<Worker, WorkerError>, client: C) -> Result<(), Error>
where
    C: AsyncFnOnce(Sample) -> Result<(), Error>,
{
    WORK.store(flags.number("--work", WORK_MS)?, Ordering::Relaxed);
    let hub = open_hub(&flags).await?;
    let running = if flags.is_client_only() {
        None
    } else {
        Some(worker?.start(&hub))
    };
    let role = async {
        if flags.has("--worker") {
            println!("Working until SIGTERM or Ctrl-C.");
            return futures::future::pending().await;
        }
        client(Sample::new(Client::new(&hub), flags)).await
    };
    // The signals first: they are heard from before the first line is printed.
    let outcome = match select(Box::pin(shutdown_signal()), Box::pin(role)).await {
        Either::Left(((), _)) => {
            println!("Stopping; what is under way goes on with the next worker.");
            Ok(())
        }
        Either::Right((outcome, _)) => outcome,
    };
    if let Some(running) = running
        && !running.stop().await?
    {
        eprintln!("warning: some work did not end in time; it runs again with the next worker");
    }
    outcome
}

/// Opens the task hub that `host.json` and `local.settings.json` of the current folder, the
/// environment and the flags name, and says where it is.
async fn open_hub(flags: &Flags) -> Result<TaskHub, Error> {
    let mut sources = SettingsSources::from_folder(Path::new("."))?;
    for (flag, key) in [
        ("--task-hub", "hubName"),
        ("--connection", "storageProvider.connectionName"),
    ] {
        if let Some(value) = flags.text(flag) {
            sources = sources.with_override(key, value);
        }
    }
    for pair in flags.texts("--set") {
        let (key, value) = pair
            .split_once('=')
            .ok_or_else(|| format!("--set is {pair:?}; write KEY=VALUE after it"))?;
        sources = sources.with_override(key, value);
    }
    let (settings, warnings) = sources.read()?;
    for warning in warnings {
        eprintln!("warning: {warning}");
    }
    let place = match (&settings.store, settings.embedded_file()) {
        (_, Some(file)) => format!("the embedded store {}", file.display()),
        (StoreChoice::Memory, None) => "memory".to_owned(),
        _ => "Azure Storage".to_owned(),
    };
    println!("Task hub {} in {place}.", settings.hub_name);
    Ok(TaskHub::open(settings, &Env::system()).await?)
}

/// Warnings and errors, unless `RUST_LOG` says otherwise.
fn log_to_standard_error() {
    tracing_subscriber::registry()
        .with(EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("warn")))
        .with(tracing_subscriber::fmt::layer().with_writer(std::io::stderr))
        .init();
}
