//! What operators do through a client: rewind, restart, list, export, purge, sweep.

use std::ops::ControlFlow;

use durabletask_azurestorage::{
    Finding, HubClient, InstancePage, InstanceQuery, ListedInstance, PurgeCounts, PurgeFilter,
    PurgeOptions, PurgeReport, SweepOptions, SweepReport, TaskHubError,
};
use futures::stream::BoxStream;

use crate::client::{Client, ClientError};

impl Client {
    /// Lets a Failed instance run again from where it failed: what had completed stays, failed
    /// activities are called again, failed children go on first. See [`HubClient::rewind`].
    pub async fn rewind(&self, instance_id: &str, reason: &str) -> Result<(), ClientError> {
        let reason = Some(reason.to_owned());
        Ok(self.operations().rewind(instance_id, reason).await?)
    }

    /// Starts the orchestrator of an instance once more with the same input, under the same id or
    /// a `new_id`, which is returned. See [`HubClient::restart`].
    pub async fn restart(&self, instance_id: &str, new_id: bool) -> Result<String, ClientError> {
        Ok(self.operations().restart(instance_id, new_id).await?)
    }

    /// All instances that match, fetched page by page as the stream is read. See
    /// [`HubClient::list`].
    pub fn list(
        &self,
        query: &InstanceQuery,
    ) -> BoxStream<'static, Result<ListedInstance, TaskHubError>> {
        self.operations().list(query)
    }

    /// One page of the instances that match; the continuation is understood by .NET, too, and its
    /// by this. See [`HubClient::list_page`].
    pub async fn list_page(
        &self,
        query: &InstanceQuery,
        page_size: Option<u32>,
        continuation: Option<&str>,
    ) -> Result<InstancePage, ClientError> {
        let listed = self.operations().list_page(query, page_size, continuation);
        Ok(listed.await?)
    }

    /// The history of the current execution as a JSON array of events, as .NET exports it. See
    /// [`HubClient::history_json`].
    pub async fn history_json(&self, instance_id: &str) -> Result<String, ClientError> {
        Ok(self.operations().history_json(instance_id, None).await?)
    }

    /// Removes all that is left of a finished instance, or with `force` of any. See
    /// [`HubClient::purge`].
    pub async fn purge(&self, instance_id: &str, force: bool) -> Result<PurgeCounts, ClientError> {
        Ok(self.operations().purge(instance_id, force).await?)
    }

    /// Removes every instance that matches. See [`HubClient::purge_matching`].
    pub async fn purge_matching(
        &self,
        filter: &PurgeFilter,
        options: &PurgeOptions,
        on_progress: impl FnMut(&PurgeReport) -> ControlFlow<()>,
    ) -> Result<PurgeReport, ClientError> {
        let purged = self
            .operations()
            .purge_matching(filter, options, on_progress);
        Ok(purged.await?)
    }

    /// Looks through the hub once for damage and repairs it. See [`HubClient::sweep`].
    pub async fn sweep(
        &self,
        options: &SweepOptions,
        on_step: impl FnMut(&SweepReport, Option<&Finding>) -> ControlFlow<()> + Send,
    ) -> Result<SweepReport, ClientError> {
        Ok(self.operations().sweep(options, on_step).await?)
    }

    /// The untyped client behind this one, with everything it can do.
    pub fn operations(&self) -> &HubClient {
        &self.hub
    }
}
