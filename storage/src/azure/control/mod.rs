//! The control plane: creating, deleting and listing, and blob leases, by the crates
//! `azure_storage*` and `azure_data_tables` 0.21.
//!
//! This is the only module that names them (a test sees to it). Their pipelines run over our
//! transport with anonymous credentials and without retries, so that they never see a secret
//! (which neutralises RUSTSEC-2026-0275) and never hide what an error means: a refusal goes
//! through them as our own [`StorageError`] and comes out unchanged.

mod blobs;
mod face;
mod queues;
mod tables;

use std::sync::Arc;

use azure_core::{ClientOptions, RetryOptions, TransportOptions};
use azure_storage::{CloudLocation, StorageCredentials};

use super::connection::Service;
use super::transport::{Repeat, Transport};
use crate::error::{ErrorKind, Result, StorageError};
use face::Face;

/// The control plane of one account.
#[derive(Debug)]
pub(super) struct Control {
    transport: Arc<Transport>,
}

/// What a call does, for retries and errors.
#[derive(Debug, Clone)]
struct Call {
    service: Service,
    repeat: Repeat,
    operation: &'static str,
    resource: String,
    lease: bool,
}

impl Control {
    pub(super) fn new(transport: Arc<Transport>) -> Self {
        Self { transport }
    }

    /// What a client of the crates needs for one call, and the face by which to see what came of
    /// it. Clients are made per call: they are a few small allocations, and the face then knows
    /// what it carries.
    fn client(&self, call: Call) -> (CloudLocation, StorageCredentials, ClientOptions, Arc<Face>) {
        let location = CloudLocation::Custom {
            account: self.transport.account().to_owned(),
            uri: self.transport.endpoint(call.service).to_owned(),
        };
        let face = Arc::new(Face::new(Arc::clone(&self.transport), call));
        let options = ClientOptions::new(TransportOptions::new(
            Arc::clone(&face) as Arc<dyn azure_core::HttpClient>
        ))
        .retry(RetryOptions::none());
        (location, StorageCredentials::anonymous(), options, face)
    }
}

impl Call {
    fn new(
        service: Service,
        repeat: Repeat,
        operation: &'static str,
        resource: impl Into<String>,
    ) -> Self {
        Self {
            service,
            repeat,
            operation,
            resource: resource.into(),
            lease: false,
        }
    }

    fn of_lease(mut self) -> Self {
        self.lease = true;
        self
    }

    fn error(&self, kind: ErrorKind) -> StorageError {
        StorageError::new(kind, self.operation, self.resource.clone())
    }
}

/// The status of a call whose answer has no content that matters. Storage having said 2xx is all
/// it takes: whether the crate could read the answer's headers changes nothing.
fn status<T>(outcome: azure_core::Result<T>, face: &Face) -> Result<u16> {
    match (face.status(), outcome) {
        (Some(status), _) => Ok(status),
        (None, Ok(_)) => Err(face.call().error(ErrorKind::Other)),
        (None, Err(error)) => Err(convert(error, face.call())),
    }
}

/// The result of creating: true if it was not there before. Queues that were there answer 204,
/// the others 409; after an unanswered attempt that 409 may mean our own first attempt.
fn created(outcome: Result<u16>) -> Result<bool> {
    const NO_CONTENT: u16 = 204;
    match outcome {
        Ok(status) => Ok(status != NO_CONTENT),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(error.is_after_unknown()),
        Err(error) => Err(error),
    }
}

/// The result of deleting: true if it was there. Gone after an unanswered attempt means that that
/// attempt removed it.
fn deleted(outcome: Result<u16>) -> Result<bool> {
    match outcome {
        Ok(_) => Ok(true),
        Err(error) if error.is_not_found() => Ok(error.is_after_unknown()),
        Err(error) => Err(error),
    }
}

/// Our own error as it went in; anything else arose inside of the crates.
fn convert(error: azure_core::Error, call: &Call) -> StorageError {
    match error.into_downcast::<StorageError>() {
        Ok(error) => error,
        // Their errors can repeat an answer's body, but never a secret: they see none.
        Err(error) => call
            .error(ErrorKind::Corrupt)
            .with_detail("the answer could not be read")
            .with_source(error),
    }
}
