//! Running one episode: from accepted messages to a commit plan.

use durabletask_core::episode::{Begun, CommitPlan, Episode, EpisodeOptions, Next, RuntimeState};
use durabletask_core::{ExecutorError, OrchestrationRun, TaskMessage};

use super::WorkerContext;

/// What came of an episode.
pub(crate) enum Ran {
    /// Decisions to commit, and the run as it is suspended now.
    Plan(Box<CommitPlan>, Option<Box<dyn OrchestrationRun>>),
    /// The messages say nothing new: they can be deleted, nothing needs to be written.
    Nothing(RuntimeState),
    /// Nobody here runs orchestrators of that name.
    Unknown(String),
    /// The executor refused; nothing may be committed.
    Refused(ExecutorError),
}

impl WorkerContext {
    fn episode_options(&self) -> EpisodeOptions {
        let settings = self.hub.settings();
        EpisodeOptions {
            include_parameters: settings.store_inputs_in_orchestration_history,
            error_mode: settings.error_mode,
            child_version: settings
                .default_version
                .as_deref()
                .unwrap_or_default()
                .into(),
        }
    }

    /// Runs the orchestrator over the messages, as often as it continues as new. `run` is the
    /// suspended orchestrator of a cached session. No storage transactions.
    pub(crate) async fn run_episode(
        &self,
        state: RuntimeState,
        mut run: Option<Box<dyn OrchestrationRun>>,
        messages: Vec<TaskMessage>,
    ) -> Ran {
        let mut stamps = self.hub.clone();
        let options = self.episode_options();
        let mut episode = match Episode::begin(state, messages, &options, &mut stamps) {
            Begun::Run(episode) => episode,
            Begun::Discard(discarded) => return Ran::Nothing(discarded.state),
        };
        loop {
            let (mut current, work) = match run.take() {
                Some(run) => (run, episode.resume_work()),
                None => match self.open_run(episode.state()) {
                    Ok(run) => (run, episode.work()),
                    Err(name) => return Ran::Unknown(name),
                },
            };
            match current.execute(work).await {
                Err(error) => return Ran::Refused(error),
                Ok(result) => match episode.apply(result, &mut stamps) {
                    Next::RunAgain => {}
                    Next::Done => {
                        run = Some(current);
                        break;
                    }
                },
            }
        }
        let plan = episode.into_plan();
        if plan.state.new_events().is_empty() {
            return Ran::Nothing(plan.state);
        }
        Ran::Plan(Box::new(plan), run)
    }

    /// A fresh run of the execution's orchestrator, or its name if nobody here runs it.
    fn open_run(&self, state: &RuntimeState) -> Result<Box<dyn OrchestrationRun>, String> {
        let started = state.started();
        let name = started.and_then(|s| s.name.as_deref()).unwrap_or_default();
        let version = started.and_then(|s| s.version.as_deref());
        self.orchestrators
            .open(name, version)
            .ok_or_else(|| name.to_owned())
    }
}
