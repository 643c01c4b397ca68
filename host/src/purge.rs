//! `durabletask instances purge`.

use std::ops::ControlFlow;

use durabletask_azurestorage::{
    HubClient, PurgeCounts, PurgeFilter, PurgeOptions, PurgeReport, TaskHubError,
};
use serde_json::{Value, json};

use crate::cli::{Filter, Purge};
use crate::confirm::confirm;
use crate::failure::Failure;
use crate::instances::{described, find, no_such_instance};
use crate::output::{self, Output};
use crate::progress::Progress;

/// Purges one instance, or all that match.
pub(crate) async fn run(client: &HubClient, purge: &Purge, out: Output) -> Result<(), Failure> {
    match &purge.id {
        Some(id) => purge_one(client, id, purge, out).await,
        None if purge.dry_run => {
            let matched = count(client, purge, out).await?;
            let sentence = format!("{} would be purged.", matching(matched, purge));
            Ok(out.report(&as_object(matched, &PurgeReport::default()), &sentence)?)
        }
        None => purge_matching(client, purge, out).await,
    }
}

async fn purge_one(
    client: &HubClient,
    id: &str,
    purge: &Purge,
    out: Output,
) -> Result<(), Failure> {
    if !purge.yes {
        // A forced purge removes what is left of an instance without a row, too.
        let named = match find(client, id).await {
            Err(Failure::TaskHub(TaskHubError::NoSuchInstance { .. })) if purge.force => {
                format!("{id:?}")
            }
            found => described(&found?),
        };
        let what = format!("this removes instance {named} and its history for ever");
        confirm(out, purge.yes, &what)?;
    }
    let progress = Progress::new(out, client.hub().env(), "Purging");
    let removed = progress.during(client.purge(id, purge.force)).await?;
    if (removed.instances, removed.rows, removed.blobs) == (0, 0, 0) {
        return Err(no_such_instance(client, id).into());
    }
    let report = PurgeReport {
        matched: removed.instances,
        removed,
        ..PurgeReport::default()
    };
    tell(&report, out)
}

async fn purge_matching(client: &HubClient, purge: &Purge, out: Output) -> Result<(), Failure> {
    let mut total = None;
    if !purge.yes && out.has_person() {
        let matched = count(client, purge, out).await?;
        if matched == 0 {
            return tell(&PurgeReport::default(), out);
        }
        let what = format!(
            "this removes {} with their histories for ever",
            matching(matched, purge)
        );
        confirm(out, false, &what)?;
        total = Some(matched);
    } else {
        let what = "this removes all instances that match for ever (--dry-run counts them)";
        confirm(out, purge.yes, what)?;
    }
    let mut progress = Progress::new(out, client.hub().env(), "Purging");
    let report = purge_all(client, purge, false, |matched| {
        progress.at(matched, total, "instances");
    });
    let report = report.await?;
    drop(progress);
    tell(&report, out)
}

/// Purges, or only counts, what matches the filter or has expired.
async fn purge_all(
    client: &HubClient,
    purge: &Purge,
    dry_run: bool,
    mut on_progress: impl FnMut(u64),
) -> Result<PurgeReport, Failure> {
    if !purge.expired {
        let (filter, options) = (filter(purge), options(purge, dry_run));
        let report = client.purge_matching(&filter, &options, |report| {
            on_progress(report.matched);
            ControlFlow::Continue(())
        });
        return Ok(report.await?);
    }
    let mut retention = client.hub().settings().retention.clone();
    if retention.ages().is_empty() {
        return Err(Failure::NoRetention);
    }
    if let Some(limit) = purge.per_second {
        retention.max_instances_per_second = limit;
    }
    let (mut before, mut last) = (0, 0);
    let reports = client.purge_expired(&retention, dry_run, |report| {
        // The report of the next status begins anew.
        if report.matched <= last {
            before += last;
        }
        last = report.matched;
        on_progress(before + last);
        ControlFlow::Continue(())
    });
    let mut all = PurgeReport::default();
    for report in reports.await? {
        all.matched += report.matched;
        all.removed += report.removed;
        all.failed += report.failed;
        all.problems.extend(report.problems);
    }
    Ok(all)
}

/// How many instances match.
async fn count(client: &HubClient, purge: &Purge, out: Output) -> Result<u64, Failure> {
    let mut progress = Progress::new(out, client.hub().env(), "Counting");
    let counted = purge_all(client, purge, true, |matched| {
        progress.at(matched, None, "instances");
    });
    Ok(counted.await?.matched)
}

/// What is purged, in words.
fn matching(count: u64, purge: &Purge) -> String {
    let Filter {
        prefix,
        status,
        created_from,
        created_to,
    } = &purge.filter;
    let which = match (&status[..], purge.force) {
        _ if purge.expired => Some("expired by rust.retention".to_owned()),
        ([], false) => Some("ended ones only".to_owned()),
        ([], true) => Some("live ones included".to_owned()),
        (statuses, _) => {
            let names: Vec<_> = statuses.iter().map(|status| status.name()).collect();
            Some(names.join(" or "))
        }
    };
    let start = prefix.as_ref().map(|prefix| format!("ids from {prefix:?}"));
    let from = created_from.map(|from| format!("created from {}", output::time(from)));
    let to = created_to.map(|to| format!("created up to {}", output::time(to)));
    let words: Vec<_> = [which, start, from, to].into_iter().flatten().collect();
    let instances = output::count(count, "instance");
    format!("{instances} ({})", words.join(", "))
}

fn filter(purge: &Purge) -> PurgeFilter {
    let Filter {
        prefix,
        status,
        created_from,
        created_to,
    } = &purge.filter;
    PurgeFilter {
        created_from: *created_from,
        created_to: *created_to,
        statuses: Some(status.clone()).filter(|statuses| !statuses.is_empty()),
        prefix: prefix.clone().unwrap_or_default(),
    }
}

fn options(purge: &Purge, dry_run: bool) -> PurgeOptions {
    let mut options = PurgeOptions {
        dry_run,
        force: purge.force,
        ..PurgeOptions::default()
    };
    if let Some(limit) = purge.per_second {
        options.max_instances_per_second = limit;
    }
    options
}

fn as_object(matched: u64, report: &PurgeReport) -> Value {
    json!({
        "matched": matched,
        "instances": report.removed.instances,
        "rows": report.removed.rows,
        "blobs": report.removed.blobs,
        "failed": report.failed,
    })
}

fn tell(report: &PurgeReport, out: Output) -> Result<(), Failure> {
    for (id, problem) in &report.problems {
        eprintln!("warning: {}: {problem}", output::printable(id));
    }
    let PurgeCounts {
        instances,
        rows,
        blobs,
        ..
    } = report.removed;
    out.report(
        &as_object(report.matched, report),
        &format!(
            "Purged {}, {}, {}.",
            output::count(instances, "instance"),
            output::count(rows, "history row"),
            output::count(blobs, "blob")
        ),
    )?;
    match report.failed {
        0 => Ok(()),
        failed => Err(Failure::NotPurged(output::count(failed, "instance"))),
    }
}
