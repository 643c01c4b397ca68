//! What can go wrong between a task hub and its users.

use durabletask_storage::StorageError;

use crate::wire::WireError;

/// A task hub operation that failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TaskHubError {
    /// Storage refused or could not be reached.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// A stored message, row or blob is not what any known writer writes.
    #[error("{what} cannot be read: {source}")]
    Unreadable {
        /// The message, row or blob by its id.
        what: String,
        /// What is wrong with it.
        source: WireError,
    },
    /// A value that a row or message refers to is gone.
    #[error("blob {blob} of {what} is missing; it was deleted, or never completely written")]
    MissingBlob {
        /// The message or row that refers to it.
        what: String,
        /// The blob's name in the large-message container.
        blob: String,
    },
    /// The instance exists and its status does not allow a new start.
    #[error(
        "instance {instance_id:?} already exists and is {status}; choose another id, wait for it to end, or allow that status to be replaced"
    )]
    AlreadyExists {
        /// The instance.
        instance_id: String,
        /// Its status.
        status: durabletask_core::OrchestrationStatus,
    },
    /// The row of a running instance changed too often while it was to be replaced.
    #[error(
        "instance {instance_id:?} could not be replaced because it keeps changing; terminate it first, or try again"
    )]
    Busy {
        /// The instance.
        instance_id: String,
    },
    /// There is no such instance.
    #[error(
        "no instance {instance_id:?} in task hub {hub}; check the id, and whether it was purged"
    )]
    NoSuchInstance {
        /// The instance.
        instance_id: String,
        /// The hub.
        hub: String,
    },
    /// Only failures can be rewound.
    #[error("instance {instance_id:?} is {status}; only a Failed instance can be rewound")]
    NotFailed {
        /// The instance.
        instance_id: String,
        /// Its status.
        status: durabletask_core::OrchestrationStatus,
    },
    /// Purging would tear a live instance apart.
    #[error(
        "instance {instance_id:?} is {status}; terminate it and wait for it to end, or force the purge"
    )]
    NotFinished {
        /// The instance.
        instance_id: String,
        /// Its status.
        status: durabletask_core::OrchestrationStatus,
    },
    /// The instance was started again, or otherwise written, during the operation.
    #[error(
        "instance {instance_id:?} was changed meanwhile; its new state is kept, look at it and decide again"
    )]
    ChangedMeanwhile {
        /// The instance.
        instance_id: String,
    },
    /// The instance never ran, or its history was purged.
    #[error("instance {instance_id:?} has no history to rewind; restart it instead")]
    NoHistory {
        /// The instance.
        instance_id: String,
    },
    /// An argument is not acceptable.
    #[error("{0}")]
    InvalidArgument(String),
    /// The instance did not end in time.
    #[error("instance {instance_id:?} did not end within {seconds} s; it goes on")]
    TimedOut {
        /// The instance.
        instance_id: String,
        /// How long was waited.
        seconds: u64,
    },
}

impl TaskHubError {
    /// Something of that name cannot be read.
    pub(crate) fn unreadable(what: impl Into<String>, source: WireError) -> Self {
        Self::Unreadable {
            what: what.into(),
            source,
        }
    }
}
