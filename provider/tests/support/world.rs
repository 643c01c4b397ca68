//! A hub in memory and the workers on it, in virtual time.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use durabletask_azurestorage::hub::{HubSettings, create_hub};
use durabletask_azurestorage::partition::partition_manager;
use durabletask_azurestorage::{
    Executors, HubClient, HubWorker, InstanceStatus, StartOptions, TaskHub,
};
use durabletask_core::OrchestrationStatus;
use durabletask_storage::embedded::EmbeddedStore;
use durabletask_storage::wrappers::Faulty;
use durabletask_storage::{Account, Env, VirtualEnv};

use super::faults::TestFaults;
use super::script::{Activities, Do, Scripts, call};

/// Longest way of a storage call, one direction, in milliseconds.
const MAX_WAY_MS: u64 = 9;

/// A hub and its storage.
pub(crate) struct World {
    pub(crate) env: Env,
    pub(crate) settings: HubSettings,
    /// Without faults.
    pub(crate) account: Account,
    /// Of all workers.
    pub(crate) activities: Activities,
}

/// A worker and what its storage does to it.
pub(crate) struct TestWorker {
    pub(crate) worker: HubWorker,
    pub(crate) hub: TaskHub,
    pub(crate) faults: Arc<TestFaults>,
}

impl TestWorker {
    /// A client in the worker's process.
    pub(crate) fn client(&self) -> HubClient {
        HubClient::new(self.hub.clone())
    }
}

/// Settings of tests: one partition, short visibility timeouts, no app lease.
pub(crate) fn settings() -> HubSettings {
    let mut settings = HubSettings::new("TestHub", 1).with_partition_count(1);
    settings.control_queue_visibility_timeout = Duration::from_secs(30);
    settings.work_item_queue_visibility_timeout = Duration::from_secs(30);
    settings.max_queue_polling_interval = Duration::from_secs(1);
    settings.use_app_lease = false;
    settings
}

/// The orchestrators of tests.
pub(crate) fn scripts() -> Scripts {
    let cities = ["Tokyo", "Seattle", "London"];
    let steps = vec![
        call("Hello", "Tokyo"),
        Do::Timer(2),
        Do::Event("Go"),
        call("Hello", "Seattle"),
    ];
    Scripts::default()
        .with("Hello", cities.map(|city| call("Hello", city)).to_vec())
        .with("Mixed", steps)
        .with("Wait", vec![Do::Event("Go")])
        .with("Two", vec![Do::Event("Go"), Do::Event("Go")])
        .with("Count", vec![Do::Event("Go"), Do::Input, Do::CountTo(3)])
        .with("Parent", vec![Do::Child("Child", "x".to_owned())])
        .with("Child", vec![Do::Input, call("Hello", "child")])
        .with("Input", vec![Do::Input])
        .with("Sleepy", vec![call("Sleep", "100")])
}

/// What `Mixed` yields.
pub(crate) const MIXED: &str = "Hello Tokyo!,fired,go,Hello Seattle!";

impl World {
    /// A running worker with these orchestrators.
    pub(crate) fn start(&self, name: &str, scripts: Scripts) -> TestWorker {
        self.start_with(name, scripts, self.settings.clone(), |_| {})
    }

    /// A running worker whose storage is as quick as the world's account.
    pub(crate) fn start_quick(&self, name: &str, scripts: Scripts) -> TestWorker {
        self.start_over(name, scripts, self.settings.clone(), 0, |_| {})
    }

    /// The same, with settings of its own, and faults that are there from its first call.
    pub(crate) fn start_with(
        &self,
        name: &str,
        scripts: Scripts,
        settings: HubSettings,
        prepare: impl FnOnce(&TestFaults),
    ) -> TestWorker {
        self.start_over(name, scripts, settings, MAX_WAY_MS, prepare)
    }

    fn start_over(
        &self,
        name: &str,
        scripts: Scripts,
        settings: HubSettings,
        max_way_ms: u64,
        prepare: impl FnOnce(&TestFaults),
    ) -> TestWorker {
        let faults = Arc::new(TestFaults::new(&self.env, max_way_ms));
        prepare(&faults);
        let account = Faulty::wrap(self.account.clone(), self.env.clone(), faults.clone());
        let manager = partition_manager(&account, &settings, name, &self.env);
        let hub = TaskHub::new(self.env.clone(), account, settings);
        let executors = Executors {
            orchestrators: Arc::new(scripts),
            activities: Arc::new(self.activities.clone()),
        };
        let worker = HubWorker::start(hub.clone(), executors, manager);
        TestWorker {
            worker,
            hub,
            faults,
        }
    }

    /// A client in a process of its own, whose storage works.
    pub(crate) fn client(&self) -> HubClient {
        let (env, account) = (self.env.clone(), self.account.clone());
        HubClient::new(TaskHub::new(env, account, self.settings.clone()))
    }

    /// Starts an instance of that id from elsewhere.
    pub(crate) async fn begin(&self, id: &str, name: &str, input: Option<&str>) {
        let client = self.client();
        let started = client.start(name, input.map(str::to_owned), with_id(id));
        started.await.unwrap();
    }

    /// Waits for an instance to end well; its output.
    pub(crate) async fn output(&self, id: &str) -> String {
        let status = self.ended(id).await;
        assert_eq!(
            status.runtime_status,
            OrchestrationStatus::Completed,
            "{id}"
        );
        status.output.unwrap_or_default()
    }

    /// Waits for an instance to end.
    pub(crate) async fn ended(&self, id: &str) -> InstanceStatus {
        let limit = Some(Duration::from_secs(3_600));
        self.client().wait(id, limit).await.unwrap()
    }

    /// Lets time pass.
    pub(crate) async fn pass(&self, seconds: f64) {
        self.env.sleep(Duration::from_secs_f64(seconds)).await;
    }

    /// Waits until `is_so`, at most ten minutes.
    pub(crate) async fn until<F: Future<Output = bool>>(
        &self,
        what: &str,
        mut is_so: impl FnMut() -> F,
    ) {
        for _ in 0..20_000 {
            if is_so().await {
                return;
            }
            self.env.sleep(Duration::from_millis(30)).await;
        }
        panic!("never: {what}");
    }
}

pub(crate) fn with_id(id: &str) -> StartOptions {
    StartOptions {
        instance_id: Some(id.to_owned()),
        ..StartOptions::default()
    }
}

/// Runs a test on a new hub with the settings of tests.
pub(crate) fn on_hub<F: Future<Output = ()>>(seed: u64, test: impl FnOnce(World) -> F) {
    on_hub_with(seed, settings(), test);
}

/// Runs a test on a new hub.
pub(crate) fn on_hub_with<F: Future<Output = ()>>(
    seed: u64,
    settings: HubSettings,
    test: impl FnOnce(World) -> F,
) {
    let time = VirtualEnv::new(seed).with_horizon(Duration::from_secs(30 * 86_400));
    let env = time.env();
    let outcome = time.block_on(async {
        let account = EmbeddedStore::in_memory(env.clone()).unwrap().account();
        create_hub(&account, &settings, &env).await.unwrap();
        let activities = Activities::new(&env);
        let world = World {
            env: env.clone(),
            settings,
            account,
            activities,
        };
        test(world).await;
    });
    outcome.unwrap_or_else(|stalled| panic!("seed {seed}: {stalled}"));
    assert_eq!(time.panics().texts, Vec::<String>::new(), "seed {seed}");
}
