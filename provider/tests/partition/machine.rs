//! The machine of one worker: its wall clock may be off, and it may stand still (SIGSTOP).

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use durabletask_core::Timestamp;
use durabletask_storage::Env;
use durabletask_storage::env::Environment;
use futures::future::BoxFuture;

/// Virtual time as one worker sees it.
#[derive(Debug)]
pub(crate) struct Machine {
    env: Env,
    /// By how much its wall clock is fast, in seconds.
    fast_seconds: f64,
    /// Until when nothing runs on it.
    stopped_until: Mutex<Duration>,
}

impl Machine {
    pub(crate) fn new(env: &Env, fast_seconds: f64) -> Arc<Self> {
        Arc::new(Self {
            env: env.clone(),
            fast_seconds,
            stopped_until: Mutex::default(),
        })
    }

    pub(crate) fn env(self: &Arc<Self>) -> Env {
        Env::new(Handle(self.clone()))
    }

    /// Lets none of its tasks run for that long. Time goes on.
    pub(crate) fn stop_for(&self, pause: Duration) {
        *self.stopped_until.lock().unwrap() = self.env.monotonic() + pause;
    }
}

struct Handle(Arc<Machine>);

impl Environment for Handle {
    fn now(&self) -> Timestamp {
        let machine = &self.0;
        let off = Duration::from_secs_f64(machine.fast_seconds.abs());
        if machine.fast_seconds < 0.0 {
            machine.env.now().saturating_sub(off)
        } else {
            machine.env.now().saturating_add(off)
        }
    }

    fn monotonic(&self) -> Duration {
        self.0.env.monotonic()
    }

    fn sleep(&self, delay: Duration) -> BoxFuture<'static, ()> {
        let env = self.0.env.clone();
        Box::pin(async move { env.sleep(delay).await })
    }

    fn fill_random(&self, buffer: &mut [u8]) {
        self.0.env.fill_random(buffer);
    }

    fn spawn(&self, task: BoxFuture<'static, ()>) {
        let machine = self.0.clone();
        let gated = Gated {
            task,
            machine,
            pause: None,
        };
        drop(self.0.env.scope().spawn(gated));
    }

    fn has_threads(&self) -> bool {
        false
    }
}

/// A task that is not polled while its machine stands still.
struct Gated {
    task: BoxFuture<'static, ()>,
    machine: Arc<Machine>,
    pause: Option<BoxFuture<'static, ()>>,
}

impl Future for Gated {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        loop {
            if let Some(pause) = &mut self.pause {
                ready!(pause.as_mut().poll(context));
                self.pause = None;
            }
            let left = {
                let until = *self.machine.stopped_until.lock().unwrap();
                until.saturating_sub(self.machine.env.monotonic())
            };
            if left.is_zero() {
                return self.task.as_mut().poll(context);
            }
            let env = self.machine.env.clone();
            self.pause = Some(Box::pin(async move { env.sleep(left).await }));
        }
    }
}
