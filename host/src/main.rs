//! The `durabletask` program: what operators do with a task hub.

mod cli;
mod doctor;
mod failure;
mod hub;
mod instances;
mod operations;
mod output;
mod place;
mod poison;
mod watch;

use std::process::ExitCode;

use clap::{CommandFactory, Parser};
use durabletask_azurestorage::HubClient;
use durabletask_storage::Env;
use tracing_subscriber::EnvFilter;

use cli::{Command, CommandLine};
use failure::Failure;

fn main() -> ExitCode {
    let line = CommandLine::parse();
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("warn"));
    let log = tracing_subscriber::fmt().with_env_filter(filter);
    log.with_writer(std::io::stderr).init();
    match run(line) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("error: {}", failure.explain());
            failure.exit_code()
        }
    }
}

fn run(line: CommandLine) -> Result<(), Failure> {
    if let Command::Completion { shell } = line.command {
        let mut command = CommandLine::command();
        clap_complete::generate(shell, &mut command, "durabletask", &mut std::io::stdout());
        return Ok(());
    }
    let settings = place::settings(&line.place)?;
    let env = Env::system();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        match line.command {
            Command::Hub(command) => hub::run(command, settings, &env, line.json).await,
            Command::Instances(command) => instances::run(command, settings, &env, line.json).await,
            Command::Queues => watch::queues(settings, &env, line.json).await,
            Command::Partitions => watch::partitions(settings, &env, line.json).await,
            Command::Scale(scale) => watch::scale(settings, &env, &scale, line.json).await,
            Command::Poison(command) => {
                let hub = place::existing_hub(settings, &env).await?;
                poison::run(command, &HubClient::new(hub), line.json).await
            }
            Command::Doctor { repair } => {
                let hub = place::existing_hub(settings, &env).await?;
                doctor::run(&HubClient::new(hub), repair, line.json).await
            }
            // Printed before, without settings.
            Command::Completion { .. } => Ok(()),
        }
    })
}
