//! How often this worker saw a message fail.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// Messages whose failures are remembered, at most.
const MAX_REMEMBERED_MESSAGES: usize = 10_000;

/// Failures by message id, in memory only: a message that is good elsewhere is none of ours.
#[derive(Debug, Default)]
pub(crate) struct Failures(Mutex<HashMap<String, u32>>);

impl Failures {
    /// Counts one more; how many there were, this one included.
    pub(crate) fn count(&self, message_id: &str) -> u32 {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(message_id) {
            *count += 1;
            return *count;
        }
        // The one that failed least begins anew, should it come again.
        if counts.len() >= MAX_REMEMBERED_MESSAGES
            && let Some(least) = counts.iter().min_by_key(|(_, count)| **count)
        {
            let least = least.0.clone();
            counts.remove(&least);
        }
        counts.insert(message_id.to_owned(), 1);
        1
    }

    /// The message is settled.
    pub(crate) fn forget(&self, message_id: &str) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        counts.remove(message_id);
    }
}
