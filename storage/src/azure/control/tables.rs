//! Tables: create, delete, list.

use azure_data_tables::Filter;
use azure_data_tables::clients::{TableServiceClient, TableServiceClientBuilder};
use futures::StreamExt;
use std::sync::Arc;

use super::face::Face;
use super::{Call, Control, convert, created, deleted, status};
use crate::azure::connection::Service;
use crate::azure::transport::Repeat;
use crate::error::Result;

/// Sorts after every character that a table's name may have.
const AFTER_LETTERS: char = '{';

impl Control {
    fn tables(&self, call: Call) -> (TableServiceClient, Arc<Face>) {
        let (location, credentials, options, face) = self.client(call);
        let client = TableServiceClientBuilder::with_location(location, credentials)
            .client_options(options)
            .build();
        (client, face)
    }

    pub(in crate::azure) async fn create_table(&self, table: &str) -> Result<bool> {
        let (client, face) = self.tables(Call::new(
            Service::Table,
            Repeat::Conditional,
            "create_table",
            table,
        ));
        let outcome = client.table_client(table).create().await;
        created(status(outcome, &face))
    }

    pub(in crate::azure) async fn delete_table(&self, table: &str) -> Result<bool> {
        let (client, face) = self.tables(Call::new(
            Service::Table,
            Repeat::Conditional,
            "delete_table",
            table,
        ));
        let outcome = client.table_client(table).delete().await;
        deleted(status(outcome, &face))
    }

    pub(in crate::azure) async fn list_tables(&self, prefix: &str) -> Result<Vec<String>> {
        let (client, face) = self.tables(Call::new(
            Service::Table,
            Repeat::Read,
            "list_tables",
            format!("{prefix}*"),
        ));
        let mut list = client.list();
        if !prefix.is_empty() {
            let quoted = prefix.replace('\'', "''");
            list = list.filter(Filter::new(format!(
                "TableName ge '{quoted}' and TableName lt '{quoted}{AFTER_LETTERS}'"
            )));
        }
        let mut pages = list.into_stream();
        let mut names = Vec::new();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| convert(error, face.call()))?;
            names.extend(page.tables.into_iter().map(|table| table.name));
        }
        // The service compares without regard to case.
        names.retain(|name| name.starts_with(prefix));
        names.sort();
        Ok(names)
    }
}
