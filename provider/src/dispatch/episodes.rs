//! Running one episode: from accepted messages to a commit plan.

use durabletask_core::episode::{Begun, CommitPlan, Episode, EpisodeOptions, Next, RuntimeState};
use durabletask_core::{ExecutorError, OrchestrationRun, TaskMessage};

use super::WorkerContext;
use super::gate::Gate;

/// What came of an episode.
pub(crate) enum Ran {
    /// Decisions to commit, and the run as it is suspended now.
    Plan(Box<CommitPlan>, Option<Box<dyn OrchestrationRun>>),
    /// The messages say nothing new: they can be deleted, nothing needs to be written.
    Nothing(RuntimeState),
    /// This worker does not run it: what it is, and its name.
    NotOurs(&'static str, String),
    /// The executor refused; nothing may be committed.
    Refused(ExecutorError),
}

impl WorkerContext {
    /// How this worker's episodes are recorded.
    pub(crate) fn episode_options(&self) -> EpisodeOptions {
        let settings = self.hub.settings();
        EpisodeOptions {
            keeps_duplicates: !settings.protections.duplicate_drop,
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
            let opened = match self.gate(episode.state(), run.take()) {
                Gate::Runs(run) => Ok((run, episode.resume_work())),
                Gate::Opens(run) => Ok((run, episode.work())),
                Gate::Fails(end) => Err(end),
                Gate::NotOurs(what, name) => return Ran::NotOurs(what, name),
            };
            let (mut current, work) = match opened {
                Ok(opened) => opened,
                Err(end) => {
                    episode.apply(end, &mut stamps);
                    break;
                }
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
}
