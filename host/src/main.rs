//! The `durabletask` program: what operators do with a task hub.

mod cli;
mod confirm;
mod doctor;
mod failure;
mod hub;
mod instances;
mod operations;
mod output;
mod pager;
mod place;
mod poison;
mod progress;
mod purge;
mod watch;

use std::io::Write;
use std::process::ExitCode;

use clap::{CommandFactory, Parser};
use durabletask_azurestorage::HubClient;
use durabletask_storage::Env;
use tracing_subscriber::EnvFilter;

use cli::{Command, CommandLine};
use failure::Failure;
use output::Output;
use place::Place;

fn main() -> ExitCode {
    let line = CommandLine::parse();
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("warn"));
    let log = tracing_subscriber::fmt().with_env_filter(filter);
    log.with_writer(std::io::stderr).init();
    match run(line) {
        Err(failure) if !failure.is_closed_output() => {
            eprintln!("error: {}", failure.explain());
            failure.exit_code()
        }
        _ => ExitCode::SUCCESS,
    }
}

fn run(line: CommandLine) -> Result<(), Failure> {
    if let Command::Completion { shell } = line.command {
        let mut script = Vec::new();
        clap_complete::generate(
            shell,
            &mut CommandLine::command(),
            "durabletask",
            &mut script,
        );
        return Ok(std::io::stdout().write_all(&script)?);
    }
    let place = Place::read(&line.place)?;
    let out = Output { json: line.json };
    let env = Env::system();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        match line.command {
            Command::Hub(command) => hub::run(command, place, &env, out).await,
            Command::Queues => watch::queues(place, &env, out).await,
            Command::Partitions => watch::partitions(place, &env, out).await,
            Command::Scale(scale) => watch::scale(place, &env, &scale, out).await,
            Command::Instances(command) => {
                let client = HubClient::new(place.existing_hub(&env).await?);
                instances::run(command, &client, out).await
            }
            Command::Poison(command) => {
                let client = HubClient::new(place.existing_hub(&env).await?);
                poison::run(command, &client, out).await
            }
            Command::Doctor { repair } => {
                let client = HubClient::new(doctor::hub(place, &env, repair, out).await?);
                doctor::run(&client, repair, out).await
            }
            // Printed before, without settings.
            Command::Completion { .. } => Ok(()),
        }
    })
}
