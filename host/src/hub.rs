//! `durabletask hub …`

use durabletask_azurestorage::hub::{
    HubOverview, HubSettings, LeaseKind, PartitionOverview, create_hub, delete_hub, hub_overview,
};
use durabletask_azurestorage::partition::app_lease_id;
use durabletask_storage::{Account, Env};
use serde_json::{Value, json};

use crate::cli::HubCommand;
use crate::confirm::confirm;
use crate::failure::Failure;
use crate::output::{self, Output};
use crate::place::Place;
use crate::progress::Progress;

pub(crate) async fn run(
    command: HubCommand,
    place: Place,
    env: &Env,
    out: Output,
) -> Result<(), Failure> {
    match command {
        HubCommand::Create => create(place, env, out).await,
        HubCommand::Show => show(place, env, out).await,
        HubCommand::Delete { yes } => delete(place, env, yes, out).await,
    }
}

async fn create(place: Place, env: &Env, out: Output) -> Result<(), Failure> {
    let (account, settings) = place.open(env).await?;
    let progress = Progress::new(out, env, "Creating the hub");
    progress
        .during(create_hub(&account, &settings, env))
        .await?;
    let (name, count) = (&settings.hub_name, settings.partition_count);
    let partitions = output::count(count.into(), "partition");
    Ok(out.report(
        &json!({ "taskHub": name, "partitionCount": count }),
        &format!("Task hub {name} is there, with {partitions}."),
    )?)
}

async fn show(place: Place, env: &Env, out: Output) -> Result<(), Failure> {
    let (account, settings) = place.existing(env).await?;
    let overview = hub_overview(&account, &settings).await?;
    let work_items = settings.names().work_item_queue();
    if out.json {
        let partitions = overview.partitions.iter().map(as_object);
        let app = &overview.app_lease;
        return Ok(output::line(&json!({
            "taskHub": settings.hub_name,
            "partitionManagement": settings.partition_management.name(),
            "appLease": {
                "isHeld": app.is_held,
                "owner": app.owner_id,
                "isOwn": app.owner_id.as_ref().map(|owner| *owner == app_lease_id(&settings.app_name)),
                "wantedBy": app.desired_swap_id,
            },
            "partitions": partitions.collect::<Vec<_>>(),
            "workItems": overview.work_items,
        }))?);
    }
    let management = settings.partition_management.name();
    out.fields(
        &Value::Null,
        &[
            ("Task hub", Some(settings.hub_name.clone())),
            ("Storage", Some(storage(&account, &settings))),
            ("Partition management", Some(management.to_owned())),
            ("App lease", Some(app_lease(&overview, &settings))),
        ],
    )?;
    output::line(&"")?;
    let mut list = out.list(["QUEUE", "MESSAGES", "OWNER", "NEXT OWNER"], "");
    for partition in &overview.partitions {
        let messages = messages(partition.messages);
        let [_, owner, next, _] = as_row(partition);
        list.add(
            &Value::Null,
            [partition.queue.clone(), messages, owner, next],
        )?;
    }
    let (none, any) = (String::new(), "any worker".to_owned());
    let messages = messages(overview.work_items);
    list.add(&Value::Null, [work_items, messages, any, none])?;
    Ok(list.end()?)
}

fn messages(count: Option<u64>) -> String {
    count.map_or_else(|| "missing".to_owned(), |count| count.to_string())
}

/// Where the hub is: a file, or the address of its account, without secrets.
fn storage(account: &Account, settings: &HubSettings) -> String {
    if let Some(file) = settings.embedded_file() {
        return file.display().to_string();
    }
    let container = settings.names().large_message_container();
    let url = account.blobs.container_url(&container);
    let address = url.strip_suffix(&container).unwrap_or(&url);
    address.trim_end_matches('/').to_owned()
}

/// Who holds the app lease, in words. Only a hash of the app's name is stored.
fn app_lease(overview: &HubOverview, settings: &HubSettings) -> String {
    let lease = &overview.app_lease;
    let own = app_lease_id(&settings.app_name);
    let name = |id: &str| {
        if id == app_lease_id("") {
            "an app without a name".to_owned()
        } else if id == own {
            format!("this app, {}", settings.app_name)
        } else {
            format!("another app (lease id {id})")
        }
    };
    let holder = match (&lease.owner_id, lease.is_held) {
        (Some(owner), true) => format!("held by {}", name(owner)),
        (None, true) => "held".to_owned(),
        (Some(owner), false) => format!("free; last held by {}", name(owner)),
        (None, false) => "free".to_owned(),
    };
    match &lease.desired_swap_id {
        Some(wanted) => format!("{holder}, wanted by {}", name(wanted)),
        None => holder,
    }
}

/// A partition for machines.
pub(crate) fn as_object(partition: &PartitionOverview) -> Value {
    let leases = partition.leases.iter().map(|lease| {
        json!({
            "type": lease.kind.name(),
            "holder": lease.holder,
            "isHeld": lease.is_held,
            "expiresAt": lease.expires_at.map(|time| time.to_string()),
        })
    });
    json!({
        "queue": partition.queue,
        "messages": partition.messages,
        "owner": partition.owner(),
        "nextOwner": partition.next_owner(),
        "leases": leases.collect::<Vec<_>>(),
    })
}

/// A partition for people: queue, owner, next owner, and what its leases say.
pub(crate) fn as_row(partition: &PartitionOverview) -> [String; 4] {
    let text = |name: Option<&str>| name.unwrap_or_default().to_owned();
    let leases = partition.leases.iter().map(|lease| {
        let state = match (lease.is_held, &lease.holder, lease.expires_at) {
            (true, _, Some(end)) => format!("held until {}", output::time(end)),
            (true, Some(holder), None) => format!("held by {holder}"),
            (true, None, None) => "held".to_owned(),
            (false, Some(holder), Some(end)) => {
                format!("{holder}'s ran out {}", output::time(end))
            }
            (false, Some(holder), None) => format!("{holder}'s ran out"),
            (false, None, _) => "free".to_owned(),
        };
        match lease.kind {
            LeaseKind::Partition => state,
            kind => format!("{} {state}", kind.name()),
        }
    });
    [
        partition.queue.clone(),
        text(partition.owner()),
        text(partition.next_owner()),
        leases.collect::<Vec<_>>().join(", "),
    ]
}

async fn delete(place: Place, env: &Env, yes: bool, out: Output) -> Result<(), Failure> {
    let (account, settings) = place.existing(env).await?;
    let name = &settings.hub_name;
    if !yes {
        let overview = hub_overview(&account, &settings).await?;
        confirm(out, yes, &what_is_deleted(name, &overview))?;
    }
    let progress = Progress::new(out, env, "Deleting the hub");
    progress.during(delete_hub(&account, &settings)).await?;
    Ok(out.report(
        &json!({ "taskHub": name, "deleted": true }),
        &format!("Task hub {name} is deleted."),
    )?)
}

fn what_is_deleted(name: &str, overview: &HubOverview) -> String {
    let control = overview.partitions.iter().filter_map(|p| p.messages);
    let messages = control.sum::<u64>() + overview.work_items.unwrap_or(0);
    let messages = output::count(messages, "message");
    let mut owners: Vec<_> = overview
        .partitions
        .iter()
        .filter_map(|p| p.owner())
        .collect();
    owners.sort_unstable();
    owners.dedup();
    let workers = match &owners[..] {
        [] => String::new(),
        owners => format!("; stop its workers first, which are {}", owners.join(", ")),
    };
    format!(
        "this deletes task hub {name} with all its instances, their histories and {messages}, \
         for ever{workers}"
    )
}
