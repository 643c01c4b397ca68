//! Blobs that nothing refers to (chapter 03 §4.3: messages leave theirs behind).

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::time::Duration;

use durabletask_core::Timestamp;
use durabletask_storage::{BlobInfo, Row};

use super::finding::{Finding, FindingKind};
use super::sweep::Sweep;
use crate::TaskHub;
use crate::error::TaskHubError;
use crate::wire::{filter, large, names};

/// Age that a blob must have to be looked at: more than four times what a message can be hidden.
const MIN_ORPHAN_AGE: Duration = Duration::from_secs(30 * 86_400);

impl Sweep<'_> {
    /// Looks at all blobs of large values and messages, page after page.
    pub(super) async fn orphans(&mut self) -> Result<ControlFlow<()>, TaskHubError> {
        let hub = self.client.hub();
        let (blobs, container) = (&hub.account().blobs, &hub.tables().large_messages);
        // Before the blobs: what is set aside meanwhile is too young to be looked at.
        let poison: BTreeSet<String> = hub.poison_blobs().await?.into_iter().collect();
        let old = hub.env().now().saturating_sub(MIN_ORPHAN_AGE);
        let mut marker = None;
        loop {
            let page = match blobs.list_blobs(container, "", marker.as_deref()).await {
                Ok(page) => page,
                Err(error) if error.is_not_found() => return Ok(ControlFlow::Continue(())),
                Err(error) => return Err(error.into()),
            };
            self.report.blobs += page.blobs.len() as u64;
            let is_old = |blob: &BlobInfo| {
                blob.written.is_some_and(|written| written < old) && !poison.contains(&blob.name)
            };
            let mut by_owner = BTreeMap::<String, Vec<BlobInfo>>::new();
            for blob in page.blobs.into_iter().filter(is_old) {
                if let Some(owner) = names::owner_of_blob(&blob.name) {
                    by_owner.entry(owner).or_default().push(blob);
                }
            }
            for (owner, blobs) in by_owner {
                if self.orphans_of(&owner, blobs).await?.is_break() {
                    return Ok(ControlFlow::Break(()));
                }
            }
            marker = page.marker;
            if marker.is_none() {
                return Ok(ControlFlow::Continue(()));
            }
        }
    }

    async fn orphans_of(
        &mut self,
        owner: &str,
        blobs: Vec<BlobInfo>,
    ) -> Result<ControlFlow<()>, TaskHubError> {
        let hub = self.client.hub();
        self.pace.turn().await;
        // Queues first: a message that is worked off meanwhile leaves its name in the history.
        let oldest_queued = hub.oldest_visible(owner).await?;
        let referred = hub.blobs_referred_to(owner).await?;
        let is_orphan = |blob: &BlobInfo| {
            let may_be_queued = oldest_queued
                .zip(blob.written)
                .is_some_and(|(queued, written)| queued <= written);
            !referred.contains(&blob.name) && !may_be_queued
        };
        for blob in blobs.into_iter().filter(is_orphan) {
            self.pace.turn().await;
            let container = &hub.tables().large_messages;
            let is_repaired = !self.options.dry_run
                && hub
                    .account()
                    .blobs
                    .delete_blob(container, &blob.name, None)
                    .await?;
            let finding = Finding {
                instance_id: owner.to_owned(),
                kind: FindingKind::OrphanedBlob {
                    blob: blob.name,
                    bytes: blob.bytes,
                },
                is_repaired,
            };
            if self.step(Some(&finding)).is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        Ok(self.step(None))
    }
}

impl TaskHub {
    /// When the first visible message of the queues that can refer to blobs of this instance was
    /// put there: after a long stop of all workers, messages may be older than their blobs' age
    /// allows. Two queue transactions.
    async fn oldest_visible(&self, instance_id: &str) -> Result<Option<Timestamp>, TaskHubError> {
        let mut oldest: Option<Timestamp> = None;
        let control = self.control_queue_of(instance_id);
        for queue in [&*control, &*self.tables().work_items] {
            let seen = self.account().queues.peek_messages(queue, 1).await?;
            for message in seen {
                let earlier = oldest.map_or(message.inserted, |time| time.min(message.inserted));
                oldest = Some(earlier);
            }
        }
        Ok(oldest)
    }

    /// Names of the blobs that an instance's row and history rows of all executions refer to. Two
    /// table transactions, one more per 1,000 history rows.
    async fn blobs_referred_to(&self, instance_id: &str) -> Result<BTreeSet<String>, TaskHubError> {
        let mut referred = BTreeSet::new();
        let query = filter::blob_columns(instance_id);
        let history = self.query_all(&self.tables().history, query).await?;
        let query = filter::instance_to_purge(instance_id);
        let instance = self.query_all(&self.tables().instances, query).await?;
        for row in history.iter().chain(&instance) {
            referred.extend(self.references_of(row));
        }
        Ok(referred)
    }

    fn references_of(&self, row: &Row) -> Vec<String> {
        let named = large::moved_columns(row).into_iter().map(|(_, blob)| blob);
        let urls = ["Input", "Output"].into_iter();
        let urls = urls.filter_map(|column| self.large().blob_of_url(row.get_str(column)?));
        named.chain(urls).collect()
    }
}
