//! Lists, pages and histories (chapter 03 §6).

use std::sync::Arc;

use async_trait::async_trait;
use durabletask_azurestorage::{HubClient, InstanceQuery, TaskHub, TaskHubError};
use durabletask_storage::{ETag, Page, Query, Result, Row, RowKeys, Tables, Write};
use futures::TryStreamExt;

use crate::golden;
use crate::hub::{TestHub, run, their_words};

#[test]
fn pages_and_histories_ask_for_what_dotnet_asks() {
    run(async |env| {
        let hub = TestHub::new(&env, "goldenquery").await;
        let requests = golden::requests("query");
        hub.repeat(&requests).await;
        let start = requests
            .iter()
            .position(|request| request.path.contains("TaskHubName eq"))
            .unwrap();
        let query = InstanceQuery {
            hubs: vec!["goldenquery".to_owned()],
            prefix: "q-".to_owned(),
            ..InstanceQuery::default()
        };
        let page = hub.client.list_page(&query, Some(1), None).await.unwrap();
        assert_eq!(page.instances.len(), 1);
        assert_eq!(page.instances[0].status.instance_id, "q-1");
        let history = hub.client.history_json("q-1", None).await.unwrap();
        let theirs: Vec<_> = requests[start..].iter().filter_map(their_words).collect();
        assert_eq!(hub.asked(), theirs);

        let events: Vec<serde_json::Value> = serde_json::from_str(&history).unwrap();
        let rows = hub.history_rows("q-1").await;
        assert_eq!(events.len(), rows.len() - 1);
        for (event, row) in events.iter().zip(&rows) {
            assert_eq!(event.get("$type"), None);
            assert!(event["EventType"].is_number(), "{row:?}");
            let name = row.get_str("Name");
            assert_eq!(event.get("Name").and_then(|name| name.as_str()), name);
        }

        let token = page.continuation.unwrap();
        assert_eq!(token.matches(' ').count(), 1, "{token}");
        let next = hub.client.list_page(&query, Some(1), Some(&token)).await;
        assert_eq!(next.unwrap().instances[0].status.instance_id, "q-2");
        let nothing = hub.client.history_json("missing", None).await.unwrap();
        assert_eq!(nothing, "[]");
    });
}

/// Tables whose service looks at two rows per request, and may find none of them good.
#[derive(Debug)]
struct Sparse(Arc<dyn Tables>);

#[async_trait]
impl Tables for Sparse {
    async fn create_table(&self, table: &str) -> Result<bool> {
        self.0.create_table(table).await
    }

    async fn delete_table(&self, table: &str) -> Result<bool> {
        self.0.delete_table(table).await
    }

    async fn list_tables(&self, prefix: &str) -> Result<Vec<String>> {
        self.0.list_tables(prefix).await
    }

    async fn get_row(&self, table: &str, keys: RowKeys<'_>) -> Result<Option<Row>> {
        self.0.get_row(table, keys).await
    }

    async fn query(&self, table: &str, query: &Query) -> Result<Page> {
        let all = Query {
            filter: None,
            top: Some(2),
            ..query.clone()
        };
        let mut page = self.0.query(table, &all).await?;
        page.rows
            .retain(|row| row.get_str("RuntimeStatus") == Some("Failed"));
        Ok(page)
    }

    async fn write(&self, table: &str, write: Write) -> Result<Option<ETag>> {
        self.0.write(table, write).await
    }

    async fn transact(&self, table: &str, writes: Vec<Write>) -> Result<Vec<Option<ETag>>> {
        self.0.transact(table, writes).await
    }
}

// covers: C03-12
#[test]
fn an_empty_page_is_not_the_end() {
    run(async |env| {
        let hub = TestHub::new(&env, "sparse").await;
        for number in 0..20 {
            let mut row = Row::new(format!("i{number:02}"), "");
            let status = if number % 10 == 9 {
                "Failed"
            } else {
                "Completed"
            };
            row.set("RuntimeStatus", status);
            hub.put_row(&hub.instances(), row).await;
        }
        let mut account = hub.account.clone();
        account.tables = Arc::new(Sparse(account.tables));
        let sparse = TaskHub::new(env, account, hub.hub.settings().clone());
        let client = HubClient::new(sparse);
        let query = InstanceQuery::default();
        let first = client.list_page(&query, None, None).await.unwrap();
        assert!(first.instances.is_empty() && first.continuation.is_some());
        let listed: Vec<_> = client.list(&query).try_collect().await.unwrap();
        let ids: Vec<_> = listed.iter().map(|i| &*i.status.instance_id).collect();
        assert_eq!(ids, ["i09", "i19"]);
    });
}

// covers: C03-11
/// Rows that nobody should have written, and one whose blob is gone, among 250 good ones.
#[test]
fn a_bad_row_does_not_hide_the_others() {
    run(async |env| {
        let hub = TestHub::new(&env, "bad").await;
        for number in 0..253 {
            let mut row = Row::new(format!("i{number:03}"), "");
            row.set("RuntimeStatus", "Completed");
            row.set("Name", "N");
            match number {
                50 => row.set("Generation", "many"),
                150 => {
                    let container = hub.hub.names().large_message_container();
                    let url = hub.account.blobs.container_url(&container);
                    row.set("Output", format!("{url}/i150/history-1-gone.json.gz"));
                }
                151 => row.set("Tags", "{\"broken"),
                // Not a reference, whatever .NET thinks (chapter 03 §4.5 TRAP).
                200 => row.set("Output", "https://example.org/reason"),
                _ => {}
            }
            hub.put_row(&hub.instances(), row).await;
        }
        let query = InstanceQuery::default();
        let listed: Vec<_> = hub.client.list(&query).try_collect().await.unwrap();
        assert_eq!(listed.len(), 253);
        let bad: Vec<_> = listed
            .iter()
            .filter(|instance| instance.problem.is_some())
            .map(|instance| &*instance.status.instance_id)
            .collect();
        assert_eq!(bad, ["i050", "i150", "i151"]);
        let missing = listed[150].problem.as_ref();
        assert!(matches!(missing, Some(TaskHubError::MissingBlob { .. })));
        assert_eq!(listed[50].status.name.as_deref(), Some("N"));
        assert_eq!(
            listed[200].status.output.as_deref(),
            Some("https://example.org/reason")
        );
        // Three pages of 100 and a look at the blob.
        assert_eq!(hub.asked().len(), 4);
        let refused = hub.client.list_page(&query, Some(0), None).await;
        assert!(matches!(refused, Err(TaskHubError::InvalidArgument(_))));
    });
}
