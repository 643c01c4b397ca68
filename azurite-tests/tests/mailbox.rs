//! `Mailbox` continues as new for each note: none gets lost in between, none is seen twice,
//! whether they wait for the worker or come while it runs.
#![allow(clippy::unwrap_used, reason = "helpers of tests may panic, too")]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use azurite_tests::{azurite, catalogue, unique_hub};
use durabletask_storage::Env;
use durabletask_storage::azure::Connection;
use durabletask_worker::hub::{HubSettings, StoreChoice};
use durabletask_worker::prelude::*;
use durabletask_worker::{Client, OrchestrationStatus, StartOptions, TaskHub};
use futures::future::join_all;

const LIMIT: Duration = Duration::from_secs(60);
const NOTES: [&str; 3] = ["one", "two", "three"];

/// `SayHello` that remembers whom it greeted.
struct Listener(Arc<Mutex<Vec<String>>>);

impl Activity for Listener {
    const NAME: &'static str = "SayHello";
    type Input = String;
    type Output = String;

    async fn run(&self, _: ActivityContext, name: String) -> Result<String> {
        self.0.lock().unwrap().push(name.clone());
        Ok(name)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_note_is_seen_once() {
    let connection = azurite::connection().await;
    let runs = [(true, true), (true, false), (false, true), (false, false)];
    let runs = runs.map(|(plain, early)| read_notes(&connection, plain, early));
    join_all(runs).await;
}

async fn read_notes(connection: &str, plain: bool, early: bool) {
    let store = StoreChoice::Azure {
        main: Connection::parse(connection).unwrap().into(),
        tracking: None,
    };
    let mut settings = HubSettings::new(unique_hub("mailbox"), 2)
        .with_store(store)
        .with_plain(plain);
    settings.max_queue_polling_interval = Duration::from_secs(1);
    let hub = TaskHub::open(settings, &Env::system()).await.unwrap();
    let client = Client::new(&hub);
    let seen = Arc::default();
    let worker = Worker::builder()
        .orchestrator(catalogue::mailbox)
        .activity(Listener(Arc::clone(&seen)))
        .build()
        .unwrap();

    let send = async {
        let options = StartOptions {
            instance_id: Some("box".to_owned()),
            ..StartOptions::default()
        };
        let started = client.start_with(catalogue::mailbox, 0, options).await;
        started.unwrap();
        for note in NOTES {
            client.raise_event("box", "Note", note).await.unwrap();
        }
    };
    let running = if early {
        send.await;
        worker.start(&hub)
    } else {
        let running = worker.start(&hub);
        send.await;
        running
    };
    let ended = client.wait("box", Some(LIMIT)).await.unwrap();
    assert_eq!(ended.runtime_status, OrchestrationStatus::Completed);
    let case = format!("plain {plain}, early {early}");
    assert_eq!(ended.output.as_deref(), Some("\"last: three\""), "{case}");
    assert_eq!(*seen.lock().unwrap(), NOTES, "{case}");
    assert!(running.stop().await.unwrap());
}
