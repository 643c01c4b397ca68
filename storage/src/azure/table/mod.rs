//! The table service.

mod batch;
mod check;
mod json;
mod write;

use std::fmt::Write as _;
use std::sync::Arc;

use async_trait::async_trait;
use reqwest::Method;

use super::connection::Service;
use super::control::Control;
use super::transport::{Answer, Repeat, Request, Transport, encode};
use crate::error::{ErrorKind, Result, StorageError};
use crate::table::{Continuation, ETag, MAX_PAGE_ROWS, Page, Query, Row, RowKeys, Tables, Write};

/// Types are annotated where JSON does not tell them, and rows carry their ETags.
const ACCEPT: &str = "application/json;odata=minimalmetadata";
const DATA_SERVICE_VERSION: &str = "3.0";

/// Tables of one Azure account.
#[derive(Debug)]
pub(super) struct AzureTables {
    transport: Arc<Transport>,
    control: Control,
}

impl AzureTables {
    pub(super) fn new(transport: Arc<Transport>) -> Self {
        Self {
            control: Control::new(Arc::clone(&transport)),
            transport,
        }
    }
}

#[async_trait]
impl Tables for AzureTables {
    async fn create_table(&self, table: &str) -> Result<bool> {
        self.control.create_table(table).await
    }

    async fn delete_table(&self, table: &str) -> Result<bool> {
        self.control.delete_table(table).await
    }

    async fn list_tables(&self, prefix: &str) -> Result<Vec<String>> {
        self.control.list_tables(prefix).await
    }

    async fn get_row(&self, table: &str, keys: RowKeys<'_>) -> Result<Option<Row>> {
        const OPERATION: &str = "get_row";
        let path = row_path(table, keys);
        let request = request(Method::GET, path, Repeat::Read, OPERATION, table);
        let answer = match self.transport.send(request).await {
            Ok(answer) => answer,
            Err(error) if error.is_not_found() && error.code() != Some("TableNotFound") => {
                return Ok(None);
            }
            Err(error) => return Err(error),
        };
        let mut row = json::read_row(&answer.body)
            .map_err(|error| corrupt(OPERATION, table, "a row").with_source(error))?;
        if row.etag.is_none() {
            row.etag = etag(&answer);
        }
        Ok(Some(row))
    }

    async fn query(&self, table: &str, query: &Query) -> Result<Page> {
        const OPERATION: &str = "query";
        let request = query_request(table, query, OPERATION)?;
        let answer = self.transport.send(request).await?;
        let rows = json::read_rows(&answer.body)
            .map_err(|error| corrupt(OPERATION, table, "a list of rows").with_source(error))?;
        Ok(Page {
            rows,
            continuation: continuation(&answer),
        })
    }

    async fn write(&self, table: &str, write: Write) -> Result<Option<ETag>> {
        const OPERATION: &str = "write";
        check::write(OPERATION, table, &write)?;
        let parts = write::parts(table, &write);
        let mut request = request(parts.method, parts.path, parts.repeat, OPERATION, table);
        if let Some(condition) = parts.if_match {
            request = request.header("if-match", condition);
        }
        if let Some(body) = parts.body {
            request = request
                .header("prefer", "return-no-content")
                .body("application/json", body);
        }
        let answer = self.transport.send(request).await?;
        Ok(etag(&answer).filter(|_| !matches!(write, Write::Delete { .. })))
    }

    async fn transact(&self, table: &str, writes: Vec<Write>) -> Result<Vec<Option<ETag>>> {
        const OPERATION: &str = "transact";
        check::transaction(OPERATION, table, &writes)?;
        let boundaries = batch::Boundaries::new(self.transport.env());
        let endpoint = self.transport.endpoint(Service::Table);
        let body = batch::body(endpoint, table, &writes, &boundaries);
        check::transaction_size(OPERATION, table, body.len())?;
        let mut request = Request::new(
            Service::Table,
            Method::POST,
            "/$batch".to_owned(),
            Repeat::Conditional,
            OPERATION,
            table,
        )
        .header("accept", ACCEPT)
        .header("dataserviceversion", DATA_SERVICE_VERSION)
        .header("content-type", boundaries.content_type());
        request.body = body.into();
        request.unwrap = Some(batch::unwrap_refusal);
        let answer = match self.transport.send(request).await {
            Ok(answer) => answer,
            // The service leaves the number out where there is only one operation.
            Err(error) if writes.len() == 1 && error.status().is_some() => {
                return Err(error.with_failed_index(0));
            }
            Err(error) => return Err(error),
        };
        batch::etags(&answer.body, &writes).ok_or_else(|| {
            corrupt(
                OPERATION,
                table,
                "one answer per operation of the transaction",
            )
        })
    }
}

fn request(
    method: Method,
    path: String,
    repeat: Repeat,
    operation: &'static str,
    table: &str,
) -> Request {
    Request::new(Service::Table, method, path, repeat, operation, table)
        .header("accept", ACCEPT)
        .header("dataserviceversion", DATA_SERVICE_VERSION)
}

/// `/Table(PartitionKey='…',RowKey='…')`, quotes doubled, all else percent-encoded.
fn row_path(table: &str, keys: RowKeys<'_>) -> String {
    let partition = keys.partition.replace('\'', "''");
    let row = keys.row.replace('\'', "''");
    format!(
        "/{}(PartitionKey='{}',RowKey='{}')",
        encode(table),
        encode(&partition),
        encode(&row)
    )
}

fn query_request(table: &str, query: &Query, operation: &'static str) -> Result<Request> {
    let path = format!("/{}()", encode(table));
    let mut request = request(Method::GET, path, Repeat::Read, operation, table);
    if let Some(filter) = &query.filter {
        request = request.query("$filter", filter.clone());
    }
    if !query.select.is_empty() {
        let mut columns = query.select.join(",");
        for always in ["PartitionKey", "RowKey", "Timestamp"] {
            if !query.select.iter().any(|column| column == always) {
                // Writing to a String cannot fail.
                let _ = write!(columns, ",{always}");
            }
        }
        request = request.query("$select", columns);
    }
    if let Some(top) = query.top {
        if !(1..=MAX_PAGE_ROWS).contains(&top) {
            return Err(StorageError::new(ErrorKind::Invalid, operation, table)
                .with_detail(format!("a page must have 1 to {MAX_PAGE_ROWS} rows")));
        }
        request = request.query("$top", top.to_string());
    }
    if let Some(from) = &query.continuation {
        request = request.query("NextPartitionKey", from.next_partition_key.clone());
        if let Some(row) = &from.next_row_key {
            request = request.query("NextRowKey", row.clone());
        }
    }
    Ok(request)
}

/// Azurite sends an empty partition key where the next row has one; no header means the end.
fn continuation(answer: &Answer) -> Option<Continuation> {
    let partition = answer.header("x-ms-continuation-nextpartitionkey")?;
    let row = answer
        .header("x-ms-continuation-nextrowkey")
        .filter(|key| !key.is_empty());
    (!partition.is_empty() || row.is_some()).then(|| Continuation {
        next_partition_key: partition.to_owned(),
        next_row_key: row.map(str::to_owned),
    })
}

fn etag(answer: &Answer) -> Option<ETag> {
    answer.header("etag").map(|etag| ETag(etag.to_owned()))
}

fn corrupt(operation: &'static str, table: &str, expected: &str) -> StorageError {
    StorageError::new(ErrorKind::Corrupt, operation, table)
        .with_detail(format!("the answer is not {expected}"))
}
