//! One run of the whole system.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use durabletask_azurestorage::hub::{HubSettings, PartitionManagement, Protections, create_hub};
use durabletask_catalogue::Flaky;
use durabletask_storage::embedded::EmbeddedStore;
use durabletask_storage::{Env, VirtualEnv};

use crate::actors::{Adrift, act};
use crate::client::Client;
use crate::crew::{Post, incidents};
use crate::dice::Dice;
use crate::faults::{FaultId, Faults};
use crate::history::HistoryWatch;
use crate::look;
use crate::network::{Timers, World};
use crate::plot::{Plot, is_patient};
use crate::program::Gate;
use crate::trace::Trace;
use crate::unrest::unrest;

/// Virtual time after which nothing goes wrong any more, in seconds.
const FAULTS_SECONDS: u64 = 360;
/// Virtual time of a whole run, at most, in seconds.
const HORIZON_SECONDS: u64 = 40 * 86_400;
/// Virtual time in which nobody does anything, so that everything that is left is old.
const REST: Duration = Duration::from_secs(31 * 86_400);

/// What to run.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Decides everything.
    pub seed: u64,
    /// If set, only these of the seed's faults strike.
    pub only: Option<BTreeSet<FaultId>>,
    /// Whether steps and logs are printed as they happen.
    pub is_loud: bool,
    /// What the provider does without.
    pub protections: Protections,
}

impl Options {
    /// All faults of that seed.
    pub fn seed(seed: u64) -> Self {
        Self {
            seed,
            ..Self::default()
        }
    }
}

/// How a run went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// What must not have been.
    pub violations: Vec<String>,
    /// Everything that happened, in order.
    pub steps: Vec<String>,
    /// The faults that struck.
    pub struck: Vec<FaultId>,
}

/// Runs a seed from beginning to end.
pub fn run(options: &Options) -> Report {
    let horizon = Duration::from_secs(HORIZON_SECONDS);
    let time = VirtualEnv::new(options.seed).with_horizon(horizon);
    let env = time.env();
    let settings = settings(options);
    let account = match EmbeddedStore::in_memory(env.clone()) {
        Ok(store) => store.account(),
        Err(error) => return Report::failed(error.to_string()),
    };
    let world = Arc::new(World {
        faults: Faults::new(options.seed, options.only.clone()),
        trace: Trace::new(&env, options.is_loud),
        timers: Timers::default(),
        histories: HistoryWatch::new(settings.names().history_table()),
        travels: env.scope(),
        account,
        env,
    });
    if let Err(stalled) = time.block_on(whole(&world, &settings, options.seed)) {
        world.trace.violation(stalled);
    }
    for panic in time.panics().texts {
        world.trace.violation(format_args!("panic: {panic}"));
    }
    Report {
        violations: world.trace.violations(),
        steps: world.trace.steps(),
        struck: world.faults.struck(),
    }
}

impl Report {
    fn failed(why: String) -> Self {
        Self {
            violations: vec![why],
            steps: Vec::new(),
            struck: Vec::new(),
        }
    }
}

fn settings(options: &Options) -> HubSettings {
    let mut dice = Dice::of(options.seed, "settings", 0);
    let partitions = [1, 2, 4][usize::try_from(dice.below(3)).unwrap_or(0)];
    let mut settings = HubSettings::new("SimHub", 1).with_partition_count(partitions);
    settings.control_queue_visibility_timeout = Duration::from_secs(30);
    settings.work_item_queue_visibility_timeout = Duration::from_secs(30);
    settings.max_queue_polling_interval = Duration::from_secs(2);
    settings.use_app_lease = false;
    settings.protections = options.protections;
    // A purge takes the blobs of messages that are still in their queues along. What cannot be read
    // is kept, so the hub would never be quiet; nothing else here fails in that way.
    settings.poison_after = 3;
    if dice.below(4) == 0 {
        settings.partition_management = PartitionManagement::Safe;
    }
    settings.sticky_sessions = dice.below(4) != 0;
    if is_patient(options.seed) {
        settings.control_queue_visibility_timeout = Duration::from_secs(120);
    }
    if Plot::of(options.seed) == Plot::Everything {
        unusual(&mut settings, &mut dice);
    }
    settings
}

/// All managers, small buffers, two apps that take turns.
fn unusual(settings: &mut HubSettings, dice: &mut Dice) {
    settings.partition_management = match dice.below(3) {
        0 => PartitionManagement::Table,
        1 => PartitionManagement::Safe,
        _ => PartitionManagement::Legacy,
    };
    settings.use_app_lease = dice.below(3) == 0;
    settings.app_lease_acquire_interval = Duration::from_secs(20);
    if dice.below(2) == 0 {
        settings.control_queue_batch_size = 3;
        settings.control_queue_buffer_threshold = 5;
        settings.max_concurrent_activities = 2;
        settings.max_concurrent_orchestrators = 2;
        settings.session_cache_max_bytes = 20_000;
        settings.control_queue_buffer_max_bytes = 60_000;
    }
}

/// The settings of the `n`-th worker: with an app lease, there are two apps.
fn of_app(settings: &HubSettings, n: u64) -> HubSettings {
    let app_name = match n {
        0 => "first",
        _ => "second",
    };
    HubSettings {
        app_name: app_name.to_owned(),
        ..settings.clone()
    }
}

async fn whole(world: &Arc<World>, settings: &HubSettings, seed: u64) {
    if let Err(error) = create_hub(&world.account, settings, &world.env).await {
        world.trace.violation(error);
        return;
    }
    let (gate, flaky) = (Gate::default(), Flaky::default());
    let post = |name: &str, n| Post::new(world, &of_app(settings, n), name, &gate, &flaky);
    let count = 2 + Dice::of(seed, "workers", 0).below(2);
    let posts: Vec<Arc<Post>> = (0..count).map(|n| post(&format!("w{n}"), n)).collect();
    for post in &posts {
        drop(world.travels.spawn(post.clone().keep_manned(seed)));
    }
    drop(
        world
            .travels
            .spawn(incidents(world.clone(), posts.clone(), seed)),
    );
    let unrest = unrest(world.clone(), settings.clone(), posts.clone(), seed);
    drop(world.travels.spawn(unrest));
    drop(world.travels.spawn(calm(world.clone(), world.env.clone())));
    if Plot::of(seed) == Plot::Everything {
        let looking = look::keep_looking(world.clone(), settings.clone());
        drop(world.travels.spawn(looking));
    }
    let adrift = act(world, settings, &gate, seed).await;
    world.faults.end();
    // A rewind that was cut off holds answers back until it is called again.
    let is_rewound = |left: &Adrift| matches!(left, Adrift::Rewound(_));
    let (rewound, adrift): (Vec<_>, Vec<_>) = adrift.into_iter().partition(is_rewound);
    tidy_up(world, settings, rewound).await;
    look::until_quiet(world, settings).await;
    look::sweep(world, settings).await;
    look::until_quiet(world, settings).await;
    if !adrift.is_empty() {
        tidy_up(world, settings, adrift).await;
        look::until_quiet(world, settings).await;
    }
    look::check_all(world, settings).await;
    for post in &posts {
        post.close();
    }
    // Timers become due, and blobs so old that the sweeper looks at them.
    world.env.sleep(REST).await;
    let last = post("last", 0);
    drop(world.travels.spawn(last.clone().keep_manned(seed)));
    look::until_quiet(world, settings).await;
    last.close();
    look::check_leftovers(world, settings).await;
}

/// Ends what clients left half done when they died.
async fn tidy_up(world: &Arc<World>, settings: &HubSettings, adrift: Vec<Adrift>) {
    let client = Client::new(world, settings, "tidy", 0, None);
    for left in adrift {
        match left {
            Adrift::Started(id) => client.end(&id).await,
            Adrift::Purged(id) => {
                client.purge(&id).await;
            }
            Adrift::Rewound(id) => {
                client.rewind(&id).await;
                client.ended(&id).await;
            }
        }
    }
}

async fn calm(world: Arc<World>, env: Env) {
    env.sleep(Duration::from_secs(FAULTS_SECONDS)).await;
    world.faults.end();
    world.trace.step("--", "faults end");
}
