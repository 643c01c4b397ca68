//! `durabletask instances …`

use durabletask_azurestorage::{HubClient, InstanceStatus, StartOptions, TaskHubError};
use durabletask_core::OrchestrationStatus;
use serde_json::json;

use crate::cli::{InstancesCommand, Start, WithReason};
use crate::confirm::confirm;
use crate::failure::Failure;
use crate::output::{self, Output};
use crate::progress::Progress;
use crate::{operations, purge};

pub(crate) async fn run(
    command: InstancesCommand,
    client: &HubClient,
    out: Output,
) -> Result<(), Failure> {
    match command {
        InstancesCommand::Show { id } => show(&find(client, &id).await?, out),
        InstancesCommand::Start(start) => started(client, start, out).await,
        InstancesCommand::Raise { id, event, input } => {
            find_running(client, &id).await?;
            client.raise_event(&id, &event, input).await?;
            let told = format!("Event {event} is on its way to {id}.");
            report_sent(&id, &told, out)
        }
        InstancesCommand::Terminate { id, reason, yes } => {
            let status = find_running(client, &id).await?;
            let what = format!("this ends instance {} for ever", described(&status));
            confirm(out, yes, &what)?;
            client.terminate(&id, reason).await?;
            report_sent(&id, &format!("{id} was told to end."), out)
        }
        InstancesCommand::List { filter, limit } => {
            operations::list(client, filter, limit, out).await
        }
        InstancesCommand::History { id } => {
            find(client, &id).await?;
            operations::history(client, &id, out).await
        }
        InstancesCommand::Suspend(WithReason { id, reason }) => {
            find_running(client, &id).await?;
            client.suspend(&id, reason).await?;
            report_sent(&id, &format!("{id} was told to stand still."), out)
        }
        InstancesCommand::Resume(WithReason { id, reason }) => {
            find_running(client, &id).await?;
            client.resume(&id, reason).await?;
            report_sent(&id, &format!("{id} was told to go on."), out)
        }
        InstancesCommand::Rewind(WithReason { id, reason }) => {
            let progress = Progress::new(out, client.hub().env(), "Rewinding");
            progress.during(client.rewind(&id, reason)).await?;
            report_sent(&id, &format!("{id} is rewound and runs again."), out)
        }
        InstancesCommand::Restart { id, new_id } => {
            let restarted = client
                .restart(&id, new_id)
                .await
                .map_err(|error| match error {
                    TaskHubError::AlreadyExists {
                        instance_id: id,
                        status,
                    } => Failure::StillRuns { id, status },
                    other => other.into(),
                });
            report_id(&restarted?, out)
        }
        InstancesCommand::Purge(what) => purge::run(client, &what, out).await,
        InstancesCommand::Wait { id, timeout } => {
            let label = format!("Waiting for {}", output::printable(&id));
            let progress = Progress::new(out, client.hub().env(), label);
            progress.during(client.wait(&id, timeout)).await?;
            // Again, because waiting leaves the input out.
            let status = find(client, &id).await?;
            show(&status, out)?;
            match status.runtime_status {
                OrchestrationStatus::Completed => Ok(()),
                status => Err(Failure::NotCompleted { id, status }),
            }
        }
    }
}

/// An instance in a question.
pub(crate) fn described(status: &InstanceStatus) -> String {
    let name = status.name.as_deref().unwrap_or("without a name");
    let created = output::time_cell(status.created_time);
    let (id, now) = (&status.instance_id, status.runtime_status);
    format!("{id:?} ({name}, {now}, created {created})")
}

pub(crate) async fn find(client: &HubClient, id: &str) -> Result<InstanceStatus, Failure> {
    let status = client.status(id).await?;
    Ok(status.ok_or_else(|| no_such_instance(client, id))?)
}

pub(crate) fn no_such_instance(client: &HubClient, id: &str) -> TaskHubError {
    TaskHubError::NoSuchInstance {
        instance_id: id.to_owned(),
        hub: client.hub().name().to_owned(),
    }
}

/// Messages for an instance that is missing or has ended would vanish without a word.
async fn find_running(client: &HubClient, id: &str) -> Result<InstanceStatus, Failure> {
    let found = find(client, id).await?;
    let status = found.runtime_status;
    if status.is_terminal() {
        let id = id.to_owned();
        return Err(Failure::Ended { id, status });
    }
    Ok(found)
}

async fn started(client: &HubClient, start: Start, out: Output) -> Result<(), Failure> {
    let options = StartOptions {
        instance_id: start.id,
        version: start.version,
        ..StartOptions::default()
    };
    let id = client.start(&start.name, start.input, options).await?;
    report_id(&id, out)
}

fn report_id(id: &str, out: Output) -> Result<(), Failure> {
    Ok(out.report(&json!({ "instanceId": id }), id)?)
}

fn report_sent(id: &str, text: &str, out: Output) -> Result<(), Failure> {
    Ok(out.report(&json!({ "instanceId": id, "sent": true }), text)?)
}

fn show(status: &InstanceStatus, out: Output) -> Result<(), Failure> {
    let exact = |time: Option<durabletask_core::Timestamp>| time.map(|time| time.to_string());
    let payload = |text: &Option<String>| text.as_deref().map(output::shortened);
    let tags = status
        .tags
        .as_ref()
        .map(|tags| tags.iter().collect::<std::collections::BTreeMap<_, _>>());
    let tag_list = tags.as_ref().map(|tags| {
        let pairs = tags.iter().map(|(name, value)| format!("{name}={value}"));
        pairs.collect::<Vec<_>>().join(", ")
    });
    let custom_status = payload(&status.custom_status).filter(|text| text != "null");
    let version = status.version.clone().filter(|version| !version.is_empty());
    Ok(out.fields(
        &json!({
            "instanceId": status.instance_id,
            "name": status.name,
            "runtimeStatus": status.runtime_status.name(),
            "input": output::payload(status.input.as_deref()),
            "output": output::payload(status.output.as_deref()),
            "customStatus": output::payload(status.custom_status.as_deref()),
            "createdTime": exact(status.created_time),
            "lastUpdatedTime": exact(status.last_updated_time),
            "completedTime": exact(status.completed_time),
            "executionId": status.execution_id,
            "version": status.version,
            "tags": tags,
        }),
        &[
            ("Instance", Some(status.instance_id.clone())),
            ("Name", status.name.clone()),
            ("Version", version),
            ("Status", Some(status.runtime_status.to_string())),
            ("Execution", status.execution_id.clone()),
            ("Created", status.created_time.map(output::time)),
            ("Starts at", status.scheduled_start_time.map(output::time)),
            ("Updated", status.last_updated_time.map(output::time)),
            ("Completed", status.completed_time.map(output::time)),
            ("Tags", tag_list),
            ("Input", payload(&status.input)),
            ("Output", payload(&status.output)),
            ("Custom status", custom_status),
        ],
    )?)
}
