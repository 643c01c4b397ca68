//! `durabletask poison …`

use durabletask_azurestorage::{HubClient, PoisonMessage};
use serde_json::json;

use crate::cli::PoisonCommand;
use crate::failure::Failure;
use crate::output;

pub(crate) async fn run(
    command: PoisonCommand,
    client: &HubClient,
    as_json: bool,
) -> Result<(), Failure> {
    let poison = client.poison_messages().await?;
    match command {
        PoisonCommand::List => list(&poison, as_json),
        PoisonCommand::Show { id } => {
            let found = find(&poison, &id)?;
            let text = client.poison_text(&found.queue, &id).await?;
            println!("{}", text.ok_or(Failure::NoSuchMessage(id))?);
        }
        PoisonCommand::Requeue { ids, all } => {
            let chosen = if all {
                poison.iter().collect()
            } else {
                let found = ids.iter().map(|id| find(&poison, id));
                found.collect::<Result<Vec<_>, _>>()?
            };
            requeue(client, &chosen, as_json).await?;
        }
    }
    Ok(())
}

fn find<'a>(poison: &'a [PoisonMessage], id: &str) -> Result<&'a PoisonMessage, Failure> {
    let mut all = poison.iter();
    all.find(|message| message.message_id == id)
        .ok_or_else(|| Failure::NoSuchMessage(id.to_owned()))
}

fn list(poison: &[PoisonMessage], as_json: bool) {
    let time = |message: &PoisonMessage| message.set_aside_time.map(|time| time.to_string());
    if as_json {
        for message in poison {
            output::json(&json!({
                "messageId": message.message_id,
                "queue": message.queue,
                "instanceId": message.instance_id,
                "eventType": message.event_type,
                "failures": message.failures,
                "setAsideTime": time(message),
                "error": message.error,
            }));
        }
        return;
    }
    let rows: Vec<_> = poison
        .iter()
        .map(|message| {
            [
                message.message_id.clone(),
                message.queue.clone(),
                message.instance_id.clone().unwrap_or_default(),
                message.event_type.clone().unwrap_or_default(),
                time(message).unwrap_or_default(),
                message.error.clone(),
            ]
        })
        .collect();
    let head = [
        "MESSAGE",
        "QUEUE",
        "INSTANCE",
        "EVENT",
        "SET ASIDE",
        "ERROR",
    ];
    output::table(head, &rows);
}

async fn requeue(
    client: &HubClient,
    chosen: &[&PoisonMessage],
    as_json: bool,
) -> Result<(), Failure> {
    let mut count = 0_u64;
    for message in chosen {
        let (queue, id) = (&message.queue, &message.message_id);
        count += u64::from(client.requeue_poison(queue, id).await?);
    }
    if as_json {
        output::json(&json!({ "requeued": count }));
    } else {
        println!("{count} messages are in their queues again.");
    }
    Ok(())
}
