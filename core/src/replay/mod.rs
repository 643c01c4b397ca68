//! The bookkeeping of one execution, for whoever runs its code (chapter 04 §2, §3, §6).
//!
//! An executor pushes history and new events in, asks for one [`Step`] at a time, lets the user
//! code run until it can go no further after *each* step, and at the end asks for the decisions.
//! The same events lead to the same steps, ids, times and GUIDs, whether they come at once or in
//! many episodes of a kept run.

mod guid;
mod handlers;
mod mismatch;
mod nouns;
mod retry;
mod timer;
mod waits;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use uuid::Uuid;

use crate::{
    Action, Command, Completion, EpisodeResult, ExecutionStarted, FIRE_AND_FORGET_TAG,
    HistoryEvent, OrchestrationInstance, OrchestrationStatus, Tags, Timestamp,
};

use guid::Randoms;
pub use guid::deterministic_guid;
pub use mismatch::NonDeterminism;
pub use nouns::{
    CallSite, ContinueOptions, Finish, Flavour, ReplayOptions, Step, SubOrchestrationCall,
    TaskFailure, TaskId, TaskOutcome, WaitId,
};
pub use retry::{AfterFailure, MAX_PAUSE_SECONDS, RetryLoop, RetryPolicy};
pub use timer::LongTimer;
pub use waits::ReceivedEvent;
use waits::Waits;

/// A decision that history has not confirmed yet.
#[derive(Debug)]
struct Pending {
    action: Action,
    /// `None` for the completion, which no line of user code makes.
    at: Option<CallSite>,
}

/// A task without answer that keeps the execution open (chapter 04 §2.2).
#[derive(Debug)]
enum OpenTask {
    Activity(String),
    Child(String),
    Timer,
}

/// A requested continue-as-new.
#[derive(Debug)]
struct Continuation {
    input: Option<String>,
    options: ContinueOptions,
}

/// One execution: what it has been told, what it waits for and what it wants.
#[derive(Debug)]
pub struct Replay {
    instance: OrchestrationInstance,
    options: ReplayOptions,
    flavour: Flavour,
    incoming: VecDeque<(Arc<HistoryEvent>, bool)>,
    /// Events that arrived while suspended, in order.
    parked_events: Vec<Arc<HistoryEvent>>,
    /// Decisions that a suspension holds back.
    parked: BTreeMap<i32, Pending>,
    /// The suspension in force.
    suspension: Option<Arc<HistoryEvent>>,
    started: Option<Arc<HistoryEvent>>,
    now: Timestamp,
    replaying: bool,
    next_id: i32,
    decisions: BTreeMap<i32, Pending>,
    open: BTreeMap<i32, OpenTask>,
    waits: Waits,
    /// Waits that got an event outside of the handling of an event.
    woken: VecDeque<WaitId>,
    custom_status: Option<String>,
    continuation: Option<Continuation>,
    finish: Option<Finish>,
    /// The completion is decided; nothing that comes later matters.
    ended: bool,
    mismatch: Option<NonDeterminism>,
    last_call: Option<CallSite>,
    guids: u64,
    randoms: Randoms,
}

impl Replay {
    /// An execution that has not seen any event.
    pub fn new(instance: OrchestrationInstance, options: ReplayOptions) -> Self {
        Self {
            randoms: Randoms::of(&instance),
            instance,
            options,
            flavour: options.flavour.unwrap_or_default(),
            incoming: VecDeque::new(),
            parked_events: Vec::new(),
            parked: BTreeMap::new(),
            suspension: None,
            started: None,
            now: Timestamp::MIN,
            replaying: false,
            next_id: 0,
            decisions: BTreeMap::new(),
            open: BTreeMap::new(),
            waits: Waits::default(),
            woken: VecDeque::new(),
            custom_status: None,
            continuation: None,
            finish: None,
            ended: false,
            mismatch: None,
            last_call: None,
            guids: 0,
        }
    }

    // ----- driving

    /// Queues an event. `replaying` says that it is history which this execution has acted on
    /// before. A run that is kept between episodes is never given the rows of its own decisions.
    pub fn push(&mut self, event: Arc<HistoryEvent>, replaying: bool) {
        self.incoming.push_back((event, replaying));
    }

    /// Takes up queued events until one concerns user code. `None`: all are taken up, or nothing
    /// that comes later matters (terminated, or not deterministic).
    pub fn next_step(&mut self) -> Option<Step> {
        while !self.ended && self.mismatch.is_none() {
            if let Some(wait) = self.woken.pop_front() {
                return Some(Step::Event { wait });
            }
            let (event, replaying) = self.incoming.pop_front()?;
            self.replaying = replaying;
            if let Some(step) = self.take_up(event) {
                return Some(step);
            }
        }
        None
    }

    /// Ends the episode: completes the execution if its function has returned and no task is open
    /// (chapter 04 §2.2), and hands out the decisions that history does not have.
    pub fn decide(&mut self) -> EpisodeResult {
        if !self.ended {
            self.end_if_due();
        }
        EpisodeResult {
            commands: std::mem::take(&mut self.decisions)
                .into_iter()
                .map(|(id, pending)| Command {
                    id,
                    action: pending.action,
                })
                .collect(),
            custom_status: self.custom_status.clone(),
        }
    }

    // ----- decisions of user code; ids are taken when called

    /// Calls an activity.
    pub fn schedule_task(
        &mut self,
        name: &str,
        version: Option<&str>,
        input: Option<String>,
        tags: Option<Tags>,
        at: CallSite,
    ) -> TaskId {
        let action = Action::ScheduleTask {
            name: name.to_owned(),
            version: version.map(str::to_owned),
            input,
            tags,
        };
        self.call(action, Some(OpenTask::Activity(name.to_owned())), at)
    }

    /// Starts one plain timer. For delays that may exceed what a queue can hold back, ask a
    /// [`LongTimer`] for the parts.
    pub fn create_timer(&mut self, fire_at: Timestamp, at: CallSite) -> TaskId {
        self.call(Action::CreateTimer { fire_at }, Some(OpenTask::Timer), at)
    }

    /// Gives up a timer: its firing is ignored and it no longer keeps the execution open. A timer
    /// created in the same episode is still started, as with .NET (chapter 04 §3.3).
    pub fn cancel_timer(&mut self, timer: TaskId) {
        if let Some(OpenTask::Timer) = self.open.get(&timer.0) {
            self.open.remove(&timer.0);
        }
    }

    /// The instance id of a child that is given this one, if the flavour does not leave it to the
    /// engine. A retried child is started under the same id each time: ask once (chapter 04 §2.8).
    pub fn child_id(&mut self, given: Option<String>) -> Option<String> {
        let given = given.filter(|id| !id.trim().is_empty());
        if given.is_none() && self.flavour == Flavour::Isolated {
            return Some(self.new_guid().simple().to_string());
        }
        given
    }

    /// Starts a child orchestration.
    pub fn create_sub_orchestration(&mut self, call: SubOrchestrationCall, at: CallSite) -> TaskId {
        let instance_id = self.child_id(call.instance_id);
        let mut tags = call.tags;
        if call.fire_and_forget {
            tags.get_or_insert_default().insert(FIRE_AND_FORGET_TAG, "");
        }
        let open = (!call.fire_and_forget).then(|| OpenTask::Child(call.name.clone()));
        let action = Action::CreateSubOrchestration {
            name: call.name,
            version: call.version,
            instance_id,
            input: call.input,
            tags,
        };
        self.call(action, open, at)
    }

    /// Sends an event to another instance; nothing answers.
    pub fn send_event(
        &mut self,
        target: OrchestrationInstance,
        name: &str,
        input: Option<String>,
        at: CallSite,
    ) -> TaskId {
        let action = Action::SendEvent {
            target,
            name: name.to_owned(),
            input,
        };
        self.call(action, None, at)
    }

    /// Asks for a fresh execution with this input once the function has returned and no task is
    /// open. The last request wins; it is void if the function fails (chapter 04 §6.1).
    pub fn continue_as_new(&mut self, input: Option<String>, options: ContinueOptions) {
        self.continuation = Some(Continuation { input, options });
    }

    /// Sets the custom status, JSON text.
    pub fn set_custom_status(&mut self, status: Option<String>) {
        self.custom_status = status;
    }

    /// Waits for an event of that name, ignoring case. The newest wait gets the next event, and
    /// the oldest event that nobody took goes to the next wait, at once: poll
    /// [`Replay::take_event`] before waiting for a step.
    pub fn wait_event(&mut self, name: &str, at: CallSite) -> WaitId {
        self.last_call = Some(at);
        self.waits.wait(name)
    }

    /// The payload for this wait, once; `None` while there is none.
    pub fn take_event(&mut self, wait: WaitId) -> Option<Option<String>> {
        self.waits.take(wait).map(|event| waits::input_of(&event))
    }

    /// Gives up a wait. An event that it was handed and did not take goes to the next wait of
    /// that name, or back to its place in the buffer; .NET loses it.
    pub fn cancel_wait(&mut self, wait: WaitId) {
        if let Some(other) = self.waits.cancel(wait) {
            self.woken.push_back(other);
        }
    }

    /// Everything that is buffered under any name, in order of arrival.
    pub fn take_events(&mut self) -> Vec<ReceivedEvent> {
        self.waits.take_all()
    }

    /// The orchestrator function has ended. Takes effect in [`Replay::decide`].
    pub fn finish(&mut self, end: Finish) {
        self.finish = Some(end);
    }

    /// Nothing that is open keeps the execution from completing any more: answers to tasks under
    /// way will find it ended.
    pub fn stop_waiting(&mut self) {
        self.open.clear();
    }

    /// The next deterministic GUID: the same in every replay of this execution.
    pub fn new_guid(&mut self) -> Uuid {
        let guid = deterministic_guid(
            self.flavour,
            &self.instance.instance_id,
            self.now,
            self.guids,
        );
        self.guids += 1;
        guid
    }

    /// The next of a sequence of numbers that every replay of this execution draws alike.
    pub fn random(&mut self) -> u64 {
        self.randoms.draw()
    }

    // ----- reading

    /// Orchestrator time: the timestamp of the last OrchestratorStarted (chapter 04 §2.6).
    pub const fn now(&self) -> Timestamp {
        self.now
    }

    /// Whether the current step comes from history that was acted on before.
    pub const fn is_replaying(&self) -> bool {
        self.replaying
    }

    /// The instance and this execution of it.
    pub const fn instance(&self) -> &OrchestrationInstance {
        &self.instance
    }

    /// Whose habits are followed; known from [`Step::Start`] on.
    pub const fn flavour(&self) -> Flavour {
        self.flavour
    }

    /// What it was told.
    pub const fn options(&self) -> ReplayOptions {
        self.options
    }

    /// Name, version, input, parent, tags; `None` before [`Step::Start`].
    pub fn started(&self) -> Option<&ExecutionStarted> {
        self.started.as_deref().and_then(HistoryEvent::as_started)
    }

    /// Where user code made its last durable call.
    pub const fn last_call(&self) -> Option<CallSite> {
        self.last_call
    }

    /// What keeps a replay from going on, if code and history disagree.
    pub const fn non_determinism(&self) -> Option<&NonDeterminism> {
        self.mismatch.as_ref()
    }

    // ----- inside

    fn take_id(&mut self) -> i32 {
        let id = self.next_id;
        self.next_id = id.saturating_add(1);
        id
    }

    fn call(&mut self, action: Action, open: Option<OpenTask>, at: CallSite) -> TaskId {
        let id = self.take_id();
        self.last_call = Some(at);
        let pending = Pending {
            action,
            at: Some(at),
        };
        self.decisions.insert(id, pending);
        if let Some(open) = open {
            self.open.insert(id, open);
        }
        TaskId(id)
    }

    fn end(&mut self, completion: Completion) {
        let id = self.take_id();
        let action = Action::Complete(Box::new(completion));
        self.decisions.insert(id, Pending { action, at: None });
        self.ended = true;
    }

    fn end_if_due(&mut self) {
        if let Some(mismatch) = &self.mismatch {
            // .NET also emits the decisions that history does not confirm. They belong to code
            // that never ran in this execution, so they are dropped (chapter 04 §2.4 allows it).
            let failure = mismatch.to_failure();
            let mut completion = Completion::new(
                OrchestrationStatus::Failed,
                Some(failure.error_message.clone()),
            );
            completion.failure = Some(failure);
            self.decisions.clear();
            self.end(completion);
        } else if self.open.is_empty()
            && let Some(finish) = self.finish.take()
        {
            let completion = match (finish, self.continuation.take()) {
                (
                    Finish::Failed {
                        message,
                        failure,
                        details,
                        is_bare,
                    },
                    _,
                ) => {
                    let mut failed = Completion::new(OrchestrationStatus::Failed, Some(message));
                    failed.failure = Some(failure);
                    failed.details = details;
                    failed.is_bare = is_bare;
                    failed
                }
                (Finish::Completed(_), Some(next)) => self.continued(next),
                (Finish::Completed(output), None) => {
                    Completion::new(OrchestrationStatus::Completed, output)
                }
            };
            // A suspension that came after the function had returned holds nothing back: .NET
            // completes too, but forgets the decisions that it had parked.
            self.decisions.append(&mut self.parked);
            self.end(completion);
        }
    }

    /// The completion that starts the next execution, with everything that this one received and
    /// did not use. .NET loses events that were buffered before the request, and a suspension
    /// that came in the same batch; here both travel along.
    fn continued(&mut self, next: Continuation) -> Completion {
        let mut completion = Completion::new(OrchestrationStatus::ContinuedAsNew, next.input);
        completion.new_version = next.options.new_version;
        completion.new_trace = next.options.new_trace;
        let mut carried = Vec::new();
        if next.options.keep_events {
            carried = self.waits.unused();
        }
        carried.extend(self.suspension.take());
        if next.options.keep_events {
            carried.extend(
                std::mem::take(&mut self.parked_events)
                    .into_iter()
                    .filter(|event| matches!(event.kind, crate::EventKind::EventRaised(_))),
            );
        }
        completion.carryover = carried.into_iter().map(Arc::unwrap_or_clone).collect();
        completion
    }
}
