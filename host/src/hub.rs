//! `durabletask hub …`

use durabletask_azurestorage::hub::{
    HubSettings, create_hub, delete_hub, hub_overview, open_account,
};
use durabletask_storage::Env;
use serde_json::json;

use crate::cli::HubCommand;
use crate::failure::Failure;
use crate::{output, place};

pub(crate) async fn run(
    command: HubCommand,
    settings: HubSettings,
    env: &Env,
    as_json: bool,
) -> Result<(), Failure> {
    match command {
        HubCommand::Create => create(&settings, env, as_json).await,
        HubCommand::Show => show(&settings, env, as_json).await,
        HubCommand::Delete { yes } => delete(&settings, env, yes, as_json).await,
    }
}

async fn create(settings: &HubSettings, env: &Env, as_json: bool) -> Result<(), Failure> {
    let account = open_account(settings, env)?;
    create_hub(&account, settings, env).await?;
    let (name, count) = (&settings.hub_name, settings.partition_count);
    if as_json {
        output::json(&json!({ "taskHub": name, "partitionCount": count }));
    } else {
        println!("Task hub {name} is there, with {count} partitions.");
    }
    Ok(())
}

async fn show(settings: &HubSettings, env: &Env, as_json: bool) -> Result<(), Failure> {
    let account = place::existing(settings, env).await?;
    let overview = hub_overview(&account, settings).await?;
    if as_json {
        let partitions: Vec<_> = overview
            .partitions
            .iter()
            .map(|p| json!({ "queue": p.queue, "messages": p.messages, "owner": p.owner }))
            .collect();
        output::json(&json!({
            "taskHub": settings.hub_name,
            "partitions": partitions,
            "workItems": overview.work_items,
        }));
        return Ok(());
    }
    let queue = |name: String, messages: u64, owner: Option<String>| {
        [name, messages.to_string(), owner.unwrap_or_default()]
    };
    let mut rows: Vec<_> = overview
        .partitions
        .into_iter()
        .map(|p| queue(p.queue, p.messages, p.owner))
        .collect();
    let work_items = settings.names().work_item_queue();
    rows.push(queue(work_items, overview.work_items, None));
    output::table(["QUEUE", "MESSAGES", "OWNER"], &rows);
    Ok(())
}

async fn delete(
    settings: &HubSettings,
    env: &Env,
    yes: bool,
    as_json: bool,
) -> Result<(), Failure> {
    let account = place::existing(settings, env).await?;
    let name = &settings.hub_name;
    if !yes {
        let what = format!("this deletes task hub {name} with all its instances, for ever");
        return Err(Failure::Unconfirmed(what));
    }
    delete_hub(&account, settings).await?;
    if as_json {
        output::json(&json!({ "taskHub": name, "deleted": true }));
    } else {
        println!("Task hub {name} is deleted.");
    }
    Ok(())
}
