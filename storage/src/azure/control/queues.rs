//! Queues: create, delete, list.

use azure_core::prelude::Prefix;
use azure_storage_queues::{QueueServiceClient, QueueServiceClientBuilder};
use futures::StreamExt;
use std::sync::Arc;

use super::face::Face;
use super::{Call, Control, convert, created, deleted, status};
use crate::azure::connection::Service;
use crate::azure::transport::Repeat;
use crate::error::Result;

impl Control {
    fn queues(&self, call: Call) -> (QueueServiceClient, Arc<Face>) {
        let (location, credentials, options, face) = self.client(call);
        let client = QueueServiceClientBuilder::with_location(location, credentials)
            .client_options(options)
            .build();
        (client, face)
    }

    pub(in crate::azure) async fn create_queue(&self, queue: &str) -> Result<bool> {
        let (client, face) = self.queues(Call::new(
            Service::Queue,
            Repeat::Idempotent,
            "create_queue",
            queue,
        ));
        let outcome = client.queue_client(queue).create().await;
        created(status(outcome, &face))
    }

    pub(in crate::azure) async fn delete_queue(&self, queue: &str) -> Result<bool> {
        let (client, face) = self.queues(Call::new(
            Service::Queue,
            Repeat::Conditional,
            "delete_queue",
            queue,
        ));
        let outcome = client.queue_client(queue).delete().await;
        deleted(status(outcome, &face))
    }

    pub(in crate::azure) async fn list_queues(&self, prefix: &str) -> Result<Vec<String>> {
        let (client, face) = self.queues(Call::new(
            Service::Queue,
            Repeat::Read,
            "list_queues",
            format!("{prefix}*"),
        ));
        let mut list = client.list_queues();
        if !prefix.is_empty() {
            list = list.prefix(Prefix::from(prefix.to_owned()));
        }
        let mut pages = list.into_stream();
        let mut names = Vec::new();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| convert(error, face.call()))?;
            names.extend(page.queues.into_iter().map(|queue| queue.name));
        }
        names.sort();
        Ok(names)
    }
}
