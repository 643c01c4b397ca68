//! Waiting for an instance.

use std::time::Duration;

use durabletask_core::OrchestrationStatus;
use futures::future::{Either, select};

use super::HubClient;
use crate::error::TaskHubError;
use crate::tracking::status::InstanceStatus;

/// First pause between two looks at an instance that runs elsewhere, in milliseconds.
const MIN_LOOK_PAUSE_MS: u64 = 100;
/// Longest such pause, in milliseconds; .NET looks every 2 s.
const MAX_LOOK_PAUSE_MS: u64 = 2_000;

impl HubClient {
    /// Waits until the instance has ended and returns its status, without its input. An
    /// instance that a worker of this process runs, on the same [`TaskHub`](crate::TaskHub), is
    /// looked at again as soon as it has ended; others after growing pauses of up to 2 s.
    ///
    /// Price: one table transaction per look. Fails with `NoSuchInstance` if it does not exist,
    /// and with `TimedOut` after `limit`.
    pub async fn wait(
        &self,
        instance_id: &str,
        limit: Option<Duration>,
    ) -> Result<InstanceStatus, TaskHubError> {
        let looking = self.look_until_ended(instance_id);
        let Some(limit) = limit else {
            return looking.await;
        };
        match self.hub.env().timeout(limit, looking).await {
            Ok(outcome) => outcome,
            Err(_) => Err(TaskHubError::TimedOut {
                instance_id: instance_id.to_owned(),
                seconds: limit.as_secs(),
            }),
        }
    }

    async fn look_until_ended(&self, instance_id: &str) -> Result<InstanceStatus, TaskHubError> {
        let env = self.hub.env();
        let notify = self.hub.wait_for(instance_id);
        let mut pause_ms = MIN_LOOK_PAUSE_MS;
        loop {
            let mut changed = std::pin::pin!(notify.notified());
            changed.as_mut().enable();
            let row = self.hub.instance_row(instance_id, false).await?;
            let Some(row) = row else {
                return Err(self.hub.no_such_instance(instance_id));
            };
            if row
                .runtime_status
                .is_some_and(OrchestrationStatus::is_terminal)
            {
                return self.hub.status_of(row).await;
            }
            let slept = std::pin::pin!(env.sleep(Duration::from_millis(pause_ms)));
            if let Either::Right(_) = select(changed, slept).await {
                pause_ms = (pause_ms * 2).min(MAX_LOOK_PAUSE_MS);
            }
        }
    }
}
