//! Purging finished instances by age.

use std::ops::ControlFlow;

use crate::HubClient;
use crate::client::{PurgeOptions, PurgeReport};
use crate::error::TaskHubError;
use crate::hub::RetentionSettings;
use crate::wire::filter;

impl HubClient {
    /// Purges the instances that have ended and not changed for longer than `retention` keeps
    /// them, or with `dry_run` only counts them; nothing if it names no age. `on_progress` as in [`HubClient::purge_matching`]: the
    /// report is of one status after the other. Price as there, per status.
    pub async fn purge_expired(
        &self,
        retention: &RetentionSettings,
        dry_run: bool,
        mut on_progress: impl FnMut(&PurgeReport) -> ControlFlow<()>,
    ) -> Result<Vec<PurgeReport>, TaskHubError> {
        let options = PurgeOptions {
            dry_run,
            max_instances_per_second: retention.max_instances_per_second,
            ..PurgeOptions::default()
        };
        let mut reports = Vec::new();
        for (statuses, age) in retention.ages() {
            let hub = self.hub();
            let time = hub.env().now().saturating_sub(age);
            let query = filter::unchanged_since(&statuses, time);
            let mut is_stopped = false;
            let report = hub
                .purge_found(query, &options, |report| {
                    let flow = on_progress(report);
                    is_stopped = flow.is_break();
                    flow
                })
                .await?;
            reports.push(report);
            if is_stopped {
                break;
            }
        }
        Ok(reports)
    }
}
