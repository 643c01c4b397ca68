//! Rewinding and restarting instances (chapter 02 §7.6 and §7.7).

use durabletask_core::{EventKind, OrchestrationStatus};

use super::{HubClient, StartOptions};
use crate::error::TaskHubError;
use crate::tracking::rewind::Rewound;

impl HubClient {
    /// Lets a Failed instance run again from where it failed: failed activities are called again,
    /// failed children are rewound first, whatever had completed stays. The instance is Pending
    /// until it ends. Only history and instance rows of terminal instances are rewritten, each
    /// under its ETag; the wake-up message is durable when this returns.
    ///
    /// If the process dies in the middle, call it again: an instance that was left Pending without
    /// having been woken is woken then. Anything else but Failed is refused with
    /// [`TaskHubError::NotFailed`].
    ///
    /// Price: four table transactions, two or three per failure, and one queue transaction; the
    /// same for each failed descendant.
    pub async fn rewind(
        &self,
        instance_id: &str,
        reason: Option<String>,
    ) -> Result<(), TaskHubError> {
        let hub = &self.hub;
        let row = hub.instance_row(instance_id, false).await?;
        let row = row.ok_or_else(|| hub.no_such_instance(instance_id))?;
        let leaves = if row.runtime_status == Some(OrchestrationStatus::Failed) {
            let mut rewound = Rewound::default();
            hub.rewind_rows(instance_id, Some(row.clone()), &mut rewound)
                .await?;
            rewound.leaves
        } else {
            hub.asleep_below(vec![instance_id.to_owned()], Vec::new())
                .await?
        };
        if leaves.is_empty() {
            return Err(TaskHubError::NotFailed {
                instance_id: instance_id.to_owned(),
                status: row.runtime_status.unwrap_or(OrchestrationStatus::Pending),
            });
        }
        // Children first: should we die in between, the next rewind finds them by their parent,
        // as long as that sleeps.
        for leaf in leaves.into_iter().rev() {
            hub.forget_session(&leaf);
            let data = reason.clone();
            self.send_to_any(&leaf, EventKind::Generic { data }).await?;
        }
        Ok(())
    }

    /// Starts the orchestrator of an instance once more with the same input, under the same id or
    /// a `new_id`, which is returned. Version, tags and scheduled start are not carried over, as
    /// in .NET; with the same id a running instance is refused as by [`HubClient::start`].
    ///
    /// Price: one table transaction and those of a start, and a blob read if the input is large.
    pub async fn restart(&self, instance_id: &str, new_id: bool) -> Result<String, TaskHubError> {
        let hub = &self.hub;
        let row = hub.instance_row(instance_id, true).await?;
        let mut row = row.ok_or_else(|| hub.no_such_instance(instance_id))?;
        let Some(name) = row.name.take() else {
            return Err(TaskHubError::InvalidArgument(format!(
                "instance {instance_id:?} cannot be restarted: its row has no orchestrator name; start it by name instead"
            )));
        };
        let input = hub.input_of(&row).await?;
        let options = StartOptions {
            instance_id: (!new_id).then(|| instance_id.to_owned()),
            ..StartOptions::default()
        };
        self.start(&name, input, options).await
    }
}
