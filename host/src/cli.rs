//! The command line.

use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use durabletask_core::{OrchestrationStatus, Timestamp};

/// Heading of the options that every command has.
const EVERYWHERE: &str = "For every command";

/// What the exit codes mean; part of the interface.
const EXIT_CODES: &str = "\
Exit codes:
  0  done
  1  failed; for doctor: something is wrong
  2  wrong usage, or not confirmed
  3  no such hub, instance or message
  4  the instance is not in a state for it; for wait: it did not complete
  5  it did not end in time";

/// Looks after durable task hubs in Azure Storage, and in the embedded store.
///
/// Settings come from host.json and local.settings.json in the current folder and from the
/// environment, as the Functions host reads them. Where these do not say how many partitions the
/// hub has and how they are shared, the hub itself is asked.
///
/// Tables are for people, --json is for machines. On a terminal, long tables go through $PAGER,
/// long work shows how far it is, and what destroys something asks first; without a terminal it
/// wants --yes.
#[derive(Debug, Parser)]
#[command(name = "durabletask", version, after_help = EXIT_CODES)]
pub(crate) struct CommandLine {
    #[command(flatten)]
    pub(crate) place: Place,
    /// Print JSON, for machines
    #[arg(long, global = true, help_heading = EVERYWHERE)]
    pub(crate) json: bool,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Which hub.
#[derive(Debug, Args)]
pub(crate) struct Place {
    /// Name of the task hub
    #[arg(long, global = true, value_name = "NAME", help_heading = EVERYWHERE)]
    pub(crate) task_hub: Option<String>,
    /// Name of the connection (an app setting such as Storage, not a connection string)
    #[arg(long, global = true, value_name = "NAME", help_heading = EVERYWHERE)]
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
    /// Show how many messages wait in each queue, and for how long
    Queues,
    /// Show which worker owns each partition, which is to own it next, and its leases
    Partitions,
    /// Say how many workers the hub needs, from what waits in its queues
    Scale(Scale),
    /// Messages that failed too often and were set aside
    #[command(subcommand)]
    Poison(PoisonCommand),
    /// Print a script that completes this program's commands in a shell
    Completion {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Look for tables, queues and leases that are missing, queues that nobody reads, messages that
    /// come back or were set aside, instances that are stuck, rows that are stale and blobs that
    /// nobody needs; exit code 1 if anything is wrong
    Doctor {
        /// Repair what can be repaired; safe beside running workers
        #[arg(long)]
        repair: bool,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Scale {
    /// Workers that run now; those that own partitions if absent
    #[arg(long, value_name = "N")]
    pub(crate) workers: Option<usize>,
    /// Looks at the queues; a recommendation wants five
    #[arg(long, value_name = "N", default_value_t = 5)]
    pub(crate) looks: u32,
    /// Seconds between two looks
    #[arg(long, value_name = "SECONDS", value_parser = seconds, default_value = "2")]
    pub(crate) pause: Duration,
}

#[derive(Debug, Subcommand)]
pub(crate) enum PoisonCommand {
    /// List them
    List,
    /// Print the text of one, as it was in its queue
    Show {
        /// The message
        id: String,
    },
    /// Put messages back into their queues
    Requeue {
        /// The messages
        #[arg(required_unless_present = "all")]
        ids: Vec<String>,
        /// All of them
        #[arg(long, conflicts_with = "ids")]
        all: bool,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum HubCommand {
    /// Make what is missing of the hub
    Create,
    /// Show how it is shared: app lease, partitions, their owners and queues
    Show,
    /// Delete the hub with all its instances; stop its workers first
    Delete {
        /// Do not ask; without a terminal nothing is done without it (exit code 2)
        #[arg(long)]
        yes: bool,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum InstancesCommand {
    /// Show where an instance stands, with its input and output
    Show {
        /// The instance
        id: String,
    },
    /// Start an orchestration; prints its instance id
    Start(Start),
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
        /// Do not ask; without a terminal nothing is done without it (exit code 2)
        #[arg(long)]
        yes: bool,
    },
    /// List instances
    List {
        #[command(flatten)]
        filter: Filter,
        /// Instances to list at most; if absent 100, or all of them with --json or through a pager
        #[arg(long, value_name = "N")]
        limit: Option<usize>,
    },
    /// Show the history of an instance; with --json as .NET exports it
    History {
        /// The instance
        id: String,
    },
    /// Let a running instance stand still
    Suspend(WithReason),
    /// Let a suspended instance go on
    Resume(WithReason),
    /// Let a failed instance run again from where it failed
    Rewind(WithReason),
    /// Start an instance that has ended once more with the same input; prints its instance id
    Restart {
        /// The instance
        id: String,
        /// Under a fresh instance id; without it, the new run replaces the old one and its history
        #[arg(long)]
        new_id: bool,
    },
    /// Remove finished instances with all they left behind
    Purge(Purge),
    /// Wait until an instance has ended, and show it: exit code 0 if it completed, 4 if it ended
    /// otherwise, 5 if it did not end in time
    Wait {
        /// The instance
        id: String,
        /// Seconds to wait; as long as it takes if absent
        #[arg(long, value_name = "SECONDS", value_parser = seconds)]
        timeout: Option<Duration>,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Start {
    /// Name of the orchestrator
    pub(crate) name: String,
    /// Instance id; a fresh one if absent. One that has ended is replaced, with its history
    #[arg(long)]
    pub(crate) id: Option<String>,
    /// Input as JSON
    #[arg(long, value_name = "JSON", value_parser = json)]
    pub(crate) input: Option<String>,
    /// Version of the orchestrator
    #[arg(long = "orchestrator-version", value_name = "VERSION")]
    pub(crate) version: Option<String>,
}

/// Which instances.
#[derive(Debug, Args)]
pub(crate) struct Filter {
    /// Ids that start so
    #[arg(long)]
    pub(crate) prefix: Option<String>,
    /// With this status; may be repeated
    #[arg(long, value_parser = status)]
    pub(crate) status: Vec<OrchestrationStatus>,
    /// Created at or after this time, such as 2026-01-31T12:00:00Z
    #[arg(long, value_name = "TIME")]
    pub(crate) created_from: Option<Timestamp>,
    /// Created at or before this time
    #[arg(long, value_name = "TIME")]
    pub(crate) created_to: Option<Timestamp>,
}

/// An instance, and why something is done to it.
#[derive(Debug, Args)]
pub(crate) struct WithReason {
    /// The instance
    pub(crate) id: String,
    /// Why
    #[arg(long)]
    pub(crate) reason: Option<String>,
}

#[derive(Debug, Args)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "they are the switches of the command line"
)]
pub(crate) struct Purge {
    /// The instance; all that match the filter if absent
    #[arg(conflicts_with_all = ["prefix", "status", "created_from", "created_to"])]
    pub(crate) id: Option<String>,
    #[command(flatten)]
    pub(crate) filter: Filter,
    /// Those that have ended longer ago than rust.retention in host.json keeps them, as a Rust
    /// worker does by itself
    #[arg(long, conflicts_with_all = ["id", "prefix", "status", "created_from", "created_to", "force"])]
    pub(crate) expired: bool,
    /// Live instances, too
    #[arg(long)]
    pub(crate) force: bool,
    /// Only count what matches
    #[arg(long, conflicts_with = "id")]
    pub(crate) dry_run: bool,
    /// Instances per second, at most, 0 for no limit; if absent 100, for expired ones as in host.json
    #[arg(long, value_name = "N")]
    pub(crate) per_second: Option<u32>,
    /// Do not ask; without a terminal nothing is done without it (exit code 2)
    #[arg(long)]
    pub(crate) yes: bool,
}

fn status(text: &str) -> Result<OrchestrationStatus, String> {
    let mut all = OrchestrationStatus::ALL.into_iter();
    all.find(|status| status.name().eq_ignore_ascii_case(text))
        .ok_or_else(|| {
            let names = OrchestrationStatus::ALL.map(OrchestrationStatus::name);
            format!("a status is one of {}", names.join(", "))
        })
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
