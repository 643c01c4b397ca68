//! Containers: create, delete, list. Blobs: leases.

use azure_core::LeaseState;
use azure_core::prelude::{LeaseDuration, LeaseId, Prefix, ProposedLeaseId};
use azure_storage_blobs::prelude::{BlobClient, BlobServiceClient, ClientBuilder};
use futures::StreamExt;
use std::sync::Arc;
use uuid::Uuid;

use super::face::Face;
use super::{Call, Control, convert, created, deleted, status};
use crate::azure::blob::resource;
use crate::azure::connection::Service;
use crate::azure::transport::Repeat;
use crate::blob::ContainerInfo;
use crate::error::{ErrorKind, Result, StorageError};

impl Control {
    fn blobs(&self, call: Call) -> (BlobServiceClient, Arc<Face>) {
        let (location, credentials, options, face) = self.client(call);
        let client = ClientBuilder::with_location(location, credentials)
            .client_options(options)
            .blob_service_client();
        (client, face)
    }

    pub(in crate::azure) async fn create_container(&self, container: &str) -> Result<bool> {
        let (client, face) = self.blobs(Call::new(
            Service::Blob,
            Repeat::Conditional,
            "create_container",
            container,
        ));
        let outcome = client.container_client(container).create().await;
        created(status(outcome, &face))
    }

    pub(in crate::azure) async fn delete_container(&self, container: &str) -> Result<bool> {
        let (client, face) = self.blobs(Call::new(
            Service::Blob,
            Repeat::Conditional,
            "delete_container",
            container,
        ));
        let outcome = client.container_client(container).delete().await;
        deleted(status(outcome, &face))
    }

    pub(in crate::azure) async fn list_containers(
        &self,
        prefix: &str,
    ) -> Result<Vec<ContainerInfo>> {
        let (client, face) = self.blobs(Call::new(
            Service::Blob,
            Repeat::Read,
            "list_containers",
            format!("{prefix}*"),
        ));
        let mut list = client.list_containers();
        if !prefix.is_empty() {
            list = list.prefix(Prefix::from(prefix.to_owned()));
        }
        let mut pages = list.into_stream();
        let mut found = Vec::new();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| convert(error, face.call()))?;
            let containers = page.containers.into_iter();
            found.extend(containers.map(|container| ContainerInfo {
                leased: container.lease_state == LeaseState::Leased,
                name: container.name,
            }));
        }
        found.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(found)
    }

    /// `seconds` from 15 to 60; `None` for ever.
    pub(in crate::azure) async fn acquire_lease(
        &self,
        container: &str,
        blob: &str,
        lease: &str,
        seconds: Option<u8>,
    ) -> Result<()> {
        let (client, face) = self.leased_blob("acquire_lease", container, blob)?;
        let duration = seconds.map_or(LeaseDuration::Infinite, LeaseDuration::Seconds);
        let outcome = client
            .acquire_lease(duration)
            .proposed_lease_id(ProposedLeaseId::from(lease_id(&face, lease)?))
            .await;
        status(outcome, &face).map(drop)
    }

    pub(in crate::azure) async fn renew_lease(
        &self,
        container: &str,
        blob: &str,
        lease: &str,
    ) -> Result<()> {
        let (client, face) = self.leased_blob("renew_lease", container, blob)?;
        let lease = lease_id(&face, lease)?;
        let outcome = client.blob_lease_client(lease).renew().await;
        status(outcome, &face).map(drop)
    }

    pub(in crate::azure) async fn release_lease(
        &self,
        container: &str,
        blob: &str,
        lease: &str,
    ) -> Result<()> {
        let (client, face) = self.leased_blob("release_lease", container, blob)?;
        let lease = lease_id(&face, lease)?;
        let outcome = client.blob_lease_client(lease).release().await;
        match status(outcome, &face) {
            Ok(_) => Ok(()),
            // An unanswered attempt gave it up.
            Err(error) if error.is_after_unknown() && error.kind() == ErrorKind::LeaseLost => {
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    pub(in crate::azure) async fn change_lease(
        &self,
        container: &str,
        blob: &str,
        lease: &str,
        proposed: &str,
    ) -> Result<()> {
        let (client, face) = self.leased_blob("change_lease", container, blob)?;
        let (lease, proposed) = (lease_id(&face, lease)?, lease_id(&face, proposed)?);
        let outcome = client
            .blob_lease_client(lease)
            .change(ProposedLeaseId::from(proposed))
            .await;
        status(outcome, &face).map(drop)
    }

    fn leased_blob(
        &self,
        operation: &'static str,
        container: &str,
        blob: &str,
    ) -> Result<(BlobClient, Arc<Face>)> {
        let call = Call::new(
            Service::Blob,
            Repeat::Idempotent,
            operation,
            resource(container, blob),
        )
        .of_lease();
        // The crate takes outer slashes away, and would lease another blob.
        if blob.trim_matches('/') != blob || blob.is_empty() {
            return Err(call
                .error(ErrorKind::Invalid)
                .with_detail("the name of a leased blob must not begin or end with a slash"));
        }
        let (client, face) = self.blobs(call);
        Ok((client.container_client(container).blob_client(blob), face))
    }
}

fn lease_id(face: &Face, text: &str) -> std::result::Result<LeaseId, StorageError> {
    Uuid::parse_str(text).map(LeaseId::from).map_err(|error| {
        face.call()
            .error(ErrorKind::Invalid)
            .with_detail("a lease id must be a UUID")
            .with_source(error)
    })
}
