//! The client: starts orchestrations and talks to them, from any process.

use std::time::Duration;

use durabletask_azurestorage::{HubClient, InstanceStatus, StartOptions, TaskHub, TaskHubError};
use durabletask_core::OrchestrationStatus;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::failure::Failure;
use crate::payload;
use crate::task::{Argument, Orchestrator, version_of};

/// A client operation failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// The task hub refused it or could not be reached.
    #[error(transparent)]
    Hub(#[from] TaskHubError),
    /// A value could not be written as JSON, or a result is not of the expected type.
    #[error("{0}")]
    Payload(String),
    /// The orchestration did not complete.
    #[error("orchestration {instance_id:?} is {status}: {}", output.as_deref().unwrap_or("no output"))]
    NotCompleted {
        /// The instance.
        instance_id: String,
        /// How it ended.
        status: OrchestrationStatus,
        /// Failure text or the reason of the termination.
        output: Option<String>,
    },
}

/// Starts orchestrations in a task hub, raises events, terminates, waits.
///
/// Cheap to clone. In a process that also runs a [`Worker`](crate::Worker), make both from the
/// same [`TaskHub`]: then nobody waits for a poll.
#[derive(Debug, Clone)]
pub struct Client {
    pub(crate) hub: HubClient,
}

impl Client {
    /// A client of that hub.
    pub fn new(hub: &TaskHub) -> Self {
        Self {
            hub: HubClient::new(hub.clone()),
        }
    }

    /// Starts an orchestration under a fresh id, which is returned. Durable when this returns; one
    /// queue and two table transactions.
    pub async fn start<O: Orchestrator>(
        &self,
        orchestrator: O,
        input: impl Argument<O::Input>,
    ) -> Result<String, ClientError> {
        self.start_with(orchestrator, input, StartOptions::default())
            .await
    }

    /// Starts an orchestration with an instance id, tags, a version or a start time of your own.
    pub async fn start_with<O: Orchestrator>(
        &self,
        orchestrator: O,
        input: impl Argument<O::Input>,
        mut options: StartOptions,
    ) -> Result<String, ClientError> {
        drop(orchestrator);
        options.version = version_of::<O>(options.version);
        self.start_by_name(O::NAME, &input, options).await
    }

    /// Starts an orchestration that may be written in another language.
    pub async fn start_by_name<T: Serialize + ?Sized>(
        &self,
        name: &str,
        input: &T,
        options: StartOptions,
    ) -> Result<String, ClientError> {
        let input = to_json(input, || format!("the input of {name}"))?;
        Ok(self.hub.start(name, Some(input), options).await?)
    }

    /// Starts an orchestration, waits until it has ended, and returns its output.
    pub async fn run<O: Orchestrator>(
        &self,
        orchestrator: O,
        input: impl Argument<O::Input>,
    ) -> Result<O::Output, ClientError> {
        let instance_id = self.start(orchestrator, input).await?;
        self.output(&instance_id, None).await
    }

    /// Sends an external event. Durable when this returns, and not acknowledged: an event for an
    /// unknown or finished instance vanishes. One queue transaction.
    pub async fn raise_event<T: Serialize + ?Sized>(
        &self,
        instance_id: &str,
        name: &str,
        payload: &T,
    ) -> Result<(), ClientError> {
        let input = to_json(payload, || format!("the payload of event {name}"))?;
        Ok(self.hub.raise_event(instance_id, name, Some(input)).await?)
    }

    /// Asks an instance to end as Terminated with that reason. Its children go on.
    pub async fn terminate(&self, instance_id: &str, reason: &str) -> Result<(), ClientError> {
        let reason = Some(reason.to_owned());
        Ok(self.hub.terminate(instance_id, reason).await?)
    }

    /// Asks an instance to stand still until [`Client::resume`].
    pub async fn suspend(&self, instance_id: &str, reason: &str) -> Result<(), ClientError> {
        let reason = Some(reason.to_owned());
        Ok(self.hub.suspend(instance_id, reason).await?)
    }

    /// Lets a suspended instance go on.
    pub async fn resume(&self, instance_id: &str, reason: &str) -> Result<(), ClientError> {
        let reason = Some(reason.to_owned());
        Ok(self.hub.resume(instance_id, reason).await?)
    }

    /// Where an instance stands; `None` if there is no such instance. One table transaction.
    pub async fn status(&self, instance_id: &str) -> Result<Option<InstanceStatus>, ClientError> {
        Ok(self.hub.status(instance_id).await?)
    }

    /// Waits until the instance has ended, however it ended.
    pub async fn wait(
        &self,
        instance_id: &str,
        limit: Option<Duration>,
    ) -> Result<InstanceStatus, ClientError> {
        Ok(self.hub.wait(instance_id, limit).await?)
    }

    /// Waits until the instance has completed and returns its output. Fails with
    /// [`ClientError::NotCompleted`] if it ended otherwise.
    pub async fn output<T: DeserializeOwned + 'static>(
        &self,
        instance_id: &str,
        limit: Option<Duration>,
    ) -> Result<T, ClientError> {
        let ended = self.wait(instance_id, limit).await?;
        if ended.runtime_status != OrchestrationStatus::Completed {
            return Err(ClientError::NotCompleted {
                instance_id: ended.instance_id,
                status: ended.runtime_status,
                output: ended.output,
            });
        }
        payload::read(ended.output.as_deref(), || {
            format!("the output of {instance_id}")
        })
        .map_err(|failure| payload_error(&failure))
    }
}

fn to_json<T: Serialize + ?Sized>(
    value: &T,
    what: impl FnOnce() -> String,
) -> Result<String, ClientError> {
    payload::write(value, what).map_err(|failure| payload_error(&failure))
}

fn payload_error(failure: &Failure) -> ClientError {
    ClientError::Payload(failure.message().to_owned())
}
