//! `durabletask poison …`

use durabletask_azurestorage::{HubClient, PoisonMessage};
use serde_json::json;

use crate::cli::PoisonCommand;
use crate::failure::Failure;
use crate::output::{self, Output};
use crate::progress::Progress;

pub(crate) async fn run(
    command: PoisonCommand,
    client: &HubClient,
    out: Output,
) -> Result<(), Failure> {
    let poison = client.poison_messages().await?;
    match command {
        PoisonCommand::List => list(&poison, out),
        PoisonCommand::Show { id } => show(client, find(&poison, &id)?, out).await,
        PoisonCommand::Requeue { ids, all } => {
            let chosen = if all {
                poison.iter().collect()
            } else {
                let found = ids.iter().map(|id| find(&poison, id));
                found.collect::<Result<Vec<_>, _>>()?
            };
            requeue(client, &chosen, out).await
        }
    }
}

fn find<'a>(poison: &'a [PoisonMessage], id: &str) -> Result<&'a PoisonMessage, Failure> {
    let mut all = poison.iter();
    all.find(|message| message.message_id == id)
        .ok_or_else(|| Failure::NoSuchMessage(id.to_owned()))
}

fn list(poison: &[PoisonMessage], out: Output) -> Result<(), Failure> {
    let head = [
        "MESSAGE",
        "QUEUE",
        "INSTANCE",
        "EVENT",
        "FAILURES",
        "SET ASIDE",
        "ERROR",
    ];
    let mut list = out.list(head, "No message is set aside.");
    list.page();
    for message in poison {
        let text = |value: &Option<String>| value.clone().unwrap_or_default();
        list.add(
            &json!({
                "messageId": message.message_id,
                "queue": message.queue,
                "instanceId": message.instance_id,
                "eventType": message.event_type,
                "failures": message.failures,
                "setAsideTime": message.set_aside_time.map(|time| time.to_string()),
                "error": message.error,
            }),
            [
                message.message_id.clone(),
                message.queue.clone(),
                text(&message.instance_id),
                text(&message.event_type),
                message.failures.to_string(),
                output::time_cell(message.set_aside_time),
                message.error.clone(),
            ],
        )?;
    }
    Ok(list.end()?)
}

async fn show(client: &HubClient, message: &PoisonMessage, out: Output) -> Result<(), Failure> {
    let (queue, id) = (&message.queue, &message.message_id);
    let text = client.poison_text(queue, id).await?;
    let text = text.ok_or_else(|| Failure::NoSuchMessage(id.clone()))?;
    let object = json!({ "messageId": id, "queue": queue, "text": text });
    Ok(out.report(&object, &text)?)
}

async fn requeue(
    client: &HubClient,
    chosen: &[&PoisonMessage],
    out: Output,
) -> Result<(), Failure> {
    let mut progress = Progress::new(out, client.hub().env(), "Putting back");
    let total = chosen.len() as u64;
    let mut count = 0_u64;
    for (done, message) in (0..).zip(chosen) {
        progress.at(done, Some(total), "messages");
        let (queue, id) = (&message.queue, &message.message_id);
        count += u64::from(client.requeue_poison(queue, id).await?);
    }
    drop(progress);
    let messages = output::count(count, "message");
    let verb = if count == 1 { "is" } else { "are" };
    Ok(out.report(
        &json!({ "requeued": count }),
        &format!("{messages} {verb} back in the queue."),
    )?)
}
