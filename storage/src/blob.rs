//! Blobs: whole values under a name, with ETags and leases.

use std::fmt::Debug;

use async_trait::async_trait;
use bytes::Bytes;
use durabletask_core::Timestamp;

use crate::Result;
use crate::table::ETag;

/// The blob service of one account. Each method is one billed transaction (a list one per page).
#[async_trait]
pub trait Blobs: Send + Sync + Debug {
    /// Makes the container (private); true if it was not there before.
    async fn create_container(&self, container: &str) -> Result<bool>;

    /// Removes the container and its blobs; true if it was there. `LeaseLost` while the container
    /// itself is leased.
    async fn delete_container(&self, container: &str) -> Result<bool>;

    /// The containers whose names start with `prefix`, in order.
    async fn list_containers(&self, prefix: &str) -> Result<Vec<ContainerInfo>>;

    /// Writes a whole block blob (`application/octet-stream`). Durable when this returns.
    /// `lease` must be given while the blob is leased.
    async fn put_blob(
        &self,
        container: &str,
        blob: &str,
        content: Bytes,
        condition: PutCondition,
        lease: Option<&str>,
    ) -> Result<ETag>;

    /// Reads a whole blob; `None` if the blob or container is missing.
    async fn get_blob(&self, container: &str, blob: &str) -> Result<Option<Blob>>;

    /// Removes a blob; true if it was there. `lease` must be given while the blob is leased.
    async fn delete_blob(&self, container: &str, blob: &str, lease: Option<&str>) -> Result<bool>;

    /// One page of the blobs whose names start with `prefix`, in order. A missing container is
    /// `NotFound`.
    async fn list_blobs(
        &self,
        container: &str,
        prefix: &str,
        marker: Option<&str>,
    ) -> Result<BlobPage>;

    /// Takes the lease of the blob, or without `blob` of the container itself, for `seconds` (15 to
    /// 60, `None` for ever) under the id `lease` (a UUID, hyphenated); again by the holder renews
    /// it. `LeaseLost` if somebody else holds it. A container's lease guards its removal only.
    async fn acquire_lease(
        &self,
        container: &str,
        blob: Option<&str>,
        lease: &str,
        seconds: Option<u32>,
    ) -> Result<()>;

    /// Prolongs the lease by its length. `LeaseLost` if it is no longer ours.
    async fn renew_lease(&self, container: &str, blob: Option<&str>, lease: &str) -> Result<()>;

    /// Gives the lease up. `LeaseLost` if it is no longer ours.
    async fn release_lease(&self, container: &str, blob: Option<&str>, lease: &str) -> Result<()>;

    /// Hands the lease from the id `lease` to the id `proposed`.
    async fn change_lease(
        &self,
        container: &str,
        blob: Option<&str>,
        lease: &str,
        proposed: &str,
    ) -> Result<()>;

    /// The URL of a container, without SAS, as .NET writes it into rows (chapter 03 §4.4).
    fn container_url(&self, container: &str) -> String;
}

/// When a blob may be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PutCondition {
    /// Always.
    Always,
    /// The blob does not exist; `AlreadyExists` otherwise.
    Absent,
    /// The blob has this version; `PreconditionFailed` otherwise.
    Matches(ETag),
}

/// A blob's content.
#[derive(Clone)]
pub struct Blob {
    /// The bytes as stored.
    pub content: Bytes,
    /// The version that was read.
    pub etag: ETag,
}

impl Debug for Blob {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Blob")
            .field("bytes", &self.content.len())
            .field("etag", &self.etag)
            .finish()
    }
}

/// What a list tells about a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContainerInfo {
    /// The name.
    pub name: String,
    /// Whether somebody holds the container's own lease.
    pub leased: bool,
}

/// One page of a list.
#[derive(Debug, Clone, Default)]
pub struct BlobPage {
    /// Blobs in the order of their names.
    pub blobs: Vec<BlobInfo>,
    /// Where to go on; `None` at the end.
    pub marker: Option<String>,
}

/// What a list tells about a blob.
#[derive(Debug, Clone)]
pub struct BlobInfo {
    /// The name, slashes included.
    pub name: String,
    /// Size in bytes.
    pub bytes: u64,
    /// Last write, by the service's clock.
    pub written: Option<Timestamp>,
    /// Whether somebody holds its lease.
    pub leased: bool,
}
