//! All methods of the three services, each passed on between a layer's `start` and `end`.

use std::fmt::Debug;
use std::future::{Future, ready};
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;

use super::{Arguments, Operation, Outcome};
use crate::{
    Account, Blob, BlobPage, Blobs, ContainerInfo, ETag, MessageHandle, Page, PeekedMessage,
    PutCondition, Query, Queues, ReceivedMessage, Result, Row, RowKeys, SentMessage, Tables,
    UpdatedMessage, Write,
};

/// What a wrapper does with a call.
pub(super) trait Layer: Debug + Send + Sync + 'static {
    /// What `start` hands to `end`.
    type Ticket: Send + Sync;

    /// Before the call; the call waits for it.
    fn start(&self, call: Call<'_>) -> impl Future<Output = Self::Ticket> + Send;

    /// On the way to the account and, with the answer, back; an error is what the caller gets
    /// instead.
    fn travel(
        &self,
        _ticket: &Self::Ticket,
        _operation: Operation,
        _way: Way,
    ) -> impl Future<Output = Result<()>> + Send {
        ready(Ok(()))
    }

    /// After the call, unless its caller gave up on it.
    fn end(&self, _ticket: Self::Ticket, _outcome: Outcome) -> impl Future<Output = ()> + Send {
        ready(())
    }
}

/// A direction of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// The request's.
    There,
    /// The answer's.
    Back,
}

pub(super) struct Call<'a> {
    pub(super) operation: Operation,
    /// Queue, table, container, or container and blob; the prefix of a list.
    pub(super) resource: &'a str,
    /// Made on demand, because most layers do not look.
    pub(super) arguments: &'a (dyn Fn() -> Arguments + Sync),
}

pub(super) fn wrap<L: Layer>(inner: Account, layer: &Arc<L>) -> Account {
    let clock = inner.clock.clone();
    let layered = Arc::new(Layered {
        inner,
        layer: layer.clone(),
    });
    Account {
        queues: layered.clone(),
        tables: layered.clone(),
        blobs: layered,
        clock,
    }
}

#[derive(Debug)]
struct Layered<L> {
    inner: Account,
    layer: Arc<L>,
}

impl<L: Layer> Layered<L> {
    /// `call` is polled only after the layer's start. `count` says how many things came back.
    async fn around<T>(
        &self,
        operation: Operation,
        resource: &str,
        arguments: &(dyn Fn() -> Arguments + Sync),
        call: impl Future<Output = Result<T>> + Send,
        count: impl Fn(&T) -> usize + Send,
    ) -> Result<T> {
        let ticket = self
            .layer
            .start(Call {
                operation,
                resource,
                arguments,
            })
            .await;
        let result = self.carry(&ticket, operation, call).await;
        self.layer.end(ticket, Outcome::of(&result, count)).await;
        result
    }

    /// The call between its two ways. It is polled only after the first.
    async fn carry<T>(
        &self,
        ticket: &L::Ticket,
        operation: Operation,
        call: impl Future<Output = Result<T>> + Send,
    ) -> Result<T> {
        self.layer.travel(ticket, operation, Way::There).await?;
        let answer = call.await;
        self.layer.travel(ticket, operation, Way::Back).await?;
        answer
    }
}

/// The resource of a lease: a container, or container and blob.
fn leased(container: &str, blob: Option<&str>) -> String {
    blob.map_or_else(
        || container.to_owned(),
        |blob| format!("{container}/{blob}"),
    )
}

fn nothing() -> Arguments {
    Arguments::None
}

#[allow(
    clippy::trivially_copy_pass_by_ref,
    reason = "the shape of every count"
)]
fn flag(value: &bool) -> usize {
    usize::from(*value)
}

#[async_trait]
impl<L: Layer> Queues for Layered<L> {
    async fn create_queue(&self, queue: &str) -> Result<bool> {
        let call = self.inner.queues.create_queue(queue);
        self.around(Operation::CreateQueue, queue, &nothing, call, flag)
            .await
    }

    async fn delete_queue(&self, queue: &str) -> Result<bool> {
        let call = self.inner.queues.delete_queue(queue);
        self.around(Operation::DeleteQueue, queue, &nothing, call, flag)
            .await
    }

    async fn list_queues(&self, prefix: &str) -> Result<Vec<String>> {
        let call = self.inner.queues.list_queues(prefix);
        self.around(Operation::ListQueues, prefix, &nothing, call, Vec::len)
            .await
    }

    async fn put_message(
        &self,
        queue: &str,
        text: &str,
        invisible_seconds: Option<u32>,
    ) -> Result<SentMessage> {
        let arguments = || Arguments::Put {
            text: text.to_owned(),
            invisible_seconds,
        };
        let call = self
            .inner
            .queues
            .put_message(queue, text, invisible_seconds);
        self.around(Operation::PutMessage, queue, &arguments, call, |_| 1)
            .await
    }

    async fn get_messages(
        &self,
        queue: &str,
        count: u32,
        invisible_seconds: u32,
    ) -> Result<Vec<ReceivedMessage>> {
        let arguments = || Arguments::Get {
            count,
            invisible_seconds,
        };
        let call = self
            .inner
            .queues
            .get_messages(queue, count, invisible_seconds);
        self.around(Operation::GetMessages, queue, &arguments, call, Vec::len)
            .await
    }

    async fn peek_messages(&self, queue: &str, count: u32) -> Result<Vec<PeekedMessage>> {
        let arguments = || Arguments::Peek { count };
        let call = self.inner.queues.peek_messages(queue, count);
        self.around(Operation::PeekMessages, queue, &arguments, call, Vec::len)
            .await
    }

    async fn update_message(
        &self,
        queue: &str,
        handle: &MessageHandle,
        text: Option<&str>,
        invisible_seconds: u32,
    ) -> Result<UpdatedMessage> {
        let arguments = || Arguments::Update {
            id: handle.id.clone(),
            text: text.map(str::to_owned),
            invisible_seconds,
        };
        let call = self
            .inner
            .queues
            .update_message(queue, handle, text, invisible_seconds);
        self.around(Operation::UpdateMessage, queue, &arguments, call, |_| 1)
            .await
    }

    async fn delete_message(&self, queue: &str, handle: &MessageHandle) -> Result<()> {
        let arguments = || Arguments::Delete {
            id: handle.id.clone(),
        };
        let call = self.inner.queues.delete_message(queue, handle);
        self.around(Operation::DeleteMessage, queue, &arguments, call, |()| 1)
            .await
    }

    async fn count_messages(&self, queue: &str) -> Result<u64> {
        let call = self.inner.queues.count_messages(queue);
        let count = |count: &u64| usize::try_from(*count).unwrap_or(usize::MAX);
        self.around(Operation::CountMessages, queue, &nothing, call, count)
            .await
    }
}

#[async_trait]
impl<L: Layer> Tables for Layered<L> {
    async fn create_table(&self, table: &str) -> Result<bool> {
        let call = self.inner.tables.create_table(table);
        self.around(Operation::CreateTable, table, &nothing, call, flag)
            .await
    }

    async fn delete_table(&self, table: &str) -> Result<bool> {
        let call = self.inner.tables.delete_table(table);
        self.around(Operation::DeleteTable, table, &nothing, call, flag)
            .await
    }

    async fn list_tables(&self, prefix: &str) -> Result<Vec<String>> {
        let call = self.inner.tables.list_tables(prefix);
        self.around(Operation::ListTables, prefix, &nothing, call, Vec::len)
            .await
    }

    async fn get_row(&self, table: &str, keys: RowKeys<'_>) -> Result<Option<Row>> {
        let arguments = || Arguments::Keys {
            partition_key: keys.partition.to_owned(),
            row_key: keys.row.to_owned(),
        };
        let call = self.inner.tables.get_row(table, keys);
        let count = |row: &Option<Row>| usize::from(row.is_some());
        self.around(Operation::GetRow, table, &arguments, call, count)
            .await
    }

    async fn query(&self, table: &str, query: &Query) -> Result<Page> {
        let arguments = || Arguments::Query(query.clone());
        let call = self.inner.tables.query(table, query);
        let count = |page: &Page| page.rows.len();
        self.around(Operation::Query, table, &arguments, call, count)
            .await
    }

    async fn write(&self, table: &str, write: Write) -> Result<Option<ETag>> {
        let ticket = self
            .layer
            .start(Call {
                operation: Operation::Write,
                resource: table,
                arguments: &|| Arguments::Writes(vec![write.clone()]),
            })
            .await;
        let call = self.inner.tables.write(table, write);
        let result = self.carry(&ticket, Operation::Write, call).await;
        self.layer.end(ticket, Outcome::of(&result, |_| 1)).await;
        result
    }

    async fn transact(&self, table: &str, writes: Vec<Write>) -> Result<Vec<Option<ETag>>> {
        let ticket = self
            .layer
            .start(Call {
                operation: Operation::Transact,
                resource: table,
                arguments: &|| Arguments::Writes(writes.clone()),
            })
            .await;
        let call = self.inner.tables.transact(table, writes);
        let result = self.carry(&ticket, Operation::Transact, call).await;
        self.layer.end(ticket, Outcome::of(&result, Vec::len)).await;
        result
    }
}

#[async_trait]
impl<L: Layer> Blobs for Layered<L> {
    async fn create_container(&self, container: &str) -> Result<bool> {
        let call = self.inner.blobs.create_container(container);
        self.around(Operation::CreateContainer, container, &nothing, call, flag)
            .await
    }

    async fn delete_container(&self, container: &str) -> Result<bool> {
        let call = self.inner.blobs.delete_container(container);
        self.around(Operation::DeleteContainer, container, &nothing, call, flag)
            .await
    }

    async fn list_containers(&self, prefix: &str) -> Result<Vec<ContainerInfo>> {
        let call = self.inner.blobs.list_containers(prefix);
        self.around(Operation::ListContainers, prefix, &nothing, call, Vec::len)
            .await
    }

    async fn put_blob(
        &self,
        container: &str,
        blob: &str,
        content: Bytes,
        condition: PutCondition,
        lease: Option<&str>,
    ) -> Result<ETag> {
        let recorded = (content.clone(), condition.clone());
        let arguments = || Arguments::Blob {
            content: recorded.0.clone(),
            condition: recorded.1.clone(),
            lease: lease.map(str::to_owned),
        };
        let name = format!("{container}/{blob}");
        let call = self
            .inner
            .blobs
            .put_blob(container, blob, content, condition, lease);
        self.around(Operation::PutBlob, &name, &arguments, call, |_| 1)
            .await
    }

    async fn get_blob(&self, container: &str, blob: &str) -> Result<Option<Blob>> {
        let name = format!("{container}/{blob}");
        let call = self.inner.blobs.get_blob(container, blob);
        let count = |blob: &Option<Blob>| usize::from(blob.is_some());
        self.around(Operation::GetBlob, &name, &nothing, call, count)
            .await
    }

    async fn delete_blob(&self, container: &str, blob: &str, lease: Option<&str>) -> Result<bool> {
        let arguments = || match lease {
            Some(lease) => Arguments::lease(lease),
            None => Arguments::None,
        };
        let name = format!("{container}/{blob}");
        let call = self.inner.blobs.delete_blob(container, blob, lease);
        self.around(Operation::DeleteBlob, &name, &arguments, call, flag)
            .await
    }

    async fn list_blobs(
        &self,
        container: &str,
        prefix: &str,
        marker: Option<&str>,
    ) -> Result<BlobPage> {
        let arguments = || Arguments::List {
            prefix: prefix.to_owned(),
            marker: marker.map(str::to_owned),
        };
        let call = self.inner.blobs.list_blobs(container, prefix, marker);
        let count = |page: &BlobPage| page.blobs.len();
        self.around(Operation::ListBlobs, container, &arguments, call, count)
            .await
    }

    async fn acquire_lease(
        &self,
        container: &str,
        blob: Option<&str>,
        lease: &str,
        seconds: Option<u32>,
    ) -> Result<()> {
        let arguments = || Arguments::AcquireLease {
            lease: lease.to_owned(),
            seconds,
        };
        let name = leased(container, blob);
        let call = self
            .inner
            .blobs
            .acquire_lease(container, blob, lease, seconds);
        self.around(Operation::AcquireLease, &name, &arguments, call, |()| 1)
            .await
    }

    async fn renew_lease(&self, container: &str, blob: Option<&str>, lease: &str) -> Result<()> {
        let arguments = || Arguments::lease(lease);
        let name = leased(container, blob);
        let call = self.inner.blobs.renew_lease(container, blob, lease);
        self.around(Operation::RenewLease, &name, &arguments, call, |()| 1)
            .await
    }

    async fn release_lease(&self, container: &str, blob: Option<&str>, lease: &str) -> Result<()> {
        let arguments = || Arguments::lease(lease);
        let name = leased(container, blob);
        let call = self.inner.blobs.release_lease(container, blob, lease);
        self.around(Operation::ReleaseLease, &name, &arguments, call, |()| 1)
            .await
    }

    async fn change_lease(
        &self,
        container: &str,
        blob: Option<&str>,
        lease: &str,
        proposed: &str,
    ) -> Result<()> {
        let arguments = || Arguments::ChangeLease {
            lease: lease.to_owned(),
            proposed: proposed.to_owned(),
        };
        let name = leased(container, blob);
        let call = self
            .inner
            .blobs
            .change_lease(container, blob, lease, proposed);
        self.around(Operation::ChangeLease, &name, &arguments, call, |()| 1)
            .await
    }

    fn container_url(&self, container: &str) -> String {
        self.inner.blobs.container_url(container)
    }
}
