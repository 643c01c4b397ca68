//! A manager's loop in the background: started, asked to stop, started again.

use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use durabletask_storage::Scope;
use tokio::sync::{Notify, watch};

use super::StopError;

/// How long a stop may take (chapter 01 §5.3.6).
pub(super) const STOP_LIMIT: Duration = Duration::from_secs(600);

/// How a manager talks to its loop.
#[derive(Debug, Default)]
pub(super) struct Signal {
    stopping: AtomicBool,
    /// Ends the loop's pause: a stop was asked for, or a drain has ended.
    pub(super) wake: Arc<Notify>,
}

impl Signal {
    fn stop(&self) {
        self.stopping.store(true, Ordering::Release);
        self.wake.notify_one();
    }

    /// Completes when the loop shall release everything and end.
    pub(super) async fn stopped(&self) {
        while !self.is_stopping() {
            self.wake.notified().await;
        }
    }

    /// Whether the loop shall release everything and end.
    pub(super) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }
}

/// The place of one loop at a time.
#[derive(Debug, Default)]
pub(super) struct Background(Mutex<Option<Running>>);

/// A loop under way, or ended and not yet replaced.
#[derive(Debug)]
struct Running {
    signal: Arc<Signal>,
    /// Set when the loop has ended in an orderly way; closed without a value if it was aborted.
    ended: watch::Receiver<Option<Result<(), StopError>>>,
}

impl Running {
    fn is_over(&self) -> bool {
        self.ended.borrow().is_some() || self.ended.has_changed().is_err()
    }
}

impl Background {
    /// Runs a loop with tasks of `scope`, unless one is under way.
    pub(super) fn start<F>(&self, scope: &Scope, run: impl FnOnce(Arc<Signal>) -> F)
    where
        F: Future<Output = Result<(), StopError>> + Send + 'static,
    {
        let mut running = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if running.as_ref().is_some_and(|running| !running.is_over()) {
            return;
        }
        let (set_ended, ended) = watch::channel(None);
        let signal = Arc::new(Signal::default());
        let run = run(signal.clone());
        *running = Some(Running { signal, ended });
        scope.spawn(async move {
            let outcome = run.await;
            set_ended.send_replace(Some(outcome));
        });
    }

    /// Ends the pause of the loop, if there is one.
    pub(super) fn wake(&self) {
        let running = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(running) = running.as_ref() {
            running.signal.wake.notify_one();
        }
    }

    /// Asks the loop to end and waits for that; what it ended with.
    pub(super) async fn stop(&self) -> Result<(), StopError> {
        let mut ended = {
            let running = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let Some(running) = running.as_ref() else {
                return Ok(());
            };
            running.signal.stop();
            running.ended.clone()
        };
        let outcome = ended.wait_for(Option::is_some).await;
        outcome.map_or(Err(StopError::Aborted), |ended| {
            ended.clone().unwrap_or(Ok(()))
        })
    }
}
