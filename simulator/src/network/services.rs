//! The three services over a network: every method owns its arguments, because requests outlive
//! their callers.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use durabletask_storage::wrappers::Operation;
use durabletask_storage::{
    Blob, BlobPage, Blobs, ContainerInfo, ETag, MessageHandle, Page, PeekedMessage, PutCondition,
    Query, Queues, ReceivedMessage, Result, Row, RowKeys, SentMessage, Tables, UpdatedMessage,
    Write,
};

use super::Network;

fn seconds(count: u32) -> Duration {
    Duration::from_secs(count.into())
}

#[async_trait]
impl Queues for Network {
    async fn create_queue(&self, queue: &str) -> Result<bool> {
        let own_queue = queue.to_owned();
        self.request(Operation::CreateQueue, queue, move |world| {
            let own_queue = own_queue.clone();
            Box::pin(async move { world.account.queues.create_queue(&own_queue).await })
        })
        .await
    }

    async fn delete_queue(&self, queue: &str) -> Result<bool> {
        let own_queue = queue.to_owned();
        self.request(Operation::DeleteQueue, queue, move |world| {
            let own_queue = own_queue.clone();
            Box::pin(async move { world.account.queues.delete_queue(&own_queue).await })
        })
        .await
    }

    async fn list_queues(&self, prefix: &str) -> Result<Vec<String>> {
        let own_prefix = prefix.to_owned();
        self.request(Operation::ListQueues, prefix, move |world| {
            let own_prefix = own_prefix.clone();
            Box::pin(async move { world.account.queues.list_queues(&own_prefix).await })
        })
        .await
    }

    async fn put_message(
        &self,
        queue: &str,
        text: &str,
        invisible_seconds: Option<u32>,
    ) -> Result<SentMessage> {
        let own_queue = queue.to_owned();
        let own_text = text.to_owned();
        let invisible_seconds = self.delayed(invisible_seconds);
        self.request(Operation::PutMessage, queue, move |world| {
            let own_queue = own_queue.clone();
            let own_text = own_text.clone();
            Box::pin(async move {
                let sent = world
                    .account
                    .queues
                    .put_message(&own_queue, &own_text, invisible_seconds)
                    .await?;
                let due = world.env.monotonic() + seconds(invisible_seconds.unwrap_or_default());
                world.timers.sent(&own_queue, &sent.handle.id, due);
                Ok(sent)
            })
        })
        .await
    }

    async fn get_messages(
        &self,
        queue: &str,
        count: u32,
        invisible_seconds: u32,
    ) -> Result<Vec<ReceivedMessage>> {
        let own_queue = queue.to_owned();
        let n = self.next_number();
        let received = self.request(Operation::GetMessages, queue, move |world| {
            let own_queue = own_queue.clone();
            Box::pin(async move {
                world
                    .account
                    .queues
                    .get_messages(&own_queue, count, invisible_seconds)
                    .await
            })
        });
        let mut messages = received.await?;
        let faults = &self.world.faults;
        faults.shuffle(&self.machine.name, n, &mut messages);
        Ok(messages)
    }

    async fn peek_messages(&self, queue: &str, count: u32) -> Result<Vec<PeekedMessage>> {
        let own_queue = queue.to_owned();
        self.request(Operation::PeekMessages, queue, move |world| {
            let own_queue = own_queue.clone();
            Box::pin(async move { world.account.queues.peek_messages(&own_queue, count).await })
        })
        .await
    }

    async fn update_message(
        &self,
        queue: &str,
        handle: &MessageHandle,
        text: Option<&str>,
        invisible_seconds: u32,
    ) -> Result<UpdatedMessage> {
        let own_queue = queue.to_owned();
        let own_handle = handle.clone();
        let own_text = text.map(str::to_owned);
        self.request(Operation::UpdateMessage, queue, move |world| {
            let own_queue = own_queue.clone();
            let own_handle = own_handle.clone();
            let own_text = own_text.clone();
            Box::pin(async move {
                world
                    .account
                    .queues
                    .update_message(
                        &own_queue,
                        &own_handle,
                        own_text.as_deref(),
                        invisible_seconds,
                    )
                    .await
            })
        })
        .await
    }

    async fn delete_message(&self, queue: &str, handle: &MessageHandle) -> Result<()> {
        let own_queue = queue.to_owned();
        let own_handle = handle.clone();
        self.request(Operation::DeleteMessage, queue, move |world| {
            let own_queue = own_queue.clone();
            let own_handle = own_handle.clone();
            Box::pin(async move {
                world
                    .account
                    .queues
                    .delete_message(&own_queue, &own_handle)
                    .await?;
                world.timers.deleted(&own_handle.id);
                Ok(())
            })
        })
        .await
    }

    async fn count_messages(&self, queue: &str) -> Result<u64> {
        let own_queue = queue.to_owned();
        self.request(Operation::CountMessages, queue, move |world| {
            let own_queue = own_queue.clone();
            Box::pin(async move { world.account.queues.count_messages(&own_queue).await })
        })
        .await
    }
}

#[async_trait]
impl Tables for Network {
    async fn create_table(&self, table: &str) -> Result<bool> {
        let own_table = table.to_owned();
        self.request(Operation::CreateTable, table, move |world| {
            let own_table = own_table.clone();
            Box::pin(async move { world.account.tables.create_table(&own_table).await })
        })
        .await
    }

    async fn delete_table(&self, table: &str) -> Result<bool> {
        let own_table = table.to_owned();
        self.request(Operation::DeleteTable, table, move |world| {
            let own_table = own_table.clone();
            Box::pin(async move { world.account.tables.delete_table(&own_table).await })
        })
        .await
    }

    async fn list_tables(&self, prefix: &str) -> Result<Vec<String>> {
        let own_prefix = prefix.to_owned();
        self.request(Operation::ListTables, prefix, move |world| {
            let own_prefix = own_prefix.clone();
            Box::pin(async move { world.account.tables.list_tables(&own_prefix).await })
        })
        .await
    }

    async fn get_row(&self, table: &str, keys: RowKeys<'_>) -> Result<Option<Row>> {
        let own_table = table.to_owned();
        let (partition, row) = (keys.partition.to_owned(), keys.row.to_owned());
        self.request(Operation::GetRow, table, move |world| {
            let own_table = own_table.clone();
            let partition = partition.clone();
            let row = row.clone();
            Box::pin(async move {
                world
                    .account
                    .tables
                    .get_row(
                        &own_table,
                        RowKeys {
                            partition: &partition,
                            row: &row,
                        },
                    )
                    .await
            })
        })
        .await
    }

    async fn query(&self, table: &str, query: &Query) -> Result<Page> {
        let own_table = table.to_owned();
        let own_query = query.clone();
        self.request(Operation::Query, table, move |world| {
            let own_table = own_table.clone();
            let own_query = own_query.clone();
            Box::pin(async move { world.account.tables.query(&own_table, &own_query).await })
        })
        .await
    }

    async fn write(&self, table: &str, write: Write) -> Result<Option<ETag>> {
        let own_table = table.to_owned();
        self.request(Operation::Write, table, move |world| {
            let own_table = own_table.clone();
            let write = write.clone();
            Box::pin(async move {
                let result = world.account.tables.write(&own_table, write.clone()).await;
                if result.is_ok() {
                    world.wrote(&own_table, std::slice::from_ref(&write));
                }
                result
            })
        })
        .await
    }

    async fn transact(&self, table: &str, writes: Vec<Write>) -> Result<Vec<Option<ETag>>> {
        let own_table = table.to_owned();
        self.request(Operation::Transact, table, move |world| {
            let own_table = own_table.clone();
            let writes = writes.clone();
            Box::pin(async move {
                let result = world
                    .account
                    .tables
                    .transact(&own_table, writes.clone())
                    .await;
                if result.is_ok() {
                    world.wrote(&own_table, &writes);
                }
                result
            })
        })
        .await
    }
}

#[async_trait]
impl Blobs for Network {
    async fn create_container(&self, container: &str) -> Result<bool> {
        let own_container = container.to_owned();
        self.request(Operation::CreateContainer, container, move |world| {
            let own_container = own_container.clone();
            Box::pin(async move { world.account.blobs.create_container(&own_container).await })
        })
        .await
    }

    async fn delete_container(&self, container: &str) -> Result<bool> {
        let own_container = container.to_owned();
        self.request(Operation::DeleteContainer, container, move |world| {
            let own_container = own_container.clone();
            Box::pin(async move { world.account.blobs.delete_container(&own_container).await })
        })
        .await
    }

    async fn list_containers(&self, prefix: &str) -> Result<Vec<ContainerInfo>> {
        let own_prefix = prefix.to_owned();
        self.request(Operation::ListContainers, prefix, move |world| {
            let own_prefix = own_prefix.clone();
            Box::pin(async move { world.account.blobs.list_containers(&own_prefix).await })
        })
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
        let own_container = container.to_owned();
        let own_blob = blob.to_owned();
        let own_lease = lease.map(str::to_owned);
        self.request(Operation::PutBlob, container, move |world| {
            let own_container = own_container.clone();
            let own_blob = own_blob.clone();
            let own_lease = own_lease.clone();
            let content = content.clone();
            let condition = condition.clone();
            Box::pin(async move {
                world
                    .account
                    .blobs
                    .put_blob(
                        &own_container,
                        &own_blob,
                        content.clone(),
                        condition.clone(),
                        own_lease.as_deref(),
                    )
                    .await
            })
        })
        .await
    }

    async fn get_blob(&self, container: &str, blob: &str) -> Result<Option<Blob>> {
        let own_container = container.to_owned();
        let own_blob = blob.to_owned();
        self.request(Operation::GetBlob, container, move |world| {
            let own_container = own_container.clone();
            let own_blob = own_blob.clone();
            Box::pin(async move {
                world
                    .account
                    .blobs
                    .get_blob(&own_container, &own_blob)
                    .await
            })
        })
        .await
    }

    async fn delete_blob(&self, container: &str, blob: &str, lease: Option<&str>) -> Result<bool> {
        let own_container = container.to_owned();
        let own_blob = blob.to_owned();
        let own_lease = lease.map(str::to_owned);
        self.request(Operation::DeleteBlob, container, move |world| {
            let own_container = own_container.clone();
            let own_blob = own_blob.clone();
            let own_lease = own_lease.clone();
            Box::pin(async move {
                world
                    .account
                    .blobs
                    .delete_blob(&own_container, &own_blob, own_lease.as_deref())
                    .await
            })
        })
        .await
    }

    async fn list_blobs(
        &self,
        container: &str,
        prefix: &str,
        marker: Option<&str>,
    ) -> Result<BlobPage> {
        let own_container = container.to_owned();
        let own_prefix = prefix.to_owned();
        let own_marker = marker.map(str::to_owned);
        self.request(Operation::ListBlobs, container, move |world| {
            let own_container = own_container.clone();
            let own_prefix = own_prefix.clone();
            let own_marker = own_marker.clone();
            Box::pin(async move {
                world
                    .account
                    .blobs
                    .list_blobs(&own_container, &own_prefix, own_marker.as_deref())
                    .await
            })
        })
        .await
    }

    async fn acquire_lease(
        &self,
        container: &str,
        blob: Option<&str>,
        lease: &str,
        seconds: Option<u32>,
    ) -> Result<()> {
        let own_container = container.to_owned();
        let own_blob = blob.map(str::to_owned);
        let own_lease = lease.to_owned();
        self.request(Operation::AcquireLease, container, move |world| {
            let own_container = own_container.clone();
            let own_blob = own_blob.clone();
            let own_lease = own_lease.clone();
            Box::pin(async move {
                world
                    .account
                    .blobs
                    .acquire_lease(&own_container, own_blob.as_deref(), &own_lease, seconds)
                    .await
            })
        })
        .await
    }

    async fn renew_lease(&self, container: &str, blob: Option<&str>, lease: &str) -> Result<()> {
        let own_container = container.to_owned();
        let own_blob = blob.map(str::to_owned);
        let own_lease = lease.to_owned();
        self.request(Operation::RenewLease, container, move |world| {
            let own_container = own_container.clone();
            let own_blob = own_blob.clone();
            let own_lease = own_lease.clone();
            Box::pin(async move {
                world
                    .account
                    .blobs
                    .renew_lease(&own_container, own_blob.as_deref(), &own_lease)
                    .await
            })
        })
        .await
    }

    async fn release_lease(&self, container: &str, blob: Option<&str>, lease: &str) -> Result<()> {
        let own_container = container.to_owned();
        let own_blob = blob.map(str::to_owned);
        let own_lease = lease.to_owned();
        self.request(Operation::ReleaseLease, container, move |world| {
            let own_container = own_container.clone();
            let own_blob = own_blob.clone();
            let own_lease = own_lease.clone();
            Box::pin(async move {
                world
                    .account
                    .blobs
                    .release_lease(&own_container, own_blob.as_deref(), &own_lease)
                    .await
            })
        })
        .await
    }

    async fn change_lease(
        &self,
        container: &str,
        blob: Option<&str>,
        lease: &str,
        proposed: &str,
    ) -> Result<()> {
        let own_container = container.to_owned();
        let own_blob = blob.map(str::to_owned);
        let own_lease = lease.to_owned();
        let own_proposed = proposed.to_owned();
        self.request(Operation::ChangeLease, container, move |world| {
            let own_container = own_container.clone();
            let own_blob = own_blob.clone();
            let own_lease = own_lease.clone();
            let own_proposed = own_proposed.clone();
            Box::pin(async move {
                world
                    .account
                    .blobs
                    .change_lease(
                        &own_container,
                        own_blob.as_deref(),
                        &own_lease,
                        &own_proposed,
                    )
                    .await
            })
        })
        .await
    }

    fn container_url(&self, container: &str) -> String {
        self.container_url_of(container)
    }
}
