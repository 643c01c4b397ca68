//! Messages that nobody works off.

use std::time::Duration;

use durabletask_azurestorage::hub::{HubOverview, PartitionOverview};
use durabletask_azurestorage::wire::message::{self, Decoded};
use durabletask_azurestorage::{TaskHub, TaskHubError};
use durabletask_core::EventKind;
use durabletask_storage::PeekedMessage;

use super::Trouble;
use crate::failure::Failure;
use crate::output;

/// Messages of a queue that are looked at: as many as one look shows.
const PEEKED_MESSAGES: u32 = 32;
/// Deliveries of a message after which something must be wrong with it.
const MANY_DELIVERIES: u32 = 10;
/// Time that an activity may wait, as the sweeper has it for instances.
const LONGEST_WAIT: Duration = Duration::from_secs(10 * 60);

/// Messages that wait in vain: in queues that nobody reads, or back time and again, or for a worker
/// that knows them. Messages that are not due yet, such as timers, do not wait. Price: one queue
/// request per queue.
pub(super) async fn unsettled(
    hub: &TaskHub,
    overview: &HubOverview,
) -> Result<Vec<Trouble>, Failure> {
    let mut sentences = Vec::new();
    for partition in &overview.partitions {
        let waiting = peek(hub, &partition.queue).await?;
        if partition.owner().is_none() && !waiting.is_empty() {
            sentences.push(unread(partition));
        }
        sentences.extend(returning(&partition.queue, &waiting));
    }
    let work_items = hub.names().work_item_queue();
    let waiting = peek(hub, &work_items).await?;
    sentences.extend(returning(&work_items, &waiting));
    let oldest = waiting.iter().map(|message| message.inserted).min();
    let now = hub.account().clock.now();
    if let Some(oldest) = oldest.filter(|time| now.saturating_since(*time) >= LONGEST_WAIT) {
        sentences.push(format!(
            "activities wait in {work_items} since {}; start a worker that knows them, or more \
             workers",
            output::time(oldest)
        ));
    }
    sentences.extend(beyond(hub, overview).await?);
    let troubles = sentences.into_iter().map(|sentence| Trouble {
        sentence,
        repair: None,
    });
    Ok(troubles.collect())
}

/// The first visible messages of a queue; none if it is missing.
async fn peek(hub: &TaskHub, queue: &str) -> Result<Vec<PeekedMessage>, Failure> {
    let peeked = hub.account().queues.peek_messages(queue, PEEKED_MESSAGES);
    match peeked.await {
        Err(error) if error.is_not_found() => Ok(Vec::new()),
        peeked => Ok(peeked.map_err(TaskHubError::from)?),
    }
}

/// Control queues that the hub has from another partition count, with messages. Price: one queue
/// request, and one for each of them.
async fn beyond(hub: &TaskHub, overview: &HubOverview) -> Result<Vec<String>, Failure> {
    let queues = &hub.account().queues;
    let prefix = format!("{}-control-", hub.name().to_lowercase());
    let mut sentences = Vec::new();
    for queue in queues
        .list_queues(&prefix)
        .await
        .map_err(TaskHubError::from)?
    {
        let mut partitions = overview.partitions.iter();
        if partitions.any(|partition| partition.queue == queue) {
            continue;
        }
        let messages = queues.count_messages(&queue).await;
        let messages = messages.map_err(TaskHubError::from)?;
        if messages > 0 {
            let messages = output::count(messages, "message");
            let count = hub.settings().partition_count;
            sentences.push(format!(
                "{messages} in {queue}, which no worker reads because the hub has {count} \
                 partitions; set storageProvider.partitionCount back to what it was when they were \
                 sent, or delete that queue if nobody waits for them"
            ));
        }
    }
    Ok(sentences)
}

fn unread(partition: &PartitionOverview) -> String {
    let messages = output::count(partition.messages.unwrap_or(0), "message");
    let remedy = match partition.next_owner() {
        Some(next) => format!("{next} is to take it, look at that worker if it does not"),
        None => "start a worker".to_owned(),
    };
    let queue = &partition.queue;
    format!("{messages} in {queue}, which no worker owns; {remedy}")
}

fn returning(queue: &str, waiting: &[PeekedMessage]) -> Option<String> {
    let worst = waiting.iter().max_by_key(|message| message.dequeue_count)?;
    (worst.dequeue_count >= MANY_DELIVERIES).then(|| {
        let (what, remedy) = described(&worst.text);
        format!(
            "{what} was received {} times from {queue} since {} and is still there; {remedy}",
            worst.dequeue_count,
            output::time(worst.inserted)
        )
    })
}

/// What a message is, without its payload, and what to do if it comes back time and again.
fn described(text: &str) -> (String, &'static str) {
    let decoded = message::from_queue_text(text).and_then(|json| message::decode(&json));
    let logs = "the logs of the workers say why";
    let data = match decoded {
        Ok(Decoded::Message(data)) => data.message,
        Ok(Decoded::InBlob { blob_name }) => return (format!("the message in {blob_name}"), logs),
        Err(_) => {
            let remedy = "with rust.poisonAfter workers set it aside";
            return ("a message that cannot be read".to_owned(), remedy);
        }
    };
    let name = match &data.event.kind {
        EventKind::ExecutionStarted(started) => started.name.as_deref(),
        EventKind::TaskScheduled(task) => task.name.as_deref(),
        _ => None,
    };
    let kind = data.event.event_type().name();
    let instance = &data.target.instance_id;
    match name {
        Some(name) => (
            format!("{kind} {name} of instance {instance:?}"),
            "register that name on every worker, or see in their logs how it crashes",
        ),
        None => (format!("{kind} of instance {instance:?}"), logs),
    }
}
