//! An environment without real time: one thread, seeded randomness, and a clock that jumps.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use durabletask_core::Timestamp;
use futures::future::BoxFuture;

use super::{Env, Environment};

/// Virtual time a run may take unless told otherwise: ten years.
const DEFAULT_HORIZON: Duration = Duration::from_secs(10 * 365 * 86_400);
/// Polls in one instant of virtual time after which a run counts as going round in circles.
const MAX_POLLS_PER_INSTANT: u64 = 10_000_000;
/// Texts of panics that are kept; more are counted only.
const MAX_PANIC_TEXTS: usize = 16;
/// Where virtual clocks start: 2026-01-01T00:00:00Z, in seconds since the Unix epoch.
const START_UNIX_SECONDS: u64 = 1_767_225_600;

/// A deterministic executor in virtual time.
///
/// [`VirtualEnv::block_on`] runs a future and everything that was spawned in the [`Env`], on the
/// calling thread, in the order in which tasks were woken. When none can go on, the clock jumps to
/// the next timer. The same seed and the same code give the same run, as long as the code takes
/// time, randomness and tasks from the `Env` only. Wakes from other threads are honoured while
/// something runs, but never waited for.
///
/// A background task that panics dies alone, as under tokio, and is remembered
/// ([`VirtualEnv::panics`]). Dropping this drops all tasks.
pub struct VirtualEnv {
    shared: Arc<Shared>,
    horizon: Duration,
}

/// Why a run in virtual time cannot go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Stalled {
    /// Nothing can run, no timer is set, and the future is not done.
    #[error(
        "deadlock after {after:?} of virtual time: nothing can run and no timer is set, {tasks} background tasks wait"
    )]
    Deadlock {
        /// Virtual time since the start.
        after: Duration,
        /// Background tasks that wait.
        tasks: usize,
    },
    /// The next timer lies beyond the horizon.
    #[error("not done within {0:?} of virtual time")]
    Horizon(Duration),
    /// Tasks wake one another without ever waiting for time to pass.
    #[error(
        "livelock after {0:?} of virtual time: {MAX_POLLS_PER_INSTANT} polls without a step of the clock"
    )]
    Livelock(Duration),
    /// `block_on` was called from inside of itself.
    #[error("block_on inside of block_on")]
    Nested,
}

/// Panics of background tasks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Panics {
    /// How many tasks have panicked.
    pub count: usize,
    /// The messages of the first 16.
    pub texts: Vec<String>,
}

impl VirtualEnv {
    /// A clock at 2026-01-01T00:00:00Z and randomness from `seed`.
    pub fn new(seed: u64) -> Self {
        let state = State {
            elapsed: Duration::ZERO,
            polls_in_instant: 0,
            runnable: VecDeque::new(),
            queued: BTreeSet::new(),
            tasks: BTreeMap::new(),
            timers: BTreeMap::new(),
            last_id: 0,
            random: seed,
            running: false,
            closed: false,
            panics: Panics::default(),
        };
        Self {
            shared: Arc::new(Shared {
                state: Mutex::new(state),
            }),
            horizon: DEFAULT_HORIZON,
        }
    }

    /// Ends runs with [`Stalled::Horizon`] when the clock would pass this much virtual time since
    /// the start.
    #[must_use]
    pub fn with_horizon(mut self, horizon: Duration) -> Self {
        self.horizon = horizon;
        self
    }

    /// The environment to hand out.
    pub fn env(&self) -> Env {
        Env::new(Handle(self.shared.clone()))
    }

    /// Virtual time since the start.
    pub fn elapsed(&self) -> Duration {
        self.shared.lock().elapsed
    }

    /// What background tasks panicked with so far.
    pub fn panics(&self) -> Panics {
        self.shared.lock().panics.clone()
    }

    /// Runs `future` to its end, and spawned tasks meanwhile. Tasks that are left go on in the
    /// next call. A panic of `future` itself comes through.
    pub fn block_on<F: Future>(&self, future: F) -> Result<F::Output, Stalled> {
        let (root, _running) = {
            let mut state = self.shared.lock();
            if state.running {
                return Err(Stalled::Nested);
            }
            state.running = true;
            state.polls_in_instant = 0;
            let id = state.next_id();
            state.schedule(id);
            (id, Running(&self.shared))
        };
        let waker = self.shared.waker_of(root);
        // In a tokio task, tokio's own locks would from some point on only ask to be polled later.
        let mut future = pin!(tokio::task::unconstrained(future));
        loop {
            let id = self.next_task()?;
            if id == root {
                let polled = future.as_mut().poll(&mut Context::from_waker(&waker));
                if let Poll::Ready(output) = polled {
                    return Ok(output);
                }
            } else {
                self.poll_task(id);
            }
        }
    }

    /// The next task to be polled, after as many jumps of the clock as that takes.
    fn next_task(&self) -> Result<TaskId, Stalled> {
        loop {
            let due = {
                let mut state = self.shared.lock();
                if let Some(id) = state.runnable.pop_front() {
                    state.queued.remove(&id);
                    state.polls_in_instant += 1;
                    if state.polls_in_instant > MAX_POLLS_PER_INSTANT {
                        return Err(Stalled::Livelock(state.elapsed));
                    }
                    return Ok(id);
                }
                state.jump(self.horizon)?
            };
            // Without the lock: wakers take it.
            for waker in due {
                waker.wake();
            }
        }
    }

    fn poll_task(&self, id: TaskId) {
        let Some((mut future, waker)) = self.shared.lock().take_task(id) else {
            // Woken once more after its end.
            return;
        };
        let polled = catch_unwind(AssertUnwindSafe(|| {
            let polled = future.as_mut().poll(&mut Context::from_waker(&waker));
            polled.is_pending().then_some(future)
        }));
        let mut state = self.shared.lock();
        match polled {
            Ok(Some(future)) => state.put_back(id, future),
            Ok(None) => drop(state.tasks.remove(&id)),
            Err(panic) => {
                state.tasks.remove(&id);
                state.panics.add(&*panic);
            }
        }
    }
}

impl fmt::Debug for VirtualEnv {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VirtualEnv")
            .field("elapsed", &self.elapsed())
            .finish_non_exhaustive()
    }
}

impl Drop for VirtualEnv {
    /// Tasks hold the environment that holds them.
    fn drop(&mut self) {
        let (tasks, timers) = {
            let mut state = self.shared.lock();
            state.closed = true;
            (
                std::mem::take(&mut state.tasks),
                std::mem::take(&mut state.timers),
            )
        };
        drop((tasks, timers));
    }
}

impl Panics {
    fn add(&mut self, panic: &(dyn std::any::Any + Send)) {
        self.count += 1;
        if self.texts.len() < MAX_PANIC_TEXTS {
            let text = panic
                .downcast_ref::<&str>()
                .map(|text| (*text).to_owned())
                .or_else(|| panic.downcast_ref::<String>().cloned());
            self.texts.push(text.unwrap_or_default());
        }
    }
}

/// Marks the end of a run, also when it ends by a panic.
struct Running<'a>(&'a Shared);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.lock().running = false;
    }
}

type TaskId = u64;

struct Shared {
    state: Mutex<State>,
}

struct State {
    elapsed: Duration,
    polls_in_instant: u64,
    runnable: VecDeque<TaskId>,
    /// What is in `runnable`, so that nothing is there twice.
    queued: BTreeSet<TaskId>,
    tasks: BTreeMap<TaskId, Task>,
    /// By time, then in the order in which they were set.
    timers: BTreeMap<(Duration, u64), Waker>,
    last_id: u64,
    random: u64,
    running: bool,
    closed: bool,
    panics: Panics,
}

struct Task {
    /// Absent while it is being polled.
    future: Option<BoxFuture<'static, ()>>,
    waker: Waker,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn waker_of(self: &Arc<Self>, id: TaskId) -> Waker {
        Waker::from(Arc::new(TaskWaker {
            id,
            shared: Arc::downgrade(self),
        }))
    }
}

impl State {
    fn next_id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }

    fn schedule(&mut self, id: TaskId) {
        if self.queued.insert(id) {
            self.runnable.push_back(id);
        }
    }

    fn take_task(&mut self, id: TaskId) -> Option<(BoxFuture<'static, ()>, Waker)> {
        let task = self.tasks.get_mut(&id)?;
        Some((task.future.take()?, task.waker.clone()))
    }

    fn put_back(&mut self, id: TaskId, future: BoxFuture<'static, ()>) {
        if let Some(task) = self.tasks.get_mut(&id) {
            task.future = Some(future);
        }
    }

    /// Moves the clock to the next timer; the wakers of all that are due then.
    fn jump(&mut self, horizon: Duration) -> Result<Vec<Waker>, Stalled> {
        let Some((&(deadline, _), _)) = self.timers.first_key_value() else {
            return Err(Stalled::Deadlock {
                after: self.elapsed,
                tasks: self.tasks.len(),
            });
        };
        if deadline > horizon {
            return Err(Stalled::Horizon(horizon));
        }
        if deadline > self.elapsed {
            self.elapsed = deadline;
            self.polls_in_instant = 0;
        }
        let later = self.timers.split_off(&(self.elapsed, u64::MAX));
        let due = std::mem::replace(&mut self.timers, later);
        Ok(due.into_values().collect())
    }

    /// The next number of splitmix64.
    fn next_random(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.random;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }
}

struct TaskWaker {
    id: TaskId,
    shared: Weak<Shared>,
}

impl Wake for TaskWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if let Some(shared) = self.shared.upgrade() {
            shared.lock().schedule(self.id);
        }
    }
}

struct Handle(Arc<Shared>);

impl Environment for Handle {
    fn now(&self) -> Timestamp {
        Timestamp::from_unix(Duration::from_secs(START_UNIX_SECONDS) + self.monotonic())
    }

    fn monotonic(&self) -> Duration {
        self.0.lock().elapsed
    }

    fn sleep(&self, delay: Duration) -> BoxFuture<'static, ()> {
        let deadline = self.monotonic().saturating_add(delay);
        Box::pin(Sleep {
            shared: self.0.clone(),
            deadline,
            timer: None,
        })
    }

    fn fill_random(&self, buffer: &mut [u8]) {
        let mut state = self.0.lock();
        for chunk in buffer.chunks_mut(8) {
            let random = state.next_random().to_le_bytes();
            chunk.copy_from_slice(&random[..chunk.len()]);
        }
    }

    fn spawn(&self, task: BoxFuture<'static, ()>) {
        let mut state = self.0.lock();
        if state.closed {
            // Not under the lock: a task's drop may come back here.
            drop(state);
            drop(task);
            return;
        }
        let id = state.next_id();
        let waker = self.0.waker_of(id);
        let future: BoxFuture<'static, ()> = Box::pin(tokio::task::unconstrained(task));
        let future = Some(future);
        state.tasks.insert(id, Task { future, waker });
        state.schedule(id);
    }

    fn has_threads(&self) -> bool {
        false
    }
}

/// Ready at the deadline, but never before all that can run has run: a sleep of zero yields.
struct Sleep {
    shared: Arc<Shared>,
    deadline: Duration,
    timer: Option<u64>,
}

impl Future for Sleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        let mut state = this.shared.lock();
        let id = match this.timer {
            Some(id) if !state.timers.contains_key(&(this.deadline, id)) => return Poll::Ready(()),
            Some(id) => id,
            None => state.next_id(),
        };
        this.timer = Some(id);
        let replaced = state
            .timers
            .insert((this.deadline, id), context.waker().clone());
        drop(state);
        drop(replaced);
        Poll::Pending
    }
}

impl Drop for Sleep {
    /// A timer that nobody waits for must not move the clock.
    fn drop(&mut self) {
        if let Some(id) = self.timer {
            let removed = self.shared.lock().timers.remove(&(self.deadline, id));
            drop(removed);
        }
    }
}

#[cfg(test)]
mod tests;
