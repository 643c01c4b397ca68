//! A session's episode: run, make durable, settle its messages.

use durabletask_core::OrchestrationInstance;

use super::Loaded;
use super::drive::{Driver, Left};
use crate::dispatch::episodes::Ran;
use crate::error::TaskHubError;
use crate::partition::PartitionId;
use crate::queue::inbound::Inbound;
use crate::queue::outbox::SenderIdentity;
use crate::tracking::commit::{CommitBase, Committed};

impl Driver {
    /// Runs an episode over the accepted messages and makes it durable; then they and the known
    /// ones are deleted.
    pub(super) async fn run_and_commit(
        &self,
        partition: PartitionId,
        mut loaded: Box<Loaded>,
        accepted: Vec<Inbound>,
        known: Vec<Inbound>,
    ) -> Result<Left, TaskHubError> {
        let context = &self.context;
        let instance_id = &self.instance_id;
        let messages = accepted.iter().map(|m| m.message().clone()).collect();
        let sender = self.sender(&loaded, &accepted);
        let first_id = accepted
            .first()
            .map_or_else(String::new, |m| m.held.id.clone());
        let settled = accepted.into_iter().chain(known).collect();
        let run = loaded.run.take();
        let (plan, run) = match context.run_episode(loaded.state, run, messages).await {
            Ran::Plan(plan, run) => (plan, run),
            Ran::Nothing(state) => {
                loaded.state = state;
                return self.leave_alone(loaded, settled).await;
            }
            Ran::NotOurs(what, name) => {
                let names = || context.orchestrators.names();
                context.unknown.report(what, &name, &first_id, names);
                self.put_back(settled);
                return Ok(Left::default());
            }
            Ran::Refused(error) => {
                tracing::error!(instance_id, %error, "an episode is not committed; its messages are put back");
                self.put_back(settled);
                return Ok(Left::default());
            }
        };
        if !context.ownership.is_fresh(partition) {
            self.hand_back(settled);
            return Ok(Left::default());
        }
        let control_queue = context.hub.names().control_queue(partition.index());
        let base = CommitBase {
            instance_id,
            control_queue: &control_queue,
            sender,
            sentinel: loaded.sentinel,
            row: loaded.row,
            blobs: loaded.blobs,
            settling: &self.settling,
        };
        match context.hub.commit(base, *plan).await? {
            Committed::LoadAnew => {
                self.put_back(settled);
                Ok(Left::default())
            }
            Committed::Replaced => {
                self.delete(settled);
                Ok(Left::default())
            }
            Committed::Done(next) => {
                self.delete(settled);
                if next.state.status().is_terminal() {
                    context.hub.instance_changed(instance_id);
                }
                Ok(self.keep(Box::new(Loaded { run, ..*next })))
            }
        }
    }

    /// Who sends this episode's messages: the session as it is before the commit, or the start
    /// message's execution (chapter 02 §1.4).
    fn sender(&self, loaded: &Loaded, accepted: &[Inbound]) -> SenderIdentity {
        let first = || accepted.iter().find_map(|m| m.message().event.as_started());
        let started = loaded.state.started().or_else(first);
        let current = || OrchestrationInstance::current(&self.instance_id);
        let episode = loaded.state.episodes().saturating_add(1);
        SenderIdentity {
            instance: started.map_or_else(current, |started| started.instance.clone()),
            episode: Some(i32::try_from(episode).unwrap_or(i32::MAX)),
        }
    }
}
