//! Making an episode durable, in the one order that loses nothing (design.md §6, chapter 02 §8):
//! outbound messages, history, instance row, inbound deletes.

use std::collections::HashMap;

use durabletask_core::episode::{CommitPlan, Outbound, RuntimeState};
use durabletask_storage::{Condition, ETag, Row, Value, Write};
use futures::{StreamExt, TryStreamExt, stream};

use super::history::{NewHistory, Written};
use crate::TaskHub;
use crate::dispatch::Pending;
use crate::error::TaskHubError;
use crate::queue::outbox::{SenderIdentity, Sending};
use crate::session::{KnownRow, Loaded};
use crate::wire::instance_row::{self, Checkpoint};

/// What a commit starts from.
#[derive(Debug)]
pub(crate) struct CommitBase<'a> {
    pub(crate) instance_id: &'a str,
    /// The control queue of the session, for timers (chapter 02 §0).
    pub(crate) control_queue: &'a str,
    /// The session before this commit.
    pub(crate) sender: SenderIdentity,
    pub(crate) sentinel: Option<ETag>,
    pub(crate) row: KnownRow,
    /// Blobs of the history as it was loaded.
    pub(crate) blobs: Vec<String>,
    /// Settling of earlier messages: over before history is written (design.md §6).
    pub(crate) settling: &'a Pending,
}

/// How a commit ended, when storage answered.
#[derive(Debug)]
pub(crate) enum Committed {
    /// All durable; the session may go on from here, with its suspended orchestrator.
    Done(Box<Loaded>),
    /// History is durable or somebody else's, or the instance row was written by somebody else;
    /// the session must be loaded anew, and the inbound messages put back: when they come again,
    /// the row is brought to agree with history.
    LoadAnew,
    /// History is durable, and the instance row belongs to a newer execution that a client has
    /// created meanwhile: nothing is left to do for this one.
    Replaced,
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
        let outbound = std::mem::take(&mut plan.outbound);
        let send = self.send_all(base.control_queue, outbound, &base.sender);
        let sends_late = if self.settings().protections.commit_order {
            send.await?;
            None
        } else {
            Some(send)
        };

        let execution_id = plan.state.execution_id().unwrap_or_default().to_owned();
        let new = NewHistory {
            instance_id: base.instance_id,
            execution_id: &execution_id,
            first_row: u64::try_from(plan.first_row).unwrap_or(u64::MAX),
            events: plan.state.new_events(),
            sentinel: base.sentinel.clone(),
        };
        let mut prepared = self.prepare_rows(&new).await?;
        let urls = std::mem::take(&mut prepared.urls);
        let new_blobs = std::mem::take(&mut prepared.blobs);
        base.settling.finished().await;
        let sentinel = match self.write_history(&new, prepared).await? {
            Written::Committed(sentinel) => sentinel,
            Written::LoadAnew => return Ok(Committed::LoadAnew),
        };
        if let Some(send) = sends_late {
            send.await?;
        }

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
        let row = self.row_of(&checkpoint, &plan.state, &base, urls);
        let written = self.write_checkpoint(base.row, row, &plan.state, base.instance_id);
        let row = match written.await? {
            RowWritten::Is(row) => row,
            RowWritten::Refused => return Ok(Committed::LoadAnew),
            RowWritten::OfNext => return Ok(Committed::Replaced),
        };
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
            row,
            read_row: None,
            blobs,
            run: None,
            is_fresh: false,
        })))
    }

    /// Sends the messages of one commit, numbered in list order, several at a time; those to one
    /// instance one after the other, or an event might overtake the start of its receiver, and
    /// vanish.
    async fn send_all(
        &self,
        control_queue: &str,
        outbound: Vec<Outbound>,
        sender: &SenderIdentity,
    ) -> Result<(), TaskHubError> {
        let first = self.next_sequence_numbers(outbound.len());
        let sendings = (first..).zip(outbound).map(|(sequence_number, outbound)| {
            let (queue, receiver, message) = match outbound {
                Outbound::ToInstance(message) => {
                    let receiver = message.target.instance_id.clone();
                    (self.control_queue_of(&receiver), Some(receiver), message)
                }
                Outbound::Timer(message) => (control_queue.to_owned(), None, message),
                Outbound::Activity(message) => {
                    (self.tables().work_items.to_string(), None, message)
                }
            };
            let sending = Sending {
                queue,
                message,
                sequence_number,
            };
            (receiver, sending)
        });
        let limit = usize::try_from(self.settings().max_storage_operation_concurrency)
            .unwrap_or(usize::MAX)
            .max(1);
        stream::iter(lanes(sendings).into_iter().map(Ok))
            .try_for_each_concurrent(limit, |lane| async move {
                for sending in lane {
                    self.send(&sending, sender).await?;
                }
                Ok(())
            })
            .await
    }

    /// The instance row after a commit: what the new events change, or all of it if it is behind.
    /// Each new event comes with the URL of its moved value.
    fn row_of(
        &self,
        checkpoint: &Checkpoint<'_>,
        state: &RuntimeState,
        base: &CommitBase<'_>,
        urls: Vec<Option<String>>,
    ) -> Row {
        let is_known = matches!(
            base.row,
            KnownRow::Is {
                is_behind: false,
                ..
            }
        );
        let past = if is_known { &[] } else { state.past_events() };
        let past = (0_u64..)
            .zip(past)
            .map(|(sequence, event)| (&**event, self.url_of_event(sequence, &base.blobs)));
        let new = state.new_events().iter().map(|event| &**event).zip(urls);
        instance_row::checkpoint_row(checkpoint, past.chain(new))
    }

    /// Writes the instance row over the version that the session knows. Without that condition,
    /// as .NET does it, a write that is late or repeated would put an old state over a newer one,
    /// or over the row of an execution that a client has just created. One table transaction; one
    /// more if it is refused.
    async fn write_checkpoint(
        &self,
        known: KnownRow,
        row: Row,
        state: &RuntimeState,
        instance_id: &str,
    ) -> Result<RowWritten, TaskHubError> {
        let last = row.get("LastUpdatedTime").cloned();
        let write = match known {
            KnownRow::OfNext => return Ok(RowWritten::OfNext),
            KnownRow::Missing => Write::Insert(row),
            KnownRow::Is { etag, .. } => Write::Merge(row, Condition::Matches(etag)),
        };
        let error = match self.write_instance(write).await {
            // Should storage ever name no version, the next write is refused, and the session is
            // loaded anew.
            Ok(etag) => return Ok(RowWritten::Is(etag.map_or(KnownRow::Missing, in_step))),
            Err(error) if error.is_conflict() || error.is_not_found() => error,
            Err(error) => return Err(error.into()),
        };
        let stored = self.instance_row(instance_id, false).await?;
        let known = KnownRow::of(stored.as_ref(), state);
        Ok(match known {
            KnownRow::OfNext => RowWritten::OfNext,
            // Our own, whose answer was lost: events carry distinct ticks.
            KnownRow::Is { etag, .. }
                if error.is_after_unknown()
                    && stored
                        .and_then(|row| row.last_updated_time)
                        .map(Value::from)
                        == last =>
            {
                RowWritten::Is(in_step(etag))
            }
            _ => {
                tracing::warn!(instance_id, %error, "somebody else changed the instance row");
                RowWritten::Refused
            }
        })
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

fn in_step(etag: ETag) -> KnownRow {
    KnownRow::Is {
        etag,
        is_behind: false,
    }
}

/// How the write of an instance row ended.
enum RowWritten {
    Is(KnownRow),
    /// Somebody else wrote it meanwhile.
    Refused,
    /// It was not written: it is that of the next execution.
    OfNext,
}

/// Blobs of a replaced execution deleted at the same time.
const MAX_CONCURRENT_BLOB_DELETES: usize = 16;
/// What can be sent at the same time: messages with the same receiver share a lane, in order;
/// each without one has a lane of its own.
fn lanes<T>(sendings: impl Iterator<Item = (Option<String>, T)>) -> Vec<Vec<T>> {
    let mut lanes: Vec<Vec<T>> = Vec::new();
    let mut of_receiver: HashMap<String, usize> = HashMap::new();
    for (receiver, sending) in sendings {
        let own = lanes.len();
        let lane = receiver.map_or(own, |receiver| *of_receiver.entry(receiver).or_insert(own));
        match lanes.get_mut(lane) {
            Some(lane) => lane.push(sending),
            None => lanes.push(vec![sending]),
        }
    }
    lanes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_to_one_instance_do_not_overtake_each_other() {
        let sendings = [
            (Some("a"), 1),
            (None, 2),
            (Some("b"), 3),
            (Some("a"), 4),
            (None, 5),
        ];
        let sendings = sendings.map(|(receiver, number)| (receiver.map(str::to_owned), number));
        let expected: [&[i32]; 4] = [&[1, 4], &[2], &[3], &[5]];
        assert_eq!(lanes(sendings.into_iter()), expected);
    }
}
