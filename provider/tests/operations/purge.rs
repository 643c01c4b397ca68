//! Purging (chapter 03 §7.1, §7.2).

use std::ops::ControlFlow;
use std::time::Duration;

use durabletask_azurestorage::{
    InstanceQuery, PurgeCounts, PurgeFilter, PurgeOptions, TaskHubError,
};
use durabletask_core::OrchestrationStatus::{self, Completed, Failed, Running};
use durabletask_core::Timestamp;
use durabletask_storage::{ErrorKind, PutCondition, Row, Write};

use crate::golden::{self, Request};
use crate::hub::{TestHub, at_every_crash_point, run, their_words};

/// The date in a recorded filter.
fn date_in(filter: &str, operator: &str) -> Option<Timestamp> {
    let (_, rest) = filter.split_once(&format!("CreatedTime {operator} datetime'"))?;
    rest.split('\'').next()?.parse().ok()
}

/// What both sides ask; lists differ by the slash (chapter 03 §7.1 TRAP), the rest by order only.
fn sorted(words: impl IntoIterator<Item = String>) -> Vec<String> {
    let mut words: Vec<_> = words.into_iter().collect();
    words.sort();
    words
}

#[test]
fn purges_ask_for_what_dotnet_asks() {
    run(async |env| {
        let hub = TestHub::new(&env, "goldenpurge").await;
        let requests = golden::requests("purge");
        let find = |what: &dyn Fn(&Request) -> bool| requests.iter().position(what).unwrap();
        let filter_of = |request: &Request| {
            let filter = request.parameter("$filter").unwrap_or_default();
            filter.to_owned()
        };
        let by_id = find(&|request| filter_of(request).ends_with("RowKey eq ''"));
        let by_range = find(&|request| filter_of(request).contains("CreatedTime ge"));
        hub.repeat(&requests[..by_id]).await;
        for request in &requests[by_id..by_range] {
            if let Some((container, blob)) = request.path[1..].split_once('/')
                && request.service == "blob"
                && request.method == "DELETE"
            {
                hub.put_blob(container, blob).await;
            }
        }
        // A neighbour whose blobs .NET would delete.
        hub.put_blob(
            "goldenpurge-largemessages",
            "purge-10/message-1-EventRaised.json.gz",
        )
        .await;

        hub.asked();
        let counts = hub.client.purge("purge-1", false).await.unwrap();
        let ours = hub.asked();
        assert_eq!(ours.last().unwrap(), "delete goldenpurgeInstances");
        let theirs = requests[by_id..by_range].iter().filter_map(their_words);
        assert_eq!(sorted(ours), sorted(theirs));
        let recorded = PurgeCounts {
            instances: 1,
            rows: 9,
            blobs: 5,
            storage_requests: 9,
        };
        assert_eq!(counts, recorded);

        let filter = filter_of(&requests[by_range]);
        let filter = PurgeFilter {
            created_from: date_in(&filter, "ge"),
            created_to: date_in(&filter, "le"),
            statuses: Some(vec![Running, Completed]),
            ..PurgeFilter::default()
        };
        let options = PurgeOptions::default();
        let go_on = |_: &_| ControlFlow::Continue(());
        let report = hub.client.purge_matching(&filter, &options, go_on).await;
        let theirs = requests[by_range..].iter().filter_map(their_words);
        assert_eq!(sorted(hub.asked()), sorted(theirs));
        let report = report.unwrap();
        assert!(report.is_complete);
        assert_eq!(
            (report.removed.rows, report.removed.storage_requests),
            (17, 4)
        );
        assert_eq!(
            hub.blobs().await,
            ["purge-10/message-1-EventRaised.json.gz"]
        );
        assert!(hub.history_rows("purge-2").await.is_empty());
    });
}

/// An instance with history rows and a blob of each kind.
async fn put_instance(hub: &TestHub, id: &str, status: OrchestrationStatus, rows: usize) {
    let key = durabletask_azurestorage::wire::names::escape_key(id);
    let mut row = Row::new(&*key, "");
    row.set("RuntimeStatus", status.name());
    row.set("ExecutionId", "e");
    row.set("CreatedTime", hub.hub.env().now());
    for number in 0..rows {
        let mut event = Row::new(&*key, format!("{number:016X}"));
        event.set("ExecutionId", "e");
        hub.put_row(&hub.history(), event).await;
    }
    let container = hub.hub.names().large_message_container();
    hub.put_blob(
        &container,
        &format!("{id}/message-1-ExecutionStarted.json.gz"),
    )
    .await;
    hub.put_blob(&container, &format!("{key}/history-1-Input.json.gz"))
        .await;
    hub.put_row(&hub.instances(), row).await;
}

#[test]
fn a_purge_takes_nothing_of_others() {
    // covers: R3-04
    run(async |env| {
        let hub = TestHub::new(&env, "neighbours").await;
        for id in ["a", "a/b", "a^0b", "ab"] {
            put_instance(&hub, id, Failed, 3).await;
        }
        let counts = hub.client.purge("a/b", false).await.unwrap();
        assert_eq!((counts.instances, counts.rows, counts.blobs), (1, 3, 2));
        let counts = hub.client.purge("a", false).await.unwrap();
        assert_eq!((counts.instances, counts.rows, counts.blobs), (1, 3, 2));
        for id in ["a^0b", "ab"] {
            let counts = hub.client.purge(id, false).await.unwrap();
            assert_eq!(
                (counts.instances, counts.rows, counts.blobs),
                (1, 3, 2),
                "{id}"
            );
        }
        assert_eq!(hub.blobs().await, Vec::<String>::new());
    });
}

#[test]
fn live_instances_are_refused_unless_forced() {
    run(async |env| {
        let hub = TestHub::new(&env, "live").await;
        put_instance(&hub, "i", Running, 250).await;
        let refused = hub.client.purge("i", false).await;
        assert!(matches!(refused, Err(TaskHubError::NotFinished { .. })));
        // .NET would delete everything in the range.
        let filter = PurgeFilter {
            statuses: Some(vec![Running]),
            ..PurgeFilter::default()
        };
        let go_on = |_: &_| ControlFlow::Continue(());
        let options = PurgeOptions::default();
        let report = hub.client.purge_matching(&filter, &options, go_on).await;
        assert_eq!(report.unwrap().matched, 0);
        let counts = hub.client.purge("i", true).await.unwrap();
        assert_eq!((counts.instances, counts.rows), (1, 250));
    });
}

/// Stopped after any number of calls, a second purge removes what is left, the row at last.
#[test]
fn an_interrupted_purge_is_finished_by_the_next() {
    let crashes = at_every_crash_point(async |env, half_calls| {
        let hub = TestHub::new(&env, "cut").await;
        put_instance(&hub, "i/1", Completed, 120).await;
        let purge = hub.client.purge("i/1", false);
        let was_cut = hub.crash_after(half_calls, purge).await;
        if was_cut {
            hub.client.purge("i/1", false).await.unwrap();
        }
        assert_eq!(hub.client.status("i/1").await.unwrap(), None);
        assert!(hub.history_rows("i/1").await.is_empty());
        assert!(hub.blobs().await.is_empty());
        was_cut
    });
    assert!(crashes > 7, "{crashes}");
}

/// A start of the same id between the look and the deletion wins.
#[test]
fn an_instance_started_again_meanwhile_is_kept() {
    run(async |env| {
        let hub = TestHub::new(&env, "again").await;
        put_instance(&hub, "i", Completed, 3).await;
        env.sleep(Duration::from_secs(60)).await;
        for cut in [1, 2] {
            let client = hub.client.clone();
            let purge = client.purge("i", false);
            let start = async {
                env.sleep(crate::hub::CALL * cut + Duration::from_millis(1))
                    .await;
                hub.put_row(&hub.instances(), {
                    let mut row = Row::new("i", "");
                    row.set("RuntimeStatus", "Pending");
                    row
                })
                .await;
                let mut event = Row::new("i", format!("{:016X}", 0));
                event.set("ExecutionId", "new");
                hub.put_row(&hub.history(), event).await;
                let container = hub.hub.names().large_message_container();
                hub.put_blob(&container, "i/message-2-ExecutionStarted.json.gz")
                    .await;
            };
            let (purged, ()) = futures::future::join(purge, start).await;
            assert!(
                matches!(purged, Err(TaskHubError::ChangedMeanwhile { .. })),
                "{purged:?}"
            );
            assert_eq!(hub.blobs().await, ["i/message-2-ExecutionStarted.json.gz"]);
            let status = hub.client.status("i").await.unwrap().unwrap();
            assert_eq!(status.runtime_status, OrchestrationStatus::Pending);
            let history = hub.history_rows("i").await;
            let is_new = |row: &Row| row.get_str("ExecutionId") == Some("new");
            assert!(history.iter().any(is_new), "cut {cut}: {history:?}");
            put_instance(&hub, "i", Completed, 3).await;
            let container = hub.hub.names().large_message_container();
            let blobs = &hub.account.blobs;
            blobs
                .delete_blob(&container, "i/message-2-ExecutionStarted.json.gz", None)
                .await
                .unwrap();
            env.sleep(Duration::from_secs(60)).await;
        }
    });
}

#[test]
fn a_purge_of_many_keeps_its_pace_tells_and_stops() {
    run(async |env| {
        let hub = TestHub::new(&env, "many").await;
        for number in 0..30 {
            let status = if number < 10 { Failed } else { Completed };
            put_instance(&hub, &format!("i{number:02}"), status, 1).await;
        }
        let mut options = PurgeOptions {
            dry_run: true,
            max_instances_per_second: 10,
            ..PurgeOptions::default()
        };
        let filter = PurgeFilter {
            statuses: Some(vec![Completed]),
            ..PurgeFilter::default()
        };
        let go_on = |_: &_| ControlFlow::Continue(());
        let dry = hub
            .client
            .purge_matching(&filter, &options, go_on)
            .await
            .unwrap();
        assert_eq!((dry.matched, dry.removed), (20, PurgeCounts::default()));

        options.dry_run = false;
        let mut told = Vec::new();
        let stop = |report: &durabletask_azurestorage::PurgeReport| {
            told.push(report.removed.instances);
            if told.len() == 5 {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        };
        let stopped = hub
            .client
            .purge_matching(&filter, &options, stop)
            .await
            .unwrap();
        assert!(!stopped.is_complete);
        assert_eq!(told, [1, 2, 3, 4, 5]);
        let began = env.monotonic();
        let rest = hub
            .client
            .purge_matching(&filter, &options, go_on)
            .await
            .unwrap();
        let took = env.monotonic().saturating_sub(began);
        let left = u32::try_from(rest.removed.instances).unwrap();
        assert!(rest.is_complete && left > 10);
        let pause = Duration::from_millis(100);
        assert!(
            (pause * (left - 1)..pause * (left + 1)).contains(&took),
            "{took:?} for {left}"
        );
        let left = hub
            .client
            .list_page(&InstanceQuery::default(), None, None)
            .await;
        assert_eq!(left.unwrap().instances.len(), 10);
    });
}

#[allow(dead_code, reason = "helpers of this file")]
impl TestHub {
    pub(crate) async fn put_row(&self, table: &str, row: Row) {
        let write = Write::InsertOrReplace(row);
        self.account.tables.write(table, write).await.unwrap();
    }

    pub(crate) async fn put_blob(&self, container: &str, blob: &str) {
        let blobs = &self.account.blobs;
        blobs.create_container(container).await.unwrap();
        blobs
            .put_blob(container, blob, "x".into(), PutCondition::Always, None)
            .await
            .unwrap();
    }

    /// Names of all blobs in the large-message container.
    pub(crate) async fn blobs(&self) -> Vec<String> {
        let container = self.hub.names().large_message_container();
        let page = self.account.blobs.list_blobs(&container, "", None).await;
        match page {
            Ok(page) => page.blobs.into_iter().map(|blob| blob.name).collect(),
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::NotFound);
                Vec::new()
            }
        }
    }
}
