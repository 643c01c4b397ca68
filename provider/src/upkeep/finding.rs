//! What a sweep finds.

use crate::error::TaskHubError;

/// One thing that is wrong with a hub; `Display` is one sentence with the remedy.
#[derive(Debug, thiserror::Error)]
#[error("instance {instance_id:?}: {kind}")]
pub struct Finding {
    /// The instance it concerns.
    pub instance_id: String,
    /// What is wrong.
    pub kind: FindingKind,
    /// Whether this sweep repaired it. False in a dry run, or if somebody else was faster.
    pub is_repaired: bool,
}

impl FindingKind {
    /// Whether a sweep can repair it.
    pub const fn is_repairable(&self) -> bool {
        !matches!(self, Self::Unreadable(_) | Self::LostTask { .. })
    }
}

/// What is wrong with an instance.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FindingKind {
    /// Pending for 10 minutes or more without any history: its start message seems to be lost.
    /// The repair sends it again; should the first one turn up, too, it is a duplicate of the same
    /// execution and dropped.
    #[error(
        "is Pending and never ran; its start message is sent again, which helps unless no worker knows its orchestrator"
    )]
    LostStart,
    /// Rewound 10 minutes ago or more and never woken: the program that rewound it died. The
    /// repair wakes it.
    #[error("was rewound and never woken; a message wakes it")]
    SleepingRewind,
    /// Its history has ended and its row does not say so. The repair brings the row up to date.
    #[error("has ended and its row does not say so; the row is brought up to date")]
    StaleStatus,
    /// Running, and activities of it are neither answered nor in any queue: nobody will ever run
    /// them. Looked for only if asked ([`SweepOptions::lost_tasks`](crate::SweepOptions)). A human
    /// must decide, as inputs of activities are not always kept.
    #[error(
        "activities it waits for are in no queue ({count}, the first is {name}, task {task_id}); terminate and restart it"
    )]
    LostTask {
        /// The first one's task id.
        task_id: i32,
        /// Its name.
        name: String,
        /// How many there are.
        count: usize,
    },
    /// A blob that neither its history nor its row refers to, older than any message that could.
    /// The repair deletes it.
    #[error("blob {blob} ({bytes} bytes) is referred to by nothing; it is deleted")]
    OrphanedBlob {
        /// Its name in the large-message container.
        blob: String,
        /// Its size.
        bytes: u64,
    },
    /// Something of it cannot be read; a human must look.
    #[error("cannot be looked at: {0}; if nobody can mend that, purge it")]
    Unreadable(TaskHubError),
}
