//! From messages to a commit plan: the dispatcher of one episode (chapter 04 §1).
//!
//! A pure state machine that asynchronous code drives: [`Episode::begin`] sorts the messages into
//! the state, the caller lets an executor run [`Episode::work`], [`Episode::apply`] turns the
//! decisions into history and messages, as often as the execution continues as new, and
//! [`Episode::into_plan`] says what has to become durable, and in which order.

mod convert;
mod derived;
mod errors;
mod reconcile;
mod state;
mod trace;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use crate::{
    Action, Command, Completion, EpisodeResult, EpisodeWork, EventKind, ExecutionStarted,
    HistoryEvent, OrchestrationStatus, TaskMessage, Timestamp,
};
use convert::{Converter, Outboxes};

pub use convert::answer_again;
pub use derived::{is_derived_id, is_later_generation};
pub use errors::{ErrorMode, FUNCTION_FAILED, exception_text, task_failed_event};
pub use state::RuntimeState;
pub use trace::execution_trace;

/// Time, which the engine does not make itself.
pub trait Stamps {
    /// The current time, one 100-ns tick later at least than the time it gave before. Two
    /// commits of one worker can be told apart by it (design: unknown outcomes).
    fn now(&mut self) -> Timestamp;
}

/// How episodes are recorded.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct EpisodeOptions {
    /// Whether inputs of activities and children are kept in history (`IncludeParameters`).
    pub include_parameters: bool,
    /// What failure events carry.
    pub error_mode: ErrorMode,
    /// The version of children that are started without one (`defaultVersion`); empty means
    /// unversioned. Activities that are called without a version get their orchestration's own
    /// (chapter 04 §7.2, as the isolated SDK has it).
    pub child_version: Arc<str>,
    /// Takes answers up that history holds already. For the simulator only.
    #[doc(hidden)]
    pub keeps_duplicates: bool,
}

/// What to do with a batch of messages.
#[derive(Debug)]
pub enum Begun {
    /// Run the orchestrator.
    Run(Box<Episode>),
    /// There is nothing to run.
    Discard(Discarded),
}

/// A batch of messages that starts no episode.
#[derive(Debug)]
pub struct Discarded {
    /// The state as it was.
    pub state: RuntimeState,
    /// The messages as they were.
    pub messages: Vec<TaskMessage>,
    /// Why.
    pub reason: DiscardReason,
}

/// Why a batch of messages starts no episode (chapter 02 §4.6, chapter 04 §1.3, §1.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DiscardReason {
    /// No history and no start among the messages.
    NoSuchInstance,
    /// History without a start, and none among the messages.
    InvalidHistory,
    /// The execution has ended. The instance row may need repair.
    Finished,
    /// Every message is for another execution, a second start or a duplicate, and history leaves
    /// nothing to do.
    NothingNew,
}

/// What follows after decisions were taken up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// The execution continued as new: open a fresh run and give it [`Episode::work`] again.
    RunAgain,
    /// The episode is over: ask for the plan.
    Done,
}

/// A message on its way out.
#[derive(Debug, Clone, PartialEq)]
pub enum Outbound {
    /// To the control queue of its target.
    ToInstance(TaskMessage),
    /// A `TimerFired` to the instance's own control queue, held back until it is due.
    Timer(TaskMessage),
    /// To the work-item queue.
    Activity(TaskMessage),
}

/// What has to become durable: messages first, then rows, then the instance row.
#[derive(Debug)]
pub struct CommitPlan {
    /// In the order of chapter 02 §8.1 step 4: to instances, timers, activities; within each in
    /// the order of their decision.
    pub outbound: Vec<Outbound>,
    /// The state with the new events, which stay its new events until
    /// [`RuntimeState::committed`], and the custom status for the instance row.
    pub state: RuntimeState,
    /// Index of the row of the first new event: how many rows stay as they are.
    pub first_row: usize,
    /// Whether the execution continued as new: rows start over at 0 under the old sentinel.
    pub execution_changed: bool,
    /// Whether the execution has ended.
    pub finished: bool,
}

/// One episode, or several when the execution continues as new, in the making.
#[derive(Debug)]
pub struct Episode {
    state: RuntimeState,
    options: EpisodeOptions,
    outboxes: Outboxes,
    execution_changed: bool,
}

impl Episode {
    /// Sorts messages into the state and opens an episode, unless there is nothing to run.
    pub fn begin(
        mut state: RuntimeState,
        mut messages: Vec<TaskMessage>,
        options: &EpisodeOptions,
        stamps: &mut dyn Stamps,
    ) -> Begun {
        let accepted = match reconcile::accepted(&state, &messages, options.keeps_duplicates) {
            Ok(accepted) => accepted,
            Err(reason) => {
                return Begun::Discard(Discarded {
                    state,
                    messages,
                    reason,
                });
            }
        };
        let now = stamps.now();
        state.add(Arc::new(HistoryEvent::new(
            now,
            EventKind::OrchestratorStarted,
        )));
        for position in accepted {
            if let Some(message) = messages.get_mut(position) {
                // What the executor is about to process is stored as played (chapter 03 §1.5).
                let mut event = HistoryEvent {
                    is_played: true,
                    ..std::mem::replace(&mut message.event, nothing())
                };
                trace::begin(&mut event.kind, now);
                state.add(Arc::new(event));
            }
        }
        Begun::Run(Box::new(Self {
            state,
            options: options.clone(),
            outboxes: Outboxes::default(),
            execution_changed: false,
        }))
    }

    /// The state with the events of this episode so far.
    pub const fn state(&self) -> &RuntimeState {
        &self.state
    }

    /// The work of a fresh run: all of history, then this episode.
    pub fn work(&self) -> EpisodeWork {
        EpisodeWork {
            past: self.state.past_events().to_vec(),
            ..self.resume_work()
        }
    }

    /// The work of a run that has seen all of history: this episode only.
    pub fn resume_work(&self) -> EpisodeWork {
        let started = self.state.started();
        EpisodeWork {
            instance: started
                .map(|start| start.instance.clone())
                .unwrap_or_default(),
            past: Vec::new(),
            new: self.state.new_events().to_vec(),
        }
    }

    /// Takes up what the orchestrator decided.
    ///
    /// A gate in front of the executor (versions, unknown names that shall fail) calls this with
    /// a completion of its own instead of running the orchestrator.
    pub fn apply(&mut self, result: EpisodeResult, stamps: &mut dyn Stamps) -> Next {
        self.state.mark_replayed();
        // A generation that follows in the same work item inherits the custom status until it
        // sets one; its next episode overwrites it whatever it is (chapter 04 §6.1).
        if result.custom_status.is_some() || !self.execution_changed {
            self.state.set_custom_status(result.custom_status);
        }
        let Some(start) = self.state.shared_start() else {
            return Next::Done;
        };
        let Some(started) = start.as_started() else {
            return Next::Done;
        };
        let mut commands = result.commands;
        keep_one_end(&mut commands);
        let mut converter = Converter {
            state: &mut self.state,
            out: &mut self.outboxes,
            options: &self.options,
            stamps: &mut *stamps,
        };
        let mut continuation = None;
        for Command { id, action } in commands {
            match action {
                Action::Complete(end) if end.status == OrchestrationStatus::ContinuedAsNew => {
                    continuation = Some(*end);
                }
                action => converter.convert(started, id, action),
            }
        }
        if let Some(end) = continuation {
            self.continue_as_new(started, end, stamps);
            return Next::RunAgain;
        }
        if self.state.stops_mid_episode() {
            let completed = HistoryEvent::new(stamps.now(), EventKind::OrchestratorCompleted);
            self.state.add(Arc::new(completed));
        }
        Next::Done
    }

    /// What has to become durable. No new events: the messages told nothing new and history left
    /// nothing to decide, so the messages can be deleted.
    pub fn into_plan(self) -> CommitPlan {
        let state = if self.says_nothing() {
            self.state.without_new_events()
        } else {
            self.state
        };
        CommitPlan {
            outbound: self.outboxes.into_outbound(),
            first_row: state.past_events().len(),
            execution_changed: self.execution_changed,
            finished: state.completed().is_some(),
            state,
        }
    }

    /// The old generation leaves no trace but its messages: its completion event, which .NET adds
    /// to a state that it then throws away, is not even made.
    fn continue_as_new(
        &mut self,
        started: &ExecutionStarted,
        end: Completion,
        stamps: &mut dyn Stamps,
    ) {
        let mut state = RuntimeState::new();
        state.set_custom_status(self.state.custom_status().map(str::to_owned));
        for event in convert::next_generation(started, end, stamps) {
            state.add(Arc::new(event));
        }
        self.state = state;
        self.execution_changed = true;
    }

    /// Whether this episode is only an OrchestratorStarted and OrchestratorCompleted behind a
    /// history that was whole.
    fn says_nothing(&self) -> bool {
        let whole = matches!(
            self.state.past_events().last().map(|event| &event.kind),
            Some(EventKind::OrchestratorCompleted)
        );
        whole && self.state.new_events().len() == 2
    }
}

/// Leaves one completion: termination if there is one, else the first. Executors other than ours
/// may send both a termination and a continue-as-new, and .NET then lets the instance survive;
/// here it ends (chapter 04 §6.1 b).
fn keep_one_end(commands: &mut Vec<Command>) {
    let status = |command: &Command| match &command.action {
        Action::Complete(end) => Some(end.status),
        _ => None,
    };
    let kept = commands
        .iter()
        .position(|command| status(command) == Some(OrchestrationStatus::Terminated))
        .or_else(|| {
            commands
                .iter()
                .position(|command| status(command).is_some())
        });
    let mut position = 0;
    commands.retain(|command| {
        let keep = status(command).is_none() || Some(position) == kept;
        position += 1;
        keep
    });
}

/// What stays in the place of an event that was moved out.
const fn nothing() -> HistoryEvent {
    HistoryEvent::new(Timestamp::MIN, EventKind::OrchestratorCompleted)
}
