//! The replay engine and the dispatcher of episodes over any history.

use std::sync::{Arc, LazyLock};

use azurite_tests::catalogue;
use durabletask_azurestorage::wire::read_history_json;
use durabletask_core::episode::{Begun, Episode, EpisodeOptions, Next, RuntimeState, Stamps};
use durabletask_core::{
    EpisodeResult, EpisodeWork, ExecutorError, HistoryEvent, OrchestrationExecutor,
    OrchestrationInstance, TaskMessage, Timestamp,
};
use durabletask_storage::VirtualEnv;
use durabletask_worker::Registry;
use futures::executor::block_on;

/// Executions that may follow one another in one episode.
const MAX_EXECUTIONS: usize = 8;

/// The catalogue, polled on the calling thread, so that a panic of the engine is seen.
static CATALOGUE: LazyLock<Arc<Registry>> = LazyLock::new(|| {
    let worker = catalogue::builder().env(VirtualEnv::new(0).env()).build();
    worker.unwrap().registry()
});

struct Ticks(i64);

impl Stamps for Ticks {
    fn now(&mut self) -> Timestamp {
        self.0 += 1;
        Timestamp::from_ticks(self.0)
    }
}

/// A history, and messages that come after it: replays of the same decide the same, a plan keeps
/// what was durable, and nothing panics.
pub(crate) fn fuzz_replay(data: &[u8]) {
    let Ok(history) = read_history_json(&String::from_utf8_lossy(data)) else {
        return;
    };
    let history: Vec<_> = history.into_iter().map(Arc::new).collect();
    let Some(started) = history.iter().find_map(|event| event.as_started()) else {
        return;
    };
    let instance = started.instance.clone();
    let name = started.name.clone().unwrap_or_default();
    let replay = || {
        let mut run = CATALOGUE.open(&name, None)?;
        let past = history.clone();
        Some(block_on(run.execute(work(&instance, past))))
    };
    let (first, second): (Option<Result<EpisodeResult, ExecutorError>>, _) = (replay(), replay());
    assert!(first == second, "two replays of one history differ");
    // The length stands in for a random number.
    deliver(&history, data.len() % (history.len() + 1));
}

fn work(instance: &OrchestrationInstance, past: Vec<Arc<HistoryEvent>>) -> EpisodeWork {
    EpisodeWork {
        instance: instance.clone(),
        past,
        new: Vec::new(),
    }
}

/// The first events are durable, the others arrive as messages.
fn deliver(history: &[Arc<HistoryEvent>], durable: usize) {
    let (past, coming) = history.split_at(durable);
    let state = RuntimeState::load(past.iter().cloned(), None);
    let target = |event: &HistoryEvent| match event.as_started() {
        Some(started) => started.instance.clone(),
        None => OrchestrationInstance::current("any"),
    };
    let messages = coming.iter().map(|event| TaskMessage {
        event: (**event).clone(),
        target: target(event),
        orchestration_tags: None,
    });
    let mut stamps = Ticks(638_000_000_000_000_000);
    let options = EpisodeOptions::default();
    let begun = Episode::begin(state, messages.collect(), &options, &mut stamps);
    let mut episode = match begun {
        Begun::Run(episode) => episode,
        Begun::Discard(discarded) => {
            assert_eq!(discarded.state.events().len(), durable);
            return;
        }
    };
    for _ in 0..MAX_EXECUTIONS {
        let name = episode
            .state()
            .started()
            .and_then(|started| started.name.clone());
        let Some(mut run) = CATALOGUE.open(&name.unwrap_or_default(), None) else {
            return;
        };
        let Ok(result) = block_on(run.execute(episode.work())) else {
            return;
        };
        if episode.apply(result, &mut stamps) == Next::Done {
            break;
        }
    }
    let plan = episode.into_plan();
    if !plan.execution_changed {
        assert_eq!(plan.first_row, durable);
        assert!(
            plan.state.events()[..durable] == *past,
            "a plan changed history"
        );
    }
}
