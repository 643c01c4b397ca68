//! Messages that nobody works off.

use std::time::Duration;

use durabletask_azurestorage::hub::HubOverview;
use durabletask_azurestorage::{TaskHub, TaskHubError};

use super::Trouble;
use crate::failure::Failure;
use crate::output;

/// Messages of a queue that are looked at: as many as one look shows.
const PEEKED_MESSAGES: u32 = 32;
/// Deliveries of a message after which something must be wrong with it.
const MANY_DELIVERIES: u32 = 10;
/// Time that an activity may wait, as the sweeper has it for instances.
const LONGEST_WAIT: Duration = Duration::from_secs(10 * 60);

/// Partitions with messages and without an owner.
pub(super) fn unread(overview: &HubOverview) -> Vec<Trouble> {
    let unread = overview.partitions.iter().filter_map(|partition| {
        let waiting = partition.messages.filter(|messages| *messages > 0)?;
        if partition.owner().is_some() {
            return None;
        }
        let remedy = match partition.next_owner() {
            Some(next) => format!("{next} is to take it, look at that worker if it does not"),
            None => "start a worker".to_owned(),
        };
        let messages = output::count(waiting, "message");
        Some(Trouble {
            sentence: format!(
                "{messages} in {}, which no worker owns; {remedy}",
                partition.queue
            ),
            repair: None,
        })
    });
    unread.collect()
}

/// Messages that come back time and again, and activities that nobody takes. Price: one queue
/// request per queue.
pub(super) async fn unsettled(hub: &TaskHub) -> Result<Vec<Trouble>, Failure> {
    let (names, settings) = (hub.names(), hub.settings());
    let work_items = names.work_item_queue();
    let control = (0..settings.partition_count).map(|index| names.control_queue(index));
    let mut troubles = Vec::new();
    for queue in control.chain([work_items.clone()]) {
        let peeked = hub.account().queues.peek_messages(&queue, PEEKED_MESSAGES);
        let peeked = match peeked.await {
            Err(error) if error.is_not_found() => continue,
            peeked => peeked.map_err(TaskHubError::from)?,
        };
        let returning = peeked
            .iter()
            .filter(|message| message.dequeue_count >= MANY_DELIVERIES);
        if let Some(worst) = returning.max_by_key(|message| message.dequeue_count) {
            troubles.push(Trouble {
                sentence: format!(
                    "message {} in {queue} was received {} times since {} and is still there; \
                     its worker's log says why, and rust.poisonAfter sets such messages aside",
                    worst.id,
                    worst.dequeue_count,
                    output::time(worst.inserted)
                ),
                repair: None,
            });
        }
        let oldest = peeked.iter().map(|message| message.inserted).min();
        let now = hub.account().clock.now();
        let waits = oldest.filter(|oldest| now.saturating_since(*oldest) >= LONGEST_WAIT);
        // Control messages may be old and not yet have been due: timers are.
        if let Some(oldest) = waits.filter(|_| queue == work_items) {
            troubles.push(Trouble {
                sentence: format!(
                    "activities wait in {queue} since {}; start a worker that knows them, or more \
                     workers",
                    output::time(oldest)
                ),
                repair: None,
            });
        }
    }
    Ok(troubles)
}
