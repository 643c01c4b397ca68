//! Who runs an execution: its version and its name decide (chapter 04 §4.6, §7.2).

use std::cmp::Ordering;

use durabletask_core::episode::RuntimeState;
use durabletask_core::{
    Action, Command, Completion, EpisodeResult, FailureDetails, OrchestrationRun,
    OrchestrationStatus, compare_versions,
};

use super::WorkerContext;
use super::names::hint_for;
use crate::hub::{Unregistered, VersionFailure, VersionMatch};

/// What becomes of an execution that wants to run here.
pub(super) enum Gate {
    /// The suspended run goes on.
    Runs(Box<dyn OrchestrationRun>),
    /// A fresh run replays all of history.
    Opens(Box<dyn OrchestrationRun>),
    /// It fails with this decision, without any code being run.
    Fails(EpisodeResult),
    /// It is for another worker: what kind of thing is missing here, and its name.
    NotOurs(&'static str, String),
}

impl WorkerContext {
    /// Passes an execution with the suspended run it has, if any, before each of its episodes.
    pub(super) fn gate(
        &self,
        state: &RuntimeState,
        run: Option<Box<dyn OrchestrationRun>>,
    ) -> Gate {
        let settings = self.hub.settings();
        let started = state.started();
        let name = started.and_then(|s| s.name.as_deref()).unwrap_or_default();
        let version = started.and_then(|s| s.version.as_deref());
        let version = version.unwrap_or_default();
        if let Some(mismatch) = self.version_mismatch(name, version) {
            return match settings.version_failure_strategy {
                VersionFailure::Reject => {
                    Gate::NotOurs("orchestrator version", format!("{name}: {mismatch}"))
                }
                VersionFailure::Fail => Gate::Fails(failed(
                    state,
                    FailureDetails::new("VersionMismatch", mismatch),
                )),
            };
        }
        if let Some(run) = run {
            return Gate::Runs(run);
        }
        match self.orchestrators.open(name, Some(version)) {
            Some(run) => Gate::Opens(run),
            None if settings.unregistered == Unregistered::Fail => Gate::Fails(failed(
                state,
                not_found("orchestrator", "OrchestratorTaskNotFound", name),
            )),
            None => Gate::NotOurs("orchestrator", name.to_owned()),
        }
    }

    /// Why this worker may not run that version. An orchestrator that is registered with exactly
    /// the version counts as current, so that several versions of one name can be served.
    fn version_mismatch(&self, name: &str, version: &str) -> Option<String> {
        let settings = self.hub.settings();
        let worker = settings.default_version.as_deref().unwrap_or_default();
        let order = compare_versions(version, worker);
        match settings.version_match_strategy {
            VersionMatch::Strict if order != Ordering::Equal => Some(format!(
                "The orchestration version '{version}' does not match the worker version \
                 '{worker}'."
            )),
            VersionMatch::CurrentOrOlder
                if order == Ordering::Greater && !self.orchestrators.declares(name, version) =>
            {
                Some(format!(
                    "The orchestration version '{version}' is greater than the worker version \
                     '{worker}'."
                ))
            }
            _ => None,
        }
    }
}

/// The failure of a task whose name nobody has registered; trying again does not help.
pub(super) fn not_found(kind: &str, error_type: &str, name: &str) -> FailureDetails {
    let hint = hint_for(name).map_or_else(String::new, |hint| format!(" {hint}"));
    FailureDetails::new(
        error_type,
        format!("No {kind} named '{name}' was found.{hint}"),
    )
}

/// A failed completion. Its id is the number of past events, as with Core.
fn failed(state: &RuntimeState, mut failure: FailureDetails) -> EpisodeResult {
    failure.is_non_retriable = true;
    let result = Some(failure.error_message.clone());
    let mut end = Completion::new(OrchestrationStatus::Failed, result);
    end.failure = Some(failure);
    EpisodeResult {
        commands: vec![Command {
            id: i32::try_from(state.past_events().len()).unwrap_or(i32::MAX),
            action: Action::Complete(Box::new(end)),
        }],
        custom_status: state.custom_status().map(str::to_owned),
    }
}
