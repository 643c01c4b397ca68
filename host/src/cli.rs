//! The command line.

use std::time::Duration;

use clap::{Args, Parser, Subcommand};

/// Looks after durable task hubs in Azure Storage, and in the embedded store.
///
/// Settings come from host.json and local.settings.json in the current folder and from the
/// environment, as the Functions host reads them. Exit codes: 0 done, 1 failed, 2 wrong usage, 3
/// no such hub or instance, 4 the instance has ended (for wait: did not complete), 5 it did not end
/// in time.
#[derive(Debug, Parser)]
#[command(name = "durabletask", version)]
pub(crate) struct CommandLine {
    #[command(flatten)]
    pub(crate) place: Place,
    /// Print JSON, for machines
    #[arg(long, global = true)]
    pub(crate) json: bool,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Which hub.
#[derive(Debug, Args)]
pub(crate) struct Place {
    /// Name of the task hub
    #[arg(long, global = true, value_name = "NAME")]
    pub(crate) task_hub: Option<String>,
    /// Name of the connection (an app setting such as Storage, not a connection string)
    #[arg(long, global = true, value_name = "NAME")]
    pub(crate) connection: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// The task hub as a whole
    #[command(subcommand)]
    Hub(HubCommand),
    /// Orchestration instances
    #[command(subcommand)]
    Instances(InstancesCommand),
}

#[derive(Debug, Subcommand)]
pub(crate) enum HubCommand {
    /// Make what is missing of the hub
    Create,
    /// Show its partitions, their owners and queues
    Show,
    /// Delete the hub with all its instances; stop its workers first
    Delete {
        /// Really do it
        #[arg(long)]
        yes: bool,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum InstancesCommand {
    /// Show where an instance stands
    Show {
        /// The instance
        id: String,
    },
    /// Start an orchestration; prints its instance id
    Start {
        /// Name of the orchestrator
        name: String,
        /// Instance id; a fresh one if absent
        #[arg(long)]
        id: Option<String>,
        /// Input as JSON
        #[arg(long, value_name = "JSON", value_parser = json)]
        input: Option<String>,
        /// Version of the orchestrator
        #[arg(long = "orchestrator-version", value_name = "VERSION")]
        version: Option<String>,
    },
    /// Send an external event
    Raise {
        /// The instance
        id: String,
        /// Name of the event
        event: String,
        /// Payload as JSON
        #[arg(long, value_name = "JSON", value_parser = json)]
        input: Option<String>,
    },
    /// End a running instance
    Terminate {
        /// The instance
        id: String,
        /// Why; becomes its output
        #[arg(long)]
        reason: Option<String>,
        /// Really do it
        #[arg(long)]
        yes: bool,
    },
    /// Wait until an instance has ended
    Wait {
        /// The instance
        id: String,
        /// Seconds to wait; as long as it takes if absent
        #[arg(long, value_name = "SECONDS", value_parser = seconds)]
        timeout: Option<Duration>,
    },
}

/// JSON text as it is to be stored.
fn json(text: &str) -> Result<String, String> {
    match serde_json::from_str::<&serde_json::value::RawValue>(text) {
        Ok(value) => Ok(value.get().to_owned()),
        Err(error) => Err(format!(
            "not JSON: {error}; a string wants quotes: '\"text\"'"
        )),
    }
}

fn seconds(text: &str) -> Result<Duration, std::num::ParseIntError> {
    text.parse().map(Duration::from_secs)
}
