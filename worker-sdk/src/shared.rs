//! What an orchestrator, its futures and its driver share: one execution's bookkeeping.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

use durabletask_core::replay::{
    CallSite, LongTimer, Replay, ReplayOptions, TaskId, TaskOutcome, WaitId,
};
use durabletask_core::{ExecutionStarted, OrchestrationInstance, Timestamp};

use crate::RetryPolicy;
use crate::http::Polling;
use crate::retry::{Called, Retried};
use crate::series::{Goes, Series};

/// Locked for a moment at a time: by a durable call or future inside a poll, or by the driver
/// between polls. Wakers are called and dropped without the lock, since they may own anything.
pub(crate) struct Shared {
    pub(crate) instance: OrchestrationInstance,
    pub(crate) started: OnceLock<ExecutionStarted>,
    root: Arc<RootWaker>,
    root_waker: Waker,
    state: Mutex<State>,
}

pub(crate) struct State {
    pub(crate) replay: Replay,
    slots: BTreeMap<Key, Slot>,
    /// Running timers that consist of several, by the task that runs now.
    long_timers: BTreeMap<TaskId, Chunk>,
    /// Calls of several tasks, by the attempt, poll or timer that runs now. They go on even if
    /// nobody awaits them any more.
    series: BTreeMap<TaskId, Box<Series>>,
    /// Since the last poll began, a durable future was polled with the driver's own waker and is
    /// not ready.
    waited: bool,
    /// The context is dead: the run ended or is being dropped. Nothing is recorded any more.
    closed: bool,
    misuse: Option<String>,
}

/// Bytes of the first nodes of the maps in here, in [`Replay`] and beside it: a node has room for
/// 11 entries, one or not. Measured: `bench waiting` shows what a waiting instance really takes.
const MAP_NODE_BYTES: usize = 3_584;

/// What a durable future waits for. Of a timer in several parts: the first one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Key {
    Task(TaskId),
    Event(WaitId),
}

/// A durable future that has not been dropped and not seen its answer.
#[derive(Default)]
struct Slot {
    outcome: Option<TaskOutcome>,
    /// Only if it is not the driver's own, which polls after each step anyway.
    waker: Option<Waker>,
    /// The timer's current part, if there have been several.
    current: Option<TaskId>,
}

struct Chunk {
    timer: LongTimer,
    first: TaskId,
    at: CallSite,
}

/// What a durable future is told when polled.
pub(crate) enum Answer {
    Task(TaskOutcome),
    Event(Option<String>),
}

impl Shared {
    pub(crate) fn new(instance: OrchestrationInstance, options: ReplayOptions) -> Arc<Self> {
        let root = Arc::new(RootWaker::default());
        Arc::new(Self {
            started: OnceLock::new(),
            root_waker: Waker::from(Arc::clone(&root)),
            root,
            state: Mutex::new(State {
                replay: Replay::new(instance.clone(), options),
                slots: BTreeMap::new(),
                long_timers: BTreeMap::new(),
                series: BTreeMap::new(),
                waited: false,
                closed: false,
                misuse: None,
            }),
            instance,
        })
    }

    pub(crate) fn root_waker(&self) -> &Waker {
        &self.root_waker
    }

    /// For the driver, and for reading.
    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// For durable calls and futures: `None` if they must do nothing, because the run has ended
    /// or this is not inside of a poll of its orchestrator, which is noted and aborts the episode.
    fn enter(&self) -> Option<MutexGuard<'_, State>> {
        let mut state = self.lock();
        if state.closed {
            return None;
        }
        if !self.root.is_current() {
            state.misuse.get_or_insert_with(|| {
                "its context was used outside of the orchestrator, in another thread or task"
                    .to_owned()
            });
            return None;
        }
        Some(state)
    }

    /// Carries out a durable call, if one can be made now.
    pub(crate) fn call<T>(&self, call: impl FnOnce(&mut State) -> T) -> Option<T> {
        self.enter().map(|mut state| call(&mut state))
    }

    /// Polls a durable future.
    pub(crate) fn poll(&self, key: Key, context: &Context<'_>) -> Poll<Answer> {
        let Some(mut state) = self.enter() else {
            return Poll::Pending;
        };
        if let Some(answer) = state.take_answer(key) {
            return Poll::Ready(answer);
        }
        let mut old = None;
        if context.waker().will_wake(&self.root_waker) {
            state.waited = true;
        } else if let Some(slot) = state.slots.get_mut(&key) {
            old = slot.waker.replace(context.waker().clone());
        }
        drop(state);
        drop(old);
        Poll::Pending
    }

    /// A durable future is dropped, perhaps before its answer: an event goes back to where it
    /// came from, a timer is cancelled, a task runs on unheard.
    pub(crate) fn forget(&self, key: Key, is_timer: bool) {
        let Some(mut state) = self.enter() else {
            return;
        };
        let slot = state.slots.remove(&key);
        match (key, &slot) {
            (Key::Event(wait), Some(_)) => state.replay.cancel_wait(wait),
            (Key::Task(first), Some(slot)) if is_timer && slot.outcome.is_none() => {
                let current = slot.current.unwrap_or(first);
                state.long_timers.remove(&current);
                state.replay.cancel_timer(current);
            }
            _ => {}
        }
        drop(state);
        drop(slot);
    }

    /// A task has its answer: keeps it for whoever waits, if anybody does.
    pub(crate) fn resolve(&self, task: TaskId, outcome: TaskOutcome) {
        let series = self.lock().series.remove(&task);
        // The handler is user code.
        let retries_it = series.as_ref().is_none_or(|call| call.ask(&outcome));
        let mut state = self.lock();
        let waker = if let Some(call) = series {
            state.go_on(call, outcome, retries_it)
        } else if let Some(chunk) = state.long_timers.remove(&task) {
            state.next_chunk(chunk, outcome)
        } else {
            state.deliver(task, outcome)
        };
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// An event is there for this wait.
    pub(crate) fn raise(&self, wait: WaitId) {
        let mut state = self.lock();
        let slot = state.slots.get_mut(&Key::Event(wait));
        let waker = slot.and_then(|slot| slot.waker.take());
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// From now on durable calls and drops of durable futures do nothing.
    pub(crate) fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        let slots = std::mem::take(&mut state.slots);
        drop(state);
        drop(slots);
    }

    /// Retried calls go on when the function has returned, but not when the run is dropped: their
    /// handlers may hold the context, and so this.
    pub(crate) fn drop_series(&self) {
        let series = std::mem::take(&mut self.lock().series);
        drop(series);
    }

    /// Marks this thread as the one that runs the orchestrator, until the guard is dropped.
    pub(crate) fn make_current(&self) -> CurrentGuard {
        CurrentGuard(CURRENT.replace(self.root.address()))
    }

    /// Before a poll.
    pub(crate) fn begin_poll(&self) {
        self.root.woken.store(false, Ordering::Relaxed);
        self.lock().waited = false;
    }

    /// After a poll: whether the orchestrator woke itself and wants another one.
    pub(crate) fn wants_poll(&self) -> bool {
        self.root.woken.load(Ordering::Relaxed)
    }

    /// After a poll that found nothing to do: whether something durable is awaited.
    pub(crate) fn waits_durably(&self) -> bool {
        let state = self.lock();
        state.waited || state.slots.values().any(|slot| slot.waker.is_some())
    }

    /// What the orchestrator must not have done, if it did.
    pub(crate) fn misuse(&self) -> Option<String> {
        if self.root.woken_outside.load(Ordering::Acquire) {
            return Some("it was woken by something that is not durable".to_owned());
        }
        self.lock().misuse.clone()
    }

    /// Bytes held for futures that wait, roughly.
    pub(crate) fn held_bytes(&self) -> usize {
        let per_slot = size_of::<Slot>() + size_of::<Key>() + size_of::<Waker>();
        let state = self.lock();
        MAP_NODE_BYTES + state.slots.len() * per_slot + state.series.len() * size_of::<Series>()
    }
}

impl State {
    pub(crate) fn start_task(&mut self, task: TaskId) -> Key {
        let key = Key::Task(task);
        self.slots.insert(key, Slot::default());
        key
    }

    pub(crate) fn start_wait(&mut self, name: &str, at: CallSite) -> Key {
        let key = Key::Event(self.replay.wait_event(name, at));
        self.slots.insert(key, Slot::default());
        key
    }

    pub(crate) fn start_timer(&mut self, fire_at: Timestamp, at: CallSite) -> Key {
        let mut timer = LongTimer::new(self.replay.flavour(), fire_at);
        let due = timer.next(self.replay.now()).unwrap_or(fire_at);
        let first = self.replay.create_timer(due, at);
        if due < fire_at {
            self.long_timers.insert(first, Chunk { timer, first, at });
        }
        self.start_task(first)
    }

    /// Makes a call, to be tried again as the policy says, and then followed by polls.
    pub(crate) fn start_call(
        &mut self,
        mut called: Called,
        policy: Option<RetryPolicy>,
        polling: Option<Polling>,
        at: CallSite,
    ) -> Key {
        if let Called::Child(child) = &mut called {
            child.instance_id = self.replay.child_id(child.instance_id.take());
        }
        let now = self.replay.now();
        let retried = policy.map(|policy| Retried::new(called.clone(), policy, now, at));
        let first = called.call(&mut self.replay, at);
        if retried.is_some() || polling.is_some() {
            let series = Series {
                first,
                retried,
                polling,
            };
            self.series.insert(first, Box::new(series));
        }
        self.start_task(first)
    }

    /// The current task of a call of several has its answer.
    fn go_on(
        &mut self,
        call: Box<Series>,
        outcome: TaskOutcome,
        retries_it: bool,
    ) -> Option<Waker> {
        let first = call.first;
        match call.answered(outcome, retries_it, &mut self.replay) {
            Goes::On(task, call) => {
                self.series.insert(task, call);
                None
            }
            Goes::Ends(outcome) => self.deliver(first, outcome),
        }
    }

    /// Keeps an answer for whoever waits for it, if anybody does.
    fn deliver(&mut self, task: TaskId, outcome: TaskOutcome) -> Option<Waker> {
        let slot = self.slots.get_mut(&Key::Task(task))?;
        slot.outcome = Some(outcome);
        slot.waker.take()
    }

    /// A part of a long timer fired: starts the next one, or tells whoever waits. .NET does this
    /// at once too, whether the timer is being awaited or not.
    fn next_chunk(&mut self, mut chunk: Chunk, outcome: TaskOutcome) -> Option<Waker> {
        let Some(due) = chunk.timer.next(self.replay.now()) else {
            return self.deliver(chunk.first, outcome);
        };
        let slot = self.slots.get_mut(&Key::Task(chunk.first))?;
        let next = self.replay.create_timer(due, chunk.at);
        slot.current = Some(next);
        self.long_timers.insert(next, chunk);
        None
    }

    fn take_answer(&mut self, key: Key) -> Option<Answer> {
        let answer = match key {
            Key::Task(_) => Answer::Task(self.slots.get_mut(&key)?.outcome.take()?),
            Key::Event(wait) => Answer::Event(self.replay.take_event(wait)?),
        };
        self.slots.remove(&key);
        Some(answer)
    }
}

thread_local! {
    /// The address of the [`RootWaker`] whose orchestrator runs on this thread, or 0.
    static CURRENT: Cell<usize> = const { Cell::new(0) };
}

pub(crate) struct CurrentGuard(usize);

impl Drop for CurrentGuard {
    fn drop(&mut self) {
        CURRENT.set(self.0);
    }
}

/// The waker of an orchestrator's future. Only what happens inside of its own poll, or a step of
/// its driver, may wake it: anything else is not in history and would not happen again.
#[derive(Default)]
struct RootWaker {
    woken: AtomicBool,
    woken_outside: AtomicBool,
}

impl RootWaker {
    fn address(&self) -> usize {
        std::ptr::from_ref(self).addr()
    }

    fn is_current(&self) -> bool {
        CURRENT.get() == self.address()
    }
}

impl Wake for RootWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if self.is_current() {
            self.woken.store(true, Ordering::Relaxed);
        } else {
            self.woken_outside.store(true, Ordering::Release);
        }
    }
}
