//! Messages that were put for later: they may be in the queues when all else is done.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Messages that were sent and not deleted, by id: their queue, and when they are due.
#[derive(Debug, Default)]
pub(crate) struct Timers(Mutex<BTreeMap<String, (String, Duration)>>);

impl Timers {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, (String, Duration)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A message was put into that queue.
    pub(crate) fn sent(&self, queue: &str, id: &str, due: Duration) {
        self.lock().insert(id.to_owned(), (queue.to_owned(), due));
    }

    /// A message is gone.
    pub(crate) fn deleted(&self, id: &str) {
        self.lock().remove(id);
    }

    /// Messages of that queue that are due after `time`.
    pub(crate) fn due_after(&self, queue: &str, time: Duration) -> u64 {
        let timers = self.lock();
        let later = timers.values().filter(|(q, due)| q == queue && *due > time);
        later.count() as u64
    }
}
