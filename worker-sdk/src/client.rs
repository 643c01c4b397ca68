//! The client: starts orchestrations and talks to them.

use std::time::Duration;

use durabletask_azurestorage::{HubClient, InstanceStatus, StartOptions, TaskHub, TaskHubError};
use durabletask_core::OrchestrationStatus;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{Argument, Failure, Orchestrator, payload};

/// An operation of a client failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// The task hub failed or refused.
    #[error(transparent)]
    Hub(#[from] TaskHubError),
    /// A payload cannot be written or read.
    #[error("{0}")]
    Payload(Failure),
    /// The orchestration has ended without a result.
    #[error("instance {instance_id:?} ended as {status}: {output}")]
    NotCompleted {
        /// The instance.
        instance_id: String,
        /// How it ended.
        status: OrchestrationStatus,
        /// The failure, or the reason of its termination.
        output: String,
    },
}

/// A client of a task hub. Cheap to clone.
///
/// In the process of a worker, give both the same [`TaskHub`]: then the worker is woken by what
/// the client sends, and the client by what the worker completes.
#[derive(Debug, Clone)]
pub struct Client(HubClient);

impl Client {
    /// A client of that hub.
    pub fn new(hub: &TaskHub) -> Self {
        Self(HubClient::new(hub.clone()))
    }

    /// Starts an orchestration under a fresh instance id, which is returned. Durable when this
    /// returns. Price: see [`HubClient::start`].
    pub async fn start<O: Orchestrator>(
        &self,
        orchestrator: O,
        input: impl Argument<O::Input>,
    ) -> Result<String, ClientError> {
        self.start_with(orchestrator, input, StartOptions::default())
            .await
    }

    /// Starts an orchestration with an instance id, a version, tags, or later.
    pub async fn start_with<O: Orchestrator>(
        &self,
        orchestrator: O,
        input: impl Argument<O::Input>,
        options: StartOptions,
    ) -> Result<String, ClientError> {
        drop(orchestrator);
        self.start_by_name(O::NAME, input, options).await
    }

    /// Starts an orchestration by its name.
    pub async fn start_by_name(
        &self,
        name: &str,
        input: impl Serialize,
        options: StartOptions,
    ) -> Result<String, ClientError> {
        let input = write(&input, || format!("the input of '{name}'"))?;
        Ok(self.0.start(name, Some(input), options).await?)
    }

    /// Waits until the orchestration has completed and returns its output.
    pub async fn wait<T: DeserializeOwned + 'static>(
        &self,
        instance_id: &str,
        limit: Option<Duration>,
    ) -> Result<T, ClientError> {
        let status = self.0.wait(instance_id, limit).await?;
        let output = status.output;
        if status.runtime_status != OrchestrationStatus::Completed {
            return Err(ClientError::NotCompleted {
                instance_id: status.instance_id,
                status: status.runtime_status,
                output: output.unwrap_or_default(),
            });
        }
        let what = || format!("the output of {instance_id:?}");
        payload::read(output.as_deref(), what).map_err(ClientError::Payload)
    }

    /// Where an instance stands; `None` if there is no such instance.
    pub async fn status(&self, instance_id: &str) -> Result<Option<InstanceStatus>, ClientError> {
        Ok(self.0.status(instance_id).await?)
    }

    /// Sends an external event. Nothing tells whether the instance takes it.
    pub async fn raise_event(
        &self,
        instance_id: &str,
        name: &str,
        payload: impl Serialize,
    ) -> Result<(), ClientError> {
        let payload = write(&payload, || format!("event '{name}'"))?;
        let raised = self.0.raise_event(instance_id, name, Some(payload));
        Ok(raised.await?)
    }

    /// Asks an instance to end as Terminated with that reason. Its children go on.
    pub async fn terminate(&self, instance_id: &str, reason: &str) -> Result<(), ClientError> {
        let reason = Some(reason.to_owned());
        Ok(self.0.terminate(instance_id, reason).await?)
    }

    /// Asks an instance to stand still until it is resumed.
    pub async fn suspend(&self, instance_id: &str, reason: &str) -> Result<(), ClientError> {
        let reason = Some(reason.to_owned());
        Ok(self.0.suspend(instance_id, reason).await?)
    }

    /// Lets a suspended instance go on.
    pub async fn resume(&self, instance_id: &str, reason: &str) -> Result<(), ClientError> {
        let reason = Some(reason.to_owned());
        Ok(self.0.resume(instance_id, reason).await?)
    }

    /// The client below, which knows texts instead of types.
    pub fn hub_client(&self) -> &HubClient {
        &self.0
    }
}

fn write(value: &impl Serialize, what: impl FnOnce() -> String) -> Result<String, ClientError> {
    payload::write(value, what).map_err(ClientError::Payload)
}
