//! Azurite for more than one process: `azurite run COMMAND…` starts it, runs the command with
//! `AZURITE_CONNECTION` set, stops it, and ends with the command's exit code. `azurite serve`
//! prints the connection string and runs until its standard input closes; with
//! `--well-known-ports` it is what `UseDevelopmentStorage=true` means.

use std::error::Error;
use std::io::Read;
use std::process::{Command, ExitCode};

use azurite_tests::azurite::{Azurite, AzuriteError, CONNECTION_VARIABLE, explain};

const USAGE: &str =
    "usage: azurite run COMMAND [ARGUMENT…]\n       azurite serve [--well-known-ports]";

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    let task = arguments.next().and_then(|task| task.into_string().ok());
    let outcome = match (task.as_deref(), arguments.next()) {
        (Some("run"), Some(program)) => {
            let mut command = Command::new(program);
            command.args(arguments);
            run(command)
        }
        (Some("serve"), None) => serve(Azurite::start()),
        (Some("serve"), Some(flag)) if flag == "--well-known-ports" => {
            serve(Azurite::start_on_well_known_ports())
        }
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    outcome.unwrap_or_else(|error| {
        eprintln!("{}", explain(error.as_ref()));
        ExitCode::FAILURE
    })
}

fn run(mut command: Command) -> Result<ExitCode, Box<dyn Error>> {
    let azurite = Azurite::start()?;
    let status = command
        .env(CONNECTION_VARIABLE, azurite.connection())
        .status()
        .map_err(|error| {
            format!(
                "{} cannot be started: {error}",
                command.get_program().display()
            )
        })?;
    // Killed by a signal: no code.
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    Ok(ExitCode::from(code.unwrap_or(1)))
}

fn serve(started: Result<Azurite, AzuriteError>) -> Result<ExitCode, Box<dyn Error>> {
    let azurite = started?;
    println!("{}", azurite.connection());
    std::io::stdin().read_to_end(&mut Vec::new())?;
    Ok(ExitCode::SUCCESS)
}
