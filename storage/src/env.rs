//! Time, randomness and tasks, injected so that the simulator can own them.
//!
//! Nothing in this project reaches for the system's clock, random numbers or task spawner except
//! [`Env::system`]; clippy's `disallowed-methods` enforces it.

mod virtual_time;

use std::fmt;
use std::future::Future;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use durabletask_core::Timestamp;
use futures::future::{AbortHandle, Abortable, BoxFuture, Either, select};

pub use virtual_time::{Panics, Stalled, VirtualEnv};

/// What an [`Env`] is made of.
pub trait Environment: Send + Sync + 'static {
    /// Wall-clock time in UTC.
    fn now(&self) -> Timestamp;
    /// Time since an arbitrary origin; never goes back.
    fn monotonic(&self) -> Duration;
    /// Completes after `delay`.
    fn sleep(&self, delay: Duration) -> BoxFuture<'static, ()>;
    /// Fills `buffer` with random bytes, unpredictable outside of the simulator.
    fn fill_random(&self, buffer: &mut [u8]);
    /// Runs `task` in the background until it ends.
    fn spawn(&self, task: BoxFuture<'static, ()>);
    /// Whether blocking work (`SQLite`) may be moved to threads of its own. False under the
    /// simulator, where all is done in line.
    fn has_threads(&self) -> bool;
}

/// A cheap handle on an [`Environment`].
#[derive(Clone)]
pub struct Env(Arc<dyn Environment>);

/// `future` did not end in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("timed out after {0:?}")]
pub struct Elapsed(pub Duration);

impl Env {
    /// The real thing: system clock, operating-system randomness, tokio tasks. Its `sleep` and
    /// `spawn` need a running tokio runtime.
    pub fn system() -> Self {
        Self(Arc::new(system::SystemEnvironment::new()))
    }

    /// Any other environment.
    pub fn new(environment: impl Environment) -> Self {
        Self(Arc::new(environment))
    }

    /// Wall-clock time in UTC.
    pub fn now(&self) -> Timestamp {
        self.0.now()
    }

    /// Time since an arbitrary origin; never goes back.
    pub fn monotonic(&self) -> Duration {
        self.0.monotonic()
    }

    /// Completes after `delay`.
    pub async fn sleep(&self, delay: Duration) {
        self.0.sleep(delay).await;
    }

    /// The output of `future`, or [`Elapsed`] after `limit`; the future is dropped then.
    pub async fn timeout<F: Future>(
        &self,
        limit: Duration,
        future: F,
    ) -> Result<F::Output, Elapsed> {
        match select(pin!(future), self.0.sleep(limit)).await {
            Either::Left((output, _)) => Ok(output),
            Either::Right(((), _)) => Err(Elapsed(limit)),
        }
    }

    /// Fills `buffer` with random bytes.
    pub fn fill_random(&self, buffer: &mut [u8]) {
        self.0.fill_random(buffer);
    }

    /// A random 64-bit number.
    pub fn random_u64(&self) -> u64 {
        let mut bytes = [0; 8];
        self.0.fill_random(&mut bytes);
        u64::from_le_bytes(bytes)
    }

    /// A number drawn evenly from 0 (inclusive) to 1 (exclusive).
    pub fn random_unit(&self) -> f64 {
        // 53 bits are what an f64 holds exactly.
        #[allow(clippy::cast_precision_loss, reason = "the value has 53 bits")]
        let value = (self.random_u64() >> 11) as f64;
        value / 9_007_199_254_740_992.0
    }

    /// A random (version 4) UUID.
    pub fn new_uuid(&self) -> uuid::Uuid {
        let mut bytes = [0; 16];
        self.0.fill_random(&mut bytes);
        uuid::Builder::from_random_bytes(bytes).into_uuid()
    }

    /// Whether blocking work may be moved to threads of its own.
    pub fn has_threads(&self) -> bool {
        self.0.has_threads()
    }

    /// A scope whose tasks can be aborted together.
    pub fn scope(&self) -> Scope {
        Scope {
            env: self.clone(),
            handles: Arc::default(),
        }
    }
}

impl fmt::Debug for Env {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Env")
    }
}

/// The tasks of one worker: aborting the scope is what a crash of that worker looks like.
#[derive(Clone)]
pub struct Scope {
    env: Env,
    handles: Arc<Mutex<Handles>>,
}

#[derive(Default)]
struct Handles {
    aborted: bool,
    running: Vec<AbortHandle>,
    /// Ended tasks are swept out when the list has doubled since the last sweep.
    sweep_at_len: usize,
}

/// Waits for a task of a [`Scope`].
#[derive(Debug)]
pub struct TaskHandle<T>(futures::channel::oneshot::Receiver<T>);

impl<T> TaskHandle<T> {
    /// The task's output; `None` if it was aborted or panicked.
    pub async fn join(self) -> Option<T> {
        self.0.await.ok()
    }
}

impl Scope {
    /// The environment of this scope.
    pub fn env(&self) -> &Env {
        &self.env
    }

    /// Runs `task` in the background until it ends or the scope is aborted. Dropping the handle
    /// lets the task run on.
    pub fn spawn<T, F>(&self, task: F) -> TaskHandle<T>
    where
        T: Send + 'static,
        F: Future<Output = T> + Send + 'static,
    {
        let (sender, receiver) = futures::channel::oneshot::channel();
        let (handle, registration) = AbortHandle::new_pair();
        {
            let mut handles = self.handles.lock().unwrap_or_else(PoisonError::into_inner);
            if handles.aborted {
                return TaskHandle(receiver);
            }
            if handles.running.len() >= handles.sweep_at_len.max(64) {
                // A handle that we alone hold belongs to a task that is gone.
                handles.running.retain(|handle| !handle.is_aborted());
                handles.sweep_at_len = handles.running.len() * 2;
            }
            handles.running.push(handle.clone());
        }
        let ended = EndMark(handle);
        let guarded = Abortable::new(task, registration);
        self.env.0.spawn(Box::pin(async move {
            if let Ok(output) = guarded.await {
                let _ = sender.send(output);
            }
            drop(ended);
        }));
        TaskHandle(receiver)
    }

    /// Stops all tasks at their next await and refuses new ones.
    pub fn abort(&self) {
        let running = {
            let mut handles = self.handles.lock().unwrap_or_else(PoisonError::into_inner);
            handles.aborted = true;
            std::mem::take(&mut handles.running)
        };
        for handle in running {
            handle.abort();
        }
    }
}

/// Marks a task's handle as done when the task is, so that the scope can forget it.
struct EndMark(AbortHandle);

impl Drop for EndMark {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl fmt::Debug for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Scope")
    }
}

mod system {
    //! The one place that reaches for the system.
    #![allow(clippy::disallowed_methods, reason = "this is what Env wraps")]

    use std::time::{Duration, Instant, SystemTime};

    use durabletask_core::Timestamp;
    use futures::future::BoxFuture;

    pub(super) struct SystemEnvironment {
        origin: Instant,
    }

    impl SystemEnvironment {
        pub(super) fn new() -> Self {
            Self {
                origin: Instant::now(),
            }
        }
    }

    impl super::Environment for SystemEnvironment {
        fn now(&self) -> Timestamp {
            let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
            Timestamp::from_unix(since_epoch.unwrap_or_default())
        }

        fn monotonic(&self) -> Duration {
            self.origin.elapsed()
        }

        fn sleep(&self, delay: Duration) -> BoxFuture<'static, ()> {
            Box::pin(tokio::time::sleep(delay))
        }

        fn fill_random(&self, buffer: &mut [u8]) {
            for chunk in buffer.chunks_mut(16) {
                let random = uuid_bytes();
                chunk.copy_from_slice(&random[..chunk.len()]);
            }
        }

        fn spawn(&self, task: BoxFuture<'static, ()>) {
            drop(tokio::spawn(task));
        }

        fn has_threads(&self) -> bool {
            true
        }
    }

    fn uuid_bytes() -> [u8; 16] {
        let mut bytes = [0; 16];
        // The operating system's generator fails only where nothing else would work either.
        #[allow(clippy::expect_used, reason = "no randomness, no service")]
        getrandom::fill(&mut bytes).expect("the operating system gives random bytes");
        bytes
    }
}
