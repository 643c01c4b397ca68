//! `durabletask doctor`: names each thing that is wrong with a hub in one sentence, with the
//! remedy.

mod messages;
mod structure;

use std::io;
use std::ops::ControlFlow;

use durabletask_azurestorage::hub::{HubError, create_hub, hub_overview};
use durabletask_azurestorage::{Finding, HubClient, SweepOptions, TaskHub, TaskHubError};
use durabletask_storage::Env;
use serde_json::json;

use crate::failure::Failure;
use crate::output::{self, Output};
use crate::place::Place;
use crate::progress::Progress;

/// What is wrong with the hub as a whole.
struct Trouble {
    sentence: String,
    repair: Option<Repair>,
}

/// How to repair it.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Repair {
    /// By making what is missing of the hub.
    Create,
    /// The same, after a blob is deleted that nobody can read.
    Replace { container: String, blob: String },
}

/// What is left to do.
#[derive(Default)]
struct Left {
    all: u64,
    repairable: u64,
}

impl Left {
    fn add(&mut self, is_repaired: bool, is_repairable: bool) {
        self.all += u64::from(!is_repaired);
        self.repairable += u64::from(!is_repaired && is_repairable);
    }
}

/// The hub. An unreadable `taskhub.json` keeps everybody from it: the repair removes it first.
pub(crate) async fn hub(
    place: Place,
    env: &Env,
    repair: bool,
    out: Output,
) -> Result<TaskHub, Failure> {
    let path = match place.clone().existing_hub(env).await {
        Err(Failure::Hub(HubError::TaskHubJson { blob, .. })) if repair => blob,
        other => return other,
    };
    let (container, blob) = path.split_once('/').unwrap_or_default();
    let account = place.account(env)?;
    let deleted = account.blobs.delete_blob(container, blob, None).await;
    deleted.map_err(TaskHubError::from)?;
    let sentence = format!("{path} is not what any worker writes; it is removed");
    let json = json!({ "problem": sentence, "isRepaired": true, "isRepairable": true });
    out.report(&json, &done_or_not(&sentence, true))?;
    place.existing_hub(env).await
}

/// Names each thing that is wrong, and repairs what can be repaired if asked to.
pub(crate) async fn run(client: &HubClient, repair: bool, out: Output) -> Result<(), Failure> {
    let mut left = Left::default();
    for trouble in troubles(client).await? {
        if let Some(how) = trouble.repair.as_ref().filter(|_| repair) {
            mend(client, how).await?;
        }
        let is_repairable = trouble.repair.is_some();
        let is_repaired = repair && is_repairable;
        left.add(is_repaired, is_repairable);
        let json = json!({
            "problem": trouble.sentence,
            "isRepaired": is_repaired,
            "isRepairable": is_repairable,
        });
        out.report(&json, &done_or_not(&trouble.sentence, is_repaired))?;
    }
    let looked_at = sweep(client, repair, &mut left, out).await?;
    match left.all {
        0 => {
            eprintln!("{looked_at}: nothing is wrong.");
            Ok(())
        }
        all => {
            eprintln!("{looked_at}.");
            Err(Failure::NotWell {
                wrong: output::count(all, "thing"),
                repairable: left.repairable,
            })
        }
    }
}

fn done_or_not(sentence: &str, is_repaired: bool) -> String {
    let done = if is_repaired { " (done)" } else { "" };
    format!("{sentence}{done}")
}

async fn troubles(client: &HubClient) -> Result<Vec<Trouble>, Failure> {
    let hub = client.hub();
    let overview = hub_overview(hub.account(), hub.settings()).await?;
    let mut troubles = structure::missing(hub, &overview).await?;
    troubles.extend(messages::unsettled(hub, &overview).await?);
    let poison = client.poison_messages().await?.len() as u64;
    if poison > 0 {
        let messages = output::count(poison, "message");
        troubles.push(Trouble {
            sentence: format!(
                "{messages} set aside after too many failures; look with `durabletask poison \
                 list`, and requeue when the cause is gone"
            ),
            repair: None,
        });
    }
    Ok(troubles)
}

async fn mend(client: &HubClient, repair: &Repair) -> Result<(), Failure> {
    let hub = client.hub();
    if let Repair::Replace { container, blob } = repair {
        let deleted = hub.account().blobs.delete_blob(container, blob, None).await;
        deleted.map_err(TaskHubError::from)?;
    }
    // Harmless where nothing is missing any more.
    create_hub(hub.account(), hub.settings(), hub.env()).await?;
    Ok(())
}

/// Looks through instances and blobs; how many there were, in words.
async fn sweep(
    client: &HubClient,
    repair: bool,
    left: &mut Left,
    out: Output,
) -> Result<String, Failure> {
    let options = SweepOptions {
        dry_run: !repair,
        lost_tasks: true,
        ..SweepOptions::default()
    };
    let mut progress = Progress::new(out, client.hub().env(), "Looking");
    let mut told = Ok(());
    let swept = client.sweep(&options, |report, finding| {
        if let Some(finding) = finding {
            progress.clear();
            told = tell(finding, out);
            left.add(finding.is_repaired, finding.kind.is_repairable());
        }
        let words = format!("quiet instances, {} blobs", report.blobs);
        progress.at(report.instances, None, &words);
        match told {
            Ok(()) => ControlFlow::Continue(()),
            Err(_) => ControlFlow::Break(()),
        }
    });
    let report = swept.await?;
    drop(progress);
    told?;
    let instances = output::count(report.instances, "quiet instance");
    let blobs = output::count(report.blobs, "blob");
    Ok(format!("Looked at the hub, {instances} and {blobs}"))
}

fn tell(finding: &Finding, out: Output) -> io::Result<()> {
    let json = json!({
        "instanceId": finding.instance_id,
        "problem": finding.kind.to_string(),
        "isRepaired": finding.is_repaired,
        "isRepairable": finding.kind.is_repairable(),
    });
    let sentence = done_or_not(&finding.to_string(), finding.is_repaired);
    out.report(&json, &sentence)
}
