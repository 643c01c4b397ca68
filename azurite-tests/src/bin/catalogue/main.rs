//! The catalogue as a program, to run beside a .NET worker on one hub: `catalogue worker` runs a
//! worker, `catalogue start NAME ID INPUT-JSON` starts an orchestration and waits for it, and so
//! on. Settings are those of the recordings unless flags or the environment say otherwise.

mod arguments;

use std::error::Error;
use std::process::ExitCode;

use arguments::{Arguments, Command, USAGE};
use azurite_tests::azurite::explain;
use azurite_tests::catalogue;
use durabletask_azurestorage::HubClient;
use durabletask_azurestorage::hub::{HubSettings, SettingsSources};
use durabletask_storage::Env;
use durabletask_worker::{StartOptions, TaskHub, shutdown_signal};
use tracing_subscriber::EnvFilter;

/// The recordings' settings.
const HOST_JSON: &str = r#"{
  "version": "2.0",
  "extensions": {
    "durableTask": {
      "hubName": "catalogue",
      "useAppLease": false,
      "storeInputsInOrchestrationHistory": true,
      "storageProvider": {
        "connectionName": "AzureWebJobsStorage",
        "partitionCount": 4,
        "maxQueuePollingInterval": "00:00:01"
      },
      "rust": { "errorMode": "failureDetails" }
    }
  }
}"#;

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = match Arguments::parse(std::env::args().skip(1)) {
        Ok(arguments) => arguments,
        Err(mistake) => {
            eprintln!("{mistake}\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    tracing_subscriber::fmt()
        .with_env_filter(
            EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("warn")),
        )
        .with_writer(std::io::stderr)
        .init();
    match Box::pin(run(arguments)).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{}", explain(&*error));
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Arguments) -> Result<(), Box<dyn Error>> {
    let settings = settings(&arguments)?;
    let hub = TaskHub::open(settings, &Env::system()).await?;
    let client = HubClient::new(hub.clone());
    match arguments.command {
        Command::Worker => return work(&hub, arguments.limit).await,
        Command::Start { name, id, input } => {
            let options = StartOptions {
                instance_id: Some(id),
                ..StartOptions::default()
            };
            let id = client.start(&name, Some(input), options).await?;
            let ended = client.wait(&id, arguments.limit).await?;
            println!("{}", ended.runtime_status);
            println!("{}", ended.output.unwrap_or_default());
        }
        Command::Raise { id, name, payload } => {
            client.raise_event(&id, &name, Some(payload)).await?;
        }
        Command::Terminate { id, reason } => client.terminate(&id, Some(reason)).await?,
        Command::Suspend { id, reason } => client.suspend(&id, Some(reason)).await?,
        Command::Resume { id, reason } => client.resume(&id, Some(reason)).await?,
        Command::Rewind { id, reason } => client.rewind(&id, Some(reason)).await?,
    }
    Ok(())
}

fn settings(arguments: &Arguments) -> Result<HubSettings, Box<dyn Error>> {
    let cpu_count = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let mut sources = SettingsSources::none()
        .with_cpu_count(u32::try_from(cpu_count)?)
        .with_host_json(HOST_JSON);
    for (name, value) in std::env::vars_os() {
        if let (Ok(name), Ok(value)) = (name.into_string(), value.into_string()) {
            sources = sources.with_variable(name, value);
        }
    }
    for (key, value) in &arguments.settings {
        sources = sources.with_override(key, value);
    }
    if let Some(hub) = &arguments.hub {
        sources = sources.with_override("hubName", hub);
    }
    let (settings, warnings) = sources.read()?;
    for warning in warnings {
        eprintln!("warning: {warning}");
    }
    Ok(settings)
}

/// Works until told to stop, or as long as `limit` says, then stops cleanly.
async fn work(hub: &TaskHub, limit: Option<std::time::Duration>) -> Result<(), Box<dyn Error>> {
    let running = catalogue::worker()?.start(hub);
    println!("working on {}", hub.name());
    match limit {
        // Ran out of time: that is what was asked for.
        Some(limit) => drop(hub.env().timeout(limit, shutdown_signal()).await),
        None => shutdown_signal().await,
    }
    if running.stop().await? {
        println!("stopped");
        Ok(())
    } else {
        Err("work was still under way when the worker stopped; it comes back".into())
    }
}
