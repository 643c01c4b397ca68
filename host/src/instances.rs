//! `durabletask instances …`

use durabletask_azurestorage::hub::HubSettings;
use durabletask_azurestorage::{HubClient, InstanceStatus, StartOptions, TaskHubError};
use durabletask_core::{OrchestrationStatus, Timestamp};
use durabletask_storage::Env;
use serde_json::json;

use crate::cli::{InstancesCommand, WithReason};
use crate::failure::Failure;
use crate::{operations, output, place};

pub(crate) async fn run(
    command: InstancesCommand,
    settings: HubSettings,
    env: &Env,
    as_json: bool,
) -> Result<(), Failure> {
    let client = HubClient::new(place::existing_hub(settings, env).await?);
    match command {
        InstancesCommand::Show { id } => show(&find(&client, &id).await?, as_json),
        InstancesCommand::Start {
            name,
            id,
            input,
            version,
        } => {
            let options = StartOptions {
                instance_id: id,
                version,
                ..StartOptions::default()
            };
            let id = client.start(&name, input, options).await?;
            report_id(&id, as_json);
        }
        InstancesCommand::Raise { id, event, input } => {
            find_running(&client, &id).await?;
            client.raise_event(&id, &event, input).await?;
            report(
                &id,
                &format!("Event {event} is on its way to {id}."),
                as_json,
            );
        }
        InstancesCommand::Terminate { id, reason, yes } => {
            find_running(&client, &id).await?;
            if !yes {
                let what = format!("this ends instance {id} for ever");
                return Err(Failure::Unconfirmed(what));
            }
            client.terminate(&id, reason).await?;
            report(&id, &format!("{id} was told to end."), as_json);
        }
        InstancesCommand::List { filter, limit } => {
            operations::list(&client, filter, limit, as_json).await?;
        }
        InstancesCommand::History { id } => {
            find(&client, &id).await?;
            operations::history(&client, &id, as_json).await?;
        }
        InstancesCommand::Suspend(WithReason { id, reason }) => {
            find_running(&client, &id).await?;
            client.suspend(&id, reason).await?;
            report(&id, &format!("{id} was told to stand still."), as_json);
        }
        InstancesCommand::Resume(WithReason { id, reason }) => {
            find_running(&client, &id).await?;
            client.resume(&id, reason).await?;
            report(&id, &format!("{id} was told to go on."), as_json);
        }
        InstancesCommand::Rewind(WithReason { id, reason }) => {
            client.rewind(&id, reason).await?;
            report(&id, &format!("{id} is rewound and runs again."), as_json);
        }
        InstancesCommand::Restart { id, new_id } => {
            let id = client.restart(&id, new_id).await?;
            report_id(&id, as_json);
        }
        InstancesCommand::Purge(purge) => operations::purge(&client, purge, as_json).await?,
        InstancesCommand::Wait { id, timeout } => {
            client.wait(&id, timeout).await?;
            // Again, because waiting leaves the input out.
            let status = find(&client, &id).await?;
            show(&status, as_json);
            if status.runtime_status != OrchestrationStatus::Completed {
                return Err(Failure::NotCompleted {
                    id,
                    status: status.runtime_status,
                });
            }
        }
    }
    Ok(())
}

async fn find(client: &HubClient, id: &str) -> Result<InstanceStatus, Failure> {
    let status = client.status(id).await?;
    Ok(status.ok_or_else(|| TaskHubError::NoSuchInstance {
        instance_id: id.to_owned(),
        hub: client.hub().name().to_owned(),
    })?)
}

/// Messages for an instance that is missing or has ended would vanish without a word.
async fn find_running(client: &HubClient, id: &str) -> Result<(), Failure> {
    let status = find(client, id).await?.runtime_status;
    if status.is_terminal() {
        let id = id.to_owned();
        return Err(Failure::Ended { id, status });
    }
    Ok(())
}

fn report_id(id: &str, as_json: bool) {
    if as_json {
        output::json(&json!({ "instanceId": id }));
    } else {
        println!("{id}");
    }
}

fn report(id: &str, text: &str, as_json: bool) {
    if as_json {
        output::json(&json!({ "instanceId": id, "sent": true }));
    } else {
        println!("{text}");
    }
}

fn show(status: &InstanceStatus, as_json: bool) {
    let time = |time: Option<Timestamp>| time.map(|time| time.to_string());
    if as_json {
        output::json(&json!({
            "instanceId": status.instance_id,
            "name": status.name,
            "runtimeStatus": status.runtime_status.name(),
            "input": output::payload(status.input.as_deref()),
            "output": output::payload(status.output.as_deref()),
            "customStatus": output::payload(status.custom_status.as_deref()),
            "createdTime": time(status.created_time),
            "lastUpdatedTime": time(status.last_updated_time),
            "completedTime": time(status.completed_time),
            "executionId": status.execution_id,
            "version": status.version,
            "tags": status.tags.as_ref().map(|tags| {
                tags.iter().collect::<std::collections::BTreeMap<_, _>>()
            }),
        }));
        return;
    }
    output::fields(&[
        ("Instance", Some(status.instance_id.clone())),
        ("Name", status.name.clone()),
        ("Status", Some(status.runtime_status.to_string())),
        ("Created", time(status.created_time)),
        ("Updated", time(status.last_updated_time)),
        ("Completed", time(status.completed_time)),
        ("Input", status.input.clone()),
        ("Output", status.output.clone()),
        ("Custom status", status.custom_status.clone()),
    ]);
}
