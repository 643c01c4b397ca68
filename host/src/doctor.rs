//! `durabletask doctor`: names each thing that is wrong with a hub in one sentence, with the
//! remedy.

use std::ops::ControlFlow;

use durabletask_azurestorage::hub::{HubSettings, PartitionManagement, create_hub, hub_overview};
use durabletask_azurestorage::{Finding, FindingKind, HubClient, SweepOptions};
use serde_json::json;

use crate::failure::Failure;
use crate::output;

/// What is wrong with the hub as a whole.
struct Trouble {
    sentence: String,
    is_repaired: bool,
    is_repairable: bool,
}

/// Names each thing that is wrong, and repairs what can be repaired if asked to.
pub(crate) async fn run(client: &HubClient, repair: bool, as_json: bool) -> Result<(), Failure> {
    let mut left = 0;
    for trouble in troubles(client, repair).await? {
        left += u64::from(!trouble.is_repaired);
        tell_trouble(&trouble, as_json);
    }
    let options = SweepOptions {
        dry_run: !repair,
        ..SweepOptions::default()
    };
    let swept = client.sweep(&options, |_, finding| {
        if let Some(finding) = finding {
            tell_finding(finding, as_json);
        }
        ControlFlow::Continue(())
    });
    let report = swept.await?;
    eprintln!(
        "Looked at {} quiet instances and {} blobs: {} things wrong, {} repaired.",
        report.instances, report.blobs, report.found, report.repaired
    );
    match left + report.found - report.repaired {
        0 => Ok(()),
        left => Err(Failure::NotWell(left)),
    }
}

async fn troubles(client: &HubClient, repair: bool) -> Result<Vec<Trouble>, Failure> {
    let mut troubles = missing_queues(client, repair).await?;
    troubles.extend(unread_partitions(client).await?);
    let poison = client.poison_messages().await?.len();
    if poison > 0 {
        troubles.push(Trouble {
            sentence: format!(
                "{poison} messages failed too often and are set aside; see `durabletask poison \
                 list`, and requeue them when their cause is gone"
            ),
            is_repaired: false,
            is_repairable: false,
        });
    }
    Ok(troubles)
}

/// Queues that were deleted. Making them again brings no message back.
async fn missing_queues(client: &HubClient, repair: bool) -> Result<Vec<Trouble>, Failure> {
    let hub = client.hub();
    let (names, settings) = (hub.names(), hub.settings());
    let control = (0..settings.partition_count).map(|index| names.control_queue(index));
    let mut troubles = Vec::new();
    for queue in control.chain([names.work_item_queue()]) {
        match hub.account().queues.count_messages(&queue).await {
            Err(error) if error.is_not_found() => troubles.push(Trouble {
                sentence: format!(
                    "queue {queue} is missing; it is made anew, its messages are lost"
                ),
                is_repaired: repair,
                is_repairable: true,
            }),
            counted => drop(counted.map_err(durabletask_azurestorage::TaskHubError::from)?),
        }
    }
    if repair && !troubles.is_empty() {
        create_hub(hub.account(), settings, hub.env()).await?;
    }
    Ok(troubles)
}

/// Partitions with messages and without an owner. Only the table manager's owners are known.
async fn unread_partitions(client: &HubClient) -> Result<Vec<Trouble>, Failure> {
    let settings: &HubSettings = client.hub().settings();
    if settings.partition_management != PartitionManagement::Table {
        return Ok(Vec::new());
    }
    let overview = hub_overview(client.hub().account(), settings).await?;
    let unread = overview
        .partitions
        .into_iter()
        .filter(|partition| partition.owner.is_none() && partition.messages > 0);
    Ok(unread
        .map(|partition| Trouble {
            sentence: format!(
                "{} messages wait in {} and no worker owns it; start a worker",
                partition.messages, partition.queue
            ),
            is_repaired: false,
            is_repairable: false,
        })
        .collect())
}

fn tell_trouble(trouble: &Trouble, as_json: bool) {
    if as_json {
        output::json(&json!({
            "problem": trouble.sentence,
            "isRepaired": trouble.is_repaired,
            "isRepairable": trouble.is_repairable,
        }));
    } else {
        let done = if trouble.is_repaired { " (done)" } else { "" };
        println!("{}{done}", trouble.sentence);
    }
}

fn tell_finding(finding: &Finding, as_json: bool) {
    if as_json {
        output::json(&json!({
            "instanceId": finding.instance_id,
            "problem": finding.kind.to_string(),
            "isRepaired": finding.is_repaired,
            "isRepairable": !matches!(finding.kind, FindingKind::Unreadable(_)),
        }));
    } else {
        let done = if finding.is_repaired { " (done)" } else { "" };
        println!("{finding}{done}");
    }
}
