//! The recorded scenarios, run by us: the same settings, starts and events. Where the recording
//! waited some seconds, this waits for what it waited for.

use std::ops::ControlFlow;
use std::time::Duration;

use azurite_tests::{catalogue, eventually, unique_hub};
use durabletask_azurestorage::hub::{
    ErrorMode, HubSettings, MessageEncoding, PartitionManagement, StoreChoice, create_hub,
    delete_hub, open_account,
};
use durabletask_azurestorage::{
    HubClient, PurgeFilter, PurgeOptions, PurgeReport, StartOptions, TaskHub,
};
use durabletask_core::{OrchestrationStatus, Tags};
use durabletask_storage::Env;
use durabletask_storage::azure::Connection;
use durabletask_storage::wrappers::Recording;
use durabletask_worker::RunningWorker;

use crate::observed::Observed;

/// Storage calls of one scenario, at most.
const MAX_CALLS: usize = 20_000;
const LIMIT: Duration = Duration::from_secs(60);

/// The scenarios that are compared.
pub(crate) const SCENARIOS: &[&str] = &[
    "hello",
    "hello-noparams",
    "hello-base64",
    "fanout",
    "timer",
    "event",
    "event-timeout",
    "terminate",
    "big",
    "ids",
    "characters",
    "sub",
    "fails",
    "fails-exceptions",
    "retry",
    "retry-sub",
    "eternal",
    "suspend",
    "rewind",
    "rewind-heals",
    "status",
    "tags",
    "hello-extended",
    "hello-etag",
    "hello-safe",
    "hello-legacy",
    "purge",
    "query",
    "price-hello5",
    "price-hello5-extended",
    "price-fanout100",
    "pair",
    "pair-safe",
    "pair-legacy",
];

/// Whether several workers of a scenario number what they send.
pub(crate) fn has_several_senders(scenario: &str) -> bool {
    scenario.starts_with("pair")
}

/// The settings of a recording.
fn settings(scenario: &str, connection: &str) -> HubSettings {
    let store = StoreChoice::Azure {
        main: Connection::parse(connection).unwrap().into(),
        tracking: None,
    };
    let mut settings = HubSettings::new(unique_hub(scenario), 2).with_store(store);
    settings.plain = true;
    settings.use_app_lease = false;
    settings.max_queue_polling_interval = Duration::from_secs(1);
    settings.store_inputs_in_orchestration_history = true;
    settings.error_mode = ErrorMode::FailureDetails;
    match scenario {
        "hello-noparams" => settings.store_inputs_in_orchestration_history = false,
        "hello-base64" => settings.queue_client_message_encoding = MessageEncoding::Base64,
        "hello-etag" => settings.use_instance_table_etag = true,
        // Extended sessions are sticky sessions here; other short cuts would send less.
        "hello-extended" | "price-hello5-extended" => settings.plain = false,
        "hello-safe" | "pair-safe" => settings.partition_management = PartitionManagement::Safe,
        "hello-legacy" | "pair-legacy" => {
            settings.partition_management = PartitionManagement::Legacy;
        }
        "fails-exceptions" => settings.error_mode = ErrorMode::Exceptions,
        _ => {}
    }
    if has_several_senders(scenario) {
        settings.store_inputs_in_orchestration_history = false;
        // .NET's were 1 s, 10 s, 10 s and 30 s: nothing else changes, and the test does not wait.
        settings.max_queue_polling_interval = Duration::from_millis(100);
        settings.lease_acquire_interval = Duration::from_secs(1);
        settings.lease_renew_interval = Duration::from_secs(1);
        settings.lease_interval = Duration::from_secs(15);
    }
    settings
}

/// Runs a scenario in a hub of its own and says what it sent and left.
pub(crate) async fn run(scenario: &str, connection: &str) -> Observed {
    let env = Env::system();
    let settings = settings(scenario, connection);
    let plain_account = open_account(&settings, &env).unwrap();
    create_hub(&plain_account, &settings, &env).await.unwrap();
    let (account, recording) = Recording::wrap(plain_account.clone(), MAX_CALLS);
    let hub = TaskHub::new(env, account, settings);
    let driver = Driver::new(hub.clone());
    driver.prepare(scenario).await;
    let several_senders = has_several_senders(scenario);
    if several_senders {
        driver.pair().await;
    } else {
        let worker = driver.work();
        owns(&worker, 4).await;
        Box::pin(driver.act(scenario)).await;
        assert!(
            worker.stop().await.unwrap(),
            "{scenario}: not stopped in time"
        );
    }
    assert_eq!(recording.missed_calls(), 0, "{scenario}");
    let calls = recording.take();
    let observed = Observed::captured(&hub, &plain_account, calls, several_senders).await;
    delete_hub(&plain_account, hub.settings()).await.unwrap();
    observed
}

/// Does what the recording's driver did.
struct Driver {
    client: HubClient,
}

impl Driver {
    fn new(hub: TaskHub) -> Self {
        Self {
            client: HubClient::new(hub),
        }
    }

    fn work(&self) -> RunningWorker {
        catalogue::worker().unwrap().start(self.client.hub())
    }

    /// What comes before the worker, lest it be faster than the next message.
    async fn prepare(&self, scenario: &str) {
        if scenario == "eternal" {
            self.start("Eternal", "eternal-1", "0").await;
            self.raise("eternal-1", "Note", r#""carried""#).await;
        }
    }

    async fn act(&self, scenario: &str) {
        match scenario {
            hello if hello.starts_with("hello") => {
                self.run("HelloSequence", "hello-1", r#""in""#).await;
            }
            "price-hello5" | "price-hello5-extended" => {
                self.run("HelloSequence5", "price-1", r#""x""#).await;
            }
            "price-fanout100" => self.run("FanOut", "price-100", "100").await,
            "query" => {
                self.run("HelloSequence", "q-1", r#""x""#).await;
                self.run("Failing", "q-2", r#""x""#).await;
            }
            "purge" => self.purge().await,
            "fanout" => self.run("FanOut", "fan-1", "10").await,
            "sub" => self.run("Parent", "parent-1", r#""p""#).await,
            "timer" => self.run("Timer", "timer-1", "2").await,
            "event-timeout" => self.run("EventOrTimeout", "event-2", "2").await,
            "big" => {
                let input = format!("\"{}\"", "i".repeat(100_000));
                self.run("BigData", "big-1", &input).await;
            }
            "event" => self.event().await,
            "terminate" => self.terminate().await,
            "ids" => self.ids().await,
            "characters" => self.characters().await,
            "fails" | "fails-exceptions" => {
                self.run("Failing", "fail-1", r#""boom""#).await;
                self.run("Catching", "catch-1", r#""""#).await;
            }
            "retry" => {
                let key = r#""ebb2a7dd-03e9-42e9-9302-4b951db8b72b""#;
                self.run("Retrying", "retry-1", key).await;
            }
            "retry-sub" => {
                let key = r#""534e5bb0-6128-48f3-8736-f466adb6f38f""#;
                self.run("RetryingSub", "rsub-1", key).await;
            }
            "rewind" => {
                self.run("Failing", "rew-1", r#""boom""#).await;
                self.rewind("rew-1", "again").await;
            }
            "rewind-heals" => {
                self.run(
                    "Fragile",
                    "heal-1",
                    r#""a6e3f495-7651-4160-8332-2425e9987dae""#,
                )
                .await;
                self.rewind("heal-1", "again").await;
                self.rewind("heal-1", "again").await;
            }
            "eternal" => self.ends("eternal-1").await,
            "suspend" => self.suspend().await,
            "status" => self.run("Status", "status-1", r#""x""#).await,
            "tags" => self.tags().await,
            other => panic!("no such scenario: {other}"),
        }
    }

    /// Alpha alone, then both, then beta alone; an instance on each partition while both are there
    /// and after alpha has stopped.
    async fn pair(&self) {
        let alpha = self.work_as("alpha");
        owns(&alpha, 4).await;
        let beta = self.work_as("beta");
        owns(&beta, 2).await;
        owns(&alpha, 2).await;
        for number in 0..4 {
            self.run("HelloSequence", &format!("pair-{number}"), r#""x""#)
                .await;
        }
        assert!(alpha.stop().await.unwrap(), "alpha did not stop in time");
        owns(&beta, 4).await;
        for number in 4..8 {
            self.run("HelloSequence", &format!("pair-{number}"), r#""x""#)
                .await;
        }
        assert!(beta.stop().await.unwrap(), "beta did not stop in time");
    }

    /// A worker of that name, with an open hub of its own as another process would have.
    fn work_as(&self, name: &str) -> RunningWorker {
        let hub = self.client.hub();
        let settings = hub.settings().clone().with_worker_id(name);
        let hub = TaskHub::new(hub.env().clone(), hub.account().clone(), settings);
        catalogue::worker().unwrap().start(&hub)
    }

    async fn event(&self) {
        self.start("EventOrTimeout", "event-1", "60").await;
        self.reaches("event-1", OrchestrationStatus::Running).await;
        self.raise("event-1", "Other", r#""ignored""#).await;
        self.raise("event-1", "Approval", r#""yes é世 <&>\"""#)
            .await;
        self.ends("event-1").await;
    }

    async fn terminate(&self) {
        self.start("EventOrTimeout", "term-1", "600").await;
        self.reaches("term-1", OrchestrationStatus::Running).await;
        let reason = Some("enough".to_owned());
        self.client.terminate("term-1", reason).await.unwrap();
        self.ends("term-1").await;
    }

    async fn suspend(&self) {
        self.start("EventOrTimeout", "susp-1", "600").await;
        self.reaches("susp-1", OrchestrationStatus::Running).await;
        let reason = Some("hold".to_owned());
        self.client.suspend("susp-1", reason).await.unwrap();
        self.reaches("susp-1", OrchestrationStatus::Suspended).await;
        self.raise("susp-1", "Approval", r#""while suspended""#)
            .await;
        let reason = Some("go".to_owned());
        self.client.resume("susp-1", reason).await.unwrap();
        self.ends("susp-1").await;
    }

    async fn purge(&self) {
        let input = format!("\"{}\"", "i".repeat(100_000));
        self.run("BigData", "purge-1", &input).await;
        self.run("HelloSequence", "purge-2", r#""x""#).await;
        self.client.purge("purge-1", false).await.unwrap();
        let (filter, options) = (PurgeFilter::default(), PurgeOptions::default());
        let go_on = |_: &PurgeReport| ControlFlow::Continue(());
        let purged = self.client.purge_matching(&filter, &options, go_on).await;
        assert!(purged.unwrap().is_complete);
    }

    async fn tags(&self) {
        let tags = Tags::from_iter([("team", "a/b"), ("n", "1")]);
        self.start_with("Parent", "tags-1", r#""x""#, Some(tags))
            .await;
        self.ends("tags-1").await;
    }

    async fn ids(&self) {
        let ids = [
            "a b",
            "per%cent",
            "quo'te",
            "世界",
            "UPPER-lower",
            "a+b=c&d",
            "x^y",
            "sl/ash",
            "ha#sh",
            "q?m",
        ];
        for id in ids {
            self.run("Child", id, r#""i""#).await;
        }
    }

    async fn characters(&self) {
        let inputs = [
            "\"tab\\t lf\\n cr\\r bell\\u0007 nul\\u0000 esc\\u001b del\u{7f}\"",
            "\"emoji 😀 sep\\u2028\\u2029 nbsp\u{a0} bom\u{feff}\"",
            r#""<tag> & 'single' \"double\" ]]> &amp; </MessageText>""#,
            r#""  spaces around  ""#,
        ];
        for (input, number) in inputs.iter().zip(1..) {
            self.run("Child", &format!("ch-{number}"), input).await;
        }
    }

    async fn run(&self, name: &str, id: &str, input: &str) {
        self.start(name, id, input).await;
        self.ends(id).await;
    }

    async fn rewind(&self, id: &str, reason: &str) {
        let reason = Some(reason.to_owned());
        self.client.rewind(id, reason).await.unwrap();
        self.ends(id).await;
    }

    async fn start(&self, name: &str, id: &str, input: &str) {
        self.start_with(name, id, input, None).await;
    }

    async fn start_with(&self, name: &str, id: &str, input: &str, tags: Option<Tags>) {
        let options = StartOptions {
            instance_id: Some(id.to_owned()),
            tags,
            ..StartOptions::default()
        };
        let input = Some(input.to_owned());
        self.client.start(name, input, options).await.unwrap();
    }

    async fn raise(&self, id: &str, name: &str, payload: &str) {
        let payload = Some(payload.to_owned());
        self.client.raise_event(id, name, payload).await.unwrap();
    }

    async fn ends(&self, id: &str) {
        self.client.wait(id, Some(LIMIT)).await.unwrap();
    }

    async fn reaches(&self, id: &str, wanted: OrchestrationStatus) {
        eventually(LIMIT, || async {
            let status = self.client.status(id).await.unwrap()?;
            (status.runtime_status == wanted).then_some(())
        })
        .await;
    }
}

/// Waits until the worker owns that many partitions.
async fn owns(worker: &RunningWorker, count: usize) {
    eventually(LIMIT, || async {
        (worker.hub_worker().partitions().len() == count).then_some(())
    })
    .await;
}
