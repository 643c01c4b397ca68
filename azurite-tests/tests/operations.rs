//! Lists, histories, purges and sweeps on Azurite: what the embedded store cannot tell, such as
//! the ETags of selected columns and the blobs of real large values.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::ops::ControlFlow;
use std::time::Duration;

use azurite_tests::{azurite, catalogue, unique_hub};
use durabletask_storage::Env;
use durabletask_storage::azure::Connection;
use durabletask_worker::hub::{HubSettings, StoreChoice};
use durabletask_worker::{
    Client, InstanceQuery, OrchestrationStatus, PurgeFilter, PurgeOptions, StartOptions,
    SweepOptions, TaskHub, Worker,
};
use futures::TryStreamExt;
use futures::future::join_all;

const LIMIT: Option<Duration> = Some(Duration::from_secs(60));
/// Instances; the history of each has values above 60 KiB.
const COUNT: usize = 5;

#[tokio::test(flavor = "multi_thread")]
async fn large_instances_are_listed_and_purged_without_a_trace() {
    let store = StoreChoice::Azure {
        main: Connection::parse(&azurite::connection().await)
            .unwrap()
            .into(),
        tracking: None,
    };
    let settings = HubSettings::new(unique_hub("operations"), 2).with_store(store);
    let hub = TaskHub::open(settings, &Env::system()).await.unwrap();
    let client = Client::new(&hub);
    let worker = Worker::builder()
        .orchestrator(catalogue::big_data)
        .activity(catalogue::big)
        .build()
        .unwrap()
        .start(&hub);
    let input = "i".repeat(100_000);
    let ids: Vec<_> = (0..COUNT).map(|n| format!("op/{n}")).collect();
    let runs = ids.iter().map(|id| async {
        let options = StartOptions {
            instance_id: Some(id.clone()),
            ..StartOptions::default()
        };
        let started = client.start_with(catalogue::big_data, input.clone(), options);
        started.await.unwrap();
        client.wait(id, LIMIT).await.unwrap()
    });
    for ended in join_all(runs).await {
        assert_eq!(ended.runtime_status, OrchestrationStatus::Completed);
    }
    worker.stop().await.unwrap();

    let mut query = InstanceQuery {
        prefix: "op/".to_owned(),
        ..InstanceQuery::default()
    };
    let listed: Vec<_> = client.list(&query).try_collect().await.unwrap();
    assert_eq!(listed.len(), COUNT);
    for instance in &listed {
        assert!(instance.problem.is_none(), "{:?}", instance.problem);
        let input = instance.status.input.as_ref().unwrap();
        assert_eq!(input.len(), 100_002);
    }
    query.fetch_input = false;
    query.fetch_output = false;
    let (mut pages, mut continuation) = (Vec::new(), None);
    loop {
        let page = client.list_page(&query, Some(2), continuation.as_deref());
        let page = page.await.unwrap();
        pages.extend(page.instances.into_iter().map(|i| i.status.instance_id));
        continuation = page.continuation;
        if continuation.is_none() {
            break;
        }
    }
    assert_eq!(pages, ids);

    let counts = client.purge(&ids[0], false).await.unwrap();
    assert_eq!(counts.instances, 1);
    assert!(counts.rows >= 8 && counts.blobs >= 4, "{counts:?}");
    let options = SweepOptions::default();
    let sweep = client.sweep(&options, |_, finding| {
        assert!(finding.is_none(), "{finding:?}");
        ControlFlow::Continue(())
    });
    let swept = sweep.await.unwrap();
    assert!(swept.is_complete && swept.blobs > 0);
    let purged = client
        .purge_matching(&PurgeFilter::default(), &PurgeOptions::default(), |_| {
            ControlFlow::Continue(())
        })
        .await
        .unwrap();
    assert!(purged.is_complete, "{:?}", purged.problems);
    assert_eq!(purged.removed.instances, COUNT as u64 - 1);
    assert_eq!(client.history_json(&ids[1]).await.unwrap(), "[]");
    let container = hub.names().large_message_container();
    let blobs = &hub.account().blobs;
    let left = blobs.list_blobs(&container, "", None).await.unwrap();
    assert_eq!(left.blobs.len(), 0);
    durabletask_worker::hub::delete_hub(hub.account(), hub.settings())
        .await
        .unwrap();
}
