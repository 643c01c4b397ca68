//! What a command can end with besides success.

use std::error::Error;
use std::process::ExitCode;

use durabletask_azurestorage::TaskHubError;
use durabletask_azurestorage::hub::{HubError, SettingsError};
use durabletask_core::OrchestrationStatus;

/// Why a command did not do what it was asked to. The exit codes are part of the interface.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error(transparent)]
    Settings(#[from] SettingsError),
    #[error(transparent)]
    Hub(#[from] HubError),
    #[error(transparent)]
    TaskHub(#[from] TaskHubError),
    #[error(
        "there is no task hub {0} here; make it with `durabletask hub create`, or name another with --task-hub or --connection"
    )]
    NoSuchHub(String),
    #[error("{0}; say --yes to do it, or run it on a terminal and be asked")]
    Unconfirmed(String),
    #[error("nothing was done")]
    Declined,
    #[error(
        "instance {id:?} is {status} and takes no messages any more; restart it if it is to run again"
    )]
    Ended {
        id: String,
        status: OrchestrationStatus,
    },
    #[error(
        "instance {id:?} is {status}; terminate it or wait for it to end, or say --new-id to run it besides"
    )]
    StillRuns {
        id: String,
        status: OrchestrationStatus,
    },
    #[error("instance {id:?} is {status}")]
    NotCompleted {
        id: String,
        status: OrchestrationStatus,
    },
    #[error("{0} could not be purged; the first are named above, try again")]
    NotPurged(String),
    #[error("{wrong} to mend; {}", how_to_mend(*repairable))]
    NotWell {
        /// How many things, with their noun.
        wrong: String,
        /// How many of them `--repair` mends.
        repairable: u64,
    },
    #[error("no message {0:?} is set aside; `durabletask poison list` shows those that are")]
    NoSuchMessage(String),
    #[error("a queue of task hub {0} is missing; `durabletask hub create` makes it")]
    NoQueues(String),
    #[error(
        "nothing ever expires; set rust.retention.completed, .failed or .terminated in host.json to an age such as \"30.00:00:00\""
    )]
    NoRetention,
    #[error("the program cannot go on")]
    System(#[from] std::io::Error),
}

impl Failure {
    pub(crate) fn exit_code(&self) -> ExitCode {
        ExitCode::from(match self {
            Self::Unconfirmed(_)
            | Self::Declined
            | Self::TaskHub(TaskHubError::InvalidArgument(_)) => 2,
            Self::NoSuchHub(_)
            | Self::NoSuchMessage(_)
            | Self::TaskHub(TaskHubError::NoSuchInstance { .. }) => 3,
            Self::NotCompleted { .. }
            | Self::Ended { .. }
            | Self::StillRuns { .. }
            | Self::TaskHub(
                TaskHubError::NotFailed { .. }
                | TaskHubError::NotFinished { .. }
                | TaskHubError::AlreadyExists { .. },
            ) => 4,
            Self::TaskHub(TaskHubError::TimedOut { .. }) => 5,
            _ => 1,
        })
    }

    /// Whether only nobody reads the output any more, as after `| head`: that is no failure.
    pub(crate) fn is_closed_output(&self) -> bool {
        matches!(self, Self::System(error) if error.kind() == std::io::ErrorKind::BrokenPipe)
    }

    /// The failure with its causes, on one line.
    pub(crate) fn explain(&self) -> String {
        let mut text = self.to_string();
        let mut cause = self.source();
        while let Some(inner) = cause {
            let inner_text = inner.to_string();
            // Some errors quote their cause themselves.
            if !text.contains(&inner_text) {
                text.push_str(": ");
                text.push_str(&inner_text);
            }
            cause = inner.source();
        }
        text
    }
}

fn how_to_mend(repairable: u64) -> String {
    match repairable {
        0 => "each line above says how".to_owned(),
        _ => format!("`durabletask doctor --repair` does it for {repairable}"),
    }
}
