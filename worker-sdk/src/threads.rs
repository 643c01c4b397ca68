//! Plain threads on which orchestrators are polled.
//!
//! Outside of tokio's runtime, its timers and I/O fail at the line that uses them, and a long
//! replay keeps no tokio worker from serving storage. The way there and back takes about 27 µs
//! an episode (`hop_cost` in `tests/misuse.rs`, unoptimised, 2 cores), which disappears behind
//! one storage call: `HelloSequence5` on the store in memory takes 5 ms with it and without.

use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::sync::oneshot;
use tracing::{Dispatch, Span, dispatcher};

type Job = Box<dyn FnOnce() + Send>;

/// Replays are short and bound by the CPU: more threads than this only compete with tokio's.
const MAX_THREADS: usize = 4;

/// How many episodes may wait for a thread before those who bring more have to wait.
const MAX_WAITING_JOBS: usize = 64;

/// A small fixed pool. The threads end when it is dropped.
pub(crate) struct Threads(Sender<Job>);

impl Threads {
    pub(crate) fn start() -> std::io::Result<Self> {
        let (sender, receiver) = channel::<Job>(MAX_WAITING_JOBS);
        let receiver = Arc::new(Mutex::new(receiver));
        let cores = thread::available_parallelism().map_or(1, usize::from);
        for number in 0..cores.min(MAX_THREADS) {
            let receiver = Arc::clone(&receiver);
            thread::Builder::new()
                .name(format!("orchestrators-{number}"))
                .spawn(move || work(&receiver))?;
        }
        Ok(Self(sender))
    }

    /// The result of `job`, or `None` if it panicked or the pool is gone. The caller's span and
    /// subscriber go with it.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> Option<T> {
        let (sender, receiver) = oneshot::channel();
        let (span, dispatch) = (Span::current(), dispatcher::get_default(Dispatch::clone));
        let job = move || {
            let result = dispatcher::with_default(&dispatch, || span.in_scope(job));
            // Whoever asked may be gone.
            drop(sender.send(result));
        };
        self.0.send(Box::new(job)).await.ok()?;
        receiver.await.ok()
    }
}

fn work(receiver: &Mutex<Receiver<Job>>) {
    loop {
        // One thread waits for the next job, the others wait for their turn to do so.
        let job = receiver
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .blocking_recv();
        match job {
            Some(job) => job(),
            None => return,
        }
    }
}
