//! Making an episode durable, in the one order that loses nothing (design.md §6, chapter 02 §8):
//! outbound messages, history, instance row, inbound deletes.

use std::sync::Arc;

use durabletask_core::episode::{CommitPlan, Outbound, RuntimeState};
use durabletask_core::{HistoryEvent, OrchestrationInstance};
use durabletask_storage::{Condition, ETag, Write};
use futures::{StreamExt, TryStreamExt, stream};

use super::history::{NewHistory, Written};
use crate::TaskHub;
use crate::error::TaskHubError;
use crate::queue::outbox::{SenderIdentity, Sending};
use crate::session::Loaded;
use crate::wire::instance_row::{self, Checkpoint};

/// What a commit starts from.
#[derive(Debug)]
pub(crate) struct CommitBase<'a> {
    pub(crate) instance_id: &'a str,
    /// The control queue of the session, for timers (chapter 02 §0).
    pub(crate) control_queue: &'a str,
    /// The session's identity before this commit.
    pub(crate) sender: OrchestrationInstance,
    /// The number of this episode in the execution as it was loaded: after continue-as-new, too,
    /// .NET counts on for the messages of that commit.
    pub(crate) episode: u32,
    pub(crate) sentinel: Option<ETag>,
    pub(crate) instance_etag: Option<ETag>,
    /// Blobs of the history as it was loaded.
    pub(crate) blobs: Vec<String>,
}

/// How a commit ended, when storage answered.
#[derive(Debug)]
pub(crate) enum Committed {
    /// All durable; the session may go on from here, with its suspended orchestrator.
    Done(Box<Loaded>),
    /// History is durable or somebody else's; the session must be loaded anew, and the inbound
    /// messages put back.
    LoadAnew,
}

impl TaskHub {
    /// Carries out a commit plan up to and including the instance row. Price: one queue
    /// transaction per outbound message, one table transaction per 99 rows, one for the instance
    /// row, blob transactions for large values.
    pub(crate) async fn commit(
        &self,
        base: CommitBase<'_>,
        mut plan: CommitPlan,
    ) -> Result<Committed, TaskHubError> {
        let sender = SenderIdentity {
            instance: base.sender,
            episode: Some(i32::try_from(base.episode).unwrap_or(i32::MAX)),
        };
        let outbound = std::mem::take(&mut plan.outbound);
        self.send_all(base.control_queue, outbound, &sender).await?;

        let execution_id = plan.state.execution_id().unwrap_or_default().to_owned();
        let new = NewHistory {
            instance_id: base.instance_id,
            execution_id: &execution_id,
            first_row: u64::try_from(plan.first_row).unwrap_or(u64::MAX),
            events: plan.state.new_events(),
            sentinel: base.sentinel,
        };
        let mut prepared = self.prepare_rows(&new).await?;
        let urls = std::mem::take(&mut prepared.urls);
        let new_blobs = std::mem::take(&mut prepared.blobs);
        let sentinel = match self.write_history(&new, prepared).await? {
            Written::Committed(sentinel) => sentinel,
            Written::LoadAnew => return Ok(Committed::LoadAnew),
        };

        let replaced = if plan.execution_changed {
            base.blobs.clone()
        } else {
            Vec::new()
        };
        let checkpoint = Checkpoint {
            instance_id: base.instance_id,
            execution_id: &execution_id,
            custom_status: plan.state.custom_status(),
            hub: self.name(),
            now: self.env().now(),
            replaces_blobs: !replaced.is_empty(),
        };
        let instance_etag = self
            .write_checkpoint(
                &checkpoint,
                plan.state.new_events(),
                urls,
                base.instance_etag,
            )
            .await?;
        self.delete_blobs(&replaced).await;

        let mut blobs = if plan.execution_changed {
            Vec::new()
        } else {
            base.blobs
        };
        blobs.extend(new_blobs);
        plan.state.committed();
        Ok(Committed::Done(Box::new(Loaded {
            state: plan.state,
            sentinel,
            instance_etag,
            blobs,
            run: None,
            is_fresh: false,
        })))
    }

    /// Sends the messages of one commit, numbered in list order, several at a time.
    async fn send_all(
        &self,
        control_queue: &str,
        outbound: Vec<Outbound>,
        sender: &SenderIdentity,
    ) -> Result<(), TaskHubError> {
        let first = self.next_sequence_numbers(outbound.len());
        let sendings = (first..).zip(outbound).map(|(sequence_number, outbound)| {
            let (queue, message) = match outbound {
                Outbound::ToInstance(message) => {
                    (self.control_queue_of(&message.target.instance_id), message)
                }
                Outbound::Timer(message) => (control_queue.to_owned(), message),
                Outbound::Activity(message) => (self.tables().work_items.to_string(), message),
            };
            Sending {
                queue,
                message,
                sequence_number,
            }
        });
        let limit = usize::try_from(self.settings().max_storage_operation_concurrency)
            .unwrap_or(usize::MAX)
            .max(1);
        stream::iter(sendings.map(Ok))
            .try_for_each_concurrent(limit, |sending| async move {
                self.send(&sending, sender).await.map(drop)
            })
            .await
    }

    async fn write_checkpoint(
        &self,
        checkpoint: &Checkpoint<'_>,
        new_events: &[Arc<HistoryEvent>],
        urls: Vec<Option<String>>,
        etag: Option<ETag>,
    ) -> Result<Option<ETag>, TaskHubError> {
        let events = new_events.iter().map(|event| &**event).zip(urls);
        let row = instance_row::checkpoint_row(checkpoint, events);
        let write = match (self.settings().use_instance_table_etag, etag) {
            (false, _) => Write::InsertOrMerge(row),
            (true, None) => Write::Insert(row),
            (true, Some(etag)) => Write::Merge(row, Condition::Matches(etag)),
        };
        let table = &self.tables().instances;
        Ok(self.account().tables.write(table, write).await?)
    }

    /// Removes blobs that nothing refers to any more. One that cannot be removed is left to purge
    /// and sweeper.
    async fn delete_blobs(&self, names: &[String]) {
        let container = &self.tables().large_messages;
        stream::iter(names)
            .for_each_concurrent(MAX_CONCURRENT_BLOB_DELETES, |name| async move {
                let blobs = &self.account().blobs;
                if let Err(error) = blobs.delete_blob(container, name, None).await {
                    tracing::warn!(%error, "an unused blob could not be deleted");
                }
            })
            .await;
    }
}

/// Blobs of a replaced execution deleted at the same time.
const MAX_CONCURRENT_BLOB_DELETES: usize = 16;

impl CommitBase<'_> {
    /// The identity under which a session sends: as loaded, or of the start message.
    pub(crate) fn sender_of(instance_id: &str, state: &RuntimeState) -> OrchestrationInstance {
        state.started().map_or_else(
            || OrchestrationInstance::current(instance_id),
            |started| started.instance.clone(),
        )
    }
}
