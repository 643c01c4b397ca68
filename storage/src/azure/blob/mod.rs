//! The blob service.

mod list;

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use reqwest::Method;

use super::connection::Service;
use super::control::Control;
use super::transport::{Answer, Repeat, Request, Transport, encode};
use crate::blob::{Blob, BlobPage, Blobs, ContainerInfo, PutCondition};
use crate::error::{ErrorKind, Result, StorageError};
use crate::table::ETag;

/// Blobs of one Azure account.
#[derive(Debug)]
pub(super) struct AzureBlobs {
    transport: Arc<Transport>,
    control: Control,
}

impl AzureBlobs {
    pub(super) fn new(transport: Arc<Transport>) -> Self {
        Self {
            control: Control::new(Arc::clone(&transport)),
            transport,
        }
    }

    /// A lease operation on a container itself, which the crates of the control plane cannot
    /// change.
    async fn container_lease(
        &self,
        operation: &'static str,
        container: &str,
        action: &str,
        headers: &[(&'static str, &str)],
    ) -> Result<()> {
        let mut request = Request::new(
            Service::Blob,
            Method::PUT,
            format!("/{}", encode(container)),
            Repeat::Idempotent,
            operation,
            container,
        )
        .query("comp", "lease")
        .query("restype", "container")
        .header("x-ms-lease-action", action);
        for (name, value) in headers {
            request = request.header(name, *value);
        }
        request.lease = true;
        self.transport.send(request).await.map(drop)
    }
}

/// The header with the id of a lease that is held.
const LEASE_ID: &str = "x-ms-lease-id";

#[async_trait]
impl Blobs for AzureBlobs {
    async fn create_container(&self, container: &str) -> Result<bool> {
        self.control.create_container(container).await
    }

    async fn delete_container(&self, container: &str) -> Result<bool> {
        self.control.delete_container(container).await
    }

    async fn list_containers(&self, prefix: &str) -> Result<Vec<ContainerInfo>> {
        self.control.list_containers(prefix).await
    }

    async fn put_blob(
        &self,
        container: &str,
        blob: &str,
        content: Bytes,
        condition: PutCondition,
        lease: Option<&str>,
    ) -> Result<ETag> {
        const OPERATION: &str = "put_blob";
        let repeat = match condition {
            PutCondition::Always => Repeat::Idempotent,
            PutCondition::Absent | PutCondition::Matches(_) => Repeat::Conditional,
        };
        let mut request = request(Method::PUT, container, blob, repeat, OPERATION)?
            .header("x-ms-blob-type", "BlockBlob")
            .body("application/octet-stream", content);
        request = match &condition {
            PutCondition::Always => request,
            PutCondition::Absent => request.header("if-none-match", "*"),
            PutCondition::Matches(etag) => request.header("if-match", etag.0.clone()),
        };
        if let Some(lease) = lease {
            request = request.header(LEASE_ID, lease);
        }
        match self.transport.send(request).await {
            Ok(answer) => etag(OPERATION, container, blob, &answer),
            // Some versions of the service answer 412 instead of 409.
            Err(error)
                if condition == PutCondition::Absent
                    && error.kind() == ErrorKind::PreconditionFailed =>
            {
                let exists = StorageError::new(
                    ErrorKind::AlreadyExists,
                    OPERATION,
                    resource(container, blob),
                );
                Err(if error.is_after_unknown() {
                    exists.after_unknown().with_source(error)
                } else {
                    exists.with_source(error)
                })
            }
            Err(error) => Err(error),
        }
    }

    async fn get_blob(&self, container: &str, blob: &str) -> Result<Option<Blob>> {
        const OPERATION: &str = "get_blob";
        let request = request(Method::GET, container, blob, Repeat::Read, OPERATION)?;
        match self.transport.send(request).await {
            Ok(answer) => Ok(Some(Blob {
                etag: etag(OPERATION, container, blob, &answer)?,
                content: answer.body,
            })),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn delete_blob(&self, container: &str, blob: &str, lease: Option<&str>) -> Result<bool> {
        const OPERATION: &str = "delete_blob";
        let mut request = request(
            Method::DELETE,
            container,
            blob,
            Repeat::Conditional,
            OPERATION,
        )?;
        if let Some(lease) = lease {
            request = request.header(LEASE_ID, lease);
        }
        match self.transport.send(request).await {
            Ok(_) => Ok(true),
            // Gone after an attempt without answer: that attempt removed it.
            Err(error) if error.is_not_found() => Ok(error.is_after_unknown()),
            Err(error) => Err(error),
        }
    }

    async fn list_blobs(
        &self,
        container: &str,
        prefix: &str,
        marker: Option<&str>,
    ) -> Result<BlobPage> {
        const OPERATION: &str = "list_blobs";
        let mut request = Request::new(
            Service::Blob,
            Method::GET,
            format!("/{}", encode(container)),
            Repeat::Read,
            OPERATION,
            container,
        )
        .query("restype", "container")
        .query("comp", "list");
        if !prefix.is_empty() {
            request = request.query("prefix", prefix);
        }
        if let Some(marker) = marker {
            request = request.query("marker", marker);
        }
        let answer = self.transport.send(request).await?;
        list::read(&answer.body).map_err(|error| {
            StorageError::new(ErrorKind::Corrupt, OPERATION, container)
                .with_detail("the answer is not a list of blobs")
                .with_source(error)
        })
    }

    async fn acquire_lease(
        &self,
        container: &str,
        blob: Option<&str>,
        lease: &str,
        seconds: Option<u32>,
    ) -> Result<()> {
        const OPERATION: &str = "acquire_lease";
        let seconds = match seconds.map(u8::try_from) {
            None => None,
            Some(Ok(seconds @ 15..=60)) => Some(seconds),
            Some(_) => {
                return Err(invalid(
                    OPERATION,
                    container,
                    blob.unwrap_or_default(),
                    "a lease lasts 15 to 60 seconds, or for ever",
                ));
            }
        };
        let Some(blob) = blob else {
            let duration = seconds.map_or_else(|| "-1".to_owned(), |seconds| seconds.to_string());
            let headers = [
                ("x-ms-proposed-lease-id", lease),
                ("x-ms-lease-duration", &duration),
            ];
            return self
                .container_lease(OPERATION, container, "acquire", &headers)
                .await;
        };
        self.control
            .acquire_lease(container, blob, lease, seconds)
            .await
    }

    async fn renew_lease(&self, container: &str, blob: Option<&str>, lease: &str) -> Result<()> {
        let Some(blob) = blob else {
            return self
                .container_lease("renew_lease", container, "renew", &[(LEASE_ID, lease)])
                .await;
        };
        self.control.renew_lease(container, blob, lease).await
    }

    async fn release_lease(&self, container: &str, blob: Option<&str>, lease: &str) -> Result<()> {
        let Some(blob) = blob else {
            let released = self
                .container_lease("release_lease", container, "release", &[(LEASE_ID, lease)])
                .await;
            return match released {
                // An unanswered attempt gave it up.
                Err(error) if error.is_after_unknown() && error.kind() == ErrorKind::LeaseLost => {
                    Ok(())
                }
                other => other,
            };
        };
        self.control.release_lease(container, blob, lease).await
    }

    async fn change_lease(
        &self,
        container: &str,
        blob: Option<&str>,
        lease: &str,
        proposed: &str,
    ) -> Result<()> {
        let Some(blob) = blob else {
            let headers = [(LEASE_ID, lease), ("x-ms-proposed-lease-id", proposed)];
            return self
                .container_lease("change_lease", container, "change", &headers)
                .await;
        };
        self.control
            .change_lease(container, blob, lease, proposed)
            .await
    }

    fn container_url(&self, container: &str) -> String {
        format!("{}/{container}", self.transport.endpoint(Service::Blob))
    }
}

fn request(
    method: Method,
    container: &str,
    blob: &str,
    repeat: Repeat,
    operation: &'static str,
) -> Result<Request> {
    // Address parsers take such segments away, even when they are encoded.
    if blob.is_empty() || blob.split('/').any(|segment| matches!(segment, "." | "..")) {
        return Err(invalid(
            operation,
            container,
            blob,
            "a blob name must not be empty or have the segments . or ..",
        ));
    }
    let segments: Vec<_> = blob
        .split('/')
        .map(|segment| encode(segment).to_string())
        .collect();
    let path = format!("/{}/{}", encode(container), segments.join("/"));
    let resource = resource(container, blob);
    Ok(Request::new(
        Service::Blob,
        method,
        path,
        repeat,
        operation,
        resource,
    ))
}

pub(super) fn resource(container: &str, blob: &str) -> String {
    format!("{container}/{blob}")
}

fn invalid(operation: &'static str, container: &str, blob: &str, detail: &str) -> StorageError {
    StorageError::new(ErrorKind::Invalid, operation, resource(container, blob)).with_detail(detail)
}

fn etag(operation: &'static str, container: &str, blob: &str, answer: &Answer) -> Result<ETag> {
    answer
        .header("etag")
        .map(|etag| ETag(etag.to_owned()))
        .ok_or_else(|| {
            StorageError::new(ErrorKind::Corrupt, operation, resource(container, blob))
                .with_detail("the answer has no ETag")
        })
}
