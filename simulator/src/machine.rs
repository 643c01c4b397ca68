//! A process of the simulated world: its clock, its tasks, its death, and its naps as a zombie.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use durabletask_core::Timestamp;
use durabletask_storage::Env;
use durabletask_storage::env::Environment;
use futures::future::BoxFuture;
use tokio::sync::Notify;

/// A process.
pub(crate) struct Machine {
    /// Its name; also that of its random streams.
    pub(crate) name: Arc<str>,
    world: Env,
    state: Mutex<State>,
    /// Told when it dies.
    died: Notify,
    /// Told when it is to be stopped.
    stop: Notify,
}

#[derive(Default)]
struct State {
    /// How far its clock is ahead (or behind, if negative), in milliseconds.
    skew_ms: i64,
    polls: u64,
    dies_at_poll: Option<u64>,
    is_dead: bool,
    /// Nothing of it runs before that time of the world.
    frozen_until: Duration,
    /// Time that its monotonic clock has not counted.
    uncounted: Duration,
}

impl Machine {
    /// A machine whose clock is off by that much.
    pub(crate) fn new(name: &str, world: &Env, skew_ms: i64) -> Arc<Self> {
        let state = State {
            skew_ms,
            ..State::default()
        };
        Arc::new(Self {
            name: name.into(),
            world: world.clone(),
            state: Mutex::new(state),
            died: Notify::new(),
            stop: Notify::new(),
        })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The environment of everything in this process.
    pub(crate) fn env(self: &Arc<Self>) -> Env {
        Env::new(Inside(self.clone()))
    }

    /// Lets it die instead of making the poll that comes after so many more.
    pub(crate) fn die_after_polls(&self, polls: u64) {
        let mut state = self.lock();
        state.dies_at_poll = Some(state.polls + polls);
    }

    /// Kills it now.
    pub(crate) fn kill(&self) {
        self.lock().is_dead = true;
        self.died.notify_one();
    }

    /// Waits until it is dead.
    pub(crate) async fn dead(&self) {
        while !self.lock().is_dead {
            self.died.notified().await;
        }
    }

    /// Asks for a clean stop.
    pub(crate) fn ask_to_stop(&self) {
        self.stop.notify_one();
    }

    /// Waits until it is to be stopped.
    pub(crate) async fn stop_asked(&self) {
        self.stop.notified().await;
    }

    /// Sets its clock.
    pub(crate) fn set_skew(&self, skew_ms: i64) {
        self.lock().skew_ms = skew_ms;
    }

    /// Whether it is dead.
    pub(crate) fn is_dead(&self) -> bool {
        self.lock().is_dead
    }

    /// Stops everything in it for a time; its monotonic clock counts that time or, like a paused
    /// virtual machine's, does not.
    pub(crate) fn freeze(&self, time: Duration, clock_counts: bool) {
        let until = self.world.monotonic() + time;
        let mut state = self.lock();
        state.frozen_until = until;
        if !clock_counts {
            state.uncounted += time;
        }
    }

    /// Counts a poll; whether the machine is dead instead.
    fn dies(&self) -> bool {
        let mut state = self.lock();
        state.polls += 1;
        if !state.is_dead && state.dies_at_poll.is_some_and(|at| state.polls >= at) {
            state.is_dead = true;
            self.died.notify_one();
        }
        state.is_dead
    }

    /// How long it will be frozen.
    fn frozen_for(&self) -> Duration {
        self.lock()
            .frozen_until
            .saturating_sub(self.world.monotonic())
    }
}

impl fmt::Debug for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

struct Inside(Arc<Machine>);

impl Environment for Inside {
    fn now(&self) -> Timestamp {
        let now = self.0.world.now();
        let skew_ms = self.0.lock().skew_ms;
        let skew = Duration::from_millis(skew_ms.unsigned_abs());
        if skew_ms < 0 {
            now.saturating_sub(skew)
        } else {
            now.saturating_add(skew)
        }
    }

    fn monotonic(&self) -> Duration {
        let now = self.0.world.monotonic();
        let state = self.0.lock();
        // While it is frozen nothing asks, except a request's last act.
        let frozen = state.frozen_until.saturating_sub(now);
        (now + frozen).saturating_sub(state.uncounted)
    }

    fn sleep(&self, delay: Duration) -> BoxFuture<'static, ()> {
        let world = self.0.world.clone();
        Box::pin(async move { world.sleep(delay).await })
    }

    fn fill_random(&self, buffer: &mut [u8]) {
        self.0.world.fill_random(buffer);
    }

    fn spawn(&self, task: BoxFuture<'static, ()>) {
        let life = Life {
            machine: self.0.clone(),
            task: Some(task),
            thaw: None,
        };
        drop(self.0.world.scope().spawn(life));
    }

    fn has_threads(&self) -> bool {
        false
    }
}

/// A task of a machine.
struct Life {
    machine: Arc<Machine>,
    task: Option<BoxFuture<'static, ()>>,
    thaw: Option<BoxFuture<'static, ()>>,
}

impl Future for Life {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        loop {
            if this.machine.is_dead() {
                this.task = None;
                return Poll::Ready(());
            }
            if let Some(thaw) = &mut this.thaw {
                if thaw.as_mut().poll(context).is_pending() {
                    return Poll::Pending;
                }
                this.thaw = None;
            }
            let frozen = this.machine.frozen_for();
            if frozen.is_zero() {
                break;
            }
            let world = this.machine.world.clone();
            this.thaw = Some(Box::pin(async move { world.sleep(frozen).await }));
        }
        if this.machine.dies() {
            this.task = None;
            return Poll::Ready(());
        }
        match &mut this.task {
            Some(task) => task.as_mut().poll(context),
            None => Poll::Ready(()),
        }
    }
}
