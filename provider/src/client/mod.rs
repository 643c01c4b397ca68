//! What clients do: start, raise events, terminate, suspend, resume, look, wait
//! (chapter 02 §7).

mod purge;
mod query;
mod rewind;
mod start;
mod wait;

use durabletask_core::{EventKind, EventRaised, HistoryEvent, OrchestrationInstance, TaskMessage};

pub use purge::{PurgeFilter, PurgeOptions, PurgeReport};
pub use query::{InstancePage, ListedInstance};
pub use start::{ReplaceExisting, StartOptions};

use crate::TaskHub;
use crate::error::TaskHubError;
use crate::queue::outbox::{SenderIdentity, Sending};
use crate::tracking::status::InstanceStatus;

/// Longest instance id, in UTF-16 code units, as the Functions extension has it.
const MAX_INSTANCE_ID_UNITS: usize = 256;

/// A client of a task hub. Cheap to clone.
#[derive(Debug, Clone)]
pub struct HubClient {
    hub: TaskHub,
}

impl HubClient {
    /// A client of that hub, which must exist in storage. Share the [`TaskHub`] with a worker in
    /// the same process, so that the worker need not poll for what this client sends.
    pub fn new(hub: TaskHub) -> Self {
        Self { hub }
    }

    /// The hub.
    pub fn hub(&self) -> &TaskHub {
        &self.hub
    }

    /// Sends an external event to whichever execution runs. Durable when this returns; not
    /// acknowledged: an event for an unknown or finished instance vanishes, one for a pending
    /// instance waits. One queue transaction.
    pub async fn raise_event(
        &self,
        instance_id: &str,
        name: &str,
        input: Option<String>,
    ) -> Result<(), TaskHubError> {
        let raised = EventRaised {
            name: Some(name.to_owned()),
            input,
            parent_trace_context: None,
        };
        self.send_to(instance_id, EventKind::EventRaised(Box::new(raised)))
            .await
    }

    /// Asks an instance to end as Terminated with `reason` as its output. Its children go on. An
    /// instance that has not started yet is marked and will not start. One queue transaction.
    pub async fn terminate(
        &self,
        instance_id: &str,
        reason: Option<String>,
    ) -> Result<(), TaskHubError> {
        self.send_to(
            instance_id,
            EventKind::ExecutionTerminated { input: reason },
        )
        .await
    }

    /// Asks an instance to stand still until it is resumed. One queue transaction.
    pub async fn suspend(
        &self,
        instance_id: &str,
        reason: Option<String>,
    ) -> Result<(), TaskHubError> {
        self.send_to(instance_id, EventKind::ExecutionSuspended { reason })
            .await
    }

    /// Lets a suspended instance go on. One queue transaction.
    pub async fn resume(
        &self,
        instance_id: &str,
        reason: Option<String>,
    ) -> Result<(), TaskHubError> {
        self.send_to(instance_id, EventKind::ExecutionResumed { reason })
            .await
    }

    /// Where an instance stands, with input and output; `None` if there is no such instance.
    /// Price: see [`TaskHub::status`].
    pub async fn status(&self, instance_id: &str) -> Result<Option<InstanceStatus>, TaskHubError> {
        self.hub.status(instance_id, true).await
    }

    async fn send_to(&self, instance_id: &str, kind: EventKind) -> Result<(), TaskHubError> {
        check_instance_id(instance_id)?;
        self.send_to_any(instance_id, kind).await
    }

    /// Also to instances whose ids no client may choose, such as those of entities.
    pub(crate) async fn send_to_any(
        &self,
        instance_id: &str,
        kind: EventKind,
    ) -> Result<(), TaskHubError> {
        let sending = Sending {
            queue: self.hub.control_queue_of(instance_id),
            message: TaskMessage {
                event: HistoryEvent::new(self.hub.stamp(), kind),
                // Without execution id, so that it survives continue-as-new (chapter 04 §6.4).
                target: OrchestrationInstance::current(instance_id),
                orchestration_tags: None,
            },
            sequence_number: self.hub.next_sequence_numbers(1),
        };
        self.hub.send(&sending, &SenderIdentity::client()).await?;
        Ok(())
    }
}

/// Refuses ids that no orchestration can have.
fn check_instance_id(instance_id: &str) -> Result<(), TaskHubError> {
    let problem = if instance_id.trim().is_empty() {
        "is empty; give it a name"
    } else if instance_id.starts_with('@') {
        "starts with @, which is reserved for entities; choose another"
    } else if instance_id.encode_utf16().count() > MAX_INSTANCE_ID_UNITS {
        "is longer than 256 characters; choose a shorter one"
    } else {
        return Ok(());
    };
    Err(TaskHubError::InvalidArgument(format!(
        "the instance id {instance_id:?} {problem}"
    )))
}
