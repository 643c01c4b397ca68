//! The queue service.

mod xml;

use std::sync::Arc;

use async_trait::async_trait;
use durabletask_core::{Timestamp, http_date};
use reqwest::Method;

use super::connection::Service;
use super::control::Control;
use super::transport::{Answer, Repeat, Request, Transport, encode};
use crate::error::{ErrorKind, Result, StorageError};
use crate::queue::{
    MAX_MESSAGE_BYTES, MAX_MESSAGES_PER_GET, MAX_VISIBILITY_SECONDS, MessageHandle, PeekedMessage,
    Queues, ReceivedMessage, SentMessage, UpdatedMessage,
};
use xml::RawMessage;

/// Queues of one Azure account.
#[derive(Debug)]
pub(super) struct AzureQueues {
    transport: Arc<Transport>,
    control: Control,
}

impl AzureQueues {
    pub(super) fn new(transport: Arc<Transport>) -> Self {
        Self {
            control: Control::new(Arc::clone(&transport)),
            transport,
        }
    }
}

#[async_trait]
impl Queues for AzureQueues {
    async fn create_queue(&self, queue: &str) -> Result<bool> {
        self.control.create_queue(queue).await
    }

    async fn delete_queue(&self, queue: &str) -> Result<bool> {
        self.control.delete_queue(queue).await
    }

    async fn list_queues(&self, prefix: &str) -> Result<Vec<String>> {
        self.control.list_queues(prefix).await
    }

    async fn put_message(
        &self,
        queue: &str,
        text: &str,
        invisible_seconds: Option<u32>,
    ) -> Result<SentMessage> {
        const OPERATION: &str = "put_message";
        check_text(OPERATION, queue, text)?;
        let mut request = Request::new(
            Service::Queue,
            Method::POST,
            messages_path(queue),
            Repeat::PutMessage,
            OPERATION,
            queue,
        );
        if let Some(seconds) = invisible_seconds {
            check_visibility(OPERATION, queue, 0, seconds)?;
            request = request.query("visibilitytimeout", seconds.to_string());
        }
        let request = request
            .query("messagettl", "-1")
            .body("application/xml", xml::message_body(text));
        let answer = self.transport.send(request).await?;
        let message = read_messages(OPERATION, queue, &answer)?
            .into_iter()
            .next()
            .ok_or_else(|| corrupt(OPERATION, queue, "the answer to a put names no message"))?;
        Ok(SentMessage {
            inserted: date(OPERATION, queue, &message.inserted)?,
            next_visible: date(OPERATION, queue, &message.next_visible)?,
            handle: message.into_handle(),
        })
    }

    async fn get_messages(
        &self,
        queue: &str,
        count: u32,
        invisible_seconds: u32,
    ) -> Result<Vec<ReceivedMessage>> {
        const OPERATION: &str = "get_messages";
        check_count(OPERATION, queue, count)?;
        check_visibility(OPERATION, queue, 1, invisible_seconds)?;
        let request = Request::new(
            Service::Queue,
            Method::GET,
            messages_path(queue),
            Repeat::Read,
            OPERATION,
            queue,
        )
        .query("numofmessages", count.to_string())
        .query("visibilitytimeout", invisible_seconds.to_string());
        let answer = self.transport.send(request).await?;
        read_messages(OPERATION, queue, &answer)?
            .into_iter()
            .map(|message| {
                Ok(ReceivedMessage {
                    inserted: date(OPERATION, queue, &message.inserted)?,
                    next_visible: date(OPERATION, queue, &message.next_visible)?,
                    dequeue_count: message.dequeue_count,
                    handle: MessageHandle {
                        id: message.id,
                        pop_receipt: message.pop_receipt,
                    },
                    text: message.text,
                })
            })
            .collect()
    }

    async fn peek_messages(&self, queue: &str, count: u32) -> Result<Vec<PeekedMessage>> {
        const OPERATION: &str = "peek_messages";
        check_count(OPERATION, queue, count)?;
        let request = Request::new(
            Service::Queue,
            Method::GET,
            messages_path(queue),
            Repeat::Read,
            OPERATION,
            queue,
        )
        .query("peekonly", "true")
        .query("numofmessages", count.to_string());
        let answer = self.transport.send(request).await?;
        read_messages(OPERATION, queue, &answer)?
            .into_iter()
            .map(|message| {
                Ok(PeekedMessage {
                    inserted: date(OPERATION, queue, &message.inserted)?,
                    dequeue_count: message.dequeue_count,
                    id: message.id,
                    text: message.text,
                })
            })
            .collect()
    }

    async fn update_message(
        &self,
        queue: &str,
        handle: &MessageHandle,
        text: Option<&str>,
        invisible_seconds: u32,
    ) -> Result<UpdatedMessage> {
        const OPERATION: &str = "update_message";
        check_visibility(OPERATION, queue, 0, invisible_seconds)?;
        let mut request = message_request(queue, handle, Method::PUT, OPERATION)
            .query("visibilitytimeout", invisible_seconds.to_string());
        if let Some(text) = text {
            check_text(OPERATION, queue, text)?;
            request = request.body("application/xml", xml::message_body(text));
        }
        let answer = self.transport.send(request).await?;
        let header = |name: &str| {
            answer
                .header(name)
                .ok_or_else(|| corrupt(OPERATION, queue, "the answer to an update lacks a header"))
        };
        Ok(UpdatedMessage {
            handle: MessageHandle {
                id: handle.id.clone(),
                pop_receipt: header("x-ms-popreceipt")?.to_owned(),
            },
            next_visible: date(OPERATION, queue, header("x-ms-time-next-visible")?)?,
        })
    }

    async fn delete_message(&self, queue: &str, handle: &MessageHandle) -> Result<()> {
        let request = message_request(queue, handle, Method::DELETE, "delete_message");
        match self.transport.send(request).await {
            Ok(_) => Ok(()),
            // Our own first attempt removed it.
            Err(error) if error.is_after_unknown() && error.code() == Some("MessageNotFound") => {
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    async fn count_messages(&self, queue: &str) -> Result<u64> {
        const OPERATION: &str = "count_messages";
        let request = Request::new(
            Service::Queue,
            Method::GET,
            format!("/{}", encode(queue)),
            Repeat::Read,
            OPERATION,
            queue,
        )
        .query("comp", "metadata");
        let answer = self.transport.send(request).await?;
        answer
            .header("x-ms-approximate-messages-count")
            .and_then(|count| count.parse().ok())
            .ok_or_else(|| corrupt(OPERATION, queue, "the answer has no message count"))
    }
}

fn messages_path(queue: &str) -> String {
    format!("/{}/messages", encode(queue))
}

/// A request on one held message. Repeating it is harmless, but the repetition may be refused.
fn message_request(
    queue: &str,
    handle: &MessageHandle,
    method: Method,
    operation: &'static str,
) -> Request {
    Request::new(
        Service::Queue,
        method,
        format!("{}/{}", messages_path(queue), encode(&handle.id)),
        Repeat::Conditional,
        operation,
        queue,
    )
    .query("popreceipt", handle.pop_receipt.clone())
}

fn read_messages(operation: &'static str, queue: &str, answer: &Answer) -> Result<Vec<RawMessage>> {
    xml::read_messages(&answer.body).map_err(|error| {
        corrupt(operation, queue, "the answer is not a list of messages").with_source(error)
    })
}

fn date(operation: &'static str, queue: &str, text: &str) -> Result<Timestamp> {
    http_date::parse(text).ok_or_else(|| corrupt(operation, queue, "the answer has no valid date"))
}

fn corrupt(operation: &'static str, queue: &str, detail: &str) -> StorageError {
    StorageError::new(ErrorKind::Corrupt, operation, queue).with_detail(detail)
}

fn check_text(operation: &'static str, queue: &str, text: &str) -> Result<()> {
    if text.len() > MAX_MESSAGE_BYTES {
        return Err(
            StorageError::new(ErrorKind::PayloadTooLarge, operation, queue).with_detail(format!(
                "the text has {} bytes, {MAX_MESSAGE_BYTES} are allowed",
                text.len()
            )),
        );
    }
    // Azurite would take them and then fail every receive.
    if text.chars().all(xml::is_legal) {
        return Ok(());
    }
    Err(StorageError::new(ErrorKind::Invalid, operation, queue)
        .with_detail("the text has a character that XML 1.0 forbids; escape or encode it"))
}

fn check_count(operation: &'static str, queue: &str, count: u32) -> Result<()> {
    if (1..=MAX_MESSAGES_PER_GET).contains(&count) {
        return Ok(());
    }
    Err(StorageError::new(ErrorKind::Invalid, operation, queue)
        .with_detail(format!("count must be 1 to {MAX_MESSAGES_PER_GET}")))
}

fn check_visibility(operation: &'static str, queue: &str, least: u32, seconds: u32) -> Result<()> {
    if (least..=MAX_VISIBILITY_SECONDS).contains(&seconds) {
        return Ok(());
    }
    Err(
        StorageError::new(ErrorKind::Invalid, operation, queue).with_detail(format!(
            "visibility must be {least} to {MAX_VISIBILITY_SECONDS} seconds"
        )),
    )
}
