//! Sending: one message to a control queue or to the work-item queue.

use std::time::Duration;

use bytes::Bytes;
use durabletask_core::{EventKind, OrchestrationInstance, TaskMessage, Timestamp};
use durabletask_storage::{MAX_VISIBILITY_SECONDS, PutCondition, Row};

use crate::TaskHub;
use crate::error::TaskHubError;
use crate::wire::large;
use crate::wire::large::MovedValue;
use crate::wire::message::{self, MessageData};

/// Who sends, for the envelope (chapter 02 §1.4).
#[derive(Debug, Clone)]
pub(crate) struct SenderIdentity {
    pub(crate) instance: OrchestrationInstance,
    /// The sender's episode; `None` from clients.
    pub(crate) episode: Option<i32>,
}

impl SenderIdentity {
    /// A client's.
    pub(crate) fn client() -> Self {
        Self {
            instance: message::client_sender(),
            episode: None,
        }
    }
}

/// A message that is in its queue.
#[derive(Debug)]
pub(crate) struct Sent {
    /// The blob that holds it, if it is large.
    pub(crate) blob: Option<String>,
    /// Monotonic time from which it is visible; `None` for at once.
    visible_at: Option<Duration>,
}

/// A message on its way.
#[derive(Debug)]
pub(crate) struct Sending {
    /// The queue it goes to.
    pub(crate) queue: String,
    /// Event and target.
    pub(crate) message: TaskMessage,
    /// The process's number of this message.
    pub(crate) sequence_number: i64,
}

impl TaskHub {
    /// Sends one message and does not wake its reader. Durable when this returns. Price: one queue
    /// transaction; above 45 KiB also one blob write, and once per hub a container creation.
    pub(crate) async fn send_silently(
        &self,
        sending: &Sending,
        sender: &SenderIdentity,
    ) -> Result<Sent, TaskHubError> {
        let data = MessageData {
            activity_id: self.env().new_uuid(),
            message: sending.message.clone(),
            sequence_number: sending.sequence_number,
            episode: sender.episode,
            sender: sender.instance.clone(),
        };
        let mut json = message::encode(&data);
        let mut blob = None;
        if message::is_large(&json) {
            let name = data.blob_name();
            self.put_large(&name, large::gzip(&json).into()).await?;
            json = message::encode_wrapper(&name);
            blob = Some(name);
        }
        let text = message::to_queue_text(json, self.settings().queue_client_message_encoding);
        let delay = visibility_delay(&data.message, self.env().now());
        self.account()
            .queues
            .put_message(&sending.queue, &text, delay)
            .await?;
        let visible_at = delay.map(|seconds| {
            let delay = Duration::from_secs(seconds.into());
            self.env().monotonic() + delay
        });
        Ok(Sent { blob, visible_at })
    }

    /// Wakes the reader of what was sent, if it is in this process, as soon as it is visible.
    pub(crate) fn announce(&self, queue: &str, sent: &Sent) {
        let signal = self.signal(queue);
        match sent.visible_at {
            None => signal.set(),
            Some(at) => signal.set_at(self.env().monotonic(), at),
        }
    }

    /// Sends one message and wakes its reader if it is in this process.
    pub(crate) async fn send(
        &self,
        sending: &Sending,
        sender: &SenderIdentity,
    ) -> Result<(), TaskHubError> {
        let sent = self.send_silently(sending, sender).await?;
        self.announce(&sending.queue, &sent);
        Ok(())
    }

    /// Takes too large values out of a row; their blobs are to be written before the row, by
    /// [`TaskHub::put_large`].
    pub(crate) fn move_large_values(&self, row: &mut Row) -> Vec<MovedValue> {
        #[allow(clippy::cast_possible_truncation, reason = "half of a random number")]
        large::move_large_values(row, || self.env().random_u64() as u32)
    }

    /// Writes a blob of the large-message container, which is made when first needed. One blob
    /// transaction, three if the container is missing.
    pub(crate) async fn put_large(&self, name: &str, content: Bytes) -> Result<(), TaskHubError> {
        let blobs = &self.account().blobs;
        let container = &self.tables().large_messages;
        let put = |content| blobs.put_blob(container, name, content, PutCondition::Always, None);
        match put(content.clone()).await {
            Err(error) if error.is_not_found() => {
                blobs.create_container(container).await?;
                put(content).await?;
            }
            outcome => drop(outcome?),
        }
        Ok(())
    }
}

/// Seconds for which a message is sent invisible (chapter 02 §3.2); `None` for most. Rounded up,
/// so that nothing fires early (design.md §8; .NET cuts the fraction off).
fn visibility_delay(message: &TaskMessage, now: Timestamp) -> Option<u32> {
    let due = match &message.event.kind {
        EventKind::TimerFired { fire_at, .. } => *fire_at,
        EventKind::ExecutionStarted(started) => started.scheduled_start_time?,
        _ => return None,
    };
    Some(seconds_up(due.saturating_since(now)).min(MAX_VISIBILITY_SECONDS))
}

fn seconds_up(delay: Duration) -> u32 {
    let started_second = u64::from(delay.subsec_nanos() > 0);
    u32::try_from(delay.as_secs() + started_second).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use durabletask_core::HistoryEvent;

    #[test]
    fn timers_never_fire_early() {
        let now: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let delay_of = |fire_at: &str| {
            let fire_at = fire_at.parse().unwrap();
            let kind = EventKind::TimerFired {
                timer_id: 0,
                fire_at,
            };
            let message = TaskMessage {
                event: HistoryEvent::new(now, kind),
                target: OrchestrationInstance::new("i", "e"),
                orchestration_tags: None,
            };
            visibility_delay(&message, now)
        };
        assert_eq!(delay_of("2026-01-01T00:00:01.9930000Z"), Some(2));
        assert_eq!(delay_of("2026-01-01T00:00:02Z"), Some(2));
        assert_eq!(delay_of("2025-01-01T00:00:02Z"), Some(0));
        assert_eq!(
            delay_of("2027-01-01T00:00:02Z"),
            Some(MAX_VISIBILITY_SECONDS)
        );
    }
}
