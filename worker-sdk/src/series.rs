//! Calls that take more than one task: attempts, HTTP polls, and the timers between them.

use durabletask_core::replay::{Replay, TaskId, TaskOutcome};

use crate::http::Polling;
use crate::retry::Retried;

/// A call under way.
pub(crate) struct Series {
    /// Its first task, under which whoever awaits the call knows it.
    pub(crate) first: TaskId,
    /// Until an attempt has succeeded or none is left.
    pub(crate) retried: Option<Retried>,
    /// What follows then.
    pub(crate) polling: Option<Polling>,
}

/// What the answer to a current task leads to.
pub(crate) enum Goes<S> {
    /// Another task takes its place.
    On(TaskId, S),
    /// This is the answer to the call.
    Ends(TaskOutcome),
}

impl Series {
    /// What the handler of retries says about a failure. It is user code: to be called without
    /// any lock.
    pub(crate) fn ask(&self, outcome: &TaskOutcome) -> bool {
        self.retried
            .as_ref()
            .is_none_or(|retried| retried.ask(outcome))
    }

    /// Takes up the answer to the current task. .NET does this at once too, whether the call is
    /// being awaited or not.
    pub(crate) fn answered(
        mut self: Box<Self>,
        mut outcome: TaskOutcome,
        retries_it: bool,
        replay: &mut Replay,
    ) -> Goes<Box<Self>> {
        if let Some(retried) = self.retried.take() {
            match retried.answered(outcome, retries_it, replay) {
                Goes::On(task, retried) => {
                    self.retried = Some(retried);
                    return Goes::On(task, self);
                }
                Goes::Ends(end) => outcome = end,
            }
        }
        let Some(polling) = self.polling.take() else {
            return Goes::Ends(outcome);
        };
        match polling.answered(outcome, replay) {
            Goes::On(task, polling) => {
                self.polling = Some(polling);
                Goes::On(task, self)
            }
            Goes::Ends(end) => Goes::Ends(end),
        }
    }
}
