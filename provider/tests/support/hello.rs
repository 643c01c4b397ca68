//! `HelloSequence` and `SayHello`, as in the recordings.

use std::sync::Arc;

use durabletask_azurestorage::partition::partition_manager;
use durabletask_azurestorage::{Executors, HubWorker, TaskHub};
use durabletask_core::replay::{Finish, Replay, ReplayOptions, Step, TaskId, TaskOutcome};
use durabletask_core::{
    ActivityExecutor, ActivityOutcome, ActivityWork, BoxFuture, EpisodeResult, EpisodeWork,
    ExecutorError, FailureDetails, OrchestrationExecutor, OrchestrationRun,
};

/// A running worker with these executors, under the manager of the hub's settings.
pub(crate) fn start_worker(
    hub: &TaskHub,
    name: &str,
    orchestrators: impl OrchestrationExecutor + 'static,
    activities: impl ActivityExecutor + 'static,
) -> HubWorker {
    let manager = partition_manager(hub.account(), hub.settings(), name, hub.env());
    let executors = Executors {
        orchestrators: Arc::new(orchestrators),
        activities: Arc::new(activities),
    };
    HubWorker::start(hub.clone(), executors, manager)
}

/// Calls `SayHello` for each city, one after the other.
pub(crate) struct HelloSequence;

const CITIES: [&str; 3] = ["Tokyo", "Seattle", "London"];

impl OrchestrationExecutor for HelloSequence {
    fn open(&self, name: &str, _: Option<&str>) -> Option<Box<dyn OrchestrationRun>> {
        (name == "HelloSequence").then(|| Box::new(HelloRun::default()) as Box<_>)
    }

    fn names(&self) -> Vec<String> {
        vec!["HelloSequence".to_owned()]
    }
}

#[derive(Default)]
struct HelloRun {
    replay: Option<Replay>,
    greetings: Vec<String>,
    waiting_for: Option<TaskId>,
}

impl HelloRun {
    fn take(&mut self, work: EpisodeWork) -> EpisodeResult {
        let mut replay = self
            .replay
            .take()
            .unwrap_or_else(|| Replay::new(work.instance.clone(), ReplayOptions::default()));
        for event in work.past {
            replay.push(event, true);
        }
        for event in work.new {
            replay.push(event, false);
        }
        while let Some(step) = replay.next_step() {
            match step {
                Step::Start => self.next(&mut replay),
                Step::Resolved { task, outcome } if Some(task) == self.waiting_for => {
                    if let TaskOutcome::Completed(Some(greeting)) = outcome {
                        self.greetings.push(greeting);
                    }
                    self.next(&mut replay);
                }
                _ => {}
            }
        }
        let result = replay.decide();
        self.replay = Some(replay);
        result
    }

    fn next(&mut self, replay: &mut Replay) {
        match CITIES.get(self.greetings.len()) {
            Some(city) => {
                let input = Some(format!("[\"{city}\"]"));
                let at = std::panic::Location::caller();
                self.waiting_for =
                    Some(replay.schedule_task("SayHello", Some(""), input, None, at));
            }
            None => replay.finish(Finish::Completed(Some(format!(
                "[{}]",
                self.greetings.join(",")
            )))),
        }
    }
}

impl OrchestrationRun for HelloRun {
    fn execute(
        &mut self,
        work: EpisodeWork,
    ) -> BoxFuture<'_, Result<EpisodeResult, ExecutorError>> {
        let result = self.take(work);
        Box::pin(async { Ok(result) })
    }

    fn held_bytes(&self) -> usize {
        256
    }
}

/// `SayHello`.
pub(crate) struct SayHello;

impl ActivityExecutor for SayHello {
    fn knows(&self, name: &str) -> bool {
        name == "SayHello"
    }

    fn names(&self) -> Vec<String> {
        vec!["SayHello".to_owned()]
    }

    fn run(
        &self,
        work: ActivityWork,
    ) -> BoxFuture<'static, Result<ActivityOutcome, ExecutorError>> {
        Box::pin(async move {
            let input: Vec<String> =
                serde_json::from_str(work.input.as_deref().unwrap_or("[]")).unwrap_or_default();
            Ok(match input.first() {
                Some(name) => ActivityOutcome::Completed(Some(format!("\"Hello {name}!\""))),
                None => ActivityOutcome::Failed(FailureDetails::new("Test", "no input")),
            })
        })
    }
}
